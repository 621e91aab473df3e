/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The smallest guest that does everything once: user mode prints through its
 * own system calls, counts, and leaves.
 */
#include "guest.h"

enum { SYS_WRITE = 1, SYS_EXIT = 2 };

#define LINES 5

static user_code void say(const char *text)
{
	user_syscall(SYS_WRITE, (u64)text, user_strlen(text), 0);
}

static user_code void user_program(void)
{
	char line[] = "counting in user mode: 0\n";

	say("hello from PVM user mode\n");
	for (int i = 1; i <= LINES; i++) {
		line[sizeof(line) - 3] = (char)('0' + i);
		say(line);
	}
	user_syscall(SYS_EXIT, LINES, 0, 0);
}

void guest_main(void)
{
	u32 writes = 0;
	struct user user;

	user_init(&user, user_program, user_stack_top(), 0);
	while (user_run(&user) == LEFT_BY_SYSCALL && user.rax == SYS_WRITE) {
		console_write((const char *)user.rdi, user.rsi);
		user.rax = user.rsi;
		writes++;
	}
	check_eq(user.left_by, LEFT_BY_SYSCALL, "user mode makes system calls");
	check_eq(user.rax, SYS_EXIT, "user mode leaves by its own exit");
	check_eq(user.rdi, LINES, "and hands over its count");
	check_eq(writes, LINES + 1, "each of its lines came through the supervisor");
}
