/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3's hypercalls, a row each, and the one that is its own: LOAD_PGTBL with one
 * root table, from which both roots are made.
 *
 * seed: single CR3
 */
#include "abi/single_cr3/single_cr3.h"
#include "abi/pvm/rows.h"

static enum pvm_action load_pgtbl(struct pvm_vcpu *vcpu)
{
	uint64_t flags = vcpu->gpr[PVM_RBX], cr3 = vcpu->gpr[PVM_RCX];

	if (!pvm_hc_accept_pgd(vcpu, &cr3) || !pvm_hc_accept_pgtbl_flags(flags))
		return pvm_hypercall_done(vcpu, (uint64_t)-PVM_HC_EINVAL);

	pvm_hc_load_paging_depth(vcpu, flags & PVM_LOAD_PGTBL_LA57);
	vcpu->cr3 = cr3;
	return pvm_hc_loaded_pgtbl(vcpu, flags);
}

/* By number, from PVM_HC_BASE on. */
const struct pvm_hypercall_row pvm_single_cr3_hypercalls[PVM_SINGLE_CR3_HYPERCALLS] = {
	[PVM_HC_LOAD_PGTBL - PVM_HC_BASE] = { "LOAD_PGTBL", load_pgtbl, true },
	PVM_DIALECT_ROWS,
};
