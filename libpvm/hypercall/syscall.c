/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * SYSCALL: what the instruction means here, and the register rule of
 * hypercalls. Implements no hypercall itself.
 *
 * spec: User SYSCALL event, PVM Synthetic Instructions, Hypercall event in
 * supervisor mode
 */
#include "hypercall/engine.h"

enum pvm_syscall_class pvm_syscall_classify(const struct pvm_vcpu *vcpu)
{
	uint64_t start = vcpu->rip - PVM_SYSCALL_LENGTH;

	if (vcpu->user_mode)
		return PVM_SYSCALL_USER;
	if (start == vcpu->msr.retu_rip && start)
		return PVM_SYSCALL_RETURN_USER;
	if (start == vcpu->msr.rets_rip && start)
		return PVM_SYSCALL_RETURN_SUPERVISOR;
	if (vcpu->gpr[PVM_RAX] - PVM_HC_BASE < PVM_HC_COUNT)
		return PVM_SYSCALL_PVM_HYPERCALL;
	return PVM_SYSCALL_OTHER_HYPERCALL;
}

static enum pvm_action other_hypercall(struct pvm_vcpu *vcpu)
{
	vcpu->request.hypercall.nr = vcpu->gpr[PVM_RAX];
	vcpu->request.hypercall.arg[0] = vcpu->gpr[PVM_RBX];
	vcpu->request.hypercall.arg[1] = vcpu->gpr[PVM_RCX];
	vcpu->request.hypercall.arg[2] = vcpu->gpr[PVM_RDX];
	vcpu->request.hypercall.arg[3] = vcpu->gpr[PVM_RSI];
	return PVM_ACT_HYPERCALL;
}

enum pvm_action pvm_handle_syscall(struct pvm_vcpu *vcpu)
{
	enum pvm_syscall_class class = pvm_syscall_classify(vcpu);

	switch (class) {
	case PVM_SYSCALL_USER:
		return pvm_event_user_syscall(vcpu);
	case PVM_SYSCALL_RETURN_USER:
		return pvm_event_return_user(vcpu);
	case PVM_SYSCALL_RETURN_SUPERVISOR:
		return pvm_event_return_supervisor(vcpu);
	default:
		break;
	}
	vcpu->gpr[PVM_RCX] = vcpu->gpr[PVM_R10];
	pvm_trace_vcpu(vcpu, PVM_TRACE_HYPERCALL, vcpu->gpr[PVM_RAX], vcpu->gpr[PVM_RBX],
		       vcpu->gpr[PVM_RCX], vcpu->gpr[PVM_RDX]);
	if (class == PVM_SYSCALL_PVM_HYPERCALL)
		return pvm_hypercall(vcpu);
	return other_hypercall(vcpu);
}

enum pvm_action pvm_hypercall_done(struct pvm_vcpu *vcpu, uint64_t result)
{
	pvm_trace_vcpu(vcpu, PVM_TRACE_HYPERCALL_RESULT, vcpu->gpr[PVM_RAX], result, 0, 0);
	vcpu->gpr[PVM_RAX] = result;
	vcpu->gpr[PVM_R10] = vcpu->gpr[PVM_RCX];
	vcpu->gpr[PVM_RCX] = vcpu->rip;		/* as SYSCALL left it: SYSRET can return */
	return pvm_event_resume(vcpu);
}

enum pvm_action pvm_complete_hypercall(struct pvm_vcpu *vcpu, uint64_t result)
{
	return pvm_hypercall_done(vcpu, result);
}
