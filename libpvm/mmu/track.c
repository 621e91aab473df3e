/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which shadow pages may be stale, and what brings them up to date.
 *
 * A frame that has shadow pages is write-protected (tracked): they are exact. At its
 * first write all its shadow pages go out of sync: the guest writes freely, and they
 * may be stale, as a TLB may. A flush that covers them brings them up to date (M9); a
 * new link to a page brings everything below it up to date first, because the flush
 * may have come before the link. Pages that stay unchanged for some flushes are
 * write-protected again.
 *
 * Found they are from above: an entry is marked when something below it is not in
 * sync, and then so is every entry that leads to its page. A flush of one root follows
 * the marks, and never sees the tables of others. A page that too many entries lead to
 * is kept in a short list of its own instead (wide), which every flush looks at.
 *
 * Nothing here takes longer than its budget (M12). Each flush or new link has a time of its own, and
 * what was done for it is stamped with that: a caller that gave the lock up goes on from there.
 */
#include "track.h"

#include "batch.h"
#include "entry.h"
#include "internal.h"
#include "page.h"
#include "sync.h"
#include "tlb.h"

#define CLEAN_FLUSHES	3	/* without a change: a page is write-protected again */
#define SYNC_BUDGET	512	/* entries compared with tables in one hold of the lock */
#define LOOK_BUDGET	4096	/* marked entries looked at; twice those of one way down */
#define MARK_BUDGET	256	/* entries marked for one page */
#define WIDE_MAX	8	/* pages in the list of their own */
#define HARDEN_BUDGET	256	/* entries of tables that one flush protects */
#define HARDEN_COST	16	/* of a table without entries */
#define LEAVES_MAX	64	/* of a frame: more are taken away before it is protected */
#define USE_BUDGET	64	/* entries followed upwards to find a root */

static bool is_marked(const struct pvm_shadow_page *page, unsigned index)
{
	return page->mark[index / 64] >> (index % 64) & 1;
}

static void set_mark(struct pvm_shadow_page *page, unsigned index, bool on)
{
	if (is_marked(page, index) == on)
		return;
	page->mark[index / 64] ^= 1ull << (index % 64);
	page->marks += on ? 1 : -1;
}

/* Must the entries that lead to this page be marked? */
static bool wants_marks(const struct pvm_shadow_page *page)
{
	return page->marks || (page->unsync && !page->wide);
}

/*
 * Mark every entry that leads to @page. An entry is marked only when all that lead
 * to its own page are, so that a marked one ends the search. False: too many; what
 * was marked does no harm.
 */
static bool mark_above(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned *budget)
{
	uint32_t ref;

	for (ref = page->parents; ref; ref = pvm_ref_next(mmu, ref)) {
		unsigned index;
		struct pvm_shadow_page *parent = pvm_ref_page(mmu, ref, &index);

		if (!*budget)
			return false;
		--*budget;
		mmu->steps++;
		if (is_marked(parent, index))
			continue;
		if (!wants_marks(parent) && !mark_above(mmu, parent, budget))	/* four deep */
			return false;
		set_mark(parent, index, true);
	}
	return true;
}

/* Compare one page that is not in sync. @count: by a flush. */
static void sync_own(struct pvm_mmu *mmu, struct pvm_shadow_page *page, bool count, int *budget)
{
	uint64_t before = mmu->steps++;
	bool changed = pvm_sync_page(mmu, page);

	*budget -= (int)(mmu->steps - before);
	if (changed)
		page->clean = 0;
	else
		page->clean = (uint8_t)(page->clean + (count && page->clean < CLEAN_FLUSHES));
	page->synced = mmu->sync_clock;
	/* The list is in the order of these times. */
	pvm_list_del(&page->unsync_link);
	pvm_list_add(&page->unsync_link, mmu->unsync.prev);
	if (page->clean == CLEAN_FLUSHES && pvm_list_empty(&page->harden_link))
		pvm_list_add(&page->harden_link, mmu->harden.prev);
}

