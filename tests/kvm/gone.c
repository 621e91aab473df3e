/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M10: memory of a slot that has gone, and that user space gives up then, is not the guest's any more, which
 * uses it all the time. The memory is a file's, so that what is written is seen after it is unmapped. Where
 * the host's CPUs are emulated one after the other a vCPU finds out before user space can: there the port's
 * check alone has been seen to fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pvm/vcpu.h>

#include "bare.h"

#define PLACE	BARE_MEMORY	/* gpa of the slot, of a page */
#define PAGE	4096
#define ROUNDS	20

#ifndef KVM_X86_QUIRK_SLOT_ZAP_ALL
#define KVM_X86_QUIRK_SLOT_ZAP_ALL (1 << 7)
#endif

/* 1: inc %rax; mov %rax, PLACE; jmp 1b */
#define COUNT	BARE_CODE("\x48\xff\xc0\x48\x89\x04\x25\x00\x00\x20\x00\xeb\xf3")

/* mov %rax, PLACE; mov $PLACE, %edi; mov $0x81, %edx; insb; out %al, $0x80 */
#define INPUT	BARE_CODE("\x48\x89\x04\x25\x00\x00\x20\x00\xbf\x00\x00\x20\x00\xba\x81\x00\x00\x00" \
			  "\x6c\xe6\x80")

static struct machine m;
static int run_error;

static void *run(void *unused)
{
	(void)unused;
	run_error = bare_run(&m);
	return NULL;
}

static uint64_t *map(int file)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (memory == MAP_FAILED)
		machine_die("mmap: %s", strerror(errno));
	return memory;
}

/* How many rounds there were in which something was written after the memory was given up. */
static unsigned written_later(void)
{
	int file = memfd_create("slot", MFD_CLOEXEC);
	unsigned round, wrong = 0;

	if (file < 0 || ftruncate(file, PAGE))
		machine_die("memfd_create: %s", strerror(errno));
	for (round = 0; round < ROUNDS; round++) {
		uint64_t *memory = map(file), before, last;
		volatile uint64_t *seen = map(file);
		pthread_t thread;

		if (machine_slot(&m, 1, 0, PLACE, PAGE, memory))
			machine_die("no slot");
		before = *seen;
		if (pthread_create(&thread, NULL, run, NULL))
			machine_die("no thread");
		while (*seen == before)
			sched_yield();
		if (machine_slot(&m, 1, 0, PLACE, 0, memory))
			machine_die("the slot does not go");
		munmap(memory, PAGE);
		last = *seen;
		pthread_join(thread, NULL);
		if (run_error || m.run[0]->exit_reason != KVM_EXIT_MMIO)
			machine_die("KVM_RUN: %s, exit %u", strerror(run_error), m.run[0]->exit_reason);
		wrong += *seen != last;
		munmap((void *)seen, PAGE);
		bare_complete(&m);
	}
	close(file);
	return wrong;
}

static void map_place(void)
{
	struct kvm_sregs sregs;

	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	*(uint64_t *)(m.memory + sregs.cr3 + 2 * PAGE + 8) = PLACE | 0x83;
}

/* What comes from a port is for memory that has gone since the guest asked. */
static void input(void)
{
	int file = memfd_create("slot", MFD_CLOEXEC);
	uint64_t *memory, *seen;

	if (file < 0 || ftruncate(file, PAGE))
		machine_die("memfd_create: %s", strerror(errno));
	memory = map(file);
	seen = map(file);
	bare_begin(&m, INPUT);
	map_place();
	machine_slot(&m, 1, 0, PLACE, PAGE, memory);
	if (bare_run(&m) || m.run[0]->exit_reason != KVM_EXIT_IO || m.run[0]->io.port != 0x81)
		machine_die("exit %u", m.run[0]->exit_reason);
	*(uint8_t *)bare_data(&m) = 0x5a;
	machine_slot(&m, 1, 0, PLACE, 0, memory);
	munmap(memory, PAGE);
	*seen = 1;
	bare_run(&m);
	check(*seen == 1, "M10: what a port answers is not written there either: 0x%llx",
	      (unsigned long long)*seen);
	munmap(seen, PAGE);
	close(file);
	machine_destroy(&m);
}

int main(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2, .args[0] = KVM_X86_QUIRK_SLOT_ZAP_ALL };
	unsigned wrong;

	input();
	bare_begin(&m, COUNT);
	map_place();
	wrong = written_later();
	check(!wrong, "M10: a slot's memory is given up, and not written any more: %u of %u", wrong, ROUNDS);
	if (ioctl(m.vm, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_SLOT_ZAP_ALL) {
		ASK(m.vm, KVM_ENABLE_CAP, &cap);
		wrong = written_later();
		check(!wrong, "M10: nor where vCPUs are not told to leave: %u of %u", wrong, ROUNDS);
	} else {
		printf("# excused 1: vCPUs are always told to leave on this kernel\n");
	}
	machine_destroy(&m);
	return check_finish();
}
