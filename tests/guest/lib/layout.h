/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Offsets that entry.S and event.S share with C structures. Each is asserted
 * beside its structure. Numbers only.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

/* struct cpu, cpu.h: the PVCS comes first */
#define CPU_PVCS	0
#define CPU_SELF	128
#define CPU_STACK_TOP	136
/* of single CR3's entries */
#define CPU_SUPERVISOR_RSP 144	/* at EVENT_RETURN_USER: the stack of the next entry */
#define CPU_USER_RSP	152	/* what RSP goes to, or came with */
#define CPU_ENTRY_RSP	160	/* as an event in supervisor mode found them */
#define CPU_ENTRY_RCX	168
#define CPU_ENTRY_R11	176

/* struct user, user.h */
#define USER_RAX	0
#define USER_RBX	8
#define USER_RDX	16
#define USER_RSI	24
#define USER_RDI	32
#define USER_RBP	40
#define USER_R8		48
#define USER_R9		56
#define USER_R10	64
#define USER_R12	72
#define USER_R13	80
#define USER_R14	88
#define USER_R15	96
#define USER_LEFT_BY	104
#define USER_ENTRY_RCX	112
#define USER_ENTRY_R11	120
#define USER_ENTRY_RFLAGS 128
#define USER_ENTRY_RSP	136
#define USER_ENTRY_GSBASE 144
#define USER_RETURN_RSP	152
#define USER_RSP	184

#define LEFT_BY_EVENT	0
#define LEFT_BY_SYSCALL	1
#define LEFT_BY_REFUSAL	2	/* EVENT_RETURN_USER itself raised #GP: it never ran */

/* Words between the general registers of struct frame and the frame that the
 * hypervisor pushed: what it had loaded into RCX, R11 and RFLAGS. */
#define FRAME_ENTRY_WORDS 3
#define FRAME_PUSHED_WORDS (13 + FRAME_ENTRY_WORDS)

#endif /* GUEST_LAYOUT_H */
