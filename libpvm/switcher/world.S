/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The world switch: into the guest and back. Part of entry.S.
 *
 * Everything of the host that a guest could change or see is put away in the area
 * and restored from it; everything else is never touched (pvm/switcher.h lists both).
 */

/* A data segment register: the host's selector is put away, the guest's loaded if it
 * is another. In: rsi = vcpu. Clobbers eax, ecx, flags. */
.macro ENTER_SEGMENT seg host guest
	movl	%\seg, %eax
	movw	%ax, (\host - CPU_FRAME)(%rsp)
	movzwl	\guest(%rsi), %ecx
	cmpw	%ax, %cx
	je	.Lsame\@
	movl	%ecx, %\seg
.Lsame\@:
.endm

/* The other way round. In: rdx = vcpu. Clobbers eax, flags. */
.macro LEAVE_SEGMENT seg host guest
	movl	%\seg, %eax
	movw	%ax, \guest(%rdx)
	cmpw	%ax, (\host - CPU_FRAME)(%rsp)
	je	.Lsame\@
	movzwl	(\host - CPU_FRAME)(%rsp), %eax
	movl	%eax, %\seg
.Lsame\@:
.endm

/*
 * void pvm_switcher_enter(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu)
 * In: rdi = area, rsi = vcpu, interrupts off; the area's copies are made, with the
 * guest's rax, rcx, rdx, r11 and frame. Returns when the guest is left, with the
 * vCPU's registers filled; C(KIND) says why.
 */
	.balign 64
PLACE pvm_switcher_enter
	endbr64				/* where text has an alias it is called there */
	pushfq
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	lidt	A(IDTR, %rdi)			/* from here NMIs are ours (S12) */
	movl	$1, A(RUNNING, %rdi)		/* S5: the setter */
	movq	%rsp, A(HOST_RSP, %rdi)
	leaq	CPU_FRAME(%rdi), %rsp
	movq	%cr3, %rax
	orq	C(HOST_NOFLUSH), %rax
	movq	%rax, C(HOST_CR3)
	rdfsbase %rax
	movq	%rax, C(HOST_FS_BASE)
	rdgsbase %rax
	movq	%rax, C(HOST_GS_BASE)
	wrgsbase %rdi
	swapgs
	rdgsbase %rax
	movq	%rax, C(HOST_KERNEL_GS_BASE)
	movl	%ss, %eax
	movw	%ax, C(HOST_SS)
	testl	%eax, %eax
	jz	enter_null_ss
enter_ss_done:
	ENTER_SEGMENT ds CPU_HOST_DS VCPU_DS
	ENTER_SEGMENT es CPU_HOST_ES VCPU_ES
	ENTER_SEGMENT fs CPU_HOST_FS VCPU_FS
	ENTER_SEGMENT gs CPU_HOST_GS VCPU_GS
	movq	VCPU_FS_BASE(%rsi), %rax
	wrfsbase %rax
	movq	VCPU_GS_BASE(%rsi), %rax
	wrgsbase %rax
	cmpl	$0, C(EXTRAS)
	jne	enter_extras
enter_extras_done:
	movq	VCPU_RBX(%rsi), %rbx
	movq	VCPU_RBP(%rsi), %rbp
	movq	VCPU_RDI(%rsi), %rdi
	movq	VCPU_R8(%rsi), %r8
	movq	VCPU_R9(%rsi), %r9
	movq	VCPU_R10(%rsi), %r10
	movq	VCPU_R12(%rsi), %r12
	movq	VCPU_R13(%rsi), %r13
	movq	VCPU_R14(%rsi), %r14
	movq	VCPU_R15(%rsi), %r15
	movq	VCPU_RSI(%rsi), %rsi
	cmpl	$0, C(USER_MODE)
	jne	enter_user_root
	LOAD_ROOT 0
