/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Numbers on pvm's command line. */
#include <criterion/criterion.h>

#include "pvm.h"

Test(parse, sizes_have_powers_of_1024)
{
	uint64_t bytes;

	cr_assert(parse_size("4096", &bytes));
	cr_assert_eq(bytes, 4096);
	cr_assert(parse_size("3K", &bytes));
	cr_assert_eq(bytes, 3072);
	cr_assert(parse_size("64M", &bytes));
	cr_assert_eq(bytes, 64ull << 20);
	cr_assert(parse_size("2g", &bytes));
	cr_assert_eq(bytes, 2ull << 30);
}

Test(parse, what_is_no_size_is_refused)
{
	static const char *const bad[] = {
		"", "M", "-1", "+1", " 1", "0", "0M", "1T", "1MB", "1.5M", "0x10", "64M ",
		"99999999999999999999", "18446744073709551615K",
	};
	uint64_t bytes;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(parse_size(bad[i], &bytes), "'%s'", bad[i]);
}

Test(parse, counts_are_whole_and_positive)
{
	static const char *const bad[] = { "", "0", "-1", "2x", "1.0", "4294967296", "two" };
	uint32_t count;
	unsigned i;

	cr_assert(parse_count("64", &count));
	cr_assert_eq(count, 64);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(parse_count(bad[i], &count), "'%s'", bad[i]);
}

Test(parse, seconds_may_have_a_fraction)
{
	static const char *const bad[] = {
		"", "0", "-1", "1s", "nan", "inf", "1e300", "1e-12", "."
	};
	uint64_t ns;
	unsigned i;

	cr_assert(parse_seconds("10", &ns));
	cr_assert_eq(ns, 10000000000);
	cr_assert(parse_seconds("0.25", &ns));
	cr_assert_eq(ns, 250000000);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(parse_seconds(bad[i], &ns), "'%s'", bad[i]);
}
