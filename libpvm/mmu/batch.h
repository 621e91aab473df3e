/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Leaves that lose rights, or go, and their one flush. batch.c
 */
#ifndef MMU_BATCH_H
#define MMU_BATCH_H

#include "shadow.h"

#define TLB_BATCH 4

struct pvm_tlb_batch {
	unsigned count;
	bool everything;
	struct { struct pvm_shadow_page *page; uint16_t index; uint8_t level; } leaf[TLB_BATCH];
};

/* A frame's leaves are about to lose rights: may TLBs hold older ones? */
void pvm_tlb_batch_frame(struct pvm_mmu *mmu, struct pvm_tlb_batch *batch, pvm_gfn_t gfn);
/* This leaf has lost rights, or is about to go. */
void pvm_tlb_batch_leaf(struct pvm_tlb_batch *batch, struct pvm_shadow_page *page, unsigned index);
/* Complete when it returns: no TLB holds a right that was taken (M10). */
void pvm_tlb_batch_flush(struct pvm_mmu *mmu, const struct pvm_tlb_batch *batch);

#endif /* MMU_BATCH_H */
