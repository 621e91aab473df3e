/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The stub: all the code of ours that shares an address space with the guest.
 * Owns the one page of text at STUB_TEXT, mapped readable and executable.
 *
 * It runs as a signal handler. When the guest does anything that the kernel
 * answers with a signal, the handler tells the monitor, waits, carries out the
 * monitor's commands (mmap, munmap, ...), and lets the guest go on with the
 * registers that the monitor has put into the control page or the frame.
 *
 * The guest can jump to any byte of this page with any registers. So the code
 *  - addresses memory by RIP only, and trusts no register across a system call;
 *  - takes every value that it acts on from the control page, which the guest
 *    can not write;
 *  - checks after each command that the command executed was one of the
 *    monitor's (M2), and otherwise stops for good;
 *  - has one SYSCALL instruction per purpose: the seccomp filter knows their
 *    addresses and allows each nothing but its purpose.
 * All memory accesses are aligned: RFLAGS.AC is the guest's.
 *
 * Signals are not blocked here, but for the kick in the handler of a kick. That
 * way the guest can go on without rt_sigreturn, which costs as much as the rest
 * of a stop. A kick that comes meanwhile must not be lost: between the go and
 * the guest (resume_begin to resume_end) it ends the run before it began;
 * elsewhere it is noted, and looked at after the go.
 */
#include "protocol.h"

#define __NR_read		0
#define __NR_write		1
#define __NR_rt_sigreturn	15

#define CONTROL(field)	(stub_text + STUB_CONTROL_OFFSET + CONTROL_##field)(%rip)
#define RECORD(field)	(stub_text + STUB_SHARED_OFFSET + RECORD_##field)(%rip)

	.section .stub, "ax", @progbits
	.balign	4096
	.globl	stub_text, stub_birth, stub_handler, stub_die
	.globl	stub_after_nested, stub_after_write, stub_after_read
	.globl	stub_after_command, stub_after_sigreturn

stub_text:
/* Where the zygote jumps when all is set up: the first stop, which shows the
 * monitor a frame as this kernel makes them. */
stub_birth:
	ud2

	.balign	16
stub_handler:
	movq	SIGFRAME_RIP(%rsp), %rax
	leaq	stub_text(%rip), %rcx
	subq	%rcx, %rax
	cmpq	$STUB_TEXT_SIZE, %rax
	jae	from_guest

	/* In our own text. The CPU's doing is the guest's: the monitor decides. */
	cmpl	$STUB_SIGNAL_KICK, %edi
	je	nested_kick
	cmpl	$0, SIGFRAME_CODE(%rsp)
	jg	from_guest
	jmp	nested_return
nested_kick:
	cmpq	$(resume_begin - stub_text), %rax
	jb	nested_note
	cmpq	$(resume_end - stub_text), %rax
	jae	nested_note
was_kicked:
	movl	$0, RECORD(KICKED)
	movl	$STOP_KICKED, RECORD(REASON)
	jmp	stop
nested_note:
	movl	$1, RECORD(KICKED)
nested_return:
	addq	$8, %rsp
	movl	$__NR_rt_sigreturn, %eax
	syscall
stub_after_nested:
	ud2

from_guest:
	movq	%rsp, RECORD(FRAME)
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
	movl	$__NR_read, %eax
	movl	$STUB_FD_GO, %edi
	leaq	RECORD(GO), %rsi
	movl	$8, %edx
	syscall
stub_after_read:
resume_begin:
	cmpq	$8, %rax
	jne	stub_die
	cmpl	$0, RECORD(KICKED)
	jne	was_kicked

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
stub_after_command:
	/* M2: a guest that jumped here with registers of its own goes no further. */
	cmpl	CONTROL(COUNT), %ebx
	jae	stub_die
	movl	%ebx, %ebp
	shll	$CONTROL_COMMAND_SHIFT, %ebp
	leaq	CONTROL(COMMANDS), %r12
	addq	%rbp, %r12
	cmpq	COMMAND_ARG0(%r12), %rdi
	jne	stub_die
	cmpq	COMMAND_ARG1(%r12), %rsi
	jne	stub_die
	cmpq	COMMAND_ARG2(%r12), %rdx
	jne	stub_die
	cmpq	COMMAND_ARG3(%r12), %r10
	jne	stub_die
	cmpq	COMMAND_ARG4(%r12), %r8
	jne	stub_die
	cmpq	COMMAND_ARG5(%r12), %r9
	jne	stub_die
	cmpq	$-4095, %rax
	jae	command_failed
	incl	%ebx
	jmp	next_command

command_failed:
	movl	%ebx, RECORD(COMMAND)
	movq	%rax, RECORD(RESULT)
	movl	$STOP_COMMAND, RECORD(REASON)
	jmp	stop

commands_done:
	cmpl	$ENTER_NOT, CONTROL(ENTER)
	jne	enter
	movl	$STOP_COMMANDS_DONE, RECORD(REASON)
	jmp	stop

/* The monitor has checked that all of this can be loaded. */
enter:
	movw	CONTROL(DS), %ds
	movw	CONTROL(ES), %es
	movw	CONTROL(FS), %fs
	movw	CONTROL(GS), %gs
	movq	CONTROL(FS_BASE), %rax
	wrfsbase %rax
	movq	CONTROL(GS_BASE), %rax
	wrgsbase %rax
	/* Stays on the signal stack, below the frame, which a signal that comes
	 * now would else overwrite. Pushes go where the frame has its restorer. */
	movq	CONTROL(FRAME), %rsp
	cmpl	$ENTER_DIRECT, CONTROL(ENTER)
	jne	enter_by_sigreturn

	movq	CONTROL(XSTATE), %rcx
	movl	CONTROL(XFEATURES), %eax
	movl	CONTROL(XFEATURES + 4), %edx
	xrstor64 (%rcx)
	pushq	CONTROL(RFLAGS)
	popfq
	movq	CONTROL(GPR), %rax
	movq	CONTROL(GPR + 8), %rcx
	movq	CONTROL(GPR + 16), %rdx
	movq	CONTROL(GPR + 24), %rbx
	movq	CONTROL(GPR + 40), %rbp
	movq	CONTROL(GPR + 48), %rsi
	movq	CONTROL(GPR + 56), %rdi
	movq	CONTROL(GPR + 64), %r8
	movq	CONTROL(GPR + 72), %r9
	movq	CONTROL(GPR + 80), %r10
	movq	CONTROL(GPR + 88), %r11
	movq	CONTROL(GPR + 96), %r12
	movq	CONTROL(GPR + 104), %r13
	movq	CONTROL(GPR + 112), %r14
	movq	CONTROL(GPR + 120), %r15
	movq	CONTROL(GPR + 32), %rsp
	jmp	*CONTROL(RIP)

enter_by_sigreturn:
	pushq	CONTROL(RFLAGS)
	popfq
	movl	$__NR_rt_sigreturn, %eax
	syscall
stub_after_sigreturn:
resume_end:

/* The end of a stub that was tampered with: SIGILL, a stop inside the stub's own
 * text, after which the monitor kills it. */
stub_die:
	ud2
	jmp	stub_die

	/* Syscall User Dispatch allows what returns into the page: keep its end clear. */
	.balign	4096, 0xcc
	.globl	stub_text_end
stub_text_end:

	.section .note.GNU-stack, "", @progbits
