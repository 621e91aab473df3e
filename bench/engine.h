/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The smallest host that the engine runs on: memory, pages, flushes that are
 * only counted. Owns nothing that takes time, so that the rows measure the
 * engine and not its host: no checks and no fields that make an operation fail,
 * which is why it is not the test host (tests/support/test_host.h).
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <pvm/vcpu.h>

struct engine {
	struct pvm_vm vm;
	struct pvm_vcpu vcpu;
	uint8_t *memory;
	uint64_t memory_size;
	uint64_t next_table;	/* gpa, grows up from the middle of memory */
	uint8_t *arena;
	uint32_t arena_pages, free_count;
	uint32_t *free;
	uint64_t flushes;
	bool shared;			/* by threads: the lock is a lock */
	char held, arena_held;		/* spinlocks */
	uint64_t takings;		/* of the MMU's lock */
	bool timed;			/* the lock's holds are timed */
	uint64_t held_since, held_longest;	/* nanoseconds of CPU time */
};

#define ENGINE_PVCS	0x3000ull
#define ENGINE_ENTRY	0x100000ull
#define ENGINE_RETU	0x120000ull

/* A VM in supervisor mode on identity tables of 2 MiB pages for both modes. False: no
 * memory, or the engine refuses. */
bool engine_init(struct engine *engine, uint64_t memory_size);
/* The same with guest tables of @levels and @arena_pages for the engine. Memory of both
 * is reserved only: what is never touched costs nothing. */
bool engine_init_sized(struct engine *engine, uint64_t memory_size, uint32_t arena_pages,
		       unsigned levels);
void engine_fini(struct engine *engine);

/* A zeroed guest page for a table. */
uint64_t engine_new_table(struct engine *engine);
/* Map @gva to @gpa with a 4 KiB page in the 4-level tables under @root. */
void engine_map(struct engine *engine, uint64_t root, uint64_t gva, uint64_t gpa, uint64_t flags);
/* The address, in host memory, of the guest's leaf entry of @gva. */
uint64_t *engine_entry(struct engine *engine, uint64_t root, uint64_t gva);
/* The same at @last, 1 to 4. */
uint64_t *engine_table_entry(struct engine *engine, uint64_t root, uint64_t gva, unsigned last);

#endif /* BENCH_ENGINE_H */
