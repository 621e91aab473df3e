/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Sends back what it reads, slower than it comes in; Q ends it. Without the FIFO, because to enable that
 * clears it. */
#include "guest.inc"
	.globl _start
_start:
	hello
1:	mov	$20000, %ecx
2:	dec	%ecx
	jnz	2b
	mov	$SERIAL_PORT + 5, %edx
	in	(%dx), %al
	test	$1, %al
	jz	1b
	mov	$SERIAL_PORT, %edx
	in	(%dx), %al
	out	%al, (%dx)
	cmp	$'Q', %al
	jne	1b
	exit	0
