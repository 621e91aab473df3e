/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The PVM guest's way into user mode and its entries from there, as short as can be: OWN_* of
 * ops_pvm.h count their instructions. Supervisor mode's events go to the guest library.
 */
#include "abi.h"
#include "layout.h"
#include "x86.h"

#include "entry.h"

	.text

/* u32 user_enter_measured(void): the PVCS is filled. */
	.globl	user_enter_measured
user_enter_measured:
	PUSH_KEPT
	movq	%rsp, kernel_rsp(%rip)
	movq	user_argument(%rip), %rdi
	rdtsc
	movl	%eax, %r8d
	.globl	bench_return
bench_return:
	syscall				/* EVENT_RETURN_USER: RSP is the stack of the next entry */
	ud2

	.globl	bench_syscall
bench_syscall:
	testl	%eax, %eax		/* USER_LEAVE */
	jnz	bench_return
leave:
	movq	kernel_rsp(%rip), %rsp
	POP_KEPT
	ret

	.balign	256
	.globl	bench_event
bench_event:				/* + PVM_ENTRY_USER */
	cmpl	$VEC_PF, %gs:CPU_PVCS + PVCS_EVENT_VECTOR
	jne	1f
	ANSWER_PAGE_FAULT %gs:CPU_PVCS + PVCS_CR2
	jmp	bench_return
1:	movl	$PVM_HC_WRMSR, %eax
	movl	$MSR_X2APIC_EOI, %ebx
	xorl	%r10d, %r10d
	syscall
	rdtsc
	subl	%r8d, %eax		/* which user mode has left alone */
	jmp	leave

	.org	bench_event + PVM_ENTRY_SUPERVISOR_EXCEPTION
	jmp	event_entry + PVM_ENTRY_SUPERVISOR_EXCEPTION
	.org	bench_event + PVM_ENTRY_SUPERVISOR_INTERRUPT
	jmp	event_entry + PVM_ENTRY_SUPERVISOR_INTERRUPT

	.bss
	.balign	8
kernel_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
