/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The MMU with guests of 1 MiB, 64 MiB, 1 GiB and 16 GiB: what should not grow
 * with the guest. Data pages are never touched, so that only tables take memory
 * of the machine. All in CPU time of the thread, but for the row with two of them:
 * who waits for a lock by sched_yield() uses little of it.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "engine.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <pvm/mmu.h>

#define BASE	0x8000000000ull
#define LEAF	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U)
#define FILLS	(1u << 18)	/* random fills of one measurement, at most */
#define WRITES	2000u
#define UNMAPS	1000u
#define PARALLEL_ROUNDS	20
#define PARALLEL_TAKINGS 0.1	/* of the lock for each fault; more: it was not beside the lock */

/* Of this thread: what other programs take of the machine is not in it. */
static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct scale {
	struct engine e;
	uint64_t pages;		/* of data, all mapped by the guest from BASE on */
	uint32_t free_before;
};

static bool start(struct scale *s, uint64_t size)
{
	uint64_t i, tables = size / PVM_LEVEL_SIZE(2) + 64;

	/* Data, then as many pages for tables and what engine_init() puts there. */
	if (!engine_init_sized(&s->e, 2 * size + tables * 16 * PVM_PAGE_SIZE + (64ull << 20),
			       (uint32_t)(tables * 8 + 4096), 4))
		return false;
	s->pages = size / PVM_PAGE_SIZE;
	for (i = 0; i < s->pages; i++)
		engine_map(&s->e, s->e.vcpu.cr3, BASE + i * PVM_PAGE_SIZE, i * PVM_PAGE_SIZE, LEAF);
	s->free_before = s->e.free_count;
	return true;
}

static bool fill(struct scale *s, uint64_t page)
{
	return pvm_mmu_fault(&s->e.vcpu, pvm_gva(BASE + page * PVM_PAGE_SIZE), PVM_PF_U | PVM_PF_W,
			     PVM_MAY_SLEEP).kind == PVM_FAULT_FIXED;
}

/* Every shadow table exists, so that only leaves are filled after this. */
static bool fill_sparse(struct scale *s)
{
	uint64_t i;

	for (i = 0; i < s->pages; i += PVM_PTES_PER_TABLE)
		if (!fill(s, i))
			return false;
	return true;
}

/* Each page once, far from sequential: an odd factor permutes a power of two. */
static uint64_t random_page(const struct scale *s, uint64_t i)
{
	return i * 0x9e3779b97f4a7c15ull >> 20 & (s->pages - 1);
}

static bool fill_random(struct scale *s, struct bench_result *result)
{
	uint64_t i, count = s->pages < FILLS ? s->pages : FILLS;
	double begin;

	if (!fill_sparse(s))
		return false;
	begin = cpu_seconds();
	for (i = 0; i < count; i++)
		if (!fill(s, random_page(s, i)))
			return false;
	result->absolute = (cpu_seconds() - begin) * 1e9 / (double)count;
	result->value = result->absolute;
	return true;
}

/* What no engine can do a fill without: find the guest's entry through its tables and set
 * bits in it, write the leaf, and write down that the frame is mapped. */
static bool fill_floor(struct scale *s, struct bench_result *result)
{
	uint64_t i, page, *leaf, count = s->pages < FILLS ? s->pages : FILLS;
	uint32_t *mapped;
	double begin;

	leaf = calloc(s->pages, sizeof(*leaf));
	mapped = calloc(s->pages, sizeof(*mapped));
	for (i = 0; leaf && mapped && i < s->pages; i += PVM_PTES_PER_TABLE)
		leaf[i] = mapped[i] = 1;
	begin = cpu_seconds();
	for (i = 0; leaf && mapped && i < count; i++) {
		page = random_page(s, i);
		__atomic_fetch_or(engine_entry(&s->e, s->e.vcpu.cr3, BASE + page * PVM_PAGE_SIZE),
				  PVM_PTE_A | PVM_PTE_D, __ATOMIC_SEQ_CST);
		__atomic_store_n(&leaf[page], page << PVM_PAGE_SHIFT | LEAF, __ATOMIC_RELAXED);
		__atomic_store_n(&mapped[page], (uint32_t)i, __ATOMIC_RELAXED);
	}
	result->absolute = (cpu_seconds() - begin) * 1e9 / (double)count;
	result->value = result->absolute;
	free(leaf);
	free(mapped);
	return leaf && mapped;
}

static bool unmap_one(struct scale *s, struct bench_result *result)
{
	double begin;
	uint64_t i;

	if (!fill_sparse(s))
		return false;
	begin = cpu_seconds();
	for (i = 0; i < UNMAPS; i++)
		pvm_mmu_unmap_gfns(&s->e.vm, pvm_gfn(3), 1, PVM_MAY_SLEEP);
	result->absolute = (cpu_seconds() - begin) * 1e9 / UNMAPS;
	result->value = result->absolute;
	return true;
}

