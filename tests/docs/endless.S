/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest that never ends, two calls deep: for what a timeout or a signal
 * leaves behind.
 */
	.text
	.globl _start
	.type _start, @function
_start:
	.cfi_startproc
	.cfi_undefined %rip		/* it has no caller */
	lea stack_top(%rip), %rsp
	xor %ebp, %ebp
	call wait_for_ever
	.cfi_endproc
	.size _start, . - _start

	.type wait_for_ever, @function
wait_for_ever:
	.cfi_startproc
	sub $8, %rsp
	.cfi_adjust_cfa_offset 8
1:	pause
	jmp 1b
	.cfi_endproc
	.size wait_for_ever, . - wait_for_ever

	.bss
	.balign 16
	.skip 4096
stack_top:

	.section .note.GNU-stack, "", @progbits
