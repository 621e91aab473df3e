/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.cow: user mode writes to pages that are mapped read-only, and the
 * supervisor copies each: a fault delivered, an entry changed, a flush, a
 * return, and the fill of the new page.
 */
#include "guest.h"

#include "samples.h"

#define PAGES 512ul

static user_data u64 cycles[PAGES];
static u64 pages[PAGES + 1], used;	/* that the supervisor has had before, as most are in a kernel */

static u8 shared[4096] __attribute__((aligned(4096)));

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

static void copy_on_write(u64 va)
{
	u64 page = pages[used++];

	memcpy(phys_to_virt(page), shared, 4096);
	*user_pte(&boot_space, va) = page | PTE_USER_RW | PTE_A | PTE_D;	/* as kernels make it */
	hc_invlpg(va);
}

void guest_main(void)
{
	struct user user;
	u64 i;

	for (i = 0; i < PAGES; i++)
		map_user(&boot_space, USER_BASE + i * 4096, virt_to_phys(shared), PTE_USER_RO);
	for (used = 0; used <= PAGES; used++)
		pages[used] = page_alloc();
	while (used)	/* after the tables are made */
		memset(phys_to_virt(pages[--used]), 1, 4096);
	user_init(&user, user_program, user_stack_top(), 0);
	while (user_run_once(&user) == LEFT_BY_EVENT) {
		guest_assert(user.vector == VEC_PF);
		copy_on_write(align_down(user.cr2, 4096));
	}
	printf("result %lu\n", user.rdi);
	guest_exit(0);
}
