/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Large pages: kept where the host's frames allow it, splintered where not. */
#include "guest.h"

#define LARGE	(4ull << 20)	/* gpa of a 2 MiB page without tables */

static uint8_t leaf_level(struct guest *g, uint64_t gva)
{
	struct pvm_shadow_leaf leaf;

	return guest_walk(g, 0, gva, &leaf) ? leaf.level : 0;
}

Test(mmu_large, large_page_is_one_leaf_where_the_host_is_contiguous)
{
	struct guest g;

	guest_init(&g);
	g.f.host.max_level = 2;
	guest_map(&g, GVA, LARGE, 2, RWU);
	guest_touch(&g, GVA + 0x5000, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA), 2);
	cr_assert_eq(guest_reaches(&g, GVA + 0x1ff000), LARGE + 0x1ff000);
	guest_fini(&g);
}

Test(mmu_large, gigabyte_page_is_one_leaf_if_host_has_them_else_2_MiB_leaves)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_shadow_leaf leaf;
	unsigned page1g;
	struct guest g;

	for (page1g = 0; page1g < 2; page1g++) {
		config.host_page1g = page1g;
		memset(&g, 0, sizeof(g));
		fixture_init_config(&g.f, &config, 1ull << 30, 1);
		g.vm = &g.f.vm;
		g.vcpu = &g.f.vcpu[0];
		g.levels = 4;
		g.vcpu->cr3 = g.cr3 = fixture_new_table(&g.f);
		g.f.host.max_level = 3;
		guest_map(&g, 1ull << 39, 0, 3, RO);
		guest_touch(&g, (1ull << 39) + 0x1234000, PVM_ACCESS_READ);
		cr_assert(guest_walk(&g, 0, (1ull << 39) + 0x1234000, &leaf));
		cr_assert_eq(leaf.level, page1g ? 3 : 2);
		cr_assert_eq(leaf.pa.v, TEST_HOST_GUEST_BASE + 0x1234000);
		/* Writable, it would reach the tables in it: smaller pieces there. */
		guest_map(&g, 2ull << 39, 0, 3, RW);
		guest_touch(&g, (2ull << 39) + 0x1234000, PVM_ACCESS_WRITE);
		cr_assert_eq(leaf_level(&g, (2ull << 39) + 0x1234000), 2);
		cr_assert_eq(guest_fault(&g, (2ull << 39) + g.cr3, 0).kind, PVM_FAULT_FIXED);
		cr_assert_eq(leaf_level(&g, (2ull << 39) + g.cr3), 1);
		guest_fini(&g);
	}
}

Test(mmu_large, pieces_of_a_large_page_carry_its_rights)
{
	struct pvm_shadow_leaf leaf;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, LARGE, 2, RO | NX);
	guest_map(&g, GVA + (2 << 20), LARGE, 2, RW);
	guest_touch(&g, GVA + 0x3000, PVM_ACCESS_READ);
	guest_touch(&g, GVA + (2 << 20) + 0x3000, PVM_ACCESS_WRITE);
	cr_assert(guest_walk(&g, 0, GVA + 0x3000, &leaf));
	cr_assert_eq(leaf.level, 1);
	cr_assert_eq(leaf.entry & (PVM_PTE_W | NX), NX);
	cr_assert_eq(leaf.pa.v, TEST_HOST_GUEST_BASE + LARGE + 0x3000);
	cr_assert(guest_can_write(&g, GVA + (2 << 20) + 0x3000));
	guest_fini(&g);
}

Test(mmu_large, pieces_stay_read_only_until_the_large_page_is_dirty)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, LARGE, 2, RW);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_READ);
	cr_assert_not(guest_can_write(&g, GVA));
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	cr_assert(*guest_entry(&g, GVA, 2) & PVM_PTE_D);
	cr_assert(guest_can_write(&g, GVA + 0x1000));
	guest_fini(&g);
}

