/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3's lock, the high byte of event_vector: an NMI or #MC that finds it held waits
 * there as a bit, and comes with the return. The guest lock.elf has the NMI; nothing but a
 * host can raise a #MC.
 */
#include "guest.h"

#define SUPERVISOR_RIP	0x200999ull
#define VECTOR_WAS	0x77		/* of the event before */
#define LOCKED		(PVM_SC_VECTOR_STD | VECTOR_WAS)
#define ERROR_CODE_WAS	0x4321
#define WAITING		(PVM_SC_VECTOR_NMI | PVM_SC_VECTOR_MCE)

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

/* What may come while the lock is held, and its bit. */
static const struct waiter {
	uint8_t vector;
	uint16_t bit;
} nmi = { PVM_VEC_NMI, PVM_SC_VECTOR_NMI }, machine_check = { PVM_VEC_MC, PVM_SC_VECTOR_MCE };

static void setup(void)
{
	guest_boot_single_cr3(&f);
	vcpu->rip = SUPERVISOR_RIP;
	single_pvcs(vcpu)->event_vector = LOCKED;
	single_pvcs(vcpu)->event_errcode = ERROR_CODE_WAS;
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(single_cr3_lock, .init = setup, .fini = teardown);

static enum pvm_action arrive(uint8_t vector)
{
	return vector == PVM_VEC_NMI ? pvm_event_nmi(vcpu) : pvm_event_deliver(vcpu, vector, 0);
}

/* What EVENT_RETURN_USER, or else EVENT_RETURN_SUPERVISOR, is to load; @bits wait. */
static void fill_pvcs(uint64_t rip, uint16_t bits)
{
	vcpu->rip = RETU_RIP + 2;
	single_pvcs(vcpu)->user_cs = 0x33;
	single_pvcs(vcpu)->user_ss = 0x2b;
	single_pvcs(vcpu)->user_gsbase = USER_GS_BASE;
	single_pvcs(vcpu)->eflags = (uint32_t)USER_RFLAGS;
	single_pvcs(vcpu)->pkru = USER_PKRU;
	single_pvcs(vcpu)->rip = rip;
	single_pvcs(vcpu)->rcx = 0xcc;
	single_pvcs(vcpu)->r11 = 0x1111;
	single_pvcs(vcpu)->event_vector = (uint16_t)(LOCKED | bits);
}

/* The vCPU is at an entry of the supervisor's, for @vector, which has come from @rip. */
static void assert_delivered(uint64_t offset, uint8_t vector, uint64_t rip)
{
	cr_assert_not(vcpu->user_mode);
	cr_assert_eq(vcpu->rip, ENTRY + offset);
	cr_assert_eq(single_pvcs(vcpu)->event_vector & 0xff, vector);
	cr_assert_eq(single_pvcs(vcpu)->rip, rip);
	cr_assert_eq(single_pvcs(vcpu)->rcx, 0xcc);
	cr_assert_eq(single_pvcs(vcpu)->r11, 0x1111);
	cr_assert_eq(single_pvcs(vcpu)->event_errcode, ERROR_CODE_WAS, "neither has an error code");
}

static void sets_its_bit_and_changes_nothing_else(const struct waiter *waiter)
{
	struct guest_snapshot before = guest_snapshot(vcpu);

	cr_assert_eq(arrive(waiter->vector), PVM_ACT_RESUME);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, LOCKED | waiter->bit);
	single_pvcs(vcpu)->event_vector = LOCKED;
	guest_assert_unchanged(vcpu, &before);
	cr_assert_not(vcpu->nmi_masked);
	cr_assert_not(vcpu->nmi_pending);
}

/* spec: SC-016 */
Test(single_cr3_lock, an_nmi_sets_its_bit_and_changes_nothing_else)
{
	sets_its_bit_and_changes_nothing_else(&nmi);
}

/* spec: SC-016 */
Test(single_cr3_lock, a_machine_check_sets_its_bit_and_changes_nothing_else)
{
	sets_its_bit_and_changes_nothing_else(&machine_check);
}

/* spec: SC-016 */
Test(single_cr3_lock, an_nmi_and_a_machine_check_wait_side_by_side)
{
	cr_assert_eq(arrive(PVM_VEC_MC), PVM_ACT_RESUME);
	cr_assert_eq(arrive(PVM_VEC_NMI), PVM_ACT_RESUME);
	cr_assert_eq(arrive(PVM_VEC_MC), PVM_ACT_RESUME);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, LOCKED | WAITING);
}

