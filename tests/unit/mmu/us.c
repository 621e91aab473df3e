/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where U/S bits count: two roots from one table. M3: what a user root may hold. M4: what
 * a supervisor may execute. Also the error codes of x86.
 */
#include "guest.h"

#define KERNEL	0x80000000ull	/* addresses of pages without U */

static struct guest g;

static void start(void)
{
	struct pvm_vm_config config = fixture_config();

	config.abi = PVM_ABI_SINGLE_CR3;
	guest_init_config(&g, &config, 1, 4);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + 0x1000, DATA + 0x1000, 1, RWU);
	guest_map(&g, KERNEL, DATA + 0x2000, 1, RW);
}

TestSuite(mmu_us, .init = start);

static void mode(bool user)
{
	g.vcpu->user_mode = user;
}

/* The guest has changed its entry of @gva at @level. */
static void wrote(uint64_t gva, unsigned level)
{
	pvm_mmu_host_wrote(g.vm, pvm_gfn((guest_entry_gva(&g, gva, level) - TABLES) >> PVM_PAGE_SHIFT),
			   PVM_MAY_SLEEP);
}

static void assert_refused(uint64_t gva, uint32_t access, uint32_t error_code)
{
	struct pvm_fault_result result = guest_fault(&g, gva, access);

	cr_assert_eq(result.kind, PVM_FAULT_INJECT);
	cr_assert_eq(result.vector, PVM_VEC_PF);
	cr_assert_eq(result.error_code, error_code, "0x%x", result.error_code);
}

Test(mmu_us, one_cr3_has_a_root_for_each_mode)
{
	pvm_hpa_t supervisor, user;

	cr_assert_eq(pvm_mmu_load(g.vcpu, &supervisor, PVM_MAY_SLEEP), PVM_OK);
	mode(true);
	cr_assert_eq(pvm_mmu_load(g.vcpu, &user, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_neq(user.v, supervisor.v);
	cr_assert_eq(pvm_mmu_other_root(g.vcpu).v, supervisor.v);
	mode(false);
	cr_assert_eq(pvm_mmu_other_root(g.vcpu).v, user.v);
	guest_fini(&g);
}

Test(mmu_us, M3_user_mode_is_refused_a_page_of_the_supervisors)
{
	guest_touch(&g, KERNEL, PVM_ACCESS_WRITE);
	mode(true);
	assert_refused(KERNEL, 0, PVM_PF_P | PVM_PF_U);
	assert_refused(KERNEL, PVM_PF_W, PVM_PF_P | PVM_PF_W | PVM_PF_U);
	assert_refused(KERNEL, PVM_PF_I, PVM_PF_P | PVM_PF_U | PVM_PF_I);
	cr_assert_eq(guest_reaches(&g, KERNEL), ~0ull);
	guest_fini(&g);
}

Test(mmu_us, M3_u_must_be_set_at_every_level)
{
	unsigned level;

	for (level = 2; level <= 4; level++) {
		mode(true);
		guest_touch(&g, GVA, PVM_ACCESS_READ);
		*guest_entry(&g, GVA, level) &= ~PVM_PTE_U;
		wrote(GVA, level);
		pvm_mmu_flush_current(g.vcpu);
		cr_assert_eq(guest_reaches(&g, GVA), ~0ull, "level %u", level);
		assert_refused(GVA, 0, PVM_PF_P | PVM_PF_U);
		mode(false);
		guest_touch(&g, GVA, PVM_ACCESS_READ | PVM_ACCESS_EXEC);
		check_ok(&g);
		*guest_entry(&g, GVA, level) |= PVM_PTE_U;
		wrote(GVA, level);
		pvm_mmu_flush_current(g.vcpu);
		check_ok(&g);
	}
	guest_fini(&g);
}

Test(mmu_us, M4_a_users_page_is_not_executable_for_the_supervisor)
{
	struct pvm_shadow_leaf leaf;

	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));
	cr_assert(leaf.entry & NX);
	assert_refused(GVA, PVM_PF_I, PVM_PF_P | PVM_PF_I);
	mode(true);
	guest_touch(&g, GVA, PVM_ACCESS_EXEC);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));
	cr_assert_not(leaf.entry & NX);
	guest_fini(&g);
}

