/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Page faults of every kind, each with its error code and address, from user
 * and from supervisor mode; accessed and dirty bits; large pages.
 *
 * spec: Paging
 */
#include "guest.h"

#define DATA	(USER_BASE + 0x200000ul)	/* the page under test */
#define LARGE	(USER_BASE + 0x40000000ul)	/* aligned for a 1 GiB page */
#define OFFSET	0x128ul
#define PATTERN	0xc0ffee00c0fful
#define RET_INSN 0xc3

USER_INSN(user_read, "", "movq (%rdi), %rax");
USER_INSN(user_write, "", "movq %rsi, (%rdi)");
USER_CODE(user_fetch, "	callq	*%rdi\n	syscall\n	ud2\n");

static u64 page;	/* physical, that DATA is mapped to */

enum access { READ, WRITE, FETCH };

/* One access in user mode: the error code of the #PF, or -1 for none. */
static s64 user_access(enum access access, u64 va, u64 *cr2)
{
	static const char *const code[] = { user_read, user_write, user_fetch };
	struct user u;

	user_init(&u, code[access], user_stack_top(), va);
	u.rsi = PATTERN;
	user_run(&u);
	*cr2 = u.cr2;
	if (u.left_by == LEFT_BY_SYSCALL)
		return -1;
	guest_assert(u.vector == VEC_PF);
	guest_assert(u.rip == (access == FETCH ? va : (u64)code[access]));
	return u.errcode;
}

/* The same in supervisor mode. A fetch returns through the handler. */
static bool fetch_fault(struct frame *frame)
{
	trap.vector = VEC_PF;
	trap.errcode = frame->hw.errcode;
	trap.cr2 = pvcs()->cr2;
	guest_assert(frame->hw.rip == trap.cr2);
	frame->hw.rip = *(u64 *)frame->hw.rsp;	/* as if it had returned */
	frame->hw.rsp += 8;
	return true;
}

static s64 supervisor_access(enum access access, u64 va, u64 *cr2)
{
	switch (access) {
	case READ:
		TRY("movq (%0), %%rax", : "r"(va) : "rax");
		break;
	case WRITE:
		TRY("movq %1, (%0)", : "r"(va), "r"(PATTERN));
		break;
	case FETCH:
		on_event(VEC_PF, fetch_fault);
		trap.vector = NO_TRAP;
		__asm__ volatile("callq *%0" : : "r"(va) : "memory");
		on_event(VEC_PF, NULL);
		break;
	}
	*cr2 = trap.cr2;
	if (trap.vector == NO_TRAP)
		return -1;
	guest_assert(trap.vector == VEC_PF);
	return trap.errcode;
}

/* What supervisor mode sees where user mode sees @expected: the same without the U
 * bit of the error code, and no code in user mode's pages where there is SMEP. */
static s64 supervisor_expects(enum access access, s64 expected)
{
	if (expected < 0 && access == FETCH && read_reg(cr4) & CR4_SMEP)
		return PF_P | PF_I;
	return expected < 0 ? expected : expected & ~PF_U;
}

static void expect(enum access access, u64 va, s64 expected, const char *what)
{
	s64 in_supervisor = supervisor_expects(access, expected);
	u64 cr2, supervisor_cr2;
	s64 user = user_access(access, va, &cr2);
	s64 supervisor = supervisor_access(access, va, &supervisor_cr2);

	if (!check(user == expected && (expected < 0 || cr2 == va), what))
		printf("# user mode: error code %ld, expected %ld, cr2 %#lx\n", user, expected, cr2);
	if (!check(supervisor == in_supervisor && (in_supervisor < 0 || supervisor_cr2 == va), what))
		printf("# supervisor mode: error code %ld, expected %ld, cr2 %#lx\n", supervisor, in_supervisor,
		       supervisor_cr2);
}

static void set_pte(u64 *pte, u64 value)
{
	write_once(*pte, value);
	hc_tlb_flush();
}

static void not_present_at_each_level(void)
{
	static const char *const what[] = { "", "not present: PT", "not present: PD", "not present: PDPT",
					    "not present: top level", "not present: top level" };

	for (int level = 1; level <= paging_levels(); level++) {
		u64 *pte = pte_of(boot_space.user_root, DATA, level, false);
		u64 *copy = pte_of(boot_space.supervisor_root, DATA, level, false);
		u64 saved = *pte;

		*copy = saved & ~PTE_P;
		set_pte(pte, saved & ~PTE_P);
		expect(READ, DATA + OFFSET, PF_U, what[level]);
		expect(WRITE, DATA + OFFSET, PF_U | PF_W, what[level]);
		expect(FETCH, DATA + OFFSET, PF_U | PF_I, what[level]);
		*copy = saved;
		set_pte(pte, saved);
		expect(READ, DATA + OFFSET, -1, "present again");
	}
}

