/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Two address spaces and every kind of flush: after a flush that covers an
 * address the new translation must be used; before it the old and the new one
 * are both legal, and nothing else is.
 *
 * spec: TLB; PVM_HC_LOAD_PGTBL
 */
#include "guest.h"

#define DATA	USER_BASE
#define ALIAS	(USER_BASE + 0x40000000ul)
#define OLD	0x01d01d01d01d01d0ul
#define NEW	0x2e772e772e772e77ul
#define OTHER	0x07e207e207e207e2ul

USER_INSN(user_read, "", "movq (%rdi), %rax");
USER_INSN(user_write, "", "movq %rsi, (%rdi)");

static struct space other_space;
static u64 old_page, new_page;

struct flush_kind {
	const char *name;
	void (*flush)(void);
};

static void by_invlpg(void)
{
	hc_invlpg(DATA);
}

static void by_invlpg_instruction(void)
{
	__asm__ volatile("invlpg (%0)" : : "r"(DATA) : "memory");
}

static void by_load_pgtbl(void)
{
	space_load(&boot_space, true);
}

static const struct flush_kind kinds[] = {
	{ "TLB_INVLPG", by_invlpg },
	{ "INVLPG", by_invlpg_instruction },
	{ "TLB_FLUSH_CURRENT", hc_tlb_flush_current },
	{ "TLB_FLUSH", hc_tlb_flush },
	{ "LOAD_PGTBL with flush", by_load_pgtbl },
};

/* Reads DATA in user mode; a page fault gives its error code, negative. */
static u64 user_reads(u64 va)
{
	struct user u;

	run_user(&u, user_read, va);
	return u.left_by == LEFT_BY_SYSCALL ? u.rax : -(u64)u.errcode;
}

static u64 user_writes(u64 va, u64 value)
{
	struct user u;

	user_init(&u, user_write, user_stack_top(), va);
	u.rsi = value;
	user_run(&u);
	return u.left_by == LEFT_BY_SYSCALL ? 0 : -(u64)u.errcode;
}

static u64 supervisor_reads(u64 va)
{
	u64 value;

	if (TRY("movq (%1), %0", "=r"(value) : "r"(va)) == VEC_PF)
		return -(u64)trap.errcode;
	return value;
}

static u64 supervisor_writes(u64 va, u64 value)
{
	return TRY("movq %1, (%0)", : "r"(va), "r"(value) : "memory") == VEC_PF ? -(u64)trap.errcode : 0;
}

/* Change the frame that DATA is mapped to: what both modes see before and after. */
/* spec: C-223, C-224, C-225, C-217 */
static void remap(const struct flush_kind *kind)
{
	u64 *pte = user_pte(&boot_space, DATA), before;

	*pte = old_page | PTE_USER_RW;
	hc_tlb_flush();
	guest_assert(user_reads(DATA) == OLD && supervisor_reads(DATA) == OLD);
	write_once(*pte, new_page | PTE_USER_RW);
	before = user_reads(DATA);
	check(before == OLD || before == NEW, label(kind->name, "before it, old or new frame"));
	kind->flush();
	check_eq(user_reads(DATA), NEW, label(kind->name, "after it, user mode sees the new frame"));
	check_eq(supervisor_reads(DATA), NEW, label(kind->name, "after it, supervisor mode does"));
}

/* Take rights away: writing, then all. */
static void reduce(const struct flush_kind *kind)
{
	u64 *pte = user_pte(&boot_space, DATA), before;

	*pte = old_page | PTE_USER_RW;
	hc_tlb_flush();
	guest_assert(user_writes(DATA, OLD) == 0 && supervisor_writes(DATA, OLD) == 0);
	write_once(*pte, old_page | PTE_USER_RO | PTE_A | PTE_D);
	before = user_writes(DATA, OLD);
	check(before == 0 || before == -(u64)(PF_P | PF_W | PF_U),
	      label(kind->name, "before it, a write to a page made read-only may work"));
	kind->flush();
	check_eq(user_writes(DATA, OLD), -(u64)(PF_P | PF_W | PF_U),
		 label(kind->name, "after it, that write faults"));
	check_eq(supervisor_writes(DATA, OLD), -(u64)(PF_P | PF_W),
		 label(kind->name, "after it, also in supervisor mode"));
	write_once(*pte, 0);
	kind->flush();
	check_eq(user_reads(DATA), -(u64)PF_U, label(kind->name, "after unmapping, a read faults"));
}

