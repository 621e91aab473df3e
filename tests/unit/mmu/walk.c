/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The walker of the guest's tables, through pvm_mmu_translate(). */
#include "guest.h"

#include "mmu/shadow.h"

static void assert_refused(struct guest *g, uint64_t gva, uint32_t access, uint32_t error_code)
{
	struct pvm_fault_result result = guest_translate(g, gva, access);

	cr_assert_eq(result.kind, PVM_FAULT_INJECT);
	cr_assert_eq(result.vector, PVM_VEC_PF);
	cr_assert_eq(result.error_code, error_code, "error code %#x, not %#x", result.error_code,
		     error_code);
}

Test(mmu_walk, page_of_each_size_translates)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + (2 << 20), 4 << 20, 2, RWU);
	guest_map(&g, 1ull << 39, 0, 3, RWU);
	cr_assert_eq(guest_translate(&g, GVA + 0x123, PVM_ACCESS_READ).gpa.v, DATA + 0x123);
	cr_assert_eq(guest_translate(&g, GVA + (2 << 20) + 0x12345, PVM_ACCESS_WRITE).gpa.v,
		     (4 << 20) + 0x12345);
	cr_assert_eq(guest_translate(&g, (1ull << 39) + 0x1234567, PVM_ACCESS_EXEC).gpa.v, 0x1234567);
	guest_fini(&g);
}

Test(mmu_walk, missing_entry_at_any_level_gives_no_P)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	assert_refused(&g, GVA + 0x1000, PVM_ACCESS_READ, 0);
	assert_refused(&g, GVA + (2 << 20), PVM_ACCESS_WRITE, PVM_PF_W);
	assert_refused(&g, GVA + (1 << 30), PVM_ACCESS_EXEC, PVM_PF_I);
	g.vcpu->user_mode = true;
	assert_refused(&g, 1ull << 40, PVM_ACCESS_READ, PVM_PF_U);
	guest_fini(&g);
}

Test(mmu_walk, write_needs_W_at_every_level)
{
	struct guest g;
	unsigned level;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	for (level = 1; level <= 4; level++) {
		*guest_entry(&g, GVA, level) &= ~PVM_PTE_W;
		assert_refused(&g, GVA, PVM_ACCESS_WRITE, PVM_PF_P | PVM_PF_W);
		cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).kind, PVM_FAULT_FIXED);
		*guest_entry(&g, GVA, level) |= PVM_PTE_W;
	}
	guest_fini(&g);
}

/* spec: C-136 */
Test(mmu_walk, fetch_needs_no_NX_at_any_level)
{
	struct guest g;
	unsigned level;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	for (level = 1; level <= 4; level++) {
		*guest_entry(&g, GVA, level) |= NX;
		assert_refused(&g, GVA, PVM_ACCESS_EXEC, PVM_PF_P | PVM_PF_I);
		cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_WRITE).kind, PVM_FAULT_FIXED);
		*guest_entry(&g, GVA, level) &= ~NX;
	}
	guest_fini(&g);
}

Test(mmu_walk, NX_is_reserved_while_EFER_NXE_is_clear_and_I_is_not_reported)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU | NX);
	g.vcpu->efer &= ~PVM_EFER_NXE;
	assert_refused(&g, GVA, PVM_ACCESS_EXEC, PVM_PF_P | PVM_PF_RSVD);
	assert_refused(&g, GVA, PVM_ACCESS_READ, PVM_PF_P | PVM_PF_RSVD);
	guest_fini(&g);
}

/* spec: C-132 */
Test(mmu_walk, user_mode_reaches_pages_marked_supervisor)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RW);
	g.vcpu->user_mode = true;
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_WRITE).kind, PVM_FAULT_FIXED);
	guest_fini(&g);
}

