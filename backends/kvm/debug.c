// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that user space debugs, by KVM_SET_GUEST_DEBUG. KVM sets TF in RFLAGS for single steps, and
 * keeps user space's breakpoints; here they are in the debug registers for the time of an entry, and what
 * they stop is user space's, not the guest's. As long as it is debugged, nothing is served in the switcher.
 */
#include "kvm_pvm.h"

#define INT3_LENGTH 1

static bool has_breakpoints(const struct kvm_vcpu *vcpu)
{
	return vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP;
}

void pvm_kvm_debug_changed(struct kvm_vcpu *vcpu)
{
	to_pvm_vcpu(vcpu)->switcher.inhibit = vcpu->guest_debug ? PVM_INHIBIT_HOST : 0;
}

/* The engine's rules for addresses hold for user space's breakpoints as well (M7). */
void pvm_kvm_debug_in(struct pvm_kvm_vcpu *v)
{
	const struct kvm_vcpu_arch *arch = &v->vcpu.arch;

	if (likely(!v->vcpu.guest_debug))
		return;
	v->guests_dr6 = v->pvm.dr6;
	if (!has_breakpoints(&v->vcpu))
		return;
	memcpy(v->guests_dr, v->pvm.dr, sizeof(v->guests_dr));
	v->guests_dr7 = v->pvm.dr7;
	memcpy(v->pvm.dr, arch->eff_db, sizeof(v->guests_dr));
	v->pvm.dr7 = arch->guest_debug_dr7;
	v->pvm.state_gen++;
}

void pvm_kvm_debug_out(struct pvm_kvm_vcpu *v)
{
	if (likely(!v->vcpu.guest_debug) || !has_breakpoints(&v->vcpu))
		return;
	memcpy(v->pvm.dr, v->guests_dr, sizeof(v->guests_dr));
	v->pvm.dr7 = v->guests_dr7;
	v->pvm.state_gen++;
}

bool pvm_kvm_is_stepped(const struct pvm_kvm_vcpu *v)
{
	return unlikely(v->vcpu.guest_debug & KVM_GUESTDBG_SINGLESTEP) && (v->pvm.rflags & X86_EFLAGS_TF);
}

int pvm_kvm_stepped(struct pvm_kvm_vcpu *v)
{
	struct kvm_run *run = v->vcpu.run;

	run->debug.arch.dr6 = PVM_DR6_BS | PVM_DR6_FIXED;
	run->debug.arch.dr7 = v->vcpu.arch.guest_debug_dr7;
	run->debug.arch.exception = DB_VECTOR;
	run->debug.arch.pc = v->pvm.rip;
	run->exit_reason = KVM_EXIT_DEBUG;
	return 0;
}

bool pvm_kvm_debug_exit(struct pvm_kvm_vcpu *v)
{
	struct kvm_run *run = v->vcpu.run;
	u32 debug = v->vcpu.guest_debug;

	if (likely(!debug))
		return false;
	if (v->exit.kind == PVM_EXIT_EXCEPTION && v->exit.vector == DB_VECTOR &&
	    (debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))) {
		run->debug.arch.dr6 = v->pvm.dr6;
		run->debug.arch.dr7 = v->vcpu.arch.guest_debug_dr7;
		run->debug.arch.exception = DB_VECTOR;
		v->pvm.dr6 = v->guests_dr6;
	} else if (v->exit.kind == PVM_EXIT_SOFTWARE && v->exit.vector == BP_VECTOR &&
		   (debug & KVM_GUESTDBG_USE_SW_BP)) {
		v->pvm.rip -= INT3_LENGTH;
		run->debug.arch.exception = BP_VECTOR;
	} else {
		return false;
	}
	run->debug.arch.pc = v->pvm.rip;
	run->exit_reason = KVM_EXIT_DEBUG;
	v->exit.kind = PVM_EXIT_KICK;
	pvm_kvm_registers_out(v);
	return true;
}