/* Single CR3: the page becomes the supervisor's, and the user's again. */
/* spec: SC-002, SC-003, SC-024 */
static void take_user_bit(const struct flush_kind *kind)
{
	u64 *pte = user_pte(&boot_space, DATA), before, entry = old_page | PTE_USER_RW | PTE_A | PTE_D;

	*pte = entry;
	hc_tlb_flush();
	guest_assert(user_reads(DATA) == OLD && supervisor_reads(DATA) == OLD);
	write_once(*pte, entry & ~PTE_U);
	before = user_reads(DATA);
	check(before == OLD || before == -(u64)(PF_P | PF_U),
	      label(kind->name, "before it, user mode may read a page that lost its U bit"));
	kind->flush();
	check_eq(user_reads(DATA), -(u64)(PF_P | PF_U), label(kind->name, "after it, that read faults"));
	check_eq(supervisor_reads(DATA), OLD, label(kind->name, "after it, supervisor mode reads it"));
	write_once(*pte, entry);
	check_eq(user_reads(DATA), OLD, label(kind->name, "a U bit that is given needs no flush"));
}

/* More rights need no flush: a fault re-reads the tables. */
static void growth_needs_no_flush(void)
{
	u64 *pte = user_pte(&boot_space, DATA);

	*pte = 0;
	hc_tlb_flush();
	guest_assert(user_reads(DATA) == -(u64)PF_U);
	write_once(*pte, old_page | PTE_USER_RO);
	check_eq(user_reads(DATA), OLD, "a page made present needs no flush");
	write_once(*pte, old_page | PTE_USER_RW);
	user_writes(DATA, OLD);
	hc_invlpg(DATA);
	check_eq(user_writes(DATA, OLD), 0, "a page made writable is, after INVLPG");
}

/* spec: C-022, C-023, C-081, C-143, C-165, C-198, C-206, C-219, C-220 */
static void switching(void)
{
	u64 other = page_alloc();

	*(u64 *)phys_to_virt(other) = OTHER;
	map_user(&other_space, DATA, other, PTE_USER_RW);
	*user_pte(&boot_space, DATA) = old_page | PTE_USER_RW;
	hc_tlb_flush();
	for (int i = 0; i < 3; i++) {
		space_load(&other_space, i == 0);
		check(user_reads(DATA) == OTHER && supervisor_reads(DATA) == OTHER,
		      "LOAD_PGTBL: both modes are in the other space");
		if (SINGLE_CR3)	/* spec: SC-002, SC-004, SC-024 */
			check_eq(user_reads((u64)phys_to_virt(other_space.supervisor_root)),
				 -(u64)(PF_P | PF_U), "LOAD_PGTBL: user mode does not reach its root table");
		else
			check_eq(hc_rdmsr(MSR_PVM_SWITCH_CR3), other_space.user_root,
				 "LOAD_PGTBL: MSR_PVM_SWITCH_CR3 is the user's root");
		check_eq(read_reg(cr3) & PTE_ADDR, other_space.supervisor_root,
			 "LOAD_PGTBL: CR3 is the supervisor's root");
		space_load(&boot_space, false);
		check(user_reads(DATA) == OLD && supervisor_reads(DATA) == OLD,
		      "LOAD_PGTBL: and back in the first");
	}
}

/* A flush of the current space says nothing of another; LOAD_PGTBL with flush
 * and TLB_FLUSH do. */
/* spec: C-139, C-141, C-142 */
static void other_space_changes(void)
{
	u64 *pte = user_pte(&other_space, DATA), seen;

	space_load(&other_space, true);
	guest_assert(user_reads(DATA) == OTHER);
	space_load(&boot_space, false);
	write_once(*pte, new_page | PTE_USER_RW);
	hc_tlb_flush_current();
	space_load(&other_space, false);
	seen = user_reads(DATA);
	check(seen == OTHER || seen == NEW, "a flush of one space: another may be stale");
	space_load(&boot_space, false);
	write_once(*pte, old_page | PTE_USER_RW);
	hc_tlb_flush();
	space_load(&other_space, false);
	check_eq(user_reads(DATA), OLD, "TLB_FLUSH reaches a space that is not loaded");
	space_load(&boot_space, false);
	write_once(*pte, new_page | PTE_USER_RW);
	space_load(&other_space, true);
	check_eq(user_reads(DATA), NEW, "LOAD_PGTBL with flush reaches the space it loads");
	space_load(&boot_space, true);
}

