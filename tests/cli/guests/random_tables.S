/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fills a set of page tables with random entries and touches random addresses
 * through them, again and again. Slot 0 stays the start tables', with the code;
 * the other slots lead to four pages of noise, which point at each other, at
 * memory and at nothing. Whatever faults goes on with the next address; 8
 * pages of memory are rewritten by the noise itself.
 */
#include "guest.inc"
	.equ	ROUNDS, 60
	.equ	TOUCHES, 200
	.globl _start
_start:
	event_setup
	movabs	$0x9e3779b97f4a7c15, %r15
	mov	$ROUNDS, %r14d
	/* Slot 0 of our root is that of the start tables. */
	mov	%cr3, %rax
	mov	(%rax), %rax
	mov	%rax, root
round:
	/* Noise: present or not, any rights, any address below 128 MiB or anything. */
	lea	root + 8, %rdi
	mov	$(5 * 512 - 1), %ecx
1:	random
	mov	%r15, %rdx
	test	$3, %r15d
	jz	2f
	/* Three of four point into the noise, with plausible bits. */
	mov	%r15d, %edx
	and	$0xfe7, %edx
	or	$1, %edx
	mov	%r15, %rax
	shr	$20, %rax
	and	$3, %eax
	shl	$12, %eax
	add	$(root + 4096), %rax
	or	%rax, %rdx
2:	mov	%rdx, (%rdi)
	add	$8, %rdi
	dec	%ecx
	jnz	1b
	mov	$PVM_LOAD_PGTBL_FLUSH, %ebx
	mov	$root, %r10
	mov	$root, %rdx
	hypercall PVM_HC_LOAD_PGTBL
	mov	$TOUCHES, %r13d
touch:
	random
	/* Lower half, not slot 0. */
	mov	%r15, %rax
	btr	$63, %rax
	shl	$17, %rax
	shr	$17, %rax
	bts	$39, %rax
	test	$1, %r15d
	jz	3f
	movb	(%rax), %dl
	jmp	next
3:	movb	%dl, (%rax)
next:
	dec	%r13d
	jnz	touch
	dec	%r14d
	jnz	round
	exit	SURVIVED
handler:
	lea	stack_top(%rip), %rsp
	jmp	next

	event_entries
	.bss
	.balign	4096
root:	.skip	5 * 4096
