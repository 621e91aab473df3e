/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Starts the second vCPU where there is nothing. */
#include "guest.inc"
	.equ	MAILBOX, 0x82000
	.globl _start
_start:
	movl	$1, MAILBOX + 4
	movabs	$0x123456789000, %rax
	mov	%rax, MAILBOX + 8
	movw	$1, MAILBOX
1:	pause
	jmp	1b
