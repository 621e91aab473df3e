/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The APIC timer against a clock that the test moves. SDM vol. 3, 10.5.4 */
#include <criterion/criterion.h>

#include "apic_fixture.h"

#define VECTOR	0xe0
#define MODE(mode) ((uint64_t)(mode) << APIC_LVT_TIMER_SHIFT)
#define BY_1	0xb
#define BY_2	0x0
#define BY_128	0xa

static void start(void)
{
	apics_start();
	apic_write(0, APIC_MSR_DIVIDE, BY_1);
}

TestSuite(local_apic_timer, .init = start);

Test(local_apic_timer, one_shot_fires_once_at_its_time)
{
	apic_write(0, APIC_MSR_LVT_TIMER, VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
	apics_advance(999);
	cr_assert_eq(apic_take(0), -1);
	apics_advance(1);
	cr_assert_eq(apic_take(0), VECTOR);
	apic_write(0, APIC_MSR_EOI, 0);
	apics_advance(100000);
	cr_assert_eq(apic_take(0), -1);
	cr_assert_eq(apics.timer, APIC_NEVER);
	cr_assert_eq(apic_read(0, APIC_MSR_CURRENT_COUNT), 0);
}

Test(local_apic_timer, the_divider_slows_the_count)
{
	static const struct { uint32_t code; uint64_t divide; } dividers[] = {
		{ 0x0, 2 }, { 0x1, 4 }, { 0x2, 8 }, { 0x3, 16 }, { 0x8, 32 },
		{ 0x9, 64 }, { 0xa, 128 }, { 0xb, 1 },
	};
	unsigned i;

	for (i = 0; i < 8; i++) {
		apic_write(0, APIC_MSR_DIVIDE, dividers[i].code);
		apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
		cr_assert_eq(apics.timer, apics.now + 1000 * dividers[i].divide, "code %#x",
			     dividers[i].code);
	}
}

Test(local_apic_timer, the_current_count_goes_down)
{
	apic_write(0, APIC_MSR_DIVIDE, BY_2);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
	cr_assert_eq(apic_read(0, APIC_MSR_CURRENT_COUNT), 1000);
	apics_advance(600);
	cr_assert_eq(apic_read(0, APIC_MSR_CURRENT_COUNT), 700);
	cr_assert_eq(apic_read(0, APIC_MSR_INITIAL_COUNT), 1000);
}

Test(local_apic_timer, a_new_divider_applies_to_what_is_left)
{
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
	apics_advance(400);
	apic_write(0, APIC_MSR_DIVIDE, BY_128);
	cr_assert_eq(apics.timer, apics.now + 600 * 128);
}

Test(local_apic_timer, an_initial_count_of_zero_stops_it)
{
	apic_write(0, APIC_MSR_LVT_TIMER, VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 0);
	cr_assert_eq(apics.timer, APIC_NEVER);
	apics_advance(10000);
	cr_assert_eq(apic_take(0), -1);
}

Test(local_apic_timer, periodic_fires_again_and_keeps_its_phase)
{
	uint64_t begin = apics.now;
	int i;

	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_PERIODIC) | VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 100000);
	for (i = 1; i <= 5; i++) {
		apics_advance(100000);
		cr_assert_eq(apic_take(0), VECTOR, "period %d", i);
		apic_write(0, APIC_MSR_EOI, 0);
		cr_assert_eq(apics.timer, begin + 100000ull * (unsigned)(i + 1));
	}
}

Test(local_apic_timer, a_late_host_gives_one_interrupt_for_all_missed_periods)
{
	uint64_t begin = apics.now;

	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_PERIODIC) | VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 100000);
	apics.now += 350000;
	local_apic_bus_tick(&apics.bus);
	cr_assert_eq(apics.kicks[0], 1);
	cr_assert_eq(apics.timer, begin + 400000);
}

Test(local_apic_timer, a_period_that_nobody_can_keep_up_with_is_stretched)
{
	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_PERIODIC) | VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1);
	apics_advance(1000000);
	cr_assert_leq(apics.kicks[0], 1000000 / APIC_TIMER_MIN_PERIOD + 1);
	cr_assert_gt(apics.kicks[0], 5);
}

Test(local_apic_timer, a_masked_timer_counts_and_stays_silent)
{
	apic_write(0, APIC_MSR_LVT_TIMER, APIC_LVT_MASKED | VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
	apics_advance(500);
	cr_assert_eq(apic_read(0, APIC_MSR_CURRENT_COUNT), 500);
	apics_advance(500);
	cr_assert_eq(apic_take(0), -1);
}

Test(local_apic_timer, tsc_deadline_fires_when_the_tsc_gets_there)
{
	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_TSC_DEADLINE) | VECTOR);
	apic_write(0, APIC_MSR_TSC_DEADLINE, 2 * (apics.now + 5000));
	cr_assert_eq(apics.timer, apics.now + 5000);
	cr_assert_eq(apic_read(0, APIC_MSR_TSC_DEADLINE), 2 * (apics.now + 5000));
	apics_advance(5000);
	cr_assert_eq(apic_take(0), VECTOR);
	cr_assert_eq(apic_read(0, APIC_MSR_TSC_DEADLINE), 0, "firing disarms it");
}

Test(local_apic_timer, a_deadline_in_the_past_fires_at_once)
{
	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_TSC_DEADLINE) | VECTOR);
	apic_write(0, APIC_MSR_TSC_DEADLINE, 1);
	apics_advance(0);
	cr_assert_eq(apic_take(0), VECTOR);
}

Test(local_apic_timer, writing_zero_disarms_the_deadline)
{
	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_TSC_DEADLINE) | VECTOR);
	apic_write(0, APIC_MSR_TSC_DEADLINE, 2 * (apics.now + 5000));
	apic_write(0, APIC_MSR_TSC_DEADLINE, 0);
	cr_assert_eq(apics.timer, APIC_NEVER);
}

Test(local_apic_timer, each_mode_ignores_the_others_register)
{
	apic_write(0, APIC_MSR_LVT_TIMER, VECTOR);
	apic_write(0, APIC_MSR_TSC_DEADLINE, 2 * (apics.now + 5000));
	cr_assert_eq(apic_read(0, APIC_MSR_TSC_DEADLINE), 0);
	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_TSC_DEADLINE) | VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
	cr_assert_eq(apic_read(0, APIC_MSR_CURRENT_COUNT), 0);
	cr_assert_eq(apics.timer, APIC_NEVER);
}

Test(local_apic_timer, changing_to_tsc_deadline_stops_a_running_count)
{
	apic_write(0, APIC_MSR_LVT_TIMER, VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 1000);
	apic_write(0, APIC_MSR_LVT_TIMER, MODE(APIC_TIMER_TSC_DEADLINE) | VECTOR);
	cr_assert_eq(apics.timer, APIC_NEVER);
}

Test(local_apic_timer, the_host_is_told_the_earliest_of_all)
{
	apic_write(1, APIC_MSR_DIVIDE, BY_1);
	apic_write(0, APIC_MSR_LVT_TIMER, VECTOR);
	apic_write(1, APIC_MSR_LVT_TIMER, VECTOR);
	apic_write(0, APIC_MSR_INITIAL_COUNT, 9000);
	apic_write(1, APIC_MSR_INITIAL_COUNT, 4000);
	cr_assert_eq(apics.timer, apics.now + 4000);
	apics_advance(4000);
	cr_assert_eq(apics.timer, apics.now + 5000);
	cr_assert_eq(apic_take(1), VECTOR);
	cr_assert_eq(apic_take(0), -1);
	apics_advance(5000);
	cr_assert_eq(apic_take(0), VECTOR);
}
