/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The life of a shadow page: found by (gfn, level, role), made, used, zapped,
 * and freed once no CPU can walk it any more. Knows nothing of what its
 * entries mean.
 */
#include "page.h"

#include "entry.h"
#include "lock.h"
#include "tlb.h"

#define FREE_MAX	64	/* freed by one call; there are never many more */
#define PARENTS_MAX	64	/* unlinked in one hold of the lock */
#define EVICT_LOOKS	64	/* pages that one eviction passes over */

/* Ranges other than the widest are one vCPU's, as long as it keeps them. */
static uint64_t range_gen_of(union pvm_mmu_role role, uint64_t range_gen)
{
	return role.range > 1 ? range_gen : 0;
}

struct pvm_shadow_page *pvm_page_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn,
				      union pvm_mmu_role role, uint64_t range_gen)
{
	struct pvm_shadow_page *page;

	for (page = pvm_page_first(mmu, gfn); page; page = page->same_next)
		if (page->role.word == role.word && page->range_gen == range_gen_of(role, range_gen))
			return page;
	return NULL;
}

bool pvm_page_tracked(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	const struct pvm_shadow_page *page;

	for (page = pvm_page_first(mmu, gfn); page; page = page->same_next)
		if (!page->role.direct && !page->unsync)
			return true;
	return false;
}

/* Counters of shadowed tables by region; a collision only costs a large page. */
static uint32_t *region_counter(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	uint64_t region = gfn.v >> (9 * (level - 1));

	return (uint32_t *)mmu->region[level - 2].va + region % REGION_COUNTERS;
}

bool pvm_page_region_has_tables(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	return *region_counter(mmu, gfn, level);
}

static void list_same(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	uint32_t *first = pvm_radix_make(mmu, &mmu->tables, page->gfn.v);

	page->same_next = *first ? pvm_page_of_id(mmu, *first) : NULL;
	if (page->same_next)
		page->same_next->same_prev = page;
	*first = page->id;
}

static void unlist_same(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	if (page->same_prev)
		page->same_prev->same_next = page->same_next;
	else
		*(uint32_t *)pvm_radix_find(&mmu->tables, page->gfn.v) =
			page->same_next ? page->same_next->id : 0;
	if (page->same_next)
		page->same_next->same_prev = page->same_prev;
}

/* A slot of mmu->ids: a pointer to a page, or, odd, what is free after it. */
static void take_id(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	uintptr_t *slot;

	page->id = mmu->free_id ? mmu->free_id : ++mmu->last_id;
	slot = pvm_radix_make(mmu, &mmu->ids, page->id);
	mmu->free_id = (uint32_t)(*slot >> 1);
	*slot = (uintptr_t)page;
}

static void give_id(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	uintptr_t *slot = pvm_radix_find(&mmu->ids, page->id);

	*slot = (uintptr_t)mmu->free_id << 1 | 1;
	mmu->free_id = page->id;
}

uint32_t pvm_page_missing(const struct pvm_mmu *mmu, uint32_t tables)
{
	if (!tables)
		return 0;
	return tables + pvm_slab_missing(&mmu->page_slab, tables) +
		pvm_radix_missing(&mmu->ids, (uint64_t)mmu->last_id + tables);
}

uint32_t pvm_page_missing_for(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	return pvm_radix_missing(&mmu->tables, gfn.v);
}

/* What the vCPU made of this table for a range that it has no longer. */
static void zap_former(struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role, uint64_t range_gen)
{
	struct pvm_shadow_page *page, *next;

	for (page = role.range > 1 ? pvm_page_first(mmu, gfn) : NULL; page; page = next) {
		next = page->same_next;
		if (page->role.word == role.word && page->range_gen != range_gen)
			pvm_page_zap_some(mmu, page);
	}
}

struct pvm_shadow_page *pvm_page_new(struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role,
				     uint64_t range_gen)
{
	const struct pvm_vm_config *config = &mmu->vm->config;
	struct pvm_shadow_page *page = pvm_slab_take(mmu, &mmu->page_slab);

	page->host = pvm_pool_take(mmu);
	page->table = page->host.va;
	page->gfn = gfn;
	page->role = role;
	page->range_gen = range_gen_of(role, range_gen);
	page->used = page->queued = mmu->use_clock;
	if (pvm_page_is_root(mmu, page))
		page->table[config->switcher_slot] = pvm_entry_switchers(mmu, page, config->switcher_slot);
	if (role.last_slot)
		page->table[config->switcher_pml4_slot] =
			pvm_entry_switchers(mmu, page, config->switcher_pml4_slot);
	if (config->xen.m2p_entry && !role.user_root && pvm_page_has_pml4_slots(mmu, page))
		page->table[config->xen.m2p_slot] = pvm_entry_fixed(mmu, page, config->xen.m2p_slot);
	pvm_list_init(&page->unsync_link);
	pvm_list_init(&page->wide_link);
	pvm_list_init(&page->harden_link);
	pvm_list_add(&page->link, &mmu->pages);
	mmu->live_count++;
	mmu->stats.shadow_pages++;
	if (!role.direct) {
		++*region_counter(mmu, gfn, 2);
		++*region_counter(mmu, gfn, 3);
	}
	zap_former(mmu, gfn, role, page->range_gen);
	take_id(mmu, page);
	list_same(mmu, page);
	return page;
}

