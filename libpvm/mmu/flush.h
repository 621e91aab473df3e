/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Flushes that the guest asks for by hypercall. Where vcpu->brief is set they may give up: the
 * hypercall then answers PVM_ACT_RETRY, and is handled again where it may take its time. What was brought
 * up to date for it is not done again. flush.c
 */
#ifndef MMU_FLUSH_H
#define MMU_FLUSH_H

#include <pvm/mmu.h>

/* Holds of the lock that a call makes for one purpose if it must be brief. */
#define PVM_BRIEF_PASSES 8

/* As pvm_mmu_flush_all(), _flush_current() and _invlpg(). False: it would take too long; no translation is
 * forgotten yet. */
bool pvm_flush_all(struct pvm_vcpu *vcpu);
bool pvm_flush_current(struct pvm_vcpu *vcpu);
bool pvm_flush_address(struct pvm_vcpu *vcpu, pvm_gva_t gva);
/* The same on all vCPUs of the VM: all there is; one address under whatever root they have it. */
bool pvm_flush_everything(struct pvm_vcpu *vcpu);
bool pvm_flush_address_everywhere(struct pvm_vcpu *vcpu, pvm_gva_t gva);

#endif /* MMU_FLUSH_H */
