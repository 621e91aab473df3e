/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Roots: depth, the two tables of a vCPU, the switcher's slot, legal ranges. */
#include "guest.h"

static uint64_t load(struct guest *g)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(g->vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	return root.v;
}

static void mode_switch(struct guest *g)
{
	uint64_t cr3 = g->vcpu->cr3;

	g->vcpu->cr3 = g->vcpu->msr.switch_cr3;
	g->vcpu->msr.switch_cr3 = cr3;
	g->vcpu->user_mode = !g->vcpu->user_mode;
}

/* spec: C-131, C-143 */
Test(mmu_root, each_mode_runs_on_the_root_of_its_own_table_and_switching_flushes_nothing)
{
	uint64_t supervisor, user;
	struct guest g;

	guest_init(&g);
	supervisor = load(&g);
	mode_switch(&g);
	user = load(&g);
	cr_assert_neq(user, supervisor);
	guest_forget_flushes(&g);
	mode_switch(&g);
	cr_assert_eq(load(&g), supervisor);
	mode_switch(&g);
	cr_assert_eq(load(&g), user);
	cr_assert_eq(g.f.host.flush_count, 0);
	mode_switch(&g);
	guest_fini(&g);
}

Test(mmu_root, table_outside_memory_cannot_be_loaded)
{
	pvm_hpa_t root;
	struct guest g;

	guest_init(&g);
	g.vcpu->cr3 = 1ull << 36;
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_EFAULT);
	g.vcpu->cr3 = g.cr3;
	load(&g);
	guest_fini(&g);
}

/* spec: C-145 */
Test(mmu_root, root_is_found_again_after_another_was_loaded)
{
	struct guest g;
	uint64_t first;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	first = load(&g);
	guest_forget_flushes(&g);
	g.vcpu->cr3 = g.user_cr3;
	pvm_mmu_new_cr3(g.vcpu);
	cr_assert_neq(load(&g), first);
	g.vcpu->cr3 = g.cr3 | 0x123;	/* PCID bits are no part of the address */
	pvm_mmu_new_cr3(g.vcpu);
	cr_assert_eq(load(&g), first);
	cr_assert_eq(guest_reaches(&g, GVA), DATA);
	cr_assert_eq(g.f.host.flush_count, 0);
	guest_fini(&g);
}

Test(mmu_root, control_bits_that_change_the_meaning_of_entries_change_the_root)
{
	struct guest g;
	uint64_t root;

	guest_init(&g);
	root = load(&g);
	g.vcpu->efer &= ~PVM_EFER_NXE;
	cr_assert_neq(load(&g), root);
	g.vcpu->efer |= PVM_EFER_NXE;
	cr_assert_eq(load(&g), root);
	g.vcpu->cr4 &= ~(PVM_CR4_PKE | PVM_CR4_PKS);
	cr_assert_neq(load(&g), root);
	guest_fini(&g);
}

Test(mmu_root, M5_root_of_a_4_level_guest_has_5_levels_on_a_5_level_host)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_shadow_leaf leaf;
	struct guest g;

	config.host_la57 = true;
	guest_init_config(&g, &config, 1, 4);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, 0xffff800000001000, DATA + 0x1000, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_touch(&g, 0xffff800000001000, PVM_ACCESS_WRITE);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));	/* walks five levels */
	cr_assert_eq(leaf.pa.v, TEST_HOST_GUEST_BASE + DATA);
	cr_assert_eq(guest_reaches(&g, 0xffff800000001000), DATA + 0x1000);
	guest_fini(&g);
}

Test(mmu_root, M5_guest_with_5_levels_is_shadowed_level_by_level)
{
	struct pvm_vm_config config = fixture_config();
	struct guest g;

	config.host_la57 = true;
	config.range.pml5_start = 300;
	config.range.pml5_end = 400;
	guest_init_config(&g, &config, 1, 5);
	guest_map(&g, 1ull << 50, DATA, 1, RWU);
	guest_map(&g, 0xff2c000000002000, DATA + 0x2000, 1, RWU);	/* PML5 slot 300 */
	guest_map(&g, 0xffff800000001000, DATA + 0x1000, 1, RWU);	/* PML4 slot 256 of the last */
	guest_touch(&g, 1ull << 50, PVM_ACCESS_WRITE);
	guest_touch(&g, 0xff2c000000002000, PVM_ACCESS_WRITE);
	guest_touch(&g, 0xffff800000001000, PVM_ACCESS_WRITE);
	cr_assert_eq(guest_reaches(&g, 0xff2c000000002000), DATA + 0x2000);
	cr_assert_eq(guest_fault(&g, 0xff90000000000000, 0).kind, PVM_FAULT_INJECT);	/* slot 400 */
	guest_fini(&g);
}

