/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Vector events in user mode: what is saved in the PVCS, what is loaded, and
 * what must not change.
 */
#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	guest_enter_user(&f);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void deliver(uint8_t vector, uint32_t error_code)
{
	cr_assert_eq(pvm_event_deliver(vcpu, vector, error_code), PVM_ACT_RESUME);
}

TestSuite(deliver_user, .init = setup, .fini = teardown);

/* spec: C-062 */
Test(deliver_user, user_registers_are_saved_in_the_pvcs)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->user_cs, 0x33);
	cr_assert_eq(dual_pvcs(vcpu)->user_ss, 0x2b);
	cr_assert_eq(dual_pvcs(vcpu)->rsp, USER_RSP);
	cr_assert_eq(dual_pvcs(vcpu)->eflags, USER_RFLAGS);
	cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP);
	cr_assert_eq(dual_pvcs(vcpu)->rcx, 0xccccccccccccccc1);
	cr_assert_eq(dual_pvcs(vcpu)->r11, 0x1111111111111112);
}

/* spec: C-062 */
Test(deliver_user, the_32_bit_code_selector_is_saved_as_it_is)
{
	vcpu->seg[PVM_CS] = 0x23;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->user_cs, 0x23);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x33, "supervisor mode is 64-bit");
}

/* A user may load SS with a TLS entry; its supervisor's return must not fail for
 * that. spec: C-013, C-044 */
Test(deliver_user, ss_is_saved_as_the_underlying_one_whatever_the_user_loaded)
{
	const uint64_t tls[3] = { 0x00cff3000000ffffull };

	pvm_load_tls(vcpu, tls);
	vcpu->seg[PVM_SS] = 0x63;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->user_ss, 0x2b);
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode);
	cr_assert_eq(vcpu->rip, USER_RIP);
}

/* spec: C-070, C-167 */
Test(deliver_user, gs_base_is_saved_and_becomes_the_kernel_gs_base)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->user_gsbase, USER_GS_BASE);
	cr_assert_eq(vcpu->gs_base, KERNEL_GS_BASE);
	cr_assert_eq(vcpu->msr.kernel_gs_base, KERNEL_GS_BASE);
}

/* spec: C-058, C-162 */
Test(deliver_user, vector_goes_to_the_pvcs)
{
	deliver(PVM_VEC_BP, 0);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_BP);
}

/* spec: C-060, C-162 */
Test(deliver_user, error_code_goes_to_the_pvcs)
{
	deliver(PVM_VEC_GP, 0x402);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0x402);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
}

/* spec: C-060 */
Test(deliver_user, a_vector_without_error_code_leaves_the_field_alone)
{
	deliver(PVM_VEC_UD, 0x1234);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0xeeeeeeee);
}

/* spec: C-061, C-162 */
Test(deliver_user, page_fault_puts_cr2_into_the_pvcs)
{
	cr_assert_eq(pvm_event_pf(vcpu, pvm_gva(0x7fdead000abc), PVM_PF_W | PVM_PF_U),
		     PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->cr2, 0x7fdead000abc);
	cr_assert_eq(vcpu->cr2, 0x7fdead000abc);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_PF);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, PVM_PF_W | PVM_PF_U);
}

/* spec: C-061 */
Test(deliver_user, other_events_leave_cr2_in_the_pvcs_alone)
{
	vcpu->cr2 = 0x1234;
	deliver(PVM_VEC_GP, 0);
	cr_assert_eq(dual_pvcs(vcpu)->cr2, 0xeeeeeeeeeeeeeeee);
}

/* spec: C-052, C-163 */
Test(deliver_user, interrupt_flag_in_the_pvcs_does_not_change)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0);
}

/* spec: C-052, C-057, C-163 */
Test(deliver_user, a_set_interrupt_flag_and_reserved_flags_stay)
{
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IF | 0x8000000000000001;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF | 0x8000000000000001);
	deliver(0x40, 0);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0x8000000000000001, "the second one came in supervisor mode");
}

/* spec: C-082, C-164, C-169, C-170, C-171 */
Test(deliver_user, supervisor_starts_at_the_entry_point_with_clean_registers)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_not(vcpu->user_mode);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(vcpu->gpr[PVM_RCX], ENTRY);
	cr_assert_eq(vcpu->gpr[PVM_R11], ENTRY_RFLAGS);
	cr_assert_eq(vcpu->rflags, ENTRY_RFLAGS);
	cr_assert_eq(vcpu->seg[PVM_CS], 0x10);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x18);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x33);
	cr_assert_eq(pvm_vcpu_underlying_ss(vcpu), 0x2b);
	cr_assert_eq(pvm_vcpu_rflags(vcpu), PVM_RFLAGS_FIXED);
}

/* spec: C-058, C-082 */
Test(deliver_user, every_vector_enters_at_the_same_point)
{
	deliver(0xff, 0);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0xff);
}

/* spec: C-085, C-168 */
Test(deliver_user, rsp_is_the_supervisors)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(vcpu->gpr[PVM_RSP], SUPERVISOR_RSP);
}

Test(deliver_user, other_registers_are_untouched)
{
	struct guest_snapshot before = guest_snapshot(vcpu);
	unsigned i;

	vcpu->seg[PVM_GS] = 0x2b;
	vcpu->fs_base = 0x1357;
	deliver(PVM_VEC_UD, 0);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		if (i != PVM_RSP && i != PVM_RCX && i != PVM_R11)
			cr_assert_eq(vcpu->gpr[i], before.gpr[i], "register %u", i);
	cr_assert_eq(vcpu->seg[PVM_GS], 0x2b);
	cr_assert_eq(vcpu->fs_base, 0x1357);
}

