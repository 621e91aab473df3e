/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.memory: touches 32 MiB from user mode, says so, and waits on the
 * console, so that pvm-bench can measure what the monitor needs for that.
 */
#include "guest.h"

#define PAGES	8192ul
#define SERIAL	0x3f8
#define LSR	(SERIAL + 5)
#define LSR_DATA 1

static void user_program(void)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		*(volatile u64 *)(USER_BASE + i * 4096) = i;
	user_syscall(0, 0, 0, 0);
}

void guest_main(void)
{
	struct user user;
	u64 i;

	for (i = 0; i < PAGES; i++)
		map_user(&boot_space, USER_BASE + i * 4096, page_alloc(), PTE_USER_RW);
	guest_assert(run_user(&user, user_program, 0) == LEFT_BY_SYSCALL);
	printf("result %lu\n", PAGES * 4096);
	while (!(inb(LSR) & LSR_DATA))
		;
	guest_exit(0);
}
