/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The entries that the hypervisor calls and the two synthetic instructions
 * that return. Saves everything before C sees it; decides nothing. The CFI
 * lets an unwinder walk from a handler into what it interrupted.
 *
 * spec: Events and Mode Changing
 */
#include <pvm/abi.h>

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

/* Below the frame: RFLAGS, R11, RCX as loaded, then struct frame's registers. */
.macro SAVE_REGISTERS
	pushq	%r11
	.cfi_adjust_cfa_offset 8
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
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
	movq	%rsp, USER_RETURN_RSP(%rdi)
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
	.globl	retu_syscall
retu_syscall:
	syscall			/* EVENT_RETURN_USER */
	.size	retu_syscall, . - retu_syscall
	ud2

	/* RSP is where it was at retu_syscall: the user pointer on top. event.c
	 * comes here when EVENT_RETURN_USER raised #GP. */
	.globl	user_return_refused
user_return_refused:
	xchgq	%rax, (%rsp)
	movq	$LEFT_BY_REFUSAL, USER_LEFT_BY(%rax)
	jmp	user_left
	.size	user_return_refused, . - user_return_refused

	.balign	64
	.globl	syscall_entry
syscall_entry:
	xchgq	%rax, (%rsp)
	movq	$LEFT_BY_SYSCALL, USER_LEFT_BY(%rax)
	jmp	user_left
	.size	syscall_entry, . - syscall_entry

	.balign	256
	.globl	event_entry
event_entry:			/* + PVM_ENTRY_USER */
	xchgq	%rax, (%rsp)
	movq	$LEFT_BY_EVENT, USER_LEFT_BY(%rax)
user_left:			/* no flag has changed so far */
	movq	%rsp, USER_ENTRY_RSP(%rax)
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

	/* Vectors below 32 in supervisor mode: the frame is on the stack. */
	.org	event_entry + PVM_ENTRY_SUPERVISOR_EXCEPTION
	.type	supervisor_exception_entry, @function
supervisor_exception_entry:
	.cfi_startproc
	FRAME_AT_RSP
	pushfq
	.cfi_adjust_cfa_offset 8
	SAVE_REGISTERS
	movq	%rsp, %rdi
	call	supervisor_exception
	jmp	event_return
	.cfi_endproc
	.size	supervisor_exception_entry, . - supervisor_exception_entry

	/* Vectors from 32 in supervisor mode: the same frame, made from the PVCS. */
	.org	event_entry + PVM_ENTRY_SUPERVISOR_INTERRUPT
	.type	supervisor_interrupt_entry, @function
supervisor_interrupt_entry:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_undefined rip
	pushq	%gs:CPU_PVCS + PVCS_R11
	pushq	%gs:CPU_PVCS + PVCS_RCX
	pushq	$0				/* SS: not saved, and ignored on return */
	pushq	%gs:CPU_PVCS + PVCS_RSP
	pushq	%gs:CPU_PVCS + PVCS_EFLAGS
	movl	$0, 4(%rsp)			/* PVCS::pkru came along */
	pushq	$0				/* CS, as SS */
	pushq	%gs:CPU_PVCS + PVCS_RIP
	pushq	%gs:CPU_PVCS + PVCS_EVENT_ERRCODE	/* and event_vector above it */
	movl	$0, (%rsp)			/* no vector from 32 has an error code */
	FRAME_AT_RSP
	pushfq
	.cfi_adjust_cfa_offset 8
	SAVE_REGISTERS
	movq	%rsp, %rdi
	call	supervisor_interrupt
	/* falls through */

event_return:			/* RSP at a struct frame */
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
	.globl	rets_syscall
rets_syscall:
	syscall			/* EVENT_RETURN_SUPERVISOR */
	.size	rets_syscall, . - rets_syscall
	ud2
	.size	event_return, . - event_return
	.cfi_endproc
	.size	supervisor_interrupt_entry, . - supervisor_interrupt_entry

	.section .note.GNU-stack, "", @progbits
