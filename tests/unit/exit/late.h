/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* An exit for which the engine has to touch memory that is away: without sleeping first, then with. late.c */
#ifndef TESTS_EXIT_LATE_H
#define TESTS_EXIT_LATE_H

#include "controller.h"

#define CODE	0x300000ull
#define PAGE	0x310000ull	/* in late.c mapped by 4 KiB at WINDOW, too */

static inline void late_boot(void)
{
	controller_boot();
	vcpu->rip = CODE;
}

static inline void late_stopped(enum pvm_exit_kind kind, uint8_t vector)
{
	stop.kind = kind;
	stop.vector = vector;
	stop.error_code = 0;
}

/* Without sleeping nothing is fetched. */
static inline void late_assert_needs_sleep(void)
{
	unsigned fetched = f.host.fetched;

	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	cr_assert_eq(f.host.fetched, fetched);
}

#endif /* TESTS_EXIT_LATE_H */
