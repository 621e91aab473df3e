// SPDX-License-Identifier: GPL-2.0
/*
 * Events that KVM has for a vCPU. KVM decides what comes next and queues it; it is the guest's
 * when the engine asks for events before an entry (pvm_host_ops::events). What the guest
 * does not let in is remembered by the engine (PVCS IP), and by wants_irq and wants_nmi here,
 * so that KVM looks again when it does.
 */
#include "kvm_pvm.h"

#define ANY_VECTOR 0xff		/* of an interrupt that is not let in now */

#define X2APIC_MSR(reg)		(APIC_BASE_MSR + ((reg) >> 4))
#define XAPIC_BROADCAST		0xffu
#define X2APIC_BROADCAST	0xffffffffu
#define APIC_SHORTHANDS		APIC_DEST_ALLBUT	/* all of the field's bits */

/* The vectors of the PICs are the guest's to choose, or what firmware has left in them: 8. On a CPU an
 * exception's handler would get the interrupt; a PVM guest has no such event, and does not get it. */
static void discard_exceptions_vector(struct pvm_kvm_vcpu *v)
{
	struct kvm_queued_interrupt *interrupt = &v->vcpu.arch.interrupt;

	if (likely(!interrupt->injected || interrupt->nr >= PVM_VEC_APIC_FIRST))
		return;
	interrupt->injected = false;
	kvm_make_request(KVM_REQ_EVENT, &v->vcpu);	/* there may be another */
	pvm_switcher_kick(&v->switcher);
}

uint32_t pvm_kvm_events(void *host, struct pvm_vcpu *pvm, uint8_t *vector)
{
	struct pvm_kvm_vcpu *v = pvm_kvm_vcpu_of(pvm);
	const struct kvm_vcpu_arch *arch = &v->vcpu.arch;
	uint32_t waits = 0;

	if (pvm_kvm_is_xen(to_pvm_kvm(v->vcpu.kvm))) {	/* it has no interrupt controller */
		v->vcpu.arch.nmi_injected = v->vcpu.arch.interrupt.injected = false;
		return 0;
	}
	discard_exceptions_vector(v);
	if (arch->nmi_injected)
		waits |= PVM_WAITS_NMI;
	if (arch->interrupt.injected) {
		*vector = arch->interrupt.nr;
		waits |= PVM_WAITS_INTERRUPT;
	} else if (v->wants_irq && !pvm_event_interrupt_allowed(pvm)) {
		*vector = ANY_VECTOR;	/* the guest is told that one waits */
		waits |= PVM_WAITS_INTERRUPT;
	}
	return waits;
}

void pvm_kvm_event_taken(void *host, struct pvm_vcpu *pvm, uint32_t waits, uint8_t vector)
{
	struct kvm_vcpu_arch *arch = &pvm_kvm_vcpu_of(pvm)->vcpu.arch;

	if (waits & PVM_WAITS_NMI)
		arch->nmi_injected = false;
	else
		arch->interrupt.injected = false;
}

enum pvm_action pvm_kvm_deliver_exception(struct pvm_kvm_vcpu *v)
{
	struct kvm_queued_exception *exception = &v->vcpu.arch.exception;
	enum pvm_action action;

	/* One after the other, and behind the instruction that a port has answered. */
	if (likely(!exception->injected) || v->pvm.kept_event.waits || v->pvm.io_late)
		return PVM_ACT_RESUME;
	exception->injected = false;
	if (exception->vector == PF_VECTOR)
		v->pvm.cr2 = v->vcpu.arch.cr2;
	if (exception->vector == DB_VECTOR)
		v->pvm.dr6 = v->vcpu.arch.dr6;
	v->pvm.brief = true;		/* M12: interrupts are off */
	action = pvm_event_deliver(&v->pvm, exception->vector,
				   exception->has_error_code ? exception->error_code : 0);
	v->pvm.brief = false;
	return action;
}

void pvm_kvm_ask_for_events(struct pvm_kvm_vcpu *v)
{
	if (v->wants_irq && pvm_event_interrupt_allowed(&v->pvm)) {
		v->wants_irq = false;
		kvm_make_request(KVM_REQ_EVENT, &v->vcpu);
	}
	if (v->wants_nmi && !v->pvm.nmi_masked) {
		v->wants_nmi = false;
		kvm_make_request(KVM_REQ_EVENT, &v->vcpu);
	}
}

int pvm_kvm_interrupt_allowed(struct kvm_vcpu *vcpu, bool for_injection)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (!v->is_pvm)
		return pvm_kvm_boot_interrupt_allowed(v);
	return !v->is_new && pvm_event_interrupt_allowed(&v->pvm);
}

int pvm_kvm_nmi_allowed(struct kvm_vcpu *vcpu, bool for_injection)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	return v->is_pvm && !v->is_new && !v->pvm.nmi_masked;
}

