/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The switch between user and supervisor mode: which registers change places,
 * and what every entry into the supervisor has in common. For the folders of PVM's dialects.
 * Checks nothing; its callers have. Inline, because this is most of what a
 * system call or an event costs.
 *
 * spec: Vector events in user mode, EVENT_RETURN_USER, MSR_GS_BASE/
 * MSR_KERNEL_GS_BASE, Protection Keys
 */
#ifndef PVM_ABI_PVM_MODE_H
#define PVM_ABI_PVM_MODE_H

#include <pvm/events.h>

#include "abi/pvm/layout.h"

/* RIP, RCX, R11 and RFLAGS as every entry into the supervisor leaves them. */
PVM_DIALECT void pvm_mode_load_entry(struct pvm_vcpu *vcpu, uint64_t entry)
{
	vcpu->rip = entry;
	vcpu->gpr[PVM_RCX] = entry;
	vcpu->gpr[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	vcpu->rflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;	/* S2 */
}

PVM_DIALECT void pvm_mode_switch_cr3(struct pvm_vcpu *vcpu)
{
	uint64_t cr3 = vcpu->cr3;

	vcpu->cr3 = vcpu->msr.switch_cr3;
	vcpu->msr.switch_cr3 = cr3;
}

PVM_DIALECT void pvm_mode_save_user(struct pvm_vcpu *vcpu, const struct pvm_layout *l)
{
	pvm_pvcs_put16(vcpu, l->user_cs, vcpu->seg[PVM_CS]);
	/* C-044: another SS that the user has loaded is not kept, nor can it make
	 * the supervisor's return fail. */
	pvm_pvcs_put16(vcpu, l->user_ss, vcpu->vm->config.user_ds);
	pvm_pvcs_put64(vcpu, l->user_gsbase, vcpu->gs_base);
	pvm_pvcs_put32(vcpu, l->eflags, (uint32_t)vcpu->rflags);
	pvm_pvcs_put64(vcpu, l->rip, vcpu->rip);
	pvm_pvcs_put64(vcpu, l->rcx, vcpu->gpr[PVM_RCX]);
	pvm_pvcs_put64(vcpu, l->r11, vcpu->gpr[PVM_R11]);
	if (l->switches_rsp)
		pvm_pvcs_put64(vcpu, l->rsp, vcpu->gpr[PVM_RSP]);
}

/* User mode to supervisor mode at @entry: the user's registers go to the PVCS,
 * which must be there, and the supervisor's are loaded. @entry must be legal. */
PVM_DIALECT void pvm_mode_enter_supervisor(struct pvm_vcpu *vcpu, const struct pvm_layout *l,
					   uint64_t entry)
{
	pvm_mode_save_user(vcpu, l);
	vcpu->seg[PVM_CS] = vcpu->vm->config.kernel_cs;
	vcpu->seg[PVM_SS] = vcpu->vm->config.kernel_ds;
	vcpu->gs_base = vcpu->msr.kernel_gs_base;
	if (l->switches_rsp)
		vcpu->gpr[PVM_RSP] = vcpu->msr.supervisor_rsp;
	if (l->switches_cr3)
		pvm_mode_switch_cr3(vcpu);
	if (vcpu->vm->config.host_pke) {
		/* S11: the user's PKRU is put away, whatever CR4 says. */
		pvm_pvcs_put32(vcpu, l->pkru, vcpu->pkru);
		vcpu->pkru = vcpu->cr4 & PVM_CR4_PKS ? (uint32_t)vcpu->msr.pkrs : 0;
	}
	vcpu->user_mode = false;
	pvm_mode_load_entry(vcpu, entry);
}

/* What EVENT_RETURN_USER loads, checked. */
struct pvm_user_context {
	uint64_t rip, rsp, rflags, rcx, r11, gs_base;
	uint32_t pkru;
	uint16_t cs, ss;
};

/* Supervisor mode to user mode with @user's registers. Cannot fail. */
PVM_DIALECT void pvm_mode_enter_user(struct pvm_vcpu *vcpu, const struct pvm_layout *l,
				     const struct pvm_user_context *user)
{
	vcpu->msr.kernel_gs_base = vcpu->gs_base;
	vcpu->gs_base = user->gs_base;
	if (l->switches_rsp) {
		vcpu->msr.supervisor_rsp = vcpu->gpr[PVM_RSP];
		vcpu->gpr[PVM_RSP] = user->rsp;
	}
	if (l->switches_cr3)
		pvm_mode_switch_cr3(vcpu);
	if (vcpu->vm->config.host_pke)
		vcpu->pkru = user->pkru;	/* S11 */
	vcpu->seg[PVM_CS] = user->cs;
	vcpu->seg[PVM_SS] = user->ss;
	vcpu->rip = user->rip;
	vcpu->rflags = user->rflags;
	vcpu->gpr[PVM_RCX] = user->rcx;
	vcpu->gpr[PVM_R11] = user->r11;
	vcpu->user_mode = true;
}

/* M7: MSRs hold canonical addresses, but an offset may leave the legal ranges
 * and LINEAR_ADDRESS_RANGE or LA57 may have changed since. */
PVM_DIALECT bool pvm_entry_is_legal(const struct pvm_vcpu *vcpu, uint64_t entry)
{
	/* The lower half of 48 bits is legal for every guest. */
	return pvm_likely(entry < 1ull << 47) || pvm_legal_address(vcpu, pvm_gva(entry));
}

/* An event has entered the supervisor. */
PVM_DIALECT enum pvm_action pvm_mode_delivered(struct pvm_vcpu *vcpu, uint8_t vector)
{
	vcpu->halted = false;
	if (vector == PVM_VEC_NMI)
		vcpu->nmi_masked = true;
	return PVM_ACT_RESUME;
}

#endif /* PVM_ABI_PVM_MODE_H */
