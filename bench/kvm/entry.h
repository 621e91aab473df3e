/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * For both entry files. ANSWER_PAGE_FAULT: a #PF of user mode gets its entry, in 12 instructions.
 * @cr2: where CR2 is.
 */
.macro ANSWER_PAGE_FAULT cr2:vararg
	pushq	%rax
	pushq	%rdx
	pushq	%rcx
	movq	\cr2, %rax
	shrq	$12 - 3, %rax
	andl	$511 << 3, %eax
	movq	fault_values(%rax), %rcx
	movq	fault_ptes(%rip), %rdx
	movq	%rcx, (%rdx, %rax)
	popq	%rcx
	popq	%rdx
	popq	%rax
.endm

.macro PUSH_KEPT
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

.macro POP_KEPT
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
.endm
