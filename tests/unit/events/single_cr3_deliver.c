/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3's events with the lock free: the entry of each mode, what is saved where, and
 * what cannot be entered.
 */
#include "guest.h"

#define RIP	0x200999ull

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot_single_cr3(&f);
	vcpu->rip = RIP;
	single_pvcs(vcpu)->event_vector = 0;
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(single_cr3_deliver, .init = setup, .fini = teardown);

Test(single_cr3_deliver, an_event_of_either_mode_has_its_own_entry_and_takes_the_lock)
{
	for (unsigned user = 0; user < 2; user++) {
		single_pvcs(vcpu)->event_vector = 0;
		single_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IF;
		vcpu->user_mode = user;
		vcpu->rip = RIP;
		cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_GP, 0x18), PVM_ACT_RESUME);
		cr_assert_eq(vcpu->rip, ENTRY + (user ? PVM_SC_ENTRY_USER : PVM_SC_ENTRY_SUPERVISOR));
		cr_assert_eq(single_pvcs(vcpu)->event_vector, PVM_SC_VECTOR_STD | PVM_VEC_GP);
		cr_assert_eq(single_pvcs(vcpu)->event_errcode, 0x18);
		cr_assert_eq(single_pvcs(vcpu)->rip, RIP);
		cr_assert_eq(single_pvcs(vcpu)->event_flags, user ? PVM_EVENT_FLAGS_IF : 0, "as of dual CR3");
		cr_assert_not(vcpu->user_mode);
	}
}

Test(single_cr3_deliver, M7_entry_outside_the_legal_ranges_is_a_shutdown)
{
	for (unsigned user = 0; user < 2; user++) {
		vcpu->user_mode = user;
		vcpu->msr.event_entry = 0xffffffff80000000;
		cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_SHUTDOWN);
		cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
		cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_UD);
		cr_assert_eq(vcpu->rip, RIP, "nothing else has happened");
		cr_assert_eq(single_pvcs(vcpu)->event_vector, 0);
	}
}

Test(single_cr3_deliver, an_event_without_a_pvcs_is_a_shutdown)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	for (unsigned user = 0; user < 2; user++) {
		vcpu->user_mode = user;
		cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_SHUTDOWN);
		cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_NO_PVCS);
	}
}
