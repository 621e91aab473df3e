/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The shadow MMU's own structures, and what its files call of each other.
 * Everything here is under the MMU lock. Nobody outside libpvm/mmu/ includes
 * this.
 *
 * A shadow page is a table that the CPU walks. Each of its present entries has
 * a node: a leaf's node is in the list of its guest frame (rmap.c), a link's
 * node is in the list of parents of the page it points to. So both directions
 * can be followed from either end.
 */
#ifndef MMU_SHADOW_H
#define MMU_SHADOW_H

#include <pvm/mmu.h>

#include "list.h"
#include "pte.h"

#define NODES_PER_CHUNK	16
#define CHUNKS_PER_PAGE	(PVM_PTES_PER_TABLE / NODES_PER_CHUNK)
#define HASH_PAGES	8
#define POINTERS_PER_PAGE (PVM_PAGE_SIZE / sizeof(void *))
#define REGION_COUNTERS	(PVM_PAGE_SIZE / sizeof(uint32_t))
#define RESERVE_MAX	32	/* host pages kept at hand */
#define RESERVE_GOAL	16	/* what is refilled before the lock is taken */
#define STALE_BITS	4096
#define DEAD_MAX	32	/* dead pages that wait for a flush */
#define MAX_LEVELS	5

struct mmu_page;

/* Of one present shadow entry. */
struct mmu_node {
	struct mmu_node *next, **pprev;	/* pprev NULL: the entry is not present */
	union {
		pvm_gfn_t gfn;		/* leaf: the first frame it maps */
		struct mmu_page *child;	/* link */
	};
};

struct mmu_chunk {
	struct mmu_page *page;
	uint16_t first;			/* index of node[0]'s entry */
	uint16_t used;			/* nodes in use */
	struct mmu_node node[NODES_PER_CHUNK];
};

/* A shadow page: what is known of one table for the CPU. page.c */
struct mmu_page {
	struct mmu_page *hash_next, **hash_pprev;
	struct list link;		/* in mmu->pages (oldest last), or in mmu->dead */
	struct list unsync_link;	/* in mmu->unsync[] */
	struct pvm_host_page host;	/* the table itself */
	uint64_t *table;
	pvm_gfn_t gfn;			/* of the guest's table; direct: of the memory it maps */
	union pvm_mmu_role role;
	uint16_t present;		/* entries that have a node */
	uint16_t loaded;		/* roots: vCPU slots that hold it */
	bool unsync;			/* the guest may write its table: entries may be behind */
	bool dead;			/* no longer known; waits until no CPU can walk it */
	uint8_t clean;			/* flushes in a row that found it unchanged */
	uint64_t used, queued;		/* mmu->clock of its last use and of its place in the list */
	uint64_t seen, reaches;		/* mmu->search that came by; that found its goal above */
	struct mmu_node *parents;
	struct mmu_chunk *chunk[CHUNKS_PER_PAGE];
};

/* Objects of one size in host pages. pool.c */
struct mmu_slab {
	struct list partial;		/* pages with free objects */
	uint32_t size;			/* bytes */
	uint32_t available;		/* free objects */
};

/* Heads of the lists of leaves, by frame; grows with the frames used. rmap.c */
struct mmu_radix {
	struct pvm_host_page root;
	unsigned height;		/* 0: empty */
};

struct pvm_mmu {
	struct pvm_vm *vm;
	struct pvm_host_page page;	/* this structure's own */
	uint8_t host_levels;		/* 4 or 5 */
	uint32_t vcpus;
	uint64_t widest_range;		/* config.range as the MSR has it */

	struct pvm_host_page reserve[RESERVE_MAX];
	uint32_t reserved;
	struct mmu_slab page_slab, chunk_slab;

	struct pvm_host_page hash[HASH_PAGES];
	struct pvm_host_page region[2];	/* shadowed tables by 2 MiB and by 1 GiB region, hashed */
	struct list pages, dead, unsync[2];	/* unsync: [0] level 1, [1] above */
	uint32_t live_count, dead_count;
	uint64_t clock, search;
	uint64_t links;			/* counts changes of entries that link */

	struct mmu_radix rmap[3];	/* leaves of level 1, 2, 3 */
	uint64_t frames_seq;		/* counts the times the host took memory or rights back */

	/* What a CPU's TLB may hold although no shadow entry says so. tlb.c */
	uint64_t stale[STALE_BITS / 64];
	bool stale_some;		/* a bit above is set */
	bool stale_links;		/* whole subtrees may be held */
	bool flush_due;			/* pieces of a large page: flush before the call returns */

	struct pvm_mmu_stats stats;
};

static inline bool mmu_page_is_root(const struct pvm_mmu *mmu, const struct mmu_page *page)
{
	return page->role.level == mmu->host_levels;
}

/* The node of a present entry, or NULL. The switcher's slot has none. */
static inline struct mmu_node *entry_node(const struct mmu_page *page, unsigned index)
{
	struct mmu_chunk *chunk = page->chunk[index / NODES_PER_CHUNK];
	struct mmu_node *node;

	if (!chunk)
		return NULL;
	node = &chunk->node[index % NODES_PER_CHUNK];
	return node->pprev ? node : NULL;
}

/* The shadow page that an entry links to, or NULL. */
static inline struct mmu_page *entry_child(const struct mmu_page *page, unsigned index)
{
	const struct mmu_node *node = entry_node(page, index);

	if (!node || pte_is_leaf(page->table[index], page->role.level))
		return NULL;
	return node->child;
}

