/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* native.compute: user mode sorts and hashes, and times itself. */
#include "guest.h"

#include "compute_kernel.h"

static user_data struct compute work;

static void user_program(void)
{
	user_syscall(0, compute(&work), 0, 0);
}

void guest_main(void)
{
	struct user user;

	guest_assert(run_user(&user, user_program, 0) == LEFT_BY_SYSCALL);
	printf("result %lu\n", user.rdi);
	guest_exit(0);
}
