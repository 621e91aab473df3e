/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Going on at RIP: the last check before a guest runs at an address that is
 * not one of its entry points. A SYSCALL or an emulated instruction at the very
 * end of the lower half leaves RIP after that end, and a CPU that returns
 * there faults in the host (S1).
 */
#ifndef PVM_EVENTS_RESUME_H
#define PVM_EVENTS_RESUME_H

#include <pvm/events.h>

#include "internal.h"

/* S1: canonical for the guest's paging depth and for the host's. What 48 bits
 * allow is so whatever the depths are. */
static inline bool pvm_rip_runnable(const struct pvm_vcpu *vcpu, uint64_t rip)
{
	if (pvm_likely(rip + (1ull << 47) < 1ull << 48))
		return true;
	return pvm_canonical(vcpu, rip) && pvm_semi_canonical(vcpu, rip) == rip;
}

/* Resume at vcpu->rip; #GP there, as for any fetch, where no fetch is possible. */
static inline enum pvm_action pvm_event_resume(struct pvm_vcpu *vcpu)
{
	if (pvm_likely(pvm_rip_runnable(vcpu, vcpu->rip)))
		return PVM_ACT_RESUME;
	return pvm_event_gp(vcpu, 0);
}

#endif /* PVM_EVENTS_RESUME_H */
