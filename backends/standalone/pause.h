/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * vCPUs that stand still: while the process stops, and while its guest is saved. The former wants them out of
 * the guest, the latter out of everything: no exit is half done then.
 */
#ifndef STANDALONE_PAUSE_H
#define STANDALONE_PAUSE_H

#include "monitor.h"

/*
 * A vCPU's thread, around each run of the guest. pause_may_enter(): false, if it is not to be entered now:
 * the VM is over, or pause_wait() waits until that is so, or it may go on. pause_enter() does both; false:
 * the VM is over.
 */
bool pause_may_enter(struct monitor_vcpu *vcpu);
void pause_wait(struct monitor_vcpu *vcpu);
bool pause_enter(struct monitor_vcpu *vcpu);
void pause_leave(struct monitor_vcpu *vcpu);

/*
 * Any thread: no vCPU is to enter the guest until pause_end(). May be asked for by several. pause_begin()
 * also waits until none is inside, @ns at most: one that is then waits for the host, or for who reads the
 * trace, and runs no guest code.
 */
void pause_begin(struct monitor_vm *vm, uint64_t ns);
void pause_end(struct monitor_vm *vm);

/* After pause_begin(): wait until each vCPU is in pause_wait(), @ns at most. The first that is not, or NULL;
 * the VM may be over then. */
struct monitor_vcpu *pause_complete(struct monitor_vm *vm, uint64_t ns);

/* The VM is over: all who wait here look at that. */
void pause_over(struct monitor_vm *vm);

#endif /* STANDALONE_PAUSE_H */
