/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_event_deliver() for the places where an event's instructions are counted: inlined. */
#ifndef PVM_EVENTS_DELIVER_H
#define PVM_EVENTS_DELIVER_H

#include <pvm/events.h>

#include "abi/abi.h"
#include "internal.h"

/* For an ABI's deliver(), which has changed nothing: it cannot without sleeping. */
enum pvm_action pvm_event_keep(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code);

static inline enum pvm_action pvm_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	if (pvm_unlikely(vector == PVM_VEC_DF))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_DOUBLE_FAULT, vector, vcpu->rip);

	pvm_trace_vcpu(vcpu, PVM_TRACE_EVENT, vector, error_code, vcpu->user_mode, vcpu->rip);
	return vcpu->vm->abi->deliver(vcpu, vector, error_code);
}

#endif /* PVM_EVENTS_DELIVER_H */
