/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Making the shadow tables say what a walk of the guest's tables found: the
 * path of shadow pages from the root to the leaf, their links, the leaf.
 *
 * A page found in an entry or in the hash is used only if its frame and its
 * whole role are those of this walk. All memory is at hand before anything is
 * linked (M11).
 *
 * spec: Paging
 */
#include "fill.h"

#include "entry.h"
#include "internal.h"
#include "lock.h"
#include "near.h"
#include "page.h"
#include "root.h"
#include "tlb.h"
#include "track.h"

static unsigned walk_index(const struct pvm_fill *fill, unsigned level)
{
	return PVM_LEVEL_INDEX(fill->walk.gva.v, level);
}

/* The role of the shadow page that this walk needs at a level below the root. */
static inline union pvm_mmu_role path_role(const struct pvm_fill *fill, unsigned level)
{
	union pvm_mmu_role role = fill->table_role;

	role.user_path = role.us && pvm_walk_is_user(&fill->walk, level + 1);
	if (level < fill->walk.level) {
		role.word = 0;
		role.direct = 1;
		role.us = fill->root_role.us;
		role.user_root = fill->root_role.user_root;
		role.pke = fill->root_role.pke;
		if (role.pke)
			role.key = pvm_pte_key(fill->walk.entry[fill->walk.level]);
	} else if (level == 4 && fill->root_role.level == 5 &&
		   walk_index(fill, 5) == PVM_PTES_PER_TABLE - 1) {
		/* M7: below the last slot other addresses are legal than elsewhere, so
		 * a table that the guest uses in both places is two shadow pages. */
		role.last_slot = 1;
		role.range = fill->root_role.range;
	}
	role.level = level;
	return role;
}

/* The first frame of the region of @level around the walk's. */
static pvm_gfn_t region_gfn(const struct pvm_fill *fill, unsigned level)
{
	return pvm_gfn(fill->gfn.v & ~(pvm_level_frames(level) - 1));
}

static pvm_gfn_t path_gfn(const struct pvm_fill *fill, unsigned level)
{
	if (level > fill->walk.top)
		return fill->walk.table[fill->walk.top];
	if (level < fill->walk.level)
		return region_gfn(fill, level + 1);
	return fill->walk.table[level];
}

/* Will the leaf be writable, if it is one of @level? */
static bool wants_write(const struct pvm_fill *fill, unsigned level)
{
	uint64_t entry = fill->walk.entry[fill->walk.level];

	if (!fill->frame.writable)
		return false;
	if (level < fill->walk.level)
		return true;	/* the link above carries the rights */
	if (!(entry & PVM_PTE_W) && !fill->walk.writes_table)
		return false;
	return (entry & PVM_PTE_D) || (fill->walk.access & PVM_ACCESS_WRITE);
}

/* The largest leaf that the guest, the host, the tables within it and frames of it that
 * are being taken (M10) allow. */
static uint8_t target_level(const struct pvm_fill *fill)
{
	const struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	unsigned level = fill->vcpu->vm->config.host_page1g ? 3 : 2;

	if (pvm_likely(fill->walk.level == 1))
		return 1;
	if (level > fill->walk.level)
		level = fill->walk.level;
	if (level > fill->frame.max_level)
		level = fill->frame.max_level;
	while (level > 1 && ((wants_write(fill, level) &&
			      pvm_page_region_has_tables(mmu, fill->gfn, level)) ||
			     pvm_frames_are_taken(mmu, region_gfn(fill, level), pvm_level_frames(level))))
		level--;
	return (uint8_t)level;
}

static struct pvm_shadow_page *find_child(const struct pvm_mmu *mmu, const struct pvm_shadow_page *parent,
				   unsigned index, pvm_gfn_t gfn, union pvm_mmu_role role,
				   uint64_t range_gen)
{
	struct pvm_shadow_page *child = parent ? pvm_entry_child(mmu, parent, index) : NULL;

	if (child && child->gfn.v == gfn.v && child->role.word == role.word)
		return child;
	return pvm_page_find(mmu, gfn, role, range_gen);
}

static bool has_any_entry(const struct pvm_shadow_page *page)
{
	unsigned c;

	for (c = 0; c < CHUNKS_PER_PAGE; c++)
		if (page->values[c])
			return true;
	return false;
}

/* Are there pieces where a large page could be? Where all went, as when the host takes them, it can be
 * again. */
