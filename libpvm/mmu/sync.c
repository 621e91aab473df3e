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
#include "mark.h"
#include "page.h"
#include "tlb.h"
#include "walk.h"

uint64_t *pvm_sync_guest_table(struct pvm_mmu *mmu, const struct pvm_shadow_page *page)
{
	return mmu->vm->ops->gfn_to_va(mmu->vm->host, page->gfn, false);
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

/* The supervisor has written a table through this entry, and may go on. */
static bool writes_table(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, uint64_t guest)
{
	return page->role.level == 1 && !page->role.user_root && pvm_mark_allows(mmu, guest);
}

static bool expected_leaf(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index,
			  uint64_t guest, uint64_t *entry)
{
	bool dirty = (guest & PVM_PTE_D) && ((guest & PVM_PTE_W) || writes_table(mmu, page, guest));

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
	uint64_t always = pvm_pte_reserved_always(mmu->vm->config.guest_maxphyaddr, page->role.nx);
	unsigned level = page->role.level;

	if (!(guest & PVM_PTE_P) || !(guest & PVM_PTE_A) || withheld(page, guest) ||
	    (guest & pvm_pte_reserved(guest, level, always)))
		return false;
	if (child)
		return expected_link(page, child, guest, entry);
	return pvm_pte_is_leaf(guest, level) && expected_leaf(mmu, page, index, guest, entry);
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
			mmu->links_gen++;
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

/* What a leaf of level 1 needs of its guest's entry to be left as it is. */
struct leaf_rule {
	uint64_t set, clear;	/* bits of the guest's entry */
	uint64_t same;		/* bits that both entries have, or neither */
};

/* False: SMEP's NX is not in the guest's entries; there is no simple rule. */
static bool leaf_rule(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, struct leaf_rule *rule)
{
	union pvm_mmu_role role = page->role;

	if (role.level != 1 || role.direct || (role.us && !role.user_root))
		return false;
	rule->set = PVM_PTE_P | PVM_PTE_A | (role.us ? PVM_PTE_U : 0);	/* M3 */
	rule->clear = pvm_pte_reserved_always(mmu->vm->config.guest_maxphyaddr, role.nx);
	rule->same = PVM_PTE_NX | (role.pke ? PVM_PTE_PK_MASK : 0);	/* M8 */
	return true;
}

/* Is what @rule asks true of the entry, so that pvm_sync_expected() would leave it? */
static bool leaf_is_right(const struct leaf_rule *rule, uint64_t entry, uint64_t gfn, uint64_t guest)
{
	/* A writable one needs W and D. */
	uint64_t set = rule->set | (entry & PVM_PTE_W ? PVM_PTE_W | PVM_PTE_D : 0);

	return !((~guest & set) | (guest & rule->clear) | ((guest ^ entry) & rule->same) |
		 (pvm_pte_gfn(guest).v ^ gfn));
}

/* Most tables of a guest are of this kind, and most of their entries are right. */
static bool sync_leaves(struct pvm_mmu *mmu, struct pvm_shadow_page *page, const uint64_t *table,
			const struct leaf_rule *rule)
{
	unsigned c, i, right = 0;
	bool changed = false;

	for (c = 0; c < CHUNKS_PER_PAGE; c++) {
		const struct pvm_entry_values *values = page->values[c];
		const uint64_t *entries = page->table + c * CHUNK_ENTRIES;

		for (i = 0; values && i < CHUNK_ENTRIES; i++) {
			uint64_t gfn = (uint64_t)values->high[i] << 32 | values->low[i];

			if (!pvm_pte_is_guests(entries[i]))
				continue;
			if (leaf_is_right(rule, entries[i], gfn,
					  PVM_READ_ONCE(table[c * CHUNK_ENTRIES + i]))) {
				right++;
				continue;
			}
			changed |= sync_one(mmu, page, c * CHUNK_ENTRIES + i, table);
			values = page->values[c];	/* it may have been the last */
		}
	}
	mmu->steps += right;
	return changed;
}

bool pvm_sync_page(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	const uint64_t *table = pvm_sync_guest_table(mmu, page);
	struct leaf_rule rule;
	bool changed = false;
	unsigned c, i;

	mmu->stats.resyncs++;
	if (table && leaf_rule(mmu, page, &rule))
		return sync_leaves(mmu, page, table, &rule);
	for (c = 0; c < CHUNKS_PER_PAGE; c++)
		for (i = 0; page->values[c] && i < CHUNK_ENTRIES; i++)
			changed |= sync_one(mmu, page, c * CHUNK_ENTRIES + i, table);
	return changed;
}
