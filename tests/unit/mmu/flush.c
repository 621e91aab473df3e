/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the host is asked to flush. */
#include "guest.h"

static void init(struct guest *g, unsigned vcpus)
{
	struct pvm_vm_config config = fixture_config();
	unsigned i;
	pvm_hpa_t root;

	guest_init_config(g, &config, vcpus, 4);
	guest_map(g, GVA, DATA, 1, RWU);
	guest_map_tables(g);
	guest_touch(g, GVA, PVM_ACCESS_WRITE);
	for (i = 0; i < vcpus; i++)
		cr_assert_eq(pvm_mmu_load(&g->f.vcpu[i], &root, PVM_MAY_SLEEP), PVM_OK);
	/* The user's table has a root, too. */
	g->vcpu->user_mode = true;
	g->vcpu->cr3 = g->user_cr3;
	cr_assert_eq(pvm_mmu_load(g->vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	g->vcpu->user_mode = false;
	g->vcpu->cr3 = g->cr3;
	guest_forget_flushes(g);
}

static uint64_t root_of(struct guest *g)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(g->vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	return root.v;
}

/* spec: C-225 */
/* More than is compared in one hold of the lock. */
Test(mmu_flush, M9_tlb_flush_covers_every_table_however_many_there_are)
{
	struct guest g;
	uint64_t i, table;

	guest_init(&g);
	for (table = 0; table < 3; table++)
		for (i = 0; i < PVM_PTES_PER_TABLE; i++)
			guest_map(&g, GVA + (table << 21) + i * 0x1000, DATA, 1, RWU);
	guest_map_tables(&g);
	for (table = 0; table < 3; table++)
		for (i = 0; i < PVM_PTES_PER_TABLE; i++)
			guest_touch(&g, GVA + (table << 21) + i * 0x1000, PVM_ACCESS_READ);
	for (table = 0; table < 3; table++)
		guest_store(&g, guest_entry_gva(&g, GVA + (table << 21) + 0x5000, 1), 0);
	pvm_mmu_flush_all(g.vcpu);
	for (table = 0; table < 3; table++) {
		cr_assert_eq(guest_reaches(&g, GVA + (table << 21) + 0x5000), ~0ull, "table %llu",
			     (unsigned long long)table);
		cr_assert_eq(guest_reaches(&g, GVA + (table << 21) + 0x6000), DATA);
	}
	guest_fini(&g);
}

Test(mmu_flush, M9_invlpg_tells_the_executor_of_one_address_under_both_tables)
{
	struct guest g;

	init(&g, 2);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA + 0x123));
	cr_assert_eq(g.f.host.flush_count, 2);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_GVA), 2);
	cr_assert_eq(g.f.host.flushes[0].vcpu, g.vcpu);
	cr_assert_eq(g.f.host.flushes[0].root.v, root_of(&g));
	cr_assert_neq(g.f.host.flushes[1].root.v, root_of(&g));
	cr_assert_eq(g.f.host.flushes[0].gva.v, GVA + 0x123);
	cr_assert_eq(g.f.host.flushes[0].level, 1);
	guest_fini(&g);
}

Test(mmu_flush, invlpg_outside_the_legal_ranges_does_nothing)
{
	struct guest g;

	init(&g, 1);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(PVM_SYNTHETIC_CPUID_ADDR));
	pvm_mmu_invlpg(g.vcpu, pvm_gva(1ull << 50));
	cr_assert_eq(g.f.host.flush_count, 0);
	guest_fini(&g);
}

Test(mmu_flush, invlpg_of_one_table_for_both_modes_is_one_flush)
{
	struct guest g;

	init(&g, 1);
	g.vcpu->msr.switch_cr3 = g.cr3;
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	cr_assert_eq(g.f.host.flush_count, 1);
	guest_fini(&g);
}

