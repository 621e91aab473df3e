/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the ABI dialects differ in, as data: where the fields of the PVCS are,
 * where the entry points are, and which of the rules hold. The code of events/
 * is one for all dialects and asks this table; it must never ask for the name
 * of a dialect.
 *
 * Also the one way to reach a PVCS field. The guest may write the PVCS at any
 * time, so every access is a single volatile one (M6).
 */
#ifndef PVM_EVENTS_DIALECT_H
#define PVM_EVENTS_DIALECT_H

#include "internal.h"

struct pvm_dialect {
	/* Byte offsets in the PVCS. */
	uint8_t event_flags, event_errcode, event_vector, cr2;
	uint8_t user_cs, user_ss, user_gsbase, eflags, pkru, rip, rsp, rcx, r11;

	/* Entry points, bytes from MSR_PVM_EVENT_ENTRY. */
	uint16_t entry_user, entry_exception, entry_interrupt;

	bool switches_cr3;	/* CR3 and MSR_PVM_SWITCH_CR3 change places with the mode */
	bool switches_rsp;	/* so do RSP, MSR_PVM_SUPERVISOR_RSP and PVCS::rsp */
	bool stack_frame;	/* vectors below 32 in supervisor mode leave a frame on the stack */
};

static const struct pvm_dialect pvm_dialect_dual_cr3 = {
	.event_flags = PVCS_EVENT_FLAGS,
	.event_errcode = PVCS_EVENT_ERRCODE,
	.event_vector = PVCS_EVENT_VECTOR,
	.cr2 = PVCS_CR2,
	.user_cs = PVCS_USER_CS,
	.user_ss = PVCS_USER_SS,
	.user_gsbase = PVCS_USER_GSBASE,
	.eflags = PVCS_EFLAGS,
	.pkru = PVCS_PKRU,
	.rip = PVCS_RIP,
	.rsp = PVCS_RSP,
	.rcx = PVCS_RCX,
	.r11 = PVCS_R11,
	.entry_user = PVM_ENTRY_USER,
	.entry_exception = PVM_ENTRY_SUPERVISOR_EXCEPTION,
	.entry_interrupt = PVM_ENTRY_SUPERVISOR_INTERRUPT,
	.switches_cr3 = true,
	.switches_rsp = true,
	.stack_frame = true,
};

/*
 * The dialect of a VM. pvm_vm_config_check() lets no other in than the one that
 * is built, so its row is known here and the compiler turns every offset into
 * an immediate: a third of an event's time. A second row is chosen here, by
 * vcpu->vm->config.abi, and nowhere else.
 */
static inline const struct pvm_dialect *pvm_dialect(const struct pvm_vcpu *vcpu)
{
	(void)vcpu;
	return &pvm_dialect_dual_cr3;
}

#define PVCS_FIELD(vcpu, type, offset) \
	(*(volatile type *)((uint8_t *)(vcpu)->pvcs + (offset)))

static inline uint64_t pvm_pvcs_get64(const struct pvm_vcpu *vcpu, uint8_t offset)
{
	return PVCS_FIELD(vcpu, uint64_t, offset);
}

static inline uint32_t pvm_pvcs_get32(const struct pvm_vcpu *vcpu, uint8_t offset)
{
	return PVCS_FIELD(vcpu, uint32_t, offset);
}

static inline uint16_t pvm_pvcs_get16(const struct pvm_vcpu *vcpu, uint8_t offset)
{
	return PVCS_FIELD(vcpu, uint16_t, offset);
}

static inline void pvm_pvcs_put64(struct pvm_vcpu *vcpu, uint8_t offset, uint64_t value)
{
	PVCS_FIELD(vcpu, uint64_t, offset) = value;
}

static inline void pvm_pvcs_put32(struct pvm_vcpu *vcpu, uint8_t offset, uint32_t value)
{
	PVCS_FIELD(vcpu, uint32_t, offset) = value;
}

static inline void pvm_pvcs_put16(struct pvm_vcpu *vcpu, uint8_t offset, uint16_t value)
{
	PVCS_FIELD(vcpu, uint16_t, offset) = value;
}

/* PVCS::event_flags, 0 without a PVCS. */
static inline uint64_t pvm_pvcs_flags(const struct pvm_vcpu *vcpu)
{
	return vcpu->pvcs ? pvm_pvcs_get64(vcpu, pvm_dialect(vcpu)->event_flags) : 0;
}

/* Change bits of PVCS::event_flags; written only if that changes anything. */
static inline void pvm_pvcs_change_flags(struct pvm_vcpu *vcpu, uint64_t clear, uint64_t set)
{
	uint64_t old = pvm_pvcs_flags(vcpu), flags = (old & ~clear) | set;

	if (vcpu->pvcs && flags != old)
		pvm_pvcs_put64(vcpu, pvm_dialect(vcpu)->event_flags, flags);
}

#endif /* PVM_EVENTS_DIALECT_H */
