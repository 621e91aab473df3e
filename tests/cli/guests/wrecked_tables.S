/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Overwrites the tables it runs on with random bytes, and flushes. */
#include "guest.inc"
	.globl _start
_start:
	event_setup
	movabs	$0x2545f4914f6cdd1d, %r15
	mov	%cr3, %rdi
	mov	$(3 * 512), %ecx
1:	random
	mov	%r15, (%rdi)
	add	$8, %rdi
	dec	%ecx
	jnz	1b
	hypercall PVM_HC_TLB_FLUSH
handler:
	exit	0
	event_entries
