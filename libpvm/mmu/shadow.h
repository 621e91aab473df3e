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

struct pvm_shadow_page;

/* Of one present shadow entry. */
struct pvm_shadow_node {
	struct pvm_shadow_node *next, **pprev;	/* pprev NULL: the entry is not present */
	union {
		pvm_gfn_t gfn;		/* leaf: the first frame it maps */
		struct pvm_shadow_page *child;	/* link */
	};
};

struct pvm_node_chunk {
	struct pvm_shadow_page *page;
	uint16_t first;			/* index of node[0]'s entry */
	uint16_t used;			/* nodes in use */
	struct pvm_shadow_node node[NODES_PER_CHUNK];
};

/* A shadow page: what is known of one table for the CPU. page.c */
struct pvm_shadow_page {
	struct pvm_shadow_page *hash_next, **hash_pprev;
	struct pvm_list link;		/* in mmu->pages (oldest last), or in mmu->dead */
	struct pvm_list unsync_link;	/* in mmu->unsync[] */
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
	struct pvm_shadow_node *parents;
	struct pvm_node_chunk *chunk[CHUNKS_PER_PAGE];
};

/* Objects of one size in host pages. pool.c */
struct pvm_slab {
	struct pvm_list partial;		/* pages with free objects */
	uint32_t size;			/* bytes */
	uint32_t available;		/* free objects */
};

/* Heads of the lists of leaves, by frame; grows with the frames used. rmap.c */
struct pvm_radix {
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
	struct pvm_slab page_slab, chunk_slab;

	struct pvm_host_page hash[HASH_PAGES];
	struct pvm_host_page region[2];	/* shadowed tables by 2 MiB and by 1 GiB region, hashed */
	struct pvm_list pages, dead, unsync[2];	/* unsync: [0] level 1, [1] above */
	uint32_t live_count, dead_count;
	uint64_t clock, search;
	uint64_t links;			/* counts changes of entries that link */

	struct pvm_radix rmap[3];	/* leaves of level 1, 2, 3 */
	uint64_t frames_seq;		/* counts the times the host took memory or rights back */

	/* What a CPU's TLB may hold although no shadow entry says so. tlb.c */
	uint64_t stale[STALE_BITS / 64];
	bool stale_some;		/* a bit above is set */
	bool stale_links;		/* whole subtrees may be held */
	bool flush_due;			/* pieces of a large page: flush before the call returns */

	struct pvm_mmu_stats stats;
};

static inline bool pvm_page_is_root(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page)
{
	return page->role.level == mmu->host_levels;
}

/* The node of a present entry, or NULL. The switcher's slot has none. */
static inline struct pvm_shadow_node *pvm_entry_node(const struct pvm_shadow_page *page, unsigned index)
{
	struct pvm_node_chunk *chunk = page->chunk[index / NODES_PER_CHUNK];
	struct pvm_shadow_node *node;

	if (!chunk)
		return NULL;
	node = &chunk->node[index % NODES_PER_CHUNK];
	return node->pprev ? node : NULL;
}

/* The shadow page that an entry links to, or NULL. */
static inline struct pvm_shadow_page *pvm_entry_child(const struct pvm_shadow_page *page, unsigned index)
{
	const struct pvm_shadow_node *node = pvm_entry_node(page, index);

	if (!node || pvm_pte_is_leaf(page->table[index], page->role.level))
		return NULL;
	return node->child;
}

/* Chunks that making this entry will take: 0 or 1. */
static inline uint32_t pvm_entry_chunks_missing(const struct pvm_shadow_page *page, unsigned index)
{
	return !page->chunk[index / NODES_PER_CHUNK];
}

/* pool.c: host pages and objects. Taking never fails: ask pool_missing() first. */
void pvm_pool_topup(struct pvm_mmu *mmu);
bool pvm_pool_fill(struct pvm_mmu *mmu, uint32_t pages);
struct pvm_host_page pvm_pool_take(struct pvm_mmu *mmu);
void pvm_pool_give(struct pvm_mmu *mmu, struct pvm_host_page page);
void pvm_pool_drain(struct pvm_mmu *mmu);
void pvm_slab_init(struct pvm_slab *slab, uint32_t size);
uint32_t pvm_slab_missing(const struct pvm_slab *slab, uint32_t objects);
void *pvm_slab_take(struct pvm_mmu *mmu, struct pvm_slab *slab);
void pvm_slab_give(struct pvm_mmu *mmu, struct pvm_slab *slab, void *object);
void *pvm_slab_object(const struct pvm_slab *slab, const void *inside);

