/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Making the shadow tables say what a walk of the guest's tables found.
 */
#ifndef MMU_FILL_H
#define MMU_FILL_H

#include "shadow.h"
#include "walk.h"

/* Beside enum pvm_error: not in one hold of the lock. Give it up and try again. */
#define FILL_AGAIN 1

/* Host pages that a leaf may take beyond its tables: one of values, one of links; and
 * of a radix tree over 40 bits of frame number, four to make it higher and four below. */
#define LEAF_PAGES_MAX 10

struct pvm_fill {
	struct pvm_vcpu *vcpu;
	struct pvm_guest_walk walk;		/* complete, and the access is allowed */
	pvm_gfn_t gfn;			/* the 4 KiB frame the address falls in */
	struct pvm_frame frame;		/* how the host backs it */
	union pvm_mmu_role root_role;	/* of the vCPU's root */
	union pvm_mmu_role table_role;	/* of its guest tables, but for the level */
	uint8_t target;			/* level of the shadow leaf */
	bool starved;			/* the host had no more pages than are in the reserve */
	uint32_t wanted;		/* pages that the reserve must have for the next attempt */
	bool created;			/* a shadow page was made for this walk */
	bool linked;			/* the path is the last one's, linked as this walk wants it */
	struct pvm_shadow_page *path[MAX_LEVELS + 1];	/* by level */
};

/* M4: SMEP is done with NX: a page that is user mode's at every level is not executable
 * through a supervisor's root. */
static inline uint64_t pvm_smep_nx(union pvm_mmu_role role, bool user)
{
	return role.us && !role.user_root && role.nx && user ? PVM_PTE_NX : 0;
}

/* What a leaf in a table of @role has but for frame, size and the right to write. @guest: the guest's
 * entry; @whole: all of what that maps is one leaf. @user: all entries of the walk have U. */
static inline uint64_t pvm_leaf_bits(union pvm_mmu_role role, uint64_t guest, bool user, bool whole)
{
	uint64_t bits = PVM_PTE_P | PVM_PTE_U | PVM_PTE_A;	/* M1 */

	if (role.pke)
		bits |= guest & PVM_PTE_PK_MASK;	/* M8 */
	if (whole)
		bits |= (guest & PVM_PTE_NX) | pvm_smep_nx(role, user);
	return bits;
}

/* After FILL_AGAIN, and whenever an attempt is made again: everything that is due is
 * flushed, the lock given up, what was wanted put into the reserve, the lock taken. */
void pvm_fill_pause(struct pvm_fill *fill, enum pvm_sleep sleep);

/*
 * Find or make the vCPU's current root. Returns PVM_OK; PVM_EAGAIN: only by
 * sleeping; PVM_ENOMEM: with nothing left to evict; FILL_AGAIN. Of @fill only the vCPU, starved and
 * wanted are looked at.
 */
int pvm_fill_root(struct pvm_fill *fill, enum pvm_sleep sleep);

/*
 * The guest may read M2P at the walk's address, of which its own tables say nothing: with 5 levels the
 * entry is in a table of level 4, which is found or made, and linked. PVM_ENOENT: the address is not
 * M2P's, or the guest has its table; else as pvm_fill_root().
 */
int pvm_fill_m2p(struct pvm_fill *fill, enum pvm_sleep sleep);

/* Find or make every shadow page of the walk, and all memory that pvm_fill_install()
 * needs. Links nothing. Returns as pvm_fill_root(). */
int pvm_fill_prepare(struct pvm_fill *fill, enum pvm_sleep sleep);

/* Link the pages and write the leaf. The walk's accessed and dirty bits are set
 * in the guest's tables. False: the guest has changed its tables since the walk, or one of them
 * that is new here lies in the large page. Nothing was written: walk again. */
bool pvm_fill_install(struct pvm_fill *fill);

#endif /* MMU_FILL_H */