/* A walk down the marks. */
struct descent {
	uint64_t since;		/* what was done at this time or later is done */
	int budget;		/* entries to compare; the last page may take it below 0 */
	unsigned looks;		/* marked entries to look at */
	bool upper;		/* tables of level 1 are left out */
	bool count;		/* it is a flush */
	bool cut;		/* without budget, entries are cleared */
};

static bool descend(struct pvm_mmu *mmu, struct descent *d, struct pvm_shadow_page *page);

/* Below one marked entry. False: the budget is spent. */
static bool descend_entry(struct pvm_mmu *mmu, struct descent *d, struct pvm_shadow_page *page,
			  unsigned index)
{
	struct pvm_shadow_page *child = pvm_entry_child(mmu, page, index);

	if (child && d->cut && (d->budget <= 0 || !d->looks)) {
		pvm_entry_clear(mmu, page, index);
		child = NULL;
	} else if (!d->looks) {
		return false;
	}
	mmu->steps++;
	d->looks -= !!d->looks;
	if (child && !descend(mmu, d, child))
		return false;
	if (!child || !wants_marks(child))
		set_mark(page, index, false);
	return true;
}

/* The page and what is below it. At most five deep. */
static bool descend(struct pvm_mmu *mmu, struct descent *d, struct pvm_shadow_page *page)
{
	unsigned word, lowest = d->upper ? 2 : 1;

	if (page->done[d->upper] >= d->since || page->role.level < lowest)
		return true;
	if (page->unsync && page->synced < d->since) {
		if (d->budget <= 0 && !d->cut)
			return false;
		sync_own(mmu, page, d->count, &d->budget);
	}
	for (word = 0; page->marks && page->role.level > lowest && word < PVM_PTES_PER_TABLE / 64; word++) {
		uint64_t bits = page->mark[word];

		for (; bits; bits &= bits - 1)
			if (!descend_entry(mmu, d, page, word * 64 + (unsigned)__builtin_ctzll(bits)))
				return false;
	}
	page->done[d->upper] = d->since;
	return true;
}

/* Pages that are not found from above. Few. */
static bool sync_wide(struct pvm_mmu *mmu, struct descent *d)
{
	struct pvm_list *link;

	for (link = mmu->wide.next; link != &mmu->wide; link = link->next) {
		struct pvm_shadow_page *page = pvm_list_entry(link, struct pvm_shadow_page, wide_link);

		if (page->synced >= d->since || (d->upper && page->role.level == 1))
			continue;
		if (d->budget <= 0 && !d->cut)
			return false;
		sync_own(mmu, page, d->count, &d->budget);
	}
	return true;
}

uint64_t pvm_track_flush(struct pvm_mmu *mmu)
{
	return ++mmu->sync_clock;
}

bool pvm_track_sync_root(struct pvm_mmu *mmu, struct pvm_shadow_page *root, uint64_t since, bool upper)
{
	struct descent d = { .since = since, .budget = SYNC_BUDGET, .looks = LOOK_BUDGET,
			     .upper = upper, .count = !upper };

	if (pvm_list_empty(&mmu->unsync) || (upper && !mmu->unsync_upper))
		return true;
	return sync_wide(mmu, &d) && descend(mmu, &d, root);
}

bool pvm_track_sync_all(struct pvm_mmu *mmu, uint64_t since)
{
	int budget = SYNC_BUDGET;

	while (!pvm_list_empty(&mmu->unsync)) {
		struct pvm_shadow_page *page =
			pvm_list_entry(mmu->unsync.next, struct pvm_shadow_page, unsync_link);

		if (page->synced >= since)
			return true;
		if (budget <= 0)
			return false;
		sync_own(mmu, page, true, &budget);
	}
	return true;
}

void pvm_track_below(struct pvm_mmu *mmu, struct pvm_shadow_page *child)
{
	struct descent d = { .budget = SYNC_BUDGET, .looks = LOOK_BUDGET, .cut = true };

	if (pvm_list_empty(&mmu->unsync))
		return;
	d.since = ++mmu->sync_clock;
	sync_wide(mmu, &d);
	descend(mmu, &d, child);
}

