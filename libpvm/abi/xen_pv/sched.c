/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * sched_op: a vCPU waits, or the guest ends. What it waits for is in struct xen_vcpu; whether
 * that has come is looked at before each entry (upcall.c), so nothing is lost that comes between.
 */
#include "abi/xen_pv/xen_pv.h"

#define POLL_MAX	128	/* ports */

/* The call is done when the guest goes on. */
static enum xen_step wait(struct xen_call *call, uint32_t what)
{
	struct pvm_vcpu *vcpu = call->vcpu;

	__atomic_store_n(&xen_vcpu(vcpu)->wait, what, __ATOMIC_SEQ_CST);
	pvm_xen_set_runstate(vcpu, PVM_XEN_RUNSTATE_BLOCKED);
	vcpu->gpr[PVM_RAX] = 0;
	vcpu->halted = true;
	call->action = PVM_ACT_HALT;
	return XEN_ACTION;
}

static enum xen_step block(struct xen_call *call)
{
	xen_set_mask(call->vcpu, false);
	return wait(call, XEN_WAIT_EVENT);
}

static enum xen_step poll(struct xen_call *call)
{
	struct xen_vcpu *xen = xen_vcpu(call->vcpu);
	struct pvm_xen_poll poll;
	enum xen_step step;
	uint32_t port = 0, i;
	bool failed, pending = false;

	step = pvm_xen_read(call, call->arg[1], &poll, sizeof(poll), &failed);
	if (failed)
		return step;
	if (poll.count > POLL_MAX)
		return xen_done(call, PVM_XEN_EINVAL);
	/* From here on a port that is raised wakes the vCPU; what was raised before is seen below. */
	PVM_WRITE_ONCE(xen->poll_count, 0);
	__atomic_store_n(&xen->woken, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&xen->wait, XEN_WAIT_PORT, __ATOMIC_SEQ_CST);
	for (i = 0; i < poll.count && !pending; i++) {
		step = pvm_xen_read(call, poll.ports + i * sizeof(port), &port, sizeof(port), &failed);
		if (failed)
			break;
		pending = pvm_xen_port_is_pending(call->vcpu->vm, port);
	}
	if ((poll.count && failed) || pending) {
		__atomic_store_n(&xen->wait, XEN_WAIT_NOTHING, __ATOMIC_SEQ_CST);
		return pending ? xen_done(call, 0) : step;
	}
	PVM_WRITE_ONCE(xen->poll_port, port);
	__atomic_store_n(&xen->poll_count, poll.count, __ATOMIC_SEQ_CST);
	pvm_xen_set_deadline(call->vcpu, XEN_DEADLINE_POLL, poll.timeout ? poll.timeout : PVM_NO_DEADLINE);
	return wait(call, XEN_WAIT_PORT);
}

const char *pvm_xen_shutdown_name(uint32_t reason)
{
	static const char *const names[] = {
		[PVM_XEN_SHUTDOWN_POWEROFF] = "power off",
		[PVM_XEN_SHUTDOWN_REBOOT] = "reboot",
		[PVM_XEN_SHUTDOWN_SUSPEND] = "suspend",
		[PVM_XEN_SHUTDOWN_CRASH] = "crash",
		[PVM_XEN_SHUTDOWN_WATCHDOG] = "watchdog",
		[PVM_XEN_SHUTDOWN_SOFT_RESET] = "soft reset",
	};

	return reason <= PVM_XEN_SHUTDOWN_SOFT_RESET ? names[reason] : "unknown";
}

static enum xen_step end(struct xen_call *call)
{
	struct pvm_vcpu *vcpu = call->vcpu;
	enum xen_step step;
	uint32_t reason;
	bool failed;

	step = pvm_xen_read(call, call->arg[1], &reason, sizeof(reason), &failed);
	if (failed)
		return step;
	if (reason > PVM_XEN_SHUTDOWN_SOFT_RESET)
		return xen_done(call, PVM_XEN_EINVAL);
	vcpu->gpr[PVM_RAX] = 0;
	vcpu->request.system_event.reason = reason;
	call->action = PVM_ACT_SYSTEM_EVENT;
	return XEN_ACTION;
}

enum xen_step pvm_xen_sched_op(struct xen_call *call)
{
	switch (call->arg[0]) {
	case PVM_XEN_SCHEDOP_YIELD:
		return xen_done(call, 0);
	case PVM_XEN_SCHEDOP_BLOCK:
		return block(call);
	case PVM_XEN_SCHEDOP_SHUTDOWN:
		return end(call);
	case PVM_XEN_SCHEDOP_POLL:
		return poll(call);
	}
	return xen_done(call, PVM_XEN_ENOSYS);
}