enter_root_done:
	movq	C(RIP), %rcx
	testl	$(MITIGATE_VERW | MITIGATE_GLOBAL | MITIGATE_SELECTORS), C(MITIGATIONS)	/* S10 */
	jnz	enter_with_more
enter_plain:
	SYSRET_OR_IRET pvm_switcher_tail_sysret pvm_switcher_tail_iret

/* What run.c's forget_global_page() has found goes on the guest's root: from here on nothing of the host's is
 * touched. */
enter_with_more:
	testl	$(MITIGATE_GLOBAL | MITIGATE_SELECTORS), C(MITIGATIONS)
	jz	enter_with_verw
enter_rare:
	testl	$MITIGATE_GLOBAL, C(MITIGATIONS)
	jz	1f
enter_global:
	movq	C(GLOBAL_GVA), %rax
	invlpg	(%rax)
	andl	$~MITIGATE_GLOBAL, C(MITIGATIONS)
1:	testl	$MITIGATE_SELECTORS, C(MITIGATIONS)
	jnz	enter_selectors
	testl	$MITIGATE_VERW, C(MITIGATIONS)
	jz	enter_plain
enter_with_verw:
	SYSRET_OR_IRET pvm_switcher_tail_verw_sysret pvm_switcher_tail_verw_iret

/* One of DS, ES, FS, GS with a selector of an LDT, and its base if it has one: loading it changes that. */
.macro LATE_SEGMENT seg index writes_base base
	movl	(CPU_SEGMENT - CPU_FRAME + 4 * \index)(%rsp), %eax
	testl	%eax, %eax
	jz	.Lnot_late\@
	movl	%eax, %edx
	shrl	$16, %edx
	lldt	%dx
	movzwl	%ax, %eax
	movl	%eax, %\seg
.ifnb \writes_base
	movq	(CPU_SEGMENT_BASE - CPU_FRAME + 8 * \base)(%rsp), %rax
	\writes_base %rax
.endif
.Lnot_late\@:
.endm

/* What ldt.c has put aside: LDTs are on the guest's root only. Nothing of it faults, ldt.c has seen to
 * that. IRET, which takes any selector. */
enter_selectors:
	LATE_SEGMENT ds 0
	LATE_SEGMENT es 1
	LATE_SEGMENT fs 2 wrfsbase 0
	LATE_SEGMENT gs 3 wrgsbase 1
	movl	C(GUEST_LDT), %eax
	lldt	%ax
	testl	$MITIGATE_VERW, C(MITIGATIONS)
	jnz	pvm_switcher_tail_verw_iret
	jmp	pvm_switcher_tail_iret

enter_user_root:
	LOAD_ROOT 1
	jmp	enter_root_done

/* AMD's SYSRET changes the selector of SS and nothing else of it: after a NULL SS, which
 * interrupts from CPL 3 leave, a guest's 32-bit code would have none. */
enter_null_ss:
	movzwl	C(SWITCHER_SS), %eax
	movl	%eax, %ss
	jmp	enter_ss_done

/* What few CPUs need, towards the guest. In: rsi = vcpu. Clobbers rax, rcx, rdx. The
 * guest's breakpoints come last: after the last access to what is not the switcher's
 * but the vCPU's registers. */
enter_extras:
	testl	$EXTRA_CPUNODE, C(EXTRAS)
	jnz	enter_cpunode
enter_cpunode_done:
	cmpq	$0, C(GUEST_DR7)
	je	1f
	movq	C(GUEST_DR7), %rax
	movq	%rax, %dr7
1:	testl	$EXTRA_CR4, C(EXTRAS)
	jz	1f
	movq	%cr4, %rax
	movq	%rax, C(HOST_CR4)
	andq	C(CR4_KEEP), %rax
	cmpl	$0, C(USER_MODE)
	je	2f
	orq	C(CR4_USER), %rax
2:	cmpq	%rax, C(HOST_CR4)
	je	1f
	movq	%rax, %cr4
