/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guest memory that is the guest's, but away (swapped out, not writable yet) when the engine
 * wants to touch it: without sleeping nothing happens, with sleeping it is fetched, and the
 * guest never notices. Each test runs the exit without sleeping first.
 */
#include <pvm/state.h>

#include "late.h"

#define STACK	0x20a000ull	/* rsp: its frame comes below it */
#define WINDOW	0x50000000ull
#define PORT	0x80

static void boot(void)
{
	late_boot();
	vcpu->gpr[PVM_RSP] = STACK;
}

TestSuite(exit_late, .init = boot);

static void send_away(uint64_t gpa)
{
	test_host_send_away(&f.host, gpa >> PVM_PAGE_SHIFT, false);
	pvm_mmu_unmap_gfns(&f.vm, pvm_gfn(gpa >> PVM_PAGE_SHIFT), 1, PVM_MAY_SLEEP);
}

static void map_window(void)
{
	fixture_map(&f, vcpu->cr3, 4, WINDOW, PAGE, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
}

static uint64_t window_table(void)
{
	uint64_t *entry = fixture_entry(&f, vcpu->cr3, 4, WINDOW, 1);

	return (uint64_t)((uint8_t *)entry - f.host.memory) & ~0xfffull;
}

static const struct pvm_supervisor_frame *frame_at(uint64_t rsp)
{
	return (const struct pvm_supervisor_frame *)(f.host.memory + rsp);
}

Test(exit_late, an_exceptions_frame_waits_for_its_stack)
{
	struct guest_snapshot before = guest_snapshot(vcpu);

	send_away(STACK - 0x1000);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	late_assert_needs_sleep();
	guest_assert_unchanged(vcpu, &before);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->vector, PVM_VEC_DE);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->rip, CODE);
	cr_assert_eq(f.host.fetched, 1);
	cr_assert_not(vcpu->kept_event.waits);
	cr_assert_not(vcpu->mmu.is_late, "the next attempt would fetch it once more");
}

Test(exit_late, a_stack_that_can_only_be_read_yet_is_waited_for_too)
{
	test_host_send_away(&f.host, (STACK - 0x1000) >> PVM_PAGE_SHIFT, true);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
}

Test(exit_late, a_table_on_the_way_to_the_stack_is_waited_for)
{
	map_window();
	vcpu->gpr[PVM_RSP] = WINDOW + 0x1000;
	send_away(window_table());
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(frame_at(PAGE + 0x1000 - PVM_FRAME_SIZE)->rip, CODE);
}

Test(exit_late, a_frame_to_return_from_is_waited_for)
{
	struct pvm_supervisor_frame *frame = (void *)(f.host.memory + STACK);
	struct guest_snapshot before;

	*frame = (struct pvm_supervisor_frame){ .rip = 0x123456, .rsp = 0x208000,
						.rflags = PVM_RFLAGS_IF };
	vcpu->rip = RETS_RIP + PVM_SYSCALL_LENGTH;
	before = guest_snapshot(vcpu);
	send_away(STACK);
	late_stopped(PVM_EXIT_SYSCALL, 0);
	late_assert_needs_sleep();
	guest_assert_unchanged(vcpu, &before);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0x123456);
	cr_assert_eq(vcpu->gpr[PVM_RSP], 0x208000);
}

/* The return is done; only the NMI that it lets in waits for the stack it came to. */
Test(exit_late, an_nmi_that_a_return_lets_in_comes_once)
{
	struct pvm_supervisor_frame *frame = (void *)(f.host.memory + STACK);

	*frame = (struct pvm_supervisor_frame){ .rip = 0x123456, .rsp = 0x208000 };
	vcpu->rip = RETS_RIP + PVM_SYSCALL_LENGTH;
	vcpu->nmi_masked = vcpu->nmi_pending = true;
	send_away(0x207000);
	late_stopped(PVM_EXIT_SYSCALL, 0);
	late_assert_needs_sleep();
	cr_assert_eq(vcpu->rip, 0x123456);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->vector, PVM_VEC_NMI);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->rip, 0x123456);
	cr_assert(vcpu->nmi_masked);
	cr_assert_not(vcpu->nmi_pending);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK);
}

