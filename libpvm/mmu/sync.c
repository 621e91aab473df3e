/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shadow pages and the guest tables that they mirror.
 *
 * A frame that has shadow pages is write-protected (tracked): they are exact.
 * At its first write all its shadow pages go out of sync: the guest writes
 * freely, and they may be behind, as a TLB may. A flush that covers them brings
 * them up to date (M9); a new link to a page brings everything below it up to
 * date first, because the flush may have come before the link. Pages that stay
 * unchanged for some flushes are write-protected again.
 *
 * This file reads guest tables, each entry once (M6), and never writes them.
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "pte.h"
#include "shadow.h"
#include "walk.h"

/* Flushes without a change after which a page is write-protected again. */
#define CLEAN_FLUSHES 3

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

	if (pvm_entry_node(page, index)->gfn.v != pvm_pte_leaf_gfn(guest, page->role.level).v)
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

/*
 * What a present entry must be if the guest's is @guest. *@entry: in, as it is.
 * Rights to write, and any rights of a link, are only taken here, never given:
 * giving them is the fault handler's. False: it must go.
 */
bool pvm_sync_expected(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index,
		   uint64_t guest, uint64_t *entry)
{
	const struct pvm_shadow_page *child = pvm_entry_child(page, index);
	unsigned level = page->role.level;

	if (!(guest & PVM_PTE_P) || !(guest & PVM_PTE_A) || withheld(page, guest) ||
	    (guest & pvm_pte_reserved(guest, level, mmu->vm->config.guest_maxphyaddr, page->role.nx)))
		return false;
	if (child)
		return expected_link(page, child, guest, entry);
	return pvm_pte_is_leaf(guest, level) && expected_leaf(page, index, guest, entry);
}

