/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The worst engine calls that a guest can cause: it only writes its tables, and
 * faults. A row's value is the longest time that the call held the MMU lock, in
 * microseconds of CPU time; "one takes" is the whole call.
 */
#include "bench.h"
#include "engine.h"

#include <stdlib.h>

#include <pvm/mmu.h>

#define TABLE	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U | PVM_PTE_A)
#define LEAF	(TABLE | PVM_PTE_D)
#define DATA	0x400000ull	/* gpa of a page of data */
#define BASE	0x8000000000ull	/* gva: the second entry of a 4-level root */
#define MEMORY	(1ull << 30)
#define ARENA	(400u << 10)	/* pages */

struct attack {
	unsigned levels;
	bool (*prepare)(struct engine *e);
	bool (*call)(struct engine *e);
};

static bool touch(struct engine *e, uint64_t gva)
{
	return pvm_mmu_fault(&e->vcpu, pvm_gva(gva), PVM_PF_U, PVM_MAY_SLEEP).kind == PVM_FAULT_FIXED;
}

static void table_set(struct engine *e, uint64_t table, unsigned index, uint64_t entry)
{
	((uint64_t *)(e->memory + table))[index] = entry;
}

static void written(struct engine *e, uint64_t table)
{
	pvm_mmu_host_wrote(&e->vm, pvm_gpa_to_gfn(pvm_gpa(table)), PVM_MAY_SLEEP);
}

static void measure(struct engine *e, bool (*call)(struct engine *e), struct bench_result *result)
{
	uint64_t start;
	bool done;

	e->held_longest = 0;
	e->timed = true;
	start = bench_cycles();
	done = call(e);
	result->absolute = (double)(bench_cycles() - start) * bench_ns_per_cycle();
	e->timed = false;
	result->value = (double)e->held_longest / 1e3;
	result->measured = done;
	if (!done)
		bench_cannot(result, "the engine did not do what the row measures");
}

static void run(const struct attack *attack, struct bench_result *result)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e || !engine_init_sized(e, MEMORY, ARENA, attack->levels)) {
		bench_cannot(result, "no memory for a VM");
		free(e);
		return;
	}
	if (attack->prepare(e))
		measure(e, attack->call, result);
	else
		bench_cannot(result, "the engine refused the set-up");
	engine_fini(e);
	free(e);
}

/* ------------------------------------------------------------------------
 * attack.table_write: tables that link to one another in all 512 entries, cut off
 * from the root; then one is written.
 */

static uint64_t deepest;	/* gpa of the table that is written */

static bool braid(struct engine *e)
{
	unsigned level, i, top = 4;
	uint64_t table = engine_new_table(e);

	table_set(e, e->vcpu.cr3, 1, table | TABLE);
	for (level = top; level > 1; level--) {
		uint64_t below = engine_new_table(e);

		for (i = 0; i < PVM_PTES_PER_TABLE; i++)
			table_set(e, table, i, below | TABLE);
		table = below;
	}
	table_set(e, table, 0, DATA | LEAF);
	deepest = table;
	for (level = top; level > 1; level--)
		for (i = 0; i < PVM_PTES_PER_TABLE; i++)
			if (!touch(e, PVM_LEVEL_SIZE(5) + i * PVM_LEVEL_SIZE(level)))
				return false;
	table_set(e, e->vcpu.cr3, 1, 0);
	written(e, e->vcpu.cr3);
	pvm_mmu_flush_all(&e->vcpu);
	return true;
}

static bool write_deepest(struct engine *e)
{
	written(e, deepest);
	return true;
}

/* ------------------------------------------------------------------------
 * @count tables of @level that are not in sync, from BASE on. Their gpas follow one
 * another from *first on.
 */

static bool unsync_tables(struct engine *e, unsigned count, unsigned level, uint64_t *first)
{
	uint64_t *table = calloc(count, sizeof(*table)), gva = BASE;
	unsigned i, up, done;

	for (i = 0; table && i < count; i++, gva += PVM_LEVEL_SIZE(level + 1)) {
		engine_map(e, e->vcpu.cr3, gva, DATA, LEAF);
		if (!touch(e, gva))
			break;
		table[i] = e->vcpu.cr3;
		for (up = 4; up > level; up--)
			table[i] = ((uint64_t *)(e->memory + table[i]))[PVM_LEVEL_INDEX(gva, up)] &
				PVM_PTE_ADDR_MASK;
		*first = i ? *first : table[i];
	}
	done = table ? i : 0;
	for (i = 0; i < done; i++)
		written(e, table[i]);
	free(table);
	return done == count;
}

static bool unsync_16384(struct engine *e)
{
	uint64_t first, table;
	unsigned i;

	if (!unsync_tables(e, 16384, 1, &first))
		return false;
	for (i = 0; i < 2; i++)
		pvm_mmu_flush_all(&e->vcpu);
	/* Half of them are written once more, and will not be protected. */
	for (table = (first + e->next_table) / 2; table < e->next_table; table += PVM_PAGE_SIZE)
		written(e, table & ~(PVM_PAGE_SIZE - 1));
	return true;
}

static bool flush_all(struct engine *e)
{
	pvm_mmu_flush_all(&e->vcpu);
	return true;
}

