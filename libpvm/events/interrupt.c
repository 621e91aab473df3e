/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Interrupts and NMIs: when they may come, and what the guest sees while
 * they may not. Holds no queue but the one pending NMI; maskable interrupts
 * stay the backend's until delivered.
 *
 * spec: PVCS::event_flags, NMI shadow mask, PVM_HC_IRQ_WIN, PVM_HC_IRQ_HLT
 */
#include <pvm/events.h>

#include "abi/abi.h"

static void set_waits(struct pvm_vcpu *vcpu, bool waits)
{
	if (vcpu->vm->abi->set_interrupt_waits)
		vcpu->vm->abi->set_interrupt_waits(vcpu, waits);
}

bool pvm_event_interrupt_allowed(const struct pvm_vcpu *vcpu)
{
	return !vcpu->kept_event.waits && (vcpu->user_mode || vcpu->vm->abi->interrupt_flag(vcpu));
}

enum pvm_action pvm_event_interrupt(struct pvm_vcpu *vcpu, uint8_t vector, bool *delivered)
{
	*delivered = false;
	if (vector < PVM_VEC_APIC_FIRST) {
		vcpu->request.error.code = PVM_EINVAL;
		return PVM_ACT_ERROR;
	}
	if (vcpu->kept_event.waits)
		return PVM_ACT_RETRY;
	if (!pvm_event_interrupt_allowed(vcpu)) {
		set_waits(vcpu, true);
		return vcpu->halted ? PVM_ACT_HALT : PVM_ACT_RESUME;
	}
	*delivered = true;
	return pvm_event_deliver(vcpu, vector, 0);
}

enum pvm_action pvm_event_nmi(struct pvm_vcpu *vcpu)
{
	if (vcpu->kept_event.waits) {
		vcpu->nmi_pending = true;
		return PVM_ACT_RETRY;
	}
	if (vcpu->nmi_masked) {
		vcpu->nmi_pending = true;
		return vcpu->halted ? PVM_ACT_HALT : PVM_ACT_RESUME;
	}
	vcpu->nmi_pending = false;
	return pvm_event_deliver(vcpu, PVM_VEC_NMI, 0);
}

void pvm_event_irq_window(struct pvm_vcpu *vcpu)
{
	set_waits(vcpu, false);
}

enum pvm_action pvm_event_irq_halt(struct pvm_vcpu *vcpu)
{
	set_waits(vcpu, false);
	pvm_event_set_if(vcpu, true);
	vcpu->halted = true;
	return PVM_ACT_HALT;
}

void pvm_event_set_if(struct pvm_vcpu *vcpu, bool enabled)
{
	if (vcpu->vm->abi->set_interrupt_flag)
		vcpu->vm->abi->set_interrupt_flag(vcpu, enabled);
}
