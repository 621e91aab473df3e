/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Dual CR3's events: vectors below 32 in supervisor mode leave a frame on the guest's
 * stack, all others their state in the PVCS. EVENT_RETURN_SUPERVISOR takes the frame.
 *
 * spec: Vector events in user mode, Vector events in supervisor mode, Synthetic
 * Instruction: EVENT_RETURN_SUPERVISOR
 */
#include "abi/dual_cr3/dual_cr3.h"
#include "abi/pvm/flags.h"
#include "abi/pvm/mode.h"
#include "abi/pvm/syscall.h"
#include "events/deliver.h"

#define STACK_ALIGNMENT	16	/* of RSP before the frame is pushed, bytes */

static const struct pvm_layout dual_cr3 = {
	.event_flags = PVCS_EVENT_FLAGS,
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
	.switches_cr3 = true,
	.switches_rsp = true,
};

PVM_DEFINE_FLAGS(pvm_dual_cr3, &dual_cr3)

enum pvm_syscall_class pvm_dual_cr3_classify(const struct pvm_vcpu *vcpu)
{
	return pvm_dialect_classify(vcpu);
}

bool pvm_dual_cr3_at_event_entry(const struct pvm_vcpu *vcpu)
{
	uint64_t offset = vcpu->rip - vcpu->msr.event_entry;

	return offset == PVM_ENTRY_USER || offset == PVM_ENTRY_SUPERVISOR_EXCEPTION ||
	       offset == PVM_ENTRY_SUPERVISOR_INTERRUPT;
}

/* ------------------------------------------------------------------------
 * Delivery.
 */

static enum pvm_action deliver_from_user(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	uint64_t entry = vcpu->msr.event_entry + dual_cr3.entry_user;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!pvm_entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);

	pvm_pvcs_put32(vcpu, PVCS_EVENT_VECTOR, vector);
	if (pvm_has_error_code(vector))
		pvm_pvcs_put32(vcpu, PVCS_EVENT_ERRCODE, error_code);
	if (vector == PVM_VEC_PF)
		pvm_pvcs_put64(vcpu, dual_cr3.cr2, vcpu->cr2);
	pvm_mode_enter_supervisor(vcpu, &dual_cr3, entry);
	return pvm_mode_delivered(vcpu, vector);
}

/* RSP that an event in supervisor mode starts from. */
static uint64_t event_stack(const struct pvm_vcpu *vcpu)
{
	return (vcpu->gpr[PVM_RSP] - vcpu->msr.supervisor_redzone) & ~(uint64_t)(STACK_ALIGNMENT - 1);
}

/* Vectors below 32 in supervisor mode: the state goes to the stack. Only #PF
 * needs the PVCS, for its CR2. */
static enum pvm_action deliver_to_stack(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	uint64_t entry = vcpu->msr.event_entry + PVM_ENTRY_SUPERVISOR_EXCEPTION;
	uint64_t rsp = event_stack(vcpu) - sizeof(struct pvm_supervisor_frame);
	const struct pvm_supervisor_frame frame = {
		.errcode = pvm_has_error_code(vector) ? error_code : 0,
		.vector = vector,
		.rip = vcpu->rip,
		.cs = vcpu->seg[PVM_CS],
		.rflags = pvm_vcpu_rflags(vcpu),
		.rsp = vcpu->gpr[PVM_RSP],
		.ss = vcpu->seg[PVM_SS],
		.rcx = vcpu->gpr[PVM_RCX],
		.r11 = vcpu->gpr[PVM_R11],
	};
	struct pvm_fault_result fault;
	pvm_gva_t fault_gva;
	int rc;

	if (vector == PVM_VEC_PF && !vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!pvm_entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);
	rc = pvm_mmu_write(vcpu, pvm_gva(rsp), &frame, sizeof(frame), &fault, &fault_gva);
	if (pvm_unlikely(rc == PVM_EAGAIN))
		return pvm_event_keep(vcpu, vector, error_code);
	if (rc != PVM_OK)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_DOUBLE_FAULT, vector, fault_gva.v);

	if (vector == PVM_VEC_PF)
		pvm_pvcs_put64(vcpu, dual_cr3.cr2, vcpu->cr2);
	pvm_pvcs_change_flags(vcpu, &dual_cr3, PVM_EVENT_FLAGS_IF, 0);
	vcpu->gpr[PVM_RSP] = rsp;
	pvm_mode_load_entry(vcpu, entry);
	return pvm_mode_delivered(vcpu, vector);
}

