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

/* exit.c: one exit, through the engine, to the action that finishes it. */
enum pvm_action exit_handle(struct monitor_vcpu *vcpu, const struct guest_exit *exit);

/* exit.c: do what the engine wants; ends the VM where that is what it wants. */
void exit_act(struct monitor_vcpu *vcpu, enum pvm_action action);

/* exit.c: the engine has no memory: give back what it can spare. False: the VM
 * was ended, since that did not help. */
bool exit_reclaim(struct monitor_vcpu *vcpu);

#endif /* STANDALONE_RUN_H */
