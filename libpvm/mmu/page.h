/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The life of a shadow page. page.c
 */
#ifndef MMU_PAGE_H
#define MMU_PAGE_H

#include "entry.h"

#define PVM_WAITING_MAX	32	/* dead pages that wait for a flush */

/* The first of the shadow pages made from @gfn; the others by same_next. Few: one for
 * each role that it is used in. */
static inline struct pvm_shadow_page *pvm_page_first(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	const uint32_t *id = pvm_radix_find(&mmu->tables, gfn.v);

	return id && *id ? pvm_page_of_id(mmu, *id) : NULL;
}

/* @range_gen: counts only for what was made for a vCPU's own range. */
struct pvm_shadow_page *pvm_page_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn,
				      union pvm_mmu_role role, uint64_t range_gen);
/* The next root made from the guest's table at @gfn, after @page (NULL: the first). */
static inline struct pvm_shadow_page *pvm_page_next_root(const struct pvm_mmu *mmu,
							 struct pvm_shadow_page *page, pvm_gfn_t gfn)
{
	for (page = page ? page->same_next : pvm_page_first(mmu, gfn); page; page = page->same_next)
		if (pvm_page_is_root(mmu, page))
			return page;
	return NULL;
}

/* Must the guest not write this frame, because a shadow page mirrors it? */
bool pvm_page_tracked(const struct pvm_mmu *mmu, pvm_gfn_t gfn);
/* May a table be in the large page around @gfn? */
bool pvm_page_region_has_tables(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);

/* Are @tables more shadow pages allowed by config.max_shadow_pages? */
bool pvm_page_fits(const struct pvm_mmu *mmu, uint32_t tables);
/* Host pages that so many new shadow pages take, and what one from @gfn takes beside. */
uint32_t pvm_page_missing(const struct pvm_mmu *mmu, uint32_t tables);
uint32_t pvm_page_missing_for(const struct pvm_mmu *mmu, pvm_gfn_t gfn);
/* An empty shadow page. Nothing protects its table yet: pvm_track_new() does. */
struct pvm_shadow_page *pvm_page_new(struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role,
				     uint64_t range_gen);

/* It is in none of the lists of pages that are out of sync. */
void pvm_page_exact(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
/* Forget a shadow page. Not one that more entries link to than in_use() follows. */
void pvm_page_zap(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
/* The same for any page. False: it has fewer parents now; come again. */
bool pvm_page_zap_some(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
/* A vCPU's slot holds this root no longer. */
void pvm_page_unload(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
/* Give a dead or dying page's memory back. No CPU walks it. */
void pvm_page_release(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
/* Free what only waited for a flush. False: nothing did. */
bool pvm_page_free_waiting(struct pvm_mmu *mmu);
/* Take pages away that were not used for long, about @count. False: nothing could go. */
bool pvm_page_evict(struct pvm_mmu *mmu, uint32_t count);
/* At the end of every call: no flush that is due stays undone. */
void pvm_page_finish_due(struct pvm_mmu *mmu);

static inline void pvm_page_finish(struct pvm_mmu *mmu)
{
	if (mmu->flush_due || mmu->waiting > PVM_WAITING_MAX || !pvm_list_empty(&mmu->idle))
		pvm_page_finish_due(mmu);
}

/* In a call that takes long: finish what is due, and let others have the lock, and the CPU where the call
 * may sleep (M12). */
void pvm_page_breathe(struct pvm_mmu *mmu, enum pvm_sleep sleep);

#endif /* MMU_PAGE_H */
