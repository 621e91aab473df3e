/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S13: flushes that another vCPU owes. A page becomes a page table on one CPU
 * while another holds a writable translation of it in its supervisor's TLB, in
 * user mode or not. The hypervisor must take that translation away before the
 * supervisor writes again, or the write is a change of tables that the MMU does not see.
 */
#include "attack.h"

#define ROUNDS		60
#define TABLE_VA	0x30000000ul	/* the page as data: in the supervisor's root alone */
#define WINDOW		(USER_BASE + 512 * GiB)	/* what it maps as a table */
#define FIRST		0x1111ul
#define SECOND		0x2222ul
#define TIMEOUT_MS	20000

USER_CODE(user_wait, "1:	pause\n	cmpl	%esi, (%rdi)\n	jne	1b\n	syscall\n	ud2\n");

static user_data u32 go;		/* user mode waits for it */
static u32 step, ready, done;
static u64 first, second, seen;
static bool in_user_mode;
static user_data u8 user_stack[4096] __attribute__((aligned(16)));

/* The AP's part of a round: a write that warms the TLB, a wait in one of the
 * modes, then the write that must count. */
static void other_cpu(void)
{
	for (u32 round = 1; ; round++) {
		struct user u;

		while (atomic_read(&step) != round)
			cpu_relax();
		write_once(*(u64 *)(TABLE_VA + 8), (u64)round);
		if (in_user_mode) {
			user_init(&u, user_wait, (u64)user_stack + sizeof(user_stack), (u64)&go);
			u.rsi = round;
			atomic_set(&ready, round);
			if (user_run(&u) != LEFT_BY_SYSCALL)
				seen = ~0ul;
		} else {
			atomic_set(&ready, round);
			while (atomic_read(&go) != round)
				cpu_relax();
		}
		write_once(*(u64 *)TABLE_VA, second | PTE_KERNEL_RW);
		hc_invlpg(WINDOW);
		write_once(seen, read_once(*(u64 *)WINDOW));
		atomic_set(&done, round);
	}
}

static bool one_round(u32 round, bool user, u64 page, u64 old_page)
{
	u64 *pte = pte_of(boot_space.supervisor_root, TABLE_VA, 1, true);
	u64 *link = pte_of(boot_space.supervisor_root, WINDOW, 2, true);

	/* The page is data again, and another one; all of the old use is flushed. */
	*link = 0;
	(void)old_page;
	*pte = page | PTE_KERNEL_RW;
	hc_tlb_flush();
	memset(phys_to_virt(page), 0, PAGE_SIZE);
	in_user_mode = user;
	atomic_set(&step, round);
	guest_assert(wait_for(&ready, round, TIMEOUT_MS));
	delay_us(user ? 200 : 20);	/* into user mode; either way the check holds */
	/* Now it is a table, and used as one. */
	write_once(*(u64 *)phys_to_virt(page), first | PTE_KERNEL_RW);
	*link = page | PTE_P | PTE_W | PTE_U;
	hc_invlpg(WINDOW);
	if (*(u64 *)WINDOW != FIRST)
		return false;
	atomic_set(&go, round);
	guest_assert(wait_for(&done, round, TIMEOUT_MS));
	if (seen != SECOND)
		return false;
	hc_invlpg(WINDOW);
	return *(u64 *)WINDOW == SECOND;
}

void guest_main(void)
{
	struct tally t[2] = { { 0 }, { 0 } };
	u64 pages[8], last = 0;

	if (smp_count() < 2) {
		skip("S13: owed flushes: there is only one vCPU");
		return;
	}
	first = page_alloc();
	second = page_alloc();
	*(u64 *)phys_to_virt(first) = FIRST;
	*(u64 *)phys_to_virt(second) = SECOND;
	for (unsigned i = 0; i < array_size(pages); i++)
		pages[i] = page_alloc();
	smp_start(other_cpu);
	for (u32 round = 1; round <= ROUNDS; round++) {
		u64 page = pages[round % array_size(pages)];

		tally(&t[round & 1], one_round(round, round & 1, page, last), round);
		last = page;
	}
	check_tally(&t[1], "S13: a flush owed by a CPU in user mode is paid before its supervisor writes");
	check_tally(&t[0], "S13: one that concerns a CPU in supervisor mode is done at once");
}
