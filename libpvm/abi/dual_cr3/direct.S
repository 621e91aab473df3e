/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Dual CR3's direct switches: SYSCALL from the guest, and what is done about it without
 * leaving the guest's world. Part of switcher/entry.S, directly before tails.S. Each path
 * does what its counterpart in events.c or hypercalls.c does, to the byte; whatever it
 * cannot do goes to the host with nothing changed.
 *
 * S10: no mitigation is needed here: nothing of the host is mapped, and no branch of
 * these paths depends on anything but the guest's own state and constants.
 *
 * spec: User SYSCALL event, EVENT_RETURN_USER, EVENT_RETURN_SUPERVISOR,
 * PVM_HC_LOAD_PGTBL
 */
#include "abi/pvm/direct.h"

/* SYSCALL in supervisor mode. In: rcx = RIP, r11 = RFLAGS, all others the guest's. */
dual_supervisor_syscall:
	cmpq	%rcx, C(RETU_NEXT)
	je	dual_return_user
	cmpq	%rcx, C(RETS_NEXT)
	je	dual_return_supervisor
	cmpq	$PVM_HC_LOAD_PGTBL, %rax
	jne	hypercall_to_host

/* LOAD_PGTBL of a pair that is published, without a flush and a change of depth. In:
 * rbx = flags, r10 = the supervisor's table, rdx = the user's. hypercalls.c,
 * load_pgtbl(). */
	cmpq	%rbx, C(PGTBL_FLAGS)
	jne	hypercall_to_host
	CANONICAL_OR hypercall_to_host		/* S1 */
	leaq	C(PUBLISHED), %rax
.rept 3
	cmpq	%r10, ROOTS_GUEST_CR3(%rax)
	jne	1f
	cmpq	%rdx, ROOTS_GUEST_SWITCH_CR3(%rax)
	je	dual_load_pgtbl_found
1:	addq	$ROOTS_SIZE, %rax
.endr
	cmpq	%r10, ROOTS_GUEST_CR3(%rax)
	jne	hypercall_to_host
	cmpq	%rdx, ROOTS_GUEST_SWITCH_CR3(%rax)
	jne	hypercall_to_host
dual_load_pgtbl_found:
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	hypercall_to_host
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	movq	%rax, C(ROOTS)
	LOAD_ROOT 0
	movq	$0, C(RAX)
	incq	C(LOAD_PGTBLS)
	jmp	pvm_switcher_tail_sysret

/* EVENT_RETURN_USER: abi/pvm/syscall.h, pvm_dialect_return_user(). What may be refused is
 * read once (M6) and checked before anything is changed. */
dual_return_user:
	movq	C(PVCS), %rdx
	testl	$PVM_EVENT_FLAGS_IP, PVCS_EVENT_FLAGS(%rdx)
	jnz	syscall_to_host
	movl	PVCS_USER_CS(%rdx), %eax
	cmpl	C(USER_CS_SS), %eax		/* S4: both selectors at once */
	jne	syscall_to_host
	movq	PVCS_RIP(%rdx), %rcx
	CANONICAL_OR dual_return_user_refused	/* S1 */
	movl	PVCS_EFLAGS(%rdx), %r11d
	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */
	orl	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), %r11d
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	movq	C(RSP), %rax
	movq	%rax, C(SUPERVISOR_RSP)
	movq	PVCS_RSP(%rdx), %rax
	movq	%rax, C(RSP)
	cmpq	PVCS_RCX(%rdx), %rcx
	jne	dual_return_user_iret
	cmpq	PVCS_R11(%rdx), %r11		/* S2 */
	jne	dual_return_user_iret
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	dual_return_user_iret
	RETURN_USER_BASES PVCS_USER_GSBASE
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	USER_PKRU PVCS_PKRU
1:	movl	$1, C(USER_MODE)
	LOAD_ROOT 1
	incq	C(RETURNS_USER)
	jmp	pvm_switcher_tail_sysret

dual_return_user_iret:
	movq	PVCS_RCX(%rdx), %rax
	movq	%rax, C(RCX)
	movq	PVCS_R11(%rdx), %rax
	movq	%rax, C(R11)
	RETURN_USER_BASES PVCS_USER_GSBASE
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	USER_PKRU PVCS_PKRU
1:	movl	$1, C(USER_MODE)
	LOAD_ROOT 1
	incq	C(RETURNS_USER)
	USER_SELECTORS
	jmp	pvm_switcher_tail_iret

dual_return_user_refused:
	movq	C(RETU_NEXT), %rcx
	jmp	syscall_to_host