static void mov_cr3_flushes(void)
{
	u64 *pte = user_pte(&boot_space, DATA);

	*pte = old_page | PTE_USER_RW;
	hc_tlb_flush();
	guest_assert(supervisor_reads(DATA) == OLD);
	write_once(*pte, new_page | PTE_USER_RW);
	write_reg(cr3, read_reg(cr3));
	check_eq(supervisor_reads(DATA), NEW, "MOV to CR3 flushes the supervisor's translations");
	hc_tlb_flush();
}

/* The table page is a user page, too: user mode edits it, through an alias. */
static void edits_through_an_alias(void)
{
	u64 table = *pte_of(boot_space.user_root, DATA, 2, false) & PTE_ADDR;
	u64 alias = ALIAS + (DATA >> 12 & 511) * 8;

	map_user(&boot_space, ALIAS, table, PTE_USER_RW);
	*user_pte(&boot_space, DATA) = old_page | PTE_USER_RW;
	hc_tlb_flush();
	guest_assert(user_reads(DATA) == OLD);
	for (int i = 0; i < 4; i++) {
		u64 target = i & 1 ? old_page : new_page;

		check_eq(user_writes(alias, target | PTE_USER_RW), 0, "a page table is written through an alias");
		hc_invlpg(DATA);
		check_eq(user_reads(DATA), i & 1 ? OLD : NEW, "and the edit is seen after INVLPG");
	}
}

/* An upper entry that points to another table: all below it changes. */
static void table_swap(void)
{
	u64 *pde = pte_of(boot_space.user_root, DATA, 2, false), saved = *pde;
	u64 table = page_alloc();

	*user_pte(&boot_space, DATA) = old_page | PTE_USER_RW;
	hc_tlb_flush();
	guest_assert(user_reads(DATA) == OLD);
	*(u64 *)phys_to_virt(table + (DATA >> 12 & 511) * 8) = new_page | PTE_USER_RW;
	write_once(*pde, table | PTE_P | PTE_W | PTE_U);
	hc_tlb_flush_current();
	check_eq(user_reads(DATA), NEW, "an upper entry moved to another table");
	write_once(*pde, saved);
	hc_tlb_flush_current();
	check_eq(user_reads(DATA), OLD, "and back");
}

/* spec: C-145 */
static void switch_by_msr(void)
{
	check_eq(hc_wrmsr(MSR_PVM_SWITCH_CR3, other_space.user_root), 0, "WRMSR of MSR_PVM_SWITCH_CR3");
	check_eq(user_reads(DATA), NEW, "the next EVENT_RETURN_USER uses it");
	check_eq(supervisor_reads(DATA), OLD, "and CR3 is not changed by it");
	space_load(&boot_space, true);
}

/* Single CR3: one register for both modes. */
/* spec: SC-001, SC-004 */
static void switch_by_mov_cr3(void)
{
	write_reg(cr3, other_space.supervisor_root);
	check_eq(user_reads(DATA), NEW, "MOV to CR3 changes the space of user mode");
	check_eq(supervisor_reads(DATA), NEW, "and of supervisor mode");
	check_eq(read_reg(cr3), other_space.supervisor_root, "and reads back, after user mode, too");
	write_reg(cr3, boot_space.supervisor_root);
}

void guest_main(void)
{
	old_page = page_alloc();
	new_page = page_alloc();
	*(u64 *)phys_to_virt(old_page) = OLD;
	*(u64 *)phys_to_virt(new_page) = NEW;
	map_user(&boot_space, DATA, old_page, PTE_USER_RW);
	space_init(&other_space);

	for (unsigned i = 0; i < array_size(kinds); i++) {
		remap(&kinds[i]);
		reduce(&kinds[i]);
		if (SINGLE_CR3)
			take_user_bit(&kinds[i]);
	}
	growth_needs_no_flush();
	switching();
	other_space_changes();
	mov_cr3_flushes();
	edits_through_an_alias();
	table_swap();
	if (SINGLE_CR3)
		switch_by_mov_cr3();
	else
		switch_by_msr();
}
