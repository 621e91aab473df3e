/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One CPU runs many programs, each in an address space of its own, and only then another is
 * started: whatever the hypervisor keeps for the first one's address spaces, there is enough left
 * for the second CPU's.
 */
#include "guest.h"

#define SPACES		40
#define TIMEOUT_MS	120000		/* only a hang reaches it, however busy the machine is */

static struct space spaces[SPACES];
static u32 arrived;

USER_CODE(user_call, "	syscall\n	ud2\n");

static bool run_program(struct space *space)
{
	struct user user;

	space_load(space, true);
	user_init(&user, user_call, user_stack_top(), 0);
	return user_run(&user) == LEFT_BY_SYSCALL;
}

static void other_cpu(void)
{
	atomic_set(&arrived, 1);
}

void guest_main(void)
{
	unsigned i, ran = 0;

	for (i = 0; i < SPACES; i++) {
		space_init(&spaces[i]);
		ran += run_program(&spaces[i]);
	}
	check(ran == SPACES, "programs run, each in an address space of its own");
	for (i = 0, ran = 0; i < SPACES; i++)
		ran += run_program(&spaces[i]);
	check(ran == SPACES, "and again");
	space_load(&boot_space, true);
	if (smp_start(other_cpu) == 1)
		skip("another CPU: there is only one");
	else
		check(wait_for(&arrived, 1, TIMEOUT_MS), "another CPU starts");
}