/* Chunks that making this entry will take: 0 or 1. */
static inline uint32_t entry_chunks_missing(const struct mmu_page *page, unsigned index)
{
	return !page->chunk[index / NODES_PER_CHUNK];
}

/* pool.c: host pages and objects. Taking never fails: ask pool_missing() first. */
void pool_topup(struct pvm_mmu *mmu);
bool pool_fill(struct pvm_mmu *mmu, uint32_t pages);
struct pvm_host_page pool_take(struct pvm_mmu *mmu);
void pool_give(struct pvm_mmu *mmu, struct pvm_host_page page);
void pool_drain(struct pvm_mmu *mmu);
void slab_init(struct mmu_slab *slab, uint32_t size);
uint32_t slab_missing(const struct mmu_slab *slab, uint32_t objects);
void *slab_take(struct pvm_mmu *mmu, struct mmu_slab *slab);
void slab_give(struct pvm_mmu *mmu, struct mmu_slab *slab, void *object);
void *slab_object(const struct mmu_slab *slab, const void *inside);

/* rmap.c: every leaf of a frame. */
uint32_t rmap_missing(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
struct mmu_node **rmap_make(struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
struct mmu_node **rmap_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
struct mmu_node **rmap_next(const struct pvm_mmu *mmu, unsigned level, uint64_t *index, uint64_t end);
void rmap_destroy(struct pvm_mmu *mmu);

/* entry.c: the entries of a shadow page and their nodes. */
struct mmu_page *node_entry(const struct pvm_mmu *mmu, const struct mmu_node *node, unsigned *index);
void entry_link(struct pvm_mmu *mmu, struct mmu_page *page, unsigned index, struct mmu_page *child,
		uint64_t rights);
void entry_map(struct pvm_mmu *mmu, struct mmu_page *page, unsigned index, pvm_gfn_t gfn,
	       uint64_t entry);
void entry_drop(struct pvm_mmu *mmu, struct mmu_page *page, unsigned index);
void entry_clear(struct pvm_mmu *mmu, struct mmu_page *page, unsigned index);

/* page.c: shadow pages. */
struct mmu_page **page_bucket(const struct pvm_mmu *mmu, pvm_gfn_t gfn);
struct mmu_page *page_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role);
struct mmu_page *page_new(struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role);
bool page_tracked(const struct pvm_mmu *mmu, pvm_gfn_t gfn);
bool page_region_has_tables(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
void page_zap(struct pvm_mmu *mmu, struct mmu_page *page);
void page_reclaim(struct pvm_mmu *mmu);
void page_release(struct pvm_mmu *mmu, struct mmu_page *page);
bool page_free_waiting(struct pvm_mmu *mmu);
uint32_t page_evict(struct pvm_mmu *mmu, uint32_t count);
bool page_fits(const struct pvm_mmu *mmu, uint32_t tables);

/* tlb.c: what the executor must forget. */
#define TLB_BATCH 4
struct tlb_batch {
	unsigned count;
	bool everything;
	struct { struct mmu_page *page; uint16_t index; uint8_t level; } leaf[TLB_BATCH];
};
void tlb_tell(struct pvm_mmu *mmu, const struct pvm_tlb_flush *flush);
void tlb_flush_everything(struct pvm_mmu *mmu);
void tlb_note(struct pvm_mmu *mmu, const struct mmu_page *page, unsigned index);
void tlb_batch_frame(struct pvm_mmu *mmu, struct tlb_batch *batch, pvm_gfn_t gfn);
void tlb_batch_leaf(struct tlb_batch *batch, struct mmu_page *page, unsigned index);
void tlb_batch_flush(struct pvm_mmu *mmu, const struct tlb_batch *batch);
void tlb_finish(struct pvm_mmu *mmu);

/* sync.c: shadow pages that are behind their guest tables. */
uint64_t *sync_guest_table(struct pvm_mmu *mmu, const struct mmu_page *page);
bool sync_expected(const struct pvm_mmu *mmu, const struct mmu_page *page, unsigned index,
		   uint64_t guest, uint64_t *entry);
void sync_entry(struct pvm_mmu *mmu, struct mmu_page *page, unsigned index);
bool sync_page(struct pvm_mmu *mmu, struct mmu_page *page);
void sync_upper(struct pvm_mmu *mmu);
void sync_all(struct pvm_mmu *mmu);
void sync_tags(struct pvm_mmu *mmu, const pvm_gfn_t *tags, unsigned count);
void sync_below(struct pvm_mmu *mmu, struct mmu_page *page);
void sync_harden(struct pvm_mmu *mmu);
void sync_lose(struct pvm_mmu *mmu, struct mmu_page *page);
void table_protect(struct pvm_mmu *mmu, pvm_gfn_t gfn);
void table_written(struct pvm_mmu *mmu, pvm_gfn_t gfn);

/* root.c */
union pvm_mmu_role root_role(const struct pvm_vcpu *vcpu);
void root_refresh(struct pvm_vcpu *vcpu);
void root_take(struct pvm_vcpu *vcpu, struct mmu_page *root);
struct mmu_page *root_next(const struct pvm_mmu *mmu, struct mmu_page *page, pvm_gfn_t tag);

#endif /* MMU_SHADOW_H */
