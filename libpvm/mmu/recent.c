/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a vCPU has looked up of late. A pointer to a frame is what the host would give
 * now, because each change of what backs guest memory, and each end of a right to write it, counts in
 * pvm_mmu::frames_gen before the host's call returns. Addresses are kept for guest ABIs of which every
 * flush reaches the engine, and where nothing but a flush could take away what was allowed.
 */
#include "recent.h"


#define NO_TAG (~0ull)	/* of no page */

void *pvm_frame_look_up(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write)
{
	struct pvm_vm *vm = vcpu->vm;
	void *va = vm->ops->gfn_to_va(vm->host, gfn, write);

	/* M10: between begin and end the host may say the old memory or the new. */
	if (va && !vm->mmu->taking)
		vcpu->mmu.recent.frame[gfn.v % PVM_RECENT_FRAMES] = (struct pvm_recent_frame){
			.gfn = gfn, .gen = vm->mmu->frames_gen, .va = va, .writable = write };
	return va;
}

void pvm_recent_remember(struct pvm_vcpu *vcpu, const struct pvm_guest_walk *walk)
{
	struct pvm_vcpu_recent *recent = &vcpu->mmu.recent;
	uint64_t needed = PVM_PTE_A | (walk->access & PVM_ACCESS_WRITE ? PVM_PTE_D : 0);
	unsigned i;

	/* M8: PKRU is changed without a flush, and so is what makes a frame a table that may be written. */
	if (!vcpu->vm->abi->flushes_are_seen || (vcpu->cr4 & (PVM_CR4_PKE | PVM_CR4_PKS)) ||
	    walk->level != 1 || walk->writes_table || walk->read_only ||
	    (walk->entry[1] & needed) != needed)
		return;
	if (recent->flush_gen != vcpu->vm->mmu->flush_gen)
		for (i = 0; i < PVM_RECENT_PAGES; i++)
			recent->page[i].tag = NO_TAG;
	recent->flush_gen = vcpu->vm->mmu->flush_gen;
	*pvm_recent_place(vcpu, walk->gva) = (struct pvm_recent_page){
		.tag = pvm_recent_tag(vcpu, walk->gva),
		.table = pvm_cr3_gfn(vcpu->cr3),
		.gfn = pvm_gpa_to_gfn(walk->gpa),
		.writable = walk->access & PVM_ACCESS_WRITE,
	};
}

void pvm_recent_forget_page(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	pvm_recent_place(vcpu, gva)->tag = NO_TAG;
}
