/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The kinds, by what they begin with. Each sets every register, goes one way there and
 * back, and says whether all came back as it should. Nothing is printed in one.
 */
#ifndef GUEST_TRANSITIONS_KINDS_H
#define GUEST_TRANSITIONS_KINDS_H

#include "transitions_check.h"

#define NO_ADDRESS 0x8000000000000000ul

/* transitions_supervisor.c: hypercalls, and exceptions in supervisor mode. */
void supervisor_init(void);
/* A hypercall that must answer @expected and leave all else alone. */
bool hypercall_kept(u64 nr, u64 a0, u64 a1, u64 a2, u64 expected);
bool hypercall_engine(void);
bool hypercall_null(void);
bool hypercall_unknown(void);
bool exception_supervisor(void);
bool return_supervisor(void);		/* single CR3 */
bool return_supervisor_ip(void);	/* this and the three that follow: dual CR3 */
bool return_supervisor_no_address(void);
bool return_supervisor_unreadable(void);
bool return_supervisor_upper(void);
bool breakpoint_supervisor(void);
bool emulated_instruction(void);
bool data_segments(void);

/* transitions_user.c: system calls and exceptions of user mode, and the way into it. */
void user_kinds_init(void);
extern const char user_syscall_only[];	/* user code: a SYSCALL, no more */
bool syscall_return_sysret(void);
bool syscall_return_iret(void);
bool exception_user(void);
bool breakpoint_user(void);
bool return_user_ip(void);
bool return_refused(void);
bool return_not_canonical(void);
bool compat_int80(void);
bool compat_syscall(void);
bool int80_64(void);
bool step_user(void);
bool breakpoint_armed(void);

/* transitions_interrupt.c: interrupts and NMIs, in both modes. */
void interrupt_init(void);
bool interrupt_user(void);
bool interrupt_supervisor(void);
bool interrupt_pending(void);
bool nmi_self(void);
bool return_user_nmi(void);		/* single CR3 */

/* transitions_spaces.c: address spaces, as many as the switcher publishes. */
#define STACK (USER_BASE + 64 * PAGE_SIZE)	/* one page in each space, and none after it */
void spaces_init(void);
/* The one that is loaded. */
struct space *space_here(void);
bool load_pgtbl(void);
bool load_all_pairs(void);
bool load_mixed_pairs(void);		/* dual CR3 */
bool load_pgtbl_flush(void);
bool load_pgtbl_then_user(void);
bool fill_user(void);
bool fill_supervisor(void);
bool page_fault_user(void);
bool invlpg_cleared(void);

#endif /* GUEST_TRANSITIONS_KINDS_H */
