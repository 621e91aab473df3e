/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A host for unit tests: guest memory, a page arena, recorded flushes, and
 * switches that make each host operation fail. Also a builder of guest page
 * tables. Deterministic; nothing here runs a guest.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <pvm/vcpu.h>

#define FIXTURE_HPA_BASE	(1ull << 44)	/* guest frames */
#define FIXTURE_TABLE_BASE	(1ull << 45)	/* engine pages */
#define FIXTURE_MAX_FLUSHES	256
#define FIXTURE_MAX_RECORDS	256

struct fixture {
	struct pvm_vm vm;
	struct pvm_vcpu vcpu[4];
	unsigned vcpus;
	struct pvm_host_ops ops;	/* a copy: tests may replace single operations */

	uint8_t *memory;		/* guest memory, gpa 0.. */
	uint64_t memory_size;		/* bytes */
	uint64_t next_table;		/* gpa of the next free guest table page, grows up */

	uint8_t *arena;			/* engine pages */
	uint32_t arena_pages, arena_used, arena_live;
	uint32_t *arena_free;		/* stack of free indices */
	uint32_t arena_free_count;

	/* Failure switches. */
	int64_t allocs_left;		/* page_alloc() fails when it reaches 0; -1: never */
	bool frames_would_block;	/* gfn_to_frame(PVM_NO_SLEEP) says PVM_EAGAIN */
	bool memory_read_only;
	uint64_t hole_start, hole_end;	/* gfns that are no memory */
	uint8_t max_level;		/* of frames handed out; 1 by default */

	/* Records. */
	struct pvm_tlb_flush flushes[FIXTURE_MAX_FLUSHES];
	unsigned flush_count;
	struct pvm_trace_record records[FIXTURE_MAX_RECORDS];
	unsigned record_count;
	unsigned pins;			/* pinned frames now */
	int lock_depth;			/* asserted to be 0 or 1 */
};

/* The configuration that fixture_init() uses: 4-level host, NX, PKE, a Linux
 * GDT, ranges 256..511 exclusive; change it before fixture_init_config(). */
struct pvm_vm_config fixture_config(void);

/* 16 MiB of memory, one vCPU, reset. Fails the test on error. */
void fixture_init(struct fixture *fixture);
void fixture_init_config(struct fixture *fixture, const struct pvm_vm_config *config,
			 uint64_t memory_size, unsigned vcpus);
/* Also asserts that nothing is leaked: pages, pins, lock. page_free() asserts that nothing was
 * written beyond the page's end. */
void fixture_fini(struct fixture *fixture);

/* A zeroed guest page for a page table; its gpa. */
uint64_t fixture_new_table(struct fixture *fixture);

/* Map gva to gpa in the guest's tables under cr3 with leaf @flags (PVM_PTE_*)
 * at @level; makes tables on the way with P|W|U. The depth is @levels. */
void fixture_map(struct fixture *fixture, uint64_t cr3, unsigned levels, uint64_t gva, uint64_t gpa,
		 unsigned level, uint64_t flags);

/* The guest's entry for gva at @level, for a test to change; NULL: no table. */
uint64_t *fixture_entry(struct fixture *fixture, uint64_t cr3, unsigned levels, uint64_t gva,
			unsigned level);

/* Give the vCPU page tables that map all memory at gva = gpa (2 MiB pages) for
 * both modes (single CR3: one table for both), a PVCS at gpa 0x3000, entries and a stack:
 * EVENT_ENTRY 0x100000, LSTAR 0x110000, RETU_RIP 0x120000, RETS_RIP 0x120010,
 * supervisor rsp 0x208000. In supervisor mode, IF set. */
void fixture_boot(struct fixture *fixture, struct pvm_vcpu *vcpu);

/* The first record of that kind since the start, or NULL. */
const struct pvm_trace_record *fixture_find_record(const struct fixture *fixture,
						   enum pvm_trace_kind kind);

#endif /* TESTS_FIXTURE_H */
