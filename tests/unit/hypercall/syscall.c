/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The SYSCALL classifier, where each class goes, and the register rule.
 */
#include <pvm/hypercall.h>

#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	vcpu->rip = 0x200102;
	vcpu->gpr[PVM_RCX] = vcpu->rip;
	vcpu->gpr[PVM_R11] = vcpu->rflags;
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(syscall, .init = setup, .fini = teardown);

/* spec: C-195 */
Test(syscall, in_user_mode_is_always_the_users)
{
	guest_enter_user(&f);
	vcpu->rip = RETU_RIP + 2;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_WIN;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_USER);
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, LSTAR);
	cr_assert_eq(dual_pvcs(vcpu)->rip, RETU_RIP + 2);
}

/* spec: C-103 */
Test(syscall, at_retu_rip_is_event_return_user)
{
	vcpu->rip = RETU_RIP + 2;
	dual_pvcs(vcpu)->user_cs = 0x33;
	dual_pvcs(vcpu)->user_ss = 0x2b;
	dual_pvcs(vcpu)->rip = USER_RIP;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_WIN;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_RETURN_USER);
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode);
	cr_assert_eq(vcpu->rip, USER_RIP);
}

/* spec: C-104 */
Test(syscall, at_rets_rip_is_event_return_supervisor)
{
	vcpu->rip = RETS_RIP + 2;
	vcpu->gpr[PVM_RSP] = 0x207000;
	*(uint64_t *)(f.host.memory + 0x207000 + PVM_FRAME_RIP) = 0x200abc;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_RETURN_SUPERVISOR);
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0x200abc);
}

/* spec: C-103, C-104 */
Test(syscall, that_merely_ends_near_those_addresses_is_a_hypercall)
{
	vcpu->gpr[PVM_RAX] = 0;
	vcpu->rip = RETU_RIP;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_OTHER_HYPERCALL);
	vcpu->rip = RETU_RIP + 4;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_OTHER_HYPERCALL);
	vcpu->rip = RETS_RIP;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_OTHER_HYPERCALL);
}

Test(syscall, return_to_user_wins_where_both_addresses_are_one)
{
	vcpu->msr.rets_rip = RETU_RIP;
	vcpu->rip = RETU_RIP + 2;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_RETURN_USER);
}

Test(syscall, an_address_of_0_matches_no_syscall)
{
	vcpu->msr.retu_rip = 0;
	vcpu->msr.rets_rip = 0;
	vcpu->rip = 2;
	vcpu->gpr[PVM_RAX] = 0;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_OTHER_HYPERCALL);
}

/* spec: C-213, C-214 */
Test(syscall, elsewhere_is_a_hypercall_by_its_number)
{
	static const struct { uint64_t rax; enum pvm_syscall_class class; } cases[] = {
		{ PVM_HC_BASE - 1, PVM_SYSCALL_OTHER_HYPERCALL },
		{ PVM_HC_BASE, PVM_SYSCALL_PVM_HYPERCALL },
		{ PVM_HC_BASE + 255, PVM_SYSCALL_PVM_HYPERCALL },
		{ PVM_HC_BASE + 256, PVM_SYSCALL_OTHER_HYPERCALL },
		{ PVM_HC_BASE | 1ull << 32, PVM_SYSCALL_OTHER_HYPERCALL },
		{ 0, PVM_SYSCALL_OTHER_HYPERCALL },
		{ ~0ull, PVM_SYSCALL_OTHER_HYPERCALL },
	};
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		vcpu->gpr[PVM_RAX] = cases[i].rax;
		cr_assert_eq(pvm_syscall_classify(vcpu), cases[i].class, "RAX %#lx", cases[i].rax);
	}
}

/* spec: C-214, C-215 */
Test(syscall, other_hypercalls_are_handed_to_the_backend_with_r10_for_rcx)
{
	vcpu->gpr[PVM_RAX] = 5;
	vcpu->gpr[PVM_RBX] = 11;
	vcpu->gpr[PVM_R10] = 12;
	vcpu->gpr[PVM_RDX] = 13;
	vcpu->gpr[PVM_RSI] = 14;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_HYPERCALL);
	cr_assert_eq(vcpu->request.hypercall.nr, 5);
	cr_assert_eq(vcpu->request.hypercall.arg[0], 11);
	cr_assert_eq(vcpu->request.hypercall.arg[1], 12);
	cr_assert_eq(vcpu->request.hypercall.arg[2], 13);
	cr_assert_eq(vcpu->request.hypercall.arg[3], 14);
	cr_assert_eq(vcpu->rip, 0x200102);
}

