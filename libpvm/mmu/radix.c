/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A sparse array of pages below pages; see radix.h. Knows nothing of its slots. */
#include "radix.h"

#include "pool.h"

#define FANOUT_SHIFT	PVM_RADIX_FANOUT_SHIFT
#define FANOUT		PVM_RADIX_FANOUT
#define HEIGHT_MAX	8	/* of 64 bits of index and bottom pages of 512 slots */
#define LOOKS_MAX	64	/* pages that are not there, skipped in one call */

_Static_assert(sizeof(struct pvm_host_page) * FANOUT == PVM_PAGE_SIZE, "a page of pages");

/* Indices that one slot of a page at this height covers, as a shift. */
static unsigned slot_shift(const struct pvm_radix *radix, unsigned height)
{
	return height == 1 ? 0 : radix->shift + FANOUT_SHIFT * (height - 2);
}

/* Height of a tree that holds @index. */
static unsigned height_for(const struct pvm_radix *radix, uint64_t index)
{
	unsigned height = 1;

	while (index >> slot_shift(radix, height + 1))
		height++;
	return height;
}

static struct pvm_host_page *below(const struct pvm_radix *radix, const struct pvm_host_page *page,
				   unsigned height, uint64_t index)
{
	return (struct pvm_host_page *)page->va +
		((index >> slot_shift(radix, height)) & (FANOUT - 1));
}

static void *bottom_slot(const struct pvm_radix *radix, const struct pvm_host_page *page, uint64_t index)
{
	uint64_t slot = index & ((1u << radix->shift) - 1);

	return (char *)page->va + slot * (PVM_PAGE_SIZE >> radix->shift);
}

uint32_t pvm_radix_missing(const struct pvm_radix *radix, uint64_t index)
{
	unsigned height = height_for(radix, index);
	const struct pvm_host_page *page = &radix->root;

	if (!radix->height)
		return height;
	if (height > radix->height)
		return height - radix->height + height - 1;
	for (height = radix->height; height > 1; height--) {
		page = below(radix, page, height, index);
		if (!page->va)
			return height - 1;
	}
	return 0;
}

void *pvm_radix_make(struct pvm_mmu *mmu, struct pvm_radix *radix, uint64_t index)
{
	struct pvm_host_page *page = &radix->root;
	void *slot = pvm_radix_find(radix, index);
	unsigned height;

	if (slot)
		return slot;
	height = height_for(radix, index);

	if (!radix->height) {
		radix->root = pvm_pool_take(mmu);
		radix->height = (uint8_t)height;
	}
	while (radix->height < height) {
		struct pvm_host_page top = pvm_pool_take(mmu);

		*(struct pvm_host_page *)top.va = radix->root;
		radix->root = top;
		radix->height++;
	}
	for (height = radix->height; height > 1; height--) {
		page = below(radix, page, height, index);
		if (!page->va)
			*page = pvm_pool_take(mmu);
	}
	return bottom_slot(radix, page, index);
}

void *pvm_radix_next(const struct pvm_radix *radix, uint64_t *index, uint64_t end)
{
	unsigned looks;

	for (looks = 0; looks < LOOKS_MAX; looks++) {
		const struct pvm_host_page *page = &radix->root;
		unsigned height;

		if (*index >= end || !radix->height ||
		    *index >> slot_shift(radix, radix->height + 1u)) {
			*index = end;
			return NULL;
		}

		for (height = radix->height; height > 1; height--) {
			page = below(radix, page, height, *index);
			if (!page->va)
				break;
		}
		if (height == 1)
			return bottom_slot(radix, page, *index);
		*index = ((*index >> slot_shift(radix, height)) + 1) << slot_shift(radix, height);
	}
	return NULL;
}

void *pvm_radix_find_high(const struct pvm_radix *radix, uint64_t index)
{
	const struct pvm_host_page *page = &radix->root;
	unsigned height = radix->height;

	if (!height || index >> slot_shift(radix, height + 1))
		return NULL;
	for (; height > 1; height--) {
		page = below(radix, page, height, index);
		if (!page->va)
			return NULL;
	}
	return bottom_slot(radix, page, index);
}

/* Are all words of the page zero, from the first slot or from the second on? */
static bool is_empty(struct pvm_host_page page, size_t from)
{
	const uint64_t *word = page.va;
	size_t i;

	for (i = from / sizeof(*word); i < PVM_PAGE_SIZE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* Upper pages over nothing but the lowest page below them. */
static void lower(struct pvm_mmu *mmu, struct pvm_radix *radix)
{
	while (radix->height > 1 && is_empty(radix->root, sizeof(struct pvm_host_page))) {
		struct pvm_host_page top = radix->root;

		radix->root = *(struct pvm_host_page *)top.va;
		radix->height--;
		pvm_pool_give(mmu, top);
	}
}

void pvm_radix_trim(struct pvm_mmu *mmu, struct pvm_radix *radix, uint64_t index)
{
	struct pvm_host_page *path[HEIGHT_MAX + 1], *page = &radix->root;
	unsigned height = radix->height;

	if (!height || index >> slot_shift(radix, height + 1))
		return;
	for (; height > 1; height--) {
		path[height] = page;
		page = below(radix, page, height, index);
		if (!page->va)
			return;
	}
	path[1] = page;
	for (; height <= radix->height && is_empty(*path[height], 0); height++) {
		pvm_pool_give(mmu, *path[height]);
		*path[height] = (struct pvm_host_page){ 0 };
	}
	if (radix->root.va)
		lower(mmu, radix);
	else
		radix->height = 0;
}

static void destroy_below(struct pvm_mmu *mmu, struct pvm_host_page page, unsigned height)
{
	const struct pvm_host_page *slot = page.va;
	unsigned i;

	for (i = 0; height > 1 && i < FANOUT; i++)
		if (slot[i].va)
			destroy_below(mmu, slot[i], height - 1);	/* at most five deep */
	pvm_pool_free(mmu, page);
}

void pvm_radix_destroy(struct pvm_mmu *mmu, struct pvm_radix *radix)
{
	if (radix->height)
		destroy_below(mmu, radix->root, radix->height);
	radix->height = 0;
}
