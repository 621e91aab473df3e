/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Why the guest stopped: from a signal frame to a guest_exit.
 */
#ifndef NATIVE_CAUSE_H
#define NATIVE_CAUSE_H

#include <stddef.h>

#include "frame.h"

enum cause {
	CAUSE_EXIT,		/* @exit says what happened */
	CAUSE_NOTHING,		/* the kick signal, or a signal that nothing of the guest's made */
	CAUSE_DEBUG,		/* as EXIT, and dr6 still lacks the breakpoints that were hit */
	CAUSE_MEMORY,		/* the host says it has not the memory at @exit->gva: to be looked at */
};

/* The guest's registers when it was last entered, for what the kernel does not keep. */
struct cause_entry {
	uint64_t rip, rsp, rax;
	uint16_t cs;
	/* What enters the host from 32-bit code: SYSENTER (Intel), then from 64-bit
	 * code too, or SYSCALL (AMD). The other one is #UD. */
	bool host_sysenter;
};

/* Reads @len bytes of guest code at @gva; false when they can not be fetched. */
typedef bool cause_fetch_fn(struct pvm_vcpu *vcpu, uint64_t gva, uint8_t *bytes, size_t len);

/**
 * cause_of_stop - look at the frame of a stopped stub.
 * @vcpu: its registers are those of the frame already (frame_store()). Changed
 * where the frame does not have what the CPU would have left: cr2, dr6, rcx and
 * r11 of SYSCALL, rip and rsp at the vsyscall page, what SYSENTER loses.
 */
enum cause cause_of_stop(const struct sigframe *frame, struct pvm_vcpu *vcpu,
			 const struct cause_entry *entry, cause_fetch_fn *fetch,
			 struct pvm_guest_exit *exit);

#endif /* NATIVE_CAUSE_H */
