/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Registers of the guest: from the signal frame of a stub, where the kernel left
 * them, and into its control pages, from where the stub loads them.
 */
#ifndef NATIVE_FRAME_H
#define NATIVE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "../monitor.h"
#include "stub/protocol.h"

/* What the kernel says in the software-reserved bytes of a frame's FXSAVE area. */
struct sigframe_xstate {
	uint32_t magic;
	uint32_t extended_size;
	uint64_t features;	/* XCR0 bits that the frame carries */
	uint32_t size;		/* bytes, without the magic word at the end */
	uint32_t pad[7];
};

/* Where this host puts frames, and what is in them. */
struct sigframe_place {
	uint64_t address;		/* in the stub */
	const struct sigframe *frame;	/* the same in the monitor */
	const uint8_t *xstate;		/* in the monitor */
	struct sigframe_xstate layout;
	uint32_t pkru_offset;		/* in the extended state; 0: the host has no PKU */
	uint32_t mxcsr_mask;		/* bits of MXCSR that the CPU has */
};

/**
 * sigframe_learn - take the first frame of a new stub as the model of all.
 * @shared: the stub's shared pages in the monitor.
 * @address: rsp at its handler's entry.
 * Returns false when it lies outside the pages or has no extended state.
 */
bool sigframe_learn(struct sigframe_place *place, const uint8_t *shared, uint64_t address);

/**
 * frame_load - put the guest's registers where the stub takes them from.
 * @tls: the descriptors that the stub's thread has.
 *
 * Every value is made valid here, wherever it came from: a bad value must not kill the
 * stub. But rip: one that no process can execute faults in the stub's own IRET; see
 * native.c.
 */
void frame_load(const struct sigframe_place *place, struct stub_control *control,
		const struct monitor_vcpu *vcpu, const uint64_t tls[3]);

/* For a host that refuses ptrace: change ENTER_TRACED to ENTER_IRET, with PKRU allowing
 * key 0, although the guest denies it. */
void frame_grant_key0(const struct sigframe_place *place, struct stub_control *control);

/* Bits 48 to 63 as bit 47, as a process has them: WRFSBASE, WRGSBASE and IRET raise #GP for others. */
static inline uint64_t frame_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

/* The general registers of a frame. */
void frame_store_gprs(const struct sigframe *frame, uint64_t gpr[16]);

/* The extended state @x, which a guest may have written, with PKRU. */
void frame_store_xstate(const struct sigframe_place *place, const uint8_t *x, struct monitor_vcpu *vcpu);

/* The guest's registers back from the frame and the record. */
void frame_store(const struct sigframe_place *place, const struct stub_record *record,
		 struct monitor_vcpu *vcpu);

#endif /* NATIVE_FRAME_H */