/* In both modes. spec: C-136 */
static void protection(void)
{
	u64 *pte = user_pte(&boot_space, DATA);

	set_pte(pte, page | PTE_USER_RO);
	expect(READ, DATA + OFFSET, -1, "read of a read-only page");
	expect(WRITE, DATA + OFFSET, PF_U | PF_W | PF_P, "write to a read-only page");
	expect(FETCH, DATA + OFFSET, PF_U | PF_I | PF_P, "fetch from an NX page");
	set_pte(pte, page | PTE_USER_RX | PTE_W);
	*(u8 *)phys_to_virt(page + OFFSET) = RET_INSN;
	expect(FETCH, DATA + OFFSET, -1, "fetch from a page without NX");
	expect(WRITE, DATA + OFFSET, -1, "write to a writable page");
	check_eq(*(u64 *)phys_to_virt(page + OFFSET), PATTERN, "and it is in memory");
}

static void upper_level_rights(void)
{
	for (int level = 2; level <= paging_levels(); level++) {
		u64 *pte = pte_of(boot_space.user_root, DATA, level, false);
		u64 *copy = pte_of(boot_space.supervisor_root, DATA, level, false);
		u64 saved = *pte;

		*copy = saved & ~PTE_W;
		set_pte(pte, saved & ~PTE_W);
		expect(WRITE, DATA + OFFSET, PF_U | PF_W | PF_P, "write where an upper level is read-only");
		*copy = saved | PTE_NX;
		set_pte(pte, saved | PTE_NX);
		expect(FETCH, DATA + OFFSET, PF_U | PF_I | PF_P, "fetch where an upper level is NX");
		*copy = saved;
		set_pte(pte, saved);
	}
}

static void reserved_bits(void)
{
	u64 *pte = user_pte(&boot_space, DATA), *pd = pte_of(boot_space.user_root, DATA, 2, false);
	u64 saved = *pte, saved_pd = *pd;

	if ((pvm_cpuid(0x80000008, 0).eax & 0xff) > 51) {
		skip("reserved bits: physical addresses have 52 bits");
		return;
	}
	set_pte(pte, saved | PTE_RSVD_51);
	expect(READ, DATA + OFFSET, PF_U | PF_P | PF_RSVD, "read with a reserved bit in the PTE");
	expect(WRITE, DATA + OFFSET, PF_U | PF_W | PF_P | PF_RSVD, "write with a reserved bit in the PTE");
	set_pte(pte, saved);
	set_pte(pd, saved_pd | PTE_RSVD_51);
	expect(READ, DATA + OFFSET, PF_U | PF_P | PF_RSVD, "read with a reserved bit in the PD");
	set_pte(pd, saved_pd);
}

/* spec: C-132, C-133 */
static void user_bit_is_not_honoured(void)
{
	u64 *pte = user_pte(&boot_space, DATA), cr2;

	set_pte(pte, (page | PTE_USER_RW) & ~PTE_U);
	check_eq(supervisor_access(WRITE, DATA, &cr2), -1ul, "supervisor mode reaches a page without U");
	set_pte(pte, page | PTE_USER_RW);
	check_eq(supervisor_access(WRITE, DATA, &cr2), -1ul, "supervisor mode reaches a page with U");
}

/* The page, or a table above it, is the supervisor's. */
static void expect_supervisor_page(u64 va, const char *name)
{
	u64 cr2;

	check(user_access(READ, va, &cr2) == (PF_P | PF_U) && cr2 == va, label(name, "user's read"));
	check(user_access(WRITE, va, &cr2) == (PF_P | PF_U | PF_W) && cr2 == va,
	      label(name, "user's write"));
	check(user_access(FETCH, va, &cr2) == (PF_P | PF_U | PF_I) && cr2 == va,
	      label(name, "user's fetch"));
	check_eq((u64)supervisor_access(READ, va, &cr2), -1ul, label(name, "supervisor reads"));
	check_eq((u64)supervisor_access(FETCH, va, &cr2), -1ul, label(name, "supervisor fetches"));
	check_eq((u64)supervisor_access(WRITE, va, &cr2), -1ul, label(name, "supervisor writes"));
	check(user_access(READ, va, &cr2) == (PF_P | PF_U), label(name, "user's read after that"));
	check(user_access(WRITE, va, &cr2) == (PF_P | PF_U | PF_W), label(name, "user's write after that"));
}

