/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3's direct switches: the user's SYSCALL, EVENT_RETURN_USER and LOAD_PGTBL. Part
 * of switcher/entry.S. Each path does what its counterpart in events.c or hypercalls.c
 * does, to the byte; whatever it cannot do goes to the host with nothing changed.
 * EVENT_RETURN_SUPERVISOR always does: a guest of this dialect returns by itself.
 *
 * S10: no mitigation is needed here: nothing of the host is mapped, and no branch of
 * these paths depends on anything but the guest's own state and constants.
 *
 * seed: single CR3
 */
#include "abi/pvm/direct.h"

/* SYSCALL in supervisor mode. In: rcx = RIP, r11 = RFLAGS, all others the guest's. */
single_supervisor_syscall:
	cmpq	%rcx, C(RETU_NEXT)
	je	single_return_user
	cmpq	%rcx, C(RETS_NEXT)
	je	syscall_to_host
	cmpq	$PVM_HC_LOAD_PGTBL, %rax
	jne	hypercall_to_host

/* LOAD_PGTBL of a table whose roots are published, without a flush and a change of depth.
 * In: rbx = flags, r10 = the table. hypercalls.c, load_pgtbl(). */
	cmpq	%rbx, C(PGTBL_FLAGS)
	jne	hypercall_to_host
	CANONICAL_OR hypercall_to_host		/* S1 */
	leaq	C(PUBLISHED), %rax
.rept 3
	cmpq	%r10, ROOTS_GUEST_CR3(%rax)
	je	single_load_pgtbl_found
	addq	$ROOTS_SIZE, %rax
.endr
	cmpq	%r10, ROOTS_GUEST_CR3(%rax)
	jne	hypercall_to_host
single_load_pgtbl_found:
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	hypercall_to_host
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	movq	%rax, C(ROOTS)
	LOAD_ROOT 0
	movq	$0, C(RAX)
	incq	C(LOAD_PGTBLS)
	jmp	pvm_switcher_tail_sysret

/* EVENT_RETURN_USER: events.c, pvm_single_cr3_return_user(). What may be refused is read
 * once (M6) and checked before anything is changed. */
single_return_user:
	movq	C(PVCS), %rdx
	testl	$PVM_EVENT_FLAGS_IP, PVM_SC_PVCS_EVENT_FLAGS(%rdx)
	jnz	syscall_to_host
	testw	$(PVM_SC_VECTOR_NMI | PVM_SC_VECTOR_MCE), PVM_SC_PVCS_EVENT_VECTOR(%rdx)
	jnz	syscall_to_host			/* one waits for this return */
	movl	PVM_SC_PVCS_USER_CS(%rdx), %eax
	cmpl	C(USER_CS_SS), %eax		/* S4: both selectors at once */
	jne	syscall_to_host
	movq	PVM_SC_PVCS_RIP(%rdx), %rcx
	CANONICAL_OR single_return_user_refused	/* S1 */
	movl	PVM_SC_PVCS_EFLAGS(%rdx), %r11d
	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */
	orl	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), %r11d
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	cmpq	PVM_SC_PVCS_RCX(%rdx), %rcx
	jne	single_return_user_iret
	cmpq	PVM_SC_PVCS_R11(%rdx), %r11	/* S2 */
	jne	single_return_user_iret
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	single_return_user_iret
	RETURN_USER_BASES PVM_SC_PVCS_USER_GSBASE
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	USER_PKRU PVM_SC_PVCS_PKRU
1:	movl	$1, C(USER_MODE)
	LOAD_ROOT 1
	incq	C(RETURNS_USER)
	jmp	pvm_switcher_tail_sysret

single_return_user_iret:
	movq	PVM_SC_PVCS_RCX(%rdx), %rax
	movq	%rax, C(RCX)
	movq	PVM_SC_PVCS_R11(%rdx), %rax
	movq	%rax, C(R11)
	RETURN_USER_BASES PVM_SC_PVCS_USER_GSBASE
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	USER_PKRU PVM_SC_PVCS_PKRU
1:	movl	$1, C(USER_MODE)
	LOAD_ROOT 1
	incq	C(RETURNS_USER)
	USER_SELECTORS
	jmp	pvm_switcher_tail_iret

single_return_user_refused:
	movq	C(RETU_NEXT), %rcx
	jmp	syscall_to_host

	DIALECT_SYSCALL pvm_switcher_syscall_single_cr3, single_supervisor_syscall

/* User SYSCALL: registers to the PVCS, the supervisor's loaded but for RSP, which stays
 * the user's. abi/pvm/mode.h, pvm_mode_enter_supervisor(). */
	movq	C(PVCS), %rax
	movq	%rcx, PVM_SC_PVCS_RIP(%rax)
	movq	%rcx, PVM_SC_PVCS_RCX(%rax)
	movq	%r11, PVM_SC_PVCS_R11(%rax)
	movl	%r11d, PVM_SC_PVCS_EFLAGS(%rax)
	movl	C(USER_CS_SS), %edx
	movl	%edx, PVM_SC_PVCS_USER_CS(%rax)
	rdgsbase %rdx
	movq	%rdx, PVM_SC_PVCS_USER_GSBASE(%rax)
	movq	C(KERNEL_GS_BASE), %rdx
	wrgsbase %rdx
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	movq	%rax, %r11			/* S11: the user's PKRU to the PVCS, the default in */
	xorl	%ecx, %ecx
	rdpkru
	movl	%eax, PVM_SC_PVCS_PKRU(%r11)
	movl	C(SUPERVISOR_PKRU), %eax
	wrpkru
1:
	movl	$0, C(USER_MODE)
	LOAD_ROOT 0
	incq	C(USER_SYSCALLS)
	movq	C(LSTAR), %rcx			/* S1: PVM_INHIBIT_ENTRY */
	movq	%rcx, C(RIP)
	movq	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), C(RFLAGS)	/* S2 */
	jmp	pvm_switcher_tail_sysret
	DIALECT_END
