/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The life of a shadow page: found by (gfn, level, role), made, used, zapped,
 * and freed once no CPU can walk it any more. Knows nothing of what its
 * entries mean.
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "pte.h"
#include "shadow.h"

struct pvm_shadow_page **pvm_page_bucket(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	unsigned hash = (unsigned)((gfn.v * 0x9e3779b97f4a7c15ull) >> 52);

	return (struct pvm_shadow_page **)mmu->hash[hash / POINTERS_PER_PAGE].va + hash % POINTERS_PER_PAGE;
}

_Static_assert(HASH_PAGES * POINTERS_PER_PAGE == 1u << (64 - 52), "the hash fills its pages");

struct pvm_shadow_page *pvm_page_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role)
{
	struct pvm_shadow_page *page;

	for (page = *pvm_page_bucket(mmu, gfn); page; page = page->hash_next)
		if (page->gfn.v == gfn.v && page->role.word == role.word)
			return page;
	return NULL;
}

/* Must the guest not write this frame, because a shadow page mirrors it? */
bool pvm_page_tracked(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	const struct pvm_shadow_page *page;

	for (page = *pvm_page_bucket(mmu, gfn); page; page = page->hash_next)
		if (page->gfn.v == gfn.v && !page->role.direct && !page->unsync)
			return true;
	return false;
}

/* Counters of shadowed tables by region; a collision only costs a large page. */
static uint32_t *region_counter(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	uint64_t region = gfn.v >> (9 * (level - 1));

	return (uint32_t *)mmu->region[level - 2].va + region % REGION_COUNTERS;
}

/* May a table be in the large page around @gfn? */
bool pvm_page_region_has_tables(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	return *region_counter(mmu, gfn, level);
}

static void hash_add(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	struct pvm_shadow_page **bucket = pvm_page_bucket(mmu, page->gfn);

	page->hash_next = *bucket;
	page->hash_pprev = bucket;
	if (page->hash_next)
		page->hash_next->hash_pprev = &page->hash_next;
	*bucket = page;
}

static void hash_del(struct pvm_shadow_page *page)
{
	*page->hash_pprev = page->hash_next;
	if (page->hash_next)
		page->hash_next->hash_pprev = page->hash_pprev;
}

/* Another shadow page of the same guest table, or NULL. */
static struct pvm_shadow_page *page_sibling(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_shadow_page *page;

	for (page = *pvm_page_bucket(mmu, gfn); page; page = page->hash_next)
		if (page->gfn.v == gfn.v && !page->role.direct)
			return page;
	return NULL;
}

/* An empty shadow page. Takes one host page and one object from page_slab. */
struct pvm_shadow_page *pvm_page_new(struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role)
{
	const struct pvm_vm_config *config = &mmu->vm->config;
	struct pvm_shadow_page *page = pvm_slab_take(mmu, &mmu->page_slab);
	struct pvm_shadow_page *sibling = page_sibling(mmu, gfn);

	page->host = pvm_pool_take(mmu);
	page->table = page->host.va;
	page->gfn = gfn;
	page->role = role;
	page->used = page->queued = mmu->clock;
	if (pvm_page_is_root(mmu, page) && config->switcher_entry)
		page->table[config->switcher_slot] = config->switcher_entry & ~PVM_PTE_U; /* M1 */
	pvm_list_init(&page->unsync_link);
	pvm_list_add(&page->link, &mmu->pages);
	mmu->live_count++;
	mmu->stats.shadow_pages++;
	if (!role.direct) {
		++*region_counter(mmu, gfn, 2);
		++*region_counter(mmu, gfn, 3);
		if (sibling && sibling->unsync)
			pvm_sync_lose(mmu, page);
		else if (!sibling)
			pvm_table_protect(mmu, gfn);
	}
	hash_add(mmu, page);
	return page;
}

