/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the dialects of PVM have in common, and what they differ in as data. The headers
 * of this folder are one piece of code; each dialect includes them in its events.c with
 * a constant layout, so that every offset is an immediate there: a third of an event's
 * time.
 *
 * This header has the layout, and the one way to reach a field of the PVCS. The guest may
 * write the PVCS at any time, so every access is a single volatile one (M6).
 */
#ifndef PVM_ABI_PVM_LAYOUT_H
#define PVM_ABI_PVM_LAYOUT_H

#include "abi/abi.h"
#include "internal.h"

/* Headers of this folder: inlined into a dialect's functions, whatever the compiler thinks
 * of their size, for the constants of the layout to arrive there. */
#define PVM_DIALECT static inline __attribute__((always_inline))

struct pvm_layout {
	/* Byte offsets in the PVCS. event_errcode and event_vector have the dialect's width. */
	uint8_t event_flags, cr2;
	uint8_t user_cs, user_ss, user_gsbase, eflags, pkru, rip, rcx, r11;
	uint8_t rsp;			/* only with switches_rsp */
	uint16_t entry_user;		/* from MSR_PVM_EVENT_ENTRY, bytes */

	bool switches_cr3;		/* CR3 and MSR_PVM_SWITCH_CR3 change places with the mode */
	bool switches_rsp;		/* so do RSP, MSR_PVM_SUPERVISOR_RSP and PVCS::rsp */
};

#define PVM_PVCS_FIELD(vcpu, type, offset) \
	(*(volatile type *)((uint8_t *)(vcpu)->pvcs + (offset)))

PVM_DIALECT uint64_t pvm_pvcs_get64(const struct pvm_vcpu *vcpu, uint8_t offset)
{
	return PVM_PVCS_FIELD(vcpu, uint64_t, offset);
}

PVM_DIALECT uint32_t pvm_pvcs_get32(const struct pvm_vcpu *vcpu, uint8_t offset)
{
	return PVM_PVCS_FIELD(vcpu, uint32_t, offset);
}

PVM_DIALECT uint16_t pvm_pvcs_get16(const struct pvm_vcpu *vcpu, uint8_t offset)
{
	return PVM_PVCS_FIELD(vcpu, uint16_t, offset);
}

PVM_DIALECT void pvm_pvcs_put64(struct pvm_vcpu *vcpu, uint8_t offset, uint64_t value)
{
	PVM_PVCS_FIELD(vcpu, uint64_t, offset) = value;
}

PVM_DIALECT void pvm_pvcs_put32(struct pvm_vcpu *vcpu, uint8_t offset, uint32_t value)
{
	PVM_PVCS_FIELD(vcpu, uint32_t, offset) = value;
}

PVM_DIALECT void pvm_pvcs_put16(struct pvm_vcpu *vcpu, uint8_t offset, uint16_t value)
{
	PVM_PVCS_FIELD(vcpu, uint16_t, offset) = value;
}

/* PVCS::event_flags, 0 without a PVCS. spec: PVCS::event_flags */
PVM_DIALECT uint64_t pvm_pvcs_flags(const struct pvm_vcpu *vcpu, const struct pvm_layout *l)
{
	return vcpu->pvcs ? pvm_pvcs_get64(vcpu, l->event_flags) : 0;
}

/* Change bits of PVCS::event_flags; written only if that changes anything. */
PVM_DIALECT void pvm_pvcs_change_flags(struct pvm_vcpu *vcpu, const struct pvm_layout *l,
				       uint64_t clear, uint64_t set)
{
	uint64_t old = pvm_pvcs_flags(vcpu, l), flags = (old & ~clear) | set;

	if (vcpu->pvcs && flags != old)
		pvm_pvcs_put64(vcpu, l->event_flags, flags);
}

#endif /* PVM_ABI_PVM_LAYOUT_H */
