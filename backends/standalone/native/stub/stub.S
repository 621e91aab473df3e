/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The stub: all the code of ours that shares an address space with the guest.
 * Owns the one page of text at STUB_TEXT, mapped readable and executable.
 *
 * Two threads execute it. The guest's thread runs as a signal handler: when the
 * guest does anything that the kernel answers with a signal, the handler tells the
 * monitor, waits, and lets the guest go on with the registers that the monitor has
 * put into the control pages. The mapper carries out the monitor's commands (mmap,
 * munmap, ...) and does nothing else; signals are blocked in it, and what it acts
 * on are the control page and its registers.
 *
 * The two stubs of a pair can hand the vCPU over to each other, where the control page says so: a
 * user's system call to the supervisor's stub, EVENT_RETURN_USER back. handover.c does what
 * the engine would do.
 *
 * The guest can jump to any byte of this page with any registers. What that
 * comes to:
 *  - of the system calls here its thread's filter allows six, each from one
 *    instruction with one set of arguments: say stop, hand over, say that it waits, wait for
 *    the go, arm the signal stack, unblock all signals. The first three lead to the fourth
 *    whatever the registers are. The others do nothing in a thread that runs the guest: there the stack is
 *    armed and no signal blocked.
 *  - a thread that has said stop, or handed over, executes no guest instruction before
 *    the next go: from there every way, signals included, leads to the wait.
 *  - a user program that jumps to the hand-over executes a system call with registers of its
 *    choice. Where the monitor does not expect that, the other stub does not take it: it finds
 *    no hand-over in its control page, and waits on. The user's stub waits then, too, until
 *    the next kick ends it.
 *  - a kick always ends the run. Honest code of this page, but for the last steps
 *    before the guest, runs with signals blocked, so that a signal finds the
 *    thread here only when the guest has jumped here; the handler ends the process
 *    then. So a stop is said, or the vCPU handed over, once for each go that was taken,
 *    and by nothing that the guest could have changed since.
 *  - rsp may have any value at any time, also that of a guest kernel that goes back to
 *    a user program with its rsp. The signal stack disarms itself (SS_AUTODISARM), so
 *    that Linux never takes rsp for a place in it and all frames are at its top.
 * All memory accesses are aligned: RFLAGS.AC is the guest's.
 */
#include "protocol.h"

#define __NR_read		0
#define __NR_write		1
#define __NR_rt_sigprocmask	14
#define SIG_SETMASK		2
#define SIGSET_SIZE		8
#define __NR_sigaltstack	131

#define CONTROL(field)	(stub_text + STUB_CONTROL_OFFSET + CONTROL_##field)(%rip)
#define RECORD(field)	(stub_text + STUB_SHARED_OFFSET + RECORD_##field)(%rip)
#define R(field)	REGISTERS_##field(%rbx)

	.section .stub, "ax", @progbits
	.balign	4096
	.globl	stub_text, stub_start, stub_handler, stub_die, stub_mapper
	.globl	stub_after_write, stub_after_hand_over, stub_after_rest, stub_after_read
	.globl	stub_after_arm, stub_after_unblock
	.globl	stub_no_signals, stub_altstack, stub_by_peer

stub_text:
/* The first stop, which shows the monitor a frame as this kernel makes them. */
stub_birth:
	ud2

/* Where the zygote jumps when all is set up. N1: with all signals blocked, so that none, whoever sends
 * it, is taken for the first stop of a thread that has no filter yet. */
stub_start:
	movl	$ENTER_BIRTH, %r14d
	jmp	unblock

	.balign	16
stub_handler:
	movq	%rsp, RECORD(FRAME)
	movq	SIGFRAME_RIP(%rsp), %rax
	leaq	stub_text(%rip), %rcx
	subq	%rcx, %rax
	cmpq	$STUB_TEXT_SIZE, %rax
	jae	was_running
	testq	%rax, %rax
	jz	was_running		/* stub_birth */
	/* M9, M10: in our own text, but not on the way to the guest, or by the CPU's
	 * doing: the guest has jumped here, and perhaps a stop was said and believed. It
	 * must not be said again, for a run that has not begun. */
	cmpq	$(stub_after_unblock - stub_text), %rax
	jb	stub_die
	cmpq	$(resume_end - stub_text), %rax
	jae	stub_die
	cmpl	$0, SIGFRAME_CODE(%rsp)
	jg	stub_die
	movl	$STOP_KICKED, RECORD(REASON)
	jmp	stop

