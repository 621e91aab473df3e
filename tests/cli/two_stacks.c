/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest whose supervisor gives up while it serves a system call: both stacks
 * have functions on them that a backtrace must name.
 */
#include "guest.h"

#define HELP 1

static user_code noinline void user_asks(void)
{
	user_syscall(HELP, 0, 0, 0);
}

static user_code noinline void user_works(void)
{
	user_asks();
	user_asks();
}

static user_code void user_program(void)
{
	user_works();
	for (;;)
		;
}

static noinline void supervisor_gives_up(u64 request)
{
	guest_assert(request != HELP);
}

void guest_main(void)
{
	struct user user;

	user_init(&user, user_program, user_stack_top(), 0);
	user_run(&user);
	supervisor_gives_up(user.rax);
	check(false, "it goes on");
}
