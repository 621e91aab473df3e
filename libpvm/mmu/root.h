/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The roots that a vCPU holds. root.c
 */
#ifndef MMU_ROOT_H
#define MMU_ROOT_H

#include "shadow.h"
#include "walk.h"

/* The role of the vCPU's roots. */
union pvm_mmu_role pvm_root_role(const struct pvm_vcpu *vcpu, bool user_mode);
/* Is a root that the vCPU has loaded for its mode the one it needs now? Its role is that of
 * pvm_root_role() as long as nothing has changed that goes into it. */
static inline bool pvm_root_is_current(const struct pvm_vcpu *vcpu, const struct pvm_shadow_page *root)
{
	return root->gfn.v == pvm_cr3_gfn(vcpu->cr3).v && vcpu->mmu.cr4 == vcpu->cr4 &&
	       vcpu->mmu.efer == vcpu->efer && vcpu->mmu.range == vcpu->msr.linear_address_range;
}

/* M7: when the vCPU's legal ranges have changed, its roots are no longer its own. */
void pvm_root_refresh(struct pvm_vcpu *vcpu);
/* The vCPU holds @root for the mode that it is in. */
void pvm_root_take(struct pvm_vcpu *vcpu, struct pvm_shadow_page *root);

#endif /* MMU_ROOT_H */
