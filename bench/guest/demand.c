/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.demand: user mode touches pages that it has not got yet, and the supervisor maps a
 * zeroed one each: a fault delivered, an entry made, a return.
 */
#include "guest.h"

#include "samples.h"

#define PAGES 511ul	/* and one more in the same table */

static user_data u64 cycles[PAGES];
static u64 pages[PAGES + 1], used;	/* that the supervisor has had before, as most are in a kernel */

static void user_program(void)
{
	u64 start, i;

	for (i = 0; i < PAGES; i++) {
		start = rdtsc();
		*(volatile u64 *)(USER_BASE + i * 4096) = i;
		cycles[i] = rdtsc() - start;
	}
	user_syscall(0, samples_median(cycles, PAGES), 0, 0);
}

static void give_page(u64 va)
{
	u64 page = pages[used++];

	memset(phys_to_virt(page), 0, 4096);
	*user_pte(&boot_space, va) = page | PTE_USER_RW | PTE_A | PTE_D;	/* as kernels make it */
}

void guest_main(void)
{
	struct user user;

	map_user(&boot_space, USER_BASE + PAGES * 4096, page_alloc(), PTE_USER_RW);	/* the tables */
	for (used = 0; used <= PAGES; used++)
		pages[used] = page_alloc();
	while (used)	/* after the tables are made */
		memset(phys_to_virt(pages[--used]), 1, 4096);
	user_init(&user, user_program, user_stack_top(), 0);
	while (user_run_once(&user) == LEFT_BY_EVENT) {
		guest_assert(user.vector == VEC_PF);
		give_page(align_down(user.cr2, 4096));
	}
	printf("result %lu\n", user.rdi);
	guest_exit(0);
}
