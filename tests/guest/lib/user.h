/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * User mode as a call: load a struct user, run it, and read out of the same
 * structure how and with what registers it left. Owns the way through the
 * PVCS. Interrupts that arrive in user mode go to their handlers and do not
 * end user_run().
 */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include "layout.h"
#include "types.h"

struct user {
	u64 rax, rbx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15;

	u64 left_by;		/* LEFT_BY_*, layout.h */
	/* What the hypervisor had loaded at the entry. */
	u64 entry_rcx, entry_r11, entry_rflags, entry_rsp, entry_gsbase;
	u64 return_rsp;		/* RSP at EVENT_RETURN_USER */

	/* Loaded from and saved to the PVCS (single CR3: but for RSP); any bits, they are
	 * not looked at here. */
	u64 rcx, r11, rip, rsp, gsbase;
	u32 rflags, pkru;
	u16 cs, ss;
	/* Single CR3: go without the lock. A refusal is an event in supervisor mode. */
	bool unlocked;
	u8 lock;		/* single CR3: the lock as it was when user mode was left */

	/* LEFT_BY_EVENT */
	u32 vector, errcode;
	u64 cr2;
};

_Static_assert(offsetof(struct user, rax) == USER_RAX, "layout.h");
_Static_assert(offsetof(struct user, r15) == USER_R15, "layout.h");
_Static_assert(offsetof(struct user, left_by) == USER_LEFT_BY, "layout.h");
_Static_assert(offsetof(struct user, entry_rcx) == USER_ENTRY_RCX, "layout.h");
_Static_assert(offsetof(struct user, entry_r11) == USER_ENTRY_R11, "layout.h");
_Static_assert(offsetof(struct user, entry_rflags) == USER_ENTRY_RFLAGS, "layout.h");
_Static_assert(offsetof(struct user, entry_rsp) == USER_ENTRY_RSP, "layout.h");
_Static_assert(offsetof(struct user, entry_gsbase) == USER_ENTRY_GSBASE, "layout.h");
_Static_assert(offsetof(struct user, return_rsp) == USER_RETURN_RSP, "layout.h");
_Static_assert(offsetof(struct user, rsp) == USER_RSP, "layout.h");

/* Data that user mode may read and write; code and constants it may read all. */
#define user_data __attribute__((section(".user.data"), used))
/* C functions of user mode, in the lower half like its data. They call user code
 * only: the library's code is the supervisor's. */
#define user_code __attribute__((section(".user.text")))

/* 64-bit user mode at @rip with @arg in RDI, all else zero. @stack_top: the
 * end of a stack that user mode can write, 16-byte aligned. */
void user_init(struct user *user, const void *rip, u64 stack_top, u64 arg);

/* Runs until a system call or an exception. Returns left_by: LEFT_BY_SYSCALL,
 * LEFT_BY_EVENT, or LEFT_BY_REFUSAL if EVENT_RETURN_USER raised #GP. */
u64 user_run(struct user *user);

/* Runs until anything happens, interrupts and NMIs included, and leaves it all
 * in @user: no handler is called. */
u64 user_run_once(struct user *user);

/* The same with PVCS IF as it is; if that is set, an interrupt in supervisor
 * mode may spoil what was saved. */
u64 user_run_raw(struct user *user);

/* user_init() and user_run() on the default stack, in one. */
u64 run_user(struct user *user, const void *rip, u64 arg);

/* Did it leave by this exception or interrupt? */
static inline bool user_left_by_vector(const struct user *user, u32 vector)
{
	return user->left_by == LEFT_BY_EVENT && user->vector == vector;
}

/* The selectors of user mode, and the end of the default stack. */
u16 user64_cs(void);
u16 user32_cs(void);
u16 user_ss(void);
u64 user_stack_top(void);

/* For code that runs in user mode: number in RAX, arguments in RDI, RSI, RDX. */
static inline u64 user_syscall(u64 nr, u64 a0, u64 a1, u64 a2)
{
	__asm__ volatile("syscall" : "+a"(nr) : "D"(a0), "S"(a1), "d"(a2) : "rcx", "r11", "memory");
	return nr;
}

/* strlen() of user mode. */
u64 user_strlen(const char *s);

/* A label on user code written in assembly; see any guest. */
#define USER_CODE(name, body) \
	extern const char name[]; \
	__asm__(".pushsection .user.text, \"ax\", @progbits\n" \
		".globl " #name "\n.type " #name ", @function\n" #name ":\n" body "\n" \
		".size " #name ", . - " #name "\n.popsection")

/* The same with two more labels: @name_at an instruction, @name_next after it. */
#define USER_INSN(name, before, insn) \
	extern const char name##_at[], name##_next[]; \
	USER_CODE(name, before "\n" #name "_at:\t" insn "\n" #name "_next:\tsyscall\n\tud2\n")

#endif /* GUEST_USER_H */