Test(exit_late, an_nmi_of_the_hosts_is_kept_until_its_stack_has_come)
{
	waits = PVM_WAITS_NMI;
	send_away(STACK - 0x1000);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	cr_assert_eq(taken, PVM_WAITS_NMI);
	cr_assert_eq(vcpu->rip, CODE);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->vector, PVM_VEC_NMI);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->rip, CODE);
}

Test(exit_late, nothing_comes_before_an_event_that_is_kept)
{
	bool delivered;

	send_away(STACK - 0x1000);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	cr_assert_not(pvm_event_interrupt_allowed(vcpu));
	cr_assert_eq(pvm_event_interrupt(vcpu, 0x41, &delivered), PVM_ACT_RETRY);
	cr_assert_not(delivered);
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RETRY);
	cr_assert_eq(vcpu->rip, CODE);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->vector, PVM_VEC_NMI, "it comes at the handler's first");
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
	cr_assert_eq(frame_at(frame_at(vcpu->gpr[PVM_RSP])->rsp)->vector, PVM_VEC_DE);
	cr_assert_not(vcpu->nmi_pending);
	cr_assert(vcpu->nmi_masked);
}

Test(exit_late, an_instruction_is_waited_for_on_both_of_its_pages)
{
	vcpu->rip = CODE + 0xffe;
	decoded = (struct pvm_insn){ .op = PVM_INSN_CLI, .length = 4 };
	send_away(CODE);
	send_away(CODE + 0x1000);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_GP);
	late_assert_needs_sleep();
	cr_assert_eq(decodes, 0);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(f.host.fetched, 2);
	cr_assert_eq(shown_length, PVM_INSN_MAX_LENGTH);
	cr_assert_eq(vcpu->rip, CODE + 0x1002);
}

Test(exit_late, the_byte_of_into_is_waited_for)
{
	guest_enter_user(&f);
	vcpu->seg[PVM_CS] = f.vm.config.user32_cs;
	vcpu->rip = CODE + 1;
	f.host.memory[CODE] = 0xce;
	send_away(CODE);
	late_stopped(PVM_EXIT_SOFTWARE, PVM_VEC_OF);
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_OF);
}

Test(exit_late, an_operand_is_waited_for)
{
	decoded = (struct pvm_insn){ .op = PVM_INSN_LGDT, .length = 3, .memory = true,
				     .address = PAGE };
	f.host.memory[PAGE] = 0x7f;
	send_away(PAGE);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_GP);
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gdtr.limit, 0x7f);
	cr_assert_eq(vcpu->rip, CODE + 3);
}

/* What a port gave is there once. The page may go between the check and the store. */
Test(exit_late, what_a_port_gave_is_stored_when_its_place_has_come)
{
	decoded = (struct pvm_insn){ .op = PVM_INSN_INS, .length = 1, .size = 1, .address_size = 8,
				     .address = PAGE };
	vcpu->gpr[PVM_RDX] = PORT;
	vcpu->gpr[PVM_RDI] = PAGE;
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_GP);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_IO);
	send_away(PAGE);
	pvm_exit_is_action(&stop, pvm_complete_io(vcpu, 0x5a));
	cr_assert_eq(stop.action, PVM_ACT_RETRY);
	late_assert_needs_sleep();
	cr_assert_eq(vcpu->rip, CODE);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(f.host.memory[PAGE], 0x5a);
	cr_assert_eq(vcpu->rip, CODE + 1);
	cr_assert_eq(vcpu->gpr[PVM_RDI], PAGE + 1);
}

/* The request's bytes are a hypercall's, the guest's own. */
Test(exit_late, M6_a_retry_that_no_port_led_to_is_an_error)
{
	late_stopped(PVM_EXIT_SYSCALL, 0);
	vcpu->gpr[PVM_RAX] = ~0ull;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_HYPERCALL);
	pvm_exit_is_action(&stop, PVM_ACT_RETRY);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
	cr_assert_eq(vcpu->request.error.code, PVM_EINVAL);
}

Test(exit_late, no_port_is_read_before_its_place_is_known)
{
	map_window();
	decoded = (struct pvm_insn){ .op = PVM_INSN_INS, .length = 1, .size = 1, .address_size = 8,
				     .address = WINDOW };
	send_away(window_table());
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_GP);
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_IO);
}

Test(exit_late, a_fault_by_a_table_that_is_away_is_no_fault_of_the_guests)
{
	map_window();
	send_away(window_table());
	stop.gva = pvm_gva(WINDOW);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_PF);
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, CODE);
	cr_assert(*fixture_entry(&f, vcpu->cr3, 4, WINDOW, 1) & PVM_PTE_A, "it was filled");
}

