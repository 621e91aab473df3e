/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The horrible MMU: an MMU that walks the guest's tables for every access and
 * caches nothing. It is slow and, it is hoped, obviously right. It shares no
 * code with libpvm/mmu/.
 *
 * It also remembers every value that every word of guest memory ever had, with
 * its time, and every flush, so that it can say of a translation that is not
 * today's whether a TLB may still hold it.
 */
#ifndef HORRIBLE_MMU_H
#define HORRIBLE_MMU_H

#include <stdbool.h>
#include <stdint.h>

/* What of a CPU matters for an access. */
struct horrible_cpu {
	uint64_t cr3;
	bool five_levels;	/* CR4.LA57 */
	bool nx;		/* EFER.NXE */
	bool pke, pks;		/* CR4 */
	bool user_mode;
	bool us;		/* U/S bits count, and SMEP is on: single CR3 */
	uint32_t pkru;		/* the underlying one, which always counts */
	unsigned maxphyaddr;
	unsigned pml4_start, pml4_end, pml5_start, pml5_end;	/* legal ranges of the upper half */
};

struct horrible_access {
	uint64_t gva;
	bool write, exec;
};

struct horrible_answer {
	bool allowed;
	bool gp;		/* refused with #GP, else #PF */
	uint32_t error_code;
	uint64_t gpa;
};

struct horrible_mmu;

/* @memory: the guest's, the very bytes that the other MMU uses. */
struct horrible_mmu *horrible_new(uint8_t *memory, uint64_t size, unsigned cpus);
void horrible_free(struct horrible_mmu *mmu);

/* Frames [start, end) are not memory (start == end: all is). */
void horrible_set_hole(struct horrible_mmu *mmu, uint64_t start, uint64_t end);

/* Something happens: time goes on by one. */
void horrible_tick(struct horrible_mmu *mmu);

/* The word at @gpa may have changed just now. True: it has. */
bool horrible_look_at(struct horrible_mmu *mmu, uint64_t gpa);
/* The value that the word had when it was last looked at. */
uint64_t horrible_last_seen(const struct horrible_mmu *mmu, uint64_t gpa);
/* The first word of memory that changed without being looked at; ~0: none. */
uint64_t horrible_unseen_change(const struct horrible_mmu *mmu);

/* What the tables say now. @key_counts: do protection keys count in this mode? */
struct horrible_answer horrible_walk(const struct horrible_mmu *mmu, const struct horrible_cpu *cpu,
				     struct horrible_access access);

/* The gpas of the entries of the walk, highest level first. Returns how many. */
unsigned horrible_entries(const struct horrible_mmu *mmu, const struct horrible_cpu *cpu,
			  uint64_t gva, uint64_t entries[5]);

/*
 * May the CPU numbered @n, as it is, complete the access at @gpa, by anything
 * that its TLB and its caches of upper levels may hold? Every entry must have
 * been in the tables at a time when it could be read, with its accessed (and
 * dirty) bit set, top level first, none of it before the last flush.
 */
bool horrible_may(struct horrible_mmu *mmu, unsigned n, const struct horrible_cpu *cpu,
		  struct horrible_access access, uint64_t gpa);

/* Print today's walk, the past of its entries and the CPU's flushes. */
void horrible_explain(struct horrible_mmu *mmu, unsigned n, const struct horrible_cpu *cpu,
		      uint64_t gva);

void horrible_flush_all(struct horrible_mmu *mmu, unsigned n);
void horrible_flush_tag(struct horrible_mmu *mmu, unsigned n, uint64_t cr3);
/* Does nothing for an address that is not legal: nothing is mapped there. */
void horrible_invlpg(struct horrible_mmu *mmu, unsigned n, const struct horrible_cpu *cpu,
		     uint64_t cr3, uint64_t gva);

#endif /* HORRIBLE_MMU_H */