static void drop_parents(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	while (page->parents) {
		unsigned index;
		struct pvm_shadow_page *parent = pvm_node_entry(mmu, page->parents, &index);

		pvm_entry_clear(mmu, parent, index);
	}
}

static void drop_entries(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	unsigned c, i;

	for (c = 0; c < CHUNKS_PER_PAGE; c++)
		for (i = 0; page->chunk[c] && i < NODES_PER_CHUNK; i++)
			pvm_entry_clear(mmu, page, c * NODES_PER_CHUNK + i);
}

/*
 * Forget a shadow page. It is empty at once and no table links to it; its
 * memory waits for pvm_tlb_flush_everything(), because a CPU may have cached where
 * it is.
 */
void pvm_page_zap(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	drop_parents(mmu, page);
	drop_entries(mmu, page);
	hash_del(page);
	pvm_list_del(&page->unsync_link);
	if (!page->role.direct) {
		--*region_counter(mmu, page->gfn, 2);
		--*region_counter(mmu, page->gfn, 3);
	}
	page->dead = true;
	pvm_list_move(&page->link, &mmu->dead);
	mmu->live_count--;
	mmu->dead_count++;
	mmu->stats.zaps++;
}

/* Give a dead or dying page's memory back. No CPU walks it. */
void pvm_page_release(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	pvm_list_del(&page->link);
	mmu->stats.shadow_pages--;
	pvm_pool_give(mmu, page->host);
	pvm_slab_give(mmu, &mmu->page_slab, page);
}

/* After a flush of everything: free the dead, but for roots that are loaded. */
void pvm_page_reclaim(struct pvm_mmu *mmu)
{
	struct pvm_list *link, *next;

	for (link = mmu->dead.next; link != &mmu->dead; link = next) {
		struct pvm_shadow_page *page = pvm_list_entry(link, struct pvm_shadow_page, link);

		next = link->next;
		if (page->loaded)
			continue;
		if (pvm_page_is_root(mmu, page))
			pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
				.scope = PVM_FLUSH_ROOT, .root = page->host.pa, .root_dying = true });
		mmu->dead_count--;
		pvm_page_release(mmu, page);
	}
}

/* Free what only waited for a flush. False: nothing did. */
bool pvm_page_free_waiting(struct pvm_mmu *mmu)
{
	uint32_t before = mmu->dead_count;
	const struct pvm_list *link;

	for (link = mmu->dead.next; link != &mmu->dead; link = link->next) {
		if (!pvm_list_entry(link, struct pvm_shadow_page, link)->loaded) {
			pvm_tlb_flush_everything(mmu);
			break;
		}
	}
	return mmu->dead_count != before;
}

/*
 * Zap up to @count of the pages that were not used for longest and free them.
 * Roots that a vCPU has loaded and pages of the walk in progress (used now) stay.
 * Returns how many went.
 */
uint32_t pvm_page_evict(struct pvm_mmu *mmu, uint32_t count)
{
	uint32_t looked = 0, gone = 0, limit = 2 * mmu->live_count;

	while (gone < count && looked++ < limit && !pvm_list_empty(&mmu->pages)) {
		struct pvm_shadow_page *page = pvm_list_entry(mmu->pages.prev, struct pvm_shadow_page, link);

		if (page->loaded || page->used == mmu->clock || page->used != page->queued) {
			/* Used since it was queued: it has a second chance. */
			if (page->used != mmu->clock)
				page->queued = page->used;
			pvm_list_move(&page->link, &mmu->pages);
			continue;
		}
		pvm_page_zap(mmu, page);
		gone++;
	}
	if (gone)
		pvm_tlb_flush_everything(mmu);
	return gone;
}

/* Are @tables more shadow pages allowed by config.max_shadow_pages? */
bool pvm_page_fits(const struct pvm_mmu *mmu, uint32_t tables)
{
	uint32_t max = mmu->vm->config.max_shadow_pages;

	return !max || !tables || mmu->live_count + mmu->dead_count + tables <= max;
}
