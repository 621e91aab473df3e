/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host takes memory back, takes the right to write, writes, or asks what is used. */
#include "guest.h"

#include "mmu/page.h"

#define GFN	(DATA >> 12)

static void init(struct guest *g, unsigned vcpus)
{
	struct pvm_vm_config config = fixture_config();

	guest_init_config(g, &config, vcpus, 4);
	guest_map(g, GVA, DATA, 1, RWU);
	guest_map_tables(g);
	guest_touch(g, GVA, PVM_ACCESS_WRITE);
	guest_forget_flushes(g);
}

Test(mmu_host, M10_frame_is_out_of_reach_and_flushed_when_unmap_returns)
{
	struct guest g;

	init(&g, 2);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(GFN), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_GVA);
	cr_assert_null(g.f.host.flushes[0].vcpu);
	cr_assert_eq(g.f.host.flushes[0].gva.v, GVA);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_fini(&g);
}

Test(mmu_host, M10_every_mapping_of_the_frame_goes)
{
	struct guest g;
	unsigned i;

	init(&g, 1);
	for (i = 1; i < 10; i++) {
		guest_map(&g, GVA + i * 0x1000, DATA, 1, RO);
		guest_touch(&g, GVA + i * 0x1000, PVM_ACCESS_READ);
	}
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(GFN), 1, PVM_MAY_SLEEP);
	for (i = 0; i < 10; i++)
		cr_assert_eq(guest_reaches(&g, GVA + i * 0x1000), ~0ull);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ALL), 1);
	guest_fini(&g);
}

Test(mmu_host, M10_large_leaf_around_the_frame_goes)
{
	struct guest g;

	init(&g, 1);
	g.f.host.max_level = 2;
	guest_map(&g, GVA + (2 << 20), 4 << 20, 2, RW);
	guest_touch(&g, GVA + (2 << 20), PVM_ACCESS_WRITE);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn((4 << 20 >> 12) + 77), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_reaches(&g, GVA + (2 << 20)), ~0ull);
	cr_assert_eq(g.f.host.flushes[g.f.host.flush_count - 1].level, 2);
	guest_fini(&g);
}

Test(mmu_host, M10_translation_that_only_other_tlbs_still_hold_is_flushed)
{
	struct guest g;

	/* vCPU 0 drops the entry and flushes itself; vCPU 1 still has it. */
	init(&g, 2);
	guest_store(&g, guest_entry_gva(&g, GVA, 1), 0);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(GFN), 1, PVM_MAY_SLEEP);
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_ALL);
	cr_assert_null(g.f.host.flushes[0].vcpu);
	/* Known to be flushed now: no second time. */
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(GFN), 1, PVM_MAY_SLEEP);
	cr_assert_eq(g.f.host.flush_count, 0);
	guest_fini(&g);
}

Test(mmu_host, M10_former_right_to_write_that_only_other_tlbs_still_hold_is_flushed)
{
	struct guest g;

	/* vCPU 0 takes the right away and flushes itself; vCPU 1 may still write. */
	init(&g, 2);
	guest_store(&g, guest_entry_gva(&g, GVA, 1), DATA | RO | PVM_PTE_U | PVM_PTE_A | PVM_PTE_D);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	cr_assert_eq(guest_reaches(&g, GVA), DATA);
	cr_assert_not(guest_can_write(&g, GVA));
	guest_forget_flushes(&g);
	pvm_mmu_write_protect_gfns(g.vm, pvm_gfn(GFN), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ALL), 1);
	cr_assert_null(g.f.host.flushes[0].vcpu);
	guest_fini(&g);
}

Test(mmu_host, M10_whole_subtree_that_other_tlbs_still_hold_is_flushed)
{
	struct guest g;

	init(&g, 2);
	guest_store(&g, guest_entry_gva(&g, GVA, 2), 0);
	pvm_mmu_flush_current(g.vcpu);
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(GFN), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ALL), 1);
	guest_fini(&g);
}

Test(mmu_host, M10_note_of_a_frame_in_a_wide_range_is_found)
{
	struct pvm_vm_config config = fixture_config();
	struct guest g;

	/* 64 MiB: the tables are outside the range of 4096 frames. */
	memset(&g, 0, sizeof(g));
	fixture_init_config(&g.f, &config, 64 << 20, 2);
	g.vm = &g.f.vm;
	g.vcpu = &g.f.vcpu[0];
	g.levels = 4;
	g.vcpu->cr3 = g.cr3 = fixture_new_table(&g.f);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map_tables(&g);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_store(&g, guest_entry_gva(&g, GVA, 1), 0);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(0), 4096, PVM_MAY_SLEEP);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ALL), 1);
	guest_fini(&g);
}

Test(mmu_host, M10_wide_ranges_are_covered)
{
	struct guest g;

	init(&g, 2);
	guest_store(&g, guest_entry_gva(&g, GVA, 1), 0);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(0), 1ull << 40, PVM_MAY_SLEEP);
	cr_assert_geq(guest_flushes(&g, PVM_FLUSH_ALL), 1);
	cr_assert_eq(guest_reaches(&g, TABLES + g.cr3), ~0ull);
	guest_fini(&g);
}