1:	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	xorl	%ecx, %ecx			/* S11: the host's PKRU is put away */
	rdpkru
	movl	%eax, C(HOST_PKRU)
	movl	VCPU_PKRU(%rsi), %eax
	wrpkru
1:	testl	$EXTRA_MSRS, C(EXTRAS)
	jnz	enter_msrs
enter_msrs_done:
	testl	$MITIGATE_IBRS, C(MITIGATIONS)	/* S10 */
	jz	enter_extras_done
	movl	C(HOST_SPEC_CTRL), %eax
	andl	$~1, %eax
	movl	$MSR_SPEC_CTRL, %ecx
	xorl	%edx, %edx
	wrmsr
	jmp	enter_extras_done

/* S12: what LSL and Linux's NMI handler find of the CPU's number. Only while the switcher's IDT is loaded. */
enter_cpunode:
	movq	C(GUEST_CPUNODE), %rax
	movq	C(CPUNODE_AT), %rcx
	movq	%rax, (%rcx)
	jmp	enter_cpunode_done

leave_cpunode:
	movq	C(CPUNODE), %rax
	movq	C(CPUNODE_AT), %rcx
	movq	%rax, (%rcx)
	jmp	leave_cpunode_done

/* The host's value is what it is now: an NMI's handler may have changed it since the host made the
 * list, and from here on none does. Clobbers rbx, too. */
enter_msrs:
	leaq	C(MSRS), %rbx
1:	movl	MSR_INDEX(%rbx), %ecx
	rdmsr
	movl	%eax, MSR_HOST_LOW(%rbx)
	movl	%edx, MSR_HOST_HIGH(%rbx)
	movl	MSR_LOW(%rbx), %eax
	movl	MSR_HIGH(%rbx), %edx
	wrmsr
	addq	$MSR_SIZE, %rbx
	cmpq	%rbx, C(MSRS_END)
	jne	1b
	jmp	enter_msrs_done

/*
 * Out of the guest. In: in the switcher, with C(RAX), C(RCX), C(RDX), C(R11) the
 * guest's, frame the guest's, C(KIND) set. For KIND_FAULT GS and CR3 may be of any world.
 */
	.balign 64
PLACE pvm_switcher_to_host
to_host:
	AC_IS_CLEAR
	rdgsbase %rax
	movq	%rax, C(GS_BASE)
	movq	$HOST_SIGNAL, C(SIGNAL)		/* S13 */
	movq	C(HOST_CR3), %rax
	movq	%rax, %cr3
	cmpl	$0, C(EXTRAS)
	jne	leave_extras
leave_extras_done:
	movq	C(VCPU), %rdx
	movq	%rbx, VCPU_RBX(%rdx)
	movq	%rbp, VCPU_RBP(%rdx)
	movq	%rsi, VCPU_RSI(%rdx)
	movq	%rdi, VCPU_RDI(%rdx)
	movq	%r8, VCPU_R8(%rdx)
	movq	%r9, VCPU_R9(%rdx)
	movq	%r10, VCPU_R10(%rdx)
	movq	%r12, VCPU_R12(%rdx)
	movq	%r13, VCPU_R13(%rdx)
	movq	%r14, VCPU_R14(%rdx)
	movq	%r15, VCPU_R15(%rdx)
	rdfsbase %rax
	movq	%rax, VCPU_FS_BASE(%rdx)
	LEAVE_SEGMENT ds CPU_HOST_DS VCPU_DS
	LEAVE_SEGMENT es CPU_HOST_ES VCPU_ES
	LEAVE_SEGMENT fs CPU_HOST_FS VCPU_FS
	LEAVE_SEGMENT gs CPU_HOST_GS VCPU_GS
	movl	%ss, %eax
	cmpw	%ax, C(HOST_SS)
	je	1f
	movzwl	C(HOST_SS), %eax
	movl	%eax, %ss
