/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kinds that begin in user mode, 64-bit and 32-bit: its system calls and exceptions, and
 * EVENT_RETURN_USER, refused or not. Owns the handler of #DB.
 */
#include "transitions_kinds.h"

USER_CODE(user_syscall_only, "	syscall\n	ud2\n");
USER_INSN(user_ud, "", "ud2");
USER_INSN(user_bp, "", "int3");
USER_INSN(user_db, "", "nop");
USER_INSN(user_int80, "", "int $0x80");
USER_INSN(user_step, "", "nop");
USER_CODE(user32_int80, "	.code32\n	int $0x80\n	.code64\n");
USER_CODE(user32_syscall, "	.code32\n	syscall\n	int $0x80\n	.code64\n");

static bool pass_debug(struct frame *frame)
{
	(void)frame;
	return true;
}

void user_kinds_init(void)
{
	on_event(VEC_DB, pass_debug);
}

bool syscall_return_sysret(void)
{
	struct user u;

	user_prepare(&u, user_syscall_only, PATTERN(5));
	user_for_sysret(&u);
	return user_system_call(&u);
}

bool syscall_return_iret(void)
{
	struct user u;

	user_prepare(&u, user_syscall_only, PATTERN(5));
	return user_system_call(&u);
}

bool exception_user(void)
{
	struct user u;

	user_prepare(&u, user_ud, PATTERN(5));
	return user_event(&u, VEC_UD, user_ud_at, FLAGS);
}

bool breakpoint_user(void)
{
	struct user u;

	user_prepare(&u, user_bp, PATTERN(5));
	return user_event(&u, VEC_BP, user_bp_next, FLAGS);
}

bool return_user_ip(void)
{
	pvcs()->event_flags |= PVM_EVENT_FLAGS_IP;
	return syscall_return_sysret() && !irq_pending();
}

/* Single CR3: the #GP of a refused return would find the lock held. */
#if SINGLE_CR3
#define MAY_BE_REFUSED(u) ((u).unlocked = true)
#else
#define MAY_BE_REFUSED(u) ((void)(u))
#endif

bool return_refused(void)
{
	struct user u;

	user_prepare(&u, user_syscall_only, PATTERN(5));
	u.cs = supervisor_cs;
	MAY_BE_REFUSED(u);
	user_run_once(&u);
	return u.left_by == LEFT_BY_REFUSAL && rest_is_whole();
}

bool return_not_canonical(void)
{
	struct user u;

	user_prepare(&u, (void *)NO_ADDRESS, PATTERN(5));
	user_for_sysret(&u);
	MAY_BE_REFUSED(u);
	user_run_once(&u);
	return (u.left_by == LEFT_BY_REFUSAL || user_left_by_vector(&u, VEC_GP)) && rest_is_whole();
}

bool compat_int80(void)
{
	struct user u;

	user_prepare(&u, user32_int80, 5);
	u.cs = user32_cs();
	user_run_once(&u);
	return user_left_by_vector(&u, VEC_SYSCALL32) && u.rip == (u64)user32_int80 + 2 &&
	       (u32)u.rbx == (u32)PATTERN(2) && rest_is_whole();
}

/* SYSCALL from 32-bit code: #UD or nothing, as the CPU has it. */
bool compat_syscall(void)
{
	struct user u;

	user_prepare(&u, user32_syscall, 5);
	u.cs = user32_cs();
	user_run_once(&u);
	return u.left_by == LEFT_BY_EVENT && (u.vector == VEC_UD || u.vector == VEC_SYSCALL32 ||
					      u.vector == VEC_GP) && rest_is_whole();
}

bool int80_64(void)
{
	struct user u;

	user_prepare(&u, user_int80, PATTERN(5));
	user_run_once(&u);
	return u.left_by == LEFT_BY_EVENT && (u.vector == VEC_SYSCALL32 || u.vector == VEC_GP) &&
	       rest_is_whole();
}

bool step_user(void)
{
	struct user u;

	user_prepare(&u, user_step, PATTERN(5));
	u.rflags |= FLAG_TF;
	return user_event(&u, VEC_DB, user_step_next, FLAGS | FLAG_TF);
}

/* Breakpoints armed: no direct switches, and one hit in user mode. */
bool breakpoint_armed(void)
{
	struct user u;
	bool ok;

	write_reg(dr0, (u64)user_db_at);
	write_reg(dr7, DR7_FIXED | DR7_GLOBAL(0));
	user_prepare(&u, user_db, PATTERN(5));
	ok = user_event(&u, VEC_DB, user_db_at, FLAGS);
	write_reg(dr7, DR7_FIXED);
	write_reg(dr6, DR6_FIXED);
	return ok;
}
