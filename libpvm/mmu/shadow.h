/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The shadow MMU's own structures. Everything here is under the MMU lock, but for what
 * lock.h allows beside it.
 * For libpvm/mmu/ alone.
 *
 * A shadow page is a table that the CPU walks. A present entry is named by a
 * reference: the id of its page, and its index. The leaves of a guest frame are a
 * list of references, as are the entries that link to a shadow page, so that both
 * directions can be followed from either end. A list's links are kept beside the
 * entries, and only where a list has more than one: most frames are mapped once.
 *
 * The files of mmu/ call each other in this direction only:
 *   fault, flush, host, memory -> root, near, fill -> track -> sync ->
 *   batch, page -> entry -> tlb
 *   and all of them walk, radix, pool.
 */
#ifndef MMU_SHADOW_H
#define MMU_SHADOW_H

#include <pvm/mmu.h>

#include "chain.h"
#include "pool.h"
#include "pte.h"
#include "radix.h"

#define CHUNK_ENTRIES	32
#define CHUNKS_PER_PAGE	(PVM_PTES_PER_TABLE / CHUNK_ENTRIES)
#define REGION_COUNTERS	(PVM_PAGE_SIZE / sizeof(uint32_t))
#define STALE_BITS	4096
#define MAX_LEVELS	5
#define REF_INDEX_BITS	9
#define PAGES_MAX	((1u << (32 - REF_INDEX_BITS)) - 1)	/* ids are 1..PAGES_MAX */

/* What neighbouring entries stand for. A leaf: the number of its page of memory,
 * gfn >> 9 * (level - 1). A link: the id of the shadow page that it points to. */
struct pvm_entry_values {
	uint32_t low[CHUNK_ENTRIES];
	uint8_t high[CHUNK_ENTRIES];
};

/* Their neighbours in the lists that they are in: references; 0: none. */
struct pvm_entry_link {
	uint32_t next, prev;
};

struct pvm_entry_links {
	union {
		struct pvm_entry_link of[CHUNK_ENTRIES];
		uint64_t both[CHUNK_ENTRIES];
	};
};

/* A shadow page: what is known of one table for the CPU. page.c */
struct pvm_shadow_page {
	/* What every fill looks at: in one line of the CPU's cache. */
	uint32_t id;
	uint32_t parents;		/* reference to the first entry that links here; 0: none */
	uint64_t *table;
	pvm_gfn_t gfn;			/* of the guest's table; direct: of the memory it maps */
	union pvm_mmu_role role;
	uint64_t range_gen;		/* role.range is a vCPU's own: vcpu->mmu.range_gen then */
	uint64_t used;			/* mmu->use_clock of its last use */
	uint16_t loaded;		/* roots: vCPU slots that hold it */
	uint16_t marks;			/* how many bits of mark[] are set */
	bool unsync;			/* the guest may write its table: entries may be stale */
	bool wide;			/* unsync, and not found by marks */
	bool dead;			/* no longer known; waits until no CPU can walk it */
	uint8_t clean;			/* flushes in a row that found it unchanged */

	struct pvm_entry_values *values[CHUNKS_PER_PAGE];	/* NULL: none of them is present */
	struct pvm_entry_links *links[CHUNKS_PER_PAGE];	/* NULL: none has a neighbour */
	struct pvm_shadow_page *same_next, *same_prev;	/* of the same gfn */
	struct pvm_list link;		/* in mmu->pages (oldest last), mmu->dead or mmu->idle */
	struct pvm_list unsync_link, wide_link, harden_link;	/* in those lists of the mmu */
	struct pvm_host_page host;	/* the table itself */
	uint64_t queued;		/* mmu->use_clock of its place in the list */
	/* track.c: mmu->sync_clock when it was compared last; when everything ([1]: above level 1)
	 * from here down was. */
	uint64_t synced, done[2];
	uint64_t mark[PVM_PTES_PER_TABLE / 64];	/* entries below which something is unsync */
} __attribute__((aligned(64)));

struct pvm_mmu {
	struct pvm_vm *vm;
	struct pvm_host_page page;	/* this structure's own */
	uint8_t host_levels;		/* 4 or 5 */
	uint32_t vcpus;
	struct pvm_vcpu *first_vcpu;	/* of a list by vcpu->mmu.next */
	bool alone;			/* lock.h: a holder of the lock is, or waits to be */
	bool is_shared;			/* the engine writes shared as it likes, as pvm_vcpu_mmu's */
	pvm_gfn_t shared;
	uint64_t widest_range;		/* config.range as the MSR has it */

	struct pvm_host_page reserve[RESERVE_MAX];
	uint32_t reserved;
	struct pvm_slab page_slab, value_slab, link_slab;

	struct pvm_radix ids;		/* shadow pages by id; a free id: 2 * the next free one + 1 */
	uint32_t last_id, free_id;
	struct pvm_radix tables;	/* by gfn: id of the first shadow page */
	struct pvm_radix marks;		/* mark.c */
	struct pvm_radix rmap[3];	/* by level and page of memory: reference to the first leaf */
	struct pvm_host_page region[2];	/* shadowed tables by 2 MiB and by 1 GiB region, hashed */
	struct pvm_list pages;
	struct pvm_list dead;		/* zapped, not loaded: CPUs may still walk them */
	struct pvm_list idle;		/* zapped, and all TLBs flushed since */
	uint32_t live_count, dead_count, waiting;	/* waiting: in dead */
	uint64_t use_clock;		/* counts faults: shadow pages are evicted by it */

	/* track.c */
	struct pvm_list unsync;		/* by page->synced, oldest first */
	struct pvm_list wide;		/* those of them that marks do not lead to */
	struct pvm_list harden;		/* those that flushes found unchanged */
	uint32_t wide_count;
	bool wide_full;			/* pvm_track_relieve() is due */
	uint32_t unsync_upper;		/* pages in unsync above level 1 */
	uint64_t sync_clock;		/* counts flushes and new links */
	uint64_t steps;			/* counts units of work, for tests of M12 */

	uint64_t links_gen;		/* counts links that went or changed */
	uint64_t range_gen;		/* counts changes of a vCPU's legal ranges */
	uint64_t flush_gen;		/* counts flushes of all vCPUs; from 1 */

	/* host.c: the host is taking back, or changing, what backs these frames. */
	uint64_t frames_gen;		/* counts the times it did; from 1 */
	uint32_t taking;		/* how often at once */
	uint64_t taking_start, taking_end;	/* around all of them */

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

/* Add what the vCPUs counted for themselves to the statistics. mmu.c, under the lock */
void pvm_stats_gather(struct pvm_mmu *mmu);

/* Is the host changing what backs one of @count frames? Then what it says of them is not
 * installed (M10). */
static inline bool pvm_frames_are_taken(const struct pvm_mmu *mmu, pvm_gfn_t gfn, uint64_t count)
{
	return mmu->taking && gfn.v + count > mmu->taking_start && gfn.v < mmu->taking_end;
}

#endif /* MMU_SHADOW_H */
