/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3's events: every event leaves its state in the PVCS and RSP alone. The high
 * byte of event_vector is a lock on the PVCS, for the supervisor: while it is held, an
 * NMI or #MC waits in it as a bit, and any other event is one too many.
 *
 * seed: single CR3; docs/decisions/110
 */
#include "abi/single_cr3/single_cr3.h"
#include "abi/pvm/flags.h"
#include "abi/pvm/mode.h"
#include "abi/pvm/syscall.h"

#define WAITING	(PVM_SC_VECTOR_NMI | PVM_SC_VECTOR_MCE)

static const struct pvm_layout single_cr3 = {
	.event_flags = PVM_SC_PVCS_EVENT_FLAGS,
	.cr2 = PVM_SC_PVCS_CR2,
	.user_cs = PVM_SC_PVCS_USER_CS,
	.user_ss = PVM_SC_PVCS_USER_SS,
	.user_gsbase = PVM_SC_PVCS_USER_GSBASE,
	.eflags = PVM_SC_PVCS_EFLAGS,
	.pkru = PVM_SC_PVCS_PKRU,
	.rip = PVM_SC_PVCS_RIP,
	.rcx = PVM_SC_PVCS_RCX,
	.r11 = PVM_SC_PVCS_R11,
	.entry_user = PVM_SC_ENTRY_USER,
};

PVM_DEFINE_FLAGS(pvm_single_cr3, &single_cr3)

enum pvm_syscall_class pvm_single_cr3_classify(const struct pvm_vcpu *vcpu)
{
	return pvm_dialect_classify(vcpu);
}

bool pvm_single_cr3_at_event_entry(const struct pvm_vcpu *vcpu)
{
	uint64_t offset = vcpu->rip - vcpu->msr.event_entry;

	return offset == PVM_SC_ENTRY_USER || offset == PVM_SC_ENTRY_SUPERVISOR;
}

static uint16_t event_vector(const struct pvm_vcpu *vcpu)
{
	return pvm_pvcs_get16(vcpu, PVM_SC_PVCS_EVENT_VECTOR);
}

static void set_event_vector(struct pvm_vcpu *vcpu, unsigned value)
{
	pvm_pvcs_put16(vcpu, PVM_SC_PVCS_EVENT_VECTOR, (uint16_t)value);
}

/* ------------------------------------------------------------------------
 * Delivery.
 */

/* What an event is, and the lock with it. */
static void put_event(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	set_event_vector(vcpu, vector | PVM_SC_VECTOR_STD);
	if (pvm_has_error_code(vector))
		pvm_pvcs_put16(vcpu, PVM_SC_PVCS_EVENT_ERRCODE, (uint16_t)error_code);
	if (vector == PVM_VEC_PF)
		pvm_pvcs_put64(vcpu, single_cr3.cr2, vcpu->cr2);
}

static enum pvm_action deliver_from_user(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	uint64_t entry = vcpu->msr.event_entry + PVM_SC_ENTRY_USER;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!pvm_entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);

	put_event(vcpu, vector, error_code);
	pvm_mode_enter_supervisor(vcpu, &single_cr3, entry);
	return pvm_mode_delivered(vcpu, vector);
}

/* The PVCS is in use: only what cannot be put off by the guest may come, and waits. */
static enum pvm_action find_lock(struct pvm_vcpu *vcpu, uint8_t vector, uint16_t lock)
{
	if (vector != PVM_VEC_NMI && vector != PVM_VEC_MC)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_EVENT_LOCKED, vector, vcpu->rip);
	set_event_vector(vcpu, lock | (vector == PVM_VEC_NMI ? PVM_SC_VECTOR_NMI : PVM_SC_VECTOR_MCE));
	return vcpu->halted ? PVM_ACT_HALT : PVM_ACT_RESUME;
}

static enum pvm_action deliver_from_supervisor(struct pvm_vcpu *vcpu, uint8_t vector,
					       uint32_t error_code)
{
	uint64_t entry = vcpu->msr.event_entry + PVM_SC_ENTRY_SUPERVISOR;
	uint16_t lock;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	lock = event_vector(vcpu);	/* M6: the one read */
	if (lock & PVM_SC_VECTOR_LOCK)
		return find_lock(vcpu, vector, lock);
	if (!pvm_entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);

	put_event(vcpu, vector, error_code);
	pvm_pvcs_put32(vcpu, single_cr3.eflags, (uint32_t)pvm_vcpu_rflags(vcpu));
	pvm_pvcs_put64(vcpu, single_cr3.rip, vcpu->rip);
	pvm_pvcs_put64(vcpu, single_cr3.rcx, vcpu->gpr[PVM_RCX]);
	pvm_pvcs_put64(vcpu, single_cr3.r11, vcpu->gpr[PVM_R11]);
	pvm_pvcs_change_flags(vcpu, &single_cr3, PVM_EVENT_FLAGS_IF, 0);
	pvm_mode_load_entry(vcpu, entry);
	return pvm_mode_delivered(vcpu, vector);
}