/* True: it was behind. */
static bool sync_one(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, const uint64_t *table)
{
	uint64_t old = page->table[index], new = old;

	if (!pvm_entry_node(page, index))
		return false;
	if (table && pvm_sync_expected(mmu, page, index, PVM_READ_ONCE(table[index]), &new)) {
		if (new == old)
			return false;
		if (!pvm_entry_child(page, index))
			pvm_tlb_note(mmu, page, index);
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

/* All entries. True: some were behind. */
bool pvm_sync_page(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	const uint64_t *table = pvm_sync_guest_table(mmu, page);
	bool changed = false;
	unsigned c, i;

	mmu->stats.resyncs++;
	for (c = 0; c < CHUNKS_PER_PAGE; c++)
		for (i = 0; page->chunk[c] && i < NODES_PER_CHUNK; i++)
			changed |= sync_one(mmu, page, c * NODES_PER_CHUNK + i, table);
	return changed;
}

/* Can the CPU come from a goal of this search down to @page? */
static bool reached(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	struct pvm_shadow_node *node;
	unsigned index;

	if (page->reaches == mmu->search || page->seen == mmu->search)
		return page->reaches == mmu->search;
	page->seen = mmu->search;
	for (node = page->parents; node; node = node->next) {
		if (reached(mmu, pvm_node_entry(mmu, node, &index))) {	/* at most five deep */
			page->reaches = mmu->search;
			return true;
		}
	}
	return false;
}

static void sync_reached(struct pvm_mmu *mmu, bool count)
{
	unsigned upper;

	for (upper = 0; upper < 2; upper++) {
		struct pvm_list *link;

		for (link = mmu->unsync[upper].next; link != &mmu->unsync[upper]; link = link->next) {
			struct pvm_shadow_page *page =
				pvm_list_entry(link, struct pvm_shadow_page, unsync_link);

			if (!reached(mmu, page))
				continue;
			if (pvm_sync_page(mmu, page))
				page->clean = 0;
			else
				page->clean += count;
		}
	}
}

static bool nothing_unsync(const struct pvm_mmu *mmu)
{
	return pvm_list_empty(&mmu->unsync[0]) && pvm_list_empty(&mmu->unsync[1]);
}

/* Everything that can be reached from the roots of these tables. */
void pvm_sync_tags(struct pvm_mmu *mmu, const pvm_gfn_t *tags, unsigned count)
{
	unsigned i;

	if (nothing_unsync(mmu))
		return;
	mmu->search++;
	for (i = 0; i < count; i++) {
		struct pvm_shadow_page *root = NULL;

		while ((root = pvm_root_next(mmu, root, tags[i])))
			root->reaches = mmu->search;
	}
	sync_reached(mmu, true);
}

/* A page is about to be linked where it was not: flushes that came before the
 * link did not see what is below it. */
void pvm_sync_below(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	if (nothing_unsync(mmu))
		return;
	mmu->search++;
	page->reaches = mmu->search;
	sync_reached(mmu, false);
}

static void sync_list(struct pvm_mmu *mmu, const struct pvm_list *list, bool count)
{
	const struct pvm_list *link;

	for (link = list->next; link != list; link = link->next) {
		struct pvm_shadow_page *page = pvm_list_entry(link, struct pvm_shadow_page, unsync_link);

		if (pvm_sync_page(mmu, page))
			page->clean = 0;
		else
			page->clean += count;
	}
}

/* INVLPG drops what a CPU remembers of upper levels, for any address. */
void pvm_sync_upper(struct pvm_mmu *mmu)
{
	sync_list(mmu, &mmu->unsync[1], false);
}

void pvm_sync_all(struct pvm_mmu *mmu)
{
	sync_list(mmu, &mmu->unsync[1], true);
	sync_list(mmu, &mmu->unsync[0], true);
}

/* From now on the guest may write this page's table. */
void pvm_sync_lose(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	page->unsync = true;
	page->clean = 0;
	pvm_list_add(&page->unsync_link, &mmu->unsync[page->role.level > 1]);
	mmu->stats.unsyncs++;
}

/*
 * Take the right to write a frame from every leaf that covers it, in every TLB,
 * before it counts as tracked.
 */
void pvm_table_protect(struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_tlb_batch batch = { 0 };
	unsigned level;

	pvm_tlb_batch_frame(mmu, &batch, gfn);
	for (level = 1; level <= 3; level++) {
		struct pvm_shadow_node **head = pvm_rmap_find(mmu, gfn, level), *node;

		for (node = head ? *head : NULL; node; node = node->next) {
			unsigned index;
			struct pvm_shadow_page *page = pvm_node_entry(mmu, node, &index);

			if (!(page->table[index] & PVM_PTE_W))
				continue;
			PVM_WRITE_ONCE(page->table[index],
				       page->table[index] & ~(PVM_PTE_W | PVM_PTE_D));
			pvm_tlb_batch_leaf(&batch, page, index);
		}
	}
	pvm_tlb_batch_flush(mmu, &batch);
}

static void regain(struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_shadow_page *page;

	pvm_table_protect(mmu, gfn);
	for (page = *pvm_page_bucket(mmu, gfn); page; page = page->hash_next) {
		if (page->gfn.v != gfn.v || !page->unsync)
			continue;
		page->unsync = false;
		pvm_list_del(&page->unsync_link);
		pvm_sync_page(mmu, page);	/* what was written until the flush above */
	}
}

/* Write-protect the tables that flushes keep finding unchanged. */
void pvm_sync_harden(struct pvm_mmu *mmu)
{
	unsigned upper;

	for (upper = 0; upper < 2; upper++) {
		struct pvm_list *link = mmu->unsync[upper].next;

		while (link != &mmu->unsync[upper]) {
			struct pvm_shadow_page *page =
				pvm_list_entry(link, struct pvm_shadow_page, unsync_link);

			link = link->next;
			if (page->clean < CLEAN_FLUSHES)
				continue;
			regain(mmu, page->gfn);
			link = mmu->unsync[upper].next;	/* siblings have left the list, too */
		}
	}
}

/* Can any root reach the page, or is it a root that runs? */
static bool in_use(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page)
{
	const struct pvm_shadow_node *node;
	unsigned index;

	if (page->loaded)
		return true;
	for (node = page->parents; node; node = node->next) {
		const struct pvm_shadow_page *parent = pvm_node_entry(mmu, node, &index);

		if (pvm_page_is_root(mmu, parent) || in_use(mmu, parent))	/* at most four deep */
			return true;
	}
	return false;
}

/* The guest (or a device) has written a table, or will: its shadow pages go out
 * of sync, or away if nothing uses them. */
void pvm_table_written(struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_shadow_page *page, *next;

	for (page = *pvm_page_bucket(mmu, gfn); page; page = next) {
		next = page->hash_next;
		if (page->gfn.v != gfn.v || page->role.direct)
			continue;
		if (!in_use(mmu, page))
			pvm_page_zap(mmu, page);
		else if (!page->unsync)
			pvm_sync_lose(mmu, page);
		else
			page->clean = 0;
	}
}
