/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * N5: a program that denies itself protection key 0, while a timer ticks: no fault comes that it has
 * not made. A rootless host has to enter it in a way of its own.
 */
#include "stub_text.h"

#define ROUNDS		4000
#define DENIED		1u
#define OSPKE		(1 << 4)	/* CPUID 7 ECX */

USER_CODE(user_work, "	movq	$4000, %rcx\n1:	decq	%rcx\n	jnz	1b\n	syscall\n	ud2\n");

void guest_main(void)
{
	struct tally t = { 0 };

	if (!(cpuid(7, 0).ecx & OSPKE)) {
		skip("N5: key 0 is denied: this CPU has no protection keys");
		return;
	}
	write_reg(cr4, read_reg(cr4) | CR4_PKE);
	attack_begin();
	stub_ticks_begin();
	for (u64 round = 0; round < ROUNDS; round++) {
		u64 by;

		fill_registers();
		fill_pvcs((u64)user_work);
		set_user_rsp(user_stack_top() - 64);
		pvcs()->pkru = DENIED;
		by = attack(attack_retu);
		if (by == BY_USER_EVENT && pvcs()->event_vector == STUB_TICK) {
			stub_ticks++;
			apic_eoi();
		} else {
			tally(&t, by == BY_SYSCALL && pvcs()->pkru == DENIED, round);
		}
	}
	stub_ticks_end();
	attack_end();
	check_tally(&t, "N5: a program without key 0 gets no fault that it has not made");
	check(stub_ticks > 0, "N5: while a timer ticks");
}