static bool is_splintered(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index)
{
	const struct pvm_shadow_page *child;

	if (!page || page->role.level > 3)
		return false;
	child = pvm_entry_child(mmu, page, index);
	return child && child->role.direct && has_any_entry(child);
}

/* What the path lacks. */
struct need {
	uint32_t tables;
	uint32_t values, links;		/* chunks for entries that will be made */
	uint32_t radix;			/* host pages for what tables are found by */
	bool crowded;			/* too many leaves map a frame that becomes a table's */
};

static void need_table(const struct pvm_fill *fill, struct need *need, pvm_gfn_t gfn,
		       union pvm_mmu_role role)
{
	struct pvm_mmu *mmu = fill->vcpu->vm->mmu;

	need->tables++;
	need->values++;
	need->radix += pvm_page_missing_for(mmu, gfn);
	if (!role.direct && !need->crowded)
		need->crowded = !pvm_track_can_protect(mmu, gfn);
}

/* Find what there is of the path, and count what is missing. An entry may take links
 * for itself and for the one that headed its list before. */
static void find_path(struct pvm_fill *fill, struct need *need)
{
	struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	union pvm_mmu_role role = fill->root_role;
	pvm_gfn_t gfn = pvm_cr3_gfn(fill->vcpu->cr3);
	struct pvm_shadow_page *page = fill->vcpu->mmu.root[fill->vcpu->user_mode];
	uint64_t range_gen = fill->vcpu->mmu.range_gen;
	unsigned level;

	memset(need, 0, sizeof(*need));
	if (!page || page->dead || page->gfn.v != gfn.v || page->role.word != role.word)
		page = pvm_page_find(mmu, gfn, role, range_gen);
	for (level = mmu->host_levels; ; level--) {
		fill->path[level] = page;
		need->links += 2;
		if (page) {
			page->used = mmu->use_clock;
			need->values += pvm_entry_lacks_values(page, walk_index(fill, level));
		} else {
			need_table(fill, need, gfn, role);
		}
		if (level == 1 && page)
			pvm_entry_prefetch(page, walk_index(fill, 1));
		/* What was splintered stays so while there are pieces. */
		if (level == fill->target && is_splintered(mmu, page, walk_index(fill, level)))
			fill->target = (uint8_t)(level - 1);
		if (level == fill->target)
			break;
		gfn = path_gfn(fill, level - 1);
		role = path_role(fill, level - 1);
		page = find_child(mmu, page, walk_index(fill, level), gfn, role, range_gen);
	}
}

/* Host pages that all that will take. */
static uint32_t missing_pages(const struct pvm_fill *fill, const struct need *need)
{
	const struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	uint32_t pages = pvm_page_missing(mmu, need->tables) + need->radix;

	if (fill->target == mmu->host_levels)	/* just a root: nothing in it yet */
		return pages;
	pages += pvm_slab_missing(&mmu->value_slab, need->values) +
		 pvm_slab_missing(&mmu->link_slab, need->links);
	return fill->target > 3 ? pages : pages + pvm_rmap_missing(mmu, fill->gfn, fill->target);
}

/*
 * Find the path, and have room and host pages for what of it is missing. Eviction
 * may take entries, and the chunks of their values, from the path itself: after
 * it everything is counted anew, in another hold of the lock.
 */
static int prepare_path(struct pvm_fill *fill, uint32_t *tables, enum pvm_sleep sleep)
{
	struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	struct need need;

	fill->wanted = 0;
	if (pvm_unlikely(mmu->wide_full)) {
		pvm_track_relieve(mmu);
		return FILL_AGAIN;
	}
	find_path(fill, &need);
	*tables = need.tables;
	if (need.crowded)
		return FILL_AGAIN;
	if (!need.tables && mmu->reserved >= LEAF_PAGES_MAX)
		return PVM_OK;
	if (pvm_page_fits(mmu, need.tables)) {
		fill->wanted = missing_pages(fill, &need);
		if (mmu->reserved >= fill->wanted)
			return PVM_OK;
		if (!fill->starved)
			return FILL_AGAIN;
		if (sleep == PVM_NO_SLEEP)
			return PVM_EAGAIN;
	}
	if (!pvm_page_free_waiting(mmu) && !pvm_page_evict(mmu, need.tables + 1))
		return PVM_ENOMEM;	/* M11: nothing was lost */
	return FILL_AGAIN;
}

