/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Page tables by hypercall. What is asked of the shadow tables is asked through the engine's own
 * walk of them: after each call and its flush they say what the guest's tables say.
 */
#include "guest.h"

#include <string.h>

#define LEAF	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_A | PVM_PTE_D)

static struct pvm_vcpu *vcpu = &g.f.vcpu[0];

static void setup(void)
{
	xen_guest_init(2);
}

TestSuite(tables, .init = setup, .fini = xen_guest_fini);

static uint64_t entry_gpa(uint64_t gva)
{
	return (uint64_t)((uint8_t *)fixture_entry(&g.f, g.kernel_table, 4, gva, 1) - g.f.host.memory);
}

/* The guest touches an address of its kernel: what comes of it. */
static enum pvm_fault touch(uint64_t gva, uint32_t access)
{
	return pvm_mmu_fault(vcpu, pvm_gva(gva), access | PVM_PF_U, PVM_MAY_SLEEP).kind;
}

static bool shadow(uint64_t gva, struct pvm_shadow_leaf *leaf)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	return pvm_mmu_shadow_walk(&g.f.vm, root, pvm_gva(gva), leaf);
}

static int64_t update(uint64_t ptr, uint64_t val)
{
	*(struct pvm_xen_mmu_update *)xen_at(ARGUMENTS) = (struct pvm_xen_mmu_update){ ptr, val };
	return xen_call(PVM_XEN_MMU_UPDATE, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF);
}

static int64_t ext(uint32_t cmd, uint64_t arg1, uint64_t arg2)
{
	*(struct pvm_xen_mmuext_op *)xen_at(ARGUMENTS) =
		(struct pvm_xen_mmuext_op){ .cmd = cmd, .arg1 = arg1, .arg2 = arg2 };
	return xen_call(PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF);
}

/* spec: XC-063 */
Test(tables, an_update_takes_the_shadow_along)
{
	uint64_t gva = KERNEL + 0x40000;
	struct pvm_shadow_leaf leaf;

	cr_assert_eq(touch(gva, PVM_ACCESS_WRITE), PVM_FAULT_FIXED);
	cr_assert(shadow(gva, &leaf));
	cr_expect(leaf.entry & PVM_PTE_W);
	cr_assert_eq(update(entry_gpa(gva), 0x40000 | (LEAF & ~PVM_PTE_W)), 0);
	cr_assert(shadow(gva, &leaf));
	cr_expect_not(leaf.entry & PVM_PTE_W);
	cr_assert_eq(update(entry_gpa(gva), 0), 0);
	cr_expect_not(shadow(gva, &leaf));
	cr_expect_eq(*fixture_entry(&g.f, g.kernel_table, 4, gva, 1), 0);
}

/* The other vCPU is in tables that this one has never loaded: a program's, whose entry was taken by a plain
 * write. */
/* spec: XC-068 */
Test(tables, M9_a_flush_of_an_address_reaches_tables_of_others)
{
	uint64_t gva = KERNEL + 0x40000, other = fixture_new_table(&g.f), *entry;
	struct pvm_vcpu *second = &g.f.vcpu[1];
	struct pvm_shadow_leaf leaf;
	pvm_hpa_t root;

	fixture_map(&g.f, other, 4, gva, 0x40000, 1, LEAF);
	second->cr3 = other;
	pvm_mmu_new_cr3(second);
	cr_assert_eq(pvm_mmu_fault(second, pvm_gva(gva), PVM_ACCESS_WRITE | PVM_PF_U, PVM_MAY_SLEEP).kind,
		     PVM_FAULT_FIXED);
	entry = fixture_entry(&g.f, other, 4, gva, 1);
	pvm_mmu_host_wrote(&g.f.vm, pvm_gfn((uint64_t)((uint8_t *)entry - g.f.host.memory) >> PVM_PAGE_SHIFT),
			   PVM_MAY_SLEEP);	/* the guest may write there */
	*entry = 0;
	cr_assert_eq(ext(PVM_XEN_INVLPG_ALL, gva, 0), 0);
	cr_assert_eq(pvm_mmu_load(second, &root, PVM_MAY_SLEEP), PVM_OK);
	cr_expect_not(pvm_mmu_shadow_walk(&g.f.vm, root, pvm_gva(gva), &leaf));
}