/* spec: C-215, C-216 */
Test(syscall, a_completed_hypercall_has_its_result_in_rax_and_rcx_in_r10)
{
	vcpu->gpr[PVM_RAX] = 5;
	vcpu->gpr[PVM_R10] = 12;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_HYPERCALL);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 12);
	vcpu->gpr[PVM_RCX] = 99;	/* what a KVM hypercall may return beside RAX */
	cr_assert_eq(pvm_complete_hypercall(vcpu, 77), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 77);
	cr_assert_eq(vcpu->gpr[PVM_R10], 99);
	cr_assert_eq(vcpu->rip, 0x200102);
}

/* spec: C-215 */
Test(syscall, a_pvm_hypercall_gives_r10_back)
{
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_WIN;
	vcpu->gpr[PVM_R10] = 0x1010;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_R10], 0x1010);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 0x200102);
	cr_assert_eq(vcpu->rip, 0x200102);
}

/* spec: C-214, C-216 */
Test(syscall, a_number_of_pvm_without_a_hypercall_is_enosys_at_once)
{
	struct guest_snapshot before;

	vcpu->gpr[PVM_RAX] = PVM_HC_LOAD_TLS + 1;
	before = guest_snapshot(vcpu);
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	before.gpr[PVM_RAX] = (uint64_t)-1000;
	before.gpr[PVM_RCX] = before.rip;
	guest_assert_unchanged(vcpu, &before);
	vcpu->gpr[PVM_RAX] = PVM_HC_BASE + 255;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint64_t)-PVM_KVM_ENOSYS);
}

/* spec: C-205 */
Test(syscall, a_hypercall_stays_in_supervisor_mode)
{
	uint64_t nr;

	for (nr = PVM_HC_BASE; nr < PVM_HC_BASE + PVM_HC_COUNT; nr++) {
		vcpu->gpr[PVM_RAX] = nr;
		vcpu->gpr[PVM_R10] = vcpu->gpr[PVM_RDX] = 0x800000;
		pvm_handle_syscall(vcpu);
		cr_assert_not(vcpu->user_mode);
	}
}

Test(syscall, S1_after_the_end_of_the_lower_half_is_gp)
{
	vcpu->rip = 0x800000000000;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_WIN;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_GP << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), 0x800000000000);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0, "the hypercall was executed");
}

Test(syscall, S1_after_the_end_of_the_lower_half_does_not_halt)
{
	vcpu->rip = 0x800000000000;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_HLT;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_not(vcpu->halted);
}

Test(syscall, S1_a_completion_after_the_end_of_the_lower_half_is_gp)
{
	vcpu->rip = 0x800000000000;
	vcpu->gpr[PVM_RAX] = 1;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_HYPERCALL);
	cr_assert_eq(pvm_complete_hypercall(vcpu, 0), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
}

Test(syscall, hypercalls_are_traced_with_arguments_and_result)
{
	const struct pvm_trace_record *record;

	vcpu->gpr[PVM_RAX] = PVM_HC_RDMSR;
	vcpu->gpr[PVM_RBX] = MSR_PVM_RETU_RIP;
	vcpu->gpr[PVM_R10] = 2;
	vcpu->gpr[PVM_RDX] = 3;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	record = fixture_find_record(&f, PVM_TRACE_HYPERCALL);
	cr_assert_eq(record->a, PVM_HC_RDMSR);
	cr_assert_eq(record->b, MSR_PVM_RETU_RIP);
	cr_assert_eq(record->c, 2);
	cr_assert_eq(record->d, 3);
	record = fixture_find_record(&f, PVM_TRACE_HYPERCALL_RESULT);
	cr_assert_eq(record->a, PVM_HC_RDMSR);
	cr_assert_eq(record->b, RETU_RIP);
}
