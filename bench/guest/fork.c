/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.fork: a program with 1,024 pages forks, the child ends at once, and the parent has waited: a copy of
 * the tables, both sides read-only, two changes of the address space.
 */
#include "guest.h"

#include "samples.h"

enum { SYS_FORK = 1, SYS_EXIT = 2, SYS_RESULT = 3 };

#define PAGES	1024ul
#define FORKS	41

static user_data u64 cycles[FORKS];

static void user_program(void)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		*(volatile u64 *)(USER_BASE + i * 4096) = i;
	for (i = 0; i < FORKS; i++) {
		u64 start = rdtsc();

		if (user_syscall(SYS_FORK, 0, 0, 0) == 0)
			user_syscall(SYS_EXIT, 0, 0, 0);
		cycles[i] = rdtsc() - start;
	}
	user_syscall(SYS_RESULT, samples_median(cycles, FORKS), 0, 0);
}

/* As kernels do it: entries copied, neither writable any more, and the parent's TLB flushed. */
static void copy_space(struct space *child)
{
	u64 i;

	space_init(child);
	for (i = 0; i < PAGES; i++) {
		u64 *pte = user_pte(&boot_space, USER_BASE + i * 4096);

		*pte &= ~PTE_W;
		map_user(child, USER_BASE + i * 4096, *pte & PTE_ADDR, *pte & ~PTE_ADDR);
	}
	hc_tlb_flush_current();
}

static void free_table(u64 root, u64 va, int level)
{
	page_free(*pte_of(root, va, level, false) & PTE_ADDR);
}

/* Its tables are the next child's, as they mostly are in a kernel. */
static void free_space(struct space *space)
{
	free_table(space->user_root, USER_BASE, 2);
	free_table(space->user_root, USER_BASE + 2 * MiB, 2);
	free_table(space->user_root, USER_BASE, 3);
	free_table(space->user_root, USER_BASE, 4);
	free_table(space->user_root, 0, 4);
	free_table(space->supervisor_root, 0, 4);
	page_free(space->supervisor_root);
	page_free(space->user_root);
}

static void fork_and_wait(struct user *parent)
{
	struct user child = *parent;
	struct space space;

	copy_space(&space);
	space_load(&space, true);
	child.rax = 0;
	guest_assert(user_run_once(&child) == LEFT_BY_SYSCALL && child.rax == SYS_EXIT);
	space_load(&boot_space, true);
	free_space(&space);
	parent->rax = 1;
}

void guest_main(void)
{
	struct user user;
	u64 i;

	for (i = 0; i < PAGES; i++)
		map_user(&boot_space, USER_BASE + i * 4096, page_alloc(), PTE_USER_RW | PTE_A | PTE_D);
	user_init(&user, user_program, user_stack_top(), 0);
	while (user_run_once(&user) == LEFT_BY_SYSCALL && user.rax == SYS_FORK)
		fork_and_wait(&user);
	guest_assert(user.rax == SYS_RESULT);
	printf("result %lu\n", user.rdi);
	guest_exit(0);
}
