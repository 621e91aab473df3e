/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The way into C: the boot CPU from multiboot's 32-bit protected mode, the
 * others from real mode after a start-up IPI. Owns the boot page tables, which
 * are left as soon as memory.c has made better ones.
 *
 * The image is linked at -2 GiB and loaded at BOOT_PHYS. It moves down to a top-level slot
 * that no guest wants (layout.h); with 5-level paging by one slot (2^48 bytes), so that
 * the last one, which holds all of 4-level paging's upper half, is free for guests: hence a
 * PIE, whose relocations are applied here.
 */
#include "layout.h"

#define PHYS(sym)	((sym) - boot_start + BOOT_PHYS + 0x1000)	/* after multiboot's header */

#define MSR_EFER	0xc0000080
#define EFER_LME_SCE_NXE 0x901
#define CR4_PAE		(1 << 5)
#define CR4_LA57	(1 << 12)
#define CR0_PE_MP_ET_NE_WP_PG 0x80010033
#define R_X86_64_RELATIVE 8
#define RELA_SIZE	24

/* ------------------------------------------------------------------------
 * 32-bit code and what it needs, in one section: the assembler then knows all
 * distances, and nothing of it has to be relocated.
 */
	.section .boot, "awx"
	.globl boot_start
boot_start:
	.globl boot_entry
	.code32
/* From the boot loader: EAX = multiboot's magic number, EBX = its information. */
boot_entry:
	cli
	cld
	mov	$PHYS(boot_stack_top), %esp
	mov	%eax, PHYS(boot_magic)
	mov	%ebx, PHYS(boot_info)
	lgdt	PHYS(boot_gdtr)
	ljmp	$BOOT_CS32, $PHYS(1f)
1:	call	set_segments
	call	want_la57
	mov	%eax, PHYS(boot_la57)
	call	make_tables
	call	enter_long_mode
	ljmp	$BOOT_CS64, $PHYS(bsp64)

/* An application processor, out of the trampoline below. */
ap32:
	mov	$BOOT_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$PHYS(ap_first_stack_top), %esp
	call	enter_long_mode
	ljmp	$BOOT_CS64, $PHYS(ap64)

set_segments:
	mov	$BOOT_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	ret

/* EAX = 1 if paging shall have five levels: the CPU can, and the command line has
 * no "la57=0". */
want_la57:
	xor	%eax, %eax
	cpuid
	cmp	$7, %eax
	jb	2f
	mov	$7, %eax
	xor	%ecx, %ecx
	cpuid
	bt	$16, %ecx
	jnc	2f
	mov	PHYS(boot_info), %ebx
	testl	$MULTIBOOT_HAS_COMMAND_LINE, MULTIBOOT_FLAGS(%ebx)
	jz	3f
	mov	MULTIBOOT_COMMAND_LINE(%ebx), %esi
1:	cmpb	$0, (%esi)
	je	3f
	inc	%esi
	cmpl	$0x3735616c, -1(%esi)		/* "la57" */
	jne	1b
	cmpw	$0x303d, 3(%esi)		/* "=0" */
	jne	1b
2:	xor	%eax, %eax
	ret
3:	mov	$1, %eax
	ret

/* The first GiB of memory, at 0 and at -2 GiB, in 2 MiB pages. */
make_tables:
	mov	$PHYS(boot_pd), %edi
	mov	$0x83, %eax			/* present, writable, large */
1:	mov	%eax, (%edi)
	add	$8, %edi
	add	$0x200000, %eax
	cmp	$PHYS(boot_pd) + 4096, %edi
	jne	1b
	movl	$PHYS(boot_pd) + 3, PHYS(boot_pdpt_low)
	movl	$PHYS(boot_pd) + 3, PHYS(boot_pdpt_high) + 510 * 8
	movl	$PHYS(boot_pdpt_low) + 3, PHYS(boot_pml4)
	movl	$PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + 511 * 8
	movl	$PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + IMAGE_SLOT * 8
	movl	$PHYS(boot_pml4) + 3, PHYS(boot_pml5)
	movl	$PHYS(boot_pml4) + 3, PHYS(boot_pml5) + LA57_IMAGE_SLOT * 8
	ret

