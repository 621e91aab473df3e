/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * SYSCALL: what it means is the guest ABI's to say. What is here is common: the end of a
 * hypercall, and hypercalls that are the host's.
 *
 * spec: Hypercall event in supervisor mode
 */
#include "abi/abi.h"
#include "hypercall/engine.h"

enum pvm_syscall_class pvm_syscall_classify(const struct pvm_vcpu *vcpu)
{
	const struct pvm_abi_ops *abi = vcpu->vm->abi;

	if (abi->classify)
		return abi->classify(vcpu);
	if (vcpu->user_mode)
		return PVM_SYSCALL_USER;
	return vcpu->gpr[PVM_RAX] - abi->hypercall_base < abi->hypercall_numbers ?
	       PVM_SYSCALL_PVM_HYPERCALL : PVM_SYSCALL_OTHER_HYPERCALL;
}

enum pvm_action pvm_handle_syscall(struct pvm_vcpu *vcpu)
{
	return vcpu->vm->abi->syscall(vcpu);
}

enum pvm_action pvm_hypercall_other(struct pvm_vcpu *vcpu)
{
	vcpu->request.hypercall.nr = vcpu->gpr[PVM_RAX];
	vcpu->request.hypercall.arg[0] = vcpu->gpr[PVM_RBX];
	vcpu->request.hypercall.arg[1] = vcpu->gpr[PVM_RCX];
	vcpu->request.hypercall.arg[2] = vcpu->gpr[PVM_RDX];
	vcpu->request.hypercall.arg[3] = vcpu->gpr[PVM_RSI];
	return PVM_ACT_HYPERCALL;
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