/* Leaves of all sizes that map the frame, LEAVES_MAX + 1 for any more. */
static unsigned count_leaves(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	unsigned level, count = 0;

	for (level = 1; level <= 3; level++) {
		const uint32_t *head = pvm_rmap_find(mmu, gfn, level);
		uint32_t ref;

		for (ref = head ? *head : 0; ref && count <= LEAVES_MAX; ref = pvm_ref_next(mmu, ref))
			count++;
	}
	return count;
}

/*
 * Take the right to write a frame from every leaf that covers it, in every TLB,
 * before it counts as tracked.
 */
static void protect(struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_tlb_batch batch = { 0 };
	unsigned level;

	pvm_tlb_batch_frame(mmu, &batch, gfn);
	for (level = 1; level <= 3; level++) {
		const uint32_t *head = pvm_rmap_find(mmu, gfn, level);
		uint32_t ref;

		for (ref = head ? *head : 0; ref; ref = pvm_ref_next(mmu, ref)) {
			unsigned index;
			struct pvm_shadow_page *page = pvm_ref_page(mmu, ref, &index);

			mmu->steps++;
			if (!(page->table[index] & PVM_PTE_W))
				continue;
			PVM_WRITE_ONCE(page->table[index],
				       page->table[index] & ~(PVM_PTE_W | PVM_PTE_D));
			pvm_tlb_batch_leaf(&batch, page, index);
		}
	}
	pvm_tlb_batch_flush(mmu, &batch);
}

/* Take @count leaves of a frame away, in every TLB. */
static void thin_out(struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned count)
{
	unsigned level;

	for (level = 1; level <= 3; level++) {
		const uint32_t *head = pvm_rmap_find(mmu, gfn, level);

		for (; head && *head && count; count--) {
			unsigned index;
			struct pvm_shadow_page *page = pvm_ref_page(mmu, *head, &index);

			mmu->steps++;
			pvm_entry_clear(mmu, page, index);
		}
	}
	pvm_tlb_flush_everything(mmu);
}

bool pvm_track_can_protect(struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	if (count_leaves(mmu, gfn) <= LEAVES_MAX)
		return true;
	thin_out(mmu, gfn, LEAVES_MAX);
	return false;
}

/* M9: the engine writes the PVCS, and a frame of the VM's, as the guest does, without a look at what
 * else is in that page: no table there is ever exact. */
static bool is_shared(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	const struct pvm_vcpu *vcpu;

	if (mmu->is_shared && mmu->shared.v == gfn.v)
		return true;
	for (vcpu = mmu->first_vcpu; vcpu; vcpu = vcpu->mmu.next)
		if (vcpu->mmu.is_shared && vcpu->mmu.shared.v == gfn.v)
			return true;
	return false;
}

/* All shadow pages of a table are in sync again. False: it cannot be, or is mapped too often. */
static bool regain(struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_shadow_page *page;

	if (is_shared(mmu, gfn) || count_leaves(mmu, gfn) > LEAVES_MAX)
		return false;
	protect(mmu, gfn);
	for (page = pvm_page_first(mmu, gfn); page; page = page->same_next) {
		if (!page->unsync)
			continue;
		pvm_page_exact(mmu, page);
		pvm_sync_page(mmu, page);	/* what was written until the flush above */
	}
	return true;
}

void pvm_track_harden(struct pvm_mmu *mmu)
{
	uint64_t until = mmu->steps + HARDEN_BUDGET;

	while (mmu->steps < until && !pvm_list_empty(&mmu->harden)) {
		struct pvm_shadow_page *page =
			pvm_list_entry(mmu->harden.next, struct pvm_shadow_page, harden_link);

		mmu->steps += HARDEN_COST;
		pvm_list_del(&page->harden_link);
		if (page->clean >= CLEAN_FLUSHES && !regain(mmu, page->gfn))
			page->clean = 0;
	}
}

/* Room for one more wide page, by protecting another table again: none of the walk in
 * progress, whose memory is counted. False: all are mapped too often for that. */
