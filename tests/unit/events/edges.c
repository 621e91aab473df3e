/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Events at the edge of what is allowed: each breakpoint register, the first address that
 * is not in the lower half, and the bits of event_flags that are not the event's.
 */
#include "guest.h"

#define ILLEGAL	0xffffffff81000000ull
#define LOWER_HALF_END	(1ull << 47)

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(event_edges, .init = setup, .fini = teardown);

Test(event_edges, M7_a_hit_of_any_register_outside_the_legal_ranges_is_dropped)
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		uint64_t rip = vcpu->rip;

		vcpu->dr[i] = ILLEGAL;
		cr_assert_eq(pvm_event_debug(vcpu, PVM_DR6_FIXED | 1u << i), PVM_ACT_RESUME);
		cr_assert_eq(vcpu->rip, rip, "DR%u", i);
		cr_assert_eq(vcpu->dr6 & 0xf, 0, "DR%u", i);
		vcpu->dr[i] = 0x300000;
	}
}

Test(event_edges, a_hit_of_any_register_inside_is_delivered)
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		vcpu->rip = 0x200000;
		vcpu->dr[i] = 0x300000;
		cr_assert_eq(pvm_event_debug(vcpu, PVM_DR6_FIXED | 1u << i), PVM_ACT_RESUME);
		cr_assert_eq(vcpu->rip, ENTRY + 256, "DR%u", i);
		cr_assert_eq(vcpu->dr6 & 0xf, 1u << i);
	}
}

/* The switcher loads the debug registers anew when this count has changed. */
Test(event_edges, a_debug_exception_is_counted_as_a_change)
{
	uint64_t before = vcpu->state_gen;

	cr_assert_eq(pvm_event_debug(vcpu, PVM_DR6_FIXED | 1), PVM_ACT_RESUME);
	cr_assert_neq(vcpu->state_gen, before);
}

static void assert_bad_entry(enum pvm_action action, uint64_t entry)
{
	cr_assert_eq(action, PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
	cr_assert_eq(vcpu->request.shutdown.address, entry);
}

/* LINEAR_ADDRESS_RANGE or LA57 may have changed after the MSR was written. */
Test(event_edges, M7_an_interrupt_entry_right_after_the_lower_half_ends_the_vm)
{
	vcpu->msr.event_entry = LOWER_HALF_END - 512;
	assert_bad_entry(pvm_event_deliver(vcpu, 32, 0), LOWER_HALF_END);
}

Test(event_edges, M7_a_user_entry_right_after_the_lower_half_ends_the_vm)
{
	guest_enter_user(&f);
	vcpu->msr.event_entry = LOWER_HALF_END;
	assert_bad_entry(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), LOWER_HALF_END);
}

Test(event_edges, the_last_entry_of_the_lower_half_is_entered)
{
	vcpu->msr.event_entry = LOWER_HALF_END - 513;
	cr_assert_eq(pvm_event_deliver(vcpu, 32, 0), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, LOWER_HALF_END - 1);
}

Test(event_edges, an_interrupt_clears_IF_and_leaves_the_other_flags_alone)
{
	static const uint64_t others[] = { 0, ~(uint64_t)PVM_EVENT_FLAGS_IF };
	unsigned i;

	for (i = 0; i < 2; i++) {
		uint32_t before = (uint32_t)others[i];

		dual_pvcs(vcpu)->event_flags = before | PVM_EVENT_FLAGS_IF;
		cr_assert_eq(pvm_event_deliver(vcpu, 32, 0), PVM_ACT_RESUME);
		cr_assert_eq((uint32_t)dual_pvcs(vcpu)->event_flags, before);
	}
}
