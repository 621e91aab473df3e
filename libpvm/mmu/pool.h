/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The MMU's own memory: host pages, and objects of one size cut from them.
 * Taking never fails: ask for what is missing, and fill the reserve, before.
 */
#ifndef MMU_POOL_H
#define MMU_POOL_H

#include <pvm/host.h>

#include "chain.h"

#define RESERVE_MAX	96	/* host pages kept at hand: the most that one fault can take */
#define RESERVE_GOAL	16	/* what is refilled before the lock is taken */

struct pvm_mmu;

/* Objects of one size in host pages. */
struct pvm_slab {
	struct pvm_list partial;		/* pages with free objects */
	uint32_t size;			/* bytes */
	uint32_t available;		/* free objects */
};

/* Have @pages (at most RESERVE_MAX) in the reserve. Outside the lock: no host page is
 * allocated under it. False: the host has not so many. */
bool pvm_pool_refill(struct pvm_mmu *mmu, uint32_t pages, enum pvm_sleep sleep);
/* A zeroed page of the reserve. */
struct pvm_host_page pvm_pool_take(struct pvm_mmu *mmu);
/* Back into the reserve, or to the host when that is full. */
void pvm_pool_give(struct pvm_mmu *mmu, struct pvm_host_page page);
/* To the host. */
void pvm_pool_free(struct pvm_mmu *mmu, struct pvm_host_page page);
void pvm_pool_drain(struct pvm_mmu *mmu);

void pvm_slab_init(struct pvm_slab *slab, uint32_t size);
/* Host pages that it takes to take so many objects. */
uint32_t pvm_slab_missing(const struct pvm_slab *slab, uint32_t objects);
/* A zeroed object. */
void *pvm_slab_take(struct pvm_mmu *mmu, struct pvm_slab *slab);
void pvm_slab_give(struct pvm_mmu *mmu, struct pvm_slab *slab, void *object);

#endif /* MMU_POOL_H */
