/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the executor must forget, and what it may still remember. tlb.c
 */
#ifndef MMU_TLB_H
#define MMU_TLB_H

#include "shadow.h"

void pvm_tlb_tell(struct pvm_mmu *mmu, const struct pvm_tlb_flush *flush);
/* Afterwards no TLB holds what no shadow entry says, and no CPU walks a dead page:
 * they are in mmu->idle. */
void pvm_tlb_flush_everything(struct pvm_mmu *mmu);

/* A link to @child, a leaf from @gfn on, is about to lose rights or to go, and not
 * every TLB will be told. */
void pvm_tlb_note_link(struct pvm_mmu *mmu, const struct pvm_shadow_page *child);
void pvm_tlb_note_leaf(struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);
/* May a TLB hold a right to the frame that no shadow entry gives? */
bool pvm_tlb_may_hold(const struct pvm_mmu *mmu, pvm_gfn_t gfn);

#endif /* MMU_TLB_H */