enter_long_mode:
	mov	$CR4_PAE, %eax
	mov	$PHYS(boot_pml4), %edx
	cmpl	$0, PHYS(boot_la57)
	je	1f
	or	$CR4_LA57, %eax
	mov	$PHYS(boot_pml5), %edx
1:	mov	%eax, %cr4
	mov	%edx, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME_SCE_NXE, %eax
	wrmsr
	mov	$CR0_PE_MP_ET_NE_WP_PG, %eax
	mov	%eax, %cr0
	ret

/* Copied to AP_TRAMPOLINE: real mode, CS = AP_TRAMPOLINE >> 4, IP = 0. */
	.code16
	.globl ap_trampoline
ap_trampoline:
	cli
	cld
	lgdtl	%cs:(boot_gdtr - ap_trampoline)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$BOOT_CS32, $PHYS(ap32)

	.balign 8
boot_gdtr:
	.word	boot_gdt_end - boot_gdt - 1
	.long	PHYS(boot_gdt)
	.globl ap_trampoline_end
ap_trampoline_end:

	.balign 8
boot_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff		/* BOOT_CS32 */
	.quad	0x00af9b000000ffff		/* BOOT_CS64 */
	.quad	0x00cf93000000ffff		/* BOOT_DS */
boot_gdt_end:

	.balign 8
	.globl boot_magic, boot_info, boot_la57, boot_slide, ap_stack, ap_cpu
boot_magic:	.long 0
boot_info:	.long 0
boot_la57:	.long 0
		.long 0
boot_slide:	.quad 0				/* added to linked addresses */
ap_stack:	.quad 0				/* for the next CPU that starts */
ap_cpu:		.quad 0
		.fill 8, 8, 0
ap_first_stack_top:

	.balign 4096
boot_pml5:	.fill 4096, 1, 0
boot_pml4:	.fill 4096, 1, 0
boot_pdpt_low:	.fill 4096, 1, 0
boot_pdpt_high:	.fill 4096, 1, 0
boot_pd:	.fill 4096, 1, 0
boot_stack:	.fill 16384, 1, 0
boot_stack_top:

/* ------------------------------------------------------------------------
 * 64-bit code, still at its physical address: RIP-relative addresses are physical.
 */
	.code64
bsp64:
	mov	$-SLIDE, %r15
	cmpl	$0, boot_la57(%rip)
	je	1f
	mov	$-LA57_SLIDE, %r15
1:	mov	%r15, boot_slide(%rip)
	mov	$IMAGE_VIRT, %r14		/* linked = physical + r14 */
	lea	rela_start(%rip), %rsi
	lea	rela_end(%rip), %rdi
2:	cmp	%rdi, %rsi
	jae	3f
	cmpl	$R_X86_64_RELATIVE, 8(%rsi)
	jne	9f
	mov	(%rsi), %rdx
	sub	%r14, %rdx
	mov	16(%rsi), %rax
	add	%r15, %rax
	mov	%rax, (%rdx)
	add	$RELA_SIZE, %rsi
	jmp	2b
3:	add	%r14, %r15
	add	%r15, %rsp
	lea	4f(%rip), %rax
	add	%r15, %rax
	jmp	*%rax
4:	xor	%ebp, %ebp
	call	boot_main
9:	hlt
	jmp	9b

ap64:
	mov	boot_slide(%rip), %r15
	mov	$IMAGE_VIRT, %rax
	add	%rax, %r15
	lea	1f(%rip), %rax
	add	%r15, %rax
	jmp	*%rax
1:	mov	ap_stack(%rip), %rsp
	mov	ap_cpu(%rip), %rdi
	xor	%ebp, %ebp
	call	ap_main
2:	hlt
	jmp	2b

	.section .note.GNU-stack, "", @progbits