/* The lock is the whole byte, not STD alone: a bit that waits holds it, too. */
/* spec: SC-016 */
Test(single_cr3_lock, any_bit_of_the_byte_holds_it)
{
	unsigned bit;

	for (bit = 1 << 8; bit < 1 << 16; bit <<= 1) {
		single_pvcs(vcpu)->event_vector = (uint16_t)(bit | VECTOR_WAS);
		cr_assert_eq(arrive(PVM_VEC_MC), PVM_ACT_RESUME);
		cr_assert_eq(single_pvcs(vcpu)->event_vector, bit | PVM_SC_VECTOR_MCE | VECTOR_WAS);
		cr_assert_eq(vcpu->rip, SUPERVISOR_RIP, "bit 0x%x", bit);
	}
}

static void does_not_end_a_halt(const struct waiter *waiter)
{
	vcpu->halted = true;
	cr_assert_eq(arrive(waiter->vector), PVM_ACT_HALT);
	cr_assert(vcpu->halted);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, LOCKED | waiter->bit);
}

/* spec: SC-016 */
Test(single_cr3_lock, an_nmi_that_waits_does_not_end_a_halt)
{
	does_not_end_a_halt(&nmi);
}

/* spec: SC-016 */
Test(single_cr3_lock, a_machine_check_that_waits_does_not_end_a_halt)
{
	does_not_end_a_halt(&machine_check);
}

/* spec: SC-016 */
Test(single_cr3_lock, a_free_one_keeps_neither_out)
{
	static const uint8_t vectors[] = { PVM_VEC_NMI, PVM_VEC_MC };
	unsigned i;

	for (i = 0; i < 2; i++) {
		vcpu->rip = SUPERVISOR_RIP;
		single_pvcs(vcpu)->event_vector = VECTOR_WAS;
		cr_assert_eq(arrive(vectors[i]), PVM_ACT_RESUME);
		cr_assert_eq(vcpu->rip, ENTRY + PVM_SC_ENTRY_SUPERVISOR);
		cr_assert_eq(single_pvcs(vcpu)->event_vector, vectors[i] | PVM_SC_VECTOR_STD);
		cr_assert_eq(single_pvcs(vcpu)->rip, SUPERVISOR_RIP);
	}
}

/* spec: SC-023 */
Test(single_cr3_lock, any_other_event_is_a_shutdown_that_names_it)
{
	struct guest_snapshot before = guest_snapshot(vcpu);
	unsigned vector;

	for (vector = 0; vector < 256; vector++) {
		if (vector == PVM_VEC_NMI || vector == PVM_VEC_MC || vector == PVM_VEC_DF)
			continue;
		cr_assert_eq(pvm_event_deliver(vcpu, (uint8_t)vector, 1), PVM_ACT_SHUTDOWN);
		cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_EVENT_LOCKED,
			     "vector %u", vector);
		cr_assert_eq(vcpu->request.shutdown.vector, vector);
		cr_assert_eq(vcpu->request.shutdown.address, SUPERVISOR_RIP);
		guest_assert_unchanged(vcpu, &before);
	}
}

static void what_waits_comes_with_the_return_to_user_mode(const struct waiter *waiter)
{
	fill_pvcs(USER_RIP, waiter->bit);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	assert_delivered(PVM_SC_ENTRY_USER, waiter->vector, USER_RIP);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, waiter->vector | PVM_SC_VECTOR_STD, "its bit is gone");
	cr_assert_eq(single_pvcs(vcpu)->user_cs, 0x33);
	cr_assert_eq(single_pvcs(vcpu)->user_gsbase, USER_GS_BASE);
	cr_assert_eq(single_pvcs(vcpu)->eflags, USER_RFLAGS);
	cr_assert_eq(single_pvcs(vcpu)->pkru, USER_PKRU);
	cr_assert_eq(vcpu->nmi_masked, waiter->vector == PVM_VEC_NMI);
	cr_assert_not(vcpu->nmi_pending);
}