/* A table that the host has not made writable yet is not a table in ROM. */
Test(exit_late, no_accessed_or_dirty_bit_is_lost)
{
	map_window();
	test_host_send_away(&f.host, window_table() >> PVM_PAGE_SHIFT, true);
	stop.gva = pvm_gva(WINDOW);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_PF);
	stop.error_code = PVM_PF_W;
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(*fixture_entry(&f, vcpu->cr3, 4, WINDOW, 1) & (PVM_PTE_A | PVM_PTE_D),
		     PVM_PTE_A | PVM_PTE_D);
}

Test(exit_late, the_root_table_is_waited_for)
{
	send_away(vcpu->cr3);
	late_assert_needs_sleep();
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_neq(root.v, PVM_INVALID_ADDR);
}

static bool host_wants_its_thread;

static int frame_unless_wanted(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			       struct pvm_frame *frame)
{
	if (host_wants_its_thread && sleep == PVM_MAY_SLEEP)
		return PVM_EAGAIN;
	return test_host_ops.gfn_to_frame(host, gfn, write, sleep, frame);
}

Test(exit_late, a_host_that_does_not_wait_gets_its_thread_back)
{
	f.host.ops.gfn_to_frame = frame_unless_wanted;
	host_wants_its_thread = true;
	send_away(STACK - 0x1000);
	send_away(PAGE);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RETRY);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK, "the vCPU has it all");
	host_wants_its_thread = false;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);

	host_wants_its_thread = true;
	stop.gva = pvm_gva(PAGE);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_PF);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RETRY, "a fault does not wait either");
	host_wants_its_thread = false;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
}

/* ------------------------------------------------------------------------
 * Memory that the host has lost, for a while.
 */

static int lost_error;

static int frame_unless_lost(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			     struct pvm_frame *frame)
{
	if (lost_error && sleep == PVM_MAY_SLEEP)
		return lost_error;
	return test_host_ops.gfn_to_frame(host, gfn, write, sleep, frame);
}

/* The host hears of it, with nothing kept in the exit; then the memory is back. */
static void assert_fails(int code)
{
	f.host.ops.gfn_to_frame = frame_unless_lost;
	lost_error = code;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
	cr_assert_eq(vcpu->request.error.code, code);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK);
	cr_assert_eq(handle(PVM_NO_SLEEP), vcpu->kept_event.waits ? PVM_ACT_RETRY : PVM_ACT_RESUME);
	lost_error = 0;
}

Test(exit_late, M11_an_event_whose_stack_is_lost_is_an_error_and_comes_later)
{
	struct guest_snapshot before = guest_snapshot(vcpu);

	send_away(STACK - 0x1000);
	late_stopped(PVM_EXIT_SOFTWARE, PVM_VEC_BP);
	assert_fails(PVM_EFAULT);
	guest_assert_unchanged(vcpu, &before);
	assert_fails(PVM_ENOMEM);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->vector, PVM_VEC_BP);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->rip, CODE);
	cr_assert_not(vcpu->kept_event.waits);
}

Test(exit_late, an_event_that_waits_is_in_the_vcpus_state)
{
	struct pvm_vcpu_state state;
	const char *field;

	send_away(STACK - 0x1000);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_GP);
	stop.error_code = 0x18;
	f.host.ops.decode = NULL;
	assert_fails(PVM_EFAULT);
	pvm_vcpu_save(vcpu, &state);
	vcpu->kept_event.waits = false;
	cr_assert_eq(pvm_vcpu_restore(vcpu, &state, &field), PVM_OK);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->vector, PVM_VEC_GP);
	cr_assert_eq(frame_at(vcpu->gpr[PVM_RSP])->errcode, 0x18);
}

Test(exit_late, M11_a_system_call_whose_memory_is_lost_has_not_happened)
{
	struct pvm_supervisor_frame *frame = (void *)(f.host.memory + STACK);
	struct guest_snapshot before;

	*frame = (struct pvm_supervisor_frame){ .rip = 0x123456, .rsp = 0x208000, .rflags = PVM_RFLAGS_IF };
	vcpu->rip = RETS_RIP;
	before = guest_snapshot(vcpu);
	vcpu->rip += PVM_SYSCALL_LENGTH;
	send_away(STACK);
	late_stopped(PVM_EXIT_SYSCALL, 0);
	assert_fails(PVM_EFAULT);
	guest_assert_unchanged(vcpu, &before);
	/* The guest comes to it again. */
	vcpu->rip += PVM_SYSCALL_LENGTH;
	late_stopped(PVM_EXIT_SYSCALL, 0);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0x123456);
}