/* For each table written: what others are there should not matter. */
static bool flush_after_writes(struct scale *s, struct bench_result *result)
{
	bool *written = calloc(s->pages / PVM_PTES_PER_TABLE + 1, sizeof(*written));
	unsigned tables = 0;
	double begin;
	uint64_t i;

	if (!written)
		return false;

	for (i = 0; i < s->pages; i++)
		if (!fill(s, i))
			goto out;
	for (i = 0; i < WRITES; i++) {
		uint64_t page = random_page(s, i);
		uint64_t *entry = engine_entry(&s->e, s->e.vcpu.cr3, BASE + page * PVM_PAGE_SIZE);

		*entry &= ~(uint64_t)PVM_PTE_A;
		pvm_mmu_host_wrote(&s->e.vm, pvm_gfn((uint64_t)((uint8_t *)entry - s->e.memory) >>
						     PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
		tables += !written[page / PVM_PTES_PER_TABLE];
		written[page / PVM_PTES_PER_TABLE] = true;
	}
	begin = cpu_seconds();
	pvm_mmu_flush_all(&s->e.vcpu);
	result->absolute = (cpu_seconds() - begin) * 1e9;
	result->value = result->absolute / 1e3 / tables;
	snprintf(result->why, sizeof(result->why), "%u tables written", tables);
out:
	free(written);
	return tables;
}

static bool memory(struct scale *s, struct bench_result *result)
{
	uint64_t i;

	for (i = 0; i < s->pages; i++)
		if (!fill(s, i))
			return false;
	result->value = (double)(s->free_before - s->e.free_count) * PVM_PAGE_SIZE / (double)s->pages;
	return true;
}

/* Half of the pages, in order, by a vCPU. */
struct toucher {
	struct pvm_vcpu *vcpu;
	uint64_t first, count;
	int cpu;		/* its thread runs here only; -1: the caller's */
	bool done;
};

/* The toucher is written once: the other thread's lies beside it. */
static void *touch_half(void *context)
{
	struct toucher *t = context;
	uint64_t i = t->first, end = i + t->count;
	struct pvm_vcpu *vcpu = t->vcpu;

	while (i < end && pvm_mmu_fault(vcpu, pvm_gva(BASE + i * PVM_PAGE_SIZE), PVM_PF_U | PVM_PF_W,
					PVM_MAY_SLEEP).kind == PVM_FAULT_FIXED)
		i++;
	t->done = i == end;
	return NULL;
}

/* Wall time of a first touch of all pages, by one thread or by two. */
struct touched {
	double seconds;
	double takings;		/* of the lock, for each fault */
};

/* A thread for each CPU, or the kernel may leave both on one for as long as they take. */
static bool start_on(pthread_t *thread, struct toucher *toucher)
{
	pthread_attr_t attr;
	cpu_set_t cpu;
	bool done;

	CPU_ZERO(&cpu);
	CPU_SET(toucher->cpu, &cpu);
	if (pthread_attr_init(&attr))
		return false;
	done = !pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu) &&
		!pthread_create(thread, &attr, touch_half, toucher);
	pthread_attr_destroy(&attr);
	return done;
}

/* Half by each of two vCPUs (@cpu is the second's), or all by the first (-1). Afterwards
 * the pages are untouched again. False: not all were touched. */
static bool touch_all(struct scale *s, struct pvm_vcpu *second, int cpu, struct touched *touched)
{
	bool together = cpu >= 0;
	struct toucher half[2] = {
		{ &s->e.vcpu, 0, s->pages / 2, -1, false },
		{ together ? second : &s->e.vcpu, s->pages / 2, s->pages / 2, cpu, false },
	};
	double start = bench_seconds();
	pthread_t thread;
	uint64_t i;

	s->e.takings = 0;
	if (together && !start_on(&thread, &half[1]))
		return false;
	touch_half(&half[0]);
	if (together)
		pthread_join(thread, NULL);
	else
		touch_half(&half[1]);
	touched->seconds = bench_seconds() - start;
	touched->takings = (double)s->e.takings / (double)s->pages;
	pvm_mmu_shrink(&s->e.vm, 0, PVM_MAY_SLEEP);
	for (i = 0; i < s->pages; i++)
		*engine_entry(&s->e, s->e.vcpu.cr3, BASE + i * PVM_PAGE_SIZE) &=
			~(uint64_t)(PVM_PTE_A | PVM_PTE_D);
	return half[0].done && half[1].done;
}

/* The least of all rounds, of each, of what comes in: what other programs take is not the
 * engine's. */
static bool touch_rounds(struct scale *s, struct pvm_vcpu *second, int cpu, struct touched *alone,
			 struct touched *both)
{
	struct touched now;
	unsigned i;

	if (!touch_all(s, second, -1, &now))		/* the tables and the memory are warm after it */
		return false;
	for (i = 0; i < PARALLEL_ROUNDS; i++) {
		if (!touch_all(s, second, -1, &now))
			return false;
		if (now.seconds < alone->seconds)
			*alone = now;
		if (!touch_all(s, second, cpu, &now))
			return false;
		if (now.seconds < both->seconds)
			*both = now;
	}
	return true;
}

/* The first of the CPUs in @cpus above @cpu, or -1. */
static int next_cpu(const cpu_set_t *cpus, int cpu)
{
	while (++cpu < CPU_SETSIZE)
		if (CPU_ISSET(cpu, cpus))
			return cpu;
	return -1;
}

static bool parallel(struct scale *s, struct bench_result *result)
{
	static struct pvm_vcpu second;
	struct touched alone = { .seconds = 1e9 }, both = alone;
	cpu_set_t cpus, first;
	int cpu;
	bool done;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 2) {
		bench_cannot(result, "two vCPUs need two CPUs, and this process may not use two");
		return false;
	}
	CPU_ZERO(&first);
	cpu = next_cpu(&cpus, -1);
	CPU_SET(cpu, &first);
	s->e.shared = true;
	if (pvm_vcpu_init(&second, &s->e.vm, 1) != PVM_OK)
		return false;
	second.cr3 = s->e.vcpu.cr3;
	second.msr.switch_cr3 = s->e.vcpu.msr.switch_cr3;
	done = !sched_setaffinity(0, sizeof(first), &first) &&
		touch_rounds(s, &second, next_cpu(&cpus, cpu), &alone, &both);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	pvm_vcpu_destroy(&second);
	if (!done)
		return false;
	if (both.takings > PARALLEL_TAKINGS) {
		bench_cannot(result, "the faults were not beside the lock: %.3f takings of it per fault",
			     both.takings);
		return false;
	}
	result->value = both.seconds / alone.seconds;
	result->absolute = both.seconds * 1e9 / (double)s->pages;
	snprintf(result->why, sizeof(result->why), "%.3f takings of the lock per fault", both.takings);
	return true;
}

