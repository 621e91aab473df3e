/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Hypercalls that more than one guest ABI has, and the parts of LOAD_PGTBL, for the rows
 * in libpvm/abi/NAME/. A handler takes its arguments from RBX, RCX (which has R10's value
 * by now), RDX, RSI and ends with pvm_hypercall_done().
 */
#ifndef PVM_HYPERCALL_HANDLERS_H
#define PVM_HYPERCALL_HANDLERS_H

#include "hypercall/engine.h"

enum pvm_action pvm_hc_irq_win(struct pvm_vcpu *vcpu);
enum pvm_action pvm_hc_irq_hlt(struct pvm_vcpu *vcpu);
enum pvm_action pvm_hc_tlb_flush(struct pvm_vcpu *vcpu);
enum pvm_action pvm_hc_tlb_flush_current(struct pvm_vcpu *vcpu);
enum pvm_action pvm_hc_tlb_invlpg(struct pvm_vcpu *vcpu);
enum pvm_action pvm_hc_load_gs(struct pvm_vcpu *vcpu);
enum pvm_action pvm_hc_load_tls(struct pvm_vcpu *vcpu);
enum pvm_action pvm_hc_rdmsr(struct pvm_vcpu *vcpu);	/* msr.c */
enum pvm_action pvm_hc_wrmsr(struct pvm_vcpu *vcpu);	/* msr.c */

/* May LOAD_PGTBL have these flags? */
bool pvm_hc_accept_pgtbl_flags(uint64_t flags);
/* A root table as MOV to CR3 takes it; with PCIDs the no-flush bit may be set
 * and is not kept: the hypercall's flag says whether to flush. */
bool pvm_hc_accept_pgd(const struct pvm_vcpu *vcpu, uint64_t *pgd);
/* CR4.LA57 follows the flag, if the vCPU has it at all. x86 flushes all when
 * it changes. False: that takes too long now (mmu/flush.h), and nothing has changed. */
bool pvm_hc_load_paging_depth(struct pvm_vcpu *vcpu, bool wanted);
/* The new tables are in the vCPU: the end of LOAD_PGTBL. */
enum pvm_action pvm_hc_loaded_pgtbl(struct pvm_vcpu *vcpu, uint64_t flags);

#endif /* PVM_HYPERCALL_HANDLERS_H */
