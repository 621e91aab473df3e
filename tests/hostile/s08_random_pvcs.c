/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S8: a PVCS of random bytes, MEGABYTES of them, one return to user mode for
 * each 128. Half the rounds have some fields right, so that the others count.
 * Each ends by an entry, with the supervisor's registers as they were where
 * nothing was loaded.
 */
#include "attack.h"

#ifndef MEGABYTES
#define MEGABYTES	4
#endif
#ifndef SEED
#define SEED		0x5810
#endif
#define ROUNDS		(MEGABYTES * MiB / PVCS_SIZE)
#define KEPT		(FLAG_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID)
#define ALWAYS		(FLAG_FIXED | FLAG_IF)

USER_CODE(user_look, "	pushfq\n	popq	%r10\n	rdgsbase %r12\n	syscall\n	ud2\n");

/* Random bytes, then some of the fields made right, by the bits of @right. */
static void make(u64 right)
{
	volatile u64 *word = (volatile u64 *)pvcs();

	for (unsigned i = 0; i < PVCS_SIZE / 8; i++)
		word[i] = random64();
	if (right & 1)
		pvcs()->rip = (u64)user_look;
	if (right & 2)
		pvcs()->user_cs = right & 4 ? user64_cs() : user32_cs();
	if (right & 8)
		pvcs()->user_ss = user_ss();
	set_user_rsp(right & 16 ? user_stack_top() - 64 : random64());
	if (right & 32)
		pvcs()->eflags = ALWAYS;
	pvcs()->event_flags &= ~PVM_EVENT_FLAGS_IF;
	/* Single CR3's lock and what waits in it: not where a #GP may come, which dies of it. */
	if (SINGLE_CR3 && !(right & 64))
		pvcs()->event_vector &= 0xff;
}

static bool right_end(u64 by, const struct guest_pvcs *asked)
{
	bool pair = asked->user_ss == user_ss() &&
		    (asked->user_cs == user64_cs() || asked->user_cs == user32_cs());
	u64 rsp = attack_in.gpr[RSP];

	if (by == BY_EXCEPTION)
		return was_exception(by, VEC_GP, (u64)attack_retu) &&
		       kept_registers(1 << RSP | 1 << RCX | 1 << R11);
	/* Single CR3: RSP is user mode's, which may have used it before the event, as 32-bit code
	 * or by a push. */
	if (SINGLE_CR3 && by == BY_USER_EVENT &&
	    (asked->user_cs != user64_cs() || pvcs()->rip != asked->rip))
		rsp = attack_out.gpr[RSP];
	if (!pair || attack_out.rflags != ALWAYS || attack_out.gpr[RSP] != rsp)
		return false;
	if (by == BY_SYSCALL)
		return attack_out.gpr[R10] == ((asked->eflags & KEPT) | ALWAYS) &&
		       asked->rip == (u64)user_look && asked->user_cs == user64_cs();
	return by == BY_USER_EVENT && pvcs()->event_vector < 32;
}

void guest_main(void)
{
	struct tally t = { 0 };
	u64 ends[5] = { 0 };

	seed_random(SEED);
	attack_begin();
	fill_registers();
	for (u64 i = 0; i < ROUNDS; i++) {
		u64 r = random64(), by;
		struct guest_pvcs asked;

		make(r & 64 ? r | 1 | 2 | 4 | 8 : r & 128 ? r : 0);
		asked = *(struct guest_pvcs *)pvcs();
		by = attack(attack_retu);
		ends[by]++;
		tally(&t, right_end(by, &asked), i);
	}
	printf("# %lu bytes: %lu refused, %lu by SYSCALL, %lu by an event\n", (u64)ROUNDS * PVCS_SIZE,
	       ends[BY_EXCEPTION], ends[BY_SYSCALL], ends[BY_USER_EVENT]);
	check_tally(&t, "S8: random PVCS bytes: each return ends as it should");
	check(ends[BY_EXCEPTION] && ends[BY_SYSCALL] && ends[BY_USER_EVENT], "S8: in each of three ways");
	fill_pvcs((u64)attack_user_syscall);
	check_eq(attack(attack_retu), BY_SYSCALL, "S8: and then user mode can be run as before");
	attack_end();
}