/* spec: XC-063 */
Test(tables, an_update_keeps_accessed_and_dirty)
{
	uint64_t gva = KERNEL + 0x40000;

	cr_assert_eq(update(entry_gpa(gva) | PVM_XEN_MMU_PRESERVE_AD, 0x41000 | PVM_PTE_P), 0);
	cr_expect_eq(*fixture_entry(&g.f, g.kernel_table, 4, gva, 1),
		     0x41000 | PVM_PTE_P | PVM_PTE_A | PVM_PTE_D);
	cr_assert_eq(update(entry_gpa(gva), 0x41000 | PVM_PTE_P), 0);
	cr_expect_eq(*fixture_entry(&g.f, g.kernel_table, 4, gva, 1), 0x41000 | PVM_PTE_P);
	cr_assert_eq(update(entry_gpa(gva) | PVM_XEN_MMU_MACHPHYS, 1), 0);
	cr_expect_eq(*fixture_entry(&g.f, g.kernel_table, 4, gva, 1), 0x41000 | PVM_PTE_P);
}

/* spec: XC-016, XC-065 */
Test(tables, hostile_updates)
{
	cr_expect_eq(update(MEMORY, 0), PVM_XEN_EFAULT);
	cr_expect_eq(update(~7ull, 0), PVM_XEN_EINVAL);
	cr_expect_eq(update(1ull << 52, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_MMU_UPDATE, ARGUMENTS, 1, 0, 0), PVM_XEN_EPERM, "another domain");
	cr_expect_eq(xen_call(PVM_XEN_MMU_UPDATE, 0x5000, 1, 0, PVM_XEN_DOMID_SELF), PVM_XEN_EFAULT);
	cr_expect_eq(xen_call(PVM_XEN_MMU_UPDATE, ~0ull - 8, 3, 0, PVM_XEN_DOMID_SELF), PVM_XEN_EFAULT);
}

/* What the entry gives is what the guest's memory is, whatever it says. */
/* spec: XC-064 */
Test(tables, an_entry_is_not_judged)
{
	uint64_t gva = KERNEL + 0x40000;
	struct pvm_shadow_leaf leaf;

	cr_assert_eq(touch(gva, PVM_ACCESS_WRITE), PVM_FAULT_FIXED);
	cr_assert_eq(update(entry_gpa(gva), (MEMORY + 0x1000) | LEAF), 0);
	cr_expect_eq(*fixture_entry(&g.f, g.kernel_table, 4, gva, 1), (MEMORY + 0x1000) | LEAF);
	cr_assert_eq(ext(PVM_XEN_INVLPG_LOCAL, gva, 0), 0);
	cr_expect_neq(touch(gva, PVM_ACCESS_WRITE), PVM_FAULT_FIXED);
	cr_expect_not(shadow(gva, &leaf));
	/* Its own root, for writing: tables need not be read-only. */
	cr_assert_eq(update(entry_gpa(gva), g.kernel_table | LEAF), 0);
	cr_expect_eq(touch(gva, PVM_ACCESS_WRITE), PVM_FAULT_FIXED);
}

/* spec: XC-012, XC-014 */
Test(tables, a_long_list_is_done_in_steps_M12)
{
	const unsigned count = 8192;	/* of 16 bytes, to one place: the last one counts */
	struct pvm_xen_mmu_update *list = xen_at(KERNEL + 0x100000);
	unsigned i, exits = 1;
	uint32_t *done = xen_at(ARGUMENTS + 0x800);

	for (i = 0; i < count; i++)
		list[i] = (struct pvm_xen_mmu_update){ 0x3f0000, i };
	*done = 12345;
	cr_assert_eq(xen_call_of(0, PVM_XEN_MMU_UPDATE, KERNEL + 0x100000, count, ARGUMENTS + 0x800,
				 PVM_XEN_DOMID_SELF), PVM_ACT_RESUME);
	while (vcpu->gpr[PVM_RAX] == PVM_XEN_MMU_UPDATE &&
	       (uint32_t)vcpu->gpr[PVM_RSI] & 0x7fffffff) {
		cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
		exits++;
	}
	cr_expect_geq(exits, 8);
	cr_expect_eq(vcpu->gpr[PVM_RAX], 0);
	cr_expect_eq(*done, count);
	cr_expect_eq(*(uint64_t *)(g.f.host.memory + 0x3f0000), count - 1);
}

