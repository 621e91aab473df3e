/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Event channels and waiting: who is told, when the guest is entered for it, what wakes whom. */
#include "abi/xen_pv/xen_pv.h"
#include "guest.h"

#include <string.h>

static struct pvm_vcpu *vcpu = &g.f.vcpu[0];

static void setup(void)
{
	xen_guest_init(2);
}

TestSuite(ports, .init = setup, .fini = xen_guest_fini);

static int64_t op(uint64_t what, uint32_t a, uint32_t b)
{
	uint32_t *words = xen_at(ARGUMENTS);

	words[0] = a;
	words[1] = b;
	return xen_call(PVM_XEN_EVENT_CHANNEL_OP, what, ARGUMENTS, 0, 0);
}

/* The port that such a call has made. */
static uint32_t bind_virq(uint32_t virq, uint32_t id)
{
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_BIND_VIRQ, virq, id), 0);
	return ((uint32_t *)xen_at(ARGUMENTS))[2];
}

static uint32_t bind_ipi(uint32_t id)
{
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_BIND_IPI, id, 0), 0);
	return ((uint32_t *)xen_at(ARGUMENTS))[1];
}

static uint32_t alloc_unbound(void)
{
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_ALLOC_UNBOUND, PVM_XEN_DOMID_SELF, 0), 0);
	return ((uint32_t *)xen_at(ARGUMENTS))[1];
}

static bool pending(uint32_t port)
{
	return xen_shared()->pending[port / 64] >> port % 64 & 1;
}

/* Is it the event callback that the kernel is at? With the rest as it was. */
static void assert_upcall(uint64_t rip)
{
	cr_expect_eq(vcpu->rip, EVENT_CALLBACK);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), rip);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
}

/* spec: XC-036, XC-039, XC-041 */
Test(ports, the_hosts_notification_enters_the_guest)
{
	int port = pvm_xen_alloc_port(&g.f.vm, 77, 0);
	uint64_t rip = vcpu->rip;

	cr_assert_gt(port, 0);
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(pvm_xen_notify(&g.f.vm, (uint32_t)port), PVM_OK);
	cr_expect(pending((uint32_t)port));
	cr_expect_eq(g.kicks[0], 1);
	cr_expect_eq(xen_vcpu_info(0)->pending_sel, 1ull << port / 64);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	assert_upcall(rip);
}

static unsigned naps;

static void teller_goes_on(void *host)
{
	(void)host;
	naps++;
	xen_vcpu(vcpu)->tellers = 0;
}

static void no_yield(void *host)
{
	(void)host;
	cr_assert_fail("one of a lower priority would never go on");
}

/* A thread that the host's scheduler has stopped in the middle, perhaps for who waits for it. */
Test(ports, M12_who_waits_for_a_teller_sleeps)
{
	g.f.host.ops.nap = teller_goes_on;
	g.f.host.ops.yield = no_yield;
	xen_vcpu(vcpu)->tellers = 1;
	pvm_pvcs_leave(vcpu);
	cr_expect_eq(naps, 1);
	cr_expect_null(xen_vcpu(vcpu)->info);
}

/* spec: XC-041 */
Test(ports, what_is_told_twice_kicks_once)
{
	int port = pvm_xen_alloc_port(&g.f.vm, 77, 0), other = pvm_xen_alloc_port(&g.f.vm, 78, 0);

	pvm_xen_notify(&g.f.vm, (uint32_t)port);
	pvm_xen_notify(&g.f.vm, (uint32_t)port);
	pvm_xen_notify(&g.f.vm, (uint32_t)other);
	cr_expect_eq(g.kicks[0], 1);
}

