/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The last instructions before the guest, and the ways to the host of a SYSCALL: what the
 * direct switches of every guest ABI (abi/NAME/direct.S) end in. Part of entry.S, which
 * puts the ABI whose system call is to be fastest directly before this file.
 */

/*
 * The tails: the last instructions before the guest. In: in the switcher. An NMI or
 * #MC in here starts the tail again (vectors.S), so every instruction only loads; the
 * test of what is pending is thus the last word before the guest (S12).
 *
 * After a user SYSCALL; LSTAR is canonical (S1: PVM_INHIBIT_ENTRY).
 */
PLACE pvm_switcher_tail_syscall
	cmpl	$0, C(PENDING)
	jne	tail_syscall_blocked
	movq	C(LSTAR), %rcx
	movl	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), %r11d	/* S2 */
	movq	C(RAX), %rax
	movq	C(RDX), %rdx
	movq	C(SUPERVISOR_RSP), %rsp
PLACE pvm_switcher_sysret_syscall
	sysretq

/* With SYSRET: rcx and r11 are frame.rip and .rflags, CS and SS the 64-bit pair. */
PLACE pvm_switcher_tail_sysret
	cmpl	$0, C(PENDING)
	jne	tail_sysret_blocked
	movq	C(RIP), %rcx
	movq	C(RFLAGS), %r11
	movq	C(RAX), %rax
	movq	C(RDX), %rdx
	movq	C(RSP), %rsp
PLACE pvm_switcher_sysret
	sysretq

/* With IRET: C(RCX), C(R11) and the whole frame. */
PLACE pvm_switcher_tail_iret
	cmpl	$0, C(PENDING)
	jne	kick_to_host
	movq	C(RAX), %rax
	movq	C(RCX), %rcx
	movq	C(RDX), %rdx
	movq	C(R11), %r11
	addq	$(CPU_RIP - CPU_FRAME), %rsp
PLACE pvm_switcher_iret
	iretq
/*
 * The two for CPUs that need VERW (S10), only from the host's world: the last load but
 * IRET's own is before it. Its operand is in the text, as no register is left for the area.
 */
PLACE pvm_switcher_tail_verw_sysret
	cmpl	$0, C(PENDING)
	jne	tail_sysret_blocked
	movq	C(RIP), %rcx
	movq	C(RFLAGS), %r11
	movq	C(RAX), %rax
	movq	C(RDX), %rdx
	movq	C(RSP), %rsp
	verw	verw_selector(%rip)		/* S10: last */
	sysretq

PLACE pvm_switcher_tail_verw_iret
	cmpl	$0, C(PENDING)
	jne	kick_to_host
	movq	C(RAX), %rax
	movq	C(RCX), %rcx
	movq	C(RDX), %rdx
	movq	C(R11), %r11
	addq	$(CPU_RIP - CPU_FRAME), %rsp
	verw	verw_selector(%rip)		/* S10: last */
PLACE pvm_switcher_verw_iret
	iretq
PLACE pvm_switcher_tails_end

tail_syscall_blocked:
	movq	C(LSTAR), %rcx
	movq	%rcx, C(RIP)
	movq	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), C(RFLAGS)
	movq	C(SUPERVISOR_RSP), %rcx
	movq	%rcx, C(RSP)
tail_sysret_blocked:
	movq	C(RIP), %rcx
	movq	%rcx, C(RCX)
	movq	C(RFLAGS), %r11
	movq	%r11, C(R11)
	USER_SELECTORS
kick_to_host:
	movl	$KIND_KICK, C(KIND)
	jmp	to_host

/* CSTAR: SYSCALL from 32-bit code, on CPUs that have it. */
	.balign 16
	SYSCALL_ENTERS pvm_switcher_syscall32
	movl	$KIND_SYSCALL32, C(KIND)
	jmp	1f

/* LSTAR with a guest ABI that has no direct switches: every SYSCALL is an exit. */
	.balign 16
	SYSCALL_ENTERS pvm_switcher_syscall_out
/* Falls through. */

/* Out with nothing changed since SYSCALL. In: in the switcher, rcx = RIP, r11 = RFLAGS. */
syscall_to_host:
	movl	$KIND_SYSCALL, C(KIND)
1:	movq	%rcx, C(RCX)
	movq	%rcx, C(RIP)
	movq	%r11, C(R11)
	movq	%r11, C(RFLAGS)
	jmp	to_host

/* The same, known to be neither of the returns, nor a user's. */
hypercall_to_host:
	movl	$KIND_HYPERCALL, C(KIND)
	movq	%rcx, C(RCX)
	movq	%rcx, C(RIP)
	movq	%r11, C(R11)
	movq	%r11, C(RFLAGS)
	jmp	to_host
