/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Flushing leaves that lose rights or go: each by its address, as long as there are
 * few and each has one address, else everything.
 */
#include "batch.h"

#include "entry.h"
#include "tlb.h"

/* Parents looked at before an address counts as not unique. */
#define ADDRESS_BUDGET 32

/*
 * The one address at which a page's first entry is reached, from all roots.
 * Returns 0: it is not reachable; 1: *@gva; 2: at several, or too many to tell.
 */
static unsigned page_address(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page,
			     unsigned *budget, uint64_t *gva)
{
	uint32_t ref;
	unsigned found = 0;

	*gva = 0;
	if (pvm_page_is_root(mmu, page))
		return 1;
	for (ref = page->parents; ref; ref = pvm_ref_next(mmu, ref)) {
		unsigned index, up;
		const struct pvm_shadow_page *parent = pvm_ref_page(mmu, ref, &index);
		uint64_t base;

		if (!(*budget)--)
			return 2;
		up = page_address(mmu, parent, budget, &base);
		if (!up)
			continue;
		base += (uint64_t)index << PVM_LEVEL_SHIFT(parent->role.level);
		if (up == 2 || (found && base != *gva))
			return 2;
		*gva = base;
		found = 1;
	}
	return found;
}

/* Forget one leaf on all vCPUs, without touching anything else if possible. */
static bool flush_leaf(struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index,
		       unsigned level)
{
	unsigned shift = PVM_LEVEL_SHIFT(mmu->host_levels + 1), budget = ADDRESS_BUDGET, found;
	uint64_t gva;

	found = page_address(mmu, page, &budget, &gva);
	if (found == 2)
		return false;
	if (!found)
		return true;
	gva += (uint64_t)index << PVM_LEVEL_SHIFT(level);
	if (gva >> (shift - 1))
		gva |= ~0ull << shift;	/* canonical */
	pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_GVA, .root = { PVM_INVALID_ADDR },
		.gva = { gva }, .level = (uint8_t)level });
	return true;
}

void pvm_tlb_batch_frame(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, pvm_gfn_t gfn)
{
	batch->everything |= pvm_tlb_may_hold(mmu, gfn);
}

void pvm_tlb_batch_leaf(struct pvm_tlb_batch *batch, struct pvm_shadow_page *page, unsigned index)
{
	if (batch->count == TLB_BATCH) {
		batch->everything = true;
		return;
	}
	batch->leaf[batch->count].page = page;
	batch->leaf[batch->count].index = (uint16_t)index;
	batch->leaf[batch->count].level = page->role.level;
	batch->count++;
}

void pvm_tlb_batch_flush(struct pvm_mmu *mmu, const struct pvm_tlb_batch *batch)
{
	bool exact = !batch->everything;
	unsigned i;

	for (i = 0; exact && i < batch->count; i++)
		exact = flush_leaf(mmu, batch->leaf[i].page, batch->leaf[i].index, batch->leaf[i].level);
	if (!exact)
		pvm_tlb_flush_everything(mmu);
}
