/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The vCPU threads: exit, one engine call, action, resume. */
#ifndef STANDALONE_RUN_H
#define STANDALONE_RUN_H

#include "monitor.h"

/* Body of a vCPU's thread; @arg: struct monitor_vcpu. Returns when the VM is over. */
void *run_vcpu_thread(void *arg);

/* The vCPU whose thread this is, or NULL. */
struct monitor_vcpu *run_this_vcpu(void);

/* Any thread: make the vCPU look at its interrupts, or at the end of the VM. */
void run_kick(struct monitor_vcpu *vcpu);

/* exit.c: count an exit before the engine handles it; ends the VM where the executor has
 * failed. */
void exit_look(struct monitor_vcpu *vcpu, const struct pvm_guest_exit *exit);

/* exit.c: carry out what the engine wants; ends the VM where that is what it wants.
 * Returns what the action's completion answers. */
enum pvm_action exit_act(struct monitor_vcpu *vcpu, enum pvm_action action);

#endif /* STANDALONE_RUN_H */
