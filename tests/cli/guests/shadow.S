/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Wants many shadow pages: one page of memory, mapped at 512 addresses that are
 * 2 MiB apart through one shared page table per GiB, is written through each,
 * three times over. With little shadow memory old tables have to go.
 */
#include "guest.inc"
	.equ	TABLES, 128
	.equ	BASE, 0x8000000000
	.globl _start
_start:
	event_setup
	mov	%cr3, %rax
	mov	(%rax), %rax
	mov	%rax, root
	movq	$(pdpt + 7), root + 8
	movq	$(directory + 7), pdpt
	/* Each entry of the directory: a table of its own, with one page. */
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$12, %eax
	lea	tables(%rax), %rdx
	lea	7(%rdx), %rax
	mov	%rax, directory(, %rcx, 8)
	movq	$(page + 7), (%rdx)
	inc	%ecx
	cmp	$TABLES, %ecx
	jne	1b
	mov	$PVM_LOAD_PGTBL_FLUSH, %ebx
	mov	$root, %r10
	mov	$root, %rdx
	hypercall PVM_HC_LOAD_PGTBL
	mov	$3, %r13d
2:	movabs	$BASE, %rdi
	mov	$TABLES, %ecx
3:	incl	(%rdi)
	add	$0x200000, %rdi
	dec	%ecx
	jnz	3b
	dec	%r13d
	jnz	2b
	cmpl	$(3 * TABLES), page
	jne	handler
	exit	0
handler:
	exit	SURVIVED
	event_entries
	.bss
	.balign	4096
root:	.skip	4096
pdpt:	.skip	4096
directory: .skip 4096
page:	.skip	4096
tables:	.skip	4096 * TABLES
