/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * SYSCALL from the guest, and what is done about it without leaving the guest's
 * world. Part of entry.S. Each path does what its counterpart in libpvm/events/ or
 * libpvm/hypercall/ does, to the byte; whatever it cannot do goes to the host with
 * nothing changed.
 *
 * S10: no mitigation is needed here: nothing of the host is mapped, and no branch of
 * these paths depends on anything but the guest's own state and constants.
 *
 * spec: User SYSCALL event, EVENT_RETURN_USER, EVENT_RETURN_SUPERVISOR,
 * PVM_HC_LOAD_PGTBL
 */

/* CS and SS of 64-bit code at CPL 3 into the frame. Clobbers rax. */
.macro USER_SELECTORS
	movq	C(USER_CS), %rax
	movq	%rax, C(CS)
	movq	C(USER_DS), %rax
	movq	%rax, C(SS)
.endm

/* The supervisor's GS base is kept, the user's loaded, semi-canonical. In: rdx = PVCS.
 * Clobbers rax, rcx. */
.macro RETURN_USER_BASES
	rdgsbase %rax
	movq	%rax, C(KERNEL_GS_BASE)
	movl	C(GS_SHIFT), %ecx
	movq	PVCS_USER_GSBASE(%rdx), %rax
	shlq	%cl, %rax
	sarq	%cl, %rax
	wrgsbase %rax
.endm

/* S11: the user's PKRU. In: rdx = PVCS. Clobbers rax, rcx, rdx. */
.macro USER_PKRU
	movl	PVCS_PKRU(%rdx), %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	wrpkru
.endm

/*
 * LSTAR. In: as the CPU leaves it: rcx = RIP, r11 = RFLAGS, rsp = the guest's (never
 * used as a stack, S12), GS base = the guest's, interrupts off by FMASK.
 */
	.balign 64
PLACE pvm_switcher_syscall
	endbr64
	swapgs
	movq	%rsp, %gs:CPU_RSP
	movq	%gs:CPU_SELF, %rsp
	swapgs
	movq	%rax, C(RAX)
	movq	%rdx, C(RDX)
	UNLESS_INHIBITED syscall_to_host	/* S3 */
	cmpl	$0, C(USER_MODE)
	je	supervisor_syscall

/* User SYSCALL: registers to the PVCS, the supervisor's loaded. events/mode.h,
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

/* CSTAR: SYSCALL from 32-bit code, on CPUs that have it. As pvm_switcher_syscall. */
	.balign 16
PLACE pvm_switcher_syscall32
	endbr64
	swapgs
	movq	%rsp, %gs:CPU_RSP
	movq	%gs:CPU_SELF, %rsp
	swapgs
	movq	%rax, C(RAX)
	movq	%rdx, C(RDX)
	movl	$KIND_SYSCALL32, C(KIND)
	jmp	1f

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

/* SYSCALL in supervisor mode. In: rcx = RIP, r11 = RFLAGS, all others the guest's. */
supervisor_syscall:
	cmpq	%rcx, C(RETU_NEXT)
	je	return_user
	cmpq	%rcx, C(RETS_NEXT)
	je	return_supervisor
	cmpq	$PVM_HC_LOAD_PGTBL, %rax
	jne	hypercall_to_host

/* LOAD_PGTBL of a pair that is published, without a flush and a change of depth. In:
 * rbx = flags, r10 = the supervisor's table, rdx = the user's. hypercall/hypercall.c,
 * load_pgtbl(). */
	cmpq	%rbx, C(PGTBL_FLAGS)
	jne	hypercall_to_host
	CANONICAL_OR hypercall_to_host		/* S1 */
	leaq	C(PUBLISHED), %rax
.rept 3
	cmpq	%r10, ROOTS_GUEST_CR3(%rax)
	jne	1f
	cmpq	%rdx, ROOTS_GUEST_SWITCH_CR3(%rax)
	je	load_pgtbl_found