/* The vCPU goes to a root of its own, which the tables made so far are not below. */
static bool leave(struct engine *e)
{
	uint64_t root = engine_new_table(e);

	if (pvm_cr_write(&e->vcpu, 3, root) != PVM_OK ||
	    pvm_msr_write(&e->vcpu, MSR_PVM_SWITCH_CR3, root) != PVM_OK)
		return false;
	engine_map(e, root, BASE, DATA, LEAF);
	engine_map(e, root, BASE + PVM_LEVEL_SIZE(3), DATA, LEAF);
	return touch(e, BASE);
}

static bool unsync_upper_elsewhere(struct engine *e)
{
	uint64_t first;

	return unsync_tables(e, 8192, 2, &first) && leave(e);
}

static bool invlpg(struct engine *e)
{
	pvm_mmu_invlpg(&e->vcpu, pvm_gva(BASE));
	return true;
}

static bool unsync_elsewhere(struct engine *e)
{
	uint64_t first;

	return unsync_tables(e, 32768, 1, &first) && leave(e);
}

static bool fill_new_region(struct engine *e)
{
	return touch(e, BASE + PVM_LEVEL_SIZE(3));
}

static bool flush_own(struct engine *e)
{
	pvm_mmu_flush_current(&e->vcpu);
	return true;
}

/* A vCPU's next call after WRMSR of MSR_PVM_LINEAR_ADDRESS_RANGE. */
static bool narrow_range(struct engine *e)
{
	static const struct pvm_linear_range narrow = {
		260, 300, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE };
	pvm_hpa_t root;

	return pvm_msr_write(&e->vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE,
			     pvm_linear_range_encode(&narrow)) == PVM_OK &&
		pvm_mmu_load(&e->vcpu, &root, PVM_MAY_SLEEP) == PVM_OK;
}

/* ------------------------------------------------------------------------
 * attack.protect: a frame that is mapped 32,768 times becomes a table.
 */

static uint64_t popular;

static bool map_often(struct engine *e)
{
	uint64_t i;

	popular = engine_new_table(e);
	for (i = 0; i < 32768; i++) {
		engine_map(e, e->vcpu.cr3, BASE + i * PVM_PAGE_SIZE, popular, LEAF);
		if (!touch(e, BASE + i * PVM_PAGE_SIZE))
			return false;
	}
	engine_map(e, e->vcpu.cr3, 2 * BASE, DATA, LEAF);
	table_set(e, popular, 0, DATA | LEAF);
	*engine_table_entry(e, e->vcpu.cr3, 2 * BASE, 2) = popular | TABLE;
	return true;
}

static bool use_popular(struct engine *e)
{
	return touch(e, 2 * BASE);
}

/* ------------------------------------------------------------------------
 * attack.unlink: a table with 32,768 parents is taken back by the host.
 */

static bool link_often(struct engine *e)
{
	uint64_t i, table = engine_new_table(e);

	table_set(e, table, 0, DATA | LEAF);
	for (i = 0; i < 32768; i++) {
		*engine_table_entry(e, e->vcpu.cr3, BASE + i * PVM_LEVEL_SIZE(2), 2) = table | TABLE;
		if (!touch(e, BASE + i * PVM_LEVEL_SIZE(2)))
			return false;
	}
	deepest = table;
	return true;
}

static bool unmap_deepest(struct engine *e)
{
	pvm_mmu_unmap_gfns(&e->vm, pvm_gpa_to_gfn(pvm_gpa(deepest)), 1, PVM_MAY_SLEEP);
	return true;
}

/* ------------------------------------------------------------------------ */

#define ATTACK(name, levels, prepare, call) \
	static void run_##name(const struct bench_options *options, struct bench_result *result) \
	{ \
		(void)options; \
		run(&(const struct attack){ levels, prepare, call }, result); \
	}

ATTACK(table_write, 5, braid, write_deepest)
ATTACK(flush_all, 4, unsync_16384, flush_all)
ATTACK(invlpg, 4, unsync_upper_elsewhere, invlpg)
ATTACK(first_fill, 4, unsync_elsewhere, fill_new_region)
ATTACK(flush_own, 4, unsync_elsewhere, flush_own)
ATTACK(range, 4, unsync_elsewhere, narrow_range)
ATTACK(protect, 4, map_often, use_popular)
ATTACK(unlink, 4, link_often, unmap_deepest)
ATTACK(write_wide, 4, link_often, write_deepest)

const struct bench_row bench_attack_rows[] = {
	{ "attack.table_write", "a table cut off from all roots, 512 links at each level", "us", 20,
	  run_table_write },
	{ "attack.flush_all", "TLB_FLUSH that hardens 16,384 tables", "us", 100, run_flush_all },
	{ "attack.invlpg", "INVLPG with 8,192 unsync upper tables elsewhere", "us", 20, run_invlpg },
	{ "attack.first_fill", "a new region with 32,768 unsync tables elsewhere", "us", 20,
	  run_first_fill },
	{ "attack.flush_own", "TLB_FLUSH_CURRENT with the same", "us", 20, run_flush_own },
	{ "attack.range", "WRMSR of the linear range, 32,768 shadow pages", "us", 20, run_range },
	{ "attack.protect", "a frame mapped 32,768 times becomes a table", "us", 100, run_protect },
	{ "attack.unlink", "a table linked 32,768 times is unmapped", "us", 100, run_unlink },
	{ "attack.write_wide", "the same table is written", "us", 20, run_write_wide },
	{ NULL, NULL, NULL, 0, NULL },
};
