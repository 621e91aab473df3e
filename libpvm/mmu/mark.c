/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Frames that the guest says are page tables; see mark.h. */
#include "mark.h"

uint32_t pvm_mark_missing(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	return pvm_radix_missing(&mmu->marks, gfn.v / PVM_MARK_BITS);
}

void pvm_mark_set(struct pvm_mmu *mmu, pvm_gfn_t gfn, bool table)
{
	uint64_t bit = 1ull << gfn.v % PVM_MARK_BITS, index = gfn.v / PVM_MARK_BITS;
	uint64_t *word = table ? pvm_radix_make(mmu, &mmu->marks, index) : pvm_radix_find(&mmu->marks, index);

	if (!word)
		return;
	__atomic_store_n(word, table ? *word | bit : *word & ~bit, __ATOMIC_RELAXED);
}
