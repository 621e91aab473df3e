/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Debug registers. */
#include <criterion/criterion.h>

#include "mmu_calls.h"

TestSuite(debug, .init = setup, .fini = teardown);

#define UPPER ((0x1fffe00ull | 300) * (1ull << 39))	/* in fixture_config()'s range */

static uint64_t dr(unsigned number)
{
	uint64_t value;

	ok(pvm_dr_read(vcpu, number, &value));
	return value;
}

Test(debug, addresses_take_any_value)
{
	unsigned n;

	for (n = 0; n < 4; n++) {
		ok(pvm_dr_write(vcpu, n, 0x1234567890abcdefull + n));
		cr_assert_eq(dr(n), 0x1234567890abcdefull + n);
	}
}

/* spec: C-015 */
Test(debug, registers_after_reset)
{
	cr_assert_eq(dr(0), 0);
	cr_assert_eq(dr(6), 0xffff0ff0);
	cr_assert_eq(dr(7), 0x400);
}

Test(debug, dr6_keeps_causes_and_its_fixed_bits)
{
	ok(pvm_dr_write(vcpu, 6, 0));
	cr_assert_eq(dr(6), 0xffff0ff0);
	ok(pvm_dr_write(vcpu, 6, 0xffffffff));
	cr_assert_eq(dr(6), 0xffffefff);
	gp(pvm_dr_write(vcpu, 6, 1ull << 32));
}

Test(debug, dr7_keeps_gd_and_its_fixed_bits)
{
	ok(pvm_dr_write(vcpu, 7, 0));
	cr_assert_eq(dr(7), 0x400);
	ok(pvm_dr_write(vcpu, 7, 0xffffffff));
	cr_assert_eq(dr(7), 0xffff27ff);
	gp(pvm_dr_write(vcpu, 7, 1ull << 32));
}

Test(debug, dr4_and_dr5_alias_unless_cr4_de)
{
	uint64_t value;

	ok(pvm_dr_write(vcpu, 4, 1));
	cr_assert_eq(dr(6), 0xffff0ff1);
	cr_assert_eq(dr(4), 0xffff0ff1);
	ok(pvm_dr_write(vcpu, 5, 0x3));
	cr_assert_eq(dr(7), 0x403);
	cr_assert_eq(dr(5), 0x403);
	vcpu->cr4 |= PVM_CR4_DE;
	ud(pvm_dr_read(vcpu, 4, &value));
	ud(pvm_dr_read(vcpu, 5, &value));
	ud(pvm_dr_write(vcpu, 4, 0));
	ud(pvm_dr_write(vcpu, 5, 0));
}

Test(debug, there_is_no_register_above_dr7)
{
	uint64_t value;

	ud(pvm_dr_read(vcpu, 8, &value));
	ud(pvm_dr_write(vcpu, 15, 0));
}

/* spec: C-016 */
Test(debug, underlying_dr7_never_has_gd)
{
	ok(pvm_dr_write(vcpu, 7, PVM_DR7_GD));
	cr_assert_eq(dr(7), 0x2400);
	cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0x400);
}

/* spec: C-017, C-102 */
Test(debug, M7_breakpoints_outside_the_legal_ranges_are_off_underneath)
{
	unsigned n;

	for (n = 0; n < 4; n++) {
		uint64_t mine = PVM_DR7_ENABLE(n) | PVM_DR7_RW_LEN(n);

		/* All four are write breakpoints of 4 bytes, on. */
		ok(pvm_dr_write(vcpu, 7, 0xdddd00ff));
		vcpu->dr[0] = vcpu->dr[1] = vcpu->dr[2] = vcpu->dr[3] = 0x1000;
		cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0xdddd04ff);
		vcpu->dr[n] = UPPER;
		cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0xdddd04ff);
		vcpu->dr[n] = 0xffffffff81000000ull;
		cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0xdddd04ff & ~mine);
		vcpu->dr[n] = 0x0000800000000000ull;
		cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0xdddd04ff & ~mine);
		cr_assert_eq(dr(7), 0xdddd04ff, "the guest's own DR7 stays");
	}
}

Test(debug, M7_narrowing_the_range_switches_a_breakpoint_off)
{
	struct pvm_linear_range range = { 301, 302, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE };

	vcpu->dr[0] = UPPER;
	ok(pvm_dr_write(vcpu, 7, 1));
	cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0x401);
	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, pvm_linear_range_encode(&range)));
	cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0x400);
}

Test(debug, breakpoints_on_io_ports_are_off_underneath)
{
	vcpu->dr[1] = 0x3f8;
	ok(pvm_dr_write(vcpu, 7, 0x00200004));
	cr_assert_eq(pvm_vcpu_underlying_dr7(vcpu), 0x400);
}
