/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a vCPU has looked up of late, so that it need not ask again: where the host has a frame,
 * and which frame the guest's tables have at an address. The first holds until the host takes
 * frames back or their right to be written (M10), the second until the guest flushes (M9), as in a
 * TLB. Only the vCPU's own thread uses them. recent.c
 */
#ifndef MMU_RECENT_H
#define MMU_RECENT_H

#include "abi/abi.h"
#include "internal.h"
#include "shadow.h"
#include "walk.h"

void *pvm_frame_look_up(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write);

/* As gfn_to_va(). Inside (lock.h) or with the MMU lock, as all that follow; so long the pointer is good. */
static inline void *pvm_frame_va(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write)
{
	const struct pvm_recent_frame *frame = &vcpu->mmu.recent.frame[gfn.v % PVM_RECENT_FRAMES];

	if (pvm_likely(frame->gfn.v == gfn.v && frame->gen == vcpu->vm->mmu->frames_gen &&
		       (frame->writable || !write)))
		return frame->va;
	return pvm_frame_look_up(vcpu, gfn, write);
}

static inline uint64_t pvm_recent_tag(const struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	return (gva.v & ~(uint64_t)(PVM_PAGE_SIZE - 1)) | vcpu->user_mode;
}

static inline struct pvm_recent_page *pvm_recent_place(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	return &vcpu->mmu.recent.page[(gva.v >> PVM_PAGE_SHIFT) % PVM_RECENT_PAGES];
}

/* The frame of an access to data that this mode was allowed before, A and D being set; NULL: walk. */
static inline const pvm_gfn_t *pvm_recent_page(struct pvm_vcpu *vcpu, pvm_gva_t gva, bool write)
{
	const struct pvm_recent_page *page = pvm_recent_place(vcpu, gva);

	if (vcpu->mmu.recent.flush_gen != vcpu->vm->mmu->flush_gen ||
	    page->tag != pvm_recent_tag(vcpu, gva) || page->table.v != pvm_cr3_gfn(vcpu->cr3).v ||
	    (write && !page->writable))
		return NULL;
	return &page->gfn;
}

/* The access was allowed, and A and D are set. */
void pvm_recent_remember(struct pvm_vcpu *vcpu, const struct pvm_guest_walk *walk);

/* The vCPU flushes, or loads another table. */
static inline void pvm_recent_forget(struct pvm_vcpu *vcpu)
{
	vcpu->mmu.recent.flush_gen = 0;
}

/* It flushes an address. */
void pvm_recent_forget_page(struct pvm_vcpu *vcpu, pvm_gva_t gva);

/* All vCPUs flush. With the MMU lock. */
static inline void pvm_recent_forget_all(struct pvm_mmu *mmu)
{
	mmu->flush_gen++;
}

#endif /* MMU_RECENT_H */
