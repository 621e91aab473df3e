/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Xen PV's direct switches: the user's SYSCALL, iret, and the hypercalls that change no more than a
 * register. Part of switcher/entry.S. Each path does what its counterpart in frames.c, segments.c or
 * queries.c does; whatever it cannot do goes to the host with nothing changed that the guest would see.
 *
 * Frames are written and read through the guest's root, where a guest may have its stack and nowhere else
 * (S6, M7). In the upper half the host may have pages of its own at the same addresses, and global ones of
 * them in the TLB, whatever CR3 is: CPL 3 could not use these, we would. INVLPG takes them away (SDM vol. 3,
 * 4.10.4.1).
 *
 * S10: no mitigation is needed here: nothing of the host is mapped, and no branch of these paths depends on
 * anything but the guest's own state and constants.
 */
#include "abi/pvm/direct.h"
#include "abi/xen_pv/direct.h"

#define SYSCALL_FRAME	56	/* bytes: RCX, R11, RIP, CS with the mask, RFLAGS, RSP, SS */
#define IRET_FRAME	72	/* RAX, R11, RCX, flags, RIP, CS, RFLAGS, RSP, SS */
#define FLAT_CS64	0xe033	/* other names that the interface has for the selectors of user mode */
#define FLAT_SS		0xe02b

/* What iret's frame holds, below RSP, where nothing else is put meanwhile: interrupts are off, and NMI, #MC
 * and #DB have stacks of their own. */
#define I_SS		-8(%rsp)
#define I_RSP		-16(%rsp)
#define I_RFLAGS	-24(%rsp)
#define I_CS		-32(%rsp)
#define I_RIP		-40(%rsp)
#define I_RCX		-48(%rsp)
#define I_R11		-56(%rsp)

/* S6, M7: go to \otherwise unless \size bytes from rdx on may be a guest's; what global pages the host has
 * there is forgotten. Clobbers rax. */
.macro GUEST_STACK_OR size, otherwise
	cmpq	C(CANONICAL_ADD), %rdx		/* the size of the lower half */
	jb	.Llower_half\@
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
	cmpb	$0, XEN_INFO_MASK(%rdx)
	jne	1f
	cmpb	$0, XEN_INFO_PENDING(%rdx)
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

/* iret: frames.c, pvm_xen_iret(). The frame is read once (M6), and rcx and r11 stay the SYSCALL's until
 * nothing can be refused any more. */
xen_iret:
	movq	C(RSP), %rdx
	GUEST_STACK_OR IRET_FRAME, syscall_to_host
	lfence				/* or a wrong guess of the half would read before INVLPG */
	testl	$AREA_SMAP, C(FLAGS)
	jz	pvm_switcher_xen_frame_read
	stac
PLACE pvm_switcher_xen_frame_read		/* a fault in here: pvm_switcher_xen_iret_refused */
	pushq	64(%rdx)
	pushq	56(%rdx)
	pushq	48(%rdx)
	pushq	40(%rdx)
	pushq	32(%rdx)
	pushq	16(%rdx)
	pushq	8(%rdx)
	movq	(%rdx), %rax
PLACE pvm_switcher_xen_frame_read_end
	addq	$56, %rsp
	movq	%rax, C(RAX)			/* it was XEN_IRET */
	testl	$AREA_SMAP, C(FLAGS)
	jz	1f
	clac
1:	movq	C(CANONICAL_ADD), %rax
	addq	I_RIP, %rax
	cmpq	%rax, C(CANONICAL_LIMIT)	/* S1 */
	jbe	pvm_switcher_xen_iret_refused
	movzwl	I_CS, %eax			/* S4: both selectors */
	cmpw	C(USER_CS), %ax
	jne	xen_iret_other_cs
xen_iret_user:
	movzwl	I_SS, %eax
	cmpw	C(USER_DS), %ax
	je	1f
	cmpl	$FLAT_SS, %eax
	jne	pvm_switcher_xen_iret_refused