Test(mmu_root, M7_half_of_a_4_level_guest_does_not_show_in_the_hole_of_a_5_level_host)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_shadow_leaf leaf;
	struct guest g;

	config.host_la57 = true;
	guest_init_config(&g, &config, 1, 4);
	guest_map(&g, 0xffff800000001000, DATA, 1, RWU);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, 0xffff800000001000, PVM_ACCESS_WRITE);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	/* Not canonical for the guest, but an address like any other for the CPU. */
	cr_assert_not(guest_walk(&g, 0, 0x0000800000001000, &leaf));
	cr_assert_not(guest_walk(&g, 0, 0xffff000040000000, &leaf));
	cr_assert_eq(guest_fault(&g, 0x0000800000001000, 0).vector, PVM_VEC_GP);
	guest_fini(&g);
}

Test(mmu_root, M7_table_used_in_the_last_slot_and_elsewhere_is_two_shadow_pages)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_shadow_leaf leaf;
	struct guest g;

	config.host_la57 = true;
	guest_init_config(&g, &config, 1, 5);
	/* One PML4 table in slot 1, where all of it is legal, and in slot 511. */
	guest_map(&g, 1ull << 48, DATA, 1, RWU);
	((uint64_t *)(g.f.host.memory + g.cr3))[511] = *guest_entry(&g, 1ull << 48, 5);
	guest_touch(&g, 1ull << 48, PVM_ACCESS_READ);
	guest_map(&g, 0xffff800000000000, DATA + 0x1000, 1, RWU);
	guest_touch(&g, 0xffff800000000000, PVM_ACCESS_READ);
	cr_assert_not(guest_walk(&g, 0, 0xffff000000000000, &leaf));
	check_ok(&g);
	guest_fini(&g);
}

Test(mmu_root, M1_M2_switcher_slot_is_in_every_root_without_U_and_out_of_reach)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_shadow_leaf leaf;
	const uint64_t *table;
	struct guest g;
	uint64_t root;

	config.switcher_slot = 511;
	config.switcher_entry = 0x77000 | RW;
	guest_init_config(&g, &config, 1, 4);
	g.vm->config.switcher_entry |= PVM_PTE_U;	/* pvm_vm_init() refuses it; once more here */
	guest_map(&g, 0xffffff8000000000, DATA, 1, RWU);
	root = load(&g);
	table = g.f.host.ops.page_va(&g.f, pvm_hpa(root));
	cr_assert_eq(table[511], 0x77000 | RW);
	cr_assert_not(guest_walk(&g, 0, 0xffffff8000000000, &leaf));
	cr_assert_eq(guest_fault(&g, 0xffffff8000000000, 0).kind, PVM_FAULT_INJECT);
	cr_assert_eq(table[511], 0x77000 | RW);
	guest_fini(&g);
}

/* A host with 5 levels whose own text is in the last slot. */
static struct pvm_vm_config sharing(void)
{
	struct pvm_vm_config config = fixture_config();

	config.host_la57 = true;
	config.switcher_slot = 511;
	config.switcher_entry = 0x77000 | RW;
	config.switcher_pml4_slot = 511;
	config.switcher_pml4_entry = 0x78000 | RW;
	config.guest_cr4 = PVM_CR4_GUEST & ~(uint64_t)PVM_CR4_LA57;
	return config;
}