static bool wide_room(struct pvm_mmu *mmu, pvm_gfn_t but)
{
	struct pvm_list *link;

	for (link = mmu->wide.next; mmu->wide_count >= WIDE_MAX && link != &mmu->wide; link = link->next) {
		const struct pvm_shadow_page *page =
			pvm_list_entry(link, struct pvm_shadow_page, wide_link);

		mmu->steps++;
		if (page->gfn.v != but.v && page->used != mmu->use_clock && regain(mmu, page->gfn))
			break;
	}
	return mmu->wide_count < WIDE_MAX;
}

void pvm_track_relieve(struct pvm_mmu *mmu)
{
	struct pvm_shadow_page *page;

	if (!pvm_list_empty(&mmu->wide)) {
		page = pvm_list_entry(mmu->wide.next, struct pvm_shadow_page, wide_link);
		if (!regain(mmu, page->gfn) && !pvm_page_zap_some(mmu, page))
			return;
	}
	mmu->wide_full = false;
}

static void make_wide(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	page->wide = true;
	mmu->wide_count++;
	pvm_list_add(&page->wide_link, mmu->wide.prev);
}

/* From now on the guest may write this page's table. False: no flush would find it. */
static bool lose(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	unsigned budget = MARK_BUDGET;
	bool marked = page->marks || mark_above(mmu, page, &budget);

	if (!marked && !wide_room(mmu, page->gfn))
		return false;
	page->unsync = true;
	mmu->unsync_upper += page->role.level > 1;
	page->clean = 0;
	page->synced = mmu->sync_clock;	/* it is exact until now */
	pvm_list_add(&page->unsync_link, mmu->unsync.prev);
	if (!marked)
		make_wide(mmu, page);
	mmu->stats.unsyncs++;
	return true;
}

void pvm_track_new(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	const struct pvm_shadow_page *other;

	if (page->role.direct)
		return;
	for (other = pvm_page_first(mmu, page->gfn); other; other = other->same_next)
		if (other != page && !other->role.direct)
			break;
	if (!other && !is_shared(mmu, page->gfn))
		protect(mmu, page->gfn);
	else if (!other || other->unsync)
		lose(mmu, page);	/* nothing leads to it: it is never wide */
}

/* Nothing below the page is out of sync: what is, is not linked here any more. */
static void cut_marked(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	unsigned index;

	for (index = 0; index < PVM_PTES_PER_TABLE; index++) {
		if (!is_marked(page, index))
			continue;
		pvm_entry_clear(mmu, page, index);
		set_mark(page, index, false);
	}
}

void pvm_track_linked(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index,
		      struct pvm_shadow_page *child)
{
	unsigned budget = MARK_BUDGET;

	if (!wants_marks(child))
		return;
	if (wants_marks(page) || mark_above(mmu, page, &budget)) {
		set_mark(page, index, true);
		return;
	}
	cut_marked(mmu, child);
	if (!child->unsync || child->wide)
		return;
	if (wide_room(mmu, child->gfn)) {
		make_wide(mmu, child);
		return;
	}
	pvm_entry_clear(mmu, page, index);	/* the guest faults again */
	mmu->wide_full = true;
}

/* Can any root reach the page, or is it a root that runs? *@budget spent: perhaps. */
static bool in_use(struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned *budget)
{
	uint32_t ref;

	if (page->loaded)
		return true;
	for (ref = page->parents; ref; ref = pvm_ref_next(mmu, ref)) {
		unsigned index;
		const struct pvm_shadow_page *parent = pvm_ref_page(mmu, ref, &index);

		mmu->steps++;
		if (!*budget || pvm_page_is_root(mmu, parent))
			return true;
		--*budget;
		if (in_use(mmu, parent, budget))	/* at most four deep */
			return true;
	}
	return false;
}

bool pvm_track_written(struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_shadow_page *page = pvm_page_first(mmu, gfn), *next;

	for (; page; page = next) {
		unsigned budget = USE_BUDGET;

		next = page->same_next;
		if (page->role.direct)
			continue;
		if (!in_use(mmu, page, &budget))
			pvm_page_zap(mmu, page);
		else if (page->unsync)
			page->clean = 0;
		else if (!lose(mmu, page) && !pvm_page_zap_some(mmu, page))
			return false;
	}
	return true;
}
