/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Run with 17 MiB: the last large page of the start tables is half outside memory. */
#include "guest.inc"
	.globl _start
_start:
	movl	$1, 0x1180000
	exit	0
