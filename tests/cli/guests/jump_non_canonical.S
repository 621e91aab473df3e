/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Jumps to an address that is none. */
#include "guest.inc"
	.globl _start
_start:
	movabs	$0x8000123456789000, %rax
	jmp	*%rax
