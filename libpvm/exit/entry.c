/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Before the guest runs again: events that the host has for it, the root of its mode,
 * and memory for both. Decides nothing about an event but when it is offered.
 *
 * spec: PVCS::event_flags, NMI shadow mask, Paging
 */
#include <pvm/events.h>
#include <pvm/mmu.h>

#include "abi/abi.h"
#include "exit/parts.h"
#include "internal.h"

#define STARVED_MAX	16	/* failed allocations at one place before the host hears of it */

static enum pvm_action offer_nmi(struct pvm_vcpu *vcpu)
{
	const struct pvm_vm *vm = vcpu->vm;

	vm->ops->event_taken(vm->host, vcpu, PVM_WAITS_NMI, PVM_VEC_NMI);
	return pvm_event_nmi(vcpu);
}

static enum pvm_action offer_interrupt(struct pvm_vcpu *vcpu, uint8_t vector)
{
	const struct pvm_vm *vm = vcpu->vm;
	bool delivered;
	enum pvm_action action = pvm_event_interrupt(vcpu, vector, &delivered);

	if (delivered)
		vm->ops->event_taken(vm->host, vcpu, PVM_WAITS_INTERRUPT, vector);
	return action;
}

/* NMIs first: the interrupt that waits as well is then remembered for the guest. */
static PVM_NOINLINE enum pvm_action offer(struct pvm_vcpu *vcpu, uint32_t waits, uint8_t vector)
{
	enum pvm_action action = PVM_ACT_RESUME;

	if (waits & PVM_WAITS_NMI)
		action = offer_nmi(vcpu);
	if ((waits & PVM_WAITS_INTERRUPT) && (action == PVM_ACT_RESUME || action == PVM_ACT_HALT))
		action = offer_interrupt(vcpu, vector);
	return action;
}

enum pvm_action pvm_entry_events(struct pvm_vcpu *vcpu)
{
	const struct pvm_vm *vm = vcpu->vm;
	enum pvm_action action = PVM_ACT_RESUME;
	uint8_t vector = 0;
	uint32_t waits;

	if (vm->ops->events) {
		waits = vm->ops->events(vm->host, vcpu, &vector);
		if (pvm_unlikely(waits))
			action = offer(vcpu, waits, vector);
	}
	if (pvm_unlikely(vm->abi->entry) && (action == PVM_ACT_RESUME || action == PVM_ACT_HALT))
		return vm->abi->entry(vcpu);
	return action;
}

enum pvm_action pvm_entry_root(struct pvm_vcpu *vcpu, pvm_hpa_t *root, enum pvm_sleep sleep)
{
	int rc = pvm_mmu_load(vcpu, root, sleep);

	if (pvm_likely(rc == PVM_OK))
		return PVM_ACT_RESUME;
	if (rc == PVM_EFAULT)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_CR3, PVM_NO_VECTOR, vcpu->cr3);
	if (rc == PVM_EAGAIN)
		return PVM_ACT_RETRY;
	vcpu->request.error.code = rc;
	return PVM_ACT_ERROR;
}

/* A limit that cannot hold what one instruction needs shows as failing at the same
 * place again and again. */
bool pvm_entry_reclaim(struct pvm_vcpu *vcpu)
{
	struct pvm_mmu_stats stats;

	vcpu->starved = vcpu->starved_rip == vcpu->rip ? vcpu->starved + 1 : 1;
	vcpu->starved_rip = vcpu->rip;
	if (vcpu->starved > STARVED_MAX) {
		vcpu->request.error.code = PVM_ENOMEM;
		return false;
	}
	pvm_mmu_get_stats(vcpu->vm, &stats);
	pvm_mmu_shrink(vcpu->vm, vcpu->starved > 1 ? 0 : stats.shadow_pages / 2, PVM_MAY_SLEEP);
	return true;
}
