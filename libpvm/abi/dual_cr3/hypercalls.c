/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The hypercall that is dual CR3's own: LOAD_PGTBL with two root tables. The rows are in
 * abi.c, the others' handlers in hypercall/.
 *
 * spec: PVM_HC_LOAD_PGTBL
 */
#include "abi/dual_cr3/dual_cr3.h"
#include "hypercall/handlers.h"

enum pvm_action pvm_dual_cr3_load_pgtbl(struct pvm_vcpu *vcpu)
{
	uint64_t flags = vcpu->gpr[PVM_RBX];
	uint64_t supervisor_pgd = vcpu->gpr[PVM_RCX], user_pgd = vcpu->gpr[PVM_RDX];

	if (!pvm_hc_accept_pgd(vcpu, &supervisor_pgd) || !pvm_hc_accept_pgd(vcpu, &user_pgd) ||
	    !pvm_hc_accept_pgtbl_flags(flags))
		return pvm_hypercall_done(vcpu, (uint64_t)-PVM_HC_EINVAL);

	if (!pvm_hc_load_paging_depth(vcpu, flags & PVM_LOAD_PGTBL_LA57))
		return PVM_ACT_RETRY;	/* M12 */
	vcpu->cr3 = supervisor_pgd;
	vcpu->msr.switch_cr3 = user_pgd;
	return pvm_hc_loaded_pgtbl(vcpu, flags);
}
