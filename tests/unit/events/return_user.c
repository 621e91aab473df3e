/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * EVENT_RETURN_USER: what is loaded from the PVCS, what is converted, and what
 * is refused with #GP at the SYSCALL instruction.
 */
#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	vcpu->rip = RETU_RIP + 2;
	dual_pvcs(vcpu)->user_cs = 0x33;
	dual_pvcs(vcpu)->user_ss = 0x2b;
	dual_pvcs(vcpu)->rip = USER_RIP;
	dual_pvcs(vcpu)->rsp = USER_RSP;
	dual_pvcs(vcpu)->eflags = (uint32_t)USER_RFLAGS;
	dual_pvcs(vcpu)->pkru = USER_PKRU;
	dual_pvcs(vcpu)->user_gsbase = USER_GS_BASE;
	dual_pvcs(vcpu)->rcx = 0xccccccccccccccc1;
	dual_pvcs(vcpu)->r11 = 0x1111111111111112;
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void return_user(void)
{
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode);
}

/* #GP(0) at the SYSCALL instruction, in supervisor mode. */
static void assert_refused(void)
{
	uint64_t cr3 = vcpu->cr3, supervisor_rsp = vcpu->msr.supervisor_rsp;

	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	cr_assert_not(vcpu->user_mode);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_ERRCODE), (uint64_t)PVM_VEC_GP << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RETU_RIP);
	cr_assert_eq(vcpu->cr3, cr3);
	cr_assert_eq(vcpu->msr.supervisor_rsp, supervisor_rsp);
	cr_assert_eq(vcpu->gs_base, 0x5000);
}

TestSuite(return_user, .init = setup, .fini = teardown);

/* spec: C-063, C-103, C-205 */
Test(return_user, loads_the_users_registers_from_the_pvcs)
{
	return_user();
	cr_assert_eq(vcpu->seg[PVM_CS], 0x33);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x2b);
	cr_assert_eq(vcpu->rip, USER_RIP);
	cr_assert_eq(vcpu->gpr[PVM_RSP], USER_RSP);
	cr_assert_eq(vcpu->rflags, USER_RFLAGS);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 0xccccccccccccccc1);
	cr_assert_eq(vcpu->gpr[PVM_R11], 0x1111111111111112);
	cr_assert_eq(vcpu->gs_base, USER_GS_BASE);
	cr_assert_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER64);
}

Test(return_user, other_registers_are_untouched)
{
	struct guest_snapshot before = guest_snapshot(vcpu);
	unsigned i;

	return_user();
	for (i = 0; i < PVM_GPR_COUNT; i++)
		if (i != PVM_RSP && i != PVM_RCX && i != PVM_R11)
			cr_assert_eq(vcpu->gpr[i], before.gpr[i], "register %u", i);
}

/* spec: C-022, C-081, C-143, C-206 */
Test(return_user, exchanges_the_page_tables_without_a_flush)
{
	uint64_t supervisor = vcpu->cr3, user = vcpu->msr.switch_cr3;

	return_user();
	cr_assert_eq(vcpu->cr3, user);
	cr_assert_eq(vcpu->msr.switch_cr3, supervisor);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-085, C-207 */
Test(return_user, saves_the_supervisors_rsp)
{
	vcpu->gpr[PVM_RSP] = 0x207123;
	return_user();
	cr_assert_eq(vcpu->msr.supervisor_rsp, 0x207123);
}

/* spec: C-071, C-072 */
Test(return_user, gs_base_becomes_kernel_gs_base_and_is_loaded_from_the_pvcs)
{
	return_user();
	cr_assert_eq(vcpu->msr.kernel_gs_base, 0x5000);
	cr_assert_eq(vcpu->gs_base, USER_GS_BASE);
}

/* spec: C-064 */
Test(return_user, S1_gs_base_is_semi_canonicalised_from_bit_47)
{
	dual_pvcs(vcpu)->user_gsbase = 0x1234800000000000;
	return_user();
	cr_assert_eq(vcpu->gs_base, 0xffff800000000000);
}

/* spec: C-064 */
Test(return_user, gs_base_of_the_lower_half_loses_what_is_above_bit_47)
{
	dual_pvcs(vcpu)->user_gsbase = 0xffff700000001000;
	return_user();
	cr_assert_eq(vcpu->gs_base, 0x700000001000);
}

/* spec: C-065 */
Test(return_user, S2_rflags_are_standardised)
{
	dual_pvcs(vcpu)->eflags = 0xffffffff;
	return_user();
	cr_assert_eq(vcpu->rflags & (PVM_RFLAGS_IOPL | PVM_RFLAGS_VM | PVM_RFLAGS_VIF | PVM_RFLAGS_VIP), 0);
	cr_assert_eq(vcpu->rflags, PVM_RFLAGS_GUEST | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED);
}

/* spec: C-033, C-065 */
Test(return_user, S2_rflags_of_0_become_if_and_bit_1)
{
	dual_pvcs(vcpu)->eflags = 0;
	return_user();
	cr_assert_eq(vcpu->rflags, PVM_RFLAGS_IF | PVM_RFLAGS_FIXED);
	cr_assert(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF);
}

/* spec: C-157 */
Test(return_user, S11_the_users_pkru_is_loaded_whatever_cr4_says)
{
	vcpu->cr4 &= ~(uint64_t)(PVM_CR4_PKE | PVM_CR4_PKS);
	return_user();
	cr_assert_eq(vcpu->pkru, USER_PKRU);
}

/* spec: C-052, C-208 */
Test(return_user, interrupt_flag_does_not_change)
{
	return_user();
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF);
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_RESUME);
	dual_pvcs(vcpu)->event_flags = 0;
	return_user();
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0);
}

