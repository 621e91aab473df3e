/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * N3, M9: a program that says stop for its stub, in a single step, after it has forged a frame by which
 * it denies itself protection key 0, so that a tracer is to let it go on. It must not get a run that it
 * has not taken the go for.
 */
#include "stub_text.h"

#define ROUNDS		200
#define OSPKE		(1 << 4)	/* CPUID 7 ECX */
#define XSTATE_PKRU	9
#define FORGED		0x1111

SUPERVISOR_CODE(kernel_read, "	movq	(%rdi), %rax\n	jmp	attack_through\n");
USER_CODE(user_call, "	syscall\n	ud2\n");
/* r14: PKRU in the extended state; r15: the SYSCALL that says stop; r9: how long it computes before. */
USER_CODE(user_forge,
	  "	movq	$0x7fff80007000, %rbx\n"	/* the record: where the frame is, and why */
	  "	movq	16(%rbx), %r12\n"
	  "	movq	232(%r12), %r13\n"		/* its extended state */
	  "	orq	$0x202, 512(%r13)\n	movl	$1, (%r13, %r14)\n"
	  "	movq	$0x2222, %rax\n	movq	%rax, 256(%r13)\n"	/* XMM6 */
	  "	movl	$1, 56(%rbx)\n	movl	$0, 320(%r12)\n"
	  "	leaq	user_goes_on(%rip), %rax\n	movq	%rax, 176(%r12)\n"
	  "	movq	%rsp, 168(%r12)\n	movq	$0x202, 184(%r12)\n"
	  "	movq	$0x1111, %rax\n	movq	%rax, %xmm6\n"
	  "1:	decq	%r9\n	jnz	1b\n"
	  "	movq	%rsp, %rcx\n	movl	%ss, %eax\n	pushq	%rax\n	pushq	%rcx\n"
	  "	pushq	$0x302\n	movl	%cs, %eax\n	pushq	%rax\n	pushq	%r15\n"
	  "	movl	$1, %eax\n	movl	$11, %edi\n	movq	$0x7fff80001000, %rsi\n"
	  "	movl	$8, %edx\n	iretq\n"
	  ".globl user_goes_on\nuser_goes_on:\n	movq	%xmm6, %rdi\n	syscall\n	ud2\n");

/* The SYSCALL behind "movl $STUB_FD_STOP, %edi"; 0: another host's. */
static u64 stop_site(void)
{
	const u8 *text = (const u8 *)STUB_TEXT;

	fill_registers();
	attack_in.gpr[RDI] = STUB_TEXT;
	if (attack(kernel_read) != BY_THROUGH)
		return 0;
	for (unsigned i = 0; i < 0x400; i++) {
		if (text[i] != 0xbf || text[i + 1] != STUB_FD_STOP || text[i + 2])
			continue;
		for (unsigned j = i; j < i + 30; j++)
			if (text[j] == 0x0f && text[j + 1] == 5)
				return (u64)text + j;
	}
	return 0;
}

void guest_main(void)
{
	struct tally t = { 0 };
	u64 site;

	if (!(cpuid(7, 0).ecx & OSPKE)) {
		skip("N3: a stop in a single step: this CPU has no protection keys");
		return;
	}
	write_reg(cr4, read_reg(cr4) | CR4_PKE);
	attack_begin();
	site = stop_site();
	for (u64 round = 0; round < ROUNDS; round++) {
		u64 by;

		for (unsigned i = 0; i < 3; i++) {
			fill_registers();
			fill_pvcs((u64)user_call);
			set_user_rsp(user_stack_top() - 64);
			attack(attack_retu);
		}
		fill_registers();
		attack_in.gpr[R14] = cpuid(0xd, XSTATE_PKRU).ebx;
		attack_in.gpr[R15] = site;
		attack_in.gpr[R9] = 1 + (round % 4) * 2000000;
		fill_pvcs((u64)user_forge);
		set_user_rsp(user_stack_top() - 64);
		by = attack(attack_retu);
		tally(&t, by != BY_SYSCALL || attack_out.gpr[RDI] != FORGED, round);
	}
	attack_end();
	check_tally(&t, "N3, M9: a stop in a single step is no entry");
}