/* rmap.c: every leaf of a frame. */
uint32_t pvm_rmap_missing(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
struct pvm_shadow_node **pvm_rmap_make(struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
struct pvm_shadow_node **pvm_rmap_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
struct pvm_shadow_node **pvm_rmap_next(const struct pvm_mmu *mmu, unsigned level, uint64_t *index,
				       uint64_t end);
void pvm_rmap_destroy(struct pvm_mmu *mmu);

/* entry.c: the entries of a shadow page and their nodes. */
struct pvm_shadow_page *pvm_node_entry(const struct pvm_mmu *mmu,
				       const struct pvm_shadow_node *node, unsigned *index);
void pvm_entry_link(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index,
		    struct pvm_shadow_page *child, uint64_t rights);
void pvm_entry_map(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, pvm_gfn_t gfn,
	       uint64_t entry);
void pvm_entry_drop(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index);
void pvm_entry_clear(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index);

/* page.c: shadow pages. */
struct pvm_shadow_page **pvm_page_bucket(const struct pvm_mmu *mmu, pvm_gfn_t gfn);
struct pvm_shadow_page *pvm_page_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role);
struct pvm_shadow_page *pvm_page_new(struct pvm_mmu *mmu, pvm_gfn_t gfn, union pvm_mmu_role role);
bool pvm_page_tracked(const struct pvm_mmu *mmu, pvm_gfn_t gfn);
bool pvm_page_region_has_tables(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
void pvm_page_zap(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
void pvm_page_reclaim(struct pvm_mmu *mmu);
void pvm_page_release(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
bool pvm_page_free_waiting(struct pvm_mmu *mmu);
uint32_t pvm_page_evict(struct pvm_mmu *mmu, uint32_t count);
bool pvm_page_fits(const struct pvm_mmu *mmu, uint32_t tables);

/* tlb.c: what the executor must forget. */
#define TLB_BATCH 4
struct pvm_tlb_batch {
	unsigned count;
	bool everything;
	struct { struct pvm_shadow_page *page; uint16_t index; uint8_t level; } leaf[TLB_BATCH];
};
void pvm_tlb_tell(struct pvm_mmu *mmu, const struct pvm_tlb_flush *flush);
void pvm_tlb_flush_everything(struct pvm_mmu *mmu);
void pvm_tlb_note(struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index);
void pvm_tlb_batch_frame(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, pvm_gfn_t gfn);
void pvm_tlb_batch_leaf(struct pvm_tlb_batch *batch, struct pvm_shadow_page *page, unsigned index);
void pvm_tlb_batch_flush(struct pvm_mmu *mmu, const struct pvm_tlb_batch *batch);
void pvm_tlb_finish(struct pvm_mmu *mmu);

/* sync.c: shadow pages that are behind their guest tables. */
uint64_t *pvm_sync_guest_table(struct pvm_mmu *mmu, const struct pvm_shadow_page *page);
bool pvm_sync_expected(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index,
		   uint64_t guest, uint64_t *entry);
void pvm_sync_entry(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index);
bool pvm_sync_page(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
void pvm_sync_upper(struct pvm_mmu *mmu);
void pvm_sync_all(struct pvm_mmu *mmu);
void pvm_sync_tags(struct pvm_mmu *mmu, const pvm_gfn_t *tags, unsigned count);
void pvm_sync_below(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
void pvm_sync_harden(struct pvm_mmu *mmu);
void pvm_sync_lose(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
void pvm_table_protect(struct pvm_mmu *mmu, pvm_gfn_t gfn);
void pvm_table_written(struct pvm_mmu *mmu, pvm_gfn_t gfn);

/* root.c */
union pvm_mmu_role pvm_root_role(const struct pvm_vcpu *vcpu, bool user_mode);
void pvm_root_refresh(struct pvm_vcpu *vcpu);
void pvm_root_take(struct pvm_vcpu *vcpu, struct pvm_shadow_page *root);
struct pvm_shadow_page *pvm_root_next(const struct pvm_mmu *mmu, struct pvm_shadow_page *page, pvm_gfn_t tag);

#endif /* MMU_SHADOW_H */
