/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host changes guest memory: takes frames back, takes the right to write
 * them, has written into them. What is taken is out of reach of every vCPU
 * before the call returns (M10).
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "pte.h"
#include "shadow.h"

typedef void (*leaf_fn)(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, struct pvm_shadow_node *node);

/* The leaf goes; its page stays. */
static void take_leaf(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, struct pvm_shadow_node *node)
{
	unsigned index;
	struct pvm_shadow_page *page = pvm_node_entry(mmu, node, &index);

	pvm_tlb_batch_leaf(batch, page, index);
	pvm_entry_drop(mmu, page, index);
}

static void take_write(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, struct pvm_shadow_node *node)
{
	unsigned index;
	struct pvm_shadow_page *page = pvm_node_entry(mmu, node, &index);

	if (!(page->table[index] & PVM_PTE_W))
		return;
	pvm_tlb_batch_leaf(batch, page, index);
	PVM_WRITE_ONCE(page->table[index], page->table[index] & ~(PVM_PTE_W | PVM_PTE_D));
}

/* Every leaf that maps any of the frames, whatever its size. */
static void for_leaves(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, pvm_gfn_t gfn, uint64_t count,
		       leaf_fn fn)
{
	uint64_t last = gfn.v + count - 1;
	unsigned level;

	for (level = 1; level <= 3; level++) {
		unsigned shift = 9 * (level - 1);
		uint64_t index = gfn.v >> shift;
		struct pvm_shadow_node **head;

		for (; (head = pvm_rmap_next(mmu, level, &index, (last >> shift) + 1)); index++) {
			struct pvm_shadow_node *node = *head, *next;

			for (; node; node = next) {
				next = node->next;
				fn(mmu, batch, node);
			}
		}
	}
}

/* TLBs may hold frames that no leaf maps any more. */
static void batch_frames(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, pvm_gfn_t gfn, uint64_t count)
{
	uint64_t i;

	if (count >= STALE_BITS)
		batch->everything |= mmu->stale_some || mmu->stale_links;
	for (i = 0; count < STALE_BITS && i < count; i++)
		pvm_tlb_batch_frame(mmu, batch, pvm_gfn(gfn.v + i));
}

static bool range_is_sane(pvm_gfn_t gfn, uint64_t count)
{
	return count && gfn.v + count - 1 >= gfn.v;
}

/* Shadow pages made from tables in the range: their source is gone. */
static void zap_tables(struct pvm_mmu *mmu, pvm_gfn_t gfn, uint64_t count)
{
	struct pvm_list *link, *next;

	for (link = mmu->pages.next; link != &mmu->pages; link = next) {
		struct pvm_shadow_page *page = pvm_list_entry(link, struct pvm_shadow_page, link);

		next = link->next;
		if (page->gfn.v - gfn.v < count && page->role.guest_levels)
			pvm_page_zap(mmu, page);
	}
}

void pvm_mmu_unmap_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count)
{
	struct pvm_mmu *mmu = vm->mmu;
	struct pvm_tlb_batch batch = { 0 };

	if (!range_is_sane(gfn, count))
		return;
	vm->ops->mmu_lock(vm->host);
	mmu->frames_seq++;
	batch_frames(mmu, &batch, gfn, count);
	for_leaves(mmu, &batch, gfn, count, take_leaf);
	pvm_tlb_batch_flush(mmu, &batch);
	zap_tables(mmu, gfn, count);
	pvm_tlb_finish(mmu);
	vm->ops->mmu_unlock(vm->host);
}

void pvm_mmu_write_protect_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count)
{
	struct pvm_mmu *mmu = vm->mmu;
	struct pvm_tlb_batch batch = { 0 };

	if (!range_is_sane(gfn, count))
		return;
	vm->ops->mmu_lock(vm->host);
	mmu->frames_seq++;
	batch_frames(mmu, &batch, gfn, count);
	for_leaves(mmu, &batch, gfn, count, take_write);
	pvm_tlb_batch_flush(mmu, &batch);
	vm->ops->mmu_unlock(vm->host);
}

void pvm_mmu_host_wrote(struct pvm_vm *vm, pvm_gfn_t gfn)
{
	vm->ops->mmu_lock(vm->host);
	pvm_table_written(vm->mmu, gfn);
	pvm_tlb_finish(vm->mmu);
	vm->ops->mmu_unlock(vm->host);
}

uint32_t pvm_mmu_shrink(struct pvm_vm *vm, uint32_t target)
{
	struct pvm_mmu *mmu = vm->mmu;
	uint32_t left;

	vm->ops->mmu_lock(vm->host);
	mmu->clock++;
	pvm_page_free_waiting(mmu);
	while (mmu->stats.shadow_pages > target &&
	       pvm_page_evict(mmu, mmu->stats.shadow_pages - target))
		;
	pvm_pool_drain(mmu);
	left = mmu->stats.shadow_pages;
	vm->ops->mmu_unlock(vm->host);
	return left;
}
