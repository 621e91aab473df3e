/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Registers, their #GP cases, and priorities. SDM vol. 3, 10.8 and 10.12 */
#include <criterion/criterion.h>

#include "apic_fixture.h"

TestSuite(local_apic, .init = apics_start);

static void expect_gp(uint32_t msr, uint64_t value)
{
	cr_assert_not(local_apic_write(&apics.apic[0], msr, value), "WRMSR %#x = %#lx", msr,
		      (unsigned long)value);
}

static void expect_read_gp(uint32_t msr)
{
	uint64_t value;

	cr_assert_not(local_apic_read(&apics.apic[0], msr, &value), "RDMSR %#x", msr);
}

Test(local_apic, identifies_itself)
{
	cr_assert_eq(apic_read(3, APIC_MSR_ID), 3);
	cr_assert_eq(apic_read(3, APIC_MSR_VERSION), APIC_VERSION);
	cr_assert_eq(apic_read(3, APIC_MSR_LDR), 1u << 3);
	cr_assert_eq(apic_read(17, APIC_MSR_LDR), 1u << 16 | 1u << 1);
}

Test(local_apic, after_reset_is_disabled_with_everything_masked, .init = apics_reset)
{
	uint32_t msr;

	cr_assert_eq(apic_read(0, APIC_MSR_SVR), 0xff);
	for (msr = APIC_MSR_LVT_TIMER; msr <= APIC_MSR_LVT_ERROR; msr++)
		cr_assert_eq(apic_read(0, msr), APIC_LVT_MASKED);
	cr_assert_eq(apic_read(0, APIC_MSR_TPR), 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ICR), 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ESR), 0);
}

Test(local_apic, read_only_registers_cannot_be_written)
{
	static const uint32_t msrs[] = {
		APIC_MSR_ID, APIC_MSR_VERSION, APIC_MSR_PPR, APIC_MSR_LDR, APIC_MSR_ISR,
		APIC_MSR_TMR + 7, APIC_MSR_IRR, APIC_MSR_CURRENT_COUNT,
	};
	unsigned i;

	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		expect_gp(msrs[i], 0);
}

Test(local_apic, write_only_registers_cannot_be_read)
{
	expect_read_gp(APIC_MSR_EOI);
	expect_read_gp(APIC_MSR_SELF_IPI);
}

Test(local_apic, registers_that_do_not_exist_raise_gp)
{
	static const uint32_t msrs[] = { 0x800, 0x801, 0x804, 0x809, 0x80c, 0x80e,
					 0x829, 0x82f, 0x831, 0x83a, 0x840, 0x8ff };
	unsigned i;

	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		expect_read_gp(msrs[i]);
		expect_gp(msrs[i], 0);
	}
}

Test(local_apic, reserved_bits_raise_gp_and_change_nothing)
{
	expect_gp(APIC_MSR_TPR, 0x100);
	expect_gp(APIC_MSR_TPR, 1ull << 32);
	expect_gp(APIC_MSR_EOI, 1);
	expect_gp(APIC_MSR_ESR, 1);
	expect_gp(APIC_MSR_SVR, 1u << 9);
	expect_gp(APIC_MSR_DIVIDE, 4);
	expect_gp(APIC_MSR_SELF_IPI, 0x100);
	expect_gp(APIC_MSR_LVT_TIMER, 0x100);
	expect_gp(APIC_MSR_LVT_TIMER, 3u << APIC_LVT_TIMER_SHIFT);
	expect_gp(APIC_MSR_LVT_ERROR, 0x200);
	expect_gp(APIC_MSR_LVT_LINT0, 1u << 17);
	expect_gp(APIC_MSR_LVT_PERF, 1u << 13);
	expect_gp(APIC_MSR_ICR, 1u << 12);
	expect_gp(APIC_MSR_ICR, 1u << 20);
	expect_gp(APIC_MSR_ICR, 3u << APIC_ICR_MODE_SHIFT | 0x40);
	expect_gp(APIC_MSR_ICR, 7u << APIC_ICR_MODE_SHIFT | 0x40);
	cr_assert_eq(apic_read(0, APIC_MSR_TPR), 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ICR), 0);
	cr_assert_eq(apic_read(0, APIC_MSR_LVT_TIMER), APIC_LVT_MASKED);
}

Test(local_apic, lvt_entries_keep_what_software_may_set)
{
	apic_write(0, APIC_MSR_LVT_LINT0, 0x8700);
	cr_assert_eq(apic_read(0, APIC_MSR_LVT_LINT0), 0x8700);
	apic_write(0, APIC_MSR_LVT_LINT1, 1u << 12 | 0x400);
	cr_assert_eq(apic_read(0, APIC_MSR_LVT_LINT1), 0x400, "delivery status is read-only");
	apic_write(0, APIC_MSR_LVT_ERROR, 0xfe);
	cr_assert_eq(apic_read(0, APIC_MSR_LVT_ERROR), 0xfe);
}

