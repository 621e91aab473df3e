/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the parts of entry.S have in common. Assembly only: access to the area,
 * and the macros that load a root and choose the way back into the guest.
 */
#ifndef PVM_SWITCHER_ENTRY_H
#define PVM_SWITCHER_ENTRY_H

/*
 * For the tool that checks a Linux kernel's objects: labels whose address is only compared, calls
 * within a function, returns of text that is mapped in guests, where Linux's thunks are not.
 */
#ifdef __KERNEL__
#include <linux/objtool.h>
#include <linux/version.h>
#include <asm/nospec-branch.h>
#include <asm/smap.h>
#include <asm/unwind_hints.h>
#define AC_IS_CLEAR	ASM_CLAC	/* it may be the guest's until RFLAGS are the host's */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define HINT_ENTERED	UNWIND_HINT_UNDEFINED	/* not by a call: what is below RSP is no caller */
#else
#define HINT_ENTERED	UNWIND_HINT_EMPTY
#endif
#else
#define HINT_ENTERED
#define AC_IS_CLEAR
#define ANNOTATE_NOENDBR
#define ANNOTATE_INTRA_FUNCTION_CALL
#define ANNOTATE_UNRET_SAFE
#endif

#define MSR_SPEC_CTRL	0x48
#define MSR_PRED_CMD	0x49
#define DR6_NONE	0xffff0ff0	/* SDM vol. 3, 17.2.3: no cause */

/* What VERW looks at. Any selector clears the buffers; a data segment that can be written
 * is the fastest: this is user_ds of Linux and of minivisor. */
#define VERW_SELECTOR	0x2b

/* A field of the area, from rsp = &area->frame; from another register = area. */
#define C(name)		(CPU_##name - CPU_FRAME)(%rsp)
#define A(name, reg)	CPU_##name(reg)

/* A global label: the harness and the tests find the switcher's places by name. */
.macro PLACE name
	.globl \name
	.hidden \name
\name:
	ANNOTATE_NOENDBR
	HINT_ENTERED
.endm

/*
 * Where SYSCALL enters, at \name. In: as the CPU leaves it: rcx = RIP, r11 = RFLAGS, rsp = the
 * guest's (never used as a stack, S12), GS base = the guest's, interrupts off by FMASK. Out: in
 * the switcher, with rax and rdx put away.
 */
.macro SYSCALL_ENTERS name
PLACE \name
	endbr64
	swapgs
	movq	%rsp, %gs:CPU_RSP
	movq	%gs:CPU_SELF, %rsp
	swapgs
	movq	%rax, C(RAX)
	movq	%rdx, C(RDX)
.endm

/* S3: to \otherwise if there is any reason not to switch directly. In: in the switcher. */
.set inhibit_tests, 0
.macro UNLESS_INHIBITED otherwise
	.set inhibit_tests, inhibit_tests + 1
	cmpl	$0, C(INHIBIT)
	jne	\otherwise
.endm

/*
 * Load the root of a mode. In: in the switcher, the pair at C(ROOTS). Clobbers rax,
 * rdx, flags. \mode: 0 supervisor, 1 user.
 *
 * S13: the signal is exchanged, not stored, before the CR3 that it announces: so what
 * is owed can be read after it and CR3 be written once, flushing if anything is. A
 * flush that saw the old signal is either seen here or older than the root's first
 * use, by the walker too. docs/cr3-signal.md
 */
.macro LOAD_ROOT mode
	movq	C(ROOTS), %rdx
	movq	(ROOTS_SIGNAL + 8 * \mode)(%rdx), %rax
	xchgq	%rax, C(SIGNAL)
	movq	(ROOTS_CR3 + 8 * \mode)(%rdx), %rax
	cmpl	$0, C(OWED)
	je	.Lnothing_owed\@
	movl	(ROOTS_TAG_BIT + 4 * \mode)(%rdx), %edx
	testl	%edx, C(OWED)
	jz	.Lnothing_owed\@
	PAY
.Lnothing_owed\@:
	movq	%rax, %cr3
.endm

/* Pay a flush: the CR3 write to come is without the no-flush bit. In: rax = CR3's
 * value, edx = the tag's bit. The bit goes first: a flush owed from here on is paid by
 * the next load. Clobbers rdx. */
.macro PAY
	notl	%edx
	lock andl %edx, C(OWED)
	btrq	$63, %rax
	incq	C(FLUSHES_PAID)
.endm

/*
 * SYSRET or IRET? In: in the switcher, rcx = frame.rip, C(RCX), C(R11), frame.cs.
 * Clobbers rax, r11, flags. Goes to \sysret or to \iret.
 *
 * S1: SYSRET only to a canonical RIP: it would fault at CPL 0 on the guest's stack.
 * S2: RF and TF, and an R11 that is not RFLAGS, need IRET.
 */
.macro SYSRET_OR_IRET sysret iret
	movq	C(RFLAGS), %r11
	cmpq	%r11, C(R11)			/* S2 */
	jne	\iret
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	\iret
	movq	C(USER_CS), %rax
	cmpq	%rax, C(CS)
	jne	\iret
	CANONICAL_OR \iret			/* S1 */
	cmpq	%rcx, C(RCX)
	je	\sysret
	jmp	\iret
.endm

/* S1: go to \otherwise unless rcx is canonical at the guest's width. Clobbers rax. */
.macro CANONICAL_OR otherwise
	movq	C(CANONICAL_ADD), %rax
	addq	%rcx, %rax
	cmpq	%rax, C(CANONICAL_LIMIT)
	jbe	\otherwise
.endm

/* CS and SS of 64-bit code at CPL 3 into the frame. Clobbers rax. */
.macro USER_SELECTORS
	movq	C(USER_CS), %rax
	movq	%rax, C(CS)
	movq	C(USER_DS), %rax
	movq	%rax, C(SS)
.endm

#endif /* PVM_SWITCHER_ENTRY_H */