static void flush_data(void)
{
	hc_invlpg(DATA);
}

/* The entry of @level loses its U bit and gets it back, with A and D set as ever, so
 * that nothing but U says that what is remembered of it is stale. */
static void change_user_bit(int level, void (*flush)(void))
{
	static const char *const name[] = { "", "no U in the PT", "no U in the PD", "no U in the PDPT",
					    "no U in the PML4" };
	u64 *entry = pte_of(boot_space.user_root, DATA, level, false), saved = *entry | PTE_A;
	u8 *code = phys_to_virt(page + OFFSET);

	*code = RET_INSN;
	write_once(*entry, saved & ~PTE_U);
	flush();
	expect_supervisor_page(DATA + OFFSET, name[level]);
	write_once(*entry, saved);
	flush();
	*code = RET_INSN;
	expect(READ, DATA + OFFSET, -1, "U at every level: both read");
	expect(FETCH, DATA + OFFSET, -1, "U at every level: user fetches, supervisor does not");
	expect(WRITE, DATA + OFFSET, -1, "U at every level: both write");
	*code = RET_INSN;
	expect(FETCH, DATA + OFFSET, -1, "U at every level: and then, too");
}

/* Single CR3. Level 5 has one entry for all of the user's pages: not that. */
/* spec: SC-002, SC-003, SC-006, SC-007 */
static void user_bit_is_honoured(void)
{
	u64 *pte = user_pte(&boot_space, DATA), cr2;

	set_pte(pte, page | PTE_USER_RX | PTE_W | PTE_A | PTE_D);
	for (int level = 1; level <= 4; level++) {
		change_user_bit(level, hc_tlb_flush);
		change_user_bit(level, flush_data);
	}
	set_pte(pte, (page | PTE_USER_RO) & ~PTE_U);
	check_eq((u64)supervisor_access(WRITE, DATA, &cr2), PF_P | PF_W,
		 "CR0.WP: a supervisor page that is read-only is for the supervisor, too");
	set_pte(pte, page | PTE_USER_RO);
	check_eq((u64)supervisor_access(WRITE, DATA, &cr2), PF_P | PF_W,
		 "CR0.WP: and so is a user page");
	set_pte(pte, page | PTE_USER_RW);
}

/* User mode and what is the kernel's, wherever it is linked. */
/* spec: SC-002, SC-024 */
static void kernel_is_out_of_reach(void)
{
	static const char *const what[] = { "the kernel's code", "the kernel's data", "a page table" };
	u64 places[] = { (u64)event_entry, (u64)&page, (u64)phys_to_virt(boot_space.user_root) };
	u64 cr2;

	for (unsigned i = 0; i < array_size(places); i++) {
		check_eq((u64)user_access(READ, places[i], &cr2), PF_P | PF_U, label(what[i], "user's read"));
		check_eq((u64)user_access(WRITE, places[i], &cr2), PF_P | PF_U | PF_W,
			 label(what[i], "user's write"));
		check_eq((u64)user_access(FETCH, places[i], &cr2), PF_P | PF_U | PF_I,
			 label(what[i], "user's fetch"));
	}
}

/* spec: C-131 */
static void accessed_and_dirty(void)
{
	u64 *pte = user_pte(&boot_space, DATA), cr2;

	set_pte(pte, page | PTE_USER_RW);
	check_eq(*pte & (PTE_A | PTE_D), 0, "A and D start clear");
	user_access(READ, DATA, &cr2);
	check_eq(*pte & (PTE_A | PTE_D), PTE_A, "a read sets A and not D");
	user_access(WRITE, DATA, &cr2);
	check_eq(*pte & (PTE_A | PTE_D), PTE_A | PTE_D, "a write sets D");
	set_pte(pte, page | PTE_USER_RW);
	supervisor_access(READ, DATA, &cr2);
	check_eq(*pte & (PTE_A | PTE_D), PTE_A, "a read in supervisor mode sets A");
	set_pte(pte, page | PTE_USER_RW | PTE_A);
	supervisor_access(WRITE, DATA, &cr2);
	check_eq(*pte & PTE_D, PTE_D, "a write in supervisor mode sets D after D was cleared");
	set_pte(pte, page | PTE_USER_RO);
	user_access(WRITE, DATA, &cr2);
	check_eq(*pte & PTE_D, 0, "a refused write sets no D");
	set_pte(pte, page | PTE_USER_RW);
	for (int level = 2; level <= paging_levels(); level++) {
		u64 *upper = pte_of(boot_space.user_root, DATA, level, false);

		set_pte(upper, *upper & ~PTE_A);
		user_access(READ, DATA, &cr2);
		check_eq(*upper & PTE_A, PTE_A, "a read sets A in an upper level");
	}
}

