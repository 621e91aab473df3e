/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Something a person would recognise: user mode fills 16 MiB, which it gets
 * page by page as it touches them, sorts them and hashes them; then a second
 * address space shares all pages, writes them, and gets copies. The sums are
 * those that an ordinary program computes (work_reference.c).
 */
#include "guest.h"
#include "work.h"
#include "work_checksum.h"

#define DATA	USER_BASE
#define PAGES	(WORK_BYTES / PAGE_SIZE)

enum { SYS_DONE = 1 };

/* ------------------------------------------------------------------------
 * User mode.
 */

static user_code void swap(u32 *a, u32 *b)
{
	u32 t = *a;

	*a = *b;
	*b = t;
}

/* Quicksort, the middle as pivot: recursion into the smaller part only. */
static user_code void sort(u32 *first, u32 *last)
{
	while (first < last) {
		u32 pivot = first[(last - first) / 2], *i = first, *j = last;

		while (i <= j) {
			while (*i < pivot)
				i++;
			while (*j > pivot)
				j--;
			if (i <= j)
				swap(i++, j--);
		}
		if (j - first < last - i) {
			sort(first, j);
			first = i;
		} else {
			sort(i, last);
			last = j;
		}
	}
}

static user_code u64 hash(const u32 *words)
{
	u64 h = FNV_OFFSET;

	for (u64 i = 0; i < WORK_WORDS; i++)
		h = (h ^ words[i]) * FNV_PRIME;
	return h;
}

static user_code void user_sort(u32 *words)
{
	u32 x = WORK_SEED;

	for (u64 i = 0; i < WORK_WORDS; i++)
		words[i] = x = xorshift32(x);
	sort(words, words + WORK_WORDS - 1);
	user_syscall(SYS_DONE, hash(words), 0, 0);
}

static user_code void user_invert(u32 *words)
{
	for (u64 i = 0; i < WORK_WORDS; i++)
		words[i] = ~words[i];
	user_syscall(SYS_DONE, hash(words), 0, 0);
}

static user_code void user_hash(u32 *words)
{
	user_syscall(SYS_DONE, hash(words), 0, 0);
}

/* ------------------------------------------------------------------------
 * Supervisor mode.
 */

static u32 demand_faults, copies, other_faults;

static void fault(struct space *space, u64 va, u32 errcode)
{
	u64 *pte = pte_of(space->user_root, va, 1, false), page;

	va = align_down(va, PAGE_SIZE);
	if (va < DATA || va >= DATA + WORK_BYTES) {
		other_faults++;
		guest_assert(va >= DATA && va < DATA + WORK_BYTES);
	}
	if (!(errcode & PF_P)) {
		map_user(space, va, page_alloc(), PTE_USER_RW);
		demand_faults++;
		return;
	}
	guest_assert(errcode == (PF_P | PF_W | PF_U));
	page = page_alloc();
	memcpy(phys_to_virt(page), phys_to_virt(*pte & PTE_ADDR), PAGE_SIZE);
	write_once(*pte, page | PTE_USER_RW);
	hc_invlpg(va);
	copies++;
}

/* Runs one of the user programs to its end; what it handed over. */
static u64 run(struct space *space, void (*program)(u32 *words))
{
	struct user u;

	user_init(&u, program, user_stack_top(), DATA);
	while (user_run(&u) != LEFT_BY_SYSCALL) {
		guest_assert(user_left_by_vector(&u, VEC_PF));
		fault(space, u.cr2, u.errcode);
	}
	guest_assert(u.rax == SYS_DONE);
	return u.rdi;
}

/* All pages of @from in @to as well, read-only in both. */
static void share(struct space *from, struct space *to)
{
	for (u64 va = DATA; va < DATA + WORK_BYTES; va += PAGE_SIZE) {
		u64 *pte = user_pte(from, va);

		*pte &= ~PTE_W;
		map_user(to, va, *pte & PTE_ADDR, PTE_USER_RO);
	}
	hc_tlb_flush();
}

void guest_main(void)
{
	struct space child;
	u64 sum;

	sum = run(&boot_space, user_sort);
	printf("sorted: checksum %016lx\n", sum);
	check_eq(sum, WORK_SORTED, "the sorted words have the checksum of the reference");
	check_eq(demand_faults, PAGES, "each page was faulted in once");

	space_init(&child);
	share(&boot_space, &child);
	space_load(&child, true);
	sum = run(&child, user_invert);
	printf("copied and inverted: checksum %016lx\n", sum);
	check_eq(sum, WORK_INVERTED, "the child's words have the checksum of the reference");
	check_eq(copies, PAGES, "each page was copied once");

	space_load(&boot_space, true);
	check_eq(run(&boot_space, user_hash), WORK_SORTED, "the parent's words are as they were");
	check(copies == PAGES && other_faults == 0, "and reading them copied nothing");
	printf("%u demand faults, %u copies\n", demand_faults, copies);
	space_load(&child, true);
	check_eq(run(&child, user_hash), WORK_INVERTED, "the child's, too");
	space_load(&boot_space, true);
}