Test(exit_late, M11_a_table_that_is_lost_is_an_error_and_the_fault_comes_again)
{
	map_window();
	send_away(window_table());
	stop.gva = pvm_gva(WINDOW);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_PF);
	assert_fails(PVM_EFAULT);
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_PF);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert(*fixture_entry(&f, vcpu->cr3, 4, WINDOW, 1) & PVM_PTE_A, "it was filled");
}

/* A port has answered 0x5a, and the page that it goes to is away. */
static void answer_ins_without_its_page(void)
{
	decoded = (struct pvm_insn){ .op = PVM_INSN_INS, .length = 1, .size = 1, .address_size = 8,
				     .address = PAGE };
	vcpu->gpr[PVM_RDX] = PORT;
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_GP);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_IO);
	send_away(PAGE);
	pvm_exit_is_action(&stop, pvm_complete_io(vcpu, 0x5a));
}

/* A port has answered: the answer waits. */
Test(exit_late, M11_what_a_port_gave_outlives_the_loss_of_its_place)
{
	answer_ins_without_its_page();
	f.host.ops.gfn_to_frame = frame_unless_lost;
	lost_error = PVM_EFAULT;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
	lost_error = 0;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(f.host.memory[PAGE], 0x5a);
}

static int frame_that_leaves(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			     struct pvm_frame *frame)
{
	(void)write;
	if (sleep == PVM_NO_SLEEP && gfn.v == PAGE >> PVM_PAGE_SHIFT)
		return PVM_EAGAIN;
	return test_host_ops.gfn_to_frame(host, gfn, false, sleep, frame);
}

static void *va_of_all_but_one(void *host, pvm_gfn_t gfn, bool write)
{
	return gfn.v == PAGE >> PVM_PAGE_SHIFT ? NULL : test_host_ops.gfn_to_va(host, gfn, write);
}

Test(exit_late, M12_memory_that_never_stays_ends_the_call)
{
	f.host.ops.gfn_to_frame = frame_that_leaves;
	f.host.ops.gfn_to_va = va_of_all_but_one;
	vcpu->gpr[PVM_RSP] = PAGE + 0x1000;
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RETRY);
}

static int frame_of_a_device(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			     struct pvm_frame *frame)
{
	frame->device = gfn.v == PAGE >> PVM_PAGE_SHIFT;
	return test_host_ops.gfn_to_frame(host, gfn, write, sleep, frame);
}

/* A device's memory can be mapped for the guest, and not be touched by the engine. */
Test(exit_late, a_frame_that_has_no_va_is_no_stack)
{
	f.host.ops.gfn_to_frame = frame_of_a_device;
	f.host.ops.gfn_to_va = va_of_all_but_one;
	vcpu->gpr[PVM_RSP] = PAGE + 0x1000;
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_DOUBLE_FAULT);
}

/* Memory that comes and goes between the engine's questions is memory. */
Test(exit_late, memory_that_has_come_and_may_have_gone_again_is_late)
{
	f.host.ops.gfn_to_va = va_of_all_but_one;
	vcpu->gpr[PVM_RSP] = PAGE + 0x1000;
	late_stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	f.host.ops.gfn_to_va = test_host_ops.gfn_to_va;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(frame_at(PAGE + 0x1000 - PVM_FRAME_SIZE)->vector, PVM_VEC_DE);
}

/* A host that has restarted the vCPU elsewhere. */
Test(exit_late, what_a_port_gave_is_not_stored_by_another_instruction)
{
	answer_ins_without_its_page();
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	vcpu->rip = CODE + 0x100;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, CODE + 0x100);
	cr_assert_eq(f.host.memory[PAGE], 0);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK);
}

/* An executor that serves faults itself has had this answer. */
Test(exit_late, M11_an_action_for_want_of_memory_is_tried_again)
{
	vcpu->request.error.code = PVM_ENOMEM;
	pvm_exit_is_action(&stop, PVM_ACT_ERROR);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK);
}