Test(mmu_root, M1_S6_switcher_shares_the_last_slot_with_the_guest)
{
	struct pvm_vm_config config = sharing();
	const uint64_t upper = 0xffff800000000000, switchers = 0xffffff8000000000;
	const uint64_t *table, *below;
	struct pvm_shadow_leaf leaf;
	struct guest g;

	guest_init_config(&g, &config, 1, 4);
	guest_map(&g, upper, DATA, 1, RWU);
	guest_map(&g, switchers, DATA, 1, RWU);
	table = g.f.host.ops.page_va(&g.f, pvm_hpa(load(&g)));
	cr_assert_eq(table[511], config.switcher_entry, "nothing of the guest's yet");
	cr_assert_not(guest_walk(&g, 0, switchers, &leaf));
	guest_touch(&g, upper, PVM_ACCESS_READ);
	cr_assert_eq(guest_reaches(&g, upper), DATA);
	below = g.f.host.ops.page_va(&g.f, pvm_hpa(table[511] & PVM_PTE_ADDR_MASK));
	cr_assert_neq(table[511], config.switcher_entry);
	cr_assert_eq(below[511], config.switcher_pml4_entry);
	cr_assert_not(guest_walk(&g, 0, switchers, &leaf));
	cr_assert_eq(guest_fault(&g, switchers, 0).kind, PVM_FAULT_INJECT);
	check_ok(&g);
	/* Back to the switcher's own table when the guest's goes. */
	pvm_mmu_shrink(g.vm, 0, PVM_MAY_SLEEP);
	cr_assert_eq(table[511], config.switcher_entry);
	check_ok(&g);
	guest_touch(&g, upper, PVM_ACCESS_READ);
	cr_assert_eq(guest_reaches(&g, upper), DATA);
	guest_fini(&g);
}

Test(mmu_root, M10_cpus_forget_the_switchers_own_table_when_the_guest_gets_one)
{
	struct pvm_vm_config config = sharing();
	struct guest g;

	guest_init_config(&g, &config, 1, 4);
	guest_map(&g, 0xffff800000000000, DATA, 1, RWU);
	guest_map(&g, 0xffff800000001000, DATA + 0x1000, 1, RWU);
	load(&g);
	guest_forget_flushes(&g);
	guest_touch(&g, 0xffff800000000000, PVM_ACCESS_READ);
	cr_assert_eq(g.f.host.flush_count, 1);
	guest_touch(&g, 0xffff800000001000, PVM_ACCESS_READ);
	cr_assert_eq(g.f.host.flush_count, 1);
	guest_fini(&g);
}

Test(mmu_root, M2_S6_new_root_holds_nothing)
{
	const uint64_t *table;
	struct guest g;
	unsigned i;

	guest_init(&g);
	table = g.f.host.ops.page_va(&g.f, pvm_hpa(load(&g)));
	for (i = 0; i < 512; i++)
		cr_assert_eq(table[i], 0);
	guest_fini(&g);
}

Test(mmu_root, M7_narrower_ranges_drop_what_is_outside_and_wider_ones_give_it_back)
{
	struct pvm_linear_range range = fixture_config().range;
	struct guest g;
	uint64_t gva = 0xffff800000000000;

	guest_init(&g);
	guest_map(&g, gva, DATA, 1, RWU);
	guest_touch(&g, gva, PVM_ACCESS_READ);
	range.pml4_start = 300;
	g.vcpu->msr.linear_address_range = pvm_linear_range_encode(&range);
	cr_assert_eq(guest_reaches(&g, gva), ~0ull);
	cr_assert_eq(guest_fault(&g, gva, 0).kind, PVM_FAULT_INJECT);
	range.pml4_start = 256;
	range.pml4_end = 280;
	g.vcpu->msr.linear_address_range = pvm_linear_range_encode(&range);
	guest_touch(&g, gva, PVM_ACCESS_READ);
	/* Its own root again, now for a third set of ranges. */
	range.pml4_start = 270;
	g.vcpu->msr.linear_address_range = pvm_linear_range_encode(&range);
	cr_assert_eq(guest_reaches(&g, gva), ~0ull);
	g.vcpu->msr.linear_address_range = pvm_linear_range_encode(&g.vm->config.range);
	cr_assert_eq(guest_reaches(&g, gva), DATA);
	guest_fini(&g);
}

Test(mmu_root, guest_paging_has_4_levels_where_the_host_has_4)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	g.vcpu->cr4 |= PVM_CR4_LA57;	/* the vCPU's rules refuse it; nothing else may break */
	cr_assert_eq(guest_fault(&g, GVA, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA), DATA);
	g.vcpu->cr4 &= ~PVM_CR4_LA57;
	guest_fini(&g);
}

Test(mmu_root, vcpus_share_the_shadow_pages_of_a_table)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_shadow_leaf leaf;
	struct guest g;

	guest_init_config(&g, &config, 3, 4);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	cr_assert(guest_walk(&g, 2, GVA, &leaf));
	cr_assert_eq(leaf.pa.v, TEST_HOST_GUEST_BASE + DATA);
	guest_fini(&g);
}
