/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The switcher's IDT handlers: any vector at any instruction, of the guest's or of
 * the switcher's own. Part of entry.S.
 *
 * From CPL 3 the CPU has switched to RSP0, so that its frame is the area's, or to an
 * IST stack, from which the frame is moved there. From CPL 0 the switcher was
 * interrupted: NMI and #MC are noted and the interrupted path goes on, or begins its
 * last stretch anew; #DB is the guest's, put off by MOV SS into our entry or of its stack
 * that we read, and is dropped (spec: Discarded #DB). GS and CR3 are not looked at (S5, S12).
 */

#define ERROR_CODE_VECTORS 0x60227d00	/* 8, 10..14, 17, 21, 29, 30 */

/* One stub per vector, 16 bytes apart: the frame gets an error code if the CPU pushed
 * none, and the vector. */
	.balign 64
PLACE pvm_switcher_stubs
.set vector, 0
.rept 256
	.balign 16
	HINT_ENTERED
	endbr64
.set has_error, 0
.if vector < 32
.set has_error, (ERROR_CODE_VECTORS >> vector) & 1
.endif
.if !has_error
	pushq	$0
.endif
.if vector < 128
	pushq	$vector
.else
	.byte	0x68
	.long	vector
.endif
	jmp	from_vector
.set vector, vector + 1
.endr

	.balign 16
PLACE pvm_switcher_vector
from_vector:
	testb	$3, (CPU_CS - CPU_VECTOR)(%rsp)
	jz	from_switcher
	movq	%rax, C(RAX)
	movq	%rcx, C(RCX)
	movq	%rdx, C(RDX)
	movq	%r11, C(R11)
	movl	$KIND_VECTOR, C(KIND)
	cmpl	$PVM_VEC_PF, C(VECTOR)
	jne	to_host
	movq	%cr2, %rax
	movq	%rax, C(CR2)
	jmp	to_host

/* rsp := &area->frame, from any stack of the area. */
.macro FRAME_STACK
	andq	$-PVM_SWITCHER_AREA_SIZE, %rsp
	leaq	CPU_FRAME(%rsp), %rsp
.endm

/* Where a frame on the guest's stack is read or written, and cannot be: the engine says why. In: rsp = rax,
 * vector, error code, RIP. Clobbers rax. */
.macro REFUSED_WITHIN name refused
	leaq	pvm_switcher_\name(%rip), %rax
	cmpq	%rax, 24(%rsp)
	jb	.Lelsewhere\@
	leaq	pvm_switcher_\name\()_end(%rip), %rax
	cmpq	%rax, 24(%rsp)
	jae	.Lelsewhere\@
	FRAME_STACK
	testl	$AREA_SMAP, C(FLAGS)
	jz	pvm_switcher_\refused
	clac
	jmp	pvm_switcher_\refused
.Lelsewhere\@:
.endm

/* An exception at CPL 0 on the area's stack: of IRET to the guest, of its
 * frame, or a fault of ours. In: rsp = vector, error code, RIP, .. */
PLACE pvm_switcher_exception
from_switcher:
	pushq	%rax
	leaq	pvm_switcher_iret(%rip), %rax
	cmpq	%rax, 24(%rsp)
	je	iret_refused
	leaq	pvm_switcher_verw_iret(%rip), %rax
	cmpq	%rax, 24(%rsp)
	je	iret_refused
	ABI_FRAMES REFUSED_WITHIN, marked

/* In: rsp = rax, vector, error code, RIP. */
own_fault:
	movq	8(%rsp), %rax
	movq	16(%rsp), %rcx
	movq	24(%rsp), %rdx
	FRAME_STACK
	movq	%rax, C(VECTOR)
	movq	%rcx, C(ERROR)
	movq	%rdx, C(FAULT_RIP)
	movl	$KIND_FAULT, C(KIND)
	jmp	to_host

/* IRET refused the guest's state: the fault is the guest's, at its new RIP. All
 * registers are the guest's already, rax is on the stack. */
iret_refused:
	movq	%rsp, %rax
	andq	$-PVM_SWITCHER_AREA_SIZE, %rax
	movq	%rcx, A(RCX, %rax)
	movq	%rdx, A(RDX, %rax)
	movq	%r11, A(R11, %rax)
	popq	A(RAX, %rax)
	popq	%rcx
	popq	%rdx
	leaq	CPU_FRAME(%rax), %rsp
	movq	%rcx, C(VECTOR)
	movq	%rdx, C(ERROR)
	movl	$KIND_VECTOR, C(KIND)
	jmp	to_host

/* On an IST stack: rax and rcx are pushed, rax = area. Offsets from rsp then: */
#define IST_RIP		16
#define IST_CS		24
#define IST_RFLAGS	32
#define IST_RSP		40

.macro IST_ENTER
	endbr64
	pushq	%rax
	pushq	%rcx
	movq	%rsp, %rax
	andq	$-PVM_SWITCHER_AREA_SIZE, %rax
.endm

/* From the guest: everything to where the other exits have it; rsp = &frame. */
.macro IST_FROM_GUEST
	movq	%rdx, A(RDX, %rax)
	movq	%r11, A(R11, %rax)
	popq	A(RCX, %rax)
	popq	A(RAX, %rax)
	popq	A(RIP, %rax)
	popq	A(CS, %rax)
	popq	A(RFLAGS, %rax)
	popq	A(RSP, %rax)
	popq	A(SS, %rax)
	leaq	CPU_FRAME(%rax), %rsp
.endm

.macro IST_RETURN
	popq	%rcx
	popq	%rax
	iretq
.endm

/*
 * NMI and #MC: note it. In a tail the guest would be entered without another look:
 * the tail starts again, and finds what is pending.
 */
.macro PEND bit counter
	orl	$\bit, A(PENDING, %rax)
	incq	\counter(%rax)
	cmpl	$0, A(RUNNING, %rax)		/* S5 */
	je	.Lnoted\@
	leaq	pvm_switcher_tails_end(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jae	.Lnoted\@
	leaq	pvm_switcher_tail_verw_iret(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jae	.Lrestart\@
	leaq	pvm_switcher_tail_verw_sysret(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jae	.Lrestart\@
	leaq	pvm_switcher_tail_iret(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jae	.Lrestart\@
	leaq	pvm_switcher_tail_sysret(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jae	.Lrestart\@
	leaq	pvm_switcher_tail_syscall(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jb	.Lnoted\@
.Lrestart\@:
	movq	%rcx, IST_RIP(%rsp)
	leaq	CPU_FRAME(%rax), %rcx
	movq	%rcx, IST_RSP(%rsp)
.Lnoted\@:
.endm

	.balign 16
PLACE pvm_switcher_nmi
	IST_ENTER
	testb	$3, IST_CS(%rsp)
	jnz	1f
	PEND PENDING_NMI CPU_WINDOW_NMIS
	IST_RETURN
1:	IST_FROM_GUEST
PLACE pvm_switcher_nmi_end
	orl	$PENDING_NMI, C(PENDING)	/* blocked until the host's handler returns */
	jmp	kick_to_host

/* S12: an error of the guest's stack comes again where the frame is read or written, and a second #MC shuts
 * the CPU down: the host has the first one now, and the engine the frame. In: rax = area. Clobbers rcx. */
.macro LEFT_WITHIN name refused
	leaq	pvm_switcher_\name(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jb	.Lelsewhere\@
	leaq	pvm_switcher_\name\()_end(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jae	.Lelsewhere\@
left_\name:
	leaq	pvm_switcher_\refused(%rip), %rcx
	movq	%rcx, IST_RIP(%rsp)
	leaq	CPU_FRAME(%rax), %rcx
	movq	%rcx, IST_RSP(%rsp)
	andq	$~PVM_RFLAGS_AC, IST_RFLAGS(%rsp)
	IST_RETURN
.Lelsewhere\@:
.endm

	.balign 16
PLACE pvm_switcher_mc
	IST_ENTER
	testb	$3, IST_CS(%rsp)
	jnz	1f
	PEND PENDING_MC CPU_WINDOW_MCES
	ABI_FRAMES LEFT_WITHIN
not_left:
	leaq	pvm_switcher_nmi(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jb	2f
	leaq	pvm_switcher_nmi_end(%rip), %rcx
	cmpq	%rcx, IST_RIP(%rsp)
	jb	mc_in_nmi
2:	IST_RETURN
1:	IST_FROM_GUEST
	orl	$PENDING_MC, C(PENDING)
	jmp	kick_to_host

/* IRET would unblock NMIs while one's frame is still on their stack: go back by RET. */
mc_in_nmi:
	movq	IST_RSP(%rsp), %rcx
	subq	$16, %rcx
	movq	IST_RFLAGS(%rsp), %rax
	movq	%rax, (%rcx)
	movq	IST_RIP(%rsp), %rax
	movq	%rax, 8(%rcx)
	movq	%rcx, IST_RSP(%rsp)
	popq	%rcx
	popq	%rax
	movq	(IST_RSP - IST_RIP)(%rsp), %rsp
	popfq
	ANNOTATE_UNRET_SAFE
	ret
	int3

	.balign 16
PLACE pvm_switcher_db
	IST_ENTER
	testb	$3, IST_CS(%rsp)
	jnz	1f
	incq	A(WINDOW_DBS, %rax)
	orl	$PVM_RFLAGS_RF, IST_RFLAGS(%rsp)	/* past a breakpoint on an instruction */
	movl	$DR6_NONE, %ecx
	movq	%rcx, %dr6
	IST_RETURN
1:	IST_FROM_GUEST
	movq	%dr6, %rax
	movq	%rax, C(DR6)
	movl	$DR6_NONE, %eax
	movq	%rax, %dr6
	movq	$PVM_VEC_DB, C(VECTOR)
	movq	$0, C(ERROR)
	movl	$KIND_VECTOR, C(KIND)
	jmp	to_host

/* #DF: nothing is left to go on with but the host. In: rsp = error code, RIP, .. */
	.balign 16
PLACE pvm_switcher_df
	endbr64
	movq	8(%rsp), %rdx
	FRAME_STACK
	movq	$PVM_VEC_DF, C(VECTOR)
	movq	$0, C(ERROR)
	movq	%rdx, C(FAULT_RIP)
	movl	$KIND_FAULT, C(KIND)
	jmp	to_host
PLACE pvm_switcher_vectors_end
