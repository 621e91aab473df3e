/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M12: no call holds the lock for work that grows with what the guest did before.
 * Counted in the engine's own steps, not in time: at each unlock, those since the lock.
 */
#include "guest.h"

#include "mmu/entry.h"
#include "mmu/page.h"

#define HOLD_MAX	1600	/* steps of any hold: two tables whose 512 entries all link, and a bit */

static struct guest g;
static uint64_t at_lock, longest;
static unsigned holds;
static void (*in_between)(void);	/* called once, at an unlock: another vCPU's turn */

static void counting_lock(void *host)
{
	struct test_host *h = host;

	cr_assert_eq(h->lock_depth++, 0);
	at_lock = g.f.vm.mmu->steps;
}

static void counting_unlock(void *host)
{
	struct test_host *h = host;
	uint64_t steps = g.f.vm.mmu->steps - at_lock;
	void (*turn)(void) = in_between;

	cr_assert_eq(h->lock_depth--, 1);
	holds++;
	if (steps > longest)
		longest = steps;
	in_between = NULL;
	if (turn)
		turn();
}

static void start(unsigned levels, unsigned vcpus)
{
	struct pvm_vm_config config = fixture_config();

	config.host_la57 = levels == 5;
	if (levels == 5)
		config.range = (struct pvm_linear_range){ 256, 510, 256, 510 };
	guest_init_config(&g, &config, vcpus, levels);
	g.f.host.ops.mmu_lock = counting_lock;
	g.f.host.ops.mmu_unlock = counting_unlock;
}

static void forget_steps(void)
{
	longest = 0;
	holds = 0;
}

static void written(uint64_t gpa)
{
	pvm_mmu_host_wrote(g.vm, pvm_gfn(gpa >> PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
}

/* @count regions with a table of @level each, from GVA on. */
static void touch_tables(unsigned count, unsigned level)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		guest_map(&g, GVA + i * PVM_LEVEL_SIZE(level + 1), DATA, 1, RWU);
		guest_touch(&g, GVA + i * PVM_LEVEL_SIZE(level + 1), PVM_ACCESS_READ);
	}
}

/* The same, and all out of sync. */
static void unsync_tables(unsigned count, unsigned level)
{
	unsigned i;

	touch_tables(count, level);
	for (i = 0; i < count; i++)
		written(guest_table_of(&g, GVA + i * PVM_LEVEL_SIZE(level + 1), level));
}

/* To tables of its own, with one address in use. */
static void other_space(void)
{
	g.cr3 = g.vcpu->cr3 = fixture_new_table(&g.f);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + (1ull << 30), DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
}

Test(mmu_bounded, M12_write_of_a_table_that_no_root_reaches_by_countless_ways)
{
	unsigned level, i;
	uint64_t gva = PVM_LEVEL_SIZE(5), deepest;

	start(5, 1);
	guest_map(&g, gva, DATA, 1, RWU);
	for (level = 4; level > 1; level--) {
		uint64_t *table = (uint64_t *)(g.f.host.memory + guest_table_of(&g, gva, level));

		for (i = 1; i < PVM_PTES_PER_TABLE; i++)
			table[i] = table[0];
	}
	for (level = 4; level > 1; level--)
		for (i = 0; i < PVM_PTES_PER_TABLE; i++)
			guest_touch(&g, gva + i * PVM_LEVEL_SIZE(level), PVM_ACCESS_READ);
	deepest = guest_table_of(&g, gva, 1);
	*guest_entry(&g, gva, 5) = 0;
	written(g.cr3);
	pvm_mmu_flush_all(g.vcpu);
	forget_steps();
	written(deepest);
	cr_assert_leq(longest, 600, "%lu steps", (unsigned long)longest);
	cr_assert_geq(longest, 256, "the search is not counted: %lu steps", (unsigned long)longest);
	guest_fini(&g);
}

Test(mmu_bounded, M12_flush_of_everything_is_linear_and_gives_the_lock_up)
{
	uint64_t before;
	unsigned i;

	start(4, 1);
	unsync_tables(1000, 1);
	pvm_mmu_flush_all(g.vcpu);
	pvm_mmu_flush_all(g.vcpu);
	for (i = 0; i < 500; i++)	/* half of them will not be protected */
		written(guest_table_of(&g, GVA + i * PVM_LEVEL_SIZE(2), 1));
	forget_steps();
	for (i = 0; i < 100; i++) {
		before = g.vm->mmu->steps;
		pvm_mmu_flush_all(g.vcpu);
		cr_assert_leq(g.vm->mmu->steps - before, 6000);
		check_ok(&g);
	}
	cr_assert_leq(longest, HOLD_MAX, "%lu steps", (unsigned long)longest);
	cr_assert_gt(holds, 100);
	/* In the end all are write-protected, though no flush did it all. */
	cr_assert(pvm_list_empty(&g.vm->mmu->unsync));
	guest_fini(&g);
}