/* True: all are gone. */
static bool drop_parents(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned count)
{
	while (page->parents && count--) {
		unsigned index;
		struct pvm_shadow_page *parent = pvm_ref_page(mmu, page->parents, &index);

		mmu->steps++;
		pvm_entry_clear(mmu, parent, index);
	}
	return !page->parents;
}

static void drop_entries(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	unsigned c, i;

	for (c = 0; c < CHUNKS_PER_PAGE; c++)
		for (i = 0; page->values[c] && i < CHUNK_ENTRIES; i++)
			pvm_entry_clear(mmu, page, c * CHUNK_ENTRIES + i);
}

void pvm_page_exact(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	mmu->wide_count -= page->wide;
	mmu->unsync_upper -= page->unsync && page->role.level > 1;
	page->unsync = page->wide = false;
	pvm_list_del(&page->unsync_link);
	pvm_list_del(&page->wide_link);
	pvm_list_del(&page->harden_link);
}

static void wait_for_flush(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	pvm_list_add(&page->link, &mmu->dead);
	mmu->waiting++;
}

/*
 * It is empty at once and no table links to it; its memory waits for
 * pvm_tlb_flush_everything(), because a CPU may have cached where it is, and, a
 * root, until no vCPU has it loaded.
 */
void pvm_page_zap(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	drop_parents(mmu, page, ~0u);
	drop_entries(mmu, page);
	unlist_same(mmu, page);
	pvm_page_exact(mmu, page);
	if (!page->role.direct) {
		--*region_counter(mmu, page->gfn, 2);
		--*region_counter(mmu, page->gfn, 3);
	}
	page->dead = true;
	pvm_list_del(&page->link);
	if (!page->loaded)
		wait_for_flush(mmu, page);
	mmu->live_count--;
	mmu->dead_count++;
	mmu->stats.zaps++;
}

bool pvm_page_zap_some(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	if (!drop_parents(mmu, page, PARENTS_MAX))
		return false;
	pvm_page_zap(mmu, page);
	return true;
}

void pvm_page_unload(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	if (!--page->loaded && page->dead)
		wait_for_flush(mmu, page);
}

void pvm_page_release(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	pvm_list_del(&page->link);
	mmu->stats.shadow_pages--;
	give_id(mmu, page);
	pvm_entry_free_all(mmu, page);
	pvm_pool_give(mmu, page->host);
	pvm_slab_give(mmu, &mmu->page_slab, page);
}

static bool free_idle(struct pvm_mmu *mmu, uint32_t count)
{
	bool some = !pvm_list_empty(&mmu->idle);

	while (count-- && !pvm_list_empty(&mmu->idle)) {
		struct pvm_shadow_page *page =
			pvm_list_entry(mmu->idle.next, struct pvm_shadow_page, link);

		if (pvm_page_is_root(mmu, page))
			pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
				.scope = PVM_FLUSH_ROOT, .root = page->host.pa, .root_dying = true });
		mmu->dead_count--;
		pvm_page_release(mmu, page);
	}
	return some;
}

bool pvm_page_free_waiting(struct pvm_mmu *mmu)
{
	if (!pvm_list_empty(&mmu->dead))
		pvm_tlb_flush_everything(mmu);
	return free_idle(mmu, FREE_MAX);
}

void pvm_page_finish_due(struct pvm_mmu *mmu)
{
	if (mmu->flush_due || mmu->waiting > PVM_WAITING_MAX)
		pvm_tlb_flush_everything(mmu);
	free_idle(mmu, FREE_MAX);
}

void pvm_page_breathe(struct pvm_mmu *mmu, enum pvm_sleep sleep)
{
	struct pvm_vm *vm = mmu->vm;

	pvm_page_finish(mmu);
	pvm_unlock(vm);
	pvm_yield(vm, sleep);
	pvm_lock(vm);
}

/* May the page at the end of the list go? Moves it to the front if not. */
static bool may_evict(struct pvm_mmu *mmu, struct pvm_shadow_page *page, bool second_chance)
{
	bool needed = page->loaded || page->used == mmu->use_clock;	/* of the walk in progress */

	if (!needed && !(second_chance && page->used != page->queued))
		return true;
	if (!needed)
		page->queued = page->used;
	pvm_list_move(&page->link, &mmu->pages);
	return false;
}

/* Pages used since they were queued are passed over, but not for ever (M12). */
bool pvm_page_evict(struct pvm_mmu *mmu, uint32_t count)
{
	uint32_t looked, gone = 0, limit = 2 * EVICT_LOOKS + 2 * mmu->vcpus + MAX_LEVELS;

	for (looked = 0; looked < limit && gone < count && !pvm_list_empty(&mmu->pages); looked++) {
		struct pvm_shadow_page *page =
			pvm_list_entry(mmu->pages.prev, struct pvm_shadow_page, link);

		mmu->steps++;
		if (!may_evict(mmu, page, looked < EVICT_LOOKS))
			continue;
		gone++;
		if (!pvm_page_zap_some(mmu, page))
			break;
		/* Of memory that is gone, perhaps: host.c did not see to it, if it only maps that. */
		pvm_radix_trim(mmu, &mmu->tables, page->gfn.v);
	}
	if (gone)
		pvm_page_free_waiting(mmu);
	return gone;
}

bool pvm_page_fits(const struct pvm_mmu *mmu, uint32_t tables)
{
	uint32_t max = mmu->vm->config.max_shadow_pages;

	if (!max || max > PAGES_MAX)
		max = PAGES_MAX;
	return !tables || mmu->live_count + mmu->dead_count + tables <= max;
}