1:	addq	$ROOTS_SIZE, %rax
.endr
	cmpq	%r10, ROOTS_GUEST_CR3(%rax)
	jne	hypercall_to_host
	cmpq	%rdx, ROOTS_GUEST_SWITCH_CR3(%rax)
	jne	hypercall_to_host
load_pgtbl_found:
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	hypercall_to_host
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	movq	%rax, C(ROOTS)
	LOAD_ROOT 0
	movq	$0, C(RAX)
	incq	C(LOAD_PGTBLS)
	jmp	pvm_switcher_tail_sysret

/* EVENT_RETURN_USER: events/return.c, pvm_event_return_user(). What may be refused is
 * read once (M6) and checked before anything is changed. */
return_user:
	movq	C(PVCS), %rdx
	testl	$PVM_EVENT_FLAGS_IP, PVCS_EVENT_FLAGS(%rdx)
	jnz	syscall_to_host
	movl	PVCS_USER_CS(%rdx), %eax
	cmpl	C(USER_CS_SS), %eax		/* S4: both selectors at once */
	jne	syscall_to_host
	movq	PVCS_RIP(%rdx), %rcx
	CANONICAL_OR return_user_refused	/* S1 */
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
	jne	return_user_iret
	cmpq	PVCS_R11(%rdx), %r11		/* S2 */
	jne	return_user_iret
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	return_user_iret
	RETURN_USER_BASES
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	USER_PKRU
1:	movl	$1, C(USER_MODE)
	LOAD_ROOT 1
	incq	C(RETURNS_USER)
	jmp	pvm_switcher_tail_sysret

return_user_iret:
	movq	PVCS_RCX(%rdx), %rax
	movq	%rax, C(RCX)
	movq	PVCS_R11(%rdx), %rax
	movq	%rax, C(R11)
	RETURN_USER_BASES
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	USER_PKRU
1:	movl	$1, C(USER_MODE)
	LOAD_ROOT 1
	incq	C(RETURNS_USER)
	USER_SELECTORS
	jmp	pvm_switcher_tail_iret

return_user_refused:
	movq	C(RETU_NEXT), %rcx
	jmp	syscall_to_host

/* EVENT_RETURN_SUPERVISOR: events/return.c, pvm_event_return_supervisor(). The frame
 * is read through the guest's root, from where a guest may have its stack and from
 * nowhere else (S6, M7), once (M6). */
return_supervisor:
	movq	C(RSP), %rdx
	movq	%rdx, %rax
	shrq	$47, %rax
	jz	1f
	cmpq	C(RANGE_START), %rdx
	jb	syscall_to_host
	cmpq	C(RANGE_END), %rdx
	ja	syscall_to_host
1:	movq	%r11, C(RFLAGS)
	testl	$AREA_SMAP, C(FLAGS)
	jz	pvm_switcher_frame_read
	stac
PLACE pvm_switcher_frame_read			/* a fault in here: return_supervisor_refused */
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
1:	CANONICAL_OR return_supervisor_refused	/* S1 */
	pushq	%rdx
	movq	(8 + CPU_PVCS - CPU_FRAME)(%rsp), %rdx
	movq	PVCS_EVENT_FLAGS(%rdx), %rax
	testl	$PVM_EVENT_FLAGS_IP, %eax
	jnz	return_supervisor_undone
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
	jmp	pvm_switcher_tail_iret		/* as good as never R11 = RFLAGS and RCX = RIP */

return_supervisor_undone:
	addq	$8, %rsp
PLACE pvm_switcher_return_refused
return_supervisor_refused:
	movq	C(RETS_NEXT), %rcx
	movq	C(RFLAGS), %r11
	jmp	syscall_to_host

/* S3: all fast paths begin behind one test of the one word. */
.if inhibit_tests != 1
	.error "S3: the inhibitor word must be tested exactly once"
.endif
