/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Xen PV's direct switches: the user's SYSCALL, iret, and the hypercalls that change no more than a register.
 * Part of switcher/entry.S. Each path does what its counterpart in frames.c, segments.c or queries.c does;
 * whatever it cannot do goes to the host with nothing changed that a program or its kernel would see.
 *
 * Frames are written and read through the guest's root, where a guest may have its stack and nowhere else (S6,
 * M7). In the upper half the host may have pages of its own at the same addresses, and global ones of them in
 * the TLB, whatever CR3 is: CPL 3 could not use these, we would. INVLPG takes them away (SDM vol. 3, 4.10.4.1).
 *
 * S10: no mitigation is needed here: nothing of the host is mapped, and no branch of these paths depends on
 * anything but the guest's own state and constants.
 */
#include "abi/pvm/direct.h"

#define SYSCALL_FRAME	56	/* bytes: RCX, R11, RIP, CS with the mask, RFLAGS, RSP, SS */
#define IRET_FRAME	72	/* RAX, R11, RCX, flags, RIP, CS, RFLAGS, RSP, SS */
#define INFO_PENDING	0	/* of a vcpu_info */
#define INFO_MASK	1
#define FLAT_CS64	0xe033	/* other names that the interface has for the selectors of user mode */
#define FLAT_SS		0xe02b

/* What iret's frame holds, below RSP, where nothing else is put meanwhile: interrupts are off, and NMI, #MC and
 * #DB have stacks of their own. */
#define I_SS		-8(%rsp)
#define I_RSP		-16(%rsp)
#define I_RFLAGS	-24(%rsp)
#define I_CS		-32(%rsp)
#define I_RIP		-40(%rsp)
#define I_RCX		-48(%rsp)
#define I_R11		-56(%rsp)
#define I_RAX		-64(%rsp)

/* S6, M7: go to \otherwise unless \size bytes from rdx on may be a guest's; what global pages the host has
 * there is forgotten. Clobbers rax. */
.macro GUEST_STACK_OR size, otherwise
	movq	%rdx, %rax
	shrq	$47, %rax
	jz	.Llower_half\@
	cmpq	C(RANGE_START), %rdx
	jb	\otherwise
	cmpq	C(RANGE_END), %rdx
	ja	\otherwise
	invlpg	(%rdx)				/* S6 */
	leaq	(\size - 1)(%rdx), %rax
	invlpg	(%rax)
.Llower_half\@:
.endm

/* The other mode's GS base for this one's. Clobbers rax, rdx. */
.macro SWAP_GS_BASES
	rdgsbase %rax
	movq	C(KERNEL_GS_BASE), %rdx
	movq	%rax, C(KERNEL_GS_BASE)
	wrgsbase %rdx
.endm

/* SYSCALL of the kernel. In: rcx = RIP, r11 = RFLAGS, all others the guest's. */
xen_supervisor_syscall:
	cmpq	$XEN_IRET, %rax
	je	xen_iret
	CANONICAL_OR syscall_to_host		/* S1 */
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jnz	syscall_to_host
	movq	C(RAX), %rax
	cmpq	$XEN_STACK_SWITCH, %rax
	je	xen_stack_switch
	cmpq	$XEN_SET_SEGMENT_BASE, %rax
	je	xen_set_segment_base
	cmpq	$XEN_XEN_VERSION, %rax
	jne	syscall_to_host

/* xen_version(0), by which Linux has what is pending delivered. */
	testq	%rdi, %rdi
	jnz	syscall_to_host
	movq	C(PVCS), %rdx
	cmpb	$0, INFO_MASK(%rdx)
	jne	1f
	cmpb	$0, INFO_PENDING(%rdx)
	jne	syscall_to_host
1:	movq	$XEN_VERSION, C(RAX)
xen_result:
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	jmp	pvm_switcher_tail_sysret

xen_stack_switch:
	movq	%rsi, C(SUPERVISOR_RSP)
	movq	$0, C(RAX)
	jmp	xen_result

xen_set_segment_base:
	movq	C(CANONICAL_ADD), %rax
	addq	%rsi, %rax
	cmpq	%rax, C(CANONICAL_LIMIT)	/* S1: or WRFSBASE would fault */
	jbe	syscall_to_host
	cmpq	$XEN_SEGBASE_GS_KERNEL, %rdi
	ja	syscall_to_host
	movq	$0, C(RAX)
	je	2f
	testq	%rdi, %rdi
	jz	1f
	movq	%rsi, C(KERNEL_GS_BASE)
	jmp	xen_result
1:	wrfsbase %rsi
	jmp	xen_result
2:	wrgsbase %rsi
	jmp	xen_result

/* iret: frames.c, pvm_xen_iret(). The frame is read once (M6). */
xen_iret:
	movq	C(RSP), %rdx
	GUEST_STACK_OR IRET_FRAME, syscall_to_host
	lfence				/* or a wrong guess of the half would read before INVLPG */
	movq	%rcx, C(RIP)			/* for xen_iret_refused */
	movq	%r11, C(RFLAGS)
	testl	$AREA_SMAP, C(FLAGS)
	jz	pvm_switcher_xen_frame_read
	stac
PLACE pvm_switcher_xen_frame_read		/* a fault in here: xen_iret_refused */
	pushq	64(%rdx)
	pushq	56(%rdx)
	pushq	48(%rdx)
	pushq	40(%rdx)
	pushq	32(%rdx)
	pushq	16(%rdx)
	pushq	8(%rdx)
	pushq	(%rdx)
PLACE pvm_switcher_xen_frame_read_end
	addq	$64, %rsp
	testl	$AREA_SMAP, C(FLAGS)
	jz	1f
	clac
