/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.fault: user mode touches pages that its tables map already, so that
 * each first touch is a fault that the hypervisor resolves and the guest never
 * sees. One page in 64 KiB: mapping neighbours ahead is no help.
 */
#include "guest.h"

#include "samples.h"

#define PAGES	1024ul
#define STRIDE	(64 * KiB)

static user_data u64 cycles[PAGES];

static void user_program(void)
{
	u64 start, i;

	for (i = 0; i < PAGES; i++) {
		start = rdtsc();
		*(volatile u64 *)(USER_BASE + i * STRIDE) = i;
		cycles[i] = rdtsc() - start;
	}
	user_syscall(0, samples_median(cycles, PAGES), 0, 0);
}

void guest_main(void)
{
	struct user user;
	u64 i;

	for (i = 0; i < PAGES; i++)
		map_user(&boot_space, USER_BASE + i * STRIDE, page_alloc(), PTE_USER_RW);
	guest_assert(run_user(&user, user_program, 0) == LEFT_BY_SYSCALL);
	printf("result %lu\n", user.rdi);
	guest_exit(0);
}
