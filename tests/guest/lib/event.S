/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The entries that the hypervisor calls and the two synthetic instructions
 * that return. Saves everything before C sees it; decides nothing. The CFI
 * lets an unwinder walk from a handler into what it interrupted. What the two
 * dialects do otherwise is in event_dual.h and event_single.h.
 *
 * spec: Events and Mode Changing
 */
#include "abi.h"
#include "layout.h"

	.text

.macro PUSH reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm

.macro POP reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
.endm

/* An unwinder's view of the frame that lies at RSP: CFA is its upper end. */
.macro FRAME_AT_RSP
	.cfi_signal_frame
	.cfi_def_cfa rsp, PVM_FRAME_SIZE
	.cfi_offset rip, PVM_FRAME_RIP - PVM_FRAME_SIZE
	.cfi_offset rsp, PVM_FRAME_RSP - PVM_FRAME_SIZE
	.cfi_offset rcx, PVM_FRAME_RCX - PVM_FRAME_SIZE
	.cfi_offset r11, PVM_FRAME_R11 - PVM_FRAME_SIZE
.endm

/* struct frame's registers, from its upper end down. */
.macro PUSH_GENERAL
	PUSH	rax
	PUSH	rdx
	PUSH	rbx
	PUSH	rbp
	PUSH	rsi
	PUSH	rdi
	PUSH	r8
	PUSH	r9
	PUSH	r10
	PUSH	r12
	PUSH	r13
	PUSH	r14
	PUSH	r15
.endm

/* Below the frame: RFLAGS, R11, RCX as loaded, then struct frame's registers. */
.macro SAVE_REGISTERS
	pushq	%r11
	.cfi_adjust_cfa_offset 8
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
	PUSH_GENERAL
.endm

/* From a struct frame at RSP up to the frame in it. */
.macro RESTORE_REGISTERS
	POP	r15
	POP	r14
	POP	r13
	POP	r12
	POP	r10
	POP	r9
	POP	r8
	POP	rdi
	POP	rsi
	POP	rbp
	POP	rbx
	POP	rdx
	POP	rax
	leaq	8 * FRAME_ENTRY_WORDS(%rsp), %rsp
	.cfi_adjust_cfa_offset -8 * FRAME_ENTRY_WORDS
.endm

#ifdef GUEST_SINGLE_CR3
#include "event_single.h"
#else
#include "event_dual.h"
#endif

/*
 * void user_enter(struct user *user): load the general registers and return to
 * user mode; the rest is in the PVCS already. Returns when user mode is left,
 * by whichever of the two entries, with the registers saved.
 */
	.globl	user_enter
	.type	user_enter, @function
	.balign	64
user_enter:
	.cfi_startproc
	PUSH	rbp
	movq	%rsp, %rbp
	PUSH	rbx
	PUSH	r12
	PUSH	r13
	PUSH	r14
	PUSH	r15
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	REMEMBER_STACK rdi
	movq	USER_RAX(%rdi), %rax
	movq	USER_RBX(%rdi), %rbx
	movq	USER_RDX(%rdi), %rdx
	movq	USER_RSI(%rdi), %rsi
	movq	USER_RBP(%rdi), %rbp
	movq	USER_R8(%rdi), %r8
	movq	USER_R9(%rdi), %r9
	movq	USER_R10(%rdi), %r10
	movq	USER_R12(%rdi), %r12
	movq	USER_R13(%rdi), %r13
	movq	USER_R14(%rdi), %r14
	movq	USER_R15(%rdi), %r15
	movq	USER_RDI(%rdi), %rdi
	TAKE_USER_STACK
	.globl	retu_syscall
retu_syscall:
	syscall			/* EVENT_RETURN_USER */
	.size	retu_syscall, . - retu_syscall
	ud2

	/* event.c comes here when EVENT_RETURN_USER raised #GP, with RSP on the
	 * supervisor's stack: the user pointer on top. */
	.globl	user_return_refused
user_return_refused:
	xchgq	%rax, (%rsp)
	movq	$LEFT_BY_REFUSAL, USER_LEFT_BY(%rax)
	jmp	user_left
	.size	user_return_refused, . - user_return_refused

	.balign	64
	.globl	syscall_entry
syscall_entry:
	TAKE_SUPERVISOR_STACK
	xchgq	%rax, (%rsp)
	movq	$LEFT_BY_SYSCALL, USER_LEFT_BY(%rax)
	jmp	user_left
	.size	syscall_entry, . - syscall_entry

	.balign	256
	.globl	event_entry
event_entry:			/* + PVM_ENTRY_USER */
	TAKE_SUPERVISOR_STACK
	xchgq	%rax, (%rsp)
	movq	$LEFT_BY_EVENT, USER_LEFT_BY(%rax)
user_left:			/* no flag has changed so far */
	SAVE_ENTRY_RSP rax
	pushfq
	.cfi_adjust_cfa_offset 8
	popq	USER_ENTRY_RFLAGS(%rax)
	.cfi_adjust_cfa_offset -8
	popq	USER_RAX(%rax)
	.cfi_adjust_cfa_offset -8
	movq	%rcx, USER_ENTRY_RCX(%rax)
	movq	%r11, USER_ENTRY_R11(%rax)
	movq	%rbx, USER_RBX(%rax)
	movq	%rdx, USER_RDX(%rax)
	movq	%rsi, USER_RSI(%rax)
	movq	%rdi, USER_RDI(%rax)
	movq	%rbp, USER_RBP(%rax)
	movq	%r8, USER_R8(%rax)
	movq	%r9, USER_R9(%rax)
	movq	%r10, USER_R10(%rax)
	movq	%r12, USER_R12(%rax)
	movq	%r13, USER_R13(%rax)
	movq	%r14, USER_R14(%rax)
	movq	%r15, USER_R15(%rax)
	rdgsbase %rcx
	movq	%rcx, USER_ENTRY_GSBASE(%rax)
	POP	r15
	POP	r14
	POP	r13
	POP	r12
	POP	rbx
	POP	rbp
	ret
	.cfi_endproc
	.size	user_left, . - user_left
	.size	event_entry, . - event_entry
	.size	user_enter, . - user_enter

	SUPERVISOR_ENTRIES

	.section .note.GNU-stack, "", @progbits
