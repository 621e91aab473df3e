/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Events in single CR3, for event.S: all state is in the PVCS, whose lock is held
 * from the delivery on, RSP is what it was, and the way back is the guest's own.
 * GS is the supervisor's in every entry, so that struct cpu is there to save in.
 *
 * docs/decisions/110-single-cr3.md
 */
#define PVCS(field)	%gs:CPU_PVCS + OF_PVCS(field)
#define PVCS_LOCK	%gs:CPU_PVCS + OF_PVCS(EVENT_VECTOR) + 1	/* its high byte */

/* user_enter: @user is on top of the stack, which the next entry takes again. */
.macro REMEMBER_STACK user
	movq	%rsp, %gs:CPU_SUPERVISOR_RSP
	movq	USER_RSP(%\user), %rax
	movq	%rax, USER_RETURN_RSP(%\user)
	movq	%rax, %gs:CPU_USER_RSP
.endm

.macro TAKE_USER_STACK
	movq	%gs:CPU_USER_RSP, %rsp
.endm

.macro TAKE_SUPERVISOR_STACK
	movq	%rsp, %gs:CPU_USER_RSP
	movq	%gs:CPU_SUPERVISOR_RSP, %rsp
.endm

.macro SAVE_ENTRY_RSP user
	pushq	%gs:CPU_USER_RSP
	.cfi_adjust_cfa_offset 8
	popq	USER_ENTRY_RSP(%\user)
	.cfi_adjust_cfa_offset -8
.endm

/*
 * RSP: below what the interrupted code has, or, if that was an EVENT_RETURN_USER
 * that is refused, where RSP is the user's already, the stack it was called on.
 * Changes no flag; RCX and R11 are free.
 */
.macro FIND_STACK
	leaq	retu_syscall(%rip), %rcx
	notq	%rcx
	movq	PVCS(RIP), %r11
	leaq	1(%rcx, %r11), %rcx		/* rip - retu_syscall */
	jrcxz	781f
	leaq	-ENTRY_STEP(%rsp), %rsp
	jmp	782f
781:	movq	%gs:CPU_SUPERVISOR_RSP, %rsp
782:
.endm

/* The frame that C knows, made from the PVCS. R11: RFLAGS at the entry. */
.macro PUSH_FRAME
	pushq	PVCS(R11)
	pushq	PVCS(RCX)
	pushq	$0				/* SS: not saved */
	pushq	%gs:CPU_ENTRY_RSP
	pushq	PVCS(EFLAGS)
	movl	$0, 4(%rsp)			/* PVCS::pkru came along */
	pushq	$0				/* CS, as SS */
	pushq	PVCS(RIP)
	movzwl	PVCS(EVENT_ERRCODE), %ecx
	pushq	%rcx
	movw	$0, PVCS(EVENT_ERRCODE)		/* for the next vector without one */
	movzbl	PVCS(EVENT_VECTOR), %ecx
	movl	%ecx, 4(%rsp)
	FRAME_AT_RSP
	pushq	%r11
	.cfi_adjust_cfa_offset 8
	pushq	%gs:CPU_ENTRY_R11
	.cfi_adjust_cfa_offset 8
	pushq	%gs:CPU_ENTRY_RCX
	.cfi_adjust_cfa_offset 8
	PUSH_GENERAL
.endm

/* Where to, from the frame at RSP: everything in its place without the hypervisor.
 * RIP waits below the target's red zone. It sets neither RF nor TF. */
.macro RETURN_BY_ITSELF
	movq	PVM_FRAME_RIP(%rsp), %rcx
	movq	PVM_FRAME_RSP(%rsp), %r11
	leaq	-RETURN_SLOT(%r11), %r11
	movq	%rcx, (%r11)
	movq	%r11, PVM_FRAME_RSP(%rsp)
	pushq	PVM_FRAME_RFLAGS(%rsp)
	popfq
	movq	PVM_FRAME_RCX(%rsp), %rcx
	movq	PVM_FRAME_R11(%rsp), %r11
	movq	PVM_FRAME_RSP(%rsp), %rsp
	ret	$RETURN_SLOT - 8
.endm

/* The same through the PVCS, with IF clear. The hypervisor gives the lock back. */
.macro RETURN_BY_HYPERVISOR
	movb	$PVM_SC_VECTOR_STD >> 8, %cl
	lock orb %cl, PVCS_LOCK
	movl	PVM_FRAME_RFLAGS(%rsp), %ecx
	movl	%ecx, PVCS(EFLAGS)
	movq	PVM_FRAME_RIP(%rsp), %rcx
	movq	%rcx, PVCS(RIP)
	movq	PVM_FRAME_RCX(%rsp), %rcx
	movq	%rcx, PVCS(RCX)
	movq	PVM_FRAME_R11(%rsp), %rcx
	movq	%rcx, PVCS(R11)
	movq	PVM_FRAME_RSP(%rsp), %rsp
	.globl	rets_syscall
rets_syscall:
	syscall			/* EVENT_RETURN_SUPERVISOR */
	.size	rets_syscall, . - rets_syscall
	ud2
.endm

.macro SUPERVISOR_ENTRIES
	.org	event_entry + PVM_SC_ENTRY_SUPERVISOR
	.type	supervisor_entry, @function
supervisor_entry:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_undefined rip
	movq	%rcx, %gs:CPU_ENTRY_RCX
	movq	%r11, %gs:CPU_ENTRY_R11
	movq	%rsp, %gs:CPU_ENTRY_RSP
	FIND_STACK
	pushfq
	popq	%r11
	andq	$-16, %rsp
	PUSH_FRAME
	xorl	%esi, %esi
	xchgb	%sil, PVCS_LOCK		/* all is saved: further events may come */
	movq	%rsp, %rdi
	call	supervisor_event
	testb	%al, %al
	jnz	1f
	RESTORE_REGISTERS
	.cfi_remember_state
	RETURN_BY_ITSELF
1:	.cfi_restore_state
	.cfi_adjust_cfa_offset 8 * FRAME_PUSHED_WORDS
	RESTORE_REGISTERS
	RETURN_BY_HYPERVISOR
	.cfi_endproc
	.size	supervisor_entry, . - supervisor_entry
.endm