Test(mmu_bounded, M12_flushes_and_fills_do_not_see_the_tables_of_other_spaces)
{
	start(4, 1);
	unsync_tables(200, 2);
	unsync_tables(500, 1);
	other_space();
	forget_steps();
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	cr_assert_leq(longest, 10, "INVLPG: %lu steps", (unsigned long)longest);
	pvm_mmu_flush_current(g.vcpu);
	cr_assert_leq(longest, 10, "TLB_FLUSH_CURRENT: %lu steps", (unsigned long)longest);
	guest_fault(&g, GVA + (1ull << 30), 0);
	cr_assert_leq(longest, 40, "first fill: %lu steps", (unsigned long)longest);
	guest_fini(&g);
}

Test(mmu_bounded, M9_M12_flush_of_a_large_space_gives_the_lock_up_and_is_complete)
{
	unsigned i;

	start(4, 1);
	unsync_tables(700, 1);
	for (i = 0; i < 700; i++)
		*guest_entry(&g, GVA + i * PVM_LEVEL_SIZE(2), 1) = 0;
	forget_steps();
	pvm_mmu_flush_current(g.vcpu);
	cr_assert_leq(longest, 6000, "%lu steps", (unsigned long)longest);
	for (i = 0; i < 700; i++)
		cr_assert_eq(guest_reaches(&g, GVA + i * PVM_LEVEL_SIZE(2)), ~0ull);
	guest_fini(&g);
}

/* Not by the engine's own count of its steps: by how often it gives the lock up. */
Test(mmu_bounded, M12_entries_that_have_changed_are_counted)
{
	const unsigned tables = 8;
	unsigned i;

	start(4, 1);
	for (i = 0; i < tables * 512; i++) {
		guest_map(&g, GVA + i * 0x1000ull, DATA, 1, RWU);
		guest_touch(&g, GVA + i * 0x1000ull, PVM_ACCESS_READ);
	}
	for (i = 0; i < tables; i++)
		written(guest_table_of(&g, GVA + i * PVM_LEVEL_SIZE(2), 1));
	for (i = 0; i < tables * 512; i++)
		*guest_entry(&g, GVA + i * 0x1000ull, 1) |= NX;
	forget_steps();
	pvm_mmu_flush_all(g.vcpu);
	cr_assert_geq(holds, tables / 2, "%u holds", holds);
	guest_fini(&g);
}

static void new_range(uint16_t end)
{
	struct pvm_linear_range range = { 256, end, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE };

	cr_assert_eq(pvm_msr_write(g.vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE,
				   pvm_linear_range_encode(&range)), PVM_OK);
}

Test(mmu_bounded, M7_M12_change_of_the_range_looks_at_no_page_and_piles_none_up)
{
	struct pvm_mmu_stats stats;
	uint32_t before;
	unsigned i;

	start(4, 1);
	touch_tables(900, 1);
	new_range(300);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	pvm_mmu_get_stats(g.vm, &stats);
	before = stats.shadow_pages;
	forget_steps();
	for (i = 0; i < 100; i++) {
		new_range((uint16_t)(400 + i % 2));
		guest_touch(&g, GVA, PVM_ACCESS_READ);
	}
	cr_assert_leq(longest, 100, "%lu steps", (unsigned long)longest);
	pvm_mmu_get_stats(g.vm, &stats);
	cr_assert_leq(stats.shadow_pages, before + 40);
	guest_fini(&g);
}

Test(mmu_bounded, M12_unmapping_a_frame_that_nobody_maps_is_flat)
{
	start(4, 1);
	touch_tables(900, 1);
	forget_steps();
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(5), 1, PVM_MAY_SLEEP);
	cr_assert_leq(longest, 8, "%lu steps", (unsigned long)longest);
	guest_fini(&g);
}

Test(mmu_bounded, M12_frame_mapped_often_becomes_a_table_step_by_step)
{
	uint64_t gva = GVA + (2ull << 30), table;
	unsigned i;

	start(4, 1);
	table = fixture_new_table(&g.f);
	*(uint64_t *)(g.f.host.memory + table) = DATA | RWU;
	for (i = 0; i < 1500; i++) {
		guest_map(&g, GVA + i * 0x1000, table, 1, RWU);
		guest_touch(&g, GVA + i * 0x1000, PVM_ACCESS_WRITE);
	}
	guest_map(&g, gva, DATA, 1, RWU);
	*guest_entry(&g, gva, 2) = table | RWU;
	forget_steps();
	guest_touch(&g, gva, PVM_ACCESS_READ);
	cr_assert_leq(longest, 200, "%lu steps", (unsigned long)longest);
	cr_assert_not(guest_can_write(&g, GVA + 1499 * 0x1000));
	guest_fini(&g);
}

