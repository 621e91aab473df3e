/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where the loader (Linux 64-bit boot protocol: RSI = boot_params) and the
 * multiprocessor wakeup mailbox start a CPU. Sets a stack and calls C.
 */
#include "layout.h"

	.section .text.entry, "ax", @progbits

	.globl	_start
	.type	_start, @function
_start:
	.cfi_startproc
	.cfi_undefined rip
	cld
	leaq	boot_stack_top(%rip), %rsp
	movq	%rsi, %rdi
	xorl	%ebp, %ebp
	call	guest_start
	ud2
	.cfi_endproc
	.size	_start, . - _start

	.globl	ap_start
	.type	ap_start, @function
ap_start:
	.cfi_startproc
	.cfi_undefined rip
	cld
	movq	ap_cpu(%rip), %rdi
	movq	CPU_STACK_TOP(%rdi), %rsp
	xorl	%ebp, %ebp
	call	ap_main
	ud2
	.cfi_endproc
	.size	ap_start, . - ap_start

	.bss
	.balign	16
	.skip	32768
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