/* spec: XC-042 */
Test(ports, a_masked_port_waits_for_its_unmasking)
{
	uint32_t port = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 77, 0);
	uint64_t rip;

	xen_shared()->mask[port / 64] = 1ull << port % 64;
	xen_vcpu_info(0)->mask = 0;
	pvm_xen_notify(&g.f.vm, port);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_neq(vcpu->rip, EVENT_CALLBACK);
	rip = vcpu->rip;
	((uint32_t *)xen_at(ARGUMENTS))[0] = port;
	cr_assert_eq(xen_call_of(0, PVM_XEN_EVENT_CHANNEL_OP, PVM_XEN_EVTCHNOP_UNMASK, ARGUMENTS, 0, 0),
		     PVM_ACT_RESUME);
	assert_upcall(rip + PVM_SYSCALL_LENGTH);
	cr_expect_eq(xen_shared()->mask[port / 64], 0);
}

/* spec: XC-039 */
Test(ports, masked_events_come_when_they_are_open)
{
	uint32_t port = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 77, 0);

	pvm_xen_notify(&g.f.vm, port);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_neq(vcpu->rip, EVENT_CALLBACK);
	/* The guest opens them by a store and asks with any hypercall; here with iret to user mode. */
	xen_go_user(true);
	assert_upcall(USER);
	cr_expect_not(vcpu->user_mode);
	cr_expect_eq(vcpu->gpr[PVM_RSP], KERNEL_STACK - 7 * 8);
}

/* spec: XC-046 */
Test(ports, a_port_of_the_hosts_is_sent_to)
{
	uint32_t port = alloc_unbound();

	cr_expect_eq(op(PVM_XEN_EVTCHNOP_SEND, port, 0), 0);
	cr_expect_eq(g.notified, 0, "nobody is there yet");
	cr_assert_eq(pvm_xen_bind_port(&g.f.vm, port, 99), PVM_OK);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_SEND, port, 0), 0);
	cr_expect_eq(g.notified, 1);
	cr_expect_eq(g.notified_port, port);
	cr_expect_eq(g.notified_remote, 99);
	cr_expect_eq(pvm_xen_bind_port(&g.f.vm, port, 1), PVM_EINVAL, "it is bound");
	cr_expect_eq(pvm_xen_unbind_port(&g.f.vm, port), PVM_OK);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_SEND, port, 0), 0);
	cr_expect_eq(g.notified, 1);
	cr_expect_eq(pvm_xen_notify(&g.f.vm, port), PVM_EINVAL);
}

/* spec: XC-045, XC-049 */
Test(ports, an_interrupt_between_vcpus)
{
	uint32_t port = bind_ipi(1);

	cr_expect_eq(op(PVM_XEN_EVTCHNOP_SEND, port, 0), 0);
	cr_expect(pending(port));
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VCPU, port, 0), PVM_XEN_EINVAL, "it is vCPU 1's");
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_IPI, 7, 0), PVM_XEN_ENOENT);
}

/* spec: XC-044, XC-048 */
Test(ports, a_virtual_interrupt_has_one_port)
{
	uint32_t port = bind_virq(PVM_XEN_VIRQ_TIMER, 0);

	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VIRQ, PVM_XEN_VIRQ_TIMER, 0), PVM_XEN_EEXIST);
	cr_expect_neq(bind_virq(PVM_XEN_VIRQ_TIMER, 1), port);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VIRQ, 2, 1), PVM_XEN_EINVAL, "not one of each vCPU");
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VIRQ, PVM_XEN_VIRQS, 0), PVM_XEN_EINVAL);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_CLOSE, port, 0), 0);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_CLOSE, port, 0), PVM_XEN_EINVAL);
	cr_expect_eq(bind_virq(PVM_XEN_VIRQ_TIMER, 0), port);
}

/* spec: XC-050 */
Test(ports, the_state_of_a_port)
{
	uint32_t *words = xen_at(ARGUMENTS), port = bind_virq(1, 1);

	cr_assert_eq(op(PVM_XEN_EVTCHNOP_STATUS, PVM_XEN_DOMID_SELF, port), 0);
	cr_expect_eq(words[2], PVM_XEN_PORT_VIRQ);
	cr_expect_eq(words[3], 1);
	cr_expect_eq(words[4], 1);
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_STATUS, PVM_XEN_DOMID_SELF, port + 1), 0);
	cr_expect_eq(words[2], PVM_XEN_PORT_CLOSED);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_STATUS, PVM_XEN_DOMID_SELF, 1 << 20), PVM_XEN_EINVAL);
}