Test(mmu_walk, address_bits_above_guest_maxphyaddr_are_reserved_at_every_level)
{
	struct guest g;
	unsigned level;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	for (level = 1; level <= 4; level++) {
		*guest_entry(&g, GVA, level) |= 1ull << 40;
		assert_refused(&g, GVA, PVM_ACCESS_WRITE, PVM_PF_P | PVM_PF_W | PVM_PF_RSVD);
		*guest_entry(&g, GVA, level) &= ~(1ull << 40);
	}
	guest_fini(&g);
}

Test(mmu_walk, PS_is_reserved_in_the_top_levels)
{
	struct pvm_vm_config config = fixture_config();
	struct guest g;

	config.host_la57 = true;
	guest_init_config(&g, &config, 1, 5);
	guest_map(&g, GVA, DATA, 1, RWU);
	*guest_entry(&g, GVA, 4) |= PVM_PTE_PS;
	assert_refused(&g, GVA, PVM_ACCESS_READ, PVM_PF_P | PVM_PF_RSVD);
	*guest_entry(&g, GVA, 5) |= PVM_PTE_PS;
	assert_refused(&g, GVA, PVM_ACCESS_READ, PVM_PF_P | PVM_PF_RSVD);
	guest_fini(&g);
}

Test(mmu_walk, low_address_bits_of_large_pages_are_reserved_but_PAT)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, 4 << 20, 2, RWU | PVM_PTE_PAT_LARGE);
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).gpa.v, 4 << 20);
	*guest_entry(&g, GVA, 2) |= 0x2000;
	assert_refused(&g, GVA, PVM_ACCESS_READ, PVM_PF_P | PVM_PF_RSVD);
	guest_map(&g, 1ull << 39, 0, 3, RWU | 0x20000000);
	assert_refused(&g, 1ull << 39, PVM_ACCESS_READ, PVM_PF_P | PVM_PF_RSVD);
	guest_fini(&g);
}

Test(mmu_walk, table_outside_memory_is_a_page_fault)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	*guest_entry(&g, GVA, 3) = (1ull << 30) | RWU;
	assert_refused(&g, GVA, PVM_ACCESS_READ, 0);
	g.vcpu->cr3 = 1ull << 32;
	assert_refused(&g, GVA, PVM_ACCESS_WRITE, PVM_PF_W);
	g.vcpu->cr3 = g.cr3;
	guest_fini(&g);
}

Test(mmu_walk, non_canonical_address_is_a_general_protection_fault)
{
	struct pvm_vm_config config = fixture_config();
	struct guest g;

	config.host_la57 = true;
	guest_init_config(&g, &config, 1, 4);
	cr_assert_eq(guest_translate(&g, 1ull << 47, PVM_ACCESS_READ).vector, PVM_VEC_GP);
	cr_assert_eq(guest_translate(&g, 1ull << 47, PVM_ACCESS_READ).error_code, 0);
	g.vcpu->cr4 |= PVM_CR4_LA57;
	cr_assert_eq(guest_translate(&g, 1ull << 47, PVM_ACCESS_READ).vector, PVM_VEC_PF);
	cr_assert_eq(guest_translate(&g, 1ull << 56, PVM_ACCESS_READ).vector, PVM_VEC_GP);
	guest_fini(&g);
}

Test(mmu_walk, M7_address_outside_the_legal_ranges_has_no_translation)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, 0xffff800000000000, DATA, 1, RWU);	/* slot 256: legal */
	guest_map(&g, 0xffffff0000000000, DATA, 1, RWU);	/* slot 510: not */
	cr_assert_eq(guest_translate(&g, 0xffff800000000000, PVM_ACCESS_READ).kind, PVM_FAULT_FIXED);
	assert_refused(&g, 0xffffff0000000000, PVM_ACCESS_READ, 0);
	guest_fini(&g);
}