/* EVENT_RETURN_SUPERVISOR: events.c, pvm_dual_cr3_return_supervisor(). The frame
 * is read through the guest's root, from where a guest may have its stack and from
 * nowhere else (S6, M7), once (M6). In the upper half the host may have pages of its own
 * at the same addresses, and global ones of them in the TLB, whatever CR3 is: CPL 3 could not
 * use these, we would. INVLPG takes them away (SDM vol. 3, 4.10.4.1). */
dual_return_supervisor:
	movq	C(RSP), %rdx
	movq	%rdx, %rax
	shrq	$47, %rax
	jz	1f
	cmpq	C(RANGE_START), %rdx
	jb	syscall_to_host
	cmpq	C(RANGE_END), %rdx
	ja	syscall_to_host
	invlpg	(%rdx)				/* S6 */
	leaq	(PVM_FRAME_SIZE - 1)(%rdx), %rax
	invlpg	(%rax)
1:	lfence					/* or a wrong guess of the half would read before INVLPG */
	movq	%r11, C(RFLAGS)
	testl	$AREA_SMAP, C(FLAGS)
	jz	pvm_switcher_frame_read
	stac
PLACE pvm_switcher_frame_read			/* a fault in here: dual_return_supervisor_refused */
	movq	PVM_FRAME_RCX(%rdx), %rax
	movq	%rax, C(RCX)
	movq	PVM_FRAME_R11(%rdx), %rax
	movq	%rax, C(R11)
	movq	PVM_FRAME_RIP(%rdx), %rcx
	movq	PVM_FRAME_RFLAGS(%rdx), %r11
	movq	PVM_FRAME_RSP(%rdx), %rdx
PLACE pvm_switcher_frame_read_end
	testl	$AREA_SMAP, C(FLAGS)
	jz	1f
	clac
1:	CANONICAL_OR dual_return_supervisor_refused	/* S1 */
	pushq	%rdx
	movq	(8 + CPU_PVCS - CPU_FRAME)(%rsp), %rdx
	movq	PVCS_EVENT_FLAGS(%rdx), %rax
	testl	$PVM_EVENT_FLAGS_IP, %eax
	jnz	dual_return_supervisor_undone
	xorq	%r11, %rax
	testl	$PVM_EVENT_FLAGS_IF, %eax
	jz	1f
	xorq	%r11, %rax			/* IF is RFLAGS' bit 9 and event_flags' */
	xorq	$PVM_EVENT_FLAGS_IF, %rax
	movq	%rax, PVCS_EVENT_FLAGS(%rdx)
1:	popq	C(RSP)
	movq	%rcx, C(RIP)
	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */
	orl	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), %r11d
	movq	%r11, C(RFLAGS)
	incq	C(RETURNS_SUPERVISOR)
	USER_SELECTORS
	jmp	pvm_switcher_tail_iret		/* SYSRET needs R11 = RFLAGS, RCX = RIP: rare here */

dual_return_supervisor_undone:
	addq	$8, %rsp
PLACE pvm_switcher_return_refused
dual_return_supervisor_refused:
	movq	C(RETS_NEXT), %rcx
	movq	C(RFLAGS), %r11
	jmp	syscall_to_host

	DIALECT_SYSCALL pvm_switcher_syscall_dual_cr3, dual_supervisor_syscall

/* User SYSCALL: registers to the PVCS, the supervisor's loaded. abi/pvm/mode.h,
 * pvm_mode_enter_supervisor(). */
	movq	C(PVCS), %rax
	movq	%rcx, PVCS_RIP(%rax)
	movq	%rcx, PVCS_RCX(%rax)
	movq	%r11, PVCS_R11(%rax)
	movl	%r11d, PVCS_EFLAGS(%rax)
	movl	C(USER_CS_SS), %edx
	movl	%edx, PVCS_USER_CS(%rax)
	rdgsbase %rdx
	movq	%rdx, PVCS_USER_GSBASE(%rax)
	movq	C(RSP), %rdx
	movq	%rdx, PVCS_RSP(%rax)
	movq	C(KERNEL_GS_BASE), %rdx
	wrgsbase %rdx
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	movq	%rax, %r11			/* S11: the user's PKRU to the PVCS, the default in */
	xorl	%ecx, %ecx
	rdpkru
	movl	%eax, PVCS_PKRU(%r11)
	movl	C(SUPERVISOR_PKRU), %eax
	wrpkru
1:
	movl	$0, C(USER_MODE)
	LOAD_ROOT 0
	incq	C(USER_SYSCALLS)
	DIALECT_END
/* Falls through to pvm_switcher_tail_syscall. */
