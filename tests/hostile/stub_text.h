/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * User programs that execute, at any byte and with any registers, what a rootless host has of its own in
 * the guest's address space. Other hosts have nothing there: every jump is a #PF.
 */
#ifndef HOSTILE_STUB_TEXT_H
#define HOSTILE_STUB_TEXT_H

#include "attack.h"
#include "protocol.h"	/* the stub's */

#define STUB_END	(STUB_TEXT + 0x10000)	/* of what may be there, the pages beside it included */
#define STUB_TICK	0x71			/* the timer's vector */

static u64 stub_ticks;

USER_CODE(user_write, "	movq	%rax, (%rdi)\n	syscall\n	ud2\n");

/* The timer, each millisecond. After attack_begin(). */
static inline void stub_ticks_begin(void)
{
	hc_wrmsr(MSR_X2APIC_TIMER_DIV, TIMER_DIV_1);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_PERIODIC | STUB_TICK);
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, apic_timer_khz());
}

static inline void stub_ticks_end(void)
{
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, 0);
}

/* Run user mode at @rip with attack_in's registers. Ticks are taken; each begins the same
 * again, as it would for a kernel that does not keep the registers. */
static u64 visit(u64 rip)
{
	unsigned tick;
	u64 by;

	for (tick = 0; tick < 4; tick++) {
		u64 rsp = attack_in.gpr[RSP];

		fill_pvcs(rip);
		set_user_rsp(rsp);
		by = attack(attack_retu);
		if (by != BY_USER_EVENT || pvcs()->event_vector != STUB_TICK)
			return by;
		stub_ticks++;
		apic_eoi();
	}
	return BY_INTERRUPT;	/* the tick is all that ends this */
}

/* Random registers, random bytes where they can be written, a random place. */
static inline void visit_at_random(u64 round)
{
	u64 value = random64();
	u64 place = STUB_TEXT + random64() % (STUB_END - STUB_TEXT);

	if (round % 2) {
		fill_registers();
		attack_in.gpr[RAX] = value;
		attack_in.gpr[RDI] = place & ~7ul;
		attack_in.gpr[RSP] = user_stack_top() - 64;
		visit((u64)user_write);
	}
	for (unsigned i = 0; i < 16; i++) {
		value = random64();
		attack_in.gpr[i] = value & 1 ? value : value & 2 ? value & 0xff :
			STUB_TEXT + (value >> 8) % (STUB_END - STUB_TEXT);
	}
	visit(STUB_TEXT + random64() % PAGE_SIZE);
}

#endif /* HOSTILE_STUB_TEXT_H */
