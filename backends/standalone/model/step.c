/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Steps of a guest in the model. */
#include "step.h"

#include <stdio.h>
#include <string.h>

#include <pvm/events.h>
#include <pvm/mmu.h>

#define SYSCALL_LENGTH	2	/* 0f 05 */
#define INT80_LENGTH	2	/* cd 80 */

enum model_step model_step_access(struct model_cpu *cpu, struct pvm_vcpu *vcpu, pvm_hpa_t root,
				  uint64_t gva, enum model_kind kind, unsigned size, uint64_t *value,
				  struct pvm_guest_exit *exit)
{
	struct model_fault fault;

	switch (model_cpu_access(cpu, root.v, vcpu->pkru, gva, kind, size, value, &fault)) {
	case MODEL_OK:
		return MODEL_STEP_DONE;
	case MODEL_FAULT:
		/* A #GP is no instruction that the engine emulates. */
		if (fault.vector == PVM_VEC_GP) {
			model_step_insn(&(struct pvm_insn){ .op = PVM_INSN_UNKNOWN }, PVM_VEC_GP, exit);
			return MODEL_STEP_EXIT;
		}
		model_step_exception(fault.vector, fault.error_code, exit);
		exit->gva = pvm_gva(fault.gva);
		return MODEL_STEP_EXIT;
	case MODEL_RELOAD:
		memset(exit, 0, sizeof(*exit));
		exit->kind = PVM_EXIT_KICK;
		return MODEL_STEP_EXIT;
	case MODEL_BROKEN:
		break;
	}
	memset(exit, 0, sizeof(*exit));
	executor_fail(exit, PVM_EXIT_FAILED, "access to %#lx: %s", (unsigned long)fault.gva, fault.what);
	return MODEL_STEP_EXIT;
}

void model_step_syscall(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	memset(exit, 0, sizeof(*exit));
	exit->kind = PVM_EXIT_SYSCALL;
	vcpu->rip += SYSCALL_LENGTH;
	vcpu->gpr[PVM_RCX] = vcpu->rip;
	vcpu->gpr[PVM_R11] = vcpu->rflags;
}

void model_step_int80(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	memset(exit, 0, sizeof(*exit));
	exit->kind = PVM_EXIT_SOFTWARE;
	exit->vector = PVM_VEC_SYSCALL32;
	vcpu->rip += INT80_LENGTH;
}

void model_step_exception(uint8_t vector, uint32_t error_code, struct pvm_guest_exit *exit)
{
	memset(exit, 0, sizeof(*exit));
	exit->kind = PVM_EXIT_EXCEPTION;
	exit->vector = vector;
	exit->error_code = error_code;
}

void model_step_insn(const struct pvm_insn *insn, uint8_t vector, struct pvm_guest_exit *exit)
{
	model_step_exception(vector, 0, exit);
	exit->kind = PVM_EXIT_INSN;
	exit->insn = *insn;
}

/* The PVCS where it is single CR3's. */
static const struct pvm_sc_vcpu_struct *single_pvcs(const struct pvm_vcpu *vcpu)
{
	return vcpu->vm->config.abi == PVM_ABI_SINGLE_CR3 ? vcpu->pvcs : NULL;
}

/* Where it is dual CR3's. */
static const struct pvm_vcpu_struct *dual_pvcs(const struct pvm_vcpu *vcpu)
{
	return vcpu->vm->config.abi == PVM_ABI_DUAL_CR3 ? vcpu->pvcs : NULL;
}

struct model_place model_place(const struct pvm_vcpu *vcpu)
{
	const struct pvm_sc_vcpu_struct *pvcs = single_pvcs(vcpu);

	return (struct model_place){
		.user_mode = vcpu->user_mode,
		.locked = pvcs && (pvcs->event_vector & PVM_SC_VECTOR_LOCK),
		.rip = vcpu->rip,
		.rsp = vcpu->gpr[PVM_RSP],
	};
}

static bool frame_event(struct pvm_vcpu *vcpu, struct model_event *event)
{
	struct pvm_supervisor_frame frame;
	struct pvm_fault_result fault;
	pvm_gva_t fault_gva;

	if (pvm_mmu_read(vcpu, pvm_gva(vcpu->gpr[PVM_RSP]), &frame, sizeof(frame), PVM_ACCESS_READ,
			 &fault, &fault_gva) != PVM_OK)
		return false;
	event->vector = (uint8_t)frame.vector;
	event->error_code = frame.errcode;
	event->rip = frame.rip;
	return true;
}

static bool dual_cr3_event(struct pvm_vcpu *vcpu, uint64_t offset, struct model_event *event)
{
	event->cr2 = dual_pvcs(vcpu)->cr2;
	event->user = offset == PVM_ENTRY_USER;
	if (offset == PVM_ENTRY_SUPERVISOR_EXCEPTION)
		return frame_event(vcpu, event);
	if (offset != PVM_ENTRY_USER && offset != PVM_ENTRY_SUPERVISOR_INTERRUPT)
		return false;
	event->vector = (uint8_t)dual_pvcs(vcpu)->event_vector;
	event->rip = dual_pvcs(vcpu)->rip;
	if (pvm_vector_has_error_code(event->vector))
		event->error_code = dual_pvcs(vcpu)->event_errcode;
	return true;
}

static bool single_cr3_event(const struct pvm_vcpu *vcpu, uint64_t offset, struct model_event *event)
{
	const struct pvm_sc_vcpu_struct *pvcs = single_pvcs(vcpu);

	if (offset != PVM_SC_ENTRY_USER && offset != PVM_SC_ENTRY_SUPERVISOR)
		return false;
	event->cr2 = pvcs->cr2;
	event->user = offset == PVM_SC_ENTRY_USER;
	event->vector = (uint8_t)pvcs->event_vector;
	event->rip = pvcs->rip;
	if (pvm_vector_has_error_code(event->vector))
		event->error_code = pvcs->event_errcode;
	return true;
}

bool model_event_find(struct pvm_vcpu *vcpu, const struct model_place *before,
		      struct model_event *event)
{
	struct model_place now = model_place(vcpu);
	uint64_t offset = now.rip - vcpu->msr.event_entry;

	if (now.user_mode == before->user_mode && now.rip == before->rip && now.rsp == before->rsp &&
	    now.locked == before->locked)
		return false;
	if (vcpu->user_mode || !vcpu->pvcs)
		return false;
	memset(event, 0, sizeof(*event));
	switch (vcpu->vm->config.abi) {
	case PVM_ABI_DUAL_CR3:
		return dual_cr3_event(vcpu, offset, event);
	case PVM_ABI_SINGLE_CR3:
		return single_cr3_event(vcpu, offset, event);
	default:
		return false;	/* not known here: none is found */
	}
}