/* Every way to say "from here on, all that there may be". */
Test(mmu_host, M10_ranges_without_an_end_reach_the_last_frame)
{
	const uint64_t counts[] = { ~0ull, ~0ull - GFN, ~0ull - GFN + 1, 1ull << 40 };
	struct guest g;
	unsigned i;

	init(&g, 1);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		guest_touch(&g, GVA, PVM_ACCESS_WRITE);
		pvm_mmu_write_protect_gfns(g.vm, pvm_gfn(GFN), counts[i], PVM_MAY_SLEEP);
		cr_assert_not(guest_can_write(&g, GVA));
		pvm_mmu_unmap_gfns(g.vm, pvm_gfn(GFN), counts[i], PVM_MAY_SLEEP);
		cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	}
	guest_fini(&g);
}

Test(mmu_host, ranges_that_are_empty_or_after_the_last_frame_do_nothing)
{
	struct guest g;

	init(&g, 1);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(GFN), 0, PVM_MAY_SLEEP);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(~0ull), 2, PVM_MAY_SLEEP);
	pvm_mmu_write_protect_gfns(g.vm, pvm_gfn(GFN), 0, PVM_MAY_SLEEP);
	cr_assert_eq(guest_reaches(&g, GVA), DATA);
	cr_assert_eq(g.f.host.flush_count, 0);
	guest_fini(&g);
}

Test(mmu_host, M10_table_in_memory_taken_back_translates_no_more)
{
	struct guest g;
	uint64_t table;
	pvm_hpa_t root;

	init(&g, 1);
	table = (guest_entry_gva(&g, GVA, 1) - TABLES) >> 12;
	g.f.host.hole_start = table;
	g.f.host.hole_end = table + 1;
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(table), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	cr_assert_eq(guest_fault(&g, GVA, 0).kind, PVM_FAULT_INJECT);
	g.f.host.hole_start = g.cr3 >> 12;
	g.f.host.hole_end = g.f.host.hole_start + 1;
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(g.cr3 >> 12), 1, PVM_MAY_SLEEP);
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_EFAULT);
	g.f.host.hole_end = 0;
	g.f.host.hole_start = 0;
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_fini(&g);
}

Test(mmu_host, M2_root_that_dies_is_announced_before_its_page_is_freed)
{
	struct guest g;
	unsigned i, dying = 0;
	pvm_hpa_t root;

	init(&g, 1);
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	g.vcpu->cr3 = g.user_cr3;
	pvm_mmu_new_cr3(g.vcpu);
	pvm_mmu_shrink(g.vm, 0, PVM_MAY_SLEEP);
	for (i = 0; i < g.f.host.flush_count; i++)
		if (g.f.host.flushes[i].root_dying) {
			cr_assert_eq(g.f.host.flushes[i].root.v, root.v);
			dying++;
		}
	cr_assert_eq(dying, 1);
	g.vcpu->cr3 = g.cr3;
	guest_fini(&g);
}

Test(mmu_host, M10_write_protection_is_complete_when_it_returns)
{
	struct guest g;

	init(&g, 2);
	guest_map(&g, GVA + 0x1000, DATA + 0x1000, 1, RO);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_READ);
	guest_forget_flushes(&g);
	pvm_mmu_write_protect_gfns(g.vm, pvm_gfn(GFN), 2, PVM_MAY_SLEEP);
	cr_assert_not(guest_can_write(&g, GVA));
	cr_assert_eq(guest_reaches(&g, GVA), DATA);
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_GVA);
	cr_assert_null(g.f.host.flushes[0].vcpu);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_fini(&g);
}

Test(mmu_host, host_write_to_data_changes_nothing)
{
	struct guest g;

	init(&g, 1);
	pvm_mmu_host_wrote(g.vm, pvm_gfn(GFN), PVM_MAY_SLEEP);
	cr_assert_eq(guest_reaches(&g, GVA), DATA);
	cr_assert_eq(g.f.host.flush_count, 0);
	guest_fini(&g);
}

