/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Rows that call the engine directly: what one exit costs inside libpvm. */
#include "bench.h"
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/exit.h>
#include <pvm/mmu.h>

#define BATCHES		40		/* per round, of the short ones */
#define CALLS		1000		/* per batch */
#define WRITES		100		/* page-table writes per batch */
#define FILL_PAGES	8192u		/* per round: 32 MiB */
#define FILL_BATCH	512u		/* one shadow table's worth */
#define FILL_BASE	0x40000000ull	/* gva of the area that is filled */
#define ENGINE_MEMORY	(256ull << 20)

/* The reference of every row here. */
static double pagecopy(void *context)
{
	(void)context;
	return bench_pagecopy();
}

static void run(const struct bench_options *options, struct bench_result *result,
		bool (*prepare)(struct engine *e), double (*operation)(void *context))
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e || !engine_init(e, ENGINE_MEMORY)) {
		bench_cannot(result, "no memory for a VM");
		free(e);
		return;
	}
	if (prepare && !prepare(e))
		bench_cannot(result, "the engine refused the set-up");
	else if (!bench_ratio(options, operation, pagecopy, e, result))
		bench_cannot(result, "the engine did not do what the row measures");
	engine_fini(e);
	free(e);
}

/* ------------------------------------------------------------------------
 * event.user_round_trip, hypercall.rdmsr
 */

static bool enter_user(struct engine *e)
{
	struct pvm_vcpu *v = &e->vcpu;
	struct pvm_vcpu_struct *pvcs = v->pvcs;

	pvcs->rip = 0x300000;
	pvcs->rsp = 0x308000;
	pvcs->eflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	pvcs->user_cs = 0x33;
	pvcs->user_ss = 0x2b;
	v->rip = ENGINE_RETU + 2;
	return pvm_handle_syscall(v) == PVM_ACT_RESUME && v->user_mode;
}

static bool round_trips(void *context, unsigned number)
{
	struct pvm_vcpu *v = &((struct engine *)context)->vcpu;
	unsigned i;

	(void)number;
	for (i = 0; i < CALLS; i++) {
		if (pvm_event_deliver(v, PVM_VEC_BP, 0) != PVM_ACT_RESUME)
			return false;
		v->rip = ENGINE_RETU + 2;
		if (pvm_handle_syscall(v) != PVM_ACT_RESUME)
			return false;
	}
	return v->user_mode;
}

static double user_round_trip(void *context)
{
	return bench_batches(round_trips, context, BATCHES, CALLS);
}

static bool rdmsrs(void *context, unsigned number)
{
	struct pvm_vcpu *v = &((struct engine *)context)->vcpu;
	unsigned i;

	(void)number;
	for (i = 0; i < CALLS; i++) {
		v->gpr[PVM_RAX] = PVM_HC_RDMSR;
		v->gpr[PVM_RBX] = PVM_MSR_LSTAR;
		if (pvm_handle_syscall(v) != PVM_ACT_RESUME)
			return false;
	}
	return v->gpr[PVM_RAX] == v->msr.lstar;
}

static double rdmsr(void *context)
{
	return bench_batches(rdmsrs, context, BATCHES, CALLS);
}

/* ------------------------------------------------------------------------
 * mmu.fill_sequential, mmu.fill_random
 */