Test(mmu_walk, M1_switcher_slot_is_never_the_guests)
{
	struct pvm_vm_config config = fixture_config();
	struct guest g;

	guest_init_config(&g, &config, 1, 4);
	/* pvm_vm_init() refuses a slot within the ranges; the walker does again. */
	g.vm->config.switcher_slot = 300;
	g.vm->config.switcher_entry = 0x5000 | RW;
	guest_map(&g, 0xffff960000000000, DATA, 1, RWU);
	assert_refused(&g, 0xffff960000000000, PVM_ACCESS_READ, 0);
	guest_fini(&g);
}

Test(mmu_walk, M1_of_a_shared_slot_only_the_switchers_is_refused)
{
	struct pvm_vm_config config = fixture_config();
	struct guest g;

	config.host_la57 = true;
	guest_init_config(&g, &config, 1, 4);
	/* Within the ranges, as above. */
	g.vm->config.switcher_slot = 511;
	g.vm->config.switcher_entry = 0x5000 | RW;
	g.vm->config.switcher_pml4_slot = 300;
	g.vm->config.switcher_pml4_entry = 0x6000 | RW;
	guest_map(&g, 0xffff960000000000, DATA, 1, RWU);
	guest_map(&g, 0xffff968000000000, DATA, 1, RWU);
	guest_map(&g, 300ull << 39 & 0x7fffffffffff, DATA, 1, RWU);
	assert_refused(&g, 0xffff960000000000, PVM_ACCESS_READ, 0);
	cr_assert_eq(guest_translate(&g, 0xffff968000000000, PVM_ACCESS_READ).kind, PVM_FAULT_FIXED);
	g.vm->config.switcher_entry = 0;
	guest_fini(&g);
}

/* spec: C-138 */
Test(mmu_walk, key_of_the_leaf_guards_every_data_access_whatever_U_says)
{
	struct guest g;
	uint64_t flags[2] = { RWU | KEY(5), RW | KEY(5) };
	unsigned i;

	guest_init(&g);
	for (i = 0; i < 2; i++) {
		guest_map(&g, GVA, DATA, 1, flags[i]);
		g.vcpu->pkru = 1u << 10;	/* no access by key 5 */
		assert_refused(&g, GVA, PVM_ACCESS_READ, PVM_PF_P | PVM_PF_PK);
		assert_refused(&g, GVA, PVM_ACCESS_WRITE, PVM_PF_P | PVM_PF_W | PVM_PF_PK);
		cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_EXEC).kind, PVM_FAULT_FIXED);
		g.vcpu->pkru = 2u << 10;	/* no writes */
		assert_refused(&g, GVA, PVM_ACCESS_WRITE, PVM_PF_P | PVM_PF_W | PVM_PF_PK);
		cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).kind, PVM_FAULT_FIXED);
		g.vcpu->pkru = 3u << 8;		/* of another key */
		cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_WRITE).kind, PVM_FAULT_FIXED);
	}
	guest_fini(&g);
}

Test(mmu_walk, PK_is_reported_beside_a_missing_right_to_write)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RO | KEY(5));
	g.vcpu->pkru = 1u << 10;
	assert_refused(&g, GVA, PVM_ACCESS_WRITE, PVM_PF_P | PVM_PF_W | PVM_PF_PK);
	g.vcpu->pkru = 0;
	assert_refused(&g, GVA, PVM_ACCESS_WRITE, PVM_PF_P | PVM_PF_W);
	guest_fini(&g);
}

Test(mmu_walk, keys_count_by_PKE_in_user_mode_and_by_PKS_in_supervisor_mode)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU | KEY(1));
	g.vcpu->pkru = 1u << 2;
	g.vcpu->cr4 &= ~PVM_CR4_PKS;
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).kind, PVM_FAULT_FIXED);
	g.vcpu->user_mode = true;
	assert_refused(&g, GVA, PVM_ACCESS_READ, PVM_PF_P | PVM_PF_U | PVM_PF_PK);
	g.vcpu->cr4 &= ~PVM_CR4_PKE;
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).kind, PVM_FAULT_FIXED);
	guest_fini(&g);
}

