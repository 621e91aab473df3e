/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Maskable interrupts with PVCS IF and IP, IRQ_WIN, IRQ_HLT, and NMIs with
 * their mask.
 */
#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];
static bool delivered;

static void setup(void)
{
	guest_boot(&f);
	delivered = false;
}

static void teardown(void)
{
	fixture_fini(&f);
}

static enum pvm_action interrupt(uint8_t vector)
{
	return pvm_event_interrupt(vcpu, vector, &delivered);
}

static void drop_pvcs(void)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
}

TestSuite(interrupt, .init = setup, .fini = teardown);
TestSuite(nmi, .init = setup, .fini = teardown);

/* spec: C-032, C-050 */
Test(interrupt, with_if_set_is_delivered_in_supervisor_mode)
{
	cr_assert(pvm_event_interrupt_allowed(vcpu));
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	cr_assert(delivered);
	cr_assert_eq(vcpu->rip, ENTRY + 512);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0x40);
}

/* spec: C-050, C-054 */
Test(interrupt, with_if_clear_only_sets_ip)
{
	struct guest_snapshot before;

	dual_pvcs(vcpu)->event_flags = 0x8000;
	before = guest_snapshot(vcpu);
	cr_assert_not(pvm_event_interrupt_allowed(vcpu));
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	cr_assert_not(delivered);
	before.pvcs.event_flags = 0x8000 | PVM_EVENT_FLAGS_IP;
	guest_assert_unchanged(vcpu, &before);
}

/* spec: C-051 */
Test(interrupt, in_user_mode_is_delivered_whatever_if_is)
{
	guest_enter_user(&f);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0);
	cr_assert(pvm_event_interrupt_allowed(vcpu));
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	cr_assert(delivered);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0);
}

/* spec: C-034 */
Test(interrupt, without_a_pvcs_is_not_delivered)
{
	drop_pvcs();
	cr_assert_not(pvm_event_interrupt_allowed(vcpu));
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	cr_assert_not(delivered);
}

/* spec: C-046 */
Test(interrupt, comes_right_after_sti)
{
	pvm_event_set_if(vcpu, false);
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	pvm_event_set_if(vcpu, true);
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	cr_assert(delivered);
}

Test(interrupt, with_a_vector_that_no_apic_sends_is_the_callers_error)
{
	cr_assert_eq(interrupt(15), PVM_ACT_ERROR);
	cr_assert_eq(vcpu->request.error.code, PVM_EINVAL);
	cr_assert_not(delivered);
	cr_assert_eq(vcpu->rip, 0x200000);
}

Test(interrupt, with_the_lowest_vector_of_an_apic_arrives_as_the_exception_it_names)
{
	cr_assert_eq(interrupt(16), PVM_ACT_RESUME);
	cr_assert(delivered);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
}

Test(interrupt, that_cannot_be_delivered_is_a_shutdown_and_taken_from_the_backend)
{
	vcpu->msr.event_entry = 0xffffffff80000000;
	cr_assert_eq(interrupt(0x40), PVM_ACT_SHUTDOWN);
	cr_assert(delivered);
}

/* spec: C-055, C-056 */
Test(interrupt, window_clears_ip_and_lets_the_interrupt_in)
{
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IP | PVM_EVENT_FLAGS_IF | 1;
	pvm_event_irq_window(vcpu);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF | 1);
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	cr_assert(delivered);
}

Test(interrupt, window_without_a_pvcs_does_nothing)
{
	drop_pvcs();
	pvm_event_irq_window(vcpu);
	cr_assert_eq(vcpu->rip, 0x200000);
}

/* spec: C-056, C-222 */
Test(interrupt, irq_hlt_sets_if_clears_ip_and_halts)
{
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IP | 1;
	cr_assert_eq(pvm_event_irq_halt(vcpu), PVM_ACT_HALT);
	cr_assert(vcpu->halted);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF | 1);
	cr_assert_eq(interrupt(0x40), PVM_ACT_RESUME);
	cr_assert(delivered);
	cr_assert_not(vcpu->halted);
}

Test(interrupt, does_not_end_a_halt_with_if_clear)
{
	dual_pvcs(vcpu)->event_flags = 0;
	vcpu->halted = true;
	cr_assert_eq(interrupt(0x40), PVM_ACT_HALT);
	cr_assert(vcpu->halted);
	cr_assert_not(delivered);
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert_not(vcpu->halted, "an NMI does");
}

/* spec: C-034 */
Test(interrupt, irq_hlt_without_a_pvcs_halts_with_if_0)
{
	drop_pvcs();
	cr_assert_eq(pvm_event_irq_halt(vcpu), PVM_ACT_HALT);
	cr_assert_eq(interrupt(0x40), PVM_ACT_HALT);
	cr_assert_not(delivered);
}

/* spec: C-032 */
Test(interrupt, set_if_is_bit_9_of_the_pvcs)
{
	dual_pvcs(vcpu)->event_flags = 1;
	pvm_event_set_if(vcpu, true);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 1 | 1 << 9);
	cr_assert(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF);
	pvm_event_set_if(vcpu, false);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 1);
	cr_assert_not(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF);
	cr_assert(vcpu->rflags & PVM_RFLAGS_IF, "the underlying one is always set");
}

/* spec: C-034 */
Test(interrupt, set_if_without_a_pvcs_leaves_if_0)
{
	drop_pvcs();
	pvm_event_set_if(vcpu, true);
	cr_assert_not(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF);
	cr_assert_not(pvm_event_interrupt_allowed(vcpu));
}

/* spec: C-047 */
Test(nmi, is_delivered_and_masks_further_ones)
{
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert(vcpu->nmi_masked);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]) >> 32, PVM_VEC_NMI);
}

/* spec: C-047 */
Test(nmi, comes_with_if_clear)
{
	dual_pvcs(vcpu)->event_flags = 0;
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
}

/* spec: C-047, C-058 */
Test(nmi, in_user_mode_enters_like_any_event)
{
	guest_enter_user(&f);
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_NMI);
	cr_assert(vcpu->nmi_masked);
}

/* spec: C-047, C-048 */
Test(nmi, while_masked_one_waits_and_the_rest_is_lost)
{
	uint64_t rsp;

	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	rsp = vcpu->gpr[PVM_RSP];
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert(vcpu->nmi_pending);
	cr_assert_eq(vcpu->gpr[PVM_RSP], rsp);

	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256, "the one that waited");
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0x200000, "and no other");
	cr_assert_not(vcpu->nmi_masked || vcpu->nmi_pending);
}

/* spec: C-048 */
Test(nmi, other_events_neither_set_nor_clear_the_mask)
{
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_RESUME);
	cr_assert_not(vcpu->nmi_masked);
	vcpu->nmi_masked = true;
	cr_assert_eq(pvm_event_deliver(vcpu, 0x40, 0), PVM_ACT_RESUME);
	cr_assert(vcpu->nmi_masked);
}

Test(nmi, while_masked_does_not_end_a_halt)
{
	vcpu->nmi_masked = true;
	vcpu->halted = true;
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_HALT);
	cr_assert(vcpu->halted);
	cr_assert(vcpu->nmi_pending);
}

Test(nmi, that_cannot_be_delivered_does_not_mask)
{
	vcpu->gpr[PVM_RSP] = 0x40000000;
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_SHUTDOWN);
	cr_assert_not(vcpu->nmi_masked);
}
