/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host's time as devices see it. */
#include <criterion/criterion.h>

#include "clock.h"

Test(clock, time_goes_on)
{
	uint64_t first = clock_now();

	while (clock_now() == first)
		;
	cr_assert_gt(clock_now(), first);
}

Test(clock, the_tsc_frequency_is_that_of_a_real_machine)
{
	cr_assert_gt(clock_tsc_khz(), 100000);
	cr_assert_lt(clock_tsc_khz(), 20000000);
	cr_assert_eq(clock_tsc_khz(), clock_tsc_khz(), "measured once");
}

Test(clock, a_tsc_in_a_millisecond_is_a_millisecond_away)
{
	uint64_t now = clock_now();
	uint64_t then = clock_tsc_time(clock_tsc() + clock_tsc_khz());

	cr_assert_geq(then, now + 900000);
	cr_assert_leq(then, clock_now() + 1100000);
}

Test(clock, a_tsc_of_the_past_is_now)
{
	uint64_t now = clock_now();

	cr_assert_geq(clock_tsc_time(1), now);
	cr_assert_leq(clock_tsc_time(1), clock_now());
}

Test(clock, the_farthest_tsc_is_a_time)
{
	cr_assert_gt(clock_tsc_time(UINT64_MAX), clock_now());
}
