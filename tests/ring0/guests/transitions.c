/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Every kind of way between user mode, supervisor mode and the hypervisor, each
 * with all registers checked, one at a time and as often as wanted. By itself
 * it runs each a few times; a harness that stops the machine at
 * transitions_here takes over by writing `transitions_control`.
 *
 * S1, S2, S4, S11, S12 as the guest sees them.
 */
#include "transitions.h"

struct control transitions_control = { .kind = BY_ITSELF };

/* The harness stops the machine at transitions_here, between two runs of a kind.
 * The store keeps the control structure mapped for it; the harness goes on after the NOP. */
noinline void transitions_turn(void)
{
	transitions_control.stops++;
	__asm__ volatile(".globl transitions_here\ntransitions_here:\n\tnop" : : : "memory");
}

static void run_kind(u64 index)
{
	u64 start = rdtsc();
	bool ok = transitions[index].run();

	transitions_control.ticks = rdtsc() - start;
	if (!ok) {
		transitions_control.failures++;
		printf("not ok - %s\n", transitions[index].name);
	}
	transitions_control.turns++;
}

static void by_harness(void)
{
	u64 kind;

	while ((kind = read_once(transitions_control.kind)) < transitions_count) {
		run_kind(kind);
		transitions_turn();
	}
	check_eq(transitions_control.failures, 0, "all transitions, by the harness");
}

static void by_itself(void)
{
	for (u64 kind = 0; kind < transitions_count; kind++) {
		u64 before = transitions_control.failures;

		for (unsigned i = 0; i < 3; i++)
			run_kind(kind);
		check_eq(transitions_control.failures, before, transitions[kind].name);
	}
}

void guest_main(void)
{
	transitions_init();
	transitions_turn();
	if (read_once(transitions_control.kind) == BY_ITSELF)
		by_itself();
	else
		by_harness();
}