/* spec: C-140, C-224 */
Test(mmu_flush, M9_flush_current_covers_both_tables_of_this_vcpu_and_no_other)
{
	struct guest g;

	init(&g, 2);
	pvm_mmu_flush_current(g.vcpu);
	cr_assert_eq(g.f.host.flush_count, 2);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ROOT), 2);
	cr_assert_eq(g.f.host.flushes[0].vcpu, g.vcpu);
	cr_assert_eq(g.f.host.flushes[0].root.v, root_of(&g));
	cr_assert_not(g.f.host.flushes[0].root_dying);
	guest_fini(&g);
}

/* spec: C-142, C-144 */
Test(mmu_flush, M9_flush_cr3_covers_one_table_whatever_its_PCID)
{
	struct guest g;

	init(&g, 1);
	pvm_mmu_flush_cr3(g.vcpu, g.cr3 | 0xfff);
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_ROOT);
	cr_assert_eq(g.f.host.flushes[0].root.v, root_of(&g));
	guest_forget_flushes(&g);
	pvm_mmu_flush_cr3(g.vcpu, 0x5000);	/* never used: no TLB holds anything of it */
	cr_assert_eq(g.f.host.flush_count, 0);
	guest_fini(&g);
}

/* spec: C-141, C-223 */
Test(mmu_flush, M9_flush_all_covers_every_table_of_this_vcpu)
{
	struct guest g;

	init(&g, 2);
	pvm_mmu_flush_all(g.vcpu);
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_ALL);
	cr_assert_eq(g.f.host.flushes[0].vcpu, g.vcpu);
	guest_fini(&g);
}

Test(mmu_flush, M9_all_roots_of_a_table_are_flushed)
{
	struct guest g;

	init(&g, 1);
	g.vcpu->efer &= ~PVM_EFER_NXE;
	root_of(&g);	/* a second root of the same table */
	guest_forget_flushes(&g);
	pvm_mmu_flush_cr3(g.vcpu, g.cr3);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ROOT), 2);
	guest_fini(&g);
}

Test(mmu_flush, protecting_a_table_that_is_mapped_once_flushes_that_address_on_all_vcpus)
{
	uint64_t table;
	struct guest g;

	init(&g, 2);
	table = fixture_new_table(&g.f);
	guest_map(&g, GVA + 0x5000, table, 1, RWU);
	guest_touch(&g, GVA + 0x5000, PVM_ACCESS_WRITE);
	guest_forget_flushes(&g);
	g.f.vcpu[1].cr3 = table;
	guest_touch(&g, GVA + 0x5000, PVM_ACCESS_WRITE);
	cr_assert_eq(g.f.host.flush_count, 0);
	{
		pvm_hpa_t root;

		cr_assert_eq(pvm_mmu_load(&g.f.vcpu[1], &root, PVM_MAY_SLEEP), PVM_OK);
	}
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_GVA);
	cr_assert_null(g.f.host.flushes[0].vcpu);
	cr_assert_eq(g.f.host.flushes[0].root.v, PVM_INVALID_ADDR);
	cr_assert_eq(g.f.host.flushes[0].gva.v, GVA + 0x5000);
	cr_assert_not(guest_can_write(&g, GVA + 0x5000));
	guest_fini(&g);
}

Test(mmu_flush, frame_mapped_by_a_table_that_is_used_twice_is_flushed_everywhere)
{
	struct guest g;

	init(&g, 1);
	*guest_entry(&g, GVA + (1ull << 30), 3) = *guest_entry(&g, GVA, 3);
	guest_touch(&g, GVA + (1ull << 30), PVM_ACCESS_WRITE);
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> 12), 1, PVM_MAY_SLEEP);
	cr_assert_eq(g.f.host.flush_count, 1);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_ALL);
	guest_fini(&g);
}

Test(mmu_flush, frame_mapped_under_very_many_roots_is_flushed_everywhere)
{
	struct guest g;
	unsigned i;

	init(&g, 1);
	for (i = 0; i < 40; i++) {
		uint64_t table = fixture_new_table(&g.f);

		((uint64_t *)(g.f.host.memory + table))[0] = *guest_entry(&g, GVA, 4);
		g.vcpu->cr3 = table;
		guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	}
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> 12), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_ALL), 1);
	g.vcpu->cr3 = g.cr3;
	guest_fini(&g);
}

