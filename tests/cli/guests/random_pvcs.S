/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Returns to user mode from a PVCS full of random bytes, again and again: any
 * selectors, flags, bases and addresses. Each round ends in an event of some
 * kind, or in a few user instructions that happen to be there. For a quarter
 * of the rounds rip and rsp are good, so that the rest takes effect.
 */
#include "guest.inc"
	.equ	ROUNDS, 2000
	.globl _start
_start:
	event_setup
	movabs	$0x9e3779b97f4a7c15, %r15
	mov	$ROUNDS, %r14d
round:
	mov	$pvcs, %edi
	mov	$(PVCS_SIZE / 8), %ecx
1:	random
	mov	%r15, (%rdi)
	add	$8, %rdi
	dec	%ecx
	jnz	1b
	test	$3, %r15d
	jnz	2f
	movq	$user, pvcs + PVCS_RIP
	movq	$stack_top, pvcs + PVCS_RSP
2:	mov	%r14, saved_r14
	mov	%r15, saved_r15
	jmp	return_user
handler:
	lea	stack_top(%rip), %rsp
	mov	saved_r14, %r14
	mov	saved_r15, %r15
	dec	%r14d
	jnz	round
	exit	SURVIVED
user:
	mov	%ss, %eax
	syscall

	event_entries
	.bss
	.balign 8
saved_r14: .skip 8
saved_r15: .skip 8
