/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Says that it runs, and never exits. */
#include "guest.inc"
	.globl _start
_start:
	hello
1:	jmp	1b
