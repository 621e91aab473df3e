/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where the loader (Linux 64-bit boot protocol: RSI = boot_params) and the
 * multiprocessor wakeup mailbox start a CPU: at physical addresses, which the
 * start tables map one to one. Goes up to where the image is linked, on tables
 * of its own, sets a stack and calls C.
 *
 * spec: PVM booting sequence (relocate itself to its allowed address ranges)
 */
#include "abi.h"
#include "layout.h"
#include "x86.h"

#define LARGE_FLAGS	(PTE_P | PTE_W | PTE_PS)	/* the supervisor's: SMEP */
#define TABLE_FLAGS	(PTE_P | PTE_W)
#define TABLE_ENTRIES	512

	.section .text.entry, "ax", @progbits

/* RDX: 8 * the index of virtual_offset in a table whose entries span 1 << @shift. */
.macro INDEX_OF_OFFSET shift
	movabsq	$virtual_offset, %rdx
	shrq	$\shift - 3, %rdx
	andl	$(TABLE_ENTRIES - 1) * 8, %edx
.endm

/*
 * If the image is not linked at its physical addresses, load tables that have
 * the first GiB of memory at 0 and at virtual_offset, and go on after this where
 * the image is linked. Each CPU writes the same into them. Keeps RSI and RSP only.
 */
.macro GO_UP
	movabsq	$virtual_offset, %rdx
	testq	%rdx, %rdx
	jz	773f
	leaq	early_directory(%rip), %rdi
	movl	$LARGE_FLAGS, %eax
	movl	$TABLE_ENTRIES, %ecx
771:	movq	%rax, (%rdi)
	addq	$1 << 21, %rax
	addq	$8, %rdi
	decl	%ecx
	jnz	771b

	leaq	early_directory + TABLE_FLAGS(%rip), %rax
	leaq	early_directories(%rip), %rdi
	movq	%rax, (%rdi)
	leaq	TABLE_FLAGS(%rdi), %rax
	leaq	early_level4(%rip), %rdi
	INDEX_OF_OFFSET 39
	movq	%rax, (%rdi)
	movq	%rax, (%rdi, %rdx)

	movl	$PVM_LOAD_PGTBL_FLUSH, %ebx
	movq	%cr4, %rax
	testl	$CR4_LA57, %eax
	jz	772f
	leaq	TABLE_FLAGS(%rdi), %rax
	leaq	early_level5(%rip), %rdi
	INDEX_OF_OFFSET 48
	movq	%rax, (%rdi)
	movq	%rax, (%rdi, %rdx)
	orl	$PVM_LOAD_PGTBL_LA57, %ebx
772:	movl	$PVM_HC_LOAD_PGTBL, %eax
	movq	%rdi, %r10
	movq	%rdi, %rdx		/* dual CR3: the user's root */
	syscall
	movabsq	$773f, %rax
	jmp	*%rax
773:
.endm

	.globl	_start
	.type	_start, @function
_start:
	.cfi_startproc
	.cfi_undefined rip
	cld
	GO_UP
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
	GO_UP
	movq	ap_cpu(%rip), %rdi
	movq	CPU_STACK_TOP(%rdi), %rsp
	xorl	%ebp, %ebp
	call	ap_main
	ud2
	.cfi_endproc
	.size	ap_start, . - ap_start

	.bss
	.balign	4096
early_directory:
	.skip	4096
early_directories:
	.skip	4096
early_level4:
	.skip	4096
early_level5:
	.skip	4096
	.skip	32768
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
