/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the files of exit/ call of each other; for exit/ alone. exit.c chooses; each
 * other file does one part of the way from a stop to the next entry.
 */
#ifndef PVM_EXIT_PARTS_H
#define PVM_EXIT_PARTS_H

#include <pvm/exit.h>

/* trapped.c: #GP, #UD and their like at an instruction that is not decoded yet. */
enum pvm_action pvm_exit_trapped(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code);
/* trapped.c: a software interrupt's gate that is open in the underlying IDT. */
enum pvm_action pvm_exit_software(struct pvm_vcpu *vcpu, uint8_t vector);

/* entry.c: deliver what the host has, while the vCPU can take it. PVM_ACT_RESUME,
 * PVM_ACT_HALT, or as pvm_event_deliver(). */
enum pvm_action pvm_entry_events(struct pvm_vcpu *vcpu);
/* entry.c: the root to run on. PVM_ACT_RESUME, _SHUTDOWN, _RETRY or _ERROR. */
enum pvm_action pvm_entry_root(struct pvm_vcpu *vcpu, pvm_hpa_t *root, enum pvm_sleep sleep);
/* entry.c: the host has no memory: give shadow pages back. False: that has been
 * tried often enough at this place. */
bool pvm_entry_reclaim(struct pvm_vcpu *vcpu);

#endif /* PVM_EXIT_PARTS_H */
