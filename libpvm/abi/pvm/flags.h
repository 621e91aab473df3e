/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The interrupt flag and what waits for it, for every dialect of PVM: bits of
 * PVCS::event_flags. PVM_DEFINE_FLAGS(prefix, layout) makes the four operations.
 *
 * spec: PVCS::event_flags
 */
#ifndef PVM_ABI_PVM_FLAGS_H
#define PVM_ABI_PVM_FLAGS_H

#include "abi/pvm/layout.h"

#define PVM_DEFINE_FLAGS(prefix, layout)						\
bool prefix##_interrupt_flag(const struct pvm_vcpu *vcpu)				\
{											\
	return pvm_pvcs_flags(vcpu, layout) & PVM_EVENT_FLAGS_IF;			\
}											\
											\
void prefix##_set_interrupt_flag(struct pvm_vcpu *vcpu, bool enabled)			\
{											\
	pvm_pvcs_change_flags(vcpu, layout, PVM_EVENT_FLAGS_IF,				\
			      enabled ? PVM_EVENT_FLAGS_IF : 0);			\
}											\
											\
void prefix##_set_interrupt_waits(struct pvm_vcpu *vcpu, bool waits)			\
{											\
	pvm_pvcs_change_flags(vcpu, layout, PVM_EVENT_FLAGS_IP,				\
			      waits ? PVM_EVENT_FLAGS_IP : 0);				\
}											\
											\
const volatile uint64_t *prefix##_interrupt_waits(const struct pvm_vcpu *vcpu, uint64_t *bit)	\
{											\
	*bit = PVM_EVENT_FLAGS_IP;							\
	return vcpu->pvcs ? &PVM_PVCS_FIELD(vcpu, uint64_t, (layout)->event_flags) : NULL;	\
}

#endif /* PVM_ABI_PVM_FLAGS_H */