Test(mmu_walk, accessed_bits_are_set_on_the_way_and_dirty_in_the_leaf)
{
	struct guest g;
	unsigned level;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_translate(&g, GVA, PVM_ACCESS_READ);
	for (level = 1; level <= 4; level++)
		cr_assert_eq(*guest_entry(&g, GVA, level) & (PVM_PTE_A | PVM_PTE_D), PVM_PTE_A);
	guest_translate(&g, GVA, PVM_ACCESS_WRITE);
	for (level = 1; level <= 4; level++)
		cr_assert_eq(*guest_entry(&g, GVA, level) & PVM_PTE_D, level == 1 ? PVM_PTE_D : 0);
	guest_fini(&g);
}

Test(mmu_walk, refused_access_and_plain_translation_set_no_bits)
{
	struct pvm_fault_result result;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RO);
	guest_translate(&g, GVA, PVM_ACCESS_WRITE);
	cr_assert(pvm_mmu_translate(g.vcpu, pvm_gva(GVA), PVM_ACCESS_READ, false, &result));
	cr_assert_eq(*guest_entry(&g, GVA, 1), DATA | RO);
	cr_assert_eq(*guest_entry(&g, GVA, 4) & PVM_PTE_A, 0);
	guest_fini(&g);
}

/* Another CPU, which changes an entry between its read and its update. */
static struct guest *racing;
static uint64_t racing_values[2];
static unsigned racing_writes, racing_limit;
static void *(*plain_gfn_to_va)(void *host, pvm_gfn_t gfn, bool write);

static void *racing_gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	if (write && racing_writes < racing_limit)
		*guest_entry(racing, GVA, 1) = racing_values[racing_writes++ % 2];
	return plain_gfn_to_va(host, gfn, write);
}

static void race(struct guest *g, uint64_t first, uint64_t second, unsigned limit)
{
	racing = g;
	racing_values[0] = first;
	racing_values[1] = second;
	racing_writes = 0;
	racing_limit = limit;
	plain_gfn_to_va = g->f.host.ops.gfn_to_va;
	g->f.vm.mmu->taking = 1;	/* so that each walk asks */
	g->f.host.ops.gfn_to_va = racing_gfn_to_va;
}

Test(mmu_walk, M6_accessed_bit_never_brings_an_older_entry_back)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	*guest_entry(&g, GVA, 4) |= PVM_PTE_A;
	*guest_entry(&g, GVA, 3) |= PVM_PTE_A;
	*guest_entry(&g, GVA, 2) |= PVM_PTE_A;
	race(&g, (DATA + 0x1000) | RWU, 0, 1);
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_WRITE).gpa.v, DATA + 0x1000);
	cr_assert_eq(*guest_entry(&g, GVA, 1), (DATA + 0x1000) | RWU | PVM_PTE_A | PVM_PTE_D);
	guest_fini(&g);
}

Test(mmu_walk, M6_entry_that_vanishes_during_the_walk_is_a_fault)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	race(&g, 0, 0, 1);
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).kind, PVM_FAULT_INJECT);
	cr_assert_eq(*guest_entry(&g, GVA, 1), 0);
	guest_fini(&g);
}

Test(mmu_walk, M6_guest_that_never_stops_changing_an_entry_does_not_hold_the_lock_for_ever)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	race(&g, (DATA + 0x1000) | RWU, DATA | RWU, ~0u);
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_W).kind, PVM_FAULT_FIXED);
	racing_limit = 0;
	guest_fini(&g);
}

Test(mmu_walk, table_in_read_only_memory_keeps_its_bits_and_serves)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	g.f.host.read_only_end = ~0ull;
	cr_assert_eq(guest_translate(&g, GVA, PVM_ACCESS_READ).gpa.v, DATA);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert_eq(*guest_entry(&g, GVA, 1), DATA | RWU);
	guest_fini(&g);
}
