/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * N2, N3: a kernel that writes all that it likes where a rootless host's stub notes things, and whose
 * user program ends its stub as soon as it is handed the vCPU. The monitor goes by neither.
 */
#include "stub_text.h"

#define ROUNDS	60
/* Behind what is used. */
#define FIRST	(STUB_SHARED + RECORD_REGISTERS + sizeof(struct stub_registers))
#define LIES	64
#define TOUCHED	(USER_BASE + 16 * GiB)

SUPERVISOR_CODE(kernel_read, "	movq	(%rdi), %rax\n	jmp	attack_through\n");
/* On one page, so that the second has its own when it is needed. */
USER_CODE(user_call, "	syscall\n	ud2\n");
/* Between two instructions of the stub's text, where honest code never is. */
USER_CODE(user_die, "	movq	$0x7fff80000ff0, %rax\n	jmp	*%rax\n");

/* The run's number; 0: another host's, where nothing is there. */
static u64 turn_of_now(void)
{
	fill_registers();
	attack_in.gpr[RDI] = STUB_CONTROL + CONTROL_TURN;
	return attack(kernel_read) == BY_THROUGH ? attack_out.gpr[RAX] : 0;
}

static void lie(u64 value)
{
	for (u64 i = 0; i < LIES; i++)
		*(volatile u64 *)(FIRST + i * 8) = value;
}

static u64 go_to(const void *rip)
{
	fill_registers();
	fill_pvcs((u64)rip);
	return attack(attack_retu);
}

void guest_main(void)
{
	struct tally died = { 0 }, lived = { 0 };
	u64 turn;

	map_user_range(&boot_space, TOUCHED, page_alloc() & ~(PAGE_SIZE - 1), PAGE_SIZE, PTE_USER_RW);
	attack_begin();
	for (u64 round = 0; round < ROUNDS; round++) {
		hc_invlpg(TOUCHED);
		for (u64 i = 0; i < 4; i++)	/* all is mapped, and the two hand over to each other */
			tally(&lived, go_to(user_call) == BY_SYSCALL, round);
		turn = turn_of_now();
		fill_pvcs((u64)user_die);
		fill_registers();
		if (turn && round % 3 == 1)
			lie(turn + 1);
		hc_rdmsr(MSR_LSTAR);		/* an exit */
		if (round % 2)			/* and one with a command before the next entry */
			*(volatile u64 *)TOUCHED = round;
		if (turn && round % 3 == 0)
			lie(0xdead);
		tally(&died, attack(attack_retu) == BY_USER_EVENT, round);
	}
	attack_end();
	check_tally(&died, "N3: a program that ends its stub is told its kernel, whatever that has written");
	check_tally(&lived, "N2: and the next one runs");
}
