/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The stub: all the code of ours that shares an address space with the guest.
 * Owns the one page of text at STUB_TEXT, mapped readable and executable.
 *
 * It runs as a signal handler. When the guest does anything that the kernel
 * answers with a signal, the handler tells the monitor, waits, carries out the
 * monitor's commands (mmap, munmap, ...), and returns from the signal with the
 * registers that the monitor has put into the frame.
 *
 * The guest can jump to any byte of this page with any registers. So the code
 *  - addresses memory by RIP only, and trusts no register across a system call;
 *  - takes every value that it acts on from the control page, which the guest
 *    can not write;
 *  - checks after each command that the command executed was one of the
 *    monitor's (M2), and otherwise stops for good;
 *  - has one SYSCALL instruction per purpose: the seccomp filter knows their
 *    addresses and allows each nothing but its purpose.
 * All memory accesses are aligned: RFLAGS.AC is the guest's. The stack is used
 * for nothing but loading RFLAGS.
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
	.globl	stub_after_write, stub_after_read, stub_after_command, stub_after_sigreturn

stub_text:
/* Where the zygote jumps when all is set up: the first stop, which shows the
 * monitor a frame as this kernel makes them. */
stub_birth:
	ud2

	.balign	16
stub_handler:
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
	cmpq	$8, %rax
	jne	stub_die

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
	/* M2: whoever came here with registers of his own goes no further. */
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
	cmpl	$0, CONTROL(ENTER)
	jne	enter
	movl	$STOP_COMMANDS_DONE, RECORD(REASON)
	jmp	stop

/* The monitor has checked that these selectors and bases can be loaded. */
enter:
	movw	CONTROL(DS), %ds
	movw	CONTROL(ES), %es
	movw	CONTROL(FS), %fs
	movw	CONTROL(GS), %gs
	movq	CONTROL(FS_BASE), %rax
	wrfsbase %rax
	movq	CONTROL(GS_BASE), %rax
	wrgsbase %rax
	leaq	RECORD(STACK_TOP), %rsp
	pushq	CONTROL(RFLAGS)
	popfq
	movq	CONTROL(FRAME), %rsp
	movl	$__NR_rt_sigreturn, %eax
	syscall
stub_after_sigreturn:

/* The end of a stub that was tampered with: SIGILL, which is fatal where it is
 * blocked and a stop inside the stub's own text where it is not. */
stub_die:
	ud2
	jmp	stub_die

	/* Syscall User Dispatch allows what returns into the page: keep its end clear. */
	.balign	4096, 0xcc
	.globl	stub_text_end
stub_text_end:

	.section .note.GNU-stack, "", @progbits
