/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guests of single CR3 that must die, each of one CASE: an event in supervisor mode
 * that finds the lock of event_vector held, or no PVCS to be written to. Coming to
 * the end is the failure.
 */
#include "guest.h"

#define VECTOR		0x52
#define NON_CANONICAL	0x0100000000000000ul

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void interrupt_with_if_set(void)
{
	pvcs_lock();
	apic_send_self(VECTOR);
	pvcs()->event_flags |= PVM_EVENT_FLAGS_IF;
	hc_irq_win();
}

/* The #GP of EVENT_RETURN_USER is an event of supervisor mode. */
static void refused_return(void)
{
	struct user u;

	run_user(&u, (void *)NON_CANONICAL, 0);
}

/* The high byte is the lock, all of it. */
static void locked_by(u16 bit)
{
	pvcs()->event_vector = bit;
	undefined();
}

/* spec: SC-023 */
static void die_of(int what)
{
	switch (what) {
	case 1: locked_by(PVM_SC_VECTOR_STD); break;
	case 2: locked_by(PVM_SC_VECTOR_NMI); break;
	case 3: locked_by(0x8000); break;
	case 4: interrupt_with_if_set(); break;
	case 5: refused_return(); break;
	case 6:
		hc_wrmsr(MSR_PVM_VCPU_STRUCT, 0);
		undefined();
		break;
	}
}

void guest_main(void)
{
	die_of(CASE);
	check(false, "this guest should not have come so far");
}