/* spec: SC-018 */
Test(single_cr3_lock, an_nmi_comes_with_the_return_to_user_mode)
{
	what_waits_comes_with_the_return_to_user_mode(&nmi);
}

/* spec: SC-018 */
Test(single_cr3_lock, a_machine_check_comes_with_the_return_to_user_mode)
{
	what_waits_comes_with_the_return_to_user_mode(&machine_check);
}

static void what_waits_comes_with_the_return_to_supervisor_mode(const struct waiter *waiter)
{
	fill_pvcs(SUPERVISOR_RIP, waiter->bit);
	single_pvcs(vcpu)->event_flags = 0;
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	assert_delivered(PVM_SC_ENTRY_SUPERVISOR, waiter->vector, SUPERVISOR_RIP);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, waiter->vector | PVM_SC_VECTOR_STD,
		     "the lock is the new event's, and its bit is gone");
	cr_assert_eq(single_pvcs(vcpu)->eflags, USER_RFLAGS, "with IF, as the return has set it");
	cr_assert_eq(single_pvcs(vcpu)->event_flags, 0, "IF is clear in the handler");
	cr_assert_eq(vcpu->nmi_masked, waiter->vector == PVM_VEC_NMI);
	cr_assert_not(vcpu->nmi_pending);
}

/* spec: SC-021 */
Test(single_cr3_lock, an_nmi_comes_with_the_return_to_supervisor_mode)
{
	what_waits_comes_with_the_return_to_supervisor_mode(&nmi);
}

/* spec: SC-021 */
Test(single_cr3_lock, a_machine_check_comes_with_the_return_to_supervisor_mode)
{
	what_waits_comes_with_the_return_to_supervisor_mode(&machine_check);
}

/* #MC first; the NMI finds the lock that the #MC has taken. */
/* spec: SC-018 */
Test(single_cr3_lock, of_both_the_machine_check_comes_with_the_return_to_user_mode)
{
	fill_pvcs(USER_RIP, WAITING);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	assert_delivered(PVM_SC_ENTRY_USER, PVM_VEC_MC, USER_RIP);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, PVM_VEC_MC | PVM_SC_VECTOR_STD | PVM_SC_VECTOR_NMI);
	cr_assert_not(vcpu->nmi_masked);
	cr_assert_not(vcpu->nmi_pending, "it waits in one place");

	fill_pvcs(USER_RIP, PVM_SC_VECTOR_NMI);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	assert_delivered(PVM_SC_ENTRY_USER, PVM_VEC_NMI, USER_RIP);
}

/* spec: SC-021 */
Test(single_cr3_lock, of_both_the_machine_check_comes_with_the_return_to_supervisor_mode)
{
	fill_pvcs(SUPERVISOR_RIP, WAITING);
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	assert_delivered(PVM_SC_ENTRY_SUPERVISOR, PVM_VEC_MC, SUPERVISOR_RIP);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, PVM_VEC_MC | PVM_SC_VECTOR_STD | PVM_SC_VECTOR_NMI);
	cr_assert_not(vcpu->nmi_masked);
	cr_assert_not(vcpu->nmi_pending);
}

/* An event of user mode does not look at the lock, and leaves it to the new event. */
/* spec: SC-015 */
Test(single_cr3_lock, a_machine_check_in_user_mode_is_delivered_at_once)
{
	fill_pvcs(USER_RIP, 0);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, LOCKED, "STD stays");
	cr_assert_eq(arrive(PVM_VEC_MC), PVM_ACT_RESUME);
	assert_delivered(PVM_SC_ENTRY_USER, PVM_VEC_MC, USER_RIP);
}

/* A return that is refused takes no bit away; its #GP finds the lock. */
/* spec: SC-018, SC-023 */
Test(single_cr3_lock, a_refused_return_to_user_mode_leaves_what_waits)
{
	fill_pvcs(0x800000000000, WAITING);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_EVENT_LOCKED);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_GP);
	cr_assert_eq(single_pvcs(vcpu)->event_vector, LOCKED | WAITING);
}

/* spec: SC-018, SC-021 */
Test(single_cr3_lock, a_machine_check_that_waits_and_has_no_legal_entry_is_a_shutdown)
{
	vcpu->msr.event_entry = 0x8000000000000000;
	fill_pvcs(USER_RIP, PVM_SC_VECTOR_MCE);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_MC);
}
