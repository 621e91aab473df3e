/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Tries to end what executes it: runs every one-byte opcode, every 0f xx, 0f 01
 * xx and REX.W 0f ae xx, in supervisor mode and in user mode, with registers
 * that point at nothing good and after it what faults. Each must come back as
 * an event.
 */
#include "guest.inc"
	.equ	CODES, 4 * 256
	.globl _start
_start:
	event_setup
	xor	%r14d, %r14d
round:
	mov	$stack, %rsp
	mov	%r14d, %eax
	shr	$1, %eax
	mov	%eax, %ecx
	movzbl	%al, %eax
	mov	$0x06060606, %edx	/* no instruction, whatever comes before it */
	mov	%edx, slot
	mov	%edx, slot + 4
	mov	%edx, slot + 8
	mov	%edx, slot + 12
	cmp	$256, %ecx
	jae	1f
	mov	%al, slot
	jmp	4f
1:	cmp	$512, %ecx
	jae	2f
	movb	$0x0f, slot
	mov	%al, slot + 1
	jmp	4f
2:	cmp	$768, %ecx
	jae	3f
	movb	$0x0f, slot		/* 0f 01 modrm: descriptor tables, XGETBV, WRPKRU, SWAPGS */
	movb	$0x01, slot + 1
	mov	%al, slot + 2
	jmp	4f
3:	movb	$0x48, slot		/* REX.W 0f ae modrm: fences, FXSAVE, XRSTOR */
	movb	$0x0f, slot + 1
	movb	$0xae, slot + 2
	mov	%al, slot + 3
4:	mov	%r14, saved_r14
	mov	$0xffffffffffff0000, %rax
	mov	%rax, %rbx
	mov	%rax, %rcx
	mov	%rax, %rdx
	mov	%rax, %rsi
	mov	%rax, %rdi
	mov	%rax, %rbp
	mov	%rax, %r8
	mov	%rax, %r9
	mov	%rax, %r10
	mov	%rax, %r11
	mov	%rax, %r12
	mov	%rax, %r13
	mov	%rax, %r14
	mov	%rax, %r15
	testb	$1, saved_r14
	jnz	5f
	/* A supervisor that halts or loses its stack would end itself by right. */
	cmpb	$0xf4, slot		/* HLT */
	je	handler
	cmpb	$0x5c, slot		/* POP RSP */
	je	handler
	cmpb	$0x94, slot		/* XCHG RAX, RSP */
	je	handler
	cmpb	$0xbc, slot		/* MOV ESP, imm32 */
	je	handler
	cmpw	$0xcc0f, slot		/* BSWAP ESP */
	je	handler
	cmpw	$0xe401, slot + 1	/* SMSW ESP */
	je	handler
	jmp	slot
5:	movw	$0x33, pvcs + PVCS_USER_CS
	movw	$0x2b, pvcs + PVCS_USER_SS
	movq	$slot, pvcs + PVCS_RIP
	movq	$stack, pvcs + PVCS_RSP
	mov	%rax, pvcs + PVCS_RCX
	mov	%rax, pvcs + PVCS_R11
	movl	$0x202, pvcs + PVCS_EFLAGS
	movl	$0, pvcs + PVCS_PKRU
	movq	$0, pvcs + PVCS_USER_GSBASE
	jmp	return_user
handler:
	cld
	mov	saved_r14, %r14
	inc	%r14d
	cmp	$(2 * CODES), %r14d
	jb	round
	exit	SURVIVED

	event_entries
	.data
	.balign 4096
slot:	.skip	4096
saved_r14: .quad 0
	.balign 4096
	.skip	8192
	/* What is popped is no address. */
stack:
	.rept	1024
	.quad	0x8000000000000000
	.endr