/* The second page takes the path that the first one has found. */
Test(mmu_us, M4_neighbours_are_not_executable_either)
{
	struct pvm_shadow_leaf leaf;

	guest_touch(&g, GVA, PVM_ACCESS_READ);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_READ);
	cr_assert(guest_walk(&g, 0, GVA + 0x1000, &leaf));
	cr_assert(leaf.entry & NX);
	guest_touch(&g, KERNEL, PVM_ACCESS_EXEC);
	guest_fini(&g);
}

Test(mmu_us, M4_a_page_that_gets_u_loses_its_execution_at_the_next_flush)
{
	struct pvm_shadow_leaf leaf;

	guest_touch(&g, KERNEL, PVM_ACCESS_EXEC);
	*guest_entry(&g, KERNEL, 1) |= PVM_PTE_U;
	wrote(KERNEL, 1);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(KERNEL));
	cr_assert(!guest_walk(&g, 0, KERNEL, &leaf) || (leaf.entry & NX));
	assert_refused(KERNEL, PVM_PF_I, PVM_PF_P | PVM_PF_I);
	guest_fini(&g);
}

Test(mmu_us, M3_M4_large_pages_and_their_pieces)
{
	uint64_t gva = 0xc0000000;
	struct pvm_shadow_leaf leaf;

	g.f.host.max_level = 2;
	guest_map(&g, gva, 0x400000, 2, RWU | PVM_PTE_PS);
	guest_map(&g, gva + 0x200000, 0x600000, 2, RW | PVM_PTE_PS);
	guest_touch(&g, gva, PVM_ACCESS_READ);
	cr_assert(guest_walk(&g, 0, gva, &leaf));
	cr_assert(leaf.entry & NX);
	g.f.host.max_level = 1;
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(0x400), 512, PVM_MAY_SLEEP);
	guest_touch(&g, gva + 0x3000, PVM_ACCESS_WRITE);
	cr_assert(guest_walk(&g, 0, gva + 0x3000, &leaf));
	cr_assert_eq(leaf.level, 1);
	cr_assert(leaf.entry & NX);
	mode(true);
	guest_touch(&g, gva + 0x3000, PVM_ACCESS_EXEC);
	assert_refused(gva + 0x200000, 0, PVM_PF_P | PVM_PF_U);
	mode(false);
	guest_touch(&g, gva + 0x200000, PVM_ACCESS_EXEC);
	guest_fini(&g);
}

Test(mmu_us, the_supervisor_reads_and_writes_a_users_page_and_not_what_is_read_only)
{
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	*guest_entry(&g, GVA + 0x1000, 1) &= ~PVM_PTE_W;
	assert_refused(GVA + 0x1000, PVM_PF_W, PVM_PF_P | PVM_PF_W);
	guest_fini(&g);
}

Test(mmu_us, invlpg_and_flushes_reach_the_roots_of_both_modes)
{
	bool user;

	for (user = false; ; user = true) {
		mode(false);
		guest_touch(&g, GVA, PVM_ACCESS_READ);
		mode(true);
		guest_touch(&g, GVA, PVM_ACCESS_READ);
		mode(user);
		*guest_entry(&g, GVA, 1) = 0;
		wrote(GVA, 1);
		pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
		mode(false);
		cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
		mode(true);
		cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
		check_ok(&g);
		if (user)
			break;
		guest_map(&g, GVA, DATA, 1, RWU);
	}
	guest_fini(&g);
}

Test(mmu_us, without_nx_there_is_no_smep)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_vm vm;
	struct pvm_vcpu vcpu;

	config.abi = PVM_ABI_SINGLE_CR3;
	cr_assert_eq(g.vcpu->cr4 & PVM_CR4_SMEP, PVM_CR4_SMEP);
	config.host_nx = false;
	cr_assert_eq(pvm_vm_init(&vm, &config, &g.f.host.ops, &g.f.host), PVM_OK);
	cr_assert_eq(pvm_vcpu_init(&vcpu, &vm, 0), PVM_OK);
	cr_assert_eq(vcpu.cr4 & PVM_CR4_SMEP, 0);
	pvm_vcpu_destroy(&vcpu);
	pvm_vm_destroy(&vm);
	guest_fini(&g);
}
