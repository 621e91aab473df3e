/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Interrupt messages: who gets them, NMIs, bad vectors. SDM vol. 3, 10.6 and 10.12.9 */
#include <criterion/criterion.h>

#include "apic_fixture.h"

TestSuite(local_apic_ipi, .init = apics_start);

#define TO(id)		((uint64_t)(id) << 32)
#define MODE(mode)	((uint64_t)(mode) << APIC_ICR_MODE_SHIFT)
#define SHORTHAND(who)	((uint64_t)(who) << APIC_ICR_SHORTHAND_SHIFT)

/* Exactly these APICs have the vector requested. */
static void expect_requested(uint8_t vector, uint32_t ids)
{
	unsigned i;

	for (i = 0; i < APICS; i++)
		cr_assert_eq(apic_requested(i, vector), (bool)(ids >> i & 1), "APIC %u", i);
}

static void expect_nmis(uint32_t ids)
{
	unsigned i;

	for (i = 0; i < APICS; i++)
		cr_assert_eq(local_apic_take_nmi(&apics.apic[i]), (bool)(ids >> i & 1), "APIC %u",
			     i);
}

Test(local_apic_ipi, physical_destination_is_one_apic)
{
	apic_write(0, APIC_MSR_ICR, TO(5) | 0x44);
	expect_requested(0x44, 1u << 5);
	cr_assert_eq(apics.kicks[5], 1);
	cr_assert_eq(apic_read(0, APIC_MSR_ICR), TO(5) | 0x44);
}

Test(local_apic_ipi, a_destination_that_is_nobody_is_lost)
{
	apic_write(0, APIC_MSR_ICR, TO(200) | 0x44);
	expect_requested(0x44, 0);
}

Test(local_apic_ipi, broadcast_reaches_all_with_the_sender)
{
	apic_write(0, APIC_MSR_ICR, TO(APIC_BROADCAST) | 0x44);
	expect_requested(0x44, (1u << APICS) - 1);
}

Test(local_apic_ipi, logical_destination_is_a_cluster_and_a_mask)
{
	apic_write(0, APIC_MSR_ICR, TO(0x0000000a) | APIC_ICR_LOGICAL | 0x44);
	expect_requested(0x44, 1u << 1 | 1u << 3);
	apic_write(0, APIC_MSR_ICR, TO(0x0001000a) | APIC_ICR_LOGICAL | 0x45);
	expect_requested(0x45, 1u << 17 | 1u << 19);
	apic_write(0, APIC_MSR_ICR, TO(APIC_BROADCAST) | APIC_ICR_LOGICAL | 0x46);
	expect_requested(0x46, (1u << APICS) - 1);
}

Test(local_apic_ipi, shorthands_ignore_the_destination)
{
	apic_write(2, APIC_MSR_ICR, TO(7) | SHORTHAND(APIC_SHORTHAND_SELF) | 0x51);
	expect_requested(0x51, 1u << 2);
	apic_write(2, APIC_MSR_ICR, TO(7) | SHORTHAND(APIC_SHORTHAND_ALL) | 0x52);
	expect_requested(0x52, (1u << APICS) - 1);
	apic_write(2, APIC_MSR_ICR, TO(7) | SHORTHAND(APIC_SHORTHAND_OTHERS) | 0x53);
	expect_requested(0x53, ((1u << APICS) - 1) & ~(1u << 2));
}

Test(local_apic_ipi, self_ipi_register_is_a_fixed_interrupt_to_oneself)
{
	apic_write(4, APIC_MSR_SELF_IPI, 0x66);
	expect_requested(0x66, 1u << 4);
}

Test(local_apic_ipi, an_nmi_is_taken_once)
{
	apic_write(0, APIC_MSR_ICR, TO(3) | MODE(APIC_MODE_NMI));
	cr_assert(local_apic_attention(&apics.apic[3]));
	expect_nmis(1u << 3);
	expect_nmis(0);
	cr_assert_not(local_apic_attention(&apics.apic[3]));
}

Test(local_apic_ipi, an_nmi_reaches_a_disabled_apic_and_ignores_tpr)
{
	apic_write(3, APIC_MSR_SVR, 0xff);
	apic_write(4, APIC_MSR_TPR, 0xff);
	apic_write(0, APIC_MSR_ICR, SHORTHAND(APIC_SHORTHAND_OTHERS) | MODE(APIC_MODE_NMI));
	expect_nmis(((1u << APICS) - 1) & ~1u);
}

Test(local_apic_ipi, lowest_priority_goes_to_the_one_that_does_least)
{
	apic_write(1, APIC_MSR_TPR, 0x80);
	apic_write(2, APIC_MSR_TPR, 0x20);
	apic_write(3, APIC_MSR_TPR, 0x30);
	apic_write(0, APIC_MSR_ICR, TO(0xe) | APIC_ICR_LOGICAL | MODE(APIC_MODE_LOWEST) | 0x91);
	expect_requested(0x91, 1u << 2);
}

Test(local_apic_ipi, init_startup_and_smi_have_no_effect)
{
	apic_write(0, APIC_MSR_ICR, TO(1) | MODE(APIC_MODE_INIT) | 1u << 14);
	apic_write(0, APIC_MSR_ICR, TO(1) | MODE(APIC_MODE_STARTUP) | 0x40);
	apic_write(0, APIC_MSR_ICR, TO(1) | MODE(APIC_MODE_SMI));
	cr_assert_eq(apics.kicks[1], 0);
}

Test(local_apic_ipi, a_vector_below_16_is_a_send_error)
{
	apic_write(0, APIC_MSR_ICR, TO(1) | 0x0f);
	expect_requested(0x0f, 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ESR), 0, "ESR shows errors after a write to it");
	apic_write(0, APIC_MSR_ESR, 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ESR), APIC_ESR_SEND_VECTOR);
	apic_write(0, APIC_MSR_ESR, 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ESR), 0);
}

Test(local_apic_ipi, an_error_raises_the_error_interrupt)
{
	apic_write(0, APIC_MSR_LVT_ERROR, 0xfe);
	apic_write(0, APIC_MSR_SELF_IPI, 3);
	cr_assert_eq(apic_take(0), 0xfe);
}

Test(local_apic_ipi, a_bad_vector_in_the_error_entry_itself_ends)
{
	apic_write(0, APIC_MSR_LVT_ERROR, 0x05);
	apic_write(0, APIC_MSR_SELF_IPI, 3);
	cr_assert_eq(apic_take(0), -1);
}

Test(local_apic_ipi, a_received_vector_below_16_is_a_receive_error)
{
	local_apic_raise(&apics.apic[0], 9);
	apic_write(0, APIC_MSR_ESR, 0);
	cr_assert_eq(apic_read(0, APIC_MSR_ESR), APIC_ESR_RECEIVE_VECTOR);
}