static int make_path(struct pvm_fill *fill, enum pvm_sleep sleep)
{
	struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	uint32_t tables;
	unsigned level;
	int rc;

	fill->root_role = pvm_root_role(fill->vcpu, fill->vcpu->user_mode);
	fill->table_role = fill->root_role;
	fill->table_role.direct = 0;
	fill->table_role.range = 0;
	rc = prepare_path(fill, &tables, sleep);
	if (rc != PVM_OK)
		return rc;
	fill->created = tables;
	for (level = mmu->host_levels; tables && level >= fill->target; level--) {
		bool root = level == mmu->host_levels;

		if (fill->path[level])
			continue;
		fill->path[level] = pvm_page_new(mmu,
						 root ? pvm_cr3_gfn(fill->vcpu->cr3) : path_gfn(fill, level),
						 root ? fill->root_role : path_role(fill, level),
						 fill->vcpu->mmu.range_gen);
		pvm_track_new(mmu, fill->path[level]);
		tables--;
	}
	pvm_root_take(fill->vcpu, fill->path[mmu->host_levels]);
	return PVM_OK;
}

int pvm_fill_root(struct pvm_fill *fill, enum pvm_sleep sleep)
{
	/* A path of one page: the root is where it ends. */
	fill->target = fill->vcpu->vm->mmu->host_levels;
	return make_path(fill, sleep);
}

void pvm_fill_pause(struct pvm_fill *fill, enum pvm_sleep sleep)
{
	struct pvm_vm *vm = fill->vcpu->vm;

	pvm_page_finish(vm->mmu);
	pvm_unlock(vm);
	if (fill->wanted)
		fill->starved = !pvm_pool_refill(vm->mmu, fill->wanted, sleep);
	fill->wanted = 0;
	pvm_yield(vm, sleep);
	pvm_lock(vm);
}

int pvm_fill_prepare(struct pvm_fill *fill, enum pvm_sleep sleep)
{
	fill->target = target_level(fill);
	fill->created = false;
	fill->linked = fill->vcpu->vm->mmu->reserved >= LEAF_PAGES_MAX && pvm_near_is_linked(fill);
	return fill->linked ? PVM_OK : make_path(fill, sleep);
}

/* The rights of the link at @level. Links below a large page carry none of
 * their own; that of the large page itself is writable once it is dirty. */
static uint64_t link_rights(const struct pvm_fill *fill, unsigned level)
{
	uint64_t entry;

	if (level > fill->walk.top || level < fill->walk.level)
		return PVM_PTE_W;
	entry = fill->walk.entry[level];
	if (level == fill->walk.level && !(entry & PVM_PTE_D))
		entry &= ~PVM_PTE_W;
	if (level == fill->walk.level)
		entry |= pvm_smep_nx(fill->root_role, fill->walk.user);
	return entry & (PVM_PTE_W | PVM_PTE_NX);
}

static void install_link(struct pvm_fill *fill, unsigned level)
{
	struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	struct pvm_shadow_page *parent = fill->path[level], *child = fill->path[level - 1];
	unsigned index = walk_index(fill, level);
	uint64_t rights = link_rights(fill, level), entry;

	if (pvm_entry_child(mmu, parent, index) != child) {
		pvm_entry_clear(mmu, parent, index);
		if (parent->table[index])
			pvm_tlb_note_link(mmu, child);	/* a CPU may remember the switcher's own table */
		pvm_track_below(mmu, child);		/* M9 */
		pvm_entry_link(mmu, parent, index, child, rights);
		pvm_track_linked(mmu, parent, index, child);
		return;
	}
	entry = (parent->table[index] & ~(PVM_PTE_W | PVM_PTE_NX)) | rights;
	if (entry == parent->table[index])
		return;
	/* More rights are like a new link: a CPU that refused before has walked
	 * again and read what is below anew (M9). */
	if (((entry & ~parent->table[index]) & PVM_PTE_W) ||
	    ((parent->table[index] & ~entry) & PVM_PTE_NX))
		pvm_track_below(mmu, child);
	PVM_WRITE_ONCE(parent->table[index], entry);
	mmu->links_gen++;
}

