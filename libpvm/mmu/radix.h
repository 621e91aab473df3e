/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A sparse array that grows with the indices used. What is found by a frame
 * number is found here: no guest can make two frames collide, and a range of
 * frames is walked in order. Pages in which nothing is left stay until pvm_radix_trim().
 */
#ifndef MMU_RADIX_H
#define MMU_RADIX_H

#include <pvm/host.h>
#include <pvm/x86.h>

struct pvm_mmu;

#define PVM_RADIX_FANOUT_SHIFT	8	/* pages below an upper page: { va, pa } each */
#define PVM_RADIX_FANOUT	(1u << PVM_RADIX_FANOUT_SHIFT)

struct pvm_radix {
	struct pvm_host_page root;
	uint8_t height;		/* 0: empty */
	uint8_t shift;		/* a bottom page has 1 << shift slots; set before the first use */
};

/* Host pages that pvm_radix_make() will take. */
uint32_t pvm_radix_missing(const struct pvm_radix *radix, uint64_t index);
/* The slot of @index, zeroed when it is new. */
void *pvm_radix_make(struct pvm_mmu *mmu, struct pvm_radix *radix, uint64_t index);
/* The slot of @index, or NULL, where the array is higher than two pages. */
void *pvm_radix_find_high(const struct pvm_radix *radix, uint64_t index);

/* The slot of @index, or NULL. Hot: two pages are enough for a guest of 1 GiB. */
static inline void *pvm_radix_find(const struct pvm_radix *radix, uint64_t index)
{
	const struct pvm_host_page *page = &radix->root;
	uint64_t bottom = index >> radix->shift;

	if (radix->height == 2 && bottom < PVM_RADIX_FANOUT)
		page = (const struct pvm_host_page *)page->va + bottom;
	else if (radix->height != 1 || bottom)
		return pvm_radix_find_high(radix, index);
	if (!page->va)
		return NULL;
	return (char *)page->va + ((index << (PVM_PAGE_SHIFT - radix->shift)) & (PVM_PAGE_SIZE - 1));
}

/* The first slot at *@index or later, below @end, and *@index where it is; slots may be zero.
 * NULL: none so far: *@index is where to go on, @end when there is none (M12: what is not
 * there is skipped in many calls). */
void *pvm_radix_next(const struct pvm_radix *radix, uint64_t *index, uint64_t end);
/* Give back the pages on the way to @index in which every slot is zero. Slots found before, near
 * it or not, and what pvm_radix_missing() said, are worth nothing after that. */
void pvm_radix_trim(struct pvm_mmu *mmu, struct pvm_radix *radix, uint64_t index);
void pvm_radix_destroy(struct pvm_mmu *mmu, struct pvm_radix *radix);

#endif /* MMU_RADIX_H */