bool pvm_kvm_get_nmi_mask(struct kvm_vcpu *vcpu)
{
	return to_pvm_vcpu(vcpu)->pvm.nmi_masked;
}

void pvm_kvm_set_nmi_mask(struct kvm_vcpu *vcpu, bool masked)
{
	to_pvm_vcpu(vcpu)->pvm.nmi_masked = masked;
}

void pvm_kvm_enable_nmi_window(struct kvm_vcpu *vcpu)
{
	to_pvm_vcpu(vcpu)->wants_nmi = true;
}

void pvm_kvm_enable_irq_window(struct kvm_vcpu *vcpu)
{
	to_pvm_vcpu(vcpu)->wants_irq = true;
}

/* ------------------------------------------------------------------------
 * KVM's local APIC.
 */

int pvm_kvm_apic_check(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.apic || vcpu->arch.apic->vcpu == vcpu)
		return 0;
	pr_err_once("this kernel's struct kvm_lapic is not the one that the module knows\n");
	return -EOPNOTSUPP;
}

void pvm_kvm_deliver_interrupt(struct kvm_lapic *apic, int delivery_mode, int trig_mode, int vector)
{
	DECLARE_BITMAP(requested, 256) = { };
	int highest;

	__set_bit(vector, requested);
	kvm_apic_update_irr(apic->vcpu, (void *)requested, &highest);
	smp_mb__before_atomic();
	WRITE_ONCE(apic->irr_pending, true);	/* after IRR, as who clears it looks there again */
	kvm_make_request(KVM_REQ_EVENT, apic->vcpu);
	kvm_vcpu_kick(apic->vcpu);
}

/* To one vCPU, by its number: for every other kind, as for broadcasts, KVM may look at all vCPUs. */
static bool is_plain_ipi(u64 icr)
{
	u32 to = icr >> 32;

	return !(icr & (APIC_SHORTHANDS | APIC_DEST_LOGICAL | APIC_DM_FIXED_MASK)) && to != XAPIC_BROADCAST &&
	       to != X2APIC_BROADCAST;
}

/* KVM checks the value, and refuses what does nothing. */
static bool set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value)
{
	struct msr_data msr = { .index = index, .data = value };

	return !kvm_set_msr_common(vcpu, &msr);
}

/* Does nobody but the local APIC want to know of the end of the interrupt in service? An IO-APIC and
 * Hyper-V's controller tell who set the interrupt up, who may be many. */
static bool eoi_is_local(struct kvm_vcpu *vcpu)
{
	struct msr_data ppr = { .index = X2APIC_MSR(APIC_PROCPRI) };
	u64 class;

	if (vcpu->arch.hyperv_enabled)
		return false;
	if (kvm_get_msr_common(vcpu, &ppr))
		return false;
	class = ppr.data >> 4 & 0xf;
	if (class <= kvm_get_cr8(vcpu))		/* the task's priority: it says nothing */
		return false;
	return !((const u16 *)vcpu->arch.ioapic_handled_vectors)[class];
}

static bool write_now(struct kvm_vcpu *vcpu, u32 index, u64 value)
{
	switch (index) {
	case X2APIC_MSR(APIC_EOI):
		if (value || !eoi_is_local(vcpu))
			return false;
		kvm_lapic_set_eoi(vcpu);
		return true;
	case X2APIC_MSR(APIC_ICR):
		return is_plain_ipi(value) && set_msr(vcpu, index, value);
	case X2APIC_MSR(APIC_SELF_IPI):
	case MSR_IA32_TSC_DEADLINE:
		return set_msr(vcpu, index, value);
	}
	return false;
}

/* KVM_REQ_EVENT alone, with no interrupt that may come now, can wait for the next exit. A vCPU that has
 * kicked itself gets no other kick before it is out. One that has woken another on this CPU gets no interrupt
 * that says so: Linux counts on our looking. */
static bool must_leave(struct kvm_vcpu *vcpu)
{
	return __xfer_to_guest_mode_work_pending() || READ_ONCE(vcpu->mode) != IN_GUEST_MODE ||
	       (READ_ONCE(vcpu->requests) & ~BIT_ULL(KVM_REQ_EVENT & KVM_REQUEST_MASK)) ||
	       kvm_cpu_has_interrupt(vcpu);
}

bool pvm_kvm_wrmsr(void *host, struct pvm_vcpu *pvm, u32 index, u64 value)
{
	struct pvm_kvm_vcpu *v = pvm_kvm_vcpu_of(pvm);
	struct kvm_vcpu *vcpu = &v->vcpu;

	if (rcu_access_pointer(vcpu->kvm->arch.msr_filter))	/* user space's: KVM asks it */
		return false;
	if (!write_now(vcpu, index, value))
		return false;
	if (must_leave(vcpu))
		pvm_switcher_kick(&v->switcher);
	return true;
}