Test(mmu_large, M9_large_mapping_of_a_new_table_loses_the_right_to_write_it)
{
	uint64_t table_gva;
	struct guest g;

	guest_init(&g);
	g.f.host.max_level = 2;
	/* All tables of this guest are in the 2 MiB page at 8 MiB, but the root of
	 * the second address space, which is in the one at 4 MiB. */
	guest_map(&g, GVA, LARGE, 2, RW);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA), 2);
	table_gva = GVA + 0x7000;
	guest_forget_flushes(&g);
	g.vcpu->cr3 = LARGE + 0x7000;
	pvm_mmu_new_cr3(g.vcpu);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);	/* loads the new root */
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_GVA);
	cr_assert_null(g.f.host.flushes[0].vcpu);
	cr_assert_eq(g.f.host.flushes[0].gva.v, GVA);
	cr_assert_eq(g.f.host.flushes[0].level, 2);
	g.vcpu->cr3 = g.cr3;
	pvm_mmu_new_cr3(g.vcpu);
	cr_assert_not(guest_can_write(&g, table_gva));
	/* Its neighbours become writable again, as pieces; it does by losing its shadow. */
	guest_touch(&g, GVA + 0x8000, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA + 0x8000), 1);
	guest_touch(&g, table_gva, PVM_ACCESS_WRITE);
	guest_fini(&g);
}

/* On a host with 5 levels the guest's root table is shadowed with the first fill, too. */
Test(mmu_large, M9_table_that_is_new_with_the_large_page_around_it_is_not_writable)
{
	struct pvm_vm_config config = fixture_config();
	struct guest g;

	config.host_la57 = true;
	guest_init_config(&g, &config, 1, 4);
	g.f.host.max_level = 2;
	guest_map(&g, GVA, g.f.host.memory_size / 2, 2, RW);	/* where all its tables are */
	guest_touch(&g, GVA + 0x100000, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA + 0x100000), 1);
	cr_assert_not(guest_can_write(&g, GVA), "its root");
	guest_fini(&g);
}

Test(mmu_large, splintered_page_stays_so_until_it_is_dropped)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, LARGE, 2, RW);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	g.f.host.max_level = 2;
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA + 0x1000), 1);
	pvm_mmu_shrink(g.vm, 1, PVM_MAY_SLEEP);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA + 0x1000), 2);
	guest_fini(&g);
}

/* As when the host logs writes for a while: it takes what there is twice. */
Test(mmu_large, where_all_pieces_went_a_large_page_can_be_again)
{
	const pvm_gfn_t first = pvm_gfn(LARGE >> PVM_PAGE_SHIFT);
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, LARGE, 2, RW);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_touch(&g, GVA + 0x1ff000, PVM_ACCESS_WRITE);
	g.f.host.max_level = 2;
	pvm_mmu_unmap_gfns(g.vm, first, 511, PVM_MAY_SLEEP);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA + 0x1000), 1, "one piece is left");
	pvm_mmu_unmap_gfns(g.vm, first, 512, PVM_MAY_SLEEP);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_WRITE);
	cr_assert_eq(leaf_level(&g, GVA + 0x1000), 2);
	cr_assert_eq(guest_reaches(&g, GVA + 0x1ff000), LARGE + 0x1ff000);
	guest_fini(&g);
}

Test(mmu_large, M9_pieces_are_flushed_at_once_when_the_large_page_goes)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, LARGE, 2, RW);
	guest_map_tables(&g);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_WRITE);
	guest_store(&g, guest_entry_gva(&g, GVA, 2), 0);
	guest_forget_flushes(&g);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	cr_assert_eq(guest_reaches(&g, GVA + 0x1000), ~0ull);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ALL), 1);
	guest_fini(&g);
}

Test(mmu_large, invlpg_of_a_large_page_names_its_size)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, LARGE, 2, RW);
	guest_map(&g, GVA + (2 << 20), 0x200000, 2, RO);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	g.f.host.max_level = 2;
	guest_touch(&g, GVA + (2 << 20), PVM_ACCESS_READ);
	guest_forget_flushes(&g);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA + 0x1000));
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA + (2 << 20) + 0x1000));
	cr_assert_eq(g.f.host.flush_count, 2);
	cr_assert_eq(g.f.host.flushes[0].level, 2);
	cr_assert_eq(g.f.host.flushes[1].level, 2);
	guest_fini(&g);
}
