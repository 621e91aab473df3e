/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the executor must forget, and what it may still remember. An entry that
 * is taken away on behalf of one vCPU's flush stays in other TLBs; the frame is
 * noted here, so that taking it back later flushes those as well (M10). Owns
 * every call of tlb_flush().
 */
#include "tlb.h"

#include "internal.h"

void pvm_tlb_tell(struct pvm_mmu *mmu, const struct pvm_tlb_flush *flush)
{
	struct pvm_vm *vm = mmu->vm;
	uint64_t gva = flush->scope == PVM_FLUSH_GVA ? flush->gva.v : PVM_INVALID_ADDR;
	uint64_t root = flush->scope == PVM_FLUSH_ALL ? PVM_INVALID_ADDR : flush->root.v;

	mmu->stats.flushes++;
	pvm_trace(vm, flush->vcpu ? flush->vcpu->id : ~0u, PVM_TRACE_FLUSH, flush->scope, gva, root, 0);
	vm->ops->tlb_flush(vm->host, flush);
}

/* All vCPUs, all roots: afterwards no TLB holds what no shadow entry says. */
void pvm_tlb_flush_everything(struct pvm_mmu *mmu)
{
	pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ALL, .root = { PVM_INVALID_ADDR } });
	if (mmu->stale_some)
		memset(mmu->stale, 0, sizeof(mmu->stale));
	mmu->stale_some = mmu->stale_links = mmu->flush_due = false;
	pvm_list_splice(&mmu->dead, &mmu->idle);
	mmu->waiting = 0;
}

void pvm_tlb_note_link(struct pvm_mmu *mmu, const struct pvm_shadow_page *child)
{
	mmu->stale_links = true;
	/* INVLPG of one address must hit all pieces of a large page, which
	 * no shadow page will say any more. */
	mmu->flush_due |= child->role.direct || child->role.level > 1;
}

void pvm_tlb_note_leaf(struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	if (level > 1) {
		mmu->stale_links = mmu->flush_due = true;
		return;
	}
	mmu->stale[gfn.v % STALE_BITS / 64] |= 1ull << (gfn.v % 64);
	mmu->stale_some = true;
}

bool pvm_tlb_may_hold(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	return mmu->stale_links || (mmu->stale[gfn.v % STALE_BITS / 64] >> (gfn.v % 64) & 1);
}
