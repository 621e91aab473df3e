/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Four functions at fixed addresses (linked at 0x400000, 0x100 apart), each
 * with another kind of frame. Never executed: tests lay the stack out by hand.
 */
	.text

	/* Has no unwind information: only its frame pointer leads on. */
	.globl outermost
	.type outermost, @function
outermost:
	push %rbp
	mov %rsp, %rbp
	call outer			/* returns to outermost+9 */
	ud2
	.size outermost, . - outermost

	/* No frame pointer: 24 bytes of locals. */
	.balign 0x100
	.globl outer
	.type outer, @function
outer:
	.cfi_startproc
	sub $24, %rsp
	.cfi_adjust_cfa_offset 24
	call middle			/* returns to outer+9 */
	.cfi_endproc
	.size outer, . - outer

	/* A frame pointer. */
	.balign 0x100
	.globl middle
	.type middle, @function
middle:
	.cfi_startproc
	push %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	sub $40, %rsp
	call inner			/* returns to middle+13 */
	.cfi_endproc
	.size middle, . - middle

	/* Saves a register and stops here, at inner+5. */
	.balign 0x100
	.globl inner
	.type inner, @function
inner:
	.cfi_startproc
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rbx, -16
	sub $8, %rsp
	.cfi_adjust_cfa_offset 8
	ud2
	.cfi_endproc
	.size inner, . - inner

	/* A label without type and size, as assembly entry points have. */
	.balign 0x100
	.globl entry_point
entry_point:
	ud2

	.section .note.GNU-stack, "", @progbits