Test(mmu_host, shrink_keeps_only_loaded_roots_and_loses_nothing)
{
	struct guest g;

	pvm_hpa_t before, after;

	init(&g, 1);
	cr_assert_eq(pvm_mmu_load(g.vcpu, &before, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_eq(pvm_mmu_shrink(g.vm, 0, PVM_MAY_SLEEP), 1);
	cr_assert_eq(pvm_mmu_load(g.vcpu, &after, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_eq(before.v, after.v);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	cr_assert_leq(pvm_mmu_shrink(g.vm, 100, PVM_MAY_SLEEP), 1);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_fini(&g);
}

Test(mmu_host, accessed_bits_are_tested_and_cleared_by_range)
{
	struct pvm_shadow_page *page;
	struct guest g;
	unsigned i;

	init(&g, 1);
	for (i = 1; i < 4; i++) {
		guest_map(&g, GVA + i * 0x1000, DATA + i * 0x1000, 1, RWU);
		guest_touch(&g, GVA + i * 0x1000, PVM_ACCESS_READ);
	}
	cr_assert_eq(pvm_mmu_accessed_gfns(g.vm, pvm_gfn(GFN), 3), 3);
	cr_assert_eq(pvm_mmu_age_gfns(g.vm, pvm_gfn(GFN), 3), 3);
	cr_assert_eq(pvm_mmu_accessed_gfns(g.vm, pvm_gfn(GFN), 3), 0);
	cr_assert_eq(pvm_mmu_age_gfns(g.vm, pvm_gfn(GFN), 4), 1);
	check_ok(&g);
	page = pvm_page_first(g.vm->mmu, pvm_gfn(guest_table_of(&g, GVA, 1) >> 12));
	page->table[2] |= PVM_PTE_A;	/* as a CPU does */
	cr_assert_eq(pvm_mmu_age_gfns(g.vm, pvm_gfn(GFN), 4), 1);
	cr_assert_eq(guest_reaches(&g, GVA), DATA);	/* nothing was taken */
	guest_fini(&g);
}

/* ------------------------------------------------------------------------
 * 2 MiB of memory that are at one place after the other. All of them have the same content: that of
 * the 512 frames from WINDOW on.
 */

#define WINDOW	512ull
#define PLACES	400

static uint64_t window;		/* gfn of the place where they are; 0: nowhere */

static uint64_t frame_of(pvm_gfn_t gfn)
{
	return window && gfn.v - window < 512 ? gfn.v - window + WINDOW : gfn.v;
}

static int window_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep, struct pvm_frame *frame)
{
	return test_host_ops.gfn_to_frame(host, pvm_gfn(frame_of(gfn)), write, sleep, frame);
}

static void *window_va(void *host, pvm_gfn_t gfn, bool write)
{
	return test_host_ops.gfn_to_va(host, pvm_gfn(frame_of(gfn)), write);
}

/* The guest uses all of the engine's indices of frames there: pages of memory, small and large,
 * and tables. */
static void use_window(struct guest *g)
{
	uint64_t gva = GVA + (1ull << 30), table = (window + 2) << 12;
	uint64_t *entry = window_va(&g->f.host, pvm_gfn(window + 2), true);

	guest_map(g, gva, window << 12, 1, RWU);
	guest_touch(g, gva, PVM_ACCESS_WRITE);
	guest_map(g, gva + (2 << 20), window << 12, 2, RWU);
	guest_touch(g, gva + (2 << 20), PVM_ACCESS_WRITE);
	entry[0] = DATA | RWU;
	*guest_entry(g, gva + (4 << 20), 2) = table | RWU;
	guest_touch(g, gva + (4 << 20), PVM_ACCESS_READ);
	cr_assert_eq(guest_reaches(g, gva + (4 << 20)), DATA);
}

/* Engine pages in use after all places, but for shadow pages: these are evicted, or @shrink at each place. */
static uint32_t visit_places(unsigned max_level, bool shrink)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_mmu_stats stats;
	struct guest g;
	uint32_t pages;
	unsigned i;

	config.max_shadow_pages = 24;
	config.guest_maxphyaddr = 46;
	guest_init_config(&g, &config, 1, 4);
	g.f.host.max_level = (uint8_t)max_level;
	g.f.host.ops.gfn_to_frame = window_frame;
	g.f.host.ops.gfn_to_va = window_va;
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	for (i = 0; i < PLACES; i++) {
		window = ((i * 0x9e3779b97f4a7c15ull >> 30) & ~511ull) | 1 << 20;
		use_window(&g);
		check_ok(&g);
		pvm_mmu_unmap_gfns(g.vm, pvm_gfn(window), 512, PVM_MAY_SLEEP);
		if (shrink)
			pvm_mmu_shrink(g.vm, 1, PVM_MAY_SLEEP);
		window = 0;
		cr_assert_eq(guest_reaches(&g, GVA + (1ull << 30)), ~0ull);
	}
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	pvm_mmu_get_stats(g.vm, &stats);
	pages = g.f.host.pages_live - stats.shadow_pages - g.vm->mmu->reserved;
	guest_fini(&g);
	return pages;
}

/* The structure, its counters, ids, slabs, and what the memory that stays needs; and for each shadow page
 * that may be left at a place, its index pages. */
#define BASE		12u
#define PER_TABLE	4u

Test(mmu_host, M11_memory_that_is_at_many_places_leaves_little_there)
{
	unsigned max_level;

	for (max_level = 1; max_level <= 2; max_level++) {
		uint32_t pages = visit_places(max_level, false);

		cr_assert_leq(pages, BASE + PER_TABLE * 24, "%u pages after %u places", pages, PLACES);
	}
}

Test(mmu_host, M11_and_nothing_once_the_engine_has_shrunk)
{
	uint32_t pages = visit_places(1, true);

	cr_assert_leq(pages, BASE, "%u pages after %u places", pages, PLACES);
}
