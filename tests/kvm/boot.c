/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * boot GUEST.elf FIRMWARE: a vCPU from reset to 64-bit mode. vmm runs whole guests that way, with several
 * vCPUs.
 */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <pvm/x86.h>

#define MSRS_MOST	4096

#define CR0_PE		1
#define X2APIC		(3 << 10)
#define EFER_LMA	(1 << 10)

static struct machine m;

/* The exit reason of the next exit that is not for a port but POST's, which is *@post then. */
static uint32_t run(uint8_t *post)
{
	const struct kvm_run *run = m.run[0];

	for (;;) {
		if (ioctl(m.vcpu[0], KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			machine_die("KVM_RUN: %s", strerror(errno));
		}
		if (run->exit_reason != KVM_EXIT_IO)
			return run->exit_reason;
		*post = *((const uint8_t *)run + run->io.data_offset);
		if (run->io.port == MACHINE_POST)
			return KVM_EXIT_IO;
	}
}

static const struct machine_firmware *found(void)
{
	return (const struct machine_firmware *)(m.memory + MACHINE_FIRMWARE);
}

static bool reaches(uint8_t wanted)
{
	uint8_t post = 0;

	return run(&post) == KVM_EXIT_IO && post == wanted;
}

/* spec: C-021 */
static void starts(void)
{
	struct kvm_sregs sregs;

	check(reaches(MACHINE_POST_REAL_MODE), "a vCPU runs from reset");
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check(!(sregs.cr0 & CR0_PE) && sregs.cs.base == 0xf0000 && sregs.cs.selector == 0xf000, "in real mode");
	check(found()->soft == 1, "INT n goes by the vector table");
	check(found()->divided == 1, "and so does an exception");
	check(found()->ticks >= 2, "and so do interrupts");
	check(!found()->shadow, "but not right after STI");
	check(found()->waited >= 1, "one ends HLT");
	check(reaches(MACHINE_POST_64_BIT), "it comes into 64-bit mode");
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check((sregs.efer & EFER_LMA) && sregs.cs.l && sregs.cs.dpl == 0 &&
	      (sregs.apic_base & X2APIC) == X2APIC, "which KVM_GET_SREGS says");
}

/* #GP in protected mode, from an MSR that there is not. */
static void dies(void)
{
	struct machine_firmware *told = (struct machine_firmware *)(m.memory + MACHINE_FIRMWARE);
	uint8_t post;

	told->switch_cr3_msr = 0x12345678;
	check(reaches(MACHINE_POST_REAL_MODE) && run(&post) == KVM_EXIT_SHUTDOWN,
	      "an exception in protected mode is a triple fault");
}

#define CODE	0x1000
#define NOTHING	0xd0000000u	/* no memory is there */

/* #DE in real mode, where its table or the stack is no memory. */
static void nowhere(bool stack)
{
	static const uint8_t div_cl[] = { 0xf6, 0xf1 };
	struct kvm_regs regs = { .rip = CODE, .rsp = 0x800, .rflags = 2 };
	struct kvm_sregs sregs;
	uint8_t post;

	machine_create_bare(&m, 0, 64 << 20, 1);
	memcpy(m.memory + CODE, div_cl, sizeof(div_cl));
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	sregs.cs.selector = 0;
	sregs.cs.base = 0;
	if (stack)
		sregs.ss.base = NOTHING;
	else
		sregs.idt.base = NOTHING;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
	check(run(&post) == KVM_EXIT_SHUTDOWN, "an exception without memory for its %s is a triple fault",
	      stack ? "stack" : "table");
	machine_destroy(&m);
}

static bool can_have(uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return ioctl(m.vcpu[0], KVM_SET_MSRS, &msrs) == 1;
}

static bool is_kept(uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index };

	return ioctl(m.vcpu[0], KVM_GET_MSRS, &msrs) == 1 && can_have(index, msrs.entry.data);
}

/* A monitor saves what KVM lists, and sets it in a vCPU that has been reset. */
static void listed(void)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS_MOST * sizeof(list->indices[0]));
	unsigned i, refused = 0;

	machine_create_bare(&m, 0, 64 << 20, 1);
	if (!list)
		machine_die("out of memory");
	list->nmsrs = MSRS_MOST;
	ASK(m.kvm, KVM_GET_MSR_INDEX_LIST, list);
	for (i = 0; i < list->nmsrs; i++) {
		if (!is_kept(list->indices[i])) {
			printf("# MSR 0x%x\n", list->indices[i]);
			refused++;
		}
	}
	check(list->nmsrs && !refused, "a vCPU has each MSR that is listed, and takes its value back");
	check(can_have(PVM_MSR_STAR, 0) && can_have(PVM_MSR_STAR, 0x0013000800000000),
	      "before 64-bit mode STAR is anything");
	free(list);
	machine_destroy(&m);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		machine_die("usage: boot GUEST.elf FIRMWARE");
	listed();
	machine_create_with_firmware(&m, argv[1], 64 << 20, 1, argv[2]);
	starts();
	machine_destroy(&m);
	machine_create_with_firmware(&m, argv[1], 64 << 20, 1, argv[2]);
	dies();
	machine_destroy(&m);
	nowhere(true);
	nowhere(false);
	return check_finish();
}
