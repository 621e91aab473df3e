/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Dual CR3's hypercalls, a row each, and the one that is its own: LOAD_PGTBL with two
 * root tables. The others are hypercall/hypercall.c's.
 *
 * spec: PVM_HC_LOAD_PGTBL
 */
#include "abi/dual_cr3/dual_cr3.h"
#include "abi/pvm/rows.h"

static enum pvm_action load_pgtbl(struct pvm_vcpu *vcpu)
{
	uint64_t flags = vcpu->gpr[PVM_RBX];
	uint64_t supervisor_pgd = vcpu->gpr[PVM_RCX], user_pgd = vcpu->gpr[PVM_RDX];

	if (!pvm_hc_accept_pgd(vcpu, &supervisor_pgd) || !pvm_hc_accept_pgd(vcpu, &user_pgd) ||
	    !pvm_hc_accept_pgtbl_flags(flags))
		return pvm_hypercall_done(vcpu, (uint64_t)-PVM_HC_EINVAL);

	pvm_hc_load_paging_depth(vcpu, flags & PVM_LOAD_PGTBL_LA57);
	vcpu->cr3 = supervisor_pgd;
	vcpu->msr.switch_cr3 = user_pgd;
	return pvm_hc_loaded_pgtbl(vcpu, flags);
}

/* By number, from PVM_HC_BASE on. */
const struct pvm_hypercall_row pvm_dual_cr3_hypercalls[PVM_DUAL_CR3_HYPERCALLS] = {
	[PVM_HC_LOAD_PGTBL - PVM_HC_BASE] = { "LOAD_PGTBL", load_pgtbl, true },
	PVM_DIALECT_ROWS,
};