enum pvm_action pvm_single_cr3_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	if (vcpu->user_mode)
		return deliver_from_user(vcpu, vector, error_code);
	return deliver_from_supervisor(vcpu, vector, error_code);
}

/* ------------------------------------------------------------------------
 * SYSCALL.
 */

enum pvm_action pvm_single_cr3_user_syscall(struct pvm_vcpu *vcpu)
{
	return pvm_dialect_user_syscall(vcpu, &single_cr3);
}

/* A return is done that found @vector in the PVCS: what waited comes now, #MC first. The
 * NMI then finds the lock, and waits for the next return. */
static enum pvm_action after_return(struct pvm_vcpu *vcpu, uint16_t vector)
{
	enum pvm_action action;

	if (vector & PVM_SC_VECTOR_NMI)
		vcpu->nmi_pending = true;
	if (vector & PVM_SC_VECTOR_MCE) {
		action = pvm_event_deliver(vcpu, PVM_VEC_MC, 0);
		if (action != PVM_ACT_RESUME)
			return action;
	}
	return pvm_dialect_unmask_nmi(vcpu);
}

enum pvm_action pvm_single_cr3_return_user(struct pvm_vcpu *vcpu)
{
	enum pvm_action action;
	uint16_t vector;

	if (!pvm_dialect_return_user(vcpu, &single_cr3, &action))
		return action;
	vector = event_vector(vcpu);	/* M6: the one read */
	if (pvm_likely(!(vector & WAITING)))
		return pvm_dialect_unmask_nmi(vcpu);
	return after_return(vcpu, vector);
}

enum pvm_action pvm_single_cr3_return_supervisor(struct pvm_vcpu *vcpu)
{
	uint64_t rip;
	uint32_t rflags;
	uint16_t vector;

	if (!vcpu->pvcs) {
		pvm_dialect_undo_syscall(vcpu);
		return pvm_event_gp(vcpu, 0);
	}
	rip = pvm_pvcs_get64(vcpu, single_cr3.rip);	/* M6: the one read */
	if (!pvm_rip_runnable(vcpu, rip)) {	/* S1 */
		pvm_dialect_undo_syscall(vcpu);
		return pvm_event_gp(vcpu, 0);
	}

	rflags = pvm_pvcs_get32(vcpu, single_cr3.eflags);
	vcpu->rip = rip;
	vcpu->rflags = pvm_rflags_sane(rflags);	/* S2 */
	vcpu->gpr[PVM_RCX] = pvm_pvcs_get64(vcpu, single_cr3.rcx);
	vcpu->gpr[PVM_R11] = pvm_pvcs_get64(vcpu, single_cr3.r11);
	vector = event_vector(vcpu);
	set_event_vector(vcpu, vector & ~PVM_SC_VECTOR_LOCK);
	pvm_pvcs_change_flags(vcpu, &single_cr3, PVM_EVENT_FLAGS_IP | PVM_EVENT_FLAGS_IF,
			      rflags & PVM_EVENT_FLAGS_IF);
	pvm_trace_vcpu(vcpu, PVM_TRACE_RETURN_SUPERVISOR, rip, 0, 0, 0);
	pvm_returned(vcpu);
	return after_return(vcpu, vector);
}

enum pvm_action pvm_single_cr3_syscall(struct pvm_vcpu *vcpu)
{
	switch (pvm_dialect_classify(vcpu)) {
	case PVM_SYSCALL_USER:
		return pvm_single_cr3_user_syscall(vcpu);
	case PVM_SYSCALL_RETURN_USER:
		return pvm_single_cr3_return_user(vcpu);
	case PVM_SYSCALL_RETURN_SUPERVISOR:
		return pvm_single_cr3_return_supervisor(vcpu);
	default:
		return pvm_dialect_hypercall(vcpu, &pvm_abi_single_cr3);
	}
}
