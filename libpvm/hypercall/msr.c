/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * RDMSR and WRMSR, as instructions and as hypercalls. The MSRs themselves are
 * vcpu/'s; one that is not the engine's goes to the backend: at once by
 * pvm_host_ops::wrmsr, or it comes back through pvm_complete_rdmsr() and pvm_complete_wrmsr().
 *
 * spec: PVM_HC_RDMSR, PVM_HC_WRMSR
 */
#include "hypercall/handlers.h"

#define HC_EINVAL ((uint64_t)-PVM_HC_EINVAL)

static enum pvm_action finish_rdmsr(struct pvm_vcpu *vcpu, uint8_t length, uint64_t value)
{
	vcpu->gpr[PVM_RAX] = (uint32_t)value;
	vcpu->gpr[PVM_RDX] = value >> 32;
	return pvm_insn_done(vcpu, length);
}

enum pvm_action pvm_insn_rdmsr(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	uint32_t index = (uint32_t)vcpu->gpr[PVM_RCX];
	uint64_t value;
	int err = pvm_msr_read(vcpu, index, &value);

	if (err == PVM_ENOENT) {
		vcpu->request.msr.index = index;
		vcpu->request.msr.by_hypercall = false;
		vcpu->request.msr.insn_length = insn->length;
		return PVM_ACT_RDMSR;
	}
	if (err != PVM_OK)
		return pvm_event_gp(vcpu, 0);
	pvm_trace_vcpu(vcpu, PVM_TRACE_MSR, index, value, 0, 0);
	return finish_rdmsr(vcpu, insn->length, value);
}

/* As pvm_msr_write(); PVM_ENOENT: it is the backend's, and not to be had at once. */
static int write_msr(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	const struct pvm_vm *vm = vcpu->vm;
	int err = pvm_msr_write(vcpu, index, value);

	if (err == PVM_ENOENT && vm->ops->wrmsr && vm->ops->wrmsr(vm->host, vcpu, index, value))
		err = PVM_OK;
	if (err == PVM_OK)
		pvm_trace_vcpu(vcpu, PVM_TRACE_MSR, index, value, 1, 0);
	return err;
}

/* The host could not pin a page. M11: nothing is changed, and the guest comes to the same again. */
static bool is_the_hosts(int err)
{
	return err == PVM_ENOMEM || err == PVM_EFAULT;
}

static enum pvm_action host_failed(struct pvm_vcpu *vcpu, int err)
{
	vcpu->request.error.code = err;
	return PVM_ACT_ERROR;
}

enum pvm_action pvm_insn_wrmsr(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	uint32_t index = (uint32_t)vcpu->gpr[PVM_RCX];
	uint64_t value = vcpu->gpr[PVM_RDX] << 32 | (uint32_t)vcpu->gpr[PVM_RAX];
	int err = write_msr(vcpu, index, value);

	if (err == PVM_ENOENT) {
		vcpu->request.msr.index = index;
		vcpu->request.msr.value = value;
		vcpu->request.msr.by_hypercall = false;
		vcpu->request.msr.insn_length = insn->length;
		return PVM_ACT_WRMSR;
	}
	if (err == PVM_EAGAIN)
		return PVM_ACT_RETRY;
	if (is_the_hosts(err))
		return host_failed(vcpu, err);
	return err == PVM_OK ? pvm_insn_done(vcpu, insn->length) : pvm_event_gp(vcpu, 0);
}

enum pvm_action pvm_hc_rdmsr(struct pvm_vcpu *vcpu)
{
	uint32_t index = (uint32_t)vcpu->gpr[PVM_RBX];
	uint64_t value = 0;
	int err = pvm_msr_read(vcpu, index, &value);

	if (err == PVM_ENOENT) {
		vcpu->request.msr.index = index;
		vcpu->request.msr.by_hypercall = true;
		return PVM_ACT_RDMSR;
	}
	if (err != PVM_OK)
		return pvm_hypercall_done(vcpu, 0);
	pvm_trace_vcpu(vcpu, PVM_TRACE_MSR, index, value, 0, 0);
	return pvm_hypercall_done(vcpu, value);
}

enum pvm_action pvm_hc_wrmsr(struct pvm_vcpu *vcpu)
{
	uint32_t index = (uint32_t)vcpu->gpr[PVM_RBX];
	uint64_t value = vcpu->gpr[PVM_RCX];
	int err = write_msr(vcpu, index, value);

	if (err == PVM_ENOENT) {
		vcpu->request.msr.index = index;
		vcpu->request.msr.value = value;
		vcpu->request.msr.by_hypercall = true;
		return PVM_ACT_WRMSR;
	}
	if (err == PVM_EAGAIN)
		return PVM_ACT_RETRY;
	if (is_the_hosts(err))
		return host_failed(vcpu, err);
	return pvm_hypercall_done(vcpu, err == PVM_OK ? 0 : HC_EINVAL);
}

enum pvm_action pvm_complete_rdmsr(struct pvm_vcpu *vcpu, bool ok, uint64_t value)
{
	if (ok)
		pvm_trace_vcpu(vcpu, PVM_TRACE_MSR, vcpu->request.msr.index, value, 0, 0);
	if (vcpu->request.msr.by_hypercall)
		return pvm_hypercall_done(vcpu, ok ? value : 0);
	if (!ok)
		return pvm_event_gp(vcpu, 0);
	return finish_rdmsr(vcpu, vcpu->request.msr.insn_length, value);
}

enum pvm_action pvm_complete_wrmsr(struct pvm_vcpu *vcpu, bool ok)
{
	if (ok)
		pvm_trace_vcpu(vcpu, PVM_TRACE_MSR, vcpu->request.msr.index, vcpu->request.msr.value, 1, 0);
	if (vcpu->request.msr.by_hypercall)
		return pvm_hypercall_done(vcpu, ok ? 0 : HC_EINVAL);
	if (!ok)
		return pvm_event_gp(vcpu, 0);
	return pvm_insn_done(vcpu, vcpu->request.msr.insn_length);
}
