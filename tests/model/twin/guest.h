/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A random guest on two MMUs: its state, its log, and what it can do. One thing is done by
 * one function, at random, to the machine and to the horrible MMU alike; where the two
 * disagree the program ends with the log.
 */
#ifndef TWIN_GUEST_H
#define TWIN_GUEST_H

#include "horrible_mmu.h"
#include "machine.h"

#define TABLES_PER_LEVEL 6
#define ROOTS		4
#define FIRST_TABLE	64	/* frames; below: data */
#define MAP_SLOT	3	/* top-level slot of the guest's own map (below slot 0 of a 5-level guest) */
#define RECENT		32
#define EPOCH_ACCESSES	3000	/* then everything is flushed, so that the past stays short */

struct guest {
	struct machine machine;
	struct horrible_mmu *twin;
	uint64_t seed;
	unsigned n;			/* the CPU that runs now */
	uint64_t gva;			/* of the access in progress */
	uint64_t accesses, writes, stale;
	uint64_t outcome[OUTCOME_STUCK + 1];
	uint64_t recent[RECENT];	/* addresses that were accessed with success */
	bool calm;			/* seldom touches upper levels, and the host is quiet */
	char log[64][160];		/* the last operations */
	unsigned logged;
};

static inline uint64_t guest_pick(struct guest *g, uint64_t below)
{
	return machine_random(&g->machine) % below;
}

static inline bool guest_chance(struct guest *g, unsigned percent)
{
	return machine_chance(&g->machine, percent);
}

static inline struct pvm_vcpu *guest_vcpu(struct guest *g)
{
	return &g->machine.cpu[g->n].vcpu;
}

/* guest.c */
void guest_note(struct guest *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the log, the tables of the access in progress and @what; does not return. */
void guest_disagree(struct guest *g, const char *what) __attribute__((noreturn));
/* The CPU that runs now, as the horrible MMU wants it. */
struct horrible_cpu guest_cpu(struct guest *g);
/* The same without its own PKRU where the guest has keys off: what the guest's registers
 * say when no CPU is asked. */
struct horrible_cpu guest_registers(struct guest *g);
/* Write a word of memory, and let the horrible MMU see it. */
void guest_poke(struct guest *g, uint64_t gpa, uint64_t value);

/* guest_tables.c */
void guest_make_tables(struct guest *g);
/* Make the map of all memory at MAP_SLOT anew, as random entries may have destroyed it, with
 * a pvm_mmu_host_wrote() of each table. */
void guest_repair_map(struct guest *g);
uint64_t guest_table_gpa(unsigned level, unsigned i);
unsigned guest_index_at(struct guest *g, unsigned level);
uint64_t guest_random_gva(struct guest *g);
uint64_t guest_random_entry(struct guest *g, unsigned level);
uint64_t guest_random_cr3(struct guest *g);

/* guest_access.c */
void guest_access(struct guest *g);
/* The guest writes one of its own entries, through whatever maps the table. */
void guest_write_entry(struct guest *g);
/* pvm_mmu_translate() and pvm_mmu_read() see today's tables, no older ones. */
void guest_ask_engine(struct guest *g);

/* guest_events.c */
void guest_flush(struct guest *g);
void guest_switch_tables(struct guest *g);
void guest_change_controls(struct guest *g);
void guest_host_acts(struct guest *g);

#endif /* TWIN_GUEST_H */
