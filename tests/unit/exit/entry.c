/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Before the next entry: events of the host's controller, the root, memory. */
#include "controller.h"

TestSuite(exit_entry, .init = controller_boot);

Test(exit_entry, an_interrupt_is_delivered_and_taken)
{
	waits = PVM_WAITS_INTERRUPT;
	waiting_vector = 0x41;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0x41);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_INTERRUPT);
	cr_assert_eq(taken, PVM_WAITS_INTERRUPT);
	cr_assert_eq(taken_vector, 0x41);
}

Test(exit_entry, an_interrupt_that_is_off_stays_with_the_host)
{
	dual_pvcs(vcpu)->event_flags = 0;
	waits = PVM_WAITS_INTERRUPT;
	waiting_vector = 0x41;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IP);
	cr_assert_eq(taken, 0);
}

Test(exit_entry, an_apics_lowest_vectors_arrive_as_the_exceptions_they_name)
{
	guest_enter_user(&f);
	waits = PVM_WAITS_INTERRUPT;
	waiting_vector = 16;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 16);
	cr_assert_eq(taken_vector, 16);
}

Test(exit_entry, an_nmi_comes_first_and_the_interrupt_waits)
{
	waits = PVM_WAITS_NMI | PVM_WAITS_INTERRUPT;
	waiting_vector = 0x41;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
	cr_assert(vcpu->nmi_masked);
	cr_assert_eq(taken, PVM_WAITS_NMI);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags & PVM_EVENT_FLAGS_IP, PVM_EVENT_FLAGS_IP);
}

Test(exit_entry, a_halted_vcpu_waits_until_an_event_ends_it)
{
	stop.kind = PVM_EXIT_SYSCALL;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_HLT;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_HALT);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_HALT, "nothing has come");
	waits = PVM_WAITS_INTERRUPT;
	waiting_vector = 0x30;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_not(vcpu->halted);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0x30);
}

/* The NMI is masked, so the vCPU stays halted for it; the interrupt ends that. */
Test(exit_entry, a_halted_vcpu_is_offered_an_interrupt_after_a_masked_nmi)
{
	stop.kind = PVM_EXIT_SYSCALL;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_HLT;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_HALT);
	vcpu->nmi_masked = true;
	waits = PVM_WAITS_NMI | PVM_WAITS_INTERRUPT;
	waiting_vector = 0x30;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_not(vcpu->halted);
	cr_assert(vcpu->nmi_pending);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0x30);
}

Test(exit_entry, a_host_without_a_controller_is_not_asked)
{
	f.host.ops.events = NULL;
	f.host.ops.event_taken = NULL;
	waits = PVM_WAITS_INTERRUPT;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(taken, 0);
}

Test(exit_entry, a_controller_that_cannot_be_told_is_refused)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_host_ops ops = f.host.ops;
	struct pvm_vm vm;

	ops.event_taken = NULL;
	cr_assert_eq(pvm_vm_init(&vm, &config, &ops, &f.host), PVM_EINVAL);
}

Test(exit_entry, a_root_table_outside_memory_is_a_shutdown)
{
	vcpu->cr3 = 1ull << 35;
	pvm_mmu_new_cr3(vcpu);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_CR3);
	cr_assert_eq(vcpu->request.shutdown.address, 1ull << 35);
}

/* spec-independent: M11 */
Test(exit_entry, m11_without_memory_the_guest_loses_nothing_and_goes_on_when_there_is_some)
{
	struct guest_snapshot before = guest_snapshot(vcpu);

	pvm_mmu_shrink(&f.vm, 0, PVM_MAY_SLEEP);
	f.host.allocs_left = 0;
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
	cr_assert_eq(vcpu->request.error.code, PVM_ENOMEM);
	guest_assert_unchanged(vcpu, &before);
	f.host.allocs_left = -1;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	guest_assert_unchanged(vcpu, &before);
}

Test(exit_entry, m11_a_fault_that_found_no_memory_is_tried_again)
{
	uint64_t rip;

	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	rip = vcpu->rip;
	pvm_mmu_shrink(&f.vm, 1, PVM_MAY_SLEEP);
	f.host.allocs_left = 0;
	stop.kind = PVM_EXIT_EXCEPTION;
	stop.vector = PVM_VEC_PF;
	stop.error_code = PVM_PF_U;
	stop.gva = pvm_gva(0x400000);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME, "shadow pages were given back");
	cr_assert_eq(vcpu->rip, rip);
}
