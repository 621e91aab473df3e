/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* native.syscall: user mode makes system calls that do nothing, and times itself. */
#include "guest.h"

#include "samples.h"

enum { SYS_NOTHING = 1, SYS_RESULT = 2 };

#define CALLS 3000

static user_data u64 cycles[CALLS];

static void user_program(void)
{
	int i;

	for (i = 0; i < CALLS; i++) {
		u64 start = rdtsc();

		user_syscall(SYS_NOTHING, 0, 0, 0);
		cycles[i] = rdtsc() - start;
	}
	user_syscall(SYS_RESULT, samples_median(cycles, CALLS), 0, 0);
}

void guest_main(void)
{
	struct user user;

	user_init(&user, user_program, user_stack_top(), 0);
	do
		guest_assert(user_run_once(&user) == LEFT_BY_SYSCALL);
	while (user.rax == SYS_NOTHING);
	printf("result %lu\n", user.rdi);
	guest_exit(0);
}
