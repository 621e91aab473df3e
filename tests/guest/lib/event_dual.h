/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Events in dual CR3, for event.S: the hypervisor changes stacks, and an event in
 * supervisor mode with a vector below 32 leaves its frame on the stack.
 *
 * spec: Vector events in supervisor mode; EVENT_RETURN_SUPERVISOR
 */

/* user_enter: @user is on top of the stack, where EVENT_RETURN_USER leaves RSP. */
.macro REMEMBER_STACK user
	movq	%rsp, USER_RETURN_RSP(%\user)
.endm

.macro TAKE_USER_STACK
.endm

.macro TAKE_SUPERVISOR_STACK
.endm

.macro SAVE_ENTRY_RSP user
	movq	%rsp, USER_ENTRY_RSP(%\user)
.endm

.macro SUPERVISOR_ENTRIES
	/* Vectors below 32 in supervisor mode: the frame is on the stack. */
	.org	event_entry + PVM_ENTRY_SUPERVISOR_EXCEPTION
	.type	supervisor_exception_entry, @function
supervisor_exception_entry:
	.cfi_startproc
	FRAME_AT_RSP
	pushfq
	.cfi_adjust_cfa_offset 8
	SAVE_REGISTERS
	movq	%rsp, %rdi
	call	supervisor_exception
	jmp	event_return
	.cfi_endproc
	.size	supervisor_exception_entry, . - supervisor_exception_entry

	/* Vectors from 32 in supervisor mode: the same frame, made from the PVCS. */
	.org	event_entry + PVM_ENTRY_SUPERVISOR_INTERRUPT
	.type	supervisor_interrupt_entry, @function
supervisor_interrupt_entry:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_undefined rip
	pushq	%gs:CPU_PVCS + PVCS_R11
	pushq	%gs:CPU_PVCS + PVCS_RCX
	pushq	$0				/* SS: not saved, and ignored on return */
	pushq	%gs:CPU_PVCS + PVCS_RSP
	pushq	%gs:CPU_PVCS + PVCS_EFLAGS
	movl	$0, 4(%rsp)			/* PVCS::pkru came along */
	pushq	$0				/* CS, as SS */
	pushq	%gs:CPU_PVCS + PVCS_RIP
	pushq	%gs:CPU_PVCS + PVCS_EVENT_ERRCODE	/* and event_vector above it */
	movl	$0, (%rsp)			/* no vector from 32 has an error code */
	FRAME_AT_RSP
	pushfq
	.cfi_adjust_cfa_offset 8
	SAVE_REGISTERS
	movq	%rsp, %rdi
	call	supervisor_interrupt
	/* falls through */

event_return:			/* RSP at a struct frame */
	RESTORE_REGISTERS
	.globl	rets_syscall
rets_syscall:
	syscall			/* EVENT_RETURN_SUPERVISOR */
	.size	rets_syscall, . - rets_syscall
	ud2
	.size	event_return, . - event_return
	.cfi_endproc
	.size	supervisor_interrupt_entry, . - supervisor_interrupt_entry
.endm
