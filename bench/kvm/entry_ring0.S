/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The ordinary guest's first instruction, its way into user mode, and its entries, as short as can be:
 * OWN_* of ops_ring0.h count their instructions.
 */
#include "ring0.h"
#include "x86.h"

#include "entry.h"

	.section .text.entry, "ax", @progbits
	.globl	_start
_start:					/* RSI: the boot_params */
	cld
	leaq	boot_stack_top(%rip), %rsp
	movq	%rsi, %rdi
	xorl	%ebp, %ebp
	call	guest_start
	ud2

	.text

/* u32 user_enter_measured(void): to user_rip, with user_argument. */
	.globl	user_enter_measured
user_enter_measured:
	PUSH_KEPT
	movq	%rsp, kernel_rsp(%rip)
	pushq	$USER_SS
	pushq	user_rsp(%rip)
	pushq	$FLAG_FIXED | FLAG_IF
	pushq	$USER_CS
	pushq	user_rip(%rip)
	movq	user_argument(%rip), %rdi
	rdtsc
	movl	%eax, %r8d
	iretq

	.globl	ring0_syscall
ring0_syscall:				/* on user mode's stack */
	testl	%eax, %eax		/* USER_LEAVE */
	jnz	1f
leave:
	movq	kernel_rsp(%rip), %rsp
	POP_KEPT
	ret
1:	sysretq

	.globl	ring0_page_fault
ring0_page_fault:
	ANSWER_PAGE_FAULT %cr2
	addq	$8, %rsp		/* the error code */
	iretq

	.globl	ring0_interrupt
ring0_interrupt:
	movl	$MSR_X2APIC_EOI, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	rdtsc
	subl	%r8d, %eax		/* which user mode has left alone */
	jmp	leave

	.globl	ring0_unexpected
ring0_unexpected:
	movq	(%rsp), %rdi
	movq	8(%rsp), %rsi
	movq	%cr2, %rdx
	andq	$-16, %rsp
	call	ring0_die
	ud2

	.bss
	.balign	16
	.skip	32768
boot_stack_top:
kernel_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