1:	movq	I_RIP, %rcx
	CANONICAL_OR pvm_switcher_xen_iret_refused	/* S1 */
	movl	I_RFLAGS, %r11d
	movq	C(PVCS), %rdx
	movl	I_CS, %eax
	andl	$3, %eax
	cmpl	$3, %eax
	jne	xen_iret_supervisor

/* To user mode. */
	movzwl	I_CS, %eax			/* S4: both selectors */
	cmpw	C(USER_CS), %ax
	je	1f
	cmpl	$FLAT_CS64, %eax
	jne	pvm_switcher_xen_iret_refused
1:	movzwl	I_SS, %eax
	cmpw	C(USER_DS), %ax
	je	1f
	cmpl	$FLAT_SS, %eax
	jne	pvm_switcher_xen_iret_refused
1:	testl	$PVM_RFLAGS_IF, %r11d
	jz	1f
	cmpb	$0, INFO_PENDING(%rdx)
	jne	pvm_switcher_xen_iret_refused	/* the kernel is told first */
	movb	$0, INFO_MASK(%rdx)		/* what comes from here on kicks the vCPU */
	jmp	2f
1:	movb	$1, INFO_MASK(%rdx)
2:	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */
	orl	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), %r11d
	SWAP_GS_BASES
	movl	$1, C(USER_MODE)
	incq	C(RETURNS_USER)
	LOAD_ROOT 1
	jmp	xen_iret_load

xen_iret_supervisor:
	testl	$PVM_RFLAGS_IF, %r11d
	jz	1f
	cmpb	$0, INFO_PENDING(%rdx)
	jne	pvm_switcher_xen_iret_refused
	movb	$0, INFO_MASK(%rdx)
	jmp	2f
1:	movb	$1, INFO_MASK(%rdx)
2:	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */
	orl	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), %r11d
	incq	C(RETURNS_SUPERVISOR)

/* In: rcx = RIP, r11 = RFLAGS. */
xen_iret_load:
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	movq	I_RSP, %rax
	movq	%rax, C(RSP)
	movq	I_RAX, %rax
	movq	%rax, C(RAX)
	cmpq	%rcx, I_RCX
	jne	1f
	cmpq	%r11, I_R11			/* S2 */
	jne	1f
	testl	$(PVM_RFLAGS_RF | PVM_RFLAGS_TF), %r11d	/* S2 */
	jz	pvm_switcher_tail_sysret
1:	movq	I_RCX, %rax
	movq	%rax, C(RCX)
	movq	I_R11, %rax
	movq	%rax, C(R11)
	USER_SELECTORS
	jmp	pvm_switcher_tail_iret

PLACE pvm_switcher_xen_iret_refused
	movq	C(RIP), %rcx
	movq	C(RFLAGS), %r11
	jmp	syscall_to_host

	DIALECT_SYSCALL pvm_switcher_syscall_xen_pv, xen_supervisor_syscall

/* User SYSCALL: frames.c, pvm_xen_user_syscall(). A frame on the stack that stack_switch named. */
	movq	C(SUPERVISOR_RSP), %rdx
	andq	$-16, %rdx
	subq	$SYSCALL_FRAME, %rdx
	GUEST_STACK_OR SYSCALL_FRAME, syscall_to_host
	movq	%rdx, -8(%rsp)
	movq	%rcx, C(RIP)			/* for pvm_switcher_xen_syscall_refused */
	movq	%r11, C(RFLAGS)
	LOAD_ROOT 0
	movq	C(PVCS), %rdx
	xorl	%ecx, %ecx
	cmpb	$0, INFO_MASK(%rdx)		/* M6: once */
	setne	%cl
	movq	-8(%rsp), %rdx
	testl	$AREA_SMAP, C(FLAGS)
	jz	pvm_switcher_xen_frame_write
	stac
PLACE pvm_switcher_xen_frame_write		/* a fault in here: pvm_switcher_xen_syscall_refused */
	movq	C(RIP), %rax
	movq	%rax, (%rdx)
	movq	%r11, 8(%rdx)
	movq	%rax, 16(%rdx)
	movq	%rcx, %rax
	shlq	$32, %rax
	orq	C(USER_CS), %rax
	movq	%rax, 24(%rdx)
	movq	C(RSP), %rax
	movq	%rax, 40(%rdx)
	movq	C(USER_DS), %rax
	movq	%rax, 48(%rdx)
	movq	%r11, %rax			/* RFLAGS.IF is the guest's own: not masked */
	orq	$PVM_RFLAGS_IF, %rax
	testl	%ecx, %ecx
	jz	1f
	andq	$~PVM_RFLAGS_IF, %rax
1:	movq	%rax, 32(%rdx)
PLACE pvm_switcher_xen_frame_write_end
	testl	$AREA_SMAP, C(FLAGS)
	jz	1f
	clac
1:	movq	%rdx, C(RSP)
	movq	C(PVCS), %rcx
	movb	$1, INFO_MASK(%rcx)
	testl	$AREA_PKE, C(FLAGS)
	jz	1f
	xorl	%eax, %eax			/* S11: a key of user mode's is none in the kernel */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	wrpkru
1:	SWAP_GS_BASES
	movl	$0, C(USER_MODE)
	incq	C(USER_SYSCALLS)
	movq	C(LSTAR), %rcx			/* S1: PVM_INHIBIT_ENTRY */
	movq	%rcx, C(RIP)
	movq	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), C(RFLAGS)	/* S2 */
	jmp	pvm_switcher_tail_sysret
	DIALECT_END

/* The kernel's root is loaded, and its mode is not: the host loads its own. */
PLACE pvm_switcher_xen_syscall_refused
	movq	C(RIP), %rcx
	movq	C(RFLAGS), %r11
	jmp	syscall_to_host
