/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* An exception with a stack pointer that is no address. */
#include "guest.inc"
	.globl _start
_start:
	event_setup
	movabs	$0x8000000000000000, %rsp
	ud2
handler:
	exit	0
	event_entries
