/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the harness and the guest `transitions` have in common, and the table of
 * kinds. The layouts are read by tests/ring0/harness/machine.py.
 */
#ifndef GUEST_TRANSITIONS_H
#define GUEST_TRANSITIONS_H

#include "guest.h"

#define BY_ITSELF (~0ul)

struct control {
	u64 kind;	/* written by the harness: which to run, or one past the last: end */
	u64 turns;	/* runs so far */
	u64 failures;	/* of them, those in which something was not as it should be */
	u64 ticks;	/* of the TSC, that the last run took */
	u64 stops;	/* how often transitions_here was reached */
};

struct transition {
	const char *name;
	bool (*run)(void);	/* one time; was all well? */
};

extern struct control transitions_control;
extern const struct transition transitions[];
extern const u64 transitions_count;

void transitions_turn(void);
void transitions_init(void);

#endif /* GUEST_TRANSITIONS_H */