1:	movq	C(PVCS), %rdx
	testl	$PVM_RFLAGS_IF, I_RFLAGS
	jz	xen_iret_user_masked
	cmpb	$0, XEN_INFO_PENDING(%rdx)
	jne	pvm_switcher_xen_iret_refused	/* the kernel is told first */
	movb	$0, XEN_INFO_MASK(%rdx)		/* what comes from here on kicks the vCPU */
xen_iret_user_load:
	SWAP_GS_BASES
	movl	$1, C(USER_MODE)
	incq	C(RETURNS_USER)
	LOAD_ROOT 1

/* To either mode. */
xen_iret_load:
	movq	I_RIP, %rcx
	movl	I_RFLAGS, %r11d
	andl	$PVM_RFLAGS_GUEST, %r11d	/* S2 */
	orl	$(PVM_RFLAGS_IF | PVM_RFLAGS_FIXED), %r11d
	movq	%rcx, C(RIP)
	movq	%r11, C(RFLAGS)
	movq	I_RSP, %rax
	movq	%rax, C(RSP)
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

xen_iret_user_masked:
	movb	$1, XEN_INFO_MASK(%rdx)
	jmp	xen_iret_user_load

/* In: eax = CS. To the kernel, or to user mode by its other name. */
xen_iret_other_cs:
	cmpl	$FLAT_CS64, %eax
	je	xen_iret_user
	andl	$3, %eax
	cmpl	$3, %eax
	je	pvm_switcher_xen_iret_refused
	movq	C(PVCS), %rdx
	testl	$PVM_RFLAGS_IF, I_RFLAGS
	jz	1f
	cmpb	$0, XEN_INFO_PENDING(%rdx)
	jne	pvm_switcher_xen_iret_refused
	movb	$0, XEN_INFO_MASK(%rdx)
	jmp	2f
1:	movb	$1, XEN_INFO_MASK(%rdx)
2:	incq	C(RETURNS_SUPERVISOR)
	jmp	xen_iret_load

PLACE pvm_switcher_xen_iret_refused
	movq	$XEN_IRET, C(RAX)
/* The kernel's root may be loaded, while its mode is not: the host loads its own. */
PLACE pvm_switcher_xen_syscall_refused
	jmp	syscall_to_host

	DIALECT_SYSCALL pvm_switcher_syscall_xen_pv, xen_supervisor_syscall

/* User SYSCALL: frames.c, pvm_xen_user_syscall(). A frame on the stack that stack_switch named; RFLAGS.IF in
 * it is the guest's own, and set where events are not masked, as it is in r11. */
	movq	C(PVCS), %rax
	cmpb	$0, XEN_INFO_MASK(%rax)		/* no kernel of ours runs programs so */
	jne	syscall_to_host
	movq	C(SUPERVISOR_RSP), %rdx
	andq	$-16, %rdx
	subq	$SYSCALL_FRAME, %rdx
	GUEST_STACK_OR SYSCALL_FRAME, syscall_to_host
	movq	%rdx, -8(%rsp)
	LOAD_ROOT 0
	movq	-8(%rsp), %rdx
	testl	$AREA_SMAP, C(FLAGS)
	jz	pvm_switcher_xen_frame_write
	stac
PLACE pvm_switcher_xen_frame_write		/* a fault in here: pvm_switcher_xen_syscall_refused */
	movq	%rcx, (%rdx)
	movq	%r11, 8(%rdx)
	movq	%rcx, 16(%rdx)
	movq	C(USER_CS), %rax
	movq	%rax, 24(%rdx)
	movq	%r11, 32(%rdx)
	movq	C(RSP), %rax
	movq	%rax, 40(%rdx)
	movq	C(USER_DS), %rax
	movq	%rax, 48(%rdx)
PLACE pvm_switcher_xen_frame_write_end
	testl	$AREA_SMAP, C(FLAGS)
	jz	1f
	clac
1:	movq	%rdx, C(RSP)
	movq	C(PVCS), %rax
	movb	$1, XEN_INFO_MASK(%rax)
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
PLACE pvm_switcher_xen_end
