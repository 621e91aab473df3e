/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * perf: the host's performance counters are what perf wants in a guest, and in the host what they were.
 * lies stands in for them, with an MSR that both can read.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pvm/vcpu.h>

#define MEMORY		(2ull << 20)
#define LIE		"/modules/lies.ko"
#define COUNT		"/sys/module/lies/parameters/count"
#define IN_GUEST	0x5eed
#define ROUNDS		200

/* RDTSCP; MOV EAX, ECX; OUT 0x80, EAX; again */
static const char code[] = "\x0f\x01\xf9\x89\xc8\xe7\x80\xeb\xf7";

static struct machine m;

static uint32_t tsc_aux(void)
{
	uint32_t aux;

	__asm__ volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
	return aux;
}

static void make_guest(void)
{
	struct kvm_sregs sregs;
	unsigned i;

	machine_create_bare(&m, PVM_ABI_DUAL_CR3, MEMORY, 1);
	machine_set_registers(&m, 0, 0x1000, 0);
	memcpy(m.memory + 0x1000, code, sizeof(code) - 1);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	for (i = 0; i < 2; i++)
		*(uint64_t *)(m.memory + sregs.cr3 + i * PAGE) = (sregs.cr3 + (i + 1) * PAGE) | 7;
	*(uint64_t *)(m.memory + sregs.cr3 + 2 * PAGE) = 0x87;	/* the first 2 MiB as they are */
}

/* What the guest sees each time, if it is always the same; and is the host's untouched? */
static uint32_t seen(bool *host_is_whole)
{
	uint32_t host = tsc_aux(), first = 0;
	unsigned i;

	*host_is_whole = true;
	for (i = 0; i < ROUNDS; i++) {
		uint32_t value;

		if (ioctl(m.vcpu[0], KVM_RUN, 0) || m.run[0]->exit_reason != KVM_EXIT_IO)
			machine_die("exit %u: %s", m.run[0]->exit_reason, strerror(errno));
		value = *(uint32_t *)((char *)m.run[0] + m.run[0]->io.data_offset);
		*host_is_whole &= tsc_aux() == host;
		if (i && value != first)
			return 0;
		first = value;
	}
	return first;
}

int main(void)
{
	int lie = open(LIE, O_RDONLY | O_CLOEXEC);
	uint32_t host;
	cpu_set_t cpu;
	bool whole;

	CPU_ZERO(&cpu);
	CPU_SET(1, &cpu);	/* whose TSC_AUX is not 0 */
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		CPU_SET(0, &cpu);	/* the only one */
	host = tsc_aux();
	make_guest();
	check(seen(&whole) == host && whole, "a guest reads the host's TSC_AUX");
	if (lie < 0 || syscall(SYS_finit_module, lie, "", 0))
		machine_die(LIE ": %s", strerror(errno));
	check(seen(&whole) == host && whole, "nothing is changed where perf wants nothing");
	machine_put(COUNT, "1");
	check(seen(&whole) == IN_GUEST, "what perf wants changed in a guest is");
	check(whole, "and in the host it is as it was");
	machine_put(COUNT, "8");
	check(seen(&whole) == IN_GUEST && whole, "so are as many as the switcher has places for");
	machine_put(COUNT, "0");
	check(seen(&whole) == host && whole, "and none, when perf wants it no more");
	machine_put(COUNT, "9");
	check(ioctl(m.vcpu[0], KVM_RUN, 0) == 0 && m.run[0]->exit_reason == KVM_EXIT_INTERNAL_ERROR,
	      "more than that: the guest does not run");
	machine_put(COUNT, "0");
	machine_destroy(&m);
	if (syscall(SYS_delete_module, "lies", 0))
		machine_die("lies stays: %s", strerror(errno));
	return check_finish();
}