was_running:
	rdfsbase %rax
	movq	%rax, RECORD(FS_BASE)
	rdgsbase %rax
	movq	%rax, RECORD(GS_BASE)
	movl	%ds, %eax
	movl	%eax, RECORD(DS)
	movl	%es, %eax
	movl	%eax, RECORD(ES)
	movl	%fs, %eax
	movl	%eax, RECORD(FS)
	movl	%gs, %eax
	movl	%eax, RECORD(GS)
	movl	$STOP_SIGNAL, RECORD(REASON)
	cmpl	$HANDOVER_NOT, CONTROL(HANDOVER)
	je	stop
	movq	%rsp, %rdi
	subq	$8, %rsp		/* as C has it before a call */
	call	stub_hand_over
	testl	%eax, %eax
	jz	stop
	movl	$__NR_write, %eax
	movl	$STUB_FD_PEER, %edi
	leaq	stub_by_peer(%rip), %rsi
	movl	$8, %edx
	syscall
stub_after_hand_over:
	cmpq	$8, %rax
	jne	stub_die
	jmp	wait

/* Tell the monitor, with the number of this run, and wait. The kernel takes
 * the number from the control page: a message can be sent early only by coming
 * here, and coming here ends the run. */
stop:
	movl	$__NR_write, %eax
	movl	$STUB_FD_STOP, %edi
	leaq	CONTROL(TURN), %rsi
	movl	$8, %edx
	syscall
stub_after_write:
	cmpq	$8, %rax
	jne	stub_die
wait:
	movl	$__NR_read, %eax
	movl	$STUB_FD_GO, %edi
	leaq	RECORD(GO), %rsi
	movl	$8, %edx
	syscall
stub_after_read:
	cmpq	$8, %rax
	jne	stub_die
	testl	$GO_QUERY_BIT, RECORD(GO + 4)
	jnz	rest
	/* What to load: rbx the registers, r12 the extended state, r13 its parts, r15d
	 * PKRU apart? r14d how to enter. */
	leaq	CONTROL(REGISTERS), %rbx
	leaq	CONTROL(XSTATE), %r12
	movq	CONTROL(XFEATURES), %r13
	movl	CONTROL(ENTER), %r14d
	xorl	%r15d, %r15d
	cmpl	$0, RECORD(GO + 4)
	jne	go			/* GO_BY_MONITOR */
	/* Handed over; or only said so by a guest. */
	cmpl	$HANDOVER_NOT, CONTROL(HANDOVER)
	je	wait
	movq	CONTROL(HANDED_XSTATE), %r12
	movq	CONTROL(HANDED_XFEATURES), %r13
	movl	CONTROL(HAS_PKRU), %r15d
	movl	$ENTER_IRET, %r14d
	leaq	(stub_text + STUB_HANDED_OFFSET)(%rip), %rbx
	cmpl	$HANDOVER_SUPERVISOR, CONTROL(HANDOVER)
	jne	go
	leaq	RECORD(REGISTERS), %rbx
	call	stub_take_over
	testl	%eax, %eax
	jnz	go
	movl	$STOP_BAD_PEER, RECORD(REASON)
	jmp	stop

/* The monitor asks, because the other stub is dead. */
rest:
	movl	$__NR_write, %eax
	movl	$STUB_FD_STOP, %edi
	leaq	CONTROL(REST), %rsi
	movl	$8, %edx
	syscall
stub_after_rest:
	cmpq	$8, %rax
	jne	stub_die
	jmp	wait

go:
	movl	$__NR_sigaltstack, %eax
	leaq	stub_altstack(%rip), %rdi
	xorl	%esi, %esi
	syscall
stub_after_arm:
	testq	%rax, %rax
	jnz	stub_die
unblock:
	movl	$__NR_rt_sigprocmask, %eax
	movl	$SIG_SETMASK, %edi
	leaq	stub_no_signals(%rip), %rsi
	xorl	%edx, %edx
	movl	$SIGSET_SIZE, %r10d
	syscall
stub_after_unblock:
	testq	%rax, %rax
	jnz	stub_die
	cmpl	$ENTER_BIRTH, %r14d
	je	stub_birth
	/* The monitor, or the supervisor's stub, has checked that all of this can be loaded. */
	movw	R(DS), %ds
	movw	R(ES), %es
	movw	R(FS), %fs
	movw	R(GS), %gs
	movq	R(FS_BASE), %rax
	wrfsbase %rax
	movq	R(GS_BASE), %rax
	wrgsbase %rax
	leaq	R(FLAGS), %rsp
	popfq
	movl	%r13d, %eax
	movq	%r13, %rdx
	shrq	$32, %rdx
	xrstor64 (%r12)
	/* Below, memory with protection key 0 may be out of reach. */
	cmpl	$ENTER_IRET, %r14d
	jne	enter_traced
	testl	%r15d, %r15d
	jz	1f
	movl	R(PKRU), %eax		/* never without key 0, here */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	wrpkru