/* Vectors from 32 in supervisor mode: the state goes to the PVCS. */
static enum pvm_action deliver_to_pvcs(struct pvm_vcpu *vcpu, uint8_t vector)
{
	uint64_t entry = vcpu->msr.event_entry + PVM_ENTRY_SUPERVISOR_INTERRUPT;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!pvm_entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);

	pvm_pvcs_put64(vcpu, dual_cr3.r11, vcpu->gpr[PVM_R11]);
	pvm_pvcs_put64(vcpu, dual_cr3.rcx, vcpu->gpr[PVM_RCX]);
	pvm_pvcs_put32(vcpu, dual_cr3.eflags, (uint32_t)pvm_vcpu_rflags(vcpu));
	pvm_pvcs_put64(vcpu, dual_cr3.rip, vcpu->rip);
	pvm_pvcs_put32(vcpu, PVCS_EVENT_VECTOR, vector);
	pvm_pvcs_change_flags(vcpu, &dual_cr3, PVM_EVENT_FLAGS_IF, 0);
	pvm_pvcs_put64(vcpu, dual_cr3.rsp, vcpu->gpr[PVM_RSP]);
	vcpu->gpr[PVM_RSP] = event_stack(vcpu);
	pvm_mode_load_entry(vcpu, entry);
	return pvm_mode_delivered(vcpu, vector);
}

enum pvm_action pvm_dual_cr3_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	if (vcpu->user_mode)
		return deliver_from_user(vcpu, vector, error_code);
	if (vector < PVM_VEC_EXCEPTIONS)
		return deliver_to_stack(vcpu, vector, error_code);
	return deliver_to_pvcs(vcpu, vector);
}

/* ------------------------------------------------------------------------
 * SYSCALL.
 */

enum pvm_action pvm_dual_cr3_user_syscall(struct pvm_vcpu *vcpu)
{
	return pvm_dialect_user_syscall(vcpu, &dual_cr3);
}

enum pvm_action pvm_dual_cr3_return_user(struct pvm_vcpu *vcpu)
{
	enum pvm_action action;

	if (!pvm_dialect_return_user(vcpu, &dual_cr3, &action))
		return action;
	return pvm_dialect_unmask_nmi(vcpu);
}

void pvm_dual_cr3_switched(struct pvm_vcpu *vcpu)
{
	pvm_mode_switch_cr3(vcpu);
}

/* The frame cannot be read: the fault is the SYSCALL instruction's, like
 * IRETQ's. Where even that cannot be delivered the stack is what to name. */
static enum pvm_action unreadable_frame(struct pvm_vcpu *vcpu, const struct pvm_fault_result *fault,
					pvm_gva_t gva)
{
	enum pvm_action action;

	if (fault->kind == PVM_FAULT_WOULD_BLOCK)
		return PVM_ACT_RETRY;
	pvm_dialect_undo_syscall(vcpu);
	if (fault->kind != PVM_FAULT_INJECT)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_STACK, PVM_VEC_PF, gva.v);
	if (fault->vector == PVM_VEC_PF)
		action = pvm_event_pf(vcpu, gva, fault->error_code);
	else
		action = pvm_event_deliver(vcpu, fault->vector, fault->error_code);
	if (action == PVM_ACT_SHUTDOWN && vcpu->request.shutdown.reason == PVM_SHUTDOWN_DOUBLE_FAULT)
		vcpu->request.shutdown.reason = PVM_SHUTDOWN_BAD_STACK;
	return action;
}

enum pvm_action pvm_dual_cr3_return_supervisor(struct pvm_vcpu *vcpu)
{
	struct pvm_supervisor_frame frame;
	struct pvm_fault_result fault;
	pvm_gva_t gva;

	if (pvm_mmu_read(vcpu, pvm_gva(vcpu->gpr[PVM_RSP]), &frame, sizeof(frame), PVM_ACCESS_READ,
			 &fault, &gva) != PVM_OK)	/* M6: the one read */
		return unreadable_frame(vcpu, &fault, gva);
	if (!pvm_rip_runnable(vcpu, frame.rip)) {	/* S1 */
		pvm_dialect_undo_syscall(vcpu);
		return pvm_event_gp(vcpu, 0);
	}

	pvm_pvcs_change_flags(vcpu, &dual_cr3, PVM_EVENT_FLAGS_IP | PVM_EVENT_FLAGS_IF,
			      frame.rflags & PVM_EVENT_FLAGS_IF);
	vcpu->rip = frame.rip;
	vcpu->rflags = pvm_rflags_sane(frame.rflags);	/* S2 */
	vcpu->gpr[PVM_RSP] = frame.rsp;
	vcpu->gpr[PVM_RCX] = frame.rcx;
	vcpu->gpr[PVM_R11] = frame.r11;
	pvm_trace_vcpu(vcpu, PVM_TRACE_RETURN_SUPERVISOR, frame.rip, 0, 0, 0);
	pvm_returned(vcpu);
	return pvm_dialect_unmask_nmi(vcpu);
}

enum pvm_action pvm_dual_cr3_syscall(struct pvm_vcpu *vcpu)
{
	switch (pvm_dialect_classify(vcpu)) {
	case PVM_SYSCALL_USER:
		return pvm_dual_cr3_user_syscall(vcpu);
	case PVM_SYSCALL_RETURN_USER:
		return pvm_dual_cr3_return_user(vcpu);
	case PVM_SYSCALL_RETURN_SUPERVISOR:
		return pvm_dual_cr3_return_supervisor(vcpu);
	default:
		return pvm_dialect_hypercall(vcpu, &pvm_abi_dual_cr3);
	}
}
