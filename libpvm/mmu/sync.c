/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the entries of a shadow page must be, by the guest's table: compared, and
 * lowered to it. Which pages need that, and when, is track.c's.
 *
 * This file reads guest tables, each entry once (M6), and never writes them.
 */
#include "sync.h"

#include "batch.h"
#include "entry.h"
#include "internal.h"
#include "page.h"
#include "tlb.h"
#include "walk.h"

uint64_t *pvm_sync_guest_table(struct pvm_mmu *mmu, const struct pvm_shadow_page *page)
{
	return pvm_walk_entry_va(mmu->vm, page->gfn, 0, false);
}

/* M3: a user root has nothing of what its guest's tables keep from user mode. */
static bool withheld(const struct pvm_shadow_page *page, uint64_t guest)
{
	return page->role.us && page->role.user_root && !(guest & PVM_PTE_U);
}

/* M4: NX where the supervisor must not execute a page of user mode's. */
static uint64_t smep_nx(const struct pvm_shadow_page *page, uint64_t guest)
{
	union pvm_mmu_role role = page->role;

	return role.us && !role.user_root && role.nx && role.user_path && (guest & PVM_PTE_U) ?
	       PVM_PTE_NX : 0;
}

static bool expected_leaf(const struct pvm_shadow_page *page, unsigned index, uint64_t guest,
			  uint64_t *entry)
{
	bool dirty = (guest & PVM_PTE_W) && (guest & PVM_PTE_D);

	if (pvm_entry_gfn(page, index).v != pvm_pte_leaf_gfn(guest, page->role.level).v)
		return false;
	if (!dirty)
		*entry &= ~(PVM_PTE_W | PVM_PTE_D);
	*entry = (*entry & ~(PVM_PTE_NX | PVM_PTE_PK_MASK)) | (guest & PVM_PTE_NX) |
		 smep_nx(page, guest);
	if (page->role.pke)
		*entry |= guest & PVM_PTE_PK_MASK;	/* M8 */
	return true;
}

static bool expected_link(const struct pvm_shadow_page *page, const struct pvm_shadow_page *child,
			  uint64_t guest, uint64_t *entry)
{
	unsigned level = page->role.level;
	bool large = pvm_pte_is_leaf(guest, level), writable = guest & PVM_PTE_W;
	pvm_gfn_t gfn = large ? pvm_pte_leaf_gfn(guest, level) : pvm_pte_gfn(guest);

	if (child->role.direct != large || child->gfn.v != gfn.v)
		return false;
	if (page->role.us && !large &&
	    child->role.user_path != (page->role.user_path && (guest & PVM_PTE_U)))
		return false;
	if (large && page->role.pke && child->role.key != pvm_pte_key(guest))
		return false;
	if (large)
		writable = writable && (guest & PVM_PTE_D);
	if (!writable)
		*entry &= ~PVM_PTE_W;
	*entry |= (guest & PVM_PTE_NX) | (large ? smep_nx(page, guest) : 0);
	return true;
}

bool pvm_sync_expected(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index,
		   uint64_t guest, uint64_t *entry)
{
	const struct pvm_shadow_page *child = pvm_entry_child(mmu, page, index);
	unsigned level = page->role.level;

	if (!(guest & PVM_PTE_P) || !(guest & PVM_PTE_A) || withheld(page, guest) ||
	    (guest & pvm_pte_reserved(guest, level, pvm_pte_reserved_always(mmu->vm->config.guest_maxphyaddr, page->role.nx))))
		return false;
	if (child)
		return expected_link(page, child, guest, entry);
	return pvm_pte_is_leaf(guest, level) && expected_leaf(page, index, guest, entry);
}

/* True: it was stale. */
static bool sync_one(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, const uint64_t *table)
{
	uint64_t old = page->table[index], new = old;

	if (!pvm_entry_present(page, index))
		return false;
	mmu->steps++;
	if (table && pvm_sync_expected(mmu, page, index, PVM_READ_ONCE(table[index]), &new)) {
		if (new == old)
			return false;
		if (!pvm_entry_child(mmu, page, index))
			pvm_tlb_note_leaf(mmu, pvm_entry_gfn(page, index), page->role.level);
		else
			mmu->links++;
		PVM_WRITE_ONCE(page->table[index], new);
		return true;
	}
	pvm_entry_clear(mmu, page, index);
	return true;
}

void pvm_sync_entry(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	sync_one(mmu, page, index, pvm_sync_guest_table(mmu, page));
}

bool pvm_sync_page(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	const uint64_t *table = pvm_sync_guest_table(mmu, page);
	bool changed = false;
	unsigned c, i;

	mmu->stats.resyncs++;
	for (c = 0; c < CHUNKS_PER_PAGE; c++)
		for (i = 0; page->values[c] && i < CHUNK_ENTRIES; i++)
			changed |= sync_one(mmu, page, c * CHUNK_ENTRIES + i, table);
	return changed;
}
