/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Delivery: an event that happens now enters the guest's supervisor, or ends
 * the VM. Never decides whether an event may happen.
 *
 * spec: Vector events in user mode, Vector events in supervisor mode, User
 * SYSCALL event, No DoubleFault
 */
#include <pvm/events.h>
#include <pvm/mmu.h>

#include "events/mode.h"

#define ERROR_CODE_VECTORS \
	(1u << PVM_VEC_DF | 1u << PVM_VEC_TS | 1u << PVM_VEC_NP | 1u << PVM_VEC_SS | \
	 1u << PVM_VEC_GP | 1u << PVM_VEC_PF | 1u << PVM_VEC_AC | 1u << PVM_VEC_CP)

#define STACK_ALIGNMENT	16	/* of RSP before the frame is pushed, bytes */
#define NO_VECTOR	0xff	/* request.shutdown.vector: not a vector event */

bool pvm_vector_has_error_code(uint8_t vector)
{
	return vector < PVM_VEC_EXCEPTIONS && (ERROR_CODE_VECTORS >> vector & 1);
}

enum pvm_action pvm_event_shutdown(struct pvm_vcpu *vcpu, enum pvm_shutdown reason,
				   uint8_t vector, uint64_t address)
{
	vcpu->request.shutdown.reason = reason;
	vcpu->request.shutdown.vector = vector;
	vcpu->request.shutdown.address = address;
	pvm_trace_vcpu(vcpu, PVM_TRACE_SHUTDOWN, reason, 0, 0, 0);
	return PVM_ACT_SHUTDOWN;
}

/* M7: MSRs hold canonical addresses, but an offset may leave the legal ranges
 * and LINEAR_ADDRESS_RANGE or LA57 may have changed since. */
static bool entry_is_legal(const struct pvm_vcpu *vcpu, uint64_t entry)
{
	/* The lower half of 48 bits is legal for every guest. */
	return pvm_likely(entry < 1ull << 47) || pvm_legal_address(vcpu, pvm_gva(entry));
}

static enum pvm_action deliver_from_user(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	const struct pvm_dialect *d = pvm_dialect(vcpu);
	uint64_t entry = vcpu->msr.event_entry + d->entry_user;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);

	pvm_pvcs_put32(vcpu, d->event_vector, vector);
	if (pvm_vector_has_error_code(vector))
		pvm_pvcs_put32(vcpu, d->event_errcode, error_code);
	if (vector == PVM_VEC_PF)
		pvm_pvcs_put64(vcpu, d->cr2, vcpu->cr2);
	pvm_mode_enter_supervisor(vcpu, entry);
	return PVM_ACT_RESUME;
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
	const struct pvm_dialect *d = pvm_dialect(vcpu);
	uint64_t entry = vcpu->msr.event_entry + d->entry_exception;
	uint64_t rsp = event_stack(vcpu) - sizeof(struct pvm_supervisor_frame);
	const struct pvm_supervisor_frame frame = {
		.errcode = pvm_vector_has_error_code(vector) ? error_code : 0,
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

	if (vector == PVM_VEC_PF && !vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);
	if (pvm_mmu_write(vcpu, pvm_gva(rsp), &frame, sizeof(frame), &fault, &fault_gva) != PVM_OK)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_DOUBLE_FAULT, vector, fault_gva.v);

	if (vector == PVM_VEC_PF)
		pvm_pvcs_put64(vcpu, d->cr2, vcpu->cr2);
	pvm_pvcs_change_flags(vcpu, PVM_EVENT_FLAGS_IF, 0);
	vcpu->gpr[PVM_RSP] = rsp;
	pvm_mode_load_entry(vcpu, entry);
	return PVM_ACT_RESUME;
}

/* Vectors from 32 in supervisor mode: the state goes to the PVCS. */
static enum pvm_action deliver_to_pvcs(struct pvm_vcpu *vcpu, uint8_t vector)
{
	const struct pvm_dialect *d = pvm_dialect(vcpu);
	uint64_t entry = vcpu->msr.event_entry + d->entry_interrupt;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, entry);

	pvm_pvcs_put64(vcpu, d->r11, vcpu->gpr[PVM_R11]);
	pvm_pvcs_put64(vcpu, d->rcx, vcpu->gpr[PVM_RCX]);
	pvm_pvcs_put32(vcpu, d->eflags, (uint32_t)pvm_vcpu_rflags(vcpu));
	pvm_pvcs_put64(vcpu, d->rip, vcpu->rip);
	pvm_pvcs_put32(vcpu, d->event_vector, vector);
	pvm_pvcs_change_flags(vcpu, PVM_EVENT_FLAGS_IF, 0);
	if (d->switches_rsp) {
		pvm_pvcs_put64(vcpu, d->rsp, vcpu->gpr[PVM_RSP]);
		vcpu->gpr[PVM_RSP] = event_stack(vcpu);
	}
	pvm_mode_load_entry(vcpu, entry);
	return PVM_ACT_RESUME;
}

enum pvm_action pvm_event_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	enum pvm_action action;

	if (vector == PVM_VEC_DF)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_DOUBLE_FAULT, vector, vcpu->rip);

	pvm_trace_vcpu(vcpu, PVM_TRACE_EVENT, vector, error_code, vcpu->user_mode, vcpu->rip);
	if (vcpu->user_mode)
		action = deliver_from_user(vcpu, vector, error_code);
	else if (vector < PVM_VEC_EXCEPTIONS && pvm_dialect(vcpu)->stack_frame)
		action = deliver_to_stack(vcpu, vector, error_code);
	else
		action = deliver_to_pvcs(vcpu, vector);
	if (action != PVM_ACT_RESUME)
		return action;

	vcpu->halted = false;
	if (vector == PVM_VEC_NMI)
		vcpu->nmi_masked = true;
	return PVM_ACT_RESUME;
}

enum pvm_action pvm_event_gp(struct pvm_vcpu *vcpu, uint32_t error_code)
{
	return pvm_event_deliver(vcpu, PVM_VEC_GP, error_code);
}

enum pvm_action pvm_event_ud(struct pvm_vcpu *vcpu)
{
	return pvm_event_deliver(vcpu, PVM_VEC_UD, 0);
}

enum pvm_action pvm_event_pf(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code)
{
	vcpu->cr2 = gva.v;
	return pvm_event_deliver(vcpu, PVM_VEC_PF, error_code);
}

enum pvm_action pvm_event_user_syscall(struct pvm_vcpu *vcpu)
{
	uint64_t entry = vcpu->msr.lstar;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, NO_VECTOR, vcpu->rip);
	if (!entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, NO_VECTOR, entry);

	pvm_trace_vcpu(vcpu, PVM_TRACE_SYSCALL, vcpu->rip, vcpu->gpr[PVM_RAX], 0, 0);
	pvm_mode_enter_supervisor(vcpu, entry);
	return PVM_ACT_RESUME;
}
