/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The common page fault: at an entry of the guest's table that the last fill was in. near.c
 */
#ifndef MMU_NEAR_H
#define MMU_NEAR_H

#include "fill.h"

enum pvm_near {
	PVM_NEAR_NOT,		/* nothing was done: take the lock and walk */
	PVM_NEAR_FILLED,
	PVM_NEAR_ABSENT,	/* the guest's entry is not present: #PF */
};

/* The path of a fill, for what is near it. With the lock. */
void pvm_near_remember(const struct pvm_fill *fill);

/* The same path as remembered? Then @fill has it. With the lock. */
bool pvm_near_is_linked(struct pvm_fill *fill);

/* The table of level 1 below @root that translates @gva, if a remembered path leads there; or NULL. With
 * the lock. */
struct pvm_shadow_page *pvm_near_table(const struct pvm_vcpu *vcpu, const struct pvm_shadow_page *root,
				       pvm_gva_t gva);

/* Without the lock. @result is written where it is not PVM_NEAR_NOT: what differs from a new one that was
 * fixed nowhere. */
enum pvm_near pvm_near_fault(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
			     struct pvm_fault_result *result);

#endif /* MMU_NEAR_H */