1:	movq	R(GPR), %rax
	movq	R(GPR + 8), %rcx
	movq	R(GPR + 16), %rdx
	movq	R(GPR + 40), %rbp
	movq	R(GPR + 48), %rsi
	movq	R(GPR + 56), %rdi
	movq	R(GPR + 64), %r8
	movq	R(GPR + 72), %r9
	movq	R(GPR + 80), %r10
	movq	R(GPR + 88), %r11
	movq	R(GPR + 96), %r12
	movq	R(GPR + 104), %r13
	movq	R(GPR + 112), %r14
	movq	R(GPR + 120), %r15
	leaq	R(IRET), %rsp
	movq	R(GPR + 24), %rbx
	iretq

enter_traced:
	int3
resume_end:

/* The end of a stub that was tampered with: SIGILL, which is blocked in handlers, and
 * the kernel ends the process; elsewhere the handler comes back here. */
stub_die:
	ud2
	jmp	stub_die

/* ------------------------------------------------------------------------
 * The mapper. A guest that jumps here executes system calls that its thread's
 * filter answers with SIGSYS.
 */
stub_mapper:
	xorl	%r15d, %r15d		/* the order that was carried out last */
next_order:
	movl	$__NR_read, %eax
	movl	$STUB_FD_ORDER, %edi
	leaq	RECORD(ORDER), %rsi
	movl	$8, %edx
	syscall
	cmpq	$8, %rax
	jne	stub_die

	/* One order may be said twice, and one be said over another, or withdrawn: 0. */
	movq	CONTROL(ORDER), %rax
	cmpq	%r15, %rax
	je	next_order
	testq	%rax, %rax
	jz	next_order
	movq	%rax, %r15
	js	settled
	xorl	%ebx, %ebx
next_command:
	cmpl	CONTROL(COUNT), %ebx
	jae	commands_done
	movl	%ebx, %ebp
	shll	$CONTROL_COMMAND_SHIFT, %ebp
	leaq	CONTROL(COMMANDS), %r12
	addq	%rbp, %r12
	movq	COMMAND_NR(%r12), %rax
	movq	COMMAND_ARG0(%r12), %rdi
	movq	COMMAND_ARG1(%r12), %rsi
	movq	COMMAND_ARG2(%r12), %rdx
	movq	COMMAND_ARG3(%r12), %r10
	movq	COMMAND_ARG4(%r12), %r8
	movq	COMMAND_ARG5(%r12), %r9
	syscall
	cmpq	$-4095, %rax
	jae	command_failed
	incl	%ebx
	jmp	next_command

commands_done:
	xorl	%eax, %eax
	cmpl	$THEN_GO, CONTROL(THEN)
	jne	tell
	movl	$STUB_FD_GO, %edi
	leaq	stub_by_monitor(%rip), %rsi
	jmp	say

settled:
	movl	$STUB_FD_STOP, %edi
	leaq	stub_settled(%rip), %rsi
	jmp	say

/* Results are told from this table: no memory that the guest can write. */
command_failed:
	negq	%rax
	cmpq	$MESSAGE_ERRNO_MAX, %rax
	jbe	tell
	movl	$MESSAGE_ERRNO_MAX, %eax
tell:
	movl	$STUB_FD_STOP, %edi
	leaq	results(%rip), %rsi
	leaq	(%rsi, %rax, 8), %rsi
say:
	movl	$__NR_write, %eax
	movl	$8, %edx
	syscall
	cmpq	$8, %rax
	jne	stub_die
	jmp	next_order

	.balign	16, 0xcc
stub_no_signals:
	.quad	0
stub_altstack:		/* stack_t */
	.quad	STUB_ALTSTACK
	.long	STUB_ALTSTACK_FLAGS, 0
	.quad	STUB_ALTSTACK_SIZE
stub_by_monitor:
	.quad	GO_BY_MONITOR
stub_by_peer:
	.quad	GO_BY_PEER
stub_settled:
	.quad	MESSAGE_SETTLED
results:
	.set	result, 0
	.rept	MESSAGE_ERRNO_MAX + 1
	.quad	MESSAGE_MAPPER + result
	.set	result, result + 1
	.endr

	.section .note.GNU-stack, "", @progbits
