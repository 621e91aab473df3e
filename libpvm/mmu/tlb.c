/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the executor must forget, and what it may still remember. An entry that
 * is taken away on behalf of one vCPU's flush stays in other TLBs; the frame is
 * noted here, so that taking it back later flushes those as well (M10). Owns
 * every call of tlb_flush().
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "pte.h"
#include "shadow.h"

/* Parents looked at before an address counts as not unique. */
#define ADDRESS_BUDGET 32

void pvm_tlb_tell(struct pvm_mmu *mmu, const struct pvm_tlb_flush *flush)
{
	struct pvm_vm *vm = mmu->vm;
	uint64_t gva = flush->scope == PVM_FLUSH_GVA ? flush->gva.v : PVM_INVALID_ADDR;
	uint64_t root = flush->scope == PVM_FLUSH_ALL ? PVM_INVALID_ADDR : flush->root.v;

	mmu->stats.flushes++;
	pvm_trace(vm, flush->vcpu ? flush->vcpu->id : ~0u, PVM_TRACE_FLUSH, flush->scope, gva, root, 0);
	vm->ops->tlb_flush(vm->host, flush);
}

/* All vCPUs, all roots: afterwards no TLB holds what no shadow entry says, and
 * no CPU walks a dead page. */
void pvm_tlb_flush_everything(struct pvm_mmu *mmu)
{
	pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ALL, .root = { PVM_INVALID_ADDR } });
	if (mmu->stale_some)
		memset(mmu->stale, 0, sizeof(mmu->stale));
	mmu->stale_some = mmu->stale_links = mmu->flush_due = false;
	pvm_page_reclaim(mmu);
}

/* An entry is about to lose rights or to go, and not every TLB will be told. */
void pvm_tlb_note(struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index)
{
	const struct pvm_shadow_page *child = pvm_entry_child(page, index);
	uint64_t gfn;

	if (child) {
		mmu->stale_links = true;
		/* INVLPG of one address must hit all pieces of a large page, which
		 * nobody will know any more. */
		mmu->flush_due |= child->role.direct || child->role.level > 1;
	} else if (page->role.level > 1) {
		mmu->stale_links = mmu->flush_due = true;
	} else {
		gfn = pvm_entry_node(page, index)->gfn.v;
		mmu->stale[gfn % STALE_BITS / 64] |= 1ull << (gfn % 64);
		mmu->stale_some = true;
	}
}

/*
 * The one address at which a page's first entry is reached, from all roots.
 * Returns 0: it is not reachable; 1: *@gva; 2: at several, or too many to tell.
 */
static unsigned page_address(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page,
			     unsigned *budget, uint64_t *gva)
{
	const struct pvm_shadow_node *node;
	unsigned found = 0;

	*gva = 0;
	if (pvm_page_is_root(mmu, page))
		return 1;
	for (node = page->parents; node; node = node->next) {
		unsigned index, up;
		const struct pvm_shadow_page *parent = pvm_node_entry(mmu, node, &index);
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

/* A frame's leaves are about to lose rights: may TLBs hold older ones? */
void pvm_tlb_batch_frame(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, pvm_gfn_t gfn)
{
	batch->everything |= mmu->stale_links ||
		(mmu->stale[gfn.v % STALE_BITS / 64] >> (gfn.v % 64) & 1);
}

/* This leaf has lost rights, or is about to go. */
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

/* Complete when it returns: no TLB holds a right that was taken (M10). */
void pvm_tlb_batch_flush(struct pvm_mmu *mmu, const struct pvm_tlb_batch *batch)
{
	bool exact = !batch->everything;
	unsigned i;

	for (i = 0; exact && i < batch->count; i++)
		exact = flush_leaf(mmu, batch->leaf[i].page, batch->leaf[i].index, batch->leaf[i].level);
	if (!exact)
		pvm_tlb_flush_everything(mmu);
}

/* At the end of every call: nothing that is due stays undone. */
void pvm_tlb_finish(struct pvm_mmu *mmu)
{
	if (mmu->flush_due || mmu->dead_count > DEAD_MAX)
		pvm_tlb_flush_everything(mmu);
}
