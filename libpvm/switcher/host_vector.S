/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host's own handler of a vector, called as the CPU would: in the host's world,
 * in ordinary text. Not mapped in guests.
 */
#include "offsets.h"

	.text
/*
 * void pvm_switcher_host_vector(struct pvm_switcher_cpu *cpu, uint8_t vector)
 * In: rdi = area, sil = vector (one without an error code). The handler's IRET comes
 * back here; RSP is aligned to 16 bytes below the frame, as the CPU does.
 */
	.globl pvm_switcher_host_vector
	.type pvm_switcher_host_vector, @function
pvm_switcher_host_vector:
	endbr64
	movzbl	%sil, %esi
	shll	$4, %esi
	addq	(CPU_HOST_IDTR + 2)(%rdi), %rsi
	movl	8(%rsi), %ecx
	shlq	$32, %rcx
	movzwl	6(%rsi), %eax
	shll	$16, %eax
	orq	%rax, %rcx
	movzwl	(%rsi), %eax
	orq	%rax, %rcx
	movq	%rsp, %rax
	andq	$-16, %rsp
	movl	%ss, %edx
	pushq	%rdx
	pushq	%rax
	pushfq
	movl	%cs, %edx
	pushq	%rdx
	leaq	1f(%rip), %rdx
	pushq	%rdx
	jmp	*%rcx
1:	ret
	.size pvm_switcher_host_vector, . - pvm_switcher_host_vector

	.section .note.GNU-stack, "", @progbits