/* spec: C-056, C-057 */
Test(return_user, interrupt_pending_flag_is_cleared)
{
	dual_pvcs(vcpu)->event_flags = ~0ull;
	return_user();
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, ~(uint64_t)PVM_EVENT_FLAGS_IP);
}

/* spec: C-048 */
Test(return_user, unmasks_nmis)
{
	vcpu->nmi_masked = true;
	return_user();
	cr_assert_not(vcpu->nmi_masked);
}

/* spec: C-048 */
Test(return_user, a_waiting_nmi_comes_right_after_the_return)
{
	vcpu->nmi_masked = true;
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	cr_assert_not(vcpu->user_mode);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_NMI);
	cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert(vcpu->nmi_masked);
	cr_assert_not(vcpu->nmi_pending);
}

/* spec: C-020, C-063 */
Test(return_user, S4_the_32_bit_pair_enters_compatible_mode)
{
	dual_pvcs(vcpu)->user_cs = 0x23;
	return_user();
	cr_assert_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER32);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x23);
	cr_assert_eq(pvm_vcpu_underlying_ss(vcpu), 0x2b);
}

/* spec: C-012, C-013 */
Test(return_user, S4_any_other_selectors_are_refused)
{
	static const struct { uint16_t cs, ss; } pairs[] = {
		{ 0, 0 }, { 0, 0x2b }, { 0x33, 0 }, { 0x33, 0x33 }, { 0x2b, 0x2b }, { 0x10, 0x18 },
		{ 0x33, 0x18 },
		{ 0x30, 0x2b }, { 0x33, 0x28 }, { 0x20, 0x2b },
		{ 0x37, 0x2b }, { 0x33, 0x2f }, { 0x63, 0x2b },
		{ 0x33, 0x63 }, { 0x33, 0x7b }, { 0x1033, 0x2b },
	};
	unsigned i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		vcpu->rip = RETU_RIP + 2;
		vcpu->gpr[PVM_RSP] = SUPERVISOR_RSP;
		dual_pvcs(vcpu)->user_cs = pairs[i].cs;
		dual_pvcs(vcpu)->user_ss = pairs[i].ss;
		assert_refused();
	}
}

Test(return_user, S1_a_rip_that_is_not_canonical_is_refused)
{
	dual_pvcs(vcpu)->rip = 0x800000000000;
	assert_refused();
}

Test(return_user, S1_the_edges_of_the_hole_are_what_counts)
{
	dual_pvcs(vcpu)->rip = 0xffff7fffffffffff;
	assert_refused();
	vcpu->rip = RETU_RIP + 2;
	dual_pvcs(vcpu)->rip = 0xffff800000000000;
	return_user();
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_RESUME);
	dual_pvcs(vcpu)->rip = 0x7fffffffffff;
	return_user();
}

Test(return_user, S1_a_rip_beyond_the_limit_of_32_bit_code_is_refused)
{
	dual_pvcs(vcpu)->user_cs = 0x23;
	dual_pvcs(vcpu)->rip = 0x100000000;
	assert_refused();
	vcpu->rip = RETU_RIP + 2;
	dual_pvcs(vcpu)->rip = 0xffffffff;
	return_user();
}

Test(return_user, a_refused_return_keeps_ip_and_the_nmi_mask)
{
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IP;
	dual_pvcs(vcpu)->user_ss = 0;
	vcpu->nmi_masked = true;
	assert_refused();
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IP);
	cr_assert(vcpu->nmi_masked);
}

Test(return_user, without_a_pvcs_is_refused)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	assert_refused();
}

/* What the guest changes in the PVCS after the engine has read it comes too late. */
Test(return_user, M6_rip_in_the_pvcs_is_read_once)
{
	return_user();
	dual_pvcs(vcpu)->rip = 0x800000000000;
	cr_assert_eq(vcpu->rip, USER_RIP);
}

Test(return_user, is_traced_with_the_new_rip)
{
	const struct pvm_trace_record *record;

	return_user();
	record = fixture_find_record(&f, PVM_TRACE_RETURN_USER);
	cr_assert_eq(record->a, USER_RIP);
	cr_assert_eq(record->b | record->c | record->d, 0, "it has no other arguments");
}

/* spec: C-064 */
Test(return_user_la57, S1_widths_of_gs_base_and_rip_are_the_hosts_and_the_guests)
{
	struct pvm_vm_config config = fixture_config();

	config.host_la57 = true;
	guest_boot_config(&f, &config);
	vcpu->rip = RETU_RIP + 2;
	dual_pvcs(vcpu)->user_cs = 0x33;
	dual_pvcs(vcpu)->user_ss = 0x2b;
	dual_pvcs(vcpu)->user_gsbase = 0x0080000000000000;	/* canonical in 57 bits */
	dual_pvcs(vcpu)->rip = 0x800000000000;		/* not so in the guest's 48 */
	assert_refused();
	vcpu->rip = RETU_RIP + 2;
	dual_pvcs(vcpu)->rip = USER_RIP;
	return_user();
	cr_assert_eq(vcpu->gs_base, 0x0080000000000000);
	fixture_fini(&f);
}