/* spec: XC-043 */
Test(ports, ports_run_out)
{
	unsigned count = 0;

	while (pvm_xen_alloc_port(&g.f.vm, 0, 0) > 0)
		count++;
	cr_expect_eq(count, PVM_XEN_PORTS_MAX - 1);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_ALLOC_UNBOUND, PVM_XEN_DOMID_SELF, 0), PVM_XEN_ENOSPC);
}

/* Linux stops at its start after another answer than that. */
/* spec: XC-047 */
Test(ports, a_store_of_its_own_is_not_there)
{
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_ALLOC_UNBOUND, PVM_XEN_DOMID_SELF | PVM_XEN_DOMID_SELF << 16, 0),
		     PVM_XEN_ENOSYS);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_ALLOC_UNBOUND, PVM_XEN_DOMID_SELF | 5 << 16, 0), PVM_XEN_EPERM);
}

/* spec: XC-016 */
Test(ports, hostile_numbers)
{
	static const uint32_t numbers[] = { 0, PVM_XEN_PORTS_MAX, 4096, ~0u };
	unsigned i, what;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (what = 0; what < 16; what++)
			cr_expect_lt(op(what == PVM_XEN_EVTCHNOP_ALLOC_UNBOUND ? PVM_XEN_EVTCHNOP_SEND : what,
					what == PVM_XEN_EVTCHNOP_BIND_IPI ? 0x10000 : numbers[i], ~0u), 0,
				     "operation %u of %#x", what, numbers[i]);
	cr_expect_eq(xen_call(PVM_XEN_EVENT_CHANNEL_OP, ~0ull, ARGUMENTS, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(PVM_XEN_EVENT_CHANNEL_OP, PVM_XEN_EVTCHNOP_SEND, 0x5000, 0, 0), PVM_XEN_EFAULT);
}

/* spec: XC-052 */
Test(ports, an_answer_that_cannot_be_written_binds_nothing)
{
	uint64_t at = KERNEL + KERNEL_SIZE - 8;		/* its third word is beyond what is mapped */

	((uint32_t *)xen_at(at))[0] = PVM_XEN_VIRQ_TIMER;
	((uint32_t *)xen_at(at))[1] = 0;
	cr_expect_eq(xen_call(PVM_XEN_EVENT_CHANNEL_OP, PVM_XEN_EVTCHNOP_BIND_VIRQ, at, 0, 0),
		     PVM_XEN_EFAULT);
	bind_virq(PVM_XEN_VIRQ_TIMER, 0);
}

/* ------------------------------------------------------------------------
 * Waiting.
 */

/* spec: XC-093 */
Test(ports, block_opens_events_and_waits)
{
	uint32_t port = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 1, 0);
	uint64_t rip = vcpu->rip;

	cr_assert_eq(xen_call_of(0, PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_BLOCK, 0, 0, 0), PVM_ACT_HALT);
	cr_expect_eq(xen_vcpu_info(0)->mask, 0);
	cr_assert_eq(xen_enter(0), PVM_ACT_HALT, "nothing has come");
	pvm_xen_notify(&g.f.vm, port);
	cr_expect_eq(g.kicks[0], 1);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	assert_upcall(rip + PVM_SYSCALL_LENGTH);
	cr_expect_eq(vcpu->gpr[PVM_RAX], 0);
}