1:	movq	C(HOST_FS_BASE), %rax
	wrfsbase %rax
	movq	C(HOST_KERNEL_GS_BASE), %rax
	wrgsbase %rax
	swapgs
	movq	C(HOST_GS_BASE), %rax
	wrgsbase %rax
	movl	$0, C(RUNNING)			/* S5: the clearer */
	leaq	C(HOST_IDTR), %rdx
	movq	C(HOST_RSP), %rsp
	lidt	(%rdx)				/* from here NMIs are the host's */
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	popfq
	ANNOTATE_UNRET_SAFE
	ret
	int3

/* What few CPUs need, towards the host, before its memory is touched and before the
 * first return or indirect branch. The guest's rax, rcx, rdx and r11 are in the area. */
leave_extras:
	cmpq	$0, C(GUEST_DR7)
	je	1f
	xorl	%eax, %eax
	movq	%rax, %dr7
1:	testl	$EXTRA_CPUNODE, C(EXTRAS)
	jnz	leave_cpunode
leave_cpunode_done:
	testl	$EXTRA_CR4, C(EXTRAS)
	jz	1f
	movq	%cr4, %rax
	cmpq	%rax, C(HOST_CR4)
	je	1f
	movq	C(HOST_CR4), %rax
	movq	%rax, %cr4
1:	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	xorl	%ecx, %ecx			/* S11 */
	rdpkru
	movl	%eax, C(PKRU)
	movl	C(HOST_PKRU), %eax
	wrpkru
1:	testl	$EXTRA_MSRS, C(EXTRAS)
	jz	leave_msrs_done
leave_msrs:
	leaq	C(MSRS), %r11
2:	movl	MSR_INDEX(%r11), %ecx
	movl	MSR_HOST_LOW(%r11), %eax
	movl	MSR_HOST_HIGH(%r11), %edx
	wrmsr
	addq	$MSR_SIZE, %r11
	cmpq	%r11, C(MSRS_END)
	jne	2b
leave_msrs_done:
	testl	$MITIGATE_EXIT_IBPB, C(MITIGATIONS)	/* S10: the host's returns */
	jz	1f
	movl	$1, %eax			/* IBPB */
	movl	$MSR_PRED_CMD, %ecx
	xorl	%edx, %edx
	wrmsr
1:	testl	$MITIGATE_IBRS, C(MITIGATIONS)	/* S10 */
	jz	1f
	movl	C(HOST_SPEC_CTRL), %eax
	orl	$1, %eax			/* on until pvm_switcher_unload() */
	movl	$MSR_SPEC_CTRL, %ecx
	xorl	%edx, %edx
	wrmsr
1:	testl	$MITIGATE_RSB_FILL, C(MITIGATIONS)
	jz	1f
.rept 32
	ANNOTATE_INTRA_FUNCTION_CALL
	call	2f
	int3
2:
.endr
	addq	$(32 * 8), %rsp
1:	testl	$MITIGATE_BHB_CLEAR, C(MITIGATIONS)
	jz	1f
	movl	$12, %ecx
	ANNOTATE_INTRA_FUNCTION_CALL
	call	clear_branch_history
1:	testl	$MITIGATE_LFENCE, C(MITIGATIONS)
	jz	leave_extras_done
	lfence
	jmp	leave_extras_done

/* Enough taken branches to push the guest's out of the branch history: Intel,
 * "Branch History Injection", software sequence; 12 times 7 is what the cores with the
 * longest history need. In: ecx = 12. Clobbers eax, ecx; 96 bytes of stack. */
	.balign 64
clear_branch_history:
	movl	$7, %eax
1:	jmp	2f
	nop
2:	subl	$1, %eax
	jnz	1b
	subl	$1, %ecx
	jz	3f
	ANNOTATE_INTRA_FUNCTION_CALL
	call	clear_branch_history
3:	ANNOTATE_UNRET_SAFE
	ret
	int3
