/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3's EVENT_RETURN_SUPERVISOR: what it loads comes from the PVCS, and RSP stays.
 */
#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot_single_cr3(&f);
	vcpu->rip = RETS_RIP + 2;
	single_pvcs(vcpu)->rip = 0x200999;
	single_pvcs(vcpu)->rcx = 0xcc;
	single_pvcs(vcpu)->r11 = 0x1111;
	single_pvcs(vcpu)->eflags = PVM_RFLAGS_FIXED | PVM_RFLAGS_OF;
	single_pvcs(vcpu)->event_vector = PVM_SC_VECTOR_STD | 0x77;
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(single_cr3_return, .init = setup, .fini = teardown);

/* spec: SC-012, SC-020 */
Test(single_cr3_return, loads_four_registers_and_gives_up_the_lock)
{
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0x200999);
	cr_assert_eq(vcpu->rflags, PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_OF);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 0xcc);
	cr_assert_eq(vcpu->gpr[PVM_R11], 0x1111);
	cr_assert_eq(vcpu->gpr[PVM_RSP], SUPERVISOR_RSP);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, 0x77);
	cr_assert_eq(single_pvcs(vcpu)->event_flags, 0, "IF is that of eflags");
}

Test(single_cr3_return, is_traced_with_the_new_rip)
{
	const struct pvm_trace_record *record;

	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	record = fixture_find_record(&f, PVM_TRACE_RETURN_SUPERVISOR);
	cr_assert_eq(record->a, 0x200999);
	cr_assert_eq(record->b | record->c | record->d, 0, "it has no other arguments");
}

/* spec: SC-020 */
Test(single_cr3_return, S2_rflags_are_standardised)
{
	single_pvcs(vcpu)->eflags = ~0u;
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rflags, PVM_RFLAGS_GUEST | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED);
	cr_assert_eq(single_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF);
}

/* The lock is free: the #GP has somewhere to go. */
/* spec: SC-020 */
Test(single_cr3_return, S1_a_rip_that_is_not_canonical_is_gp_at_the_instruction)
{
	single_pvcs(vcpu)->event_vector = 0x77;
	single_pvcs(vcpu)->rip = 0x800000000000;
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_SC_ENTRY_SUPERVISOR);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, PVM_SC_VECTOR_STD | PVM_VEC_GP);
	cr_assert_eq(single_pvcs(vcpu)->rip, RETS_RIP);
}