/* Tables: one that 1500 entries link to. */
static uint64_t link_often(void)
{
	uint64_t table = fixture_new_table(&g.f);
	unsigned i;

	*(uint64_t *)(g.f.host.memory + table) = DATA | RWU;
	for (i = 0; i < 1500; i++) {
		uint64_t gva = GVA + i * PVM_LEVEL_SIZE(2);

		fixture_map(&g.f, g.cr3, 4, gva, 0, 2, RWU | PVM_PTE_PS);
		*guest_entry(&g, gva, 2) = table | RWU;
		guest_touch(&g, gva, PVM_ACCESS_READ);
	}
	return table;
}

Test(mmu_bounded, M10_M12_table_with_many_parents_is_unmapped_step_by_step)
{
	uint64_t table;
	unsigned i;

	start(4, 1);
	table = link_often();
	forget_steps();
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(table >> 12), 1, PVM_MAY_SLEEP);
	cr_assert_leq(longest, 300, "%lu steps", (unsigned long)longest);
	cr_assert_gt(holds, 4);
	for (i = 0; i < 1500; i++)
		cr_assert_eq(guest_reaches(&g, GVA + i * PVM_LEVEL_SIZE(2)), ~0ull);
	guest_fini(&g);
}

Test(mmu_bounded, M9_M12_table_with_many_parents_is_written_without_marking_all)
{
	uint64_t table;

	start(4, 1);
	table = link_often();
	forget_steps();
	written(table);
	cr_assert_leq(longest, 600, "%lu steps", (unsigned long)longest);
	check_ok(&g);
	*(uint64_t *)(g.f.host.memory + table) = 0;
	pvm_mmu_flush_current(g.vcpu);
	cr_assert_eq(guest_reaches(&g, GVA + 1499 * PVM_LEVEL_SIZE(2)), ~0ull);
	guest_fini(&g);
}

Test(mmu_bounded, M9_M12_many_tables_with_many_parents_are_not_all_kept_out_of_sync)
{
	uint64_t table[12];
	unsigned i, t;

	start(4, 1);
	for (t = 0; t < 12; t++) {
		table[t] = fixture_new_table(&g.f);
		*(uint64_t *)(g.f.host.memory + table[t]) = DATA | RWU;
		for (i = 0; i < 300; i++) {
			uint64_t gva = GVA + (t * 300 + i) * PVM_LEVEL_SIZE(2);

			fixture_map(&g.f, g.cr3, 4, gva, 0, 2, RWU | PVM_PTE_PS);
			*guest_entry(&g, gva, 2) = table[t] | RWU;
			guest_touch(&g, gva, PVM_ACCESS_READ);
		}
	}
	for (t = 0; t < 12; t++)
		written(table[t]);
	cr_assert_leq(g.vm->mmu->wide_count, 8);
	check_ok(&g);
	for (t = 0; t < 12; t++) {
		*(uint64_t *)(g.f.host.memory + table[t]) = 0;
		written(table[t]);
	}
	pvm_mmu_flush_current(g.vcpu);
	for (t = 0; t < 12; t++)
		cr_assert_eq(guest_reaches(&g, GVA + t * 300 * PVM_LEVEL_SIZE(2)), ~0ull);
	guest_fini(&g);
}

Test(mmu_bounded, M9_M12_link_to_much_that_is_out_of_sync_is_cut_off_below)
{
	uint64_t root, pdpt;
	unsigned i;

	start(4, 1);
	unsync_tables(1000, 1);
	pdpt = *guest_entry(&g, GVA, 4);
	for (i = 0; i < 1000; i++)
		*guest_entry(&g, GVA + i * PVM_LEVEL_SIZE(2), 1) = (DATA + 0x1000) | RWU;
	root = fixture_new_table(&g.f);
	*(uint64_t *)(g.f.host.memory + root) = pdpt;
	g.cr3 = g.vcpu->cr3 = root;
	forget_steps();
	for (i = 0; i < 1000; i++) {
		uint64_t gva = GVA + i * PVM_LEVEL_SIZE(2);

		guest_touch(&g, gva, PVM_ACCESS_READ);
		cr_assert_eq(guest_reaches(&g, gva), DATA + 0x1000);
	}
	cr_assert_leq(longest, 6000, "%lu steps", (unsigned long)longest);
	guest_fini(&g);
}

