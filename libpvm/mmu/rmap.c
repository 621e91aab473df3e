/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * From a guest frame to all shadow leaves that map it: one radix tree of list
 * heads for each size of leaf. A head page, once made, stays until the VM ends:
 * they are bounded by the guest memory that was ever mapped (0.2 % of it).
 * This file only finds heads; entry.c puts nodes into the lists.
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "pte.h"
#include "shadow.h"

#define HEADS_SHIFT	9	/* heads in a bottom page */
#define FANOUT_SHIFT	8	/* pages below an upper page: { va, pa } each */
#define FANOUT		(1u << FANOUT_SHIFT)

_Static_assert((sizeof(struct pvm_shadow_node *) << HEADS_SHIFT) == PVM_PAGE_SIZE, "a page of heads");
_Static_assert(sizeof(struct pvm_host_page) * FANOUT == PVM_PAGE_SIZE, "a page of pages");

static uint64_t frame_index(pvm_gfn_t gfn, unsigned level)
{
	return gfn.v >> (9 * (level - 1));
}

/* Indices that one slot of a page at this height covers, as a shift. */
static unsigned slot_shift(unsigned height)
{
	return height == 1 ? 0 : HEADS_SHIFT + FANOUT_SHIFT * (height - 2);
}

/* Height of a tree that holds @index. */
static unsigned height_for(uint64_t index)
{
	unsigned height = 1;

	while (index >> slot_shift(height + 1))
		height++;
	return height;
}

static struct pvm_host_page *slot_of(const struct pvm_host_page *page, unsigned height, uint64_t index)
{
	return (struct pvm_host_page *)page->va + ((index >> slot_shift(height)) & (FANOUT - 1));
}

/* Host pages that pvm_rmap_make() will take. */
uint32_t pvm_rmap_missing(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	const struct pvm_radix *radix = &mmu->rmap[level - 1];
	uint64_t index = frame_index(gfn, level);
	unsigned height = height_for(index);
	const struct pvm_host_page *page = &radix->root;

	if (!radix->height)
		return height;
	if (height > radix->height)
		return height - radix->height + height - 1;
	for (height = radix->height; height > 1; height--) {
		page = slot_of(page, height, index);
		if (!page->va)
			return height - 1;
	}
	return 0;
}

struct pvm_shadow_node **pvm_rmap_make(struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	struct pvm_radix *radix = &mmu->rmap[level - 1];
	uint64_t index = frame_index(gfn, level);
	unsigned height = height_for(index);
	struct pvm_host_page *page = &radix->root;

	if (!radix->height) {
		radix->root = pvm_pool_take(mmu);
		radix->height = height;
	}
	while (radix->height < height) {
		struct pvm_host_page top = pvm_pool_take(mmu);

		*(struct pvm_host_page *)top.va = radix->root;
		radix->root = top;
		radix->height++;
	}
	for (height = radix->height; height > 1; height--) {
		page = slot_of(page, height, index);
		if (!page->va)
			*page = pvm_pool_take(mmu);
	}
	return (struct pvm_shadow_node **)page->va + (index & ((1u << HEADS_SHIFT) - 1));
}

/* The first head at *@index or later, below @end; NULL: none. Sets *@index to
 * where it is. Heads may be empty. */
struct pvm_shadow_node **pvm_rmap_next(const struct pvm_mmu *mmu, unsigned level, uint64_t *index,
				       uint64_t end)
{
	const struct pvm_radix *radix = &mmu->rmap[level - 1];

	if (!radix->height)
		return NULL;
	while (*index < end && !(*index >> slot_shift(radix->height + 1))) {
		const struct pvm_host_page *page = &radix->root;
		unsigned height;

		for (height = radix->height; height > 1; height--) {
			page = slot_of(page, height, *index);
			if (!page->va)
				break;
		}
		if (height == 1)
			return (struct pvm_shadow_node **)page->va + (*index & ((1u << HEADS_SHIFT) - 1));
		*index = ((*index >> slot_shift(height)) + 1) << slot_shift(height);
	}
	return NULL;
}

struct pvm_shadow_node **pvm_rmap_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	uint64_t index = frame_index(gfn, level);

	return pvm_rmap_next(mmu, level, &index, index + 1);
}

static void destroy_below(struct pvm_mmu *mmu, struct pvm_host_page page, unsigned height)
{
	const struct pvm_host_page *slot = page.va;
	unsigned i;

	for (i = 0; height > 1 && i < FANOUT; i++)
		if (slot[i].va)
			destroy_below(mmu, slot[i], height - 1);	/* at most five deep */
	mmu->vm->ops->page_free(mmu->vm->host, page);
}

void pvm_rmap_destroy(struct pvm_mmu *mmu)
{
	unsigned level;

	for (level = 1; level <= 3; level++)
		if (mmu->rmap[level - 1].height)
			destroy_below(mmu, mmu->rmap[level - 1].root, mmu->rmap[level - 1].height);
}
