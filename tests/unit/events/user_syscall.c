/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * SYSCALL in user mode.
 */
#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	guest_enter_user(&f);
	vcpu->rip = USER_RIP + 2;		/* as SYSCALL leaves it */
	vcpu->gpr[PVM_RCX] = USER_RIP + 2;
	vcpu->gpr[PVM_R11] = USER_RFLAGS;
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(user_syscall, .init = setup, .fini = teardown);

/* spec: C-195 */
Test(user_syscall, saves_the_users_registers_in_the_pvcs)
{
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->user_cs, 0x33);
	cr_assert_eq(dual_pvcs(vcpu)->user_ss, 0x2b);
	cr_assert_eq(dual_pvcs(vcpu)->user_gsbase, USER_GS_BASE);
	cr_assert_eq(dual_pvcs(vcpu)->rsp, USER_RSP);
	cr_assert_eq(dual_pvcs(vcpu)->eflags, USER_RFLAGS);
	cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP + 2);
	cr_assert_eq(dual_pvcs(vcpu)->rcx, USER_RIP + 2);
	cr_assert_eq(dual_pvcs(vcpu)->r11, USER_RFLAGS);
}

/* spec: C-158, C-195 */
Test(user_syscall, S11_pkru_is_saved_and_the_supervisors_is_loaded)
{
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->pkru, USER_PKRU);
	cr_assert_eq(vcpu->pkru, 0);
}

/* spec: C-196 */
Test(user_syscall, leaves_vector_error_code_and_cr2_alone)
{
	vcpu->cr2 = 0x1234;
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0xeeeeeeee);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0xeeeeeeee);
	cr_assert_eq(dual_pvcs(vcpu)->cr2, 0xeeeeeeeeeeeeeeee);
}

/* spec: C-197, C-200, C-201, C-202, C-203 */
Test(user_syscall, enters_at_lstar_with_clean_registers)
{
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_not(vcpu->user_mode);
	cr_assert_eq(vcpu->rip, LSTAR);
	cr_assert_eq(vcpu->gpr[PVM_RCX], LSTAR);
	cr_assert_eq(vcpu->gpr[PVM_R11], ENTRY_RFLAGS);
	cr_assert_eq(vcpu->rflags, ENTRY_RFLAGS);
	cr_assert_eq(vcpu->gpr[PVM_RSP], SUPERVISOR_RSP);
	cr_assert_eq(vcpu->seg[PVM_CS], 0x10);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x18);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x33);
	cr_assert_eq(pvm_vcpu_underlying_ss(vcpu), 0x2b);
}

/* spec: C-074 */
Test(user_syscall, rflags_do_not_depend_on_the_syscall_mask)
{
	vcpu->msr.syscall_mask = 0;
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rflags, ENTRY_RFLAGS);
}

/* spec: C-198 */
Test(user_syscall, exchanges_the_page_tables_without_a_flush)
{
	uint64_t user = vcpu->cr3, supervisor = vcpu->msr.switch_cr3;

	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->cr3, supervisor);
	cr_assert_eq(vcpu->msr.switch_cr3, user);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-199 */
Test(user_syscall, loads_the_kernel_gs_base)
{
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gs_base, KERNEL_GS_BASE);
}

/* spec: C-204 */
Test(user_syscall, leaves_the_interrupt_flag_alone)
{
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IF | PVM_EVENT_FLAGS_IP;
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF | PVM_EVENT_FLAGS_IP);
}

Test(user_syscall, M7_lstar_outside_the_legal_ranges_is_a_shutdown)
{
	vcpu->msr.lstar = 0xffffffff81000000;
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
	cr_assert_eq(vcpu->request.shutdown.vector, 0xff);
	cr_assert_eq(vcpu->request.shutdown.address, 0xffffffff81000000);
	cr_assert(vcpu->user_mode);
}

Test(user_syscall, without_a_pvcs_is_a_shutdown)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_NO_PVCS);
	cr_assert_eq(vcpu->request.shutdown.vector, 0xff);
}

Test(user_syscall, is_traced_with_rip_and_number)
{
	vcpu->gpr[PVM_RAX] = 39;
	cr_assert_eq(pvm_event_user_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(fixture_find_record(&f, PVM_TRACE_SYSCALL)->a, USER_RIP + 2);
	cr_assert_eq(fixture_find_record(&f, PVM_TRACE_SYSCALL)->b, 39);
}
