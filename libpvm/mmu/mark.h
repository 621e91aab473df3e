/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Frames that the guest says are page tables: a bit for each, in a sparse array. Set under the
 * lock, read inside (lock.h). What they mean is pvm_abi_ops::writes_tables's. mark.c
 */
#ifndef MMU_MARK_H
#define MMU_MARK_H

#include "abi/abi.h"
#include "shadow.h"

#define PVM_MARK_BITS 64	/* of one slot of the array */

/* The bits of the frames from @gfn on, a multiple of PVM_MARK_BITS. */
static inline uint64_t pvm_mark_word(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	const uint64_t *word = pvm_radix_find(&mmu->marks, gfn.v / PVM_MARK_BITS);

	return word ? __atomic_load_n(word, __ATOMIC_RELAXED) : 0;
}

static inline bool pvm_mark_get(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	return pvm_mark_word(mmu, gfn) >> gfn.v % PVM_MARK_BITS & 1;
}

/* Host pages that marking it takes. */
uint32_t pvm_mark_missing(const struct pvm_mmu *mmu, pvm_gfn_t gfn);
void pvm_mark_set(struct pvm_mmu *mmu, pvm_gfn_t gfn, bool table);

/* May the supervisor write a page of level 1 that its entry @guest, without W, maps? */
static inline bool pvm_mark_allows(const struct pvm_mmu *mmu, uint64_t guest)
{
	return mmu->vm->abi->writes_tables && pvm_mark_get(mmu, pvm_pte_gfn(guest));
}

#endif /* MMU_MARK_H */