static uint64_t leaf_entry(const struct pvm_fill *fill)
{
	const struct pvm_guest_walk *walk = &fill->walk;
	uint64_t entry = (fill->frame.pa.v & ~(PVM_LEVEL_SIZE(fill->target) - 1)) |
		pvm_leaf_bits(fill->path[fill->target]->role, walk->entry[walk->level], walk->user,
			      fill->target == walk->level);

	if (fill->target > 1)
		entry |= PVM_PTE_PS;
	/* Read-only until the guest's entry is dirty; tables are not writable. */
	if (wants_write(fill, fill->target) &&
	    (fill->target > 1 || !pvm_page_tracked(fill->vcpu->vm->mmu, fill->gfn)))
		entry |= PVM_PTE_W | PVM_PTE_D;
	return entry;
}

static void install_leaf(struct pvm_fill *fill)
{
	struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	struct pvm_shadow_page *page = fill->path[fill->target];
	unsigned index = walk_index(fill, fill->target);
	pvm_gfn_t gfn = region_gfn(fill, fill->target);
	uint64_t old = page->table[index], new = leaf_entry(fill);
	bool present = pvm_entry_present(page, index);
	bool same = present && pvm_entry_is_leaf(page, index) && pvm_entry_gfn(page, index).v == gfn.v;

	if (new == old && same)
		return;
	if (present && (!same || ((old ^ new) & PVM_PTE_ADDR_MASK))) {
		pvm_entry_clear(mmu, page, index);
		present = false;
	}
	if (!present) {
		pvm_entry_map(mmu, page, index, gfn, new);
	} else {
		if (old & ~new & PVM_PTE_W)
			pvm_tlb_note_leaf(mmu, gfn, fill->target);
		PVM_WRITE_ONCE(page->table[index], new);
	}
	mmu->stats.fills++;
	pvm_trace_vcpu(fill->vcpu, PVM_TRACE_FILL, fill->walk.gva.v, fill->walk.gpa.v, fill->target, new);
}

/* Have the guest's entries still the values that were read? A page that was new
 * in this call was not write-protected when they were. */
static bool still_true(const struct pvm_fill *fill)
{
	const struct pvm_guest_walk *walk = &fill->walk;
	unsigned level;

	for (level = walk->top; level >= walk->level; level--) {
		unsigned index = walk_index(fill, level);
		const uint64_t *va = pvm_walk_entry_va(fill->vcpu, walk->table[level], index, false);
		uint64_t ignore = walk->read_only >> level & 1 ? PVM_PTE_A | PVM_PTE_D : 0;

		if (!va || (PVM_READ_ONCE(*va) ^ walk->entry[level]) & ~ignore)
			return false;
	}
	return true;
}

int pvm_fill_m2p(struct pvm_fill *fill, enum pvm_sleep sleep)
{
	const struct pvm_vcpu *vcpu = fill->vcpu;
	const struct pvm_vm_config *config = &vcpu->vm->config;
	pvm_gva_t gva = fill->walk.gva;
	int rc;

	if (!config->xen.m2p_entry || !config->switcher_pml4_entry || vcpu->user_mode ||
	    PVM_LEVEL_INDEX(gva.v, 5) != PVM_PTES_PER_TABLE - 1 ||
	    PVM_LEVEL_INDEX(gva.v, 4) != config->xen.m2p_slot)
		return PVM_ENOENT;
	/* A path that ends above the entry. */
	fill->target = 4;
	fill->walk.top = fill->walk.level = 4;
	fill->walk.table[4] = pvm_cr3_gfn(vcpu->cr3);
	rc = make_path(fill, sleep);
	if (rc != PVM_OK)
		return rc;
	if (pvm_entry_child(vcpu->vm->mmu, fill->path[5], walk_index(fill, 5)) == fill->path[4])
		return PVM_ENOENT;	/* it was there: M2P itself ends before this address */
	install_link(fill, 5);
	return PVM_OK;
}

bool pvm_fill_install(struct pvm_fill *fill)
{
	unsigned level;

	if (!fill->linked) {
		/* M9: what was made may be the table of one that lies in this very large page. */
		if (fill->created && (!still_true(fill) || target_level(fill) < fill->target))
			return false;
		for (level = fill->vcpu->vm->mmu->host_levels; level > fill->target; level--)
			install_link(fill, level);
		pvm_near_remember(fill);
	}
	install_leaf(fill);
	if (fill->vcpu->vm->mmu->vcpus > 1)
		pvm_spares_top_up(fill->vcpu);	/* M11: after those for whom the pages were counted */
	return true;
}
