/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* M7: names an event entry in the host's half, which is refused; the old one holds. */
#include "guest.inc"
	.globl _start
_start:
	event_setup
	wrmsr_hc MSR_PVM_EVENT_ENTRY, 0xffffffff81000000
	test	%rax, %rax
	jz	1f
	ud2
1:	exit	0
handler:
	exit	SURVIVED
	event_entries