Test(mmu_bounded, M12_eviction_passes_over_few_pages)
{
	struct pvm_vm_config config = fixture_config();
	unsigned i;

	config.max_shadow_pages = 803;
	guest_init_config(&g, &config, 1, 4);
	g.f.host.ops.mmu_lock = counting_lock;
	g.f.host.ops.mmu_unlock = counting_unlock;
	for (i = 0; i < 801; i++)
		guest_map(&g, GVA + i * PVM_LEVEL_SIZE(2), DATA, 1, RWU);
	for (i = 0; i < 790; i++)
		guest_touch(&g, GVA + i * PVM_LEVEL_SIZE(2), PVM_ACCESS_READ);
	for (i = 0; i < 790; i++)	/* all of them in use since they were queued */
		guest_fault(&g, GVA + i * PVM_LEVEL_SIZE(2), 0);
	forget_steps();
	for (; i < 801; i++)
		guest_touch(&g, GVA + i * PVM_LEVEL_SIZE(2), PVM_ACCESS_READ);
	cr_assert_leq(longest, 200, "%lu steps", (unsigned long)longest);
	guest_fini(&g);
}

/* ------------------------------------------------------------------------
 * What others do while the lock is given up.
 */

static struct pvm_fault_result their_fault;

static void fault_first_page(void)
{
	their_fault = guest_fault(&g, GVA, 0);
}

Test(mmu_bounded, M10_frame_that_is_being_unmapped_is_not_installed_meanwhile)
{
	unsigned i;

	start(4, 1);
	for (i = 0; i < 1500; i++) {
		guest_map(&g, GVA + i * 0x1000, DATA + i * 0x1000, 1, RWU);
		guest_touch(&g, GVA + i * 0x1000, PVM_ACCESS_READ);
	}
	forget_steps();
	in_between = fault_first_page;
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> 12), 1500, PVM_MAY_SLEEP);
	cr_assert_gt(holds, 2);
	cr_assert_eq(their_fault.kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	guest_touch(&g, GVA, PVM_ACCESS_READ);	/* the host has not taken it, after all */
	guest_fini(&g);
}

#define PARENTS		300	/* more than are marked for one page */
#define SHARED		500	/* tables of level 1 below a page that has so many */
#define LEAVES		32

#define FIRST		(1ull << 40)
#define SECOND		(2ull << 40)

/* Tables out of sync below FIRST, and from SECOND on a table of level 2 that has them all and
 * that many entries lead to: no mark may lead to what is linked there. */
static void share_tables(void)
{
	uint64_t shared, end;
	unsigned i, j;

	for (i = 0; i < SHARED; i++)
		for (j = 0; j < LEAVES; j++)
			guest_map(&g, FIRST + i * PVM_LEVEL_SIZE(2) + j * 0x1000, DATA + j * 0x1000, 1, RWU);
	guest_map(&g, SECOND, DATA, 1, RWU);
	shared = guest_table_of(&g, SECOND, 2);
	memcpy(g.f.host.memory + shared, g.f.host.memory + guest_table_of(&g, FIRST, 2),
	       SHARED * sizeof(uint64_t));
	end = fixture_new_table(&g.f);
	*(uint64_t *)(g.f.host.memory + end) = DATA | RWU;
	((uint64_t *)(g.f.host.memory + shared))[511] = end | RWU;
	for (i = 0; i < PARENTS; i++) {
		((uint64_t *)(g.f.host.memory + guest_table_of(&g, SECOND, 3)))[i] = shared | RWU;
		guest_touch(&g, SECOND + i * PVM_LEVEL_SIZE(3) + 511 * PVM_LEVEL_SIZE(2), PVM_ACCESS_READ);
	}
	for (i = 0; i < SHARED; i++) {
		for (j = 0; j < LEAVES; j++)
			guest_touch(&g, FIRST + i * PVM_LEVEL_SIZE(2) + j * 0x1000, PVM_ACCESS_READ);
		written(guest_table_of(&g, FIRST + i * PVM_LEVEL_SIZE(2), 1));
	}
}

/* Each link to one finds it. */
Test(mmu_bounded, M12_tables_that_no_mark_leads_to_are_few)
{
	unsigned i;

	start(4, 1);
	share_tables();
	forget_steps();
	for (i = 0; i < SHARED; i++) {
		guest_touch(&g, SECOND + i * PVM_LEVEL_SIZE(2), PVM_ACCESS_READ);
		cr_assert_leq(g.vm->mmu->wide_count, 8);
	}
	cr_assert_leq(longest, HOLD_MAX, "%llu steps", (unsigned long long)longest);
	check_ok(&g);
	guest_fini(&g);
}

