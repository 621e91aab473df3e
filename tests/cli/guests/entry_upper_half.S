/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Names an event entry in the host's half, then makes an event. */
#include "guest.inc"
	.globl _start
_start:
	event_setup
	wrmsr_hc MSR_PVM_EVENT_ENTRY, 0xffffffff81000000
	ud2
handler:
	exit	0
	event_entries