static void run(uint64_t size, bool (*row)(struct scale *s, struct bench_result *result),
		struct bench_result *result)
{
	struct scale *s = calloc(1, sizeof(*s));

	if (!s || !start(s, size)) {
		bench_cannot(result, "no memory for a VM");
		free(s);
		return;
	}
	result->measured = row(s, result);
	if (!result->measured && !result->why[0])
		bench_cannot(result, "the engine did not do what the row measures");
	engine_fini(&s->e);
	free(s);
}

#define SCALE(row, name, size) \
	static void run_##row##_##name(const struct bench_options *options, struct bench_result *result) \
	{ \
		(void)options; \
		run(size, row, result); \
	}
#define SIZES(row) \
	SCALE(row, 1m, 1ull << 20) SCALE(row, 64m, 64ull << 20) \
	SCALE(row, 1g, 1ull << 30) SCALE(row, 16g, 16ull << 30)
#define ROW(row, name, size, what, unit, target) \
	{ "scale." #row "_" #name, what ", " size, unit, target, run_##row##_##name }
#define ROWS_LARGE(row, what, unit, target) \
	ROW(row, 64m, "64 MiB", what, unit, target), ROW(row, 1g, "1 GiB", what, unit, target), \
	ROW(row, 16g, "16 GiB", what, unit, target)
#define ROWS(row, what, unit, target) \
	ROW(row, 1m, "1 MiB", what, unit, target), ROWS_LARGE(row, what, unit, target)

SIZES(fill_random)
SIZES(fill_floor)
SIZES(unmap_one)
SIZES(flush_after_writes)
SIZES(memory)
SCALE(parallel, 1g, 1ull << 30)

#define FLUSH_AFTER_WRITES "TLB_FLUSH after 2,000 random table writes, for each table written"

const struct bench_row bench_scale_rows[] = {
	ROWS(fill_random, "a leaf filled in random order", "ns", 0),
	ROWS(fill_floor, "the words that any fill must touch", "ns", 0),
	ROWS(unmap_one, "a frame that is not mapped is unmapped", "ns", 1000),
	/* The one table of 1 MiB has all of its 256 entries changed. */
	ROW(flush_after_writes, 1m, "1 MiB", FLUSH_AFTER_WRITES, "us", 25),
	ROWS_LARGE(flush_after_writes, FLUSH_AFTER_WRITES, "us", 10),
	ROWS(memory, "engine memory per page, dense", "bytes", 20),
	{ "scale.parallel", "two vCPUs touching first, against one (wall time)", "ratio", 0.6,
	  run_parallel_1g },
	{ NULL, NULL, NULL, 0, NULL },
};
