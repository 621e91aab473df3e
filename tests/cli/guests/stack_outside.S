/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* An exception with a stack that is nowhere: there is no place for the frame. */
#include "guest.inc"
	.globl _start
_start:
	event_setup
	movabs	$0x123456789000, %rsp
	ud2
handler:
	exit	0
	event_entries
