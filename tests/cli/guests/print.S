/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Prints for ever: for a console that takes nothing. */
#include "guest.inc"
	.globl _start
_start:
	hello
	jmp	_start