/* spec: XC-093 */
Test(ports, block_with_something_pending_does_not_wait)
{
	pvm_xen_notify(&g.f.vm, (uint32_t)pvm_xen_alloc_port(&g.f.vm, 1, 0));
	cr_assert_eq(xen_call_of(0, PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_BLOCK, 0, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, EVENT_CALLBACK);
}

static enum pvm_action poll(uint32_t count, const uint32_t *ports, uint64_t timeout)
{
	struct pvm_xen_poll request = { .ports = ARGUMENTS + 0x100, .count = count, .timeout = timeout };

	memcpy(xen_at(ARGUMENTS), &request, sizeof(request));
	if (count < 16)
		memcpy(xen_at(ARGUMENTS + 0x100), ports, count * sizeof(ports[0]));
	return xen_call_of(0, PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_POLL, ARGUMENTS, 0, 0);
}

/* spec: XC-094 */
Test(ports, poll_wakes_for_a_masked_port)
{
	uint32_t port = bind_ipi(0), other = bind_ipi(0);

	xen_shared()->mask[0] = ~0ull;
	cr_assert_eq(poll(1, &port, 0), PVM_ACT_HALT);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1, "events stay masked");
	pvm_xen_notify(&g.f.vm, other);		/* not the host's */
	cr_assert_eq(xen_enter(0), PVM_ACT_HALT);
	/* vCPU 1 sends it. */
	g.f.vcpu[1].cr3 = g.kernel_table;
	((uint32_t *)xen_at(ARGUMENTS))[0] = port;
	xen_shared()->pending[0] = 0;
	g.f.vcpu[1].rip = KERNEL;
	xen_call_of(1, PVM_XEN_EVENT_CHANNEL_OP, PVM_XEN_EVTCHNOP_SEND, ARGUMENTS, 0, 0);
	cr_expect_eq(g.kicks[0], 1);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->gpr[PVM_RAX], 0);
	cr_expect_neq(vcpu->rip, EVENT_CALLBACK);
}

/* spec: XC-094 */
Test(ports, poll_ends_by_its_timeout)
{
	uint32_t port = bind_ipi(0);

	cr_assert_eq(poll(1, &port, 5000), PVM_ACT_HALT);
	cr_expect_eq(g.deadline, 5000);
	pvm_xen_timer(vcpu);
	cr_assert_eq(xen_enter(0), PVM_ACT_HALT, "too early");
	g.now = 5000;
	pvm_xen_timer(vcpu);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
}

/* spec: XC-094 */
Test(ports, poll_of_what_is_pending_returns)
{
	uint32_t ports[2] = { bind_ipi(0), bind_ipi(0) };

	xen_shared()->pending[0] = 1ull << ports[1];
	cr_expect_eq(poll(2, ports, 0), PVM_ACT_RESUME);
	cr_expect_eq(poll(129, ports, 0), PVM_ACT_RESUME);
	cr_expect_eq((int64_t)vcpu->gpr[PVM_RAX], PVM_XEN_EINVAL);
}

/* spec: XC-055 */
Test(ports, the_timer_is_a_virtual_interrupt)
{
	uint32_t port = bind_virq(PVM_XEN_VIRQ_TIMER, 0);
	struct {
		uint64_t ns;
		uint32_t flags;
	} timer = { 9000, 0 };

	memcpy(xen_at(ARGUMENTS), &timer, sizeof(timer));
	cr_assert_eq(xen_call(PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_SET_SINGLESHOT_TIMER, 0, ARGUMENTS, 0), 0);
	cr_expect_eq(g.deadline, 9000);
	g.now = 9001;
	pvm_xen_timer(vcpu);
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect(pending(port));
	cr_expect_eq(vcpu->rip, EVENT_CALLBACK);
	cr_expect_eq(g.deadline, PVM_NO_DEADLINE);
}

