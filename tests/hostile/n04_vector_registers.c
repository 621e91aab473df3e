/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * N4, M2: a program that ends its stub right after a hand-over. The fault that its kernel gets comes with the
 * program's own vector registers, not with those that the kernel had when it was entered last.
 */
#include "stub_text.h"

#define ROUNDS	40
#define KEY	0x5ec4e75ec4e70000ul	/* of another program */
#define OWN	0xb0b0b0b000000000ul

USER_CODE(user_call, "	syscall\n	ud2\n");
/* Between two instructions of the stub's text. */
USER_CODE(user_die, "	movq	$0x7fff80000ff0, %rax\n	jmp	*%rax\n");

static void set_xmm5(u64 value)
{
	__asm__ volatile("movq %0, %%xmm5" : : "r"(value));
}

static u64 xmm5(void)
{
	u64 value;

	__asm__ volatile("movq %%xmm5, %0" : "=r"(value));
	return value;
}

static u64 go_to(const void *rip)
{
	fill_registers();
	fill_pvcs((u64)rip);
	set_user_rsp(user_stack_top() - 64);
	return attack(attack_retu);
}

void guest_main(void)
{
	struct tally t = { 0 };

	attack_begin();
	for (u64 round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < 4; i++)	/* all is mapped, and hand-overs are on */
			go_to(user_call);
		set_xmm5(KEY + round);
		hc_rdmsr(MSR_LSTAR);	/* an exit, as for the next program's CR3 */
		set_xmm5(OWN + round);
		tally(&t, go_to(user_die) == BY_USER_EVENT && xmm5() == OWN + round, round);
	}
	attack_end();
	check_tally(&t, "N4: the fault of a program that ends its stub comes with its own vector registers");
}