/* spec: XC-066 */
Test(tables, a_list_that_fails_says_how_far_it_came)
{
	struct pvm_xen_mmu_update *list = xen_at(ARGUMENTS);
	uint32_t *done = xen_at(ARGUMENTS + 0x800);

	list[0] = (struct pvm_xen_mmu_update){ 0x3f0000, 1 };
	list[1] = (struct pvm_xen_mmu_update){ MEMORY, 1 };
	cr_expect_eq(xen_call(PVM_XEN_MMU_UPDATE, ARGUMENTS, 2, ARGUMENTS + 0x800, PVM_XEN_DOMID_SELF),
		     PVM_XEN_EFAULT);
	cr_expect_eq(*done, 1);
}

/* spec: XC-067 */
Test(tables, update_va_mapping)
{
	uint64_t gva = KERNEL + 0x50000;
	struct pvm_shadow_leaf leaf;

	cr_assert_eq(touch(gva, 0), PVM_FAULT_FIXED);
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_VA_MAPPING, gva, 0x51000 | LEAF, PVM_XEN_UVMF_INVLPG, 0), 0);
	cr_expect_eq(*fixture_entry(&g.f, g.kernel_table, 4, gva, 1), 0x51000 | LEAF);
	cr_expect_not(shadow(gva, &leaf), "it was another frame's");
	cr_assert_eq(touch(gva, 0), PVM_FAULT_FIXED);
	cr_assert(shadow(gva, &leaf));
	cr_expect_eq(leaf.pa.v, TEST_HOST_GUEST_BASE + 0x51000);
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_VA_MAPPING, gva, 0, 0, 0), 0, "an entry that is not present");
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_VA_MAPPING, gva, 0x51000 | LEAF, 0, 0), 0);
	cr_expect_eq(xen_call(PVM_XEN_UPDATE_VA_MAPPING, KERNEL + (1ull << 30), 0, 0, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_UPDATE_VA_MAPPING, 256ull << 39 | 0xffffull << 48, 0, 0, 0),
		     PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_UPDATE_VA_MAPPING, 1ull << 63, 0, 0, 0), PVM_XEN_EINVAL);
}

/* spec: XC-069, XC-073 */
Test(tables, tables_are_loaded)
{
	uint64_t table = fixture_new_table(&g.f);

	memcpy(g.f.host.memory + table, g.f.host.memory + g.kernel_table, PVM_PAGE_SIZE);
	cr_assert_eq(ext(PVM_XEN_NEW_BASEPTR, table >> PVM_PAGE_SHIFT, 0), 0);
	cr_expect_eq(vcpu->cr3, table);
	cr_assert_eq(ext(PVM_XEN_NEW_USER_BASEPTR, 0, 0), 0);
	cr_expect_eq(vcpu->msr.switch_cr3, 0);
	cr_expect_eq(ext(PVM_XEN_NEW_BASEPTR, 1ull << 40, 0), PVM_XEN_EINVAL);
	cr_expect_eq(vcpu->cr3, table);
}

/* How many flushes of all vCPUs there were, and how many of one. */
static void count_flushes(unsigned *all, unsigned *one)
{
	unsigned i;

	*all = *one = 0;
	for (i = 0; i < g.f.host.flush_count; i++) {
		*all += !g.f.host.flushes[i].vcpu;
		*one += !!g.f.host.flushes[i].vcpu;
	}
	g.f.host.flush_count = 0;
}

/* spec: XC-068 */
Test(tables, flushes_reach_whom_they_name)
{
	unsigned all, one;
	uint64_t *set = xen_at(ARGUMENTS + 0x800);

	touch(KERNEL + 0x40000, 0);
	g.f.host.flush_count = 0;
	ext(PVM_XEN_TLB_FLUSH_LOCAL, 0, 0);
	count_flushes(&all, &one);
	cr_expect_eq(all, 0);
	cr_expect_gt(one, 0);
	ext(PVM_XEN_TLB_FLUSH_ALL, 0, 0);
	count_flushes(&all, &one);
	cr_expect_gt(all, 0);
	*set = 1;
	ext(PVM_XEN_INVLPG_MULTI, KERNEL + 0x40000, ARGUMENTS + 0x800);
	count_flushes(&all, &one);
	cr_expect_eq(all, 0, "only itself");
	*set = 2;
	ext(PVM_XEN_INVLPG_MULTI, KERNEL + 0x40000, ARGUMENTS + 0x800);
	count_flushes(&all, &one);
	cr_expect_gt(all, 0);
	ext(PVM_XEN_TLB_FLUSH_MULTI, 0, 0x5000);
	count_flushes(&all, &one);
	cr_expect_gt(all, 0, "a set that cannot be read is all");
	xen_call(PVM_XEN_UPDATE_VA_MAPPING, KERNEL + 0x50000, 0, PVM_XEN_UVMF_INVLPG | PVM_XEN_UVMF_ALL, 0);
	count_flushes(&all, &one);
	cr_expect_gt(all, 0);
}