static bool map_area(struct engine *e)
{
	uint64_t i;

	/* Frames from gpa 32 MiB on; entries as a guest leaves them: A and D clear. */
	for (i = 0; i < FILL_PAGES; i++)
		engine_map(e, e->vcpu.cr3, FILL_BASE + i * PVM_PAGE_SIZE,
			   (32ull << 20) + i * PVM_PAGE_SIZE, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	return true;
}

/* The @i'th page that is touched. Both orders touch each page once. */
static uint64_t sequential(uint64_t i)
{
	return i;
}

static uint64_t random_page(uint64_t i)
{
	return i * 4099 % FILL_PAGES;	/* prime: a permutation far from sequential */
}

static bool fill(struct engine *e, unsigned number, uint64_t (*page)(uint64_t i))
{
	uint64_t i;

	for (i = 0; i < FILL_BATCH; i++) {
		uint64_t gva = FILL_BASE + page(number * FILL_BATCH + i) * PVM_PAGE_SIZE;

		if (pvm_handle_page_fault(&e->vcpu, pvm_gva(gva), PVM_PF_U | PVM_PF_W,
					  PVM_MAY_SLEEP) != PVM_ACT_RESUME || e->vcpu.cr2)
			return false;
	}
	return true;
}

static bool fill_batch_sequential(void *context, unsigned number)
{
	return fill(context, number, sequential);
}

static bool fill_batch_random(void *context, unsigned number)
{
	return fill(context, number, random_page);
}

/* Everything is a first touch again, accessed and dirty bits included. */
static void unfill(struct engine *e)
{
	unsigned i;

	pvm_mmu_shrink(&e->vm, 0, PVM_MAY_SLEEP);
	for (i = 0; i < FILL_PAGES; i++)
		*engine_entry(e, e->vcpu.cr3, FILL_BASE + i * PVM_PAGE_SIZE) &=
			~(uint64_t)(PVM_PTE_A | PVM_PTE_D);
}

static double fill_all(struct engine *e, bool (*batch)(void *context, unsigned number))
{
	double cycles = bench_batches(batch, e, FILL_PAGES / FILL_BATCH, FILL_BATCH);

	unfill(e);
	return cycles;
}

static double fill_sequential(void *context)
{
	return fill_all(context, fill_batch_sequential);
}

static double fill_random(void *context)
{
	return fill_all(context, fill_batch_random);
}

/* ------------------------------------------------------------------------
 * mmu.unsync_write: a guest kernel changes one entry, flushes and touches
 * the page, as fork and exec do all the time.
 */

static bool prepare_unsync(struct engine *e)
{
	uint64_t i;

	map_area(e);
	for (i = 0; i < 512; i++)
		if (pvm_handle_page_fault(&e->vcpu, pvm_gva(FILL_BASE + i * PVM_PAGE_SIZE),
					  PVM_PF_U | PVM_PF_W, PVM_MAY_SLEEP) != PVM_ACT_RESUME)
			return false;
	return true;
}

static bool unsync_writes(void *context, unsigned number)
{
	struct engine *e = context;
	struct pvm_fault_result fault;
	pvm_gva_t at;
	unsigned i;

	for (i = 0; i < WRITES; i++) {
		uint64_t gva = FILL_BASE + (number * WRITES + i) % 512 * PVM_PAGE_SIZE;
		uint64_t *slot = engine_entry(e, e->vcpu.cr3, gva);
		uint64_t gpa = (uint64_t)((uint8_t *)slot - e->memory), entry = *slot ^ PVM_PTE_A;

		if (pvm_mmu_write(&e->vcpu, pvm_gva(gpa), &entry, 8, &fault, &at) != PVM_OK)
			return false;
		pvm_mmu_invlpg(&e->vcpu, pvm_gva(gva));
		if (pvm_handle_page_fault(&e->vcpu, pvm_gva(gva), PVM_PF_U | PVM_PF_W, PVM_MAY_SLEEP) !=
		    PVM_ACT_RESUME)
			return false;
	}
	return true;
}

static double unsync_write(void *context)
{
	return bench_batches(unsync_writes, context, BATCHES, WRITES);
}

/* ------------------------------------------------------------------------ */

static void run_user_round_trip(const struct bench_options *options, struct bench_result *result)
{
	run(options, result, enter_user, user_round_trip);
}

static void run_rdmsr(const struct bench_options *options, struct bench_result *result)
{
	run(options, result, NULL, rdmsr);
}

static void run_fill_sequential(const struct bench_options *options, struct bench_result *result)
{
	run(options, result, map_area, fill_sequential);
}

static void run_fill_random(const struct bench_options *options, struct bench_result *result)
{
	run(options, result, map_area, fill_random);
}

static void run_unsync_write(const struct bench_options *options, struct bench_result *result)
{
	run(options, result, prepare_unsync, unsync_write);
}

const struct bench_row bench_engine_rows[] = {
	{ "event.user_round_trip", "user event delivered and returned from", "pagecopy", 0.5,
	  run_user_round_trip },
	{ "hypercall.rdmsr", "SYSCALL classified, RDMSR served", "pagecopy", 0.2, run_rdmsr },
	{ "mmu.fill_sequential", "one shadow page filled at first touch", "pagecopy", 2.5,
	  run_fill_sequential },
	{ "mmu.fill_random", "the same in an order far from sequential", "pagecopy", 0, run_fill_random },
	{ "mmu.unsync_write", "page-table entry written, flushed, touched again", "pagecopy", 0,
	  run_unsync_write },
	{ NULL, NULL, NULL, 0, NULL },
};
