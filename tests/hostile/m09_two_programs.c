/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M9, M2: one program on two vCPUs. On the first it executes all that a rootless host has in its address
 * space, with random registers, and writes over what it can write there, while a timer ticks; on
 * the second it computes and makes system calls, and must not notice.
 */
#include "stub_text.h"

#ifndef ROUNDS
#define ROUNDS		500
#endif
#define TIMEOUT_MS	20000

/* Sums in every register that a system call keeps, calls, and sums again, until *rdi is set. rsi is where
 * it counts. Leaves with rax 2 when a register is not what it was. */
USER_CODE(user_honest,
	  "	movq	$0x1111, %rbx\n	movq	$0x2222, %rbp\n	movq	$0x3333, %r8\n"
	  "	movq	$0x4444, %r12\n	movq	$0x5555, %r13\n	movq	$0x6666, %r15\n"
	  "	movq	%rbx, %xmm0\n	movq	%r15, %xmm15\n"
	  "1:	incq	(%rsi)\n	movq	$1, %rax\n	syscall\n"
	  "	movq	$2, %rax\n"
	  "	cmpq	$0x1111, %rbx\n	jne	2f\n	cmpq	$0x2222, %rbp\n	jne	2f\n"
	  "	cmpq	$0x3333, %r8\n	jne	2f\n	cmpq	$0x4444, %r12\n	jne	2f\n"
	  "	cmpq	$0x5555, %r13\n	jne	2f\n	cmpq	$0x6666, %r15\n	jne	2f\n"
	  "	movq	%xmm0, %rdx\n	cmpq	$0x1111, %rdx\n	jne	2f\n"
	  "	movq	%xmm15, %rdx\n	cmpq	$0x6666, %rdx\n	jne	2f\n"
	  "	cmpl	$0, (%rdi)\n	je	1b\n"
	  "	movq	$3, %rax\n"
	  "2:	syscall\n	ud2\n");

static user_data u32 over;
static user_data u64 counted;
static user_data u8 user_stack[4096] __attribute__((aligned(16)));
static u64 calls;
static u32 ready, done;
static bool is_right;

static void other_cpu(void)
{
	struct user u;

	user_init(&u, user_honest, (u64)user_stack + sizeof(user_stack), (u64)&over);
	u.rsi = (u64)&counted;
	atomic_set(&ready, 1);
	for (;;) {
		if (user_run(&u) != LEFT_BY_SYSCALL || u.rax != 1)
			break;
		calls++;
	}
	is_right = u.left_by == LEFT_BY_SYSCALL && u.rax == 3;
	atomic_set(&done, 1);
}

void guest_main(void)
{
	struct tally t = { 0 };

	if (smp_start(other_cpu) < 2) {
		skip("M9: a program on another CPU: there is only one vCPU");
		return;
	}
	while (!atomic_read(&ready))
		cpu_relax();
	attack_begin();
	stub_ticks_begin();
	seed_random(0x6d30397477);
	for (u64 round = 0; round < ROUNDS; round++) {
		visit_at_random(round);
		tally(&t, !atomic_read(&done), round);
	}
	stub_ticks_end();
	attack_end();
	check_tally(&t, "M9: what a program does on one CPU does not end it on another");
	atomic_set(&over, 1);
	check(wait_for(&done, 1, TIMEOUT_MS) && is_right, "M2: nor change a register there");
	check(counted == calls && calls > 0, "and each of its system calls counts");
}
