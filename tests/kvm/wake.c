/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest with two vCPUs, for a host with one CPU whose TSC counts instructions: an IPI wakes the other
 * one, which has to have the CPU at once, not when the host's timer ticks.
 */
#include "guest.h"

#define VECTOR	0x81
#define TIMES	11
#define ASLEEP	7000		/* microseconds, until the other one sleeps */
#define SOON	200000		/* instructions; a tick of the host's is four million */

static u32 woken;

static bool on_ipi(struct frame *frame)
{
	(void)frame;
	apic_eoi();
	atomic_add(&woken, 1);
	return true;
}

USER_CODE(user_nothing, "	syscall\n	ud2\n");

/* Hypercalls are answered in the switcher once there has been user mode. */
static void visit_user_mode(void)
{
	struct user user;

	user_init(&user, user_nothing, user_stack_top(), 0);
	user_run_once(&user);
}

static void sleep_for_ever(void)
{
	for (;;) {
		irq_disable();
		hc_irq_hlt();
	}
}

void guest_main(void)
{
	u32 late = 0;

	on_event(VECTOR, on_ipi);
	visit_user_mode();
	guest_assert(smp_start(sleep_for_ever) == 2);
	for (u32 i = 0; i < TIMES; i++) {
		u32 before = atomic_read(&woken);
		u64 since;

		delay_us(ASLEEP);
		since = rdtsc();
		apic_send(cpus[1].apic_id, VECTOR);
		while (atomic_read(&woken) == before)
			;
		late += rdtsc() - since > SOON;
	}
	/* A tick of the host's may come between. */
	check(late <= TIMES / 2, "a vCPU that an IPI wakes on the sender's CPU runs at once");
}
