/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Runs in which the two stubs of a pair hand the vCPU over to each other: a user's system call
 * and the return from it are then no exits. Owns the monitor's side: when it may be, and what
 * the engine must learn of it afterwards. stub/handover.c does it.
 */
#ifndef NATIVE_HANDOVER_H
#define NATIVE_HANDOVER_H

#include "../monitor.h"
#include "space.h"

/* A supervisor's space is about to be entered: queue the command that gives it the PVCS, if it
 * has not got that yet. */
void handover_queue(struct space *space, const struct monitor_vcpu *vcpu);

/* The vCPU's registers are loaded into @space: may it hand over to @peer, the other one of the
 * pair, which may have no process? If so both are told. Then space_run_pair(), handover_disarm()
 * and handover_take(); or handover_disarm() alone. */
bool handover_arm(struct monitor_vcpu *vcpu, struct space *space, struct space *peer);

/* Neither hands over any more. Both are at rest. */
void handover_disarm(struct space *space, struct space *peer);

/**
 * handover_take - what has happened in a run of a pair.
 * @space: the one that was entered. @stopped: the one that has stopped, or has died.
 * @no_frame: its guest has left none in this run: it was kicked before its first instruction, or its stub is
 * gone. All of its registers are those that were handed over then (N4).
 *
 * The vCPU is in the mode of @stopped then, with the registers with which that was entered last.
 * False: there is no such history. A supervisor's stub has forged it.
 */
bool handover_take(struct monitor_vcpu *vcpu, struct space *space, struct space *peer, struct space *stopped,
		   bool no_frame);

#endif /* NATIVE_HANDOVER_H */
