/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guest memory that the engine cannot touch now, but could after the host has slept: it is
 * swapped out, not writable yet, or the host is just changing what backs it. What finds it
 * so stops with nothing changed and answers that it would have to sleep; pvm_late_fetch()
 * then has the host bring the frame, and all is tried again. late.c
 */
#ifndef MMU_LATE_H
#define MMU_LATE_H

#include <pvm/mmu.h>

/* So often an exit is tried again before the host gets it back. */
#define LATE_TRIES 32

/*
 * Inside (lock.h) or with the MMU lock, after gfn_to_va() said NULL: true: not now; the frame
 * is noted for pvm_late_fetch(). False: there is no memory, or none that may be written, or
 * it can be mapped but not touched by the engine, as a device's.
 */
bool pvm_is_late(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write);

/* The same for a frame that pin() cannot pin without sleeping. */
void pvm_late_note(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write);

/* Without the lock; sleeps. Have the host bring what was noted last. PVM_OK: try again, also where the host
 * has no memory there any more. PVM_EAGAIN: nothing was noted, or the host does not want to wait
 * for it. PVM_EFAULT, PVM_ENOMEM: the host cannot. */
int pvm_late_fetch(struct pvm_vcpu *vcpu);

#endif /* MMU_LATE_H */