/* ------------------------------------------------------------------------
 * Tables that the guest writes itself, through entries without W.
 */

/* spec: XC-072 */
Test(tables, a_marked_table_is_written_through_a_read_only_entry)
{
	uint64_t gva = KERNEL + 0x200000, at = entry_gpa(gva);	/* in a table of its own */
	uint64_t table_gva = KERNEL + 0x60000;
	struct pvm_shadow_leaf leaf;

	cr_assert_eq(touch(gva, PVM_ACCESS_WRITE), PVM_FAULT_FIXED);
	update(entry_gpa(table_gva), (at & ~0xfffull) | (LEAF & ~PVM_PTE_W));
	cr_assert_eq(touch(table_gva, PVM_ACCESS_WRITE), PVM_FAULT_INJECT, "it is not marked");
	cr_assert_eq(ext(PVM_XEN_PIN_L1_TABLE, at >> PVM_PAGE_SHIFT, 0), 0);
	cr_assert_eq(touch(table_gva, PVM_ACCESS_WRITE), PVM_FAULT_FIXED);
	cr_assert(shadow(table_gva, &leaf));
	cr_expect(leaf.entry & PVM_PTE_W);
	/* It writes: its own flush, and not before, takes the shadow along. */
	*(uint64_t *)(g.f.host.memory + at) = 0;
	cr_assert_eq(ext(PVM_XEN_INVLPG_LOCAL, gva, 0), 0);
	cr_expect_not(shadow(gva, &leaf));
	cr_expect_eq(pvm_mmu_check(&g.f.vm), NULL);
	/* No table any more: the entry counts again. */
	cr_assert_eq(ext(PVM_XEN_UNPIN_TABLE, at >> PVM_PAGE_SHIFT, 0), 0);
	cr_assert(shadow(table_gva, &leaf));
	cr_expect_not(leaf.entry & PVM_PTE_W);
	cr_assert_eq(touch(table_gva, PVM_ACCESS_WRITE), PVM_FAULT_INJECT);
}

/* spec: XC-070, XC-072 */
Test(tables, user_mode_does_not_write_marked_tables)
{
	uint64_t at = entry_gpa(KERNEL + 0x200000);

	cr_assert_eq(ext(PVM_XEN_PIN_L1_TABLE, at >> PVM_PAGE_SHIFT, 0), 0);
	*fixture_entry(&g.f, g.user_table, 4, USER, 1) = (at & ~0xfffull) | PVM_PTE_P | PVM_PTE_U;
	xen_go_user(true);
	cr_expect_eq(touch(USER, PVM_ACCESS_WRITE), PVM_FAULT_INJECT);
	cr_expect_eq(touch(USER, 0), PVM_FAULT_FIXED);
}

/* spec: XC-070 */
Test(tables, what_user_mode_is_not_given_M3)
{
	*fixture_entry(&g.f, g.user_table, 4, USER, 1) &= ~PVM_PTE_U;
	xen_go_user(true);
	cr_expect_eq(touch(USER, 0), PVM_FAULT_INJECT);
}

