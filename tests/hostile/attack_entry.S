/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The way into an attack and the ways back. No entry here uses the stack that
 * it was given, nor changes a flag before it is saved.
 */
#include "attack.h"

	.text

.macro EACH_GPR do
	\do	rcx, REGS_RCX
	\do	rdx, REGS_RDX
	\do	rbx, REGS_RBX
	\do	rbp, REGS_RBP
	\do	rsi, REGS_RSI
	\do	rdi, REGS_RDI
	\do	r8, REGS_R8
	\do	r9, REGS_R9
	\do	r10, REGS_R10
	\do	r11, REGS_R11
	\do	r12, REGS_R12
	\do	r13, REGS_R13
	\do	r14, REGS_R14
	\do	r15, REGS_R15
	\do	rsp, REGS_RSP
	\do	rax, REGS_RAX
.endm
.macro LOAD reg, at
	movq	attack_in + \at(%rip), %\reg
.endm
.macro SAVE reg, at
	movq	%\reg, attack_out + \at(%rip)
.endm

/* u64 attack_go(const void *target): everything else is in attack_in. */
	.globl	attack_go
	.type	attack_go, @function
attack_go:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, own_rsp(%rip)
	rdgsbase %rax
	movq	%rax, own_gsbase(%rip)
	rdfsbase %rax
	movq	%rax, own_fsbase(%rip)
	movq	%rdi, target(%rip)
	EACH_GPR LOAD
	jmp	*target(%rip)

.macro WAY_BACK by
	movq	$\by, how(%rip)
	jmp	back
.endm

	.globl	attack_through
attack_through:
	WAY_BACK BY_THROUGH
	.globl	attack_syscall_entry
	.balign	64
attack_syscall_entry:
	WAY_BACK BY_SYSCALL

	.globl	attack_event_entry
	.balign	256
attack_event_entry:
	WAY_BACK BY_USER_EVENT
	.org	attack_event_entry + ENTRY_SUPERVISOR_EXCEPTION
	WAY_BACK BY_EXCEPTION
#if !SINGLE_CR3
	.org	attack_event_entry + ENTRY_SUPERVISOR_INTERRUPT
	WAY_BACK BY_INTERRUPT
#endif

back:
	EACH_GPR SAVE
	movq	own_rsp(%rip), %rsp
	pushfq
	popq	attack_out + REGS_RFLAGS(%rip)
	rdgsbase %rcx
	movq	%rcx, attack_out + REGS_GSBASE(%rip)
	rdfsbase %rcx
	movq	%rcx, attack_out + REGS_FSBASE(%rip)
	movq	own_gsbase(%rip), %rcx
	wrgsbase %rcx
	movq	own_fsbase(%rip), %rcx
	wrfsbase %rcx
	pushq	$2
	popfq
	movq	how(%rip), %rax
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	attack_go, . - attack_go

	.globl	attack_retu, attack_rets, attack_hypercall, attack_hypercall_next
attack_retu:
	syscall
	ud2
attack_rets:
	syscall
	ud2
attack_hypercall:
	syscall
attack_hypercall_next:
	jmp	attack_through

	/* Where user mode may run it; in dual CR3 beside the rest, for s12_debug.c. */
#if SINGLE_CR3
	.pushsection .user.text, "ax", @progbits
#endif
	.globl	attack_user_syscall, attack_user_syscall_next
attack_user_syscall:
	syscall
attack_user_syscall_next:
	ud2
#if SINGLE_CR3
	.popsection
#endif

	.bss
	.balign	8
own_rsp:	.skip 8
own_gsbase:	.skip 8
own_fsbase:	.skip 8
target:		.skip 8
how:		.skip 8

	.section .note.GNU-stack, "", @progbits