/* spec: XC-055 */
Test(ports, a_deadline_that_must_not_have_passed)
{
	struct {
		uint64_t ns;
		uint32_t flags;
	} timer = { 500, PVM_XEN_SSHOTTMR_FUTURE };

	memcpy(xen_at(ARGUMENTS), &timer, sizeof(timer));
	cr_expect_eq(xen_call(PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_SET_SINGLESHOT_TIMER, 0, ARGUMENTS, 0),
		     PVM_XEN_ETIME);
	cr_expect_eq(xen_call(PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_SET_SINGLESHOT_TIMER, 1, ARGUMENTS, 0),
		     PVM_XEN_EINVAL, "only its own");
}

/* spec: XC-095 */
Test(ports, a_guest_ends_itself)
{
	*(uint32_t *)xen_at(ARGUMENTS) = PVM_XEN_SHUTDOWN_REBOOT;
	cr_assert_eq(xen_call_of(0, PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_SHUTDOWN, ARGUMENTS, 0, 0),
		     PVM_ACT_SYSTEM_EVENT);
	cr_expect_eq(vcpu->request.system_event.reason, PVM_XEN_SHUTDOWN_REBOOT);
	*(uint32_t *)xen_at(ARGUMENTS) = 99;
	cr_expect_eq(xen_call(PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_SHUTDOWN, ARGUMENTS, 0, 0), PVM_XEN_EINVAL);
}

/* spec: XC-040 */
Test(ports, a_store_opens_events_and_any_call_has_them_come)
{
	uint64_t rip = vcpu->rip;

	pvm_xen_notify(&g.f.vm, (uint32_t)pvm_xen_alloc_port(&g.f.vm, 77, 0));
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(xen_call_of(0, PVM_XEN_XEN_VERSION, 0, 0, 0, 0), PVM_ACT_RESUME);
	assert_upcall(rip + PVM_SYSCALL_LENGTH);
	cr_expect_eq(vcpu->gpr[PVM_RAX], PVM_XEN_VERSION);
}

/* spec: XC-039 */
Test(ports, the_mask_counts_in_user_mode)
{
	xen_go_user(false);
	pvm_xen_notify(&g.f.vm, (uint32_t)pvm_xen_alloc_port(&g.f.vm, 77, 0));
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, USER);
	cr_expect(vcpu->user_mode);
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	assert_upcall(USER);
}

/* spec: XC-108 */
Test(ports, operations_that_there_are_not)
{
	static const uint32_t none[] = { PVM_XEN_EVTCHNOP_BIND_INTERDOMAIN, PVM_XEN_EVTCHNOP_BIND_PIRQ,
					 10, 11, 12, 13 };
	unsigned i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_expect_eq(op(none[i], 0, 0), PVM_XEN_ENOSYS, "%u", none[i]);
}

/* spec: XC-047, XC-050, XC-051 */
Test(ports, other_domains_and_vcpus_that_are_not_there)
{
	uint32_t port = alloc_unbound();

	cr_expect_eq(op(PVM_XEN_EVTCHNOP_ALLOC_UNBOUND, 5, 0), PVM_XEN_ESRCH);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_STATUS, 5, port), PVM_XEN_ESRCH);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_STATUS, PVM_XEN_DOMID_SELF, 0), PVM_XEN_EINVAL);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_STATUS, PVM_XEN_DOMID_SELF, PVM_XEN_PORTS_MAX), PVM_XEN_EINVAL);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VIRQ, PVM_XEN_VIRQ_TIMER, 2), PVM_XEN_ENOENT);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_IPI, 2, 0), PVM_XEN_ENOENT);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VCPU, port, 2), PVM_XEN_ENOENT);
}

/* spec: XC-048, XC-051 */
Test(ports, a_closed_port_is_no_port)
{
	uint32_t port = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 77, 0);
	uint32_t timer = bind_virq(PVM_XEN_VIRQ_TIMER, 0);

	pvm_xen_notify(&g.f.vm, port);
	cr_assert(pending(port));
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_CLOSE, port, 0), 0);
	cr_expect_not(pending(port));
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_SEND, port, 0), PVM_XEN_EINVAL);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_UNMASK, port, 0), PVM_XEN_EINVAL);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_CLOSE, port, 0), PVM_XEN_EINVAL);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VCPU, port, 0), PVM_XEN_EINVAL);
	cr_expect_eq(pvm_xen_notify(&g.f.vm, port), PVM_EINVAL);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_SEND, timer, 0), PVM_XEN_EINVAL, "the timer's");
}

