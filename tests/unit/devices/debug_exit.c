/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The exit port: what a write to it means. */
#include <criterion/criterion.h>

#include "debug_exit.h"

static int exits, status = -1;

static void record(void *host, uint8_t value)
{
	(void)host;
	exits++;
	status = value;
}

Test(debug_exit, a_write_ends_the_machine_with_that_status)
{
	struct debug_exit port = { record, NULL };

	debug_exit_write(&port, 7);
	cr_assert_eq(exits, 1);
	cr_assert_eq(status, 7);
}

Test(debug_exit, only_the_low_byte_counts)
{
	struct debug_exit port = { record, NULL };

	debug_exit_write(&port, 0x1203);
	cr_assert_eq(status, 3);
}

Test(debug_exit, a_read_is_all_ones_and_ends_nothing)
{
	struct debug_exit port = { record, NULL };

	cr_assert_eq(debug_exit_read(&port), UINT32_MAX);
	cr_assert_eq(exits, 0);
}
