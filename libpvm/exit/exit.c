/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The way of one exit: which engine call it is, and what follows until the guest can
 * run again. Owns the order; each part is somewhere else. Everything in a guest's
 * registers and memory is untrusted here.
 *
 * spec: Events and Mode Changing, X86 Instructions with changed behavior
 */
#include <pvm/events.h>
#include <pvm/mmu.h>

#include "exit/parts.h"
#include "internal.h"
#include "mmu/late.h"

static enum pvm_action error(struct pvm_vcpu *vcpu, int code)
{
	vcpu->request.error.code = code;
	return PVM_ACT_ERROR;
}

static enum pvm_action exception(struct pvm_vcpu *vcpu, const struct pvm_guest_exit *exit,
				 enum pvm_sleep sleep)
{
	uint32_t error_code = exit->error_code;
	uint8_t vector = exit->vector;

	switch (vector) {
	case PVM_VEC_PF:
		return pvm_handle_page_fault(vcpu, exit->gva, error_code, sleep);
	case PVM_VEC_GP:
	case PVM_VEC_UD:
		return pvm_exit_trapped(vcpu, vector, error_code);
	case PVM_VEC_DB:
		return pvm_event_debug(vcpu, vcpu->dr6);
	}
	if (vector >= PVM_VEC_EXCEPTIONS)
		return error(vcpu, PVM_EINVAL);
	return pvm_event_deliver(vcpu, vector, error_code);
}

/* What stopped the guest is handled, but for the event that it led to, and an NMI that came
 * while that was kept. */
static PVM_NOINLINE enum pvm_action deliver_kept(struct pvm_vcpu *vcpu)
{
	enum pvm_action action;

	vcpu->kept_event.waits = false;
	vcpu->io_late = false;		/* a snapshot's event: what waited before is not this state's */
	action = pvm_event_deliver(vcpu, vcpu->kept_event.vector, vcpu->kept_event.error_code);
	if (action == PVM_ACT_RESUME && vcpu->nmi_pending && !vcpu->nmi_masked)
		return pvm_event_nmi(vcpu);
	return action;
}

/* What a port has answered is stored now; unless the vCPU is somewhere else by now. */
static enum pvm_action finish_io(struct pvm_vcpu *vcpu)
{
	if (!vcpu->io_late)
		return error(vcpu, PVM_EINVAL);
	vcpu->io_late = false;
	if (vcpu->rip != vcpu->io_late_rip)
		return PVM_ACT_RESUME;
	return pvm_complete_io(vcpu, vcpu->request.io.value);
}

/* The one engine call for what stopped the guest. */
static enum pvm_action handle(struct pvm_vcpu *vcpu, const struct pvm_guest_exit *exit,
			      enum pvm_sleep sleep)
{
	if (pvm_unlikely(vcpu->kept_event.waits))
		return deliver_kept(vcpu);
	switch (exit->kind) {
	case PVM_EXIT_KICK:
	case PVM_EXIT_INTERRUPT:
		return PVM_ACT_RESUME;
	case PVM_EXIT_SYSCALL:
		return pvm_handle_syscall(vcpu);
	case PVM_EXIT_SYSCALL32:
		if (exit->insn.op == PVM_INSN_UNKNOWN)
			return pvm_exit_trapped(vcpu, PVM_VEC_GP, 0);
		return pvm_handle_insn(vcpu, &exit->insn, PVM_VEC_GP, 0);
	case PVM_EXIT_EXCEPTION:
		return exception(vcpu, exit, sleep);
	case PVM_EXIT_SOFTWARE:
		return pvm_exit_software(vcpu, exit->vector);
	case PVM_EXIT_INSN:
		return pvm_handle_insn(vcpu, &exit->insn, exit->vector, exit->error_code);
	case PVM_EXIT_ACTION:
		/* Of the completions only this one has anything left to do then. */
		return exit->action == PVM_ACT_RETRY ? finish_io(vcpu) : exit->action;
	case PVM_EXIT_DEAD:
	case PVM_EXIT_FAILED:
	case PVM_EXIT_KINDS:
		break;
	}
	return error(vcpu, PVM_EINVAL);
}

