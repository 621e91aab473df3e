/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * host COMMAND...: starts a VMM whose guest runs bench/linux/init.c, passes on what the guest prints, and
 * answers what it asks: the host's counters at that moment. A line each:
 *
 *	counters ROW begin|end EXITS FAULTS FILLS
 *	boot START OFFSET IDLE USER SYSTEM GUEST
 *
 * EXITS is KVM's own; FAULTS and FILLS are kvm-pvm's, of its file in debugfs, 0 elsewhere. START is
 * the host's TSC before the VMM is started, OFFSET what KVM adds to it for the guest, IDLE how many
 * nanoseconds the host then was idle until the guest's first question. The rest is the VMM's time by
 * Linux's ticks, in nanoseconds: in user mode, in the kernel, and in the guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t vmm;
static uint64_t start;
static unsigned long long idle_before;

__attribute__((noreturn)) static void die(const char *what)
{
	printf("not ok - %s: %s\n", what, strerror(errno));
	exit(125);
}

static uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static unsigned long long idle(void)
{
	FILE *list = fopen("/proc/timer_list", "re");
	unsigned long long ns = 0;
	char line[256];

	if (!list)
		die("/proc/timer_list");
	while (fgets(line, sizeof(line), list))
		if (sscanf(line, " .idle_sleeptime : %llu nsecs", &ns) == 1)
			break;
	fclose(list);
	return ns;
}

/* A file of the VM's folder in debugfs. The VMM has one VM. */
static FILE *debugfs(const char *name)
{
	char pattern[128];
	FILE *found = NULL;
	glob_t paths;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/kvm/%d-*/%s", (int)vmm, name);
	if (!glob(pattern, 0, NULL, &paths)) {
		found = fopen(paths.gl_pathv[0], "re");
		globfree(&paths);
	}
	return found;
}

static long long number(const char *name)
{
	FILE *stat = debugfs(name);
	long long value = 0;

	if (!stat || fscanf(stat, "%lld", &value) != 1)
		die(name);
	fclose(stat);
	return value;
}

static unsigned long long of_pvm(const char *name)
{
	FILE *stats = debugfs("pvm");
	unsigned long long value = 0, found;
	char word[64];

	while (stats && fscanf(stats, "%63s", word) == 1)
		if (!strcmp(word, name) && fscanf(stats, "%llu", &found) == 1)
			value = found;
	if (stats)
		fclose(stats);
	return value;
}

/* Of all the VMM's threads, by proc(5)'s fields of a process's file stat. Its name has no blanks. */
static void vmm_times(unsigned long long times[3])
{
	enum { FIELD_USER = 14, FIELD_SYSTEM = 15, FIELD_GUEST = 43 };
	unsigned long long tick = 1000000000ull / (unsigned long long)sysconf(_SC_CLK_TCK);
	unsigned long long fields[FIELD_GUEST + 1] = { 0 };
	char path[64], word[64];
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)vmm);
	stat = fopen(path, "re");
	if (!stat)
		die(path);
	for (unsigned i = 1; i <= FIELD_GUEST && fscanf(stat, "%63s", word) == 1; i++)
		fields[i] = strtoull(word, NULL, 10);
	fclose(stat);
	times[0] = (fields[FIELD_USER] - fields[FIELD_GUEST]) * tick;	/* which has the guest's in it */
	times[1] = fields[FIELD_SYSTEM] * tick;
	times[2] = fields[FIELD_GUEST] * tick;
}

static void answer_boot(void)
{
	unsigned long long times[3];

	vmm_times(times);
	printf("boot %llu %lld %llu %llu %llu %llu\n", (unsigned long long)start, number("vcpu0/tsc-offset"),
	       idle() - idle_before, times[0], times[1], times[2]);
}

static void answer(const char *row, const char *when, int to)
{
	if (!strcmp(row, "boot"))
		answer_boot();
	else
		printf("counters %s %s %lld %llu %llu\n", row, when, number("exits"), of_pvm("faults"),
		       of_pvm("fills"));
	if (write(to, "\n", 1) != 1)
		die("the guest's console");
}

static void serve(FILE *from, int to)
{
	char line[1024], row[64], when[16];

	while (fgets(line, sizeof(line), from)) {
		const char *question = strstr(line, "@ask ");	/* a firmware's escapes may be before it */

		if (question && sscanf(question, "@ask %63s %15s", row, when) == 2)
			answer(row, when, to);
		else
			fputs(line, stdout);
	}
}

int main(int argc, char **argv)
{
	int in[2], out[2], status;
	FILE *from;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || pipe(in) || pipe(out))
		die("usage: host COMMAND...");
	idle_before = idle();
	start = now();
	vmm = fork();
	if (!vmm) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		close(in[0]), close(in[1]), close(out[0]), close(out[1]);
		execv(argv[1], argv + 1);
		die(argv[1]);
	}
	close(in[0]);
	close(out[1]);
	from = fdopen(out[0], "r");
	if (vmm < 0 || !from)
		die("fork");
	serve(from, in[1]);
	if (waitpid(vmm, &status, 0) != vmm)
		die("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 124;
}
