/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Loads page tables that lie outside memory. */
#include "guest.inc"
	.globl _start
_start:
	mov	$PVM_LOAD_PGTBL_FLUSH, %ebx
	mov	$0x7ffffff000, %r10
	mov	$0x7ffffff000, %rdx
	hypercall PVM_HC_LOAD_PGTBL
	exit	0
