/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The roots that a vCPU holds. root.c
 */
#ifndef MMU_ROOT_H
#define MMU_ROOT_H

#include "shadow.h"

/* The role of the vCPU's roots. */
union pvm_mmu_role pvm_root_role(const struct pvm_vcpu *vcpu, bool user_mode);
/* M7: when the vCPU's legal ranges have changed, its roots are no longer its own. */
void pvm_root_refresh(struct pvm_vcpu *vcpu);
/* The vCPU holds @root for the mode that it is in. */
void pvm_root_take(struct pvm_vcpu *vcpu, struct pvm_shadow_page *root);

#endif /* MMU_ROOT_H */