Test(mmu_flush, leaf_that_no_root_reaches_needs_no_flush)
{
	struct guest g;

	init(&g, 1);
	guest_store(&g, guest_entry_gva(&g, GVA, 2), 0);
	pvm_mmu_flush_all(g.vcpu);	/* the only vCPU: no TLB has it any more */
	guest_forget_flushes(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> 12), 1, PVM_MAY_SLEEP);
	cr_assert_eq(g.f.host.flush_count, 0);
	guest_fini(&g);
}

Test(mmu_flush, address_of_the_upper_half_is_flushed_in_canonical_form)
{
	struct guest g;

	init(&g, 1);
	guest_map(&g, 0xffff800000003000, DATA, 1, RWU);
	guest_touch(&g, 0xffff800000003000, PVM_ACCESS_WRITE);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> 12), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_flushes(&g, PVM_FLUSH_GVA), 2);
	cr_assert(g.f.host.flushes[0].gva.v == 0xffff800000003000 ||
		  g.f.host.flushes[1].gva.v == 0xffff800000003000);
	guest_fini(&g);
}

Test(mmu_flush, flushes_are_traced_and_counted)
{
	const struct pvm_trace_record *record;
	struct pvm_mmu_stats stats;
	struct guest g;

	init(&g, 1);
	pvm_mmu_flush_all(g.vcpu);
	record = fixture_find_record(&g.f, PVM_TRACE_FLUSH);
	cr_assert_not_null(record);
	cr_assert_eq(record->a, PVM_FLUSH_ALL);
	cr_assert_eq(record->b, PVM_INVALID_ADDR);
	pvm_mmu_get_stats(g.vm, &stats);
	cr_assert_eq(stats.flushes, 1);
	guest_fini(&g);
}

/* The way to the table is remembered. Taken away and given back unchanged, it is as it was in
 * the guest's tables, and not in the shadow's. */
Test(mmu_flush, way_that_was_read_only_for_a_while_is_writable_again)
{
	struct guest g;
	uint64_t *upper;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	upper = guest_entry(&g, GVA, 2);
	*upper &= ~(uint64_t)PVM_PTE_W;
	pvm_mmu_host_wrote(g.vm, pvm_gfn((uint64_t)((uint8_t *)upper - g.f.host.memory) >> PVM_PAGE_SHIFT),
			   PVM_MAY_SLEEP);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	cr_assert_not(guest_can_write(&g, GVA));
	*upper |= PVM_PTE_W;
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	cr_assert(guest_can_write(&g, GVA));
	guest_fini(&g);
}

/* As many leaves as one hold of the lock takes are flushed as everything. The next hold begins
 * with none. */
Test(mmu_flush, M10_M12_each_hold_flushes_its_own_leaves)
{
	struct guest g;
	unsigned i;

	guest_init(&g);
	for (i = 0; i < PVM_PTES_PER_TABLE; i++) {
		guest_map(&g, GVA + i * PVM_PAGE_SIZE, DATA, 1, RWU);
		guest_touch(&g, GVA + i * PVM_PAGE_SIZE, PVM_ACCESS_READ);
	}
	guest_map(&g, GVA + (1ull << 30), DATA + PVM_PAGE_SIZE, 1, RWU);
	guest_touch(&g, GVA + (1ull << 30), PVM_ACCESS_READ);
	g.f.host.flush_count = 0;
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> PVM_PAGE_SHIFT), 2, PVM_MAY_SLEEP);
	cr_assert_eq(g.f.host.flush_count, 2);
	cr_assert_eq(g.f.host.flushes[0].scope, PVM_FLUSH_ALL);
	cr_assert_eq(g.f.host.flushes[1].scope, PVM_FLUSH_GVA);
	cr_assert_eq(g.f.host.flushes[1].gva.v, GVA + (1ull << 30));
	guest_fini(&g);
}
