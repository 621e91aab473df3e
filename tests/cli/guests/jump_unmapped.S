/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Jumps where its page tables have nothing, and has no PVCS to hear of it. */
#include "guest.inc"
	.globl _start
_start:
	movabs	$0x123456789000, %rax
	jmp	*%rax
