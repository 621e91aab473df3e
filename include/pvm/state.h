/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A vCPU on paper: one documented structure with everything that must survive
 * a snapshot, and the two calls that make and take it.
 *
 * Owned by libpvm/vcpu/state.c. Fixed layout: 64-bit little-endian words only,
 * no padding, the version first. A field is never reused; new ones come last
 * and raise the version.
 *
 * Not in here, because it is elsewhere: guest memory (with the PVCS in it),
 * extended state (XSAVE area), interrupt controllers, the TSC: the backend's.
 */
#ifndef PVM_STATE_H
#define PVM_STATE_H

#include <pvm/vcpu.h>

#define PVM_STATE_VERSION 1
#define PVM_STATE_EVENT (1ull << 63)
#define PVM_STATE_EVENT_VECTOR_SHIFT 32

struct pvm_vcpu_state {
	uint64_t version;		/* PVM_STATE_VERSION */
	uint64_t size;			/* sizeof(struct pvm_vcpu_state), bytes */
	uint64_t abi;			/* enum pvm_abi */

	uint64_t user_mode;		/* 0 or 1 */
	uint64_t nmi_masked;		/* 0 or 1 */
	uint64_t nmi_pending;		/* 0 or 1 */
	uint64_t halted;		/* 0 or 1 */
	/* An event that waits for the host's memory: PVM_STATE_EVENT, vector << 32, error code. Or 0. */
	uint64_t event;

	uint64_t gpr[PVM_GPR_COUNT];	/* encoding order */
	uint64_t rip;
	uint64_t rflags;		/* underlying */
	uint64_t seg[PVM_SEG_COUNT];	/* selectors, encoding order */
	uint64_t fs_base, gs_base;
	uint64_t tls[3];

	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
	uint64_t dr[4], dr6, dr7;
	uint64_t pkru;
	uint64_t gdtr_base, gdtr_limit, idtr_base, idtr_limit;
	uint64_t ldtr, tr;

	uint64_t star, lstar, cstar, syscall_mask;
	uint64_t kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pkrs, pat, tsc_aux;
	uint64_t linear_address_range;
	uint64_t vcpu_struct;
	uint64_t supervisor_rsp, supervisor_redzone;
	uint64_t event_entry, retu_rip, rets_rip;
	uint64_t switch_cr3;
};

/**
 * pvm_vcpu_save - write the vCPU's state down.
 * @state: overwritten whole. Never fails; the vCPU must not be running, nor owe
 * the completion of an action (PVM_ACT_IO and others), nor the call again that
 * PVM_ACT_RETRY asks for where the exit was left unhandled: what is half done is not in the state.
 */
PVM_API void pvm_vcpu_save(const struct pvm_vcpu *vcpu, struct pvm_vcpu_state *state);

/**
 * pvm_vcpu_restore - take a state over.
 * @state: untrusted: every field is checked by the rule of its register, as if
 * the guest wrote it.
 * @field: on failure, the name of the field at fault (a static string).
 *
 * Returns PVM_OK, or PVM_EINVAL, or what else pvm_host_ops::pin() says of vcpu_struct,
 * with the vCPU as it was before.
 * spec: MSR_PVM_LINEAR_ADDRESS_RANGE (sub-range rule on migration)
 */
PVM_API int pvm_vcpu_restore(struct pvm_vcpu *vcpu, const struct pvm_vcpu_state *state,
			     const char **field);

#endif /* PVM_STATE_H */