/* spec: XC-073, XC-108 */
Test(tables, hostile_marks)
{
	cr_expect_eq(ext(PVM_XEN_PIN_L4_TABLE, MEMORY >> PVM_PAGE_SHIFT, 0), PVM_XEN_EFAULT);
	cr_expect_eq(ext(PVM_XEN_PIN_L4_TABLE, ~0ull, 0), PVM_XEN_EINVAL);
	cr_expect_eq(ext(99, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(ext(PVM_XEN_SET_LDT, KERNEL, 0), 0);
	cr_expect_eq(ext(PVM_XEN_SET_LDT, KERNEL, 4), 0);
}

Test(tables, no_memory_for_a_mark_is_no_loss_M11)
{
	enum pvm_action action;
	unsigned tries = 1;

	touch(KERNEL + 0x40000, 0);
	pvm_mmu_shrink(&g.f.vm, 0, PVM_MAY_SLEEP);	/* and the reserve goes */
	g.f.host.allocs_left = 0;
	*(struct pvm_xen_mmuext_op *)xen_at(ARGUMENTS) =
		(struct pvm_xen_mmuext_op){ .cmd = PVM_XEN_PIN_L1_TABLE, .arg1 = 5 };
	action = xen_call_of(0, PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF);
	for (; action == PVM_ACT_RESUME && tries < 100; tries++)
		action = xen_syscall(0);
	cr_assert_eq(action, PVM_ACT_ERROR);
	cr_expect_eq(vcpu->request.error.code, PVM_ENOMEM);
	vcpu->brief = true;
	cr_expect_eq(pvm_mmu_mark_table(vcpu, pvm_gfn(0x48), true), PVM_EAGAIN, "M11: with sleep it may succeed");
	vcpu->brief = false;
	g.f.host.allocs_left = -1;
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME, "the guest comes to it again");
	cr_expect_eq(vcpu->gpr[PVM_RAX], 0);
}

/* ------------------------------------------------------------------------
 * Multicalls.
 */

/* spec: XC-090, XC-091 */
Test(tables, a_multicall)
{
	struct pvm_xen_multicall_entry *list = xen_at(ARGUMENTS + 0x400);

	list[0] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_UPDATE_VA_MAPPING,
						    .args = { KERNEL + 0x50000, 0x51000 | LEAF, 0 } };
	list[1] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_STACK_SWITCH,
						    .args = { 0, KERNEL + 0x9000 } };
	list[2] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_MULTICALL };
	list[3] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_SCHED_OP,
						    .args = { PVM_XEN_SCHEDOP_BLOCK } };
	list[4] = (struct pvm_xen_multicall_entry){ .op = 54 };
	cr_assert_eq(xen_call(PVM_XEN_MULTICALL, ARGUMENTS + 0x400, 5, 0, 0), 0);
	cr_expect_eq(list[0].result, 0);
	cr_expect_eq(*fixture_entry(&g.f, g.kernel_table, 4, KERNEL + 0x50000, 1), 0x51000 | LEAF);
	cr_expect_eq(list[1].result, 0);
	cr_expect_eq(list[2].result, PVM_XEN_EINVAL);
	cr_expect_eq(list[3].result, PVM_XEN_EINVAL);
	cr_expect_eq(list[4].result, PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(PVM_XEN_MULTICALL, 0x5000, 1, 0, 0), PVM_XEN_EFAULT);
}

Test(tables, a_multicall_of_long_lists_M12)
{
	struct pvm_xen_multicall_entry *list = xen_at(ARGUMENTS + 0x400);
	struct pvm_xen_mmu_update *updates = xen_at(KERNEL + 0x100000);
	unsigned i;

	for (i = 0; i < 4096; i++)
		updates[i] = (struct pvm_xen_mmu_update){ 0x3f0000, i };
	for (i = 0; i < 3; i++)
		list[i] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_MMU_UPDATE,
			.args = { KERNEL + 0x100000, 4096, 0, PVM_XEN_DOMID_SELF } };
	cr_assert_eq(xen_call(PVM_XEN_MULTICALL, ARGUMENTS + 0x400, 3, 0, 0), 0);
	for (i = 0; i < 3; i++)
		cr_expect_eq(list[i].result, 0);
	cr_expect_eq(*(uint64_t *)(g.f.host.memory + 0x3f0000), 4095);
}

/* spec: XC-017 */
Test(tables, a_multicall_whose_memory_is_away_M11)
{
	struct pvm_xen_multicall_entry *list = xen_at(ARGUMENTS + 0x400);

	list[0] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_MMU_UPDATE,
		.args = { KERNEL + 0x100000, 2, 0, PVM_XEN_DOMID_SELF } };
	((struct pvm_xen_mmu_update *)xen_at(KERNEL + 0x100000))[0] =
		(struct pvm_xen_mmu_update){ 0x3f0000, 7 };
	((struct pvm_xen_mmu_update *)xen_at(KERNEL + 0x100000))[1] =
		(struct pvm_xen_mmu_update){ 0x3f1000, 8 };
	test_host_send_away(&g.f.host, 0x3f1, true);
	test_host_send_away(&g.f.host, 0x100, false);
	cr_assert_eq(xen_call(PVM_XEN_MULTICALL, ARGUMENTS + 0x400, 1, 0, 0), 0);
	cr_expect_eq(g.f.host.fetched, 2);
	cr_expect_eq(list[0].result, 0);
	cr_expect_eq(*(uint64_t *)(g.f.host.memory + 0x3f0000), 7);
	cr_expect_eq(*(uint64_t *)(g.f.host.memory + 0x3f1000), 8);
}
