/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host's own handler of a vector, called as the CPU would: in the host's world,
 * in ordinary text. Not mapped in guests.
 */
#include <pvm/x86.h>

#include "offsets.h"

#ifdef __KERNEL__
#include <asm/nospec-branch.h>
#include <linux/linkage.h>
#else
.macro CALL_NOSPEC register
	call	*%\register
.endm
#define RET ret
#endif

	.text
/*
 * void pvm_switcher_host_vector(struct pvm_switcher_cpu *cpu, uint8_t vector)
 * In: rdi = area, sil = vector (one without an error code), interrupts off. The handler's IRET
 * comes back here; RSP is aligned to 16 bytes below the frame, as the CPU does.
 *
 * What was interrupted had interrupts on: so says the frame, as handlers look there (Linux
 * restarts its tick only then), so that they are on for one instruction after it. Not after an
 * NMI or a machine check. Below the frame of an NMI there are zeros: Linux looks there for a mark
 * of its own that says "nested".
 */
	.globl pvm_switcher_host_vector
	.type pvm_switcher_host_vector, @function
pvm_switcher_host_vector:
	endbr64
	pushq	%rbp
	movq	%rsp, %rbp
	movzbl	%sil, %esi
	movl	%esi, %r8d
	shll	$4, %esi
	addq	(CPU_HOST_IDTR + 2)(%rdi), %rsi
	movl	8(%rsi), %ecx
	shlq	$32, %rcx
	movzwl	6(%rsi), %eax
	shll	$16, %eax
	orq	%rax, %rcx
	movzwl	(%rsi), %eax
	orq	%rax, %rcx
	xorl	%eax, %eax
	cmpl	$PVM_VEC_EXCEPTIONS, %r8d
	jb	1f
	movl	$PVM_RFLAGS_IF, %eax
1:	andq	$-16, %rsp
	movq	$0, -48(%rsp)
	movq	$0, -56(%rsp)
	movl	%ss, %edx
	pushq	%rdx
	pushq	%rbp
	pushfq
	orq	%rax, (%rsp)
	movl	%cs, %edx
	pushq	%rdx
	CALL_NOSPEC rcx				/* pushes RIP: the frame is complete */
	cli
	movq	%rbp, %rsp
	popq	%rbp
	RET
	.size pvm_switcher_host_vector, . - pvm_switcher_host_vector

	.section .note.GNU-stack, "", @progbits
