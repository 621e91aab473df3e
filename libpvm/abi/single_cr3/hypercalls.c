/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The hypercall that is single CR3's own: LOAD_PGTBL with one root table, from which both
 * roots are made. The rows are in abi.c, the others' handlers in hypercall/.
 *
 * seed: single CR3
 */
#include "abi/single_cr3/single_cr3.h"
#include "hypercall/handlers.h"

enum pvm_action pvm_single_cr3_load_pgtbl(struct pvm_vcpu *vcpu)
{
	uint64_t flags = vcpu->gpr[PVM_RBX], cr3 = vcpu->gpr[PVM_RCX];

	if (!pvm_hc_accept_pgd(vcpu, &cr3) || !pvm_hc_accept_pgtbl_flags(flags))
		return pvm_hypercall_done(vcpu, (uint64_t)-PVM_HC_EINVAL);

	if (!pvm_hc_load_paging_depth(vcpu, flags & PVM_LOAD_PGTBL_LA57))
		return PVM_ACT_RETRY;	/* M12 */
	vcpu->cr3 = cr3;
	return pvm_hc_loaded_pgtbl(vcpu, flags);
}