/* spec: C-022, C-081, C-143, C-165 */
Test(deliver_user, cr3_and_switch_cr3_change_places_without_a_flush)
{
	uint64_t user = vcpu->cr3, supervisor = vcpu->msr.switch_cr3;

	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(vcpu->cr3, supervisor);
	cr_assert_eq(vcpu->msr.switch_cr3, user);
	cr_assert_neq(user, supervisor);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-166 */
Test(deliver_user, the_root_to_run_on_is_the_supervisors)
{
	pvm_hpa_t user, supervisor, again;

	cr_assert_eq(pvm_mmu_load(vcpu, &user, PVM_MAY_SLEEP), PVM_OK);
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(pvm_mmu_load(vcpu, &supervisor, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_neq(user.v, supervisor.v);
	guest_enter_user(&f);
	cr_assert_eq(pvm_mmu_load(vcpu, &again, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_eq(again.v, user.v);
}

/* spec: C-158 */
Test(deliver_user, S11_pkru_is_saved_and_0_is_loaded)
{
	cr_assert_eq(vcpu->pkru, USER_PKRU);
	vcpu->msr.pkrs = 0x30;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->pkru, USER_PKRU);
	cr_assert_eq(vcpu->pkru, 0);
}

/* spec: C-150, C-158 */
Test(deliver_user, S11_pkru_becomes_pkrs_when_the_supervisor_has_pks)
{
	vcpu->cr4 |= PVM_CR4_PKE | PVM_CR4_PKS;
	vcpu->msr.pkrs = 0x30;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->pkru, USER_PKRU);
	cr_assert_eq(vcpu->pkru, 0x30);
}

Test(deliver_user, a_delivered_event_ends_a_halt)
{
	vcpu->halted = true;
	deliver(0x40, 0);
	cr_assert_not(vcpu->halted);
}

/* spec: C-160 */
Test(deliver_user, double_fault_is_a_triple_fault)
{
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_DF, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_DOUBLE_FAULT);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_DF);
	cr_assert_eq(vcpu->request.shutdown.address, USER_RIP);
	cr_assert(vcpu->user_mode, "the state stays as it was, for a backtrace");
}

/* spec: C-095 */
Test(deliver_user, enters_a_supervisor_in_the_legal_part_of_the_upper_half)
{
	vcpu->msr.event_entry = 0xffffc00000000000;
	deliver(PVM_VEC_UD, 0);
	cr_assert_not(vcpu->user_mode);
	cr_assert_eq(vcpu->rip, 0xffffc00000000000);
}

Test(deliver_user, M7_entry_outside_the_legal_ranges_is_a_shutdown)
{
	vcpu->msr.event_entry = 0xffffffff80000000;
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_UD);
	cr_assert_eq(vcpu->request.shutdown.address, 0xffffffff80000000);
	cr_assert(vcpu->user_mode);
	cr_assert_eq(dual_pvcs(vcpu)->rip, 0xeeeeeeeeeeeeeeee, "nothing was saved");
}

Test(deliver_user, without_a_pvcs_is_a_shutdown)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_NO_PVCS);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_UD);
	cr_assert_eq(vcpu->request.shutdown.address, USER_RIP);
}

Test(deliver_user, is_traced_with_where_it_came_from)
{
	const struct pvm_trace_record *record;

	deliver(PVM_VEC_GP, 7);
	record = fixture_find_record(&f, PVM_TRACE_EVENT);
	cr_assert_not_null(record);
	cr_assert_eq(record->a, PVM_VEC_GP);
	cr_assert_eq(record->b, 7);
	cr_assert_eq(record->c, 1);
	cr_assert_eq(record->d, USER_RIP);
}

Test(deliver_user, a_shutdown_is_traced_with_its_reason)
{
	const struct pvm_trace_record *record;

	pvm_event_deliver(vcpu, PVM_VEC_DF, 0);
	record = fixture_find_record(&f, PVM_TRACE_SHUTDOWN);
	cr_assert_eq(record->a, PVM_SHUTDOWN_DOUBLE_FAULT);
	cr_assert_eq(record->b | record->c | record->d, 0, "it has no other arguments");
}

Test(deliver_user, gp_and_ud_shorthands)
{
	cr_assert_eq(pvm_event_gp(vcpu, 0x1a), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0x1a);
	guest_enter_user(&f);
	cr_assert_eq(pvm_event_ud(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_UD);
}

Test(vector, error_codes_are_those_of_the_manual)
{
	static const uint8_t with[] = { 8, 10, 11, 12, 13, 14, 17, 21 };
	unsigned vector, i;

	for (vector = 0; vector < 256; vector++) {
		bool expected = false;

		for (i = 0; i < sizeof(with); i++)
			expected |= with[i] == vector;
		cr_assert_eq(pvm_vector_has_error_code((uint8_t)vector), expected, "vector %u", vector);
	}
}

/* Without host PKE there is no PKRU to save. spec: C-158 */
Test(deliver_user_no_pke, S11_pkru_is_left_alone_without_host_pke)
{
	struct pvm_vm_config config = fixture_config();

	config.host_pke = false;
	guest_boot_config(&f, &config);
	vcpu->pkru = 0x77;
	guest_enter_user(&f);
	cr_assert_eq(vcpu->pkru, 0x77);
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->pkru, 0xeeeeeeee);
	cr_assert_eq(vcpu->pkru, 0x77);
	fixture_fini(&f);
}
