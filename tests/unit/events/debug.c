/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * #DB: which hits reach the guest, DR6 and DR7 after it, and the hit that
 * MOV SS put off into an entry.
 */
#include "guest.h"

#define ILLEGAL	0xffffffff81000000ull
#define DATA_WATCH(n)	(PVM_UL(1) << (2 * (n)) | PVM_UL(3) << (16 + 4 * (n)))	/* 1 byte, read or write */

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	vcpu->dr6 = PVM_DR6_FIXED;
	vcpu->dr[0] = 0x300000;
	vcpu->dr[1] = ILLEGAL;
	vcpu->dr[2] = 0x300008;
	vcpu->dr[3] = 0xffff7fffffffffff;	/* not even canonical */
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void debug(uint64_t dr6)
{
	cr_assert_eq(pvm_event_debug(vcpu, dr6), PVM_ACT_RESUME);
}

TestSuite(debug, .init = setup, .fini = teardown);

/* spec: C-015 */
Test(debug, a_breakpoint_hit_is_delivered_with_its_cause_in_dr6)
{
	debug(PVM_DR6_FIXED | 1);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_DB << 32);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | 1);
}

Test(debug, single_step_is_delivered_and_sticks_in_dr6)
{
	debug(PVM_DR6_BS);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | PVM_DR6_BS);
	debug(4);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | PVM_DR6_BS | 4, "only the guest clears BS");
	debug(1);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | PVM_DR6_BS | 1, "the hits are those of this #DB");
}

/* spec: C-102 */
Test(debug, M7_a_hit_outside_the_legal_ranges_is_dropped)
{
	debug(PVM_DR6_FIXED | 2);
	cr_assert_eq(vcpu->rip, 0x200000);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED);
	debug(PVM_DR6_FIXED | 8);
	cr_assert_eq(vcpu->rip, 0x200000);
	cr_assert_null(fixture_find_record(&f, PVM_TRACE_EVENT));
}

/* spec: C-102 */
Test(debug, M7_legal_hits_beside_an_illegal_one_are_delivered)
{
	debug(0xf);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | 5);
}

Test(debug, int1_has_no_cause_and_is_delivered)
{
	debug(PVM_DR6_FIXED);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED);
}

/* spec: C-016 */
Test(debug, delivery_clears_general_detect)
{
	vcpu->dr7 = PVM_DR7_FIXED | PVM_DR7_GD;
	debug(PVM_DR6_BD);
	cr_assert_eq(vcpu->dr7, PVM_DR7_FIXED);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | PVM_DR6_BD);
}

Test(debug, in_user_mode_enters_like_any_event)
{
	guest_enter_user(&f);
	debug(PVM_DR6_BS);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_DB);
}

/* spec: C-161 */
Test(debug, a_hit_that_mov_ss_put_off_into_an_entry_is_discarded)
{
	unsigned i;

	for (i = 0; i < 8; i++) {
		unsigned hit = i % 4;
		uint64_t rip, rsp;

		vcpu->dr7 = PVM_DR7_FIXED | DATA_WATCH(hit);
		cr_assert_eq(pvm_event_deliver(vcpu, i < 4 ? PVM_VEC_BP : PVM_VEC_SYSCALL32, 0),
			     PVM_ACT_RESUME);
		rip = vcpu->rip;
		rsp = vcpu->gpr[PVM_RSP];
		debug(PVM_DR6_FIXED | 1u << hit);
		cr_assert_eq(vcpu->rip, rip);
		cr_assert_eq(vcpu->gpr[PVM_RSP], rsp);
		cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED);
	}
}

/* spec: C-161 */
Test(debug, a_hit_at_an_entry_that_is_not_being_entered_is_delivered)
{
	vcpu->dr7 = PVM_DR7_FIXED | DATA_WATCH(0);
	vcpu->rip = ENTRY + 256;
	vcpu->gpr[PVM_RCX] = 0;
	vcpu->gpr[PVM_R11] = ENTRY_RFLAGS;
	debug(PVM_DR6_FIXED | 1);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | 1);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_DB << 32);
}

/* spec: C-161 */
Test(debug, a_hit_that_mov_ss_put_off_into_a_system_call_is_discarded)
{
	guest_enter_user(&f);
	vcpu->dr7 = PVM_DR7_FIXED | DATA_WATCH(0);
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	debug(1);
	cr_assert_eq(vcpu->rip, LSTAR);

	guest_enter_user(&f);
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_SYSCALL32, 0), PVM_ACT_RESUME);
	debug(1);
	cr_assert_eq(vcpu->rip, ENTRY);
}

/* spec: C-161 */
Test(debug, an_execution_breakpoint_on_the_entry_point_is_not_discarded)
{
	guest_enter_user(&f);
	vcpu->dr[0] = LSTAR;
	vcpu->dr7 = PVM_DR7_FIXED | 1;
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	debug(1);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
}

/* spec: C-161 */
Test(debug, a_data_hit_after_the_first_instruction_is_not_discarded)
{
	guest_enter_user(&f);
	vcpu->dr7 = PVM_DR7_FIXED | DATA_WATCH(0);
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	vcpu->rip += 3;
	debug(1);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
}

/* spec: C-161 */
Test(debug, a_data_hit_of_a_supervisor_that_jumps_to_its_entry_is_not_discarded)
{
	vcpu->dr7 = PVM_DR7_FIXED | DATA_WATCH(0);
	vcpu->rip = LSTAR;		/* RCX and R11 are not those of an entry */
	debug(1);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
}

Test(debug, S1_dropped_at_the_end_of_the_address_space_is_gp)
{
	vcpu->rip = 0x800000000000;
	debug(2);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_GP << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), 0x800000000000);
}
