/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A PVCS that the host cannot pin, or give up, at the moment: that is never an error of the guest's. */
#include "late.h"

TestSuite(exit_late_pvcs, .init = late_boot);

/* What pin() answers instead of doing it; PVM_OK: it does. */
static int pin_answer;
static unsigned pin_refusals;
static int (*real_pin)(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa);

static int pin_or_not(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	if (pin_answer == PVM_OK)
		return real_pin(host, gfn, va, pa);
	pin_refusals++;
	return pin_answer;
}

static void refuse_pins(int answer)
{
	real_pin = f.host.ops.pin;
	f.host.ops.pin = pin_or_not;
	pin_answer = answer;
	pin_refusals = 0;
}

static void assert_is_pinned_now(void)
{
	pin_answer = PVM_OK;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->msr.vcpu_struct, PAGE);
	cr_assert_eq(vcpu->pvcs, f.host.memory + PAGE);
}

/* The two ways to write the MSR, with PAGE. */
static void stop_at_hypercall(void)
{
	vcpu->gpr[PVM_RAX] = PVM_HC_WRMSR;
	vcpu->gpr[PVM_RBX] = MSR_PVM_VCPU_STRUCT;
	vcpu->gpr[PVM_R10] = vcpu->gpr[PVM_RCX] = PAGE;
	vcpu->rip = CODE + PVM_SYSCALL_LENGTH;
	late_stopped(PVM_EXIT_SYSCALL, 0);
}

static void stop_at_wrmsr(void)
{
	vcpu->gpr[PVM_RCX] = MSR_PVM_VCPU_STRUCT;
	vcpu->gpr[PVM_RAX] = PAGE;
	vcpu->gpr[PVM_RDX] = 0;
	late_stopped(PVM_EXIT_INSN, PVM_VEC_GP);
	stop.insn = (struct pvm_insn){ .op = PVM_INSN_WRMSR, .length = 2 };
}

/* A host that pins only where it may sleep. */
static void write_by_sleeping(void (*stop_it)(void))
{
	struct guest_snapshot before;

	refuse_pins(PVM_EAGAIN);
	stop_it();
	before = guest_snapshot(vcpu);
	late_assert_needs_sleep();
	guest_assert_unchanged(vcpu, &before);
	cr_assert_eq(pin_refusals, 2);
	assert_is_pinned_now();
}

Test(exit_late_pvcs, S8_one_that_cannot_be_pinned_yet_is_waited_for_by_a_hypercall)
{
	write_by_sleeping(stop_at_hypercall);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
}

Test(exit_late_pvcs, S8_one_that_cannot_be_pinned_yet_is_waited_for_by_wrmsr)
{
	write_by_sleeping(stop_at_wrmsr);
	cr_assert_eq(vcpu->rip, CODE + 2);
}

/* The host hears of it when it has failed there often enough. */
static void write_without_memory(void (*stop_it)(void))
{
	struct guest_snapshot before;
	unsigned tries;

	refuse_pins(PVM_ENOMEM);
	stop_it();
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	before = guest_snapshot(vcpu);
	for (tries = 0; handle(PVM_MAY_SLEEP) == PVM_ACT_RESUME && tries < 64; tries++)
		stop_it();
	cr_assert_eq(vcpu->request.error.code, PVM_ENOMEM, "after %u tries", tries);
	stop_it();
	guest_assert_unchanged(vcpu, &before);
	assert_is_pinned_now();
}

Test(exit_late_pvcs, M11_no_memory_of_the_hosts_now_is_no_fault_of_a_hypercall)
{
	write_without_memory(stop_at_hypercall);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
}

Test(exit_late_pvcs, M11_no_memory_of_the_hosts_now_is_no_fault_of_wrmsr)
{
	write_without_memory(stop_at_wrmsr);
	cr_assert_eq(vcpu->rip, CODE + 2);
}

/* The host hears of memory that it has lost, and the guest comes to the same again. */
static void write_to_lost_memory(void (*stop_it)(void))
{
	uint64_t before;

	refuse_pins(PVM_EFAULT);
	stop_it();
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	before = vcpu->rip - (stop.kind == PVM_EXIT_SYSCALL ? PVM_SYSCALL_LENGTH : 0);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_ERROR);
	cr_assert_eq(vcpu->request.error.code, PVM_EFAULT);
	cr_assert_eq(vcpu->rip, before);
	cr_assert_eq(stop.kind, PVM_EXIT_KICK);
	stop_it();
	assert_is_pinned_now();
}

Test(exit_late_pvcs, M11_lost_memory_is_no_fault_of_a_hypercall)
{
	write_to_lost_memory(stop_at_hypercall);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
}

Test(exit_late_pvcs, M11_lost_memory_is_no_fault_of_wrmsr)
{
	write_to_lost_memory(stop_at_wrmsr);
	cr_assert_eq(vcpu->rip, CODE + 2);
}

/* unpin() may sleep. */
Test(exit_late_pvcs, S8_it_is_given_up_where_the_host_may_sleep)
{
	void *pvcs = vcpu->pvcs;

	cr_assert_not_null(pvcs);
	vcpu->gpr[PVM_RAX] = PVM_HC_WRMSR;
	vcpu->gpr[PVM_RBX] = MSR_PVM_VCPU_STRUCT;
	vcpu->gpr[PVM_R10] = vcpu->gpr[PVM_RCX] = 0;
	late_stopped(PVM_EXIT_SYSCALL, 0);
	cr_assert_eq(handle(PVM_NO_SLEEP), PVM_ACT_RETRY);
	cr_assert_eq(vcpu->pvcs, pvcs);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_null(vcpu->pvcs);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
}
