/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Hypercalls that more than one guest ABI has. Those that have no result leave 0 in RAX.
 * Which numbers they have is the ABI's.
 *
 * spec: HYPERCALL be issued in supervisor software
 */
#include "hypercall/handlers.h"
#include "mmu/flush.h"
#include "vcpu/rules.h"

#define PVM_LOAD_PGTBL_FLAGS (PVM_LOAD_PGTBL_FLUSH | PVM_LOAD_PGTBL_LA57)

bool pvm_hc_accept_pgtbl_flags(uint64_t flags)
{
	return !(flags & ~(uint64_t)PVM_LOAD_PGTBL_FLAGS);
}

bool pvm_hc_accept_pgd(const struct pvm_vcpu *vcpu, uint64_t *pgd)
{
	if (vcpu->cr4 & PVM_CR4_PCIDE)
		*pgd &= ~PVM_CR3_NOFLUSH;
	return pvm_cr3_allowed(&vcpu->vm->config, *pgd);
}

bool pvm_hc_load_paging_depth(struct pvm_vcpu *vcpu, bool wanted)
{
	bool la57 = wanted && pvm_cr4_allowed(vcpu, vcpu->cr4 | PVM_CR4_LA57);

	if (la57 == !!(vcpu->cr4 & PVM_CR4_LA57))
		return true;
	if (!pvm_flush_all(vcpu))
		return false;
	vcpu->cr4 ^= PVM_CR4_LA57;
	vcpu->state_gen++;
	return true;
}

enum pvm_action pvm_hc_loaded_pgtbl(struct pvm_vcpu *vcpu, uint64_t flags)
{
	pvm_mmu_new_cr3(vcpu);
	if ((flags & PVM_LOAD_PGTBL_FLUSH) && !pvm_flush_current(vcpu))
		return PVM_ACT_RETRY;	/* M12; the same tables are loaded again */
	return pvm_hypercall_done(vcpu, 0);
}

enum pvm_action pvm_hc_irq_win(struct pvm_vcpu *vcpu)
{
	pvm_event_irq_window(vcpu);
	return pvm_hypercall_done(vcpu, 0);
}

enum pvm_action pvm_hc_irq_hlt(struct pvm_vcpu *vcpu)
{
	if (!pvm_rip_runnable(vcpu, vcpu->rip))
		return pvm_hypercall_done(vcpu, 0);	/* S1: a #GP, and no halt */
	pvm_hypercall_done(vcpu, 0);
	return pvm_event_irq_halt(vcpu);
}

enum pvm_action pvm_hc_tlb_flush(struct pvm_vcpu *vcpu)
{
	return pvm_flush_all(vcpu) ? pvm_hypercall_done(vcpu, 0) : PVM_ACT_RETRY;	/* M12 */
}

enum pvm_action pvm_hc_tlb_flush_current(struct pvm_vcpu *vcpu)
{
	return pvm_flush_current(vcpu) ? pvm_hypercall_done(vcpu, 0) : PVM_ACT_RETRY;	/* M12 */
}

enum pvm_action pvm_hc_tlb_invlpg(struct pvm_vcpu *vcpu)
{
	if (!pvm_flush_address(vcpu, pvm_gva(vcpu->gpr[PVM_RBX])))
		return PVM_ACT_RETRY;	/* M12 */
	return pvm_hypercall_done(vcpu, 0);
}

enum pvm_action pvm_hc_load_gs(struct pvm_vcpu *vcpu)
{
	return pvm_hypercall_done(vcpu, pvm_load_gs(vcpu, (uint16_t)vcpu->gpr[PVM_RBX]));
}

enum pvm_action pvm_hc_load_tls(struct pvm_vcpu *vcpu)
{
	const uint64_t desc[3] = {
		vcpu->gpr[PVM_RBX], vcpu->gpr[PVM_RCX], vcpu->gpr[PVM_RDX],
	};

	return pvm_hypercall_done(vcpu, pvm_load_tls(vcpu, desc));
}
