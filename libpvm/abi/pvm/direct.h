/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Macros for the direct switches of PVM's dialects, beside those of switcher/entry.h.
 * Assembly only. What they do is what abi/pvm/mode.h does, to the byte.
 *
 * spec: MSR_GS_BASE/MSR_KERNEL_GS_BASE, Protection Keys
 */
#ifndef PVM_ABI_PVM_DIRECT_H
#define PVM_ABI_PVM_DIRECT_H

/*
 * SYSCALL at \name. Falls through for a SYSCALL of user mode. S3
 */
.macro DIALECT_SYSCALL name, supervisor
	.set inhibit_tests, 0
	.balign 64
	SYSCALL_ENTERS \name
	UNLESS_INHIBITED syscall_to_host	/* S3 */
	cmpl	$0, C(USER_MODE)
	je	\supervisor
.endm

/* S3: all fast paths of a dialect begin after one test of the one word. */
.macro DIALECT_END
.if inhibit_tests != 1
	.error "S3: the inhibitor word must be tested exactly once"
.endif
.endm

/* The supervisor's GS base is kept, the user's loaded, semi-canonical. In: rdx = PVCS.
 * Clobbers rax, rcx. */
.macro RETURN_USER_BASES gsbase
	rdgsbase %rax
	movq	%rax, C(KERNEL_GS_BASE)
	movl	C(GS_SHIFT), %ecx
	movq	\gsbase(%rdx), %rax
	shlq	%cl, %rax
	sarq	%cl, %rax
	wrgsbase %rax
.endm

/* S11: the user's PKRU. In: rdx = PVCS. Clobbers rax, rcx, rdx. */
.macro USER_PKRU pkru
	movl	\pkru(%rdx), %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	wrpkru
.endm

#endif /* PVM_ABI_PVM_DIRECT_H */