/* M11: the guest has lost nothing, and tries again with fewer shadow pages. */
static enum pvm_action retry_with_memory(struct pvm_vcpu *vcpu, enum pvm_sleep sleep)
{
	if (sleep == PVM_NO_SLEEP)
		return PVM_ACT_RETRY;
	return pvm_entry_reclaim(vcpu) ? PVM_ACT_RESUME : PVM_ACT_ERROR;
}

static bool is_out_of_memory(const struct pvm_vcpu *vcpu, enum pvm_action action)
{
	return action == PVM_ACT_ERROR && vcpu->request.error.code == PVM_ENOMEM;
}

/* The exit is handled: what has come meanwhile, and where to run. */
static enum pvm_action prepare(struct pvm_vcpu *vcpu, pvm_hpa_t *root, enum pvm_sleep sleep)
{
	enum pvm_action action = pvm_entry_events(vcpu);

	if (action != PVM_ACT_RESUME)
		return action;
	if (vcpu->halted)
		return PVM_ACT_HALT;
	do {
		action = pvm_entry_root(vcpu, root, sleep);
		if (!is_out_of_memory(vcpu, action))
			return action;
		action = retry_with_memory(vcpu, sleep);
	} while (action == PVM_ACT_RESUME);
	return action;
}

/*
 * The guest is as it was before what stopped it, so that its state is whole and it comes to the same again.
 * An event that could not be delivered is kept. What is half done and not the guest's to repeat
 * stays: a port has answered (io_late); an INTO whose own byte cannot be read.
 */
static PVM_NOINLINE void put_back(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	if (!vcpu->kept_event.waits) {
		if (vcpu->io_late || exit->kind == PVM_EXIT_SOFTWARE)
			return;
		if (exit->kind == PVM_EXIT_SYSCALL)
			vcpu->rip -= PVM_SYSCALL_LENGTH;
	}
	exit->kind = PVM_EXIT_KICK;
}

static bool is_the_hosts_memory(const struct pvm_vcpu *vcpu, enum pvm_action action)
{
	return action == PVM_ACT_ERROR && (vcpu->request.error.code == PVM_ENOMEM ||
					   vcpu->request.error.code == PVM_EFAULT);
}

static inline enum pvm_action attempt(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit,
				      pvm_hpa_t *root, enum pvm_sleep sleep)
{
	enum pvm_action action = handle(vcpu, exit, sleep);

	if (pvm_unlikely(is_the_hosts_memory(vcpu, action))) {
		if (is_out_of_memory(vcpu, action))
			action = retry_with_memory(vcpu, sleep);
		if (action != PVM_ACT_RETRY)
			put_back(vcpu, exit);
	} else if (action != PVM_ACT_RETRY) {
		exit->kind = PVM_EXIT_KICK;
	}
	if (action != PVM_ACT_RESUME && action != PVM_ACT_HALT)
		return action;
	return prepare(vcpu, root, sleep);
}

enum pvm_action pvm_handle_exit(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit,
				pvm_hpa_t *root, enum pvm_sleep sleep)
{
	enum pvm_action action;
	unsigned tries;

	vcpu->mmu.is_late = false;	/* of what was noted before, nothing is waited for */
	vcpu->brief = sleep == PVM_NO_SLEEP;	/* M12: its caller may have interrupts off */
	action = attempt(vcpu, exit, root, sleep);
	vcpu->brief = false;

	/* Where memory was late it is waited for here, with nothing held. */
	for (tries = 0; pvm_unlikely(action == PVM_ACT_RETRY) && sleep != PVM_NO_SLEEP; tries++) {
		int rc = tries < LATE_TRIES ? pvm_late_fetch(vcpu) : PVM_EAGAIN;

		if (rc != PVM_OK)
			put_back(vcpu, exit);
		if (rc == PVM_EAGAIN)
			break;
		action = rc == PVM_OK ? attempt(vcpu, exit, root, sleep) : error(vcpu, rc);
	}
	return action;
}
