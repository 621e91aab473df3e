/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The firmware of a machine whose vCPUs start as CPUs do: 64 KiB that end at 4 GiB, and again at 1 MiB. From
 * reset in real mode it tries exceptions and interrupts, wakes the other CPUs by INIT and SIPI, and goes by
 * protected mode into 64-bit mode with the start tables, as the boot protocol wants it. The other CPUs
 * come the same way and wait there for the guest at the mailbox.
 *
 * What it finds is at FOUND, for the program that runs the machine. What it is told: at TOLD.
 */
#define BOOT_PARAMS	0x80000		/* firmware/boot.h */
#define BOOT_MAILBOX	0x82000
#define BOOT_TABLES	0x88000

#define FOUND		0x600		/* words: */
#define SOFT		0x600		/* INT n */
#define DIVIDED		0x602		/* #DE */
#define TICKS		0x604		/* of the PIT */
#define SHADOW		0x606		/* ticks that came between STI and the next instruction */
#define WAITED		0x608		/* ticks that ended a HLT */
#define TOLD		0x620
#define START		0x620		/* 8 bytes: the guest's first instruction */
#define SWITCH_CR3_MSR	0x628		/* 4 bytes: MSR_PVM_SWITCH_CR3, or 0: there is none */

#define POST		0x80
#define POST_REAL_MODE	1
#define POST_64_BIT	2

#define MSR_APIC_BASE	0x1b
#define MSR_EFER	0xc0000080
#define XAPIC		0xfee00000
#define XAPIC_ID	(XAPIC + 0x20)
#define XAPIC_ICR	(XAPIC + 0x300)
#define ICR_INIT	0x000c4500	/* to all but this one */
#define ICR_SIPI	0x000c46f0	/* the same, at F000:0000 */

#define VECTOR_PIT	0x20
#define VECTOR_SOFT	0x40

	.code16
	.section .text, "ax"
	.globl	firmware_start
firmware_start:
	/* SIPI. */
	cli
	jmp	protect

real_mode:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7000, %sp
	movw	$divided, 0
	movw	%cs, 2
	movw	$tick, VECTOR_PIT * 4
	movw	%cs, VECTOR_PIT * 4 + 2
	movw	$soft, VECTOR_SOFT * 4
	movw	%cs, VECTOR_SOFT * 4 + 2

	int	$VECTOR_SOFT
	xor	%cx, %cx
	mov	$1, %ax
	xor	%dx, %dx
	div	%cx			/* divided() steps over it */

	/* Both PICs; only the PIT is let in. */
	mov	$0x11, %al
	out	%al, $0x20
	out	%al, $0xa0
	mov	$VECTOR_PIT, %al
	out	%al, $0x21
	mov	$VECTOR_PIT + 8, %al
	out	%al, $0xa1
	mov	$4, %al
	out	%al, $0x21
	mov	$2, %al
	out	%al, $0xa1
	mov	$1, %al
	out	%al, $0x21
	out	%al, $0xa1
	mov	$0xff, %al
	out	%al, $0xa1
	mov	$0xfe, %al
	out	%al, $0x21
	/* Channel 0, mode 2, 1 kHz. */
	mov	$0x34, %al
	out	%al, $0x43
	mov	$1193 & 0xff, %al
	out	%al, $0x40
	mov	$1193 >> 8, %al
	out	%al, $0x40

	/* Wait until one is there; it must not come before CLI has been executed. */
	mov	$0x0a, %al
	out	%al, $0x20
1:	in	$0x20, %al
	test	$1, %al
	jz	1b
	sti
	cli
	mov	TICKS, %ax
	mov	%ax, SHADOW
	/* Now it comes; and a HLT ends with the next. */
	sti
	nop
	mov	TICKS, %ax
	hlt
	mov	TICKS, %bx
	sub	%ax, %bx
	mov	%bx, WAITED
	cli
	mov	$POST_REAL_MODE, %al
	out	%al, $POST
	mov	$1, %edi		/* the first CPU */
	jmp	protect_first

soft:	incw	SOFT
	iret

divided:
	incw	DIVIDED
	push	%bp
	mov	%sp, %bp
	addw	$2, 2(%bp)
	pop	%bp
	iret

tick:	push	%ax
	incw	TICKS
	mov	$0x20, %al
	out	%al, $0x20
	pop	%ax
	iret

protect:
	xor	%edi, %edi
protect_first:
	lgdtl	%cs:gdt_pointer
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$0x08, $0xf0000 + protected

	.code32
protected:
	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	mov	XAPIC_ID, %ebp
	shr	$24, %ebp
	test	%edi, %edi
	jz	1f
	/* There is no IDT: an interrupt that waits must not come. */
	sti
2:	in	$0x20, %al
	test	$1, %al
	jz	2b
	nop
	cli
	mov	$0xff, %al
	out	%al, $0x21
	movl	$ICR_INIT, XAPIC_ICR
	movl	$ICR_SIPI, XAPIC_ICR
1:	/* x2APIC, as guests want it. */
	mov	$MSR_APIC_BASE, %ecx
	rdmsr
	or	$0xc00, %eax
	wrmsr
	mov	SWITCH_CR3_MSR, %ecx
	test	%ecx, %ecx
	jz	1f
	mov	$BOOT_TABLES, %eax
	xor	%edx, %edx
	wrmsr
1:	mov	$MSR_EFER, %ecx
	mov	$0x901, %eax		/* SCE, LME, NXE */
	xor	%edx, %edx
	wrmsr
	mov	$BOOT_TABLES, %eax
	mov	%eax, %cr3
	mov	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$0x80050033, %eax
	mov	%eax, %cr0
	ljmp	$0x10, $0xf0000 + long_mode

	.code64
long_mode:
	test	%edi, %edi
	jz	wait
	mov	$POST_64_BIT, %al
	out	%al, $POST
	mov	$BOOT_PARAMS, %esi
	xor	%edi, %edi
	xor	%esp, %esp
	jmp	*START
wait:	pause
	cmpw	$1, BOOT_MAILBOX
	jne	wait
	cmp	%ebp, BOOT_MAILBOX + 4
	jne	wait
	mov	BOOT_MAILBOX + 8, %rax
	movw	$0, BOOT_MAILBOX
	xor	%esi, %esi
	xor	%esp, %esp
	jmp	*%rax

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x08: 32-bit code */
	.quad	0x00af9b000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf93000000ffff	/* 0x18: data */
gdt_pointer:
	.word	. - gdt - 1
	.long	0xf0000 + gdt

	.org	0xfff0
	.code16
	ljmp	$0xf000, $real_mode
	.org	0x10000
	.section .note.GNU-stack, "", @progbits
