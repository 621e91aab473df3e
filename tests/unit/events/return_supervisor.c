/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * EVENT_RETURN_SUPERVISOR: the frame comes back from the stack.
 */
#include "guest.h"

#define RSP	0x206ff8ull	/* the frame crosses into the next page */

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];
static struct pvm_supervisor_frame *frame;

static void setup(void)
{
	guest_boot(&f);
	vcpu->rip = RETS_RIP + 2;
	vcpu->gpr[PVM_RSP] = RSP;
	frame = (struct pvm_supervisor_frame *)(f.host.memory + RSP);
	*frame = (struct pvm_supervisor_frame){
		.errcode = 0x12345678, .vector = 0x9abcdef0,
		.rip = 0x200999, .cs = 0xdead, .rflags = PVM_RFLAGS_FIXED | PVM_RFLAGS_OF,
		.rsp = 0x205555, .ss = 0xbeef, .rcx = 0xcc, .r11 = 0x1111,
	};
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void return_supervisor(void)
{
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_not(vcpu->user_mode);
}

/* Guest table entries of the stack's 2 MiB page are gone. */
static void unmap_stack(void)
{
	*fixture_entry(&f, vcpu->cr3, 4, RSP, 2) = 0;
}

TestSuite(return_supervisor, .init = setup, .fini = teardown);

/* spec: C-104, C-209, C-210, C-211 */
Test(return_supervisor, loads_five_registers_from_the_frame)
{
	return_supervisor();
	cr_assert_eq(vcpu->rip, 0x200999);
	cr_assert_eq(vcpu->gpr[PVM_RSP], 0x205555);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 0xcc);
	cr_assert_eq(vcpu->gpr[PVM_R11], 0x1111);
	cr_assert_eq(vcpu->rflags, PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_OF);
}

/* spec: C-212 */
Test(return_supervisor, ignores_cs_ss_and_the_error_code)
{
	return_supervisor();
	cr_assert_eq(vcpu->seg[PVM_CS], 0x10);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x18);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x33);
	cr_assert_eq(pvm_vcpu_underlying_ss(vcpu), 0x2b);
}

/* spec: C-032, C-211 */
Test(return_supervisor, interrupt_flag_of_the_frame_goes_to_the_pvcs)
{
	return_supervisor();
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0, "it was set");
	vcpu->gpr[PVM_RSP] = RSP;
	frame->rflags |= PVM_RFLAGS_IF;
	return_supervisor();
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF);
}

/* spec: C-056, C-057 */
Test(return_supervisor, interrupt_pending_flag_is_cleared_and_reserved_flags_stay)
{
	dual_pvcs(vcpu)->event_flags = ~0ull;
	return_supervisor();
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, ~(uint64_t)(PVM_EVENT_FLAGS_IP | PVM_EVENT_FLAGS_IF));
}

/* spec: C-034 */
Test(return_supervisor, without_a_pvcs_if_stays_0)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	frame->rflags |= PVM_RFLAGS_IF;
	return_supervisor();
	cr_assert_eq(vcpu->rip, 0x200999);
	cr_assert_not(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF);
}

/* spec: C-031 */
Test(return_supervisor, S2_rflags_are_standardised)
{
	frame->rflags = ~0ull;
	return_supervisor();
	cr_assert_eq(vcpu->rflags, PVM_RFLAGS_GUEST | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED);
}

Test(return_supervisor, undoes_a_delivery)
{
	struct guest_snapshot before;

	vcpu->rip = 0x201000;
	vcpu->rflags |= PVM_RFLAGS_CF;
	before = guest_snapshot(vcpu);
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_RESUME);
	return_supervisor();
	guest_assert_unchanged(vcpu, &before);
}

Test(return_supervisor, mode_page_tables_and_pkru_stay)
{
	uint64_t cr3 = vcpu->cr3;

	vcpu->pkru = 0x123;
	return_supervisor();
	cr_assert_eq(vcpu->cr3, cr3);
	cr_assert_eq(vcpu->gs_base, 0x5000);
	cr_assert_eq(vcpu->pkru, 0x123);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-048 */
Test(return_supervisor, unmasks_nmis)
{
	vcpu->nmi_masked = true;
	return_supervisor();
	cr_assert_not(vcpu->nmi_masked);
}

/* spec: C-048 */
Test(return_supervisor, a_waiting_nmi_comes_right_after_the_return)
{
	vcpu->nmi_masked = true;
	vcpu->nmi_pending = true;
	return_supervisor();
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), 0x200999);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RSP), 0x205555);
	cr_assert(vcpu->nmi_masked);
	cr_assert_not(vcpu->nmi_pending);
}

Test(return_supervisor, S1_a_rip_that_is_not_canonical_is_gp_at_the_instruction)
{
	frame->rip = 0x800000000000;
	vcpu->nmi_masked = true;
	return_supervisor();
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_ERRCODE), (uint64_t)PVM_VEC_GP << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RETS_RIP);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RSP), RSP, "RSP is that of the instruction");
	cr_assert(vcpu->nmi_masked);
}

/* The frame lies in two pages: the page tables are walked for each, once. */
static unsigned reads;
static void *count_reads(void *host, pvm_gfn_t gfn, bool write)
{
	if (gfn.v == RSP >> 12)
		reads++;
	return test_host_ops.gfn_to_va(host, gfn, write);
}

Test(return_supervisor, M6_the_frame_is_read_once)
{
	f.host.ops.gfn_to_va = count_reads;
	return_supervisor();
	cr_assert_eq(reads, 1);
}

Test(return_supervisor, an_unreadable_frame_is_a_page_fault_of_the_instruction)
{
	/* The frame crosses out of mapped memory; what is pushed fits below. */
	vcpu->gpr[PVM_RSP] = 0x1ffff0;
	unmap_stack();
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(vcpu->cr2, 0x200000);
	cr_assert_eq(dual_pvcs(vcpu)->cr2, 0x200000);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_ERRCODE), (uint64_t)PVM_VEC_PF << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RETS_RIP);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RSP), 0x1ffff0);
}

Test(return_supervisor, a_stack_address_that_is_not_canonical_is_gp_of_the_instruction)
{
	/* What is pushed lies below the hole, where there is memory. */
	fixture_map(&f, vcpu->cr3, 4, 0x7fffffe00000, 0x200000, 2, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	vcpu->gpr[PVM_RSP] = 0x800000000000;
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RSP], 0x7fffffffffc0);
	cr_assert_eq(guest_word(&f, 0x3fffc0), (uint64_t)PVM_VEC_GP << 32);
	cr_assert_eq(guest_word(&f, 0x3fffc0 + PVM_FRAME_RIP), RETS_RIP);
}

Test(return_supervisor, a_wholly_unmapped_stack_is_a_shutdown_that_names_it)
{
	unmap_stack();
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_STACK);
	cr_assert_eq(vcpu->rip, RETS_RIP);
}

Test(return_supervisor, a_stack_that_is_no_memory_is_a_shutdown_that_names_it)
{
	f.host.hole_start = RSP >> 12;
	f.host.hole_end = (RSP >> 12) + 1;
	cr_assert_eq(pvm_event_return_supervisor(vcpu), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_STACK);
	cr_assert_eq(vcpu->request.shutdown.address, RSP);
}

Test(return_supervisor, is_traced_with_the_new_rip)
{
	const struct pvm_trace_record *record;

	return_supervisor();
	record = fixture_find_record(&f, PVM_TRACE_RETURN_SUPERVISOR);
	cr_assert_eq(record->a, 0x200999);
	cr_assert_eq(record->b | record->c | record->d, 0, "it has no other arguments");
}
