/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M2P, the table of frame numbers that the guest reads through an entry of its roots; with 5 levels
 * through an entry of a table below them, which has to be there whatever the guest has touched.
 */
#include "guest.h"

#define M2P		0xffff800000000000ull
#define M2P_ENTRY	(0x7000ull | PVM_PTE_P | PVM_PTE_U | PVM_PTE_A | PVM_PTE_NX)
#define MARK		(1ull << 10)	/* of the engine's, in a bit that the CPU ignores */
#define SWITCHER	(0x123000ull | PVM_PTE_P | PVM_PTE_W)
#define SWITCHER_PML4	(0x124000ull | PVM_PTE_P | PVM_PTE_W)

static struct pvm_vcpu *vcpu = &g.f.vcpu[0];

static struct pvm_vm_config config(void)
{
	struct pvm_vm_config config = xen_guest_config(1);

	config.xen.m2p_slot = 256;
	config.xen.m2p_entry = M2P_ENTRY;
	config.xen.m2p_frames = PAGES;
	return config;
}

static void four_levels(void)
{
	struct pvm_vm_config four = config();

	xen_guest_init_config(&four);
}

static void five_levels(void)
{
	struct pvm_vm_config five = config();

	five.host_la57 = true;
	five.guest_cr4 = PVM_CR4_GUEST & ~(uint64_t)PVM_CR4_LA57;
	five.switcher_slot = 511;
	five.switcher_entry = SWITCHER;
	five.switcher_pml4_slot = 271;
	five.switcher_pml4_entry = SWITCHER_PML4;
	xen_guest_init_config(&five);
}

/* All shadow pages go that no vCPU has loaded, and this one has no root. */
static void forget_all(void)
{
	pvm_mmu_new_cr3(vcpu);
	pvm_mmu_shrink(&g.f.vm, 0, PVM_MAY_SLEEP);
}

/* The entry of slot 256 in what the CPU walks for the upper half; 0: no table of the guest's. */
static uint64_t entry(void)
{
	pvm_hpa_t root;
	const uint64_t *table;

	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	table = test_host_page_va(&g.f.host, root);
	if (!g.f.vm.config.host_la57)
		return table[256];
	if (!(table[511] & PVM_PTE_U))
		return 0;
	table = test_host_page_va(&g.f.host, pvm_hpa(table[511] & PVM_PTE_ADDR_MASK));
	cr_expect_eq(table[271], SWITCHER_PML4);
	return table[256];
}

static struct pvm_fault_result touch(uint64_t gva, uint32_t access, enum pvm_sleep sleep)
{
	return pvm_mmu_fault(vcpu, pvm_gva(gva), access | PVM_PF_U, sleep);
}

TestSuite(m2p_of_four, .init = four_levels, .fini = xen_guest_fini);
TestSuite(m2p_of_five, .init = five_levels, .fini = xen_guest_fini);

/* spec: XC-074 */
Test(m2p_of_four, each_root_of_the_kernels_has_it)
{
	forget_all();
	cr_expect_eq(entry() & ~MARK, M2P_ENTRY);
	xen_go_user(true);
	cr_expect_eq(entry(), 0);
}

/* spec: XC-074 */
Test(m2p_of_four, M1_what_is_no_reading_of_it_is_the_guests_fault)
{
	cr_expect_eq(touch(M2P, PVM_ACCESS_WRITE | PVM_PF_P, PVM_MAY_SLEEP).kind, PVM_FAULT_INJECT);
	cr_expect_eq(touch(M2P + (1ull << 30), 0, PVM_MAY_SLEEP).kind, PVM_FAULT_INJECT);
}

/* spec: XC-074 */
Test(m2p_of_five, the_kernel_reads_it_whatever_it_has_touched_before)
{
	forget_all();
	cr_assert_eq(entry(), 0);
	cr_expect_eq(touch(M2P + 8, 0, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	cr_expect_eq(entry() & ~MARK, M2P_ENTRY);
	/* By way of its own pages. */
	forget_all();
	cr_assert_eq(entry(), 0);
	cr_expect_eq(touch(KERNEL, 0, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	cr_expect_eq(entry() & ~MARK, M2P_ENTRY);
}

static void expect_mapping(void)
{
	const uint64_t *mapping = xen_at(ARGUMENTS + 0x100);

	cr_expect_eq(xen_call(PVM_XEN_MEMORY_OP, PVM_XEN_MEMORY_MACHPHYS_MAPPING, ARGUMENTS + 0x100, 0, 0),
		     0);
	cr_expect_eq(mapping[0], M2P);
	cr_expect_eq(mapping[1], M2P + PAGES * sizeof(uint64_t));
	cr_expect_eq(mapping[2], PAGES - 1);
}

/* spec: XC-075 */
Test(m2p_of_four, the_guest_is_told_where_it_is)
{
	expect_mapping();
}

/* spec: XC-075 */
Test(m2p_of_five, the_guest_is_told_where_it_is_by_4_levels)
{
	expect_mapping();
}

/* spec: XC-074 */
Test(m2p_of_five, M1_what_is_no_reading_of_it_is_the_guests_fault)
{
	struct pvm_fault_result result;

	forget_all();
	result = touch(M2P, PVM_ACCESS_WRITE | PVM_PF_P, PVM_MAY_SLEEP);
	cr_expect_eq(result.kind, PVM_FAULT_INJECT);
	cr_expect_eq(touch(M2P + (1ull << 39), 0, PVM_MAY_SLEEP).kind, PVM_FAULT_INJECT);
	cr_expect_eq(touch(M2P - (1ull << 48), 0, PVM_MAY_SLEEP).kind, PVM_FAULT_INJECT);
	cr_expect_eq(touch(M2P, 0, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	/* The table is there: it was beyond M2P's end. */
	result = touch(M2P + (1ull << 30), 0, PVM_MAY_SLEEP);
	cr_expect_eq(result.kind, PVM_FAULT_INJECT);
	cr_expect_eq(result.vector, PVM_VEC_PF);
}

/* spec: XC-074 */
Test(m2p_of_five, M1_a_user_program_has_none)
{
	xen_go_user(true);
	forget_all();
	cr_expect_eq(touch(M2P, 0, PVM_MAY_SLEEP).kind, PVM_FAULT_INJECT);
	cr_expect_eq(touch(USER, 0, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	cr_expect_eq(entry(), 0);
}

Test(m2p_of_five, M11_without_memory_it_is_tried_again_or_the_host_says_so)
{
	struct pvm_fault_result result;
	unsigned left;

	for (left = 0; left < 16; left++) {
		forget_all();
		g.f.host.allocs_left = left;
		result = touch(M2P, 0, PVM_NO_SLEEP);
		if (result.kind == PVM_FAULT_FIXED)
			break;
		cr_expect_eq(result.kind, PVM_FAULT_WOULD_BLOCK);
	}
	cr_expect(left < 16);
	g.f.host.allocs_left = -1;
	cr_expect_eq(touch(M2P, 0, PVM_MAY_SLEEP).kind, PVM_FAULT_INJECT);
}
