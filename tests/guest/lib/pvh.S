/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where a monitor that knows nothing of PVM starts a guest: the direct boot protocol of QEMU and others
 * (PVH), in 32-bit protected mode without paging, EBX = struct hvm_start_info. Makes of that what a PVM
 * monitor gives a guest, the boot_params and start tables of the first GiB, and enters 64-bit mode.
 *
 * Only the interface of the protocol is used: offsets in its structures, and the number of its ELF note.
 */
#include "x86.h"

#define NOTE_ENTRY	18

#define INFO_COMMAND_LINE	24	/* struct hvm_start_info: low halves of its addresses */
#define INFO_RSDP		32
#define INFO_MAP		40
#define INFO_MAP_ENTRIES	48
#define MAP_ENTRY_SIZE		24
#define MAP_ENTRY_WORDS		5	/* of 4 bytes; they are those of an e820 entry */

#define PARAMS_RSDP		0x070	/* struct boot_params: boot.h */
#define PARAMS_E820_ENTRIES	0x1e8
#define PARAMS_COMMAND_LINE	0x228
#define PARAMS_E820		0x2d0
#define E820_MAX		128

#define TABLES		0x1000		/* in the area: top, 1 GiB, 2 MiB */
#define POINTERS	0x4000
#define AREA_SIZE	0x5000

#define CODE64		0x08
#define X2APIC		0xc00

	.section .text.entry, "ax", @progbits
	.code32
	.globl	pvh_start
	.type	pvh_start, @function
pvh_start:
	cld
	movl	$physical_pvh_start, %ebp
	movl	$physical_pvh_area, %edi

	movl	INFO_COMMAND_LINE(%ebx), %eax
	movl	%eax, PARAMS_COMMAND_LINE(%edi)
	movl	INFO_RSDP(%ebx), %eax
	movl	%eax, PARAMS_RSDP(%edi)
	movl	INFO_MAP(%ebx), %esi
	movl	INFO_MAP_ENTRIES(%ebx), %ecx
	cmpl	$E820_MAX, %ecx
	jbe	1f
	movl	$E820_MAX, %ecx
1:	movb	%cl, PARAMS_E820_ENTRIES(%edi)
	leal	PARAMS_E820(%edi), %edx
	jecxz	4f
2:	xorl	%eax, %eax
3:	movl	(%esi, %eax, 4), %ebx
	movl	%ebx, (%edx, %eax, 4)
	incl	%eax
	cmpl	$MAP_ENTRY_WORDS, %eax
	jb	3b
	addl	$MAP_ENTRY_SIZE, %esi
	addl	$MAP_ENTRY_WORDS * 4, %edx
	loop	2b
4:
	leal	TABLES(%edi), %ebx
	leal	0x1000 + PTE_P + PTE_W(%ebx), %eax
	movl	%eax, (%ebx)
	addl	$0x1000, %eax
	movl	%eax, 0x1000(%ebx)
	movl	$PTE_P + PTE_W + PTE_PS, %eax
	xorl	%ecx, %ecx
5:	movl	%eax, 0x2000(%ebx, %ecx, 8)
	addl	$1 << 21, %eax
	incl	%ecx
	cmpl	$512, %ecx
	jb	5b

	movl	$MSR_APIC_BASE, %ecx
	rdmsr
	orl	$X2APIC, %eax
	wrmsr
	movl	$MSR_EFER, %ecx
	movl	$EFER_SCE + EFER_LME + EFER_NX, %eax
	xorl	%edx, %edx
	wrmsr
	movl	%ebx, %cr3
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$CR0_PG + CR0_WP + CR0_NE + CR0_ET + CR0_MP + CR0_PE, %eax
	movl	%eax, %cr0

	/* Compatibility mode, until CS is another. */
	leal	gdt - pvh_start(%ebp), %eax
	movw	$gdt_end - gdt - 1, POINTERS + 8(%edi)
	movl	%eax, POINTERS + 10(%edi)
	lgdtl	POINTERS + 8(%edi)
	leal	long_mode - pvh_start(%ebp), %eax
	movl	%eax, POINTERS(%edi)
	movw	$CODE64, POINTERS + 4(%edi)
	ljmpl	*POINTERS(%edi)

	.code64
long_mode:
	movl	%edi, %esi
	xorl	%edi, %edi
	xorl	%esp, %esp
	movl	$physical_start, %eax
	jmp	*%rax
	.size	pvh_start, . - pvh_start

	.balign	8
gdt:	.quad	0
	.quad	0x00af9b000000ffff
gdt_end:

	.bss
	.balign	4096
	.globl	pvh_area
pvh_area:
	.skip	AREA_SIZE

	.section .note.pvh, "a", @note
	.balign	4
	.long	2f - 1f
	.long	4f - 3f
	.long	NOTE_ENTRY
1:	.asciz	"Xen"
2:	.balign	4
3:	.quad	physical_pvh_start
4:	.balign	4

	.section .note.GNU-stack, "", @progbits
