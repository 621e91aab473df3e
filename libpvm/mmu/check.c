/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The rules of the shadow tables, checked one by one over everything there is.
 * Changes nothing; slow; for tests and debugging.
 */
#include <pvm/mmu.h>

#include "entry.h"
#include "internal.h"
#include "lock.h"
#include "page.h"
#include "sync.h"

static bool index_in(unsigned index, unsigned start, unsigned end)
{
	return index >= start && index < end;
}

/* May this entry of a root, or of the page below the last slot, be the guest's? */
static bool slot_legal(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index)
{
	const struct pvm_linear_range *range = &mmu->vm->config.range;

	if (page->role.last_slot)
		return index_in(index, range->pml4_start, range->pml4_end);
	if (!pvm_page_is_root(mmu, page))
		return true;
	if (index < PVM_PTES_PER_TABLE / 2)
		return !page->role.direct || index == 0;
	if (page->role.level == 4)
		return index_in(index, range->pml4_start, range->pml4_end);
	return index == PVM_PTES_PER_TABLE - 1 ||
		(!page->role.direct && index_in(index, range->pml5_start, range->pml5_end));
}

static const char *check_leaf(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index)
{
	unsigned level = page->role.level;
	uint64_t entry = page->table[index], i, frames = pvm_level_frames(level);
	pvm_gfn_t gfn = pvm_entry_gfn(page, index);
	const struct pvm_shadow_page *other;
	struct pvm_frame frame;
	int rc = mmu->vm->ops->gfn_to_frame(mmu->vm->host, gfn, false, PVM_NO_SLEEP, &frame);

	if (rc == PVM_ENOENT || rc == PVM_EFAULT ||
	    (rc == PVM_OK && ((frame.pa.v ^ entry) & PVM_PTE_ADDR_MASK & ~(PVM_LEVEL_SIZE(level) - 1))))
		return "M2: a leaf maps what is not the guest's memory at that address";
	if (page->role.direct && pvm_pte_key(entry) != page->role.key)
		return "M8: a piece of a large page has another protection key";
	if (!(entry & PVM_PTE_W))
		return NULL;
	if (level == 1)
		return pvm_page_tracked(mmu, gfn) ? "M9: a shadowed table is writable" : NULL;
	for (i = 0; i < frames && pvm_page_region_has_tables(mmu, gfn, level); i++)
		for (other = pvm_page_first(mmu, pvm_gfn(gfn.v + i)); other; other = other->same_next)
			if (!other->role.direct && !other->unsync)
				return "M9: a shadowed table is writable by a large page";
	return NULL;
}

static const char *check_link(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index)
{
	uint64_t entry = page->table[index];
	const struct pvm_shadow_page *child = pvm_entry_child(mmu, page, index);

	if (child->dead || child->role.level != page->role.level - 1u ||
	    child->host.pa.v != (entry & PVM_PTE_ADDR_MASK))
		return "M2: a link does not point to the shadow page it stands for";
	if (child->role.user_root != page->role.user_root || child->role.us != page->role.us)
		return "M3: a page is shared by the roots of two modes";
	if (page->role.direct && !pvm_page_is_root(mmu, page) && !child->role.direct)
		return "M2: a link leaves a large page";
	return NULL;
}

static const char *check_entry(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index,
			       const uint64_t *guest)
{
	uint64_t entry = page->table[index], expected = entry;
	const char *wrong;

	if (!slot_legal(mmu, page, index))
		return "M7: a translation outside the legal ranges";
	if (pvm_entry_is_leaf(page, index))
		wrong = check_leaf(mmu, page, index);
	else
		wrong = check_link(mmu, page, index);
	if (wrong || !guest)
		return wrong;
	if (page->role.us && page->role.user_root && !(PVM_READ_ONCE(guest[index]) & PVM_PTE_U))
		return "M3: a user root has what the guest's table keeps from user mode";
	if (!pvm_sync_expected(mmu, page, index, PVM_READ_ONCE(guest[index]), &expected))
		return "M9: a page in sync has an entry that the guest's table has not";
	if ((expected ^ entry) & PVM_PTE_PK_MASK)
		return "M8: a leaf has another protection key than the guest's entry";
	if (~entry & expected & PVM_PTE_NX)
		return "M4: the supervisor could execute what it must not";
	return expected == entry ? NULL : "M9: a page in sync has other rights than the guest's table";
}

/* The guest's table to compare with; NULL: none, or allowed to differ. */
static const uint64_t *exact_source(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page)
{
	if (page->role.direct || page->unsync)
		return NULL;
	return mmu->vm->ops->gfn_to_va(mmu->vm->host, page->gfn, true);
}

