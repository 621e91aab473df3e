/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the hostile guests share: go to any instruction with any value in every
 * register, and come back by whichever entry the hypervisor takes, without one
 * touch of the stack that it left. Owns the event entries between
 * attack_begin() and attack_end(); TRY() and user_run() work outside of those
 * only. For the boot CPU.
 */
#ifndef HOSTILE_ATTACK_H
#define HOSTILE_ATTACK_H

/* struct attack_regs; attack.c asserts them */
#define REGS_RAX	0
#define REGS_RCX	8
#define REGS_RDX	16
#define REGS_RBX	24
#define REGS_RSP	32
#define REGS_RBP	40
#define REGS_RSI	48
#define REGS_RDI	56
#define REGS_R8		64
#define REGS_R9		72
#define REGS_R10	80
#define REGS_R11	88
#define REGS_R12	96
#define REGS_R13	104
#define REGS_R14	112
#define REGS_R15	120
#define REGS_RFLAGS	128
#define REGS_GSBASE	136
#define REGS_FSBASE	144

/* How an attack ended. */
#define BY_THROUGH	0	/* the instruction was done and the next one ran */
#define BY_SYSCALL	1	/* MSR_LSTAR */
#define BY_USER_EVENT	2	/* event entry: from user mode */
#define BY_EXCEPTION	3	/* event entry + 256: below 32, in supervisor mode */
#define BY_INTERRUPT	DUAL_OR_SINGLE(4, BY_EXCEPTION)	/* event entry + 512: the others, or all of those */

#include "abi.h"

#ifndef __ASSEMBLER__
#include "guest.h"

struct attack_regs {
	u64 gpr[16];		/* in the CPU's order: RAX RCX RDX RBX RSP RBP RSI RDI R8.. */
	u64 rflags, gsbase, fsbase;
};
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* What the attack starts with (rflags and bases apart), and what came back. */
extern struct attack_regs attack_in, attack_out;

/* Take the event entries; give them back. */
void attack_begin(void);
void attack_end(void);

/* Jump to @target in supervisor mode with attack_in's registers. Returns BY_*. In single
 * CR3 the lock in PVCS::event_vector is free afterwards, and is checked by was_...(). */
u64 attack(const void *target);

/* Targets. The first two are what MSR_PVM_RETU_RIP and _RETS_RIP hold. */
extern const char attack_retu[], attack_rets[];
extern const char attack_hypercall[], attack_hypercall_next[];	/* a SYSCALL, then BY_THROUGH */
extern const char attack_through[];				/* nothing but BY_THROUGH */
/* The code that user mode runs, and in single CR3 nothing else does: a SYSCALL. */
extern const char attack_user_syscall[], attack_user_syscall_next[];

/* Code that attack() can go to; in dual CR3 user mode can run it as well. */
#define SUPERVISOR_CODE(name, body) \
	extern const char name[]; \
	__asm__(".pushsection .text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n" body \
		"\n.size " #name ", . - " #name "\n.popsection")

/* A stack for supervisor mode: its end. */
u64 attack_stack(void);

/* Every register a number of its own, RSP on attack_stack(). */
void fill_registers(void);
/* A PVCS that returns to user mode at @rip with a stack, flags and selectors that are right.
 * In single CR3 the stack is attack_in's RSP, which fill_registers() sets otherwise. */
void fill_pvcs(u64 rip);
/* RSP that user mode shall have, after fill_pvcs(). */
void set_user_rsp(u64 rsp);
/* What EVENT_RETURN_SUPERVISOR is to load: a frame in memory, or single CR3's PVCS. */
struct supervisor_context {
	u64 rip, rflags, rsp, rcx, r11;
};
void fill_supervisor(const struct supervisor_context *context);
/* The same with flags, and RCX and R11 such that SYSRET could do it. */
void fill_pvcs_for_sysret(u64 rip, u32 flags);
/* User mode and back once, so that both roots are known and direct switches are on. */
void visit_user_mode(void);

/* attack_in and attack_out agree but for the registers of @except, a set of 1 << RAX .. */
bool kept_registers(u32 except);
/* The event in supervisor mode was this one, at this instruction; the frame, where there is
 * one, is on attack_stack(). */
bool was_exception(u64 by, u32 vector, u64 rip);
/* Of that event. */
u64 exception_rip(void);
u32 exception_errcode(void);
/* The event in user mode was this one. */
bool was_user_event(u64 by, u32 vector, u64 rip);

/* The next number of the sequence (xorshift64); seed_random() prints the seed. */
void seed_random(u64 seed);
u64 random64(void);

/* Bits of linear addresses that the guest's paging uses: 48 or 57. */
unsigned address_bits(void);
/* Does the hypervisor give the guest a part of the upper half? Where it does not
 * (a process), the end of the lower half is not the guest's either. */
bool has_upper_half(void);
/* @from..@from+n-1: addresses that are not canonical; fills @list, returns n. */
#define NON_CANONICAL_MAX 48
unsigned non_canonical(u64 list[NON_CANONICAL_MAX]);

/* One line for many tries: counts those that failed, and shows the first. */
struct tally {
	u64 tried, failed, first;
};
static inline void tally(struct tally *t, bool ok, u64 value)
{
	t->tried++;
	if (!ok && !t->failed++)
		t->first = value;
}
void check_tally(const struct tally *t, const char *what);

#endif /* !__ASSEMBLER__ */
#endif /* HOSTILE_ATTACK_H */