/* The link of the ninth protects the first again, whose frame is what the guest writes to. */
Test(mmu_bounded, M9_table_that_its_own_fill_protects_is_not_writable)
{
	uint64_t gva = SECOND + 8 * PVM_LEVEL_SIZE(2) + 40 * 0x1000;
	unsigned i;

	start(4, 1);
	share_tables();
	for (i = 0; i < 8; i++)
		guest_touch(&g, SECOND + i * PVM_LEVEL_SIZE(2), PVM_ACCESS_READ);
	*guest_entry(&g, FIRST + 8 * PVM_LEVEL_SIZE(2) + 40 * 0x1000, 1) = guest_table_of(&g, FIRST, 1) | RWU;
	cr_assert_eq(g.vm->mmu->wide_count, 8);
	guest_fault(&g, gva, PVM_PF_W);
	check_ok(&g);
	guest_touch(&g, gva, PVM_ACCESS_WRITE);
	check_ok(&g);
	guest_fini(&g);
}

/* A table of level 2, with marks, is linked below one that so many entries lead to that no mark
 * does: what is out of sync below it must not be reached past the marks. */
Test(mmu_bounded, M9_what_no_mark_would_lead_to_is_cut_off_at_the_link)
{
	uint64_t gva = 4 * PVM_LEVEL_SIZE(5), last = gva + 511 * PVM_LEVEL_SIZE(3), shared, marked;
	unsigned i;

	start(5, 1);
	unsync_tables(1, 1);
	marked = guest_table_of(&g, GVA, 2);
	g.cr3 = g.vcpu->cr3 = fixture_new_table(&g.f);
	pvm_mmu_new_cr3(g.vcpu);
	guest_map(&g, last, DATA + 0x1000, 1, RWU);
	shared = guest_table_of(&g, gva, 3);
	for (i = 0; i < PARENTS; i++) {
		((uint64_t *)(g.f.host.memory + guest_table_of(&g, gva, 4)))[i] = shared | RWU;
		guest_touch(&g, last + i * PVM_LEVEL_SIZE(4), PVM_ACCESS_READ);
	}
	*(uint64_t *)(g.f.host.memory + shared) = marked | RWU;
	guest_touch(&g, gva, PVM_ACCESS_READ);
	cr_assert_eq(guest_reaches(&g, gva), DATA);
	*guest_entry(&g, gva, 1) = 0;
	pvm_mmu_flush_current(g.vcpu);
	cr_assert_eq(guest_reaches(&g, gva), ~0ull);
	guest_fini(&g);
}

#define WIDE_TABLES	40

/* Their frames are data in so many places that they cannot be protected again. */
Test(mmu_bounded, M12_M9_tables_that_cannot_be_protected_again_do_not_pile_up)
{
	uint64_t table[WIDE_TABLES];
	unsigned i, t;

	start(4, 1);
	for (t = 0; t < WIDE_TABLES; t++) {
		table[t] = fixture_new_table(&g.f);
		*(uint64_t *)(g.f.host.memory + table[t]) = DATA | RWU;
		for (i = 0; i < 260; i++) {
			uint64_t gva = GVA + (t * 300 + i) * PVM_LEVEL_SIZE(2);

			fixture_map(&g.f, g.cr3, 4, gva, 0, 2, RWU | PVM_PTE_PS);
			*guest_entry(&g, gva, 2) = table[t] | RWU;
			guest_touch(&g, gva, PVM_ACCESS_READ);
		}
		for (i = 0; i < 100; i++) {
			guest_map(&g, (1ull << 40) + (t * 128 + i) * 0x1000, table[t], 1, RO);
			guest_touch(&g, (1ull << 40) + (t * 128 + i) * 0x1000, PVM_ACCESS_READ);
		}
	}
	forget_steps();
	for (t = 0; t < WIDE_TABLES; t++) {
		*(uint64_t *)(g.f.host.memory + table[t]) = (DATA + 0x1000) | RWU;
		written(table[t]);
		cr_assert_leq(g.vm->mmu->wide_count, 8);
	}
	cr_assert_leq(longest, HOLD_MAX, "%llu steps", (unsigned long long)longest);
	pvm_mmu_flush_all(g.vcpu);
	for (t = 0; t < WIDE_TABLES; t++)
		cr_assert_neq(guest_reaches(&g, GVA + t * 300 * PVM_LEVEL_SIZE(2)), DATA, "table %u", t);
	check_ok(&g);
	guest_fini(&g);
}