static const char *check_parents(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page,
				 uint64_t *parents)
{
	uint32_t ref;

	for (ref = page->parents; ref; ref = pvm_ref_next(mmu, ref), ++*parents) {
		unsigned index;
		const struct pvm_shadow_page *parent = pvm_ref_page(mmu, ref, &index);

		if (pvm_entry_child(mmu, parent, index) != page)
			return "rmap: a parent does not link to its child";
		if ((page->marks || (page->unsync && !page->wide)) &&
		    !(parent->mark[index / 64] >> (index % 64) & 1))
			return "M9: a flush would not find a table that is out of sync";
	}
	return NULL;
}

struct totals {
	uint64_t leaves, links, parents;
	uint32_t pages, unsync_upper, wide;
};

static const char *check_page(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page,
			      struct totals *totals)
{
	const struct pvm_vm_config *config = &mmu->vm->config;
	bool root = pvm_page_is_root(mmu, page);
	const uint64_t *guest = exact_source(mmu, page);
	unsigned index;
	const struct pvm_shadow_page *other;

	if ((page->loaded && !root) || page->role.level > mmu->host_levels)
		return "M5: a root has not the host's depth";
	if (pvm_page_find(mmu, page->gfn, page->role, page->range_gen) != page)
		return "a shadow page is not found by its key";
	for (other = pvm_page_first(mmu, page->gfn); other; other = other->same_next)
		if (!other->role.direct && !page->role.direct &&
		    other->unsync != page->unsync)
			return "M9: a table is in sync and out of sync at once";
	for (index = 0; index < PVM_PTES_PER_TABLE; index++) {
		uint64_t fixed = pvm_entry_fixed(mmu, page, index);
		bool shared = root && config->switcher_pml4_entry;
		const char *wrong;

		if (fixed && !(shared && pvm_entry_present(page, index))) {
			if (page->table[index] != fixed)
				return "M1: a slot of the switcher's, or M2P's, is not what it must be";
			continue;
		}
		if (!pvm_entry_present(page, index)) {
			if (page->table[index] & PVM_PTE_P)
				return "M1: an entry of the guest's lacks U";
			if (page->table[index])
				return "M2: an entry that nothing stands for";
			continue;
		}
		if (pvm_entry_child(mmu, page, index))
			totals->links++;
		else
			totals->leaves++;
		wrong = check_entry(mmu, page, index, guest);
		if (wrong)
			return wrong;
	}
	return check_parents(mmu, page, &totals->parents);
}

/* Every reference in the reverse maps is a leaf of its frame. */
static const char *check_rmap(const struct pvm_mmu *mmu, uint64_t *found)
{
	unsigned level;

	for (level = 1; level <= 3; level++) {
		uint64_t frame = 0, end = 1ull << (52 - PVM_LEVEL_SHIFT(level));

		while (frame < end) {
			const uint32_t *head = pvm_radix_next(&mmu->rmap[level - 1], &frame, end);
			uint32_t ref;

			for (ref = head ? *head : 0; ref; ref = pvm_ref_next(mmu, ref), ++*found) {
				unsigned index;
				const struct pvm_shadow_page *page = pvm_ref_page(mmu, ref, &index);

				if (page->dead || page->role.level != level ||
				    !pvm_entry_present(page, index) || !pvm_entry_is_leaf(page, index) ||
				    pvm_entry_value(page, index) != frame)
					return "rmap: a frame's list holds what does not map it";
			}
			frame += !!head;
		}
	}
	return NULL;
}

static const char *check(const struct pvm_mmu *mmu)
{
	struct totals totals = { 0 };
	const struct pvm_list *link;
	uint64_t mapped = 0;
	const char *wrong;

	for (link = mmu->pages.next; link != &mmu->pages; link = link->next) {
		const struct pvm_shadow_page *page = pvm_list_entry(link, struct pvm_shadow_page, link);

		wrong = check_page(mmu, page, &totals);
		if (wrong)
			return wrong;
		totals.pages++;
		totals.unsync_upper += page->unsync && page->role.level > 1;
		totals.wide += page->wide;
	}
	wrong = check_rmap(mmu, &mapped);
	if (wrong)
		return wrong;
	if (mapped != totals.leaves || mapped != mmu->stats.rmap_entries)
		return "rmap: leaves and reverse maps do not match";
	if (totals.links != totals.parents)
		return "rmap: links and parents do not match";
	if (totals.unsync_upper != mmu->unsync_upper || totals.wide != mmu->wide_count)
		return "M9: the pages that are out of sync are counted wrong";
	if (totals.pages != mmu->live_count ||
	    mmu->live_count + mmu->dead_count != mmu->stats.shadow_pages)
		return "a shadow page is counted wrong";
	return NULL;
}

const char *pvm_mmu_check(struct pvm_vm *vm)
{
	const char *wrong;

	pvm_lock(vm);
	pvm_stats_gather(vm->mmu);
	wrong = check(vm->mmu);
	pvm_unlock(vm);
	return wrong;
}
