/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A sparse array that grows with the indices used. What is found by a frame
 * number is found here: no guest can make two frames collide, and a range of
 * frames is walked in order. Pages, once made, stay until the VM ends.
 */
#ifndef MMU_RADIX_H
#define MMU_RADIX_H

#include <pvm/host.h>

struct pvm_mmu;

struct pvm_radix {
	struct pvm_host_page root;
	uint8_t height;		/* 0: empty */
	uint8_t shift;		/* a bottom page has 1 << shift slots; set before the first use */
};

/* Host pages that pvm_radix_make() will take. */
uint32_t pvm_radix_missing(const struct pvm_radix *radix, uint64_t index);
/* The slot of @index, zeroed when it is new. */
void *pvm_radix_make(struct pvm_mmu *mmu, struct pvm_radix *radix, uint64_t index);
/* The slot of @index, or NULL. */
void *pvm_radix_find(const struct pvm_radix *radix, uint64_t index);
/* The first slot at *@index or later, below @end; NULL: none. Sets *@index to where
 * it is. Slots may be zero. */
void *pvm_radix_next(const struct pvm_radix *radix, uint64_t *index, uint64_t end);
void pvm_radix_destroy(struct pvm_mmu *mmu, struct pvm_radix *radix);

#endif /* MMU_RADIX_H */
