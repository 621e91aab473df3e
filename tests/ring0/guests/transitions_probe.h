/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One instruction in supervisor mode with a chosen value in every register, and
 * what every register held after it. Owns the order of struct registers, which
 * its assembly shares.
 */
#ifndef GUEST_TRANSITIONS_PROBE_H
#define GUEST_TRANSITIONS_PROBE_H

#include "guest.h"

struct registers {
	u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;	/* 0..112 */
	u64 rflags, rsp;								/* 120, 128 */
};

#define PROBE_OUT 136	/* struct probe::out */

struct probe {
	struct registers in, out;	/* in.rsp: written by the probe */
};

_Static_assert(offsetof(struct registers, rflags) == 120, "PROBE()");
_Static_assert(offsetof(struct registers, rsp) == 128, "PROBE()");
_Static_assert(offsetof(struct probe, out) == PROBE_OUT, "PROBE()");

/* Defines void name(struct probe *): @insn between loads and stores of everything;
 * name_at is the instruction, name_next the one after it. */
#define PROBE(name, insn) PROBE_(name, insn, 136)
#define PROBE_(name, insn, out) \
	void name(struct probe *probe); \
	extern const char name##_at[], name##_next[]; \
	__asm__(".pushsection .text\n.globl " #name ", " #name "_at, " #name "_next\n" \
		".type " #name ", @function\n" #name ":\n" \
		"	pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n" \
		"	pushq %rdi\n" \
		"	movq %rsp, 128(%rdi)\n" \
		"	movq (%rdi), %rax; movq 8(%rdi), %rbx; movq 16(%rdi), %rcx; movq 24(%rdi), %rdx\n" \
		"	movq 32(%rdi), %rsi; movq 48(%rdi), %rbp; movq 56(%rdi), %r8; movq 64(%rdi), %r9\n" \
		"	movq 72(%rdi), %r10; movq 80(%rdi), %r11; movq 88(%rdi), %r12; movq 96(%rdi), %r13\n" \
		"	movq 104(%rdi), %r14; movq 112(%rdi), %r15\n" \
		"	pushq 120(%rdi); popfq\n" \
		"	movq 40(%rdi), %rdi\n" \
		#name "_at:	" insn "\n" \
		#name "_next:	xchgq %rax, (%rsp)\n" \
		"	movq %rsp, " #out "+128(%rax)\n" \
		"	pushfq; popq " #out "+120(%rax)\n" \
		"	cld\n" \
		"	popq " #out "(%rax)\n" \
		"	movq %rbx, " #out "+8(%rax); movq %rcx, " #out "+16(%rax)\n" \
		"	movq %rdx, " #out "+24(%rax); movq %rsi, " #out "+32(%rax)\n" \
		"	movq %rdi, " #out "+40(%rax); movq %rbp, " #out "+48(%rax)\n" \
		"	movq %r8, " #out "+56(%rax); movq %r9, " #out "+64(%rax)\n" \
		"	movq %r10, " #out "+72(%rax); movq %r11, " #out "+80(%rax)\n" \
		"	movq %r12, " #out "+88(%rax); movq %r13, " #out "+96(%rax)\n" \
		"	movq %r14, " #out "+104(%rax); movq %r15, " #out "+112(%rax)\n" \
		"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n" \
		"	ret\n" \
		".size " #name ", . - " #name "\n.popsection")

#endif /* GUEST_TRANSITIONS_PROBE_H */
