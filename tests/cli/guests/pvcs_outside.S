/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Puts its PVCS outside memory. That must fail; there is no PVCS when the event comes. */
#include "guest.inc"
	.globl _start
_start:
	wrmsr_hc MSR_PVM_VCPU_STRUCT, 0x7ffffff000
	test	%rax, %rax
	jz	1f
	ud2
1:	exit	0
