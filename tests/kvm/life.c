/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * life DUAL.elf SINGLE.elf SEED KILLS: what happens to a host while VMs run on it: other VMs, CPUs that go
 * and come, local descriptor tables, tracing, NMIs, sleep, and a VMM that is killed.
 */
#define _GNU_SOURCE
#include "client.h"

#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES	64
#define CPU1	"/sys/devices/system/cpu/cpu1/online"
#define TRACING	"/sys/kernel/tracing/"
#define POWER	"/sys/power/"
#define ROUNDS	6

static const char *servant[2];

/* Two VMs, one of each dialect, with vCPUs that work at the same time. */
static void two_at_once(void)
{
	static struct client c[2];
	bool right = true;
	unsigned i, round;

	for (i = 0; i < 2; i++) {
		client_create(&c[i], servant[i], 2);
		client_hammer(&c[i]);
	}
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 2; i++) {
			right &= client_writes(&c[i], 100, PAGES, 0x1000 * (i + 1) + round, 1);
			client_wait_for_lap(&c[i]);
		}
		for (i = 0; i < 2; i++)
			right &= client_finds(&c[i], 100, PAGES, 0x1000 * (i + 1) + round, 1) &&
				host_finds(c[i].region, 100, PAGES, 0x1000 * (i + 1) + round, 1);
	}
	check(right, "two VMs, one of each dialect, each have their own memory");
	check(!client_hammer_ends(&c[0]) && !client_hammer_ends(&c[1]), "and lose nothing of it");
	client_destroy(&c[0]);
	client_destroy(&c[1]);
}

/* @disturb, round by round, while a VM works. */
static void disturbed(const char *what, void (*disturb)(unsigned round))
{
	static struct client c;
	bool right = true;
	unsigned round;

	client_create(&c, servant[0], 3);
	client_hammer(&c);
	for (round = 0; round < ROUNDS; round++) {
		disturb(round);
		right &= client_writes(&c, 100, PAGES, round, 3) && client_finds(&c, 100, PAGES, round, 3);
		client_wait_for_lap(&c);
	}
	right &= !client_hammer_ends(&c);
	check(right, "%s", what);
	client_destroy(&c);
}

static void cpu_goes_or_comes(unsigned round)
{
	machine_put(CPU1, round % 2 ? "1" : "0");
}

/* Linux loads a new table on every CPU that runs this program, also within an entry. */
static void other_ldt(unsigned round)
{
	struct user_desc descriptor = {
		.entry_number = round % 8, .base_addr = round * 0x1000, .limit = 0xfff, .seg_32bit = 1,
		.useable = 1,
	};

	if (syscall(SYS_modify_ldt, 1, &descriptor, sizeof(descriptor)))
		machine_die("modify_ldt: %s", strerror(errno));
}

static void traced(unsigned round)
{
	machine_put(TRACING "events/kvm/enable", round % 2 ? "0" : "1");
	machine_put(TRACING "events/kvm_pvm/enable", round % 2 ? "0" : "1");
	machine_put(TRACING "events/irq_vectors/enable", round % 2 ? "0" : "1");
	machine_put(TRACING "set_ftrace_filter", "*spin*lock*");
	machine_put(TRACING "current_tracer", round % 2 ? "nop" : "function");
}

static unsigned long nmis(void)
{
	char line[256];
	unsigned long cpu[2] = { 0 };
	FILE *file = fopen("/proc/interrupts", "re");

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, " NMI: %lu %lu", &cpu[0], &cpu[1]);
	if (file)
		fclose(file);
	return cpu[0] + cpu[1];
}

/* Linux asks the other CPUs where they are, by NMI: mostly in a guest. */
static void asked_by_nmi(unsigned round)
{
	(void)round;
	machine_put("/proc/sysrq-trigger", "l");
}

static void host_nmis(void)
{
	unsigned long before = nmis();

	disturbed("NMIs of the host's come while vCPUs run", asked_by_nmi);
	check(nmis() - before >= ROUNDS, "and its own handler has had them");
}

/* As far as to the point where the machine would go to sleep, and back. */
static void sleeps(unsigned round)
{
	if (round % 2)
		return;
	machine_put(POWER "mem_sleep", "deep");
	machine_put(POWER "pm_test", "core");
	machine_put(POWER "state", "mem");
	machine_put(POWER "pm_test", "none");
}

/* Whatever it was doing. */
static bool killed(uint64_t *state)
{
	static struct client c;
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		machine_die("fork: %s", strerror(errno));
	if (!pid) {
		unsigned round;

		client_create(&c, servant[*state & 1], 3);
		client_hammer(&c);
		for (round = 0;; round++) {
			client_writes(&c, 0, REGION_PAGES / 2, round, 1);
			machine_slot(&c.m, 2, round & 1 ? KVM_MEM_LOG_DIRTY_PAGES : 0,
				     REGION + REGION_SIZE / 2, round % 3 ? PAGES * PAGE : 0, c.region);
		}
	}
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	usleep((useconds_t)(*state % 200000));
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

int main(int argc, char **argv)
{
	uint64_t state;
	bool all = true;
	unsigned long n;

	if (argc != 5)
		machine_die("usage: life DUAL.elf SINGLE.elf SEED KILLS");
	servant[0] = argv[1];
	servant[1] = argv[2];
	state = strtoull(argv[3], NULL, 0) * 0x9e3779b97f4a7c15ull | 1;
	fprintf(stderr, "seed %s\n", argv[3]);
	two_at_once();
	disturbed("a CPU goes and comes while vCPUs run", cpu_goes_or_comes);
	disturbed("another thread changes the local descriptor table", other_ldt);
	disturbed("the kernel's tracing goes on and off", traced);
	host_nmis();
	machine_put("/sys/module/suspend/parameters/pm_test_delay", "1");
	disturbed("the host goes to sleep and wakes up", sleeps);
	for (n = strtoul(argv[4], NULL, 0); n; n--)
		all &= killed(&state);
	check(all, "a VMM is killed at any moment");
	two_at_once();
	return check_finish();
}
