/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S4: EVENT_RETURN_USER with every value of PVCS::user_cs and of PVCS::user_ss:
 * only the two pairs that exist are taken, everything else is #GP and loads
 * nothing.
 */
#include "attack.h"

#define SELECTORS 0x10000u
#define LOW_CODE 0x2000000ul

static bool refused(u16 cs, u16 ss)
{
	u64 by;

	pvcs()->user_cs = cs;
	pvcs()->user_ss = ss;
	by = attack(attack_retu);
	return was_exception(by, VEC_GP, (u64)attack_retu) && pvcs()->user_cs == cs && pvcs()->user_ss == ss;
}

void guest_main(void)
{
	struct tally cs = { 0 }, ss = { 0 }, both = { 0 };
	u16 good_cs = user64_cs(), good_ss = user_ss();

	seed_random(0x5404);
	attack_begin();
	visit_user_mode();
	fill_pvcs((u64)attack_user_syscall);
	for (u32 sel = 0; sel < SELECTORS; sel++) {
		if (sel != good_cs && sel != user32_cs())
			tally(&cs, refused((u16)sel, good_ss), sel);
		if (sel != good_ss)
			tally(&ss, refused(good_cs, (u16)sel), sel);
	}
	check_tally(&cs, "S4: every other CS is #GP");
	check_tally(&ss, "S4: every other SS is #GP");
	for (unsigned i = 0; i < 4096; i++) {
		u64 pair = random64();
		u16 c = (u16)pair, s = (u16)(pair >> 16);

		if (s != good_ss)
			tally(&both, refused(c, s), pair & 0xffffffff);
	}
	check_tally(&both, "S4: random pairs are #GP");
	fill_pvcs((u64)attack_user_syscall);
	check_eq(attack(attack_retu), BY_SYSCALL, "S4: the 64-bit pair is taken");
	check(pvcs()->user_cs == good_cs && pvcs()->user_ss == good_ss, "S4: and saved as it was");
	attack_end();
}
