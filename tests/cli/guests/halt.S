/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Waits with interrupts off for what never comes. */
#include "guest.inc"
	.globl _start
_start:
	hello
	cli
1:	hlt
	jmp	1b
