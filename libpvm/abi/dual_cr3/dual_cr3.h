/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the files of dual_cr3/ share, for abi.c's table. */
#ifndef PVM_ABI_DUAL_CR3_H
#define PVM_ABI_DUAL_CR3_H

#include "abi/pvm/parts.h"

/* hypercalls.c: of its own; the others are hypercall/handlers.h's */
enum pvm_action pvm_dual_cr3_load_pgtbl(struct pvm_vcpu *vcpu);

/* events.c */
enum pvm_syscall_class pvm_dual_cr3_classify(const struct pvm_vcpu *vcpu);
enum pvm_action pvm_dual_cr3_syscall(struct pvm_vcpu *vcpu);
enum pvm_action pvm_dual_cr3_user_syscall(struct pvm_vcpu *vcpu);
enum pvm_action pvm_dual_cr3_return_user(struct pvm_vcpu *vcpu);
enum pvm_action pvm_dual_cr3_return_supervisor(struct pvm_vcpu *vcpu);
void pvm_dual_cr3_switched(struct pvm_vcpu *vcpu);
enum pvm_action pvm_dual_cr3_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code);
bool pvm_dual_cr3_at_event_entry(const struct pvm_vcpu *vcpu);
bool pvm_dual_cr3_interrupt_flag(const struct pvm_vcpu *vcpu);
void pvm_dual_cr3_set_interrupt_flag(struct pvm_vcpu *vcpu, bool enabled);
void pvm_dual_cr3_set_interrupt_waits(struct pvm_vcpu *vcpu, bool waits);
const volatile uint64_t *pvm_dual_cr3_interrupt_waits(const struct pvm_vcpu *vcpu, uint64_t *bit);

#endif /* PVM_ABI_DUAL_CR3_H */
