/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * 256 entry points, 16 bytes apart, and the way to trap() in C with a struct
 * trap_frame. All registers are as before on return. Minivisor has no code at
 * CPL 3 of its own: GS is always ours, and there is nothing to swap.
 */
	.text
	.globl trap_entries
	.balign 16
trap_entries:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	.else
	push	$0
	.endif
	push	$vector
	jmp	trap_common
	.set vector, vector + 1
	.endr

trap_common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	trap
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