Test(local_apic, disabling_masks_the_lvt_and_keeps_it_masked)
{
	apic_write(0, APIC_MSR_LVT_ERROR, 0xfe);
	apic_write(0, APIC_MSR_SVR, 0xff);
	cr_assert_eq(apic_read(0, APIC_MSR_LVT_ERROR), APIC_LVT_MASKED | 0xfe);
	apic_write(0, APIC_MSR_LVT_ERROR, 0xfd);
	cr_assert_eq(apic_read(0, APIC_MSR_LVT_ERROR), APIC_LVT_MASKED | 0xfd);
}

Test(local_apic, a_disabled_apic_takes_no_interrupt)
{
	apic_write(0, APIC_MSR_SVR, 0xff);
	local_apic_raise(&apics.apic[0], 0x40);
	cr_assert_eq(local_apic_pending(&apics.apic[0]), -1);
	apic_write(0, APIC_MSR_SVR, APIC_SVR_ENABLE | 0xff);
	cr_assert_eq(local_apic_pending(&apics.apic[0]), -1);
}

Test(local_apic, an_interrupt_is_requested_then_in_service_then_gone)
{
	cr_assert_not(local_apic_attention(&apics.apic[0]));
	local_apic_raise(&apics.apic[0], 0x41);
	cr_assert(local_apic_attention(&apics.apic[0]));
	cr_assert_eq(apics.kicks[0], 1);
	cr_assert_eq(apic_read(0, APIC_MSR_IRR + 2), 2);
	cr_assert_eq(apic_take(0), 0x41);
	cr_assert_not(local_apic_attention(&apics.apic[0]));
	cr_assert_eq(apic_read(0, APIC_MSR_IRR + 2), 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ISR + 2), 2);
	apic_write(0, APIC_MSR_EOI, 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ISR + 2), 0);
}

Test(local_apic, the_highest_vector_goes_first)
{
	local_apic_raise(&apics.apic[0], 0x31);
	local_apic_raise(&apics.apic[0], 0xf1);
	local_apic_raise(&apics.apic[0], 0x81);
	cr_assert_eq(apic_take(0), 0xf1);
}

Test(local_apic, a_vector_of_the_class_in_service_waits_for_eoi)
{
	local_apic_raise(&apics.apic[0], 0x51);
	cr_assert_eq(apic_take(0), 0x51);
	local_apic_raise(&apics.apic[0], 0x5f);
	cr_assert_eq(apic_take(0), -1, "same class of 16");
	local_apic_raise(&apics.apic[0], 0x60);
	cr_assert_eq(apic_take(0), 0x60, "a higher class nests");
	apic_write(0, APIC_MSR_EOI, 0);
	cr_assert_eq(apic_take(0), -1, "EOI ends the highest in service");
	apic_write(0, APIC_MSR_EOI, 0);
	cr_assert_eq(apic_take(0), 0x5f);
}

Test(local_apic, tpr_holds_back_its_class_and_below)
{
	apic_write(0, APIC_MSR_TPR, 0x50);
	local_apic_raise(&apics.apic[0], 0x5f);
	cr_assert_eq(apic_take(0), -1);
	local_apic_raise(&apics.apic[0], 0x60);
	cr_assert_eq(apic_take(0), 0x60);
	apic_write(0, APIC_MSR_EOI, 0);
	apic_write(0, APIC_MSR_TPR, 0x4f);
	cr_assert_eq(apic_take(0), 0x5f);
}

Test(local_apic, ppr_is_the_higher_of_tpr_and_what_is_in_service)
{
	apic_write(0, APIC_MSR_TPR, 0x23);
	cr_assert_eq(apic_read(0, APIC_MSR_PPR), 0x23);
	local_apic_raise(&apics.apic[0], 0x47);
	apic_take(0);
	cr_assert_eq(apic_read(0, APIC_MSR_PPR), 0x40);
	apic_write(0, APIC_MSR_TPR, 0x4a);
	cr_assert_eq(apic_read(0, APIC_MSR_PPR), 0x4a);
}

Test(local_apic, cr8_is_the_upper_half_of_tpr)
{
	local_apic_set_cr8(&apics.apic[0], 9);
	cr_assert_eq(apic_read(0, APIC_MSR_TPR), 0x90);
	apic_write(0, APIC_MSR_TPR, 0x37);
	cr_assert_eq(local_apic_get_cr8(&apics.apic[0]), 3);
}

Test(local_apic, eoi_without_an_interrupt_in_service_does_nothing)
{
	apic_write(0, APIC_MSR_EOI, 0);
	cr_assert_eq(apic_read(0, APIC_MSR_PPR), 0);
}

Test(local_apic, tmr_is_zero_for_edges)
{
	local_apic_raise(&apics.apic[0], 0x40);
	cr_assert_eq(apic_read(0, APIC_MSR_TMR + 2), 0);
}
