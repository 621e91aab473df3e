/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_handle_exit(): which engine call an exit is, and how one goes on after an action. */
#include "controller.h"

TestSuite(exit_kind, .init = controller_boot);

static void assert_runnable(void)
{
	pvm_hpa_t expected;

	cr_assert_eq(stop.kind, PVM_EXIT_KICK, "nothing is left to handle");
	cr_assert_eq(pvm_mmu_load(vcpu, &expected, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_eq(root.v, expected.v);
}

static void raise_exception(uint8_t vector, uint32_t error_code)
{
	stop.kind = PVM_EXIT_EXCEPTION;
	stop.vector = vector;
	stop.error_code = error_code;
}

Test(exit_kind, kick_names_the_root_of_the_mode_and_changes_nothing)
{
	struct guest_snapshot before = guest_snapshot(vcpu);

	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	assert_runnable();
	guest_assert_unchanged(vcpu, &before);
}

Test(exit_kind, syscall_is_classified)
{
	guest_enter_user(&f);
	stop.kind = PVM_EXIT_SYSCALL;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, LSTAR);
	cr_assert_not(vcpu->user_mode);
	assert_runnable();
}

Test(exit_kind, page_fault_has_its_address_in_the_exit)
{
	guest_enter_user(&f);
	stop.gva = pvm_gva(0x7000000000);
	raise_exception(PVM_VEC_PF, PVM_PF_U | PVM_PF_W);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_PF);
	cr_assert_eq(dual_pvcs(vcpu)->cr2, 0x7000000000);
}

/* What the engine fills is no fault of the guest's: its CR2 is from the last that was. */
Test(exit_kind, a_fill_leaves_the_guests_cr2)
{
	guest_enter_user(&f);
	vcpu->cr2 = 0x1234;
	stop.gva = pvm_gva(0x5000);
	raise_exception(PVM_VEC_PF, PVM_PF_U);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode, "it was filled");
	cr_assert_eq(vcpu->cr2, 0x1234);
}

/* One exit less: the return to where the #PF came from makes the page reachable. */
Test(exit_kind, a_return_from_a_page_fault_finds_the_page)
{
	const uint64_t page = 0x40001000, entry = 0x300000 | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
	struct pvm_shadow_leaf leaf;
	uint64_t *at, rip;

	guest_enter_user(&f);
	fixture_map(&f, vcpu->cr3, 4, page - 0x1000, 0x2ff000, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	fixture_map(&f, vcpu->cr3, 4, page, 0x300000, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	at = fixture_entry(&f, vcpu->cr3, 4, page, 1);
	*at = 0;
	rip = vcpu->rip;
	stop.gva = pvm_gva(page - 0x1000);	/* its neighbour first */
	raise_exception(PVM_VEC_PF, PVM_PF_U | PVM_PF_W);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, rip);
	stop.gva = pvm_gva(page);
	raise_exception(PVM_VEC_PF, PVM_PF_U | PVM_PF_W);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY);
	*at = entry | PVM_PTE_A | PVM_PTE_D;
	vcpu->rip = RETU_RIP + PVM_SYSCALL_LENGTH;
	stop.kind = PVM_EXIT_SYSCALL;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, rip);
	cr_assert(pvm_mmu_shadow_walk(&f.vm, root, pvm_gva(page), &leaf));
	cr_assert(leaf.entry & PVM_PTE_W);
}

Test(exit_kind, debug_exception_takes_its_cause_from_dr6)
{
	guest_enter_user(&f);
	vcpu->dr6 = PVM_DR6_FIXED | PVM_DR6_BS;
	raise_exception(PVM_VEC_DB, 0);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_DB);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | PVM_DR6_BS);
}

Test(exit_kind, other_exceptions_are_delivered_with_their_error_code)
{
	guest_enter_user(&f);
	raise_exception(PVM_VEC_AC, 0);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_AC);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0);
}

Test(exit_kind, an_exception_that_is_none_is_the_hosts_error)
{
	raise_exception(32, 0);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
	cr_assert_eq(vcpu->request.error.code, PVM_EINVAL);
}

Test(exit_kind, software_interrupt_is_delivered)
{
	guest_enter_user(&f);
	stop.kind = PVM_EXIT_SOFTWARE;
	stop.vector = PVM_VEC_SYSCALL32;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_SYSCALL32);
}

Test(exit_kind, a_decoded_instruction_is_emulated_without_the_decoder)
{
	stop.kind = PVM_EXIT_INSN;
	stop.vector = PVM_VEC_GP;
	stop.insn = (struct pvm_insn){ .op = PVM_INSN_CLI, .length = 1 };
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags & PVM_EVENT_FLAGS_IF, 0);
	cr_assert_eq(decodes, 0);
}

Test(exit_kind, an_interrupt_of_the_host_is_not_the_guests)
{
	struct guest_snapshot before = guest_snapshot(vcpu);

	stop.kind = PVM_EXIT_INTERRUPT;
	stop.vector = 0xec;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	guest_assert_unchanged(vcpu, &before);
	assert_runnable();
}

Test(exit_kind, a_lost_vcpu_is_an_error_and_so_is_a_kind_that_is_none)
{
	static const enum pvm_exit_kind kinds[] = { PVM_EXIT_DEAD, PVM_EXIT_FAILED, PVM_EXIT_KINDS };
	unsigned i;

	for (i = 0; i < 3; i++) {
		stop.kind = kinds[i];
		cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
		cr_assert_eq(vcpu->request.error.code, PVM_EINVAL);
	}
}

Test(exit_kind, an_action_is_handed_out_once_and_its_completion_goes_on)
{
	stop.kind = PVM_EXIT_INSN;
	stop.vector = PVM_VEC_GP;
	stop.insn = (struct pvm_insn){ .op = PVM_INSN_IN, .length = 1, .size = 1, .port_is_dx = true };
	vcpu->gpr[PVM_RDX] = 0x3fd;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_IO);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK);
	cr_assert_eq(vcpu->request.io.port, 0x3fd);

	pvm_exit_is_action(&stop, pvm_complete_io(vcpu, 0x60));
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq((uint8_t)vcpu->gpr[PVM_RAX], 0x60);
	assert_runnable();
}

Test(exit_kind, what_would_sleep_stays_to_be_handled)
{
	guest_enter_user(&f);
	f.host.frames_would_block = true;
	stop.gva = pvm_gva(0x5000);
	raise_exception(PVM_VEC_PF, PVM_PF_U);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	cr_assert_eq(stop.kind, PVM_EXIT_EXCEPTION);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode, "the fault was filled, not delivered");
	assert_runnable();
}

Test(exit_kind, every_kind_has_a_name)
{
	unsigned i;

	for (i = 0; i < PVM_EXIT_KINDS; i++)
		cr_assert_str_neq(pvm_exit_name(i), "unknown");
	cr_assert_str_eq(pvm_exit_name(PVM_EXIT_KINDS), "unknown");
}
