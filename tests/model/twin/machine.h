/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A machine without instructions: the test host that at times refuses, and CPUs
 * that only access addresses under the engine's shadow roots. Each CPU has a
 * TLB and a cache of upper levels that forget nothing on their own but what
 * tlb_flush() names, so a flush that the engine forgets shows.
 */
#ifndef TWIN_MACHINE_H
#define TWIN_MACHINE_H

#include <pvm/mmu.h>
#include <pvm/vcpu.h>

#include "test_host.h"

#define MACHINE_CPUS	4
#define MACHINE_TLB	512
#define MACHINE_UPPER	64
#define MACHINE_FRAMES	(8ull << 20 >> 12)

struct machine_config {
	bool la57, page1g;
	bool shares_slot;		/* with la57: the last slot is the switcher's and the guest's */
	bool single_cr3;		/* the guest ABI, else dual CR3 */
	unsigned cpus;
	uint8_t max_level;		/* of host frames */
	uint32_t max_shadow_pages;
	uint32_t page_limit;		/* host pages that the engine gets; 0: enough */
	unsigned alloc_failure;		/* per cent of PVM_NO_SLEEP allocations that fail */
	unsigned frame_block;		/* per cent of PVM_NO_SLEEP gfn_to_frame()s that would sleep */
	unsigned forget;		/* to test the test: per mille of flushes that get lost */
};

struct tlb_entry {
	bool valid;
	uint64_t root, page;		/* gva >> 12 */
	uint64_t entry, pa;
};

/* Where the level-1 table for 2 MiB is. */
struct upper_entry {
	bool valid;
	uint64_t root, region;		/* gva >> 21 */
	uint64_t table;
	uint64_t rights;		/* PVM_PTE_W if writable so far, PVM_PTE_NX if not executable */
};

struct machine_cpu {
	struct pvm_vcpu vcpu;
	struct tlb_entry tlb[MACHINE_TLB];
	struct upper_entry upper[MACHINE_UPPER];
};

struct machine {
	struct test_host host;
	struct machine_config config;
	struct pvm_vm vm;
	struct machine_cpu cpu[MACHINE_CPUS];
	uint64_t random;
	bool write_protected[MACHINE_FRAMES];	/* dirty logging is on and the frame is clean */
	uint64_t flushes[3], faults, hits;
};

enum outcome {
	OUTCOME_DONE,		/* at gpa */
	OUTCOME_INJECT,		/* fault.vector, fault.error_code */
	OUTCOME_MMIO,		/* fault.gpa */
	OUTCOME_BAD_CR3,
	OUTCOME_ERROR,		/* the engine failed: fault.error */
	OUTCOME_STUCK,		/* FIXED again and again */
};

struct machine_result {
	enum outcome outcome;
	uint64_t gpa;
	struct pvm_fault_result fault;
};

uint64_t machine_random(struct machine *m);
static inline bool machine_chance(struct machine *m, unsigned percent)
{
	return machine_random(m) % 100 < percent;
}

/* Ends the program with a line on failure of the host's own rules. */
void machine_init(struct machine *m, const struct machine_config *config, uint64_t seed);
void machine_fini(struct machine *m);

/* One access by a CPU in its present state. @faulted is called after each
 * fault that the engine handled. */
struct machine_result machine_access(struct machine *m, unsigned n, uint64_t gva, bool write,
				     bool exec, void (*faulted)(void *arg), void *arg);

/* The host takes frames [start, end) away, or gives all back (start == end). */
void machine_set_hole(struct machine *m, uint64_t start, uint64_t end);
void machine_write_protect(struct machine *m, uint64_t start, uint64_t end);

/* Does any TLB reach into the frames (for writing)? */
bool machine_tlb_reaches(const struct machine *m, uint64_t start, uint64_t end, bool write);

#endif /* TWIN_MACHINE_H */