static void two_mib_page(void)
{
	u64 pa = pages_alloc(512, 2 * MiB);
	u64 *pde;

	map_user_large(&boot_space, LARGE, pa, 2, PTE_USER_RW);
	hc_tlb_flush();
	pde = pte_of(boot_space.user_root, LARGE, 2, false);
	expect(READ, LARGE + 2 * MiB - 8, -1, "2 MiB page: read of the last word");
	check_eq(*pde & (PTE_A | PTE_D), PTE_A, "2 MiB page: a read sets A and not D");
	expect(WRITE, LARGE + MiB + OFFSET, -1, "2 MiB page: write");
	check_eq(*(u64 *)phys_to_virt(pa + MiB + OFFSET), PATTERN, "2 MiB page: the right frame");
	check_eq(*pde & PTE_D, PTE_D, "2 MiB page: a write sets D");
	expect(FETCH, LARGE + OFFSET, PF_U | PF_I | PF_P, "2 MiB page: NX");
	if (SINGLE_CR3) {
		set_pte(pde, (pa | PTE_USER_RX | PTE_W | PTE_PS) & ~PTE_U);
		*(u8 *)phys_to_virt(pa + MiB) = RET_INSN;
		expect_supervisor_page(LARGE + MiB, "2 MiB page without U");
	}
	set_pte(pde, pa | PTE_USER_RO | PTE_PS);
	expect(WRITE, LARGE + 2 * MiB - 8, PF_U | PF_W | PF_P, "2 MiB page: read-only");
	set_pte(pde, pa | PTE_USER_RW | PTE_PS | (1ul << 13));
	expect(READ, LARGE, PF_U | PF_P | PF_RSVD, "2 MiB page: reserved address bit");
	set_pte(pde, 0);
	expect(READ, LARGE + OFFSET, PF_U, "2 MiB page: not present");
}

static void one_gib_page(void)
{
	u64 *pdpte = pte_of(boot_space.user_root, LARGE, 3, false);
	u64 *copy = pte_of(boot_space.supervisor_root, LARGE, 3, false);
	u64 entry = PTE_USER_RW | PTE_PS;	/* physical address 0 */

	if (!(pvm_cpuid(0x80000001, 0).edx & (1 << 26))) {
		skip("1 GiB pages: the CPU has none");
		return;
	}
	*(u64 *)phys_to_virt(page + 8) = PATTERN;
	*copy = entry;
	set_pte(pdpte, entry);
	check_eq(*(u64 *)(LARGE + page + 8), PATTERN, "1 GiB page: the right frame");
	expect(WRITE, LARGE + page + OFFSET, -1, "1 GiB page: write");
	check_eq(*(u64 *)phys_to_virt(page + OFFSET), PATTERN, "1 GiB page: it is in memory");
	check_eq(*pdpte & (PTE_A | PTE_D), PTE_A | PTE_D, "1 GiB page: A and D");
	expect(FETCH, LARGE + page + OFFSET, PF_U | PF_I | PF_P, "1 GiB page: NX");
	if (SINGLE_CR3) {
		set_pte(pdpte, entry & ~PTE_U & ~PTE_NX);
		*(u8 *)phys_to_virt(page + OFFSET) = RET_INSN;
		expect_supervisor_page(LARGE + page + OFFSET, "1 GiB page without U");
	}
	*copy = entry & ~PTE_W;
	set_pte(pdpte, entry & ~PTE_W);
	expect(WRITE, LARGE + page + OFFSET, PF_U | PF_W | PF_P, "1 GiB page: read-only");
	*copy = 0;
	set_pte(pdpte, 0);
	expect(READ, LARGE + page, PF_U, "1 GiB page: not present");
}

void guest_main(void)
{
	page = page_alloc();
	map_user(&boot_space, DATA, page, PTE_USER_RW);
	not_present_at_each_level();
	protection();
	upper_level_rights();
	reserved_bits();
	if (SINGLE_CR3) {
		user_bit_is_honoured();
		kernel_is_out_of_reach();
	} else {
		user_bit_is_not_honoured();
	}
	accessed_and_dirty();
	two_mib_page();
	one_gib_page();
}
