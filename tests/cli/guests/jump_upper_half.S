/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Jumps into the half of the address space that is the host's. */
#include "guest.inc"
	.globl _start
_start:
	mov	$0xffffffff81000000, %rax
	jmp	*%rax