/* Of the VM: 2 is the console's. */
/* spec: XC-049 */
Test(ports, ports_that_may_tell_another_vcpu)
{
	uint32_t port = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 77, 0), *words = xen_at(ARGUMENTS);
	uint32_t timer = bind_virq(PVM_XEN_VIRQ_TIMER, 0), whole = bind_virq(2, 0);

	cr_assert_eq(op(PVM_XEN_EVTCHNOP_BIND_VCPU, port, 1), 0);
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_STATUS, PVM_XEN_DOMID_SELF, port), 0);
	cr_expect_eq(words[3], 1);
	pvm_xen_notify(&g.f.vm, port);
	cr_expect(pending(port));
	cr_expect_eq(xen_vcpu_info(0)->pending, 0, "it is not vCPU 0's any more");
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_BIND_VCPU, whole, 1), 0);
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_STATUS, PVM_XEN_DOMID_SELF, whole), 0);
	cr_expect_eq(words[3], 1);
	cr_expect_eq(op(PVM_XEN_EVTCHNOP_BIND_VCPU, timer, 1), PVM_XEN_EINVAL);
}

/* spec: XC-048 */
Test(ports, a_virtual_interrupt_that_was_moved_and_closed_can_be_bound_again)
{
	uint32_t whole = bind_virq(2, 0);

	cr_assert_eq(op(PVM_XEN_EVTCHNOP_BIND_VCPU, whole, 1), 0);
	cr_assert_eq(op(PVM_XEN_EVTCHNOP_CLOSE, whole, 0), 0);
	cr_expect(bind_virq(2, 0));
}

/* spec: XC-055 */
Test(ports, a_deadline_that_has_passed_is_due_at_once)
{
	uint32_t port = bind_virq(PVM_XEN_VIRQ_TIMER, 0);
	struct {
		uint64_t ns;
		uint32_t flags;
	} timer = { 500, 0 };

	memcpy(xen_at(ARGUMENTS), &timer, sizeof(timer));
	cr_assert_eq(xen_call(PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_SET_SINGLESHOT_TIMER, 0, ARGUMENTS, 0), 0);
	cr_expect_eq(g.deadline, 500, "of 1000");
	pvm_xen_timer(vcpu);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect(pending(port));
	cr_expect_eq(g.deadline, PVM_NO_DEADLINE, "once");
}

/* spec: XC-056 */
Test(ports, deadlines_that_are_taken_away)
{
	cr_assert_eq(xen_call(PVM_XEN_SET_TIMER_OP, 9000, 0, 0, 0), 0);
	cr_expect_eq(g.deadline, 9000);
	cr_assert_eq(xen_call(PVM_XEN_SET_TIMER_OP, 0, 0, 0, 0), 0);
	cr_expect_eq(g.deadline, PVM_NO_DEADLINE);
	cr_assert_eq(xen_call(PVM_XEN_SET_TIMER_OP, 9000, 0, 0, 0), 0);
	cr_assert_eq(xen_call(PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_STOP_SINGLESHOT_TIMER, 0, 0, 0), 0);
	cr_expect_eq(g.deadline, PVM_NO_DEADLINE);
}

/* spec: XC-095 */
Test(ports, other_ways_to_wait_there_are_not)
{
	cr_expect_eq(xen_call(PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_YIELD, 0, 0, 0), 0);
	cr_expect_eq(xen_call(PVM_XEN_SCHED_OP, 4, ARGUMENTS, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(PVM_XEN_SCHED_OP, ~0ull, ARGUMENTS, 0, 0), PVM_XEN_ENOSYS);
}
