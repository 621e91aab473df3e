/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Names for people: each there, each different, and none for nonsense. */
#include <criterion/criterion.h>
#include <pvm/trace.h>
#include <pvm/vcpu.h>
#include <stdio.h>

Test(names, every_trace_kind_has_its_own)
{
	unsigned i, j;

	for (i = 0; i < PVM_TRACE_KINDS; i++) {
		cr_assert_str_neq(pvm_trace_kind_name(i), "unknown");
		for (j = 0; j < i; j++)
			cr_assert_str_neq(pvm_trace_kind_name(i), pvm_trace_kind_name(j));
	}
	cr_assert_str_eq(pvm_trace_kind_name(PVM_TRACE_FILL), "fill");
	cr_assert_str_eq(pvm_trace_kind_name(PVM_TRACE_KINDS), "unknown");
	cr_assert_str_eq(pvm_trace_kind_name(-1), "unknown");
}

Test(names, every_shutdown_reason_has_its_own)
{
	unsigned i, j;

	for (i = 0; i < PVM_SHUTDOWN_COUNT; i++) {
		cr_assert_str_neq(pvm_shutdown_name(i), "unknown");
		for (j = 0; j < i; j++)
			cr_assert_str_neq(pvm_shutdown_name(i), pvm_shutdown_name(j));
	}
	cr_assert_str_eq(pvm_shutdown_name(PVM_SHUTDOWN_COUNT), "unknown");
}

/* spec: C-018 */
Test(names, of_the_three_modes)
{
	cr_assert_str_eq(pvm_mode_name(PVM_MODE_SUPERVISOR), "supervisor");
	cr_assert_str_eq(pvm_mode_name(PVM_MODE_USER64), "user");
	cr_assert_str_eq(pvm_mode_name(PVM_MODE_USER32), "user32");
	cr_assert_str_eq(pvm_mode_name(77), "unknown");
}

Test(names, of_vectors)
{
	cr_assert_str_eq(pvm_vector_name(14), "#PF");
	cr_assert_str_eq(pvm_vector_name(2), "NMI");
	cr_assert_str_eq(pvm_vector_name(9), "reserved exception");
	cr_assert_str_eq(pvm_vector_name(0x80), "INT 0x80");
	cr_assert_str_eq(pvm_vector_name(32), "interrupt");
	cr_assert_str_eq(pvm_vector_name(255), "interrupt");
	cr_assert_str_eq(pvm_vector_name(256), "no vector");
}

Test(names, version_is_three_numbers)
{
	unsigned a, b, c;

	cr_assert_eq(sscanf(pvm_version(), "%u.%u.%u", &a, &b, &c), 3);
}
