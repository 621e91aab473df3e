/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What must hold after every transition: each register of the mode that ran has the value
 * that it was given, and the supervisor is entered as an entry must be.
 */
#ifndef GUEST_TRANSITIONS_CHECK_H
#define GUEST_TRANSITIONS_CHECK_H

#include "transitions.h"
#include "transitions_probe.h"

/* A value of its own for each register and turn. */
#define PATTERN(n) (0x1111111111111111ul * (n) ^ transitions_control.turns << 8)
#define FLAGS (FLAG_FIXED | FLAG_IF | FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_AF | FLAG_AC)

/* Reads what FS and GS bases must be. Before all else. */
void check_init(void);

/* No hypercall here: it would be one more transition in each kind. The supervisor's
 * other GS base shows at the next entry from user mode. */
bool rest_is_whole(void);

/* @code with @rdi in user mode, all other registers with patterns. */
void user_prepare(struct user *u, const void *code, u64 rdi);
/* SYSRET's way: RCX is RIP and R11 is RFLAGS. */
void user_for_sysret(struct user *u);
/* Entered as an entry must be, with everything of user mode saved. */
bool user_is_whole(const struct user *u, const struct user *before, u64 rip, u32 flags);
/* Run @u, whose first instruction is a SYSCALL; was all well? */
bool user_system_call(struct user *u);
/* An event that leaves RIP, RCX and R11 of user mode for the supervisor to see. */
bool user_event(struct user *u, u32 vector, const char *rip, u32 flags);

/* The same for one instruction in supervisor mode. */
void probe_prepare(struct probe *p);
bool probe_is_whole(struct probe *p);

#endif /* GUEST_TRANSITIONS_CHECK_H */
