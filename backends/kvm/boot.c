// SPDX-License-Identifier: GPL-2.0
/*
 * Before 64-bit mode: real mode and protected mode, from reset or SIPI until the guest's far jump into
 * 64-bit code, by KVM's emulator, one instruction after the other. It is for firmware that does just
 * that. In real mode the guest gets interrupts and exceptions by its vector table; in protected mode
 * interrupts wait, and an exception is a triple fault. NMIs wait for 64-bit mode.
 *
 * spec: non-PVM mode
 */
#include <linux/sched/signal.h>

#include "kvm_pvm.h"

#define TURN 64		/* instructions until KVM looks at what else there is */

static bool is_real_mode(const struct pvm_kvm_vcpu *v)
{
	return !(v->vcpu.arch.cr0 & X86_CR0_PE);
}

bool pvm_kvm_boot_interrupt_allowed(const struct pvm_kvm_vcpu *v)
{
	return is_real_mode(v) && (v->rflags & X86_EFLAGS_IF) && !v->shadow;
}

/* In real mode. A table or a stack that is no memory is a device for KVM's emulator. User space never
 * hears of it, and KVM warns of what is left: hardware would find nothing there either. */
static void inject(struct kvm_vcpu *vcpu, unsigned int vector)
{
	pvm_kvm_watch_emulator(vcpu);
	kvm_inject_realmode_interrupt(vcpu, vector, 0);
	if (!vcpu->mmio_needed)
		return;
	vcpu->mmio_needed = 0;
	pr_info_ratelimited(
		"%d: vCPU %d: triple fault: vector %u in real mode, without memory for its table or stack\n",
		task_tgid_nr(current), vcpu->vcpu_id, vector);
	kvm_make_request(KVM_REQ_TRIPLE_FAULT, vcpu);
}

void pvm_kvm_inject_interrupt(struct kvm_vcpu *vcpu, bool reinjected)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (v->is_pvm || !is_real_mode(v))
		return;		/* pvm_kvm_events() finds it; before that it waits */
	inject(vcpu, vcpu->arch.interrupt.nr);
}

void pvm_kvm_inject_exception(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	unsigned int vector = vcpu->arch.exception.vector;

	if (v->is_pvm)
		return;		/* pvm_kvm_deliver_exception() does */
	if (is_real_mode(v)) {
		inject(vcpu, vector);
		return;
	}
	pr_info_ratelimited("%d: vCPU %d: triple fault: exception %u before 64-bit mode, at rip 0x%lx\n",
			    task_tgid_nr(current), vcpu->vcpu_id, vector, *pvm_kvm_rip(&vcpu->arch));
	kvm_make_request(KVM_REQ_TRIPLE_FAULT, vcpu);
}

void pvm_kvm_boot_is_injected(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (v->is_pvm)
		return;
	vcpu->arch.exception.injected = false;
	if (is_real_mode(v))
		vcpu->arch.interrupt.injected = false;
}

/* Has KVM's loop something to do first? */
static bool is_asked_for(struct kvm_vcpu *vcpu)
{
	return kvm_request_pending(vcpu) || vcpu->arch.exception.pending || signal_pending(current) ||
	       need_resched();
}

int pvm_kvm_boot_run(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	unsigned int count;
	int ret;

	for (count = 0; count < TURN; count++) {
		ret = pvm_kvm_emulate(vcpu);
		if (vcpu->arch.halt_request) {
			vcpu->arch.halt_request = 0;
			return kvm_emulate_halt_noskip(vcpu);
		}
		if (ret <= 0 || v->is_pvm || is_asked_for(vcpu))
			return ret;
		if (v->wants_irq && pvm_kvm_boot_interrupt_allowed(v)) {
			v->wants_irq = false;
			kvm_make_request(KVM_REQ_EVENT, vcpu);
			return ret;
		}
	}
	return 1;
}

void pvm_kvm_set_interrupt_shadow(struct kvm_vcpu *vcpu, int mask)
{
	to_pvm_vcpu(vcpu)->shadow = mask;
}

/* A PVM guest has none: its interrupts come in through an event's return. */
u32 pvm_kvm_get_interrupt_shadow(struct kvm_vcpu *vcpu)
{
	const struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	return v->is_pvm ? 0 : v->shadow;
}
