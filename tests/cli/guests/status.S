/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Echoes its console input up to a newline and exits with 0 if it was "ok", else 7. */
#include "guest.inc"
	.globl _start
_start:
	xor	%ebx, %ebx
1:	mov	$SERIAL_PORT + 5, %edx
	in	(%dx), %al
	test	$1, %al
	jz	1b
	mov	$SERIAL_PORT, %edx
	in	(%dx), %al
	out	%al, (%dx)
	shl	$8, %ebx
	mov	%al, %bl
	cmp	$'\n', %al
	jne	1b
	cmp	$('o' << 16 | 'k' << 8 | '\n'), %ebx
	jne	2f
	exit	0
2:	exit	7
