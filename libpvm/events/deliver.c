/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Delivery: an event that happens now enters the guest's supervisor, or ends
 * the VM. Never decides whether an event may happen; how it enters is the guest
 * ABI's.
 *
 * spec: Vector events in user mode, Vector events in supervisor mode, User
 * SYSCALL event, No DoubleFault
 */
#include "events/deliver.h"

bool pvm_vector_has_error_code(uint8_t vector)
{
	return pvm_has_error_code(vector);
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

enum pvm_action pvm_event_keep(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	vcpu->kept_event.waits = true;
	vcpu->kept_event.vector = vector;
	vcpu->kept_event.error_code = error_code;
	return PVM_ACT_RETRY;
}

enum pvm_action pvm_event_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	return pvm_deliver(vcpu, vector, error_code);
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

/* One of the ways into and out of the supervisor, if the ABI has it. */
static enum pvm_action take_way(struct pvm_vcpu *vcpu, enum pvm_action (*way)(struct pvm_vcpu *vcpu))
{
	if (way)
		return way(vcpu);
	vcpu->request.error.code = PVM_ENOSYS;
	return PVM_ACT_ERROR;
}

enum pvm_action pvm_event_user_syscall(struct pvm_vcpu *vcpu)
{
	return take_way(vcpu, vcpu->vm->abi->user_syscall);
}

enum pvm_action pvm_event_return_user(struct pvm_vcpu *vcpu)
{
	return take_way(vcpu, vcpu->vm->abi->return_user);
}

bool pvm_event_may_switch(const struct pvm_vcpu *vcpu)
{
	const struct pvm_abi_ops *abi = vcpu->vm->abi;
	uint64_t bit;
	const volatile uint64_t *waits = abi->interrupt_waits ? abi->interrupt_waits(vcpu, &bit) : NULL;

	if (!abi->switched || !vcpu->pvcs)
		return false;
	if (vcpu->nmi_masked || vcpu->nmi_pending || vcpu->mmu.retry.waits || (waits && (*waits & bit)))
		return false;
	return pvm_legal_address(vcpu, pvm_gva(vcpu->msr.lstar));	/* S1, M7 */
}

void pvm_event_switched(struct pvm_vcpu *vcpu, bool user_mode)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	if (user_mode == vcpu->user_mode)
		return;
	vcpu->user_mode = user_mode;
	vcpu->vm->abi->switched(vcpu);
	vcpu->seg[PVM_CS] = user_mode ? config->user_cs : config->kernel_cs;
	vcpu->seg[PVM_SS] = user_mode ? config->user_ds : config->kernel_ds;
}

enum pvm_action pvm_event_return_supervisor(struct pvm_vcpu *vcpu)
{
	return take_way(vcpu, vcpu->vm->abi->return_supervisor);
}
