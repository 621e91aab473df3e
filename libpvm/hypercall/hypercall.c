/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * PVM's own hypercalls. Each takes its arguments from RBX, RCX (which has
 * R10's value by now), RDX, RSI and leaves its result in RAX; those that have
 * no result leave 0 there.
 *
 * spec: HYPERCALL be issued in supervisor software
 */
#include "hypercall/engine.h"
#include "vcpu/rules.h"

#define PVM_LOAD_PGTBL_FLAGS (PVM_LOAD_PGTBL_FLUSH | PVM_LOAD_PGTBL_LA57)

#define HC_EINVAL ((uint64_t)-PVM_HC_EINVAL)
#define HC_ENOSYS ((uint64_t)-PVM_KVM_ENOSYS)

/* A root table as MOV to CR3 takes it; with PCIDs the no-flush bit may be set
 * and is not kept: the hypercall's flag says whether to flush. */
static bool accept_pgd(const struct pvm_vcpu *vcpu, uint64_t *pgd)
{
	if (vcpu->cr4 & PVM_CR4_PCIDE)
		*pgd &= ~PVM_CR3_NOFLUSH;
	return pvm_cr3_allowed(&vcpu->vm->config, *pgd);
}

/* CR4.LA57 follows the flag, if the vCPU has it at all. x86 flushes all when
 * it changes. */
static void load_paging_depth(struct pvm_vcpu *vcpu, bool wanted)
{
	bool la57 = wanted && pvm_cr4_allowed(vcpu, vcpu->cr4 | PVM_CR4_LA57);

	if (la57 == !!(vcpu->cr4 & PVM_CR4_LA57))
		return;
	vcpu->cr4 ^= PVM_CR4_LA57;
	vcpu->changes++;
	pvm_mmu_flush_all(vcpu);
}

static enum pvm_action load_pgtbl(struct pvm_vcpu *vcpu)
{
	uint64_t flags = vcpu->gpr[PVM_RBX];
	uint64_t supervisor_pgd = vcpu->gpr[PVM_RCX], user_pgd = vcpu->gpr[PVM_RDX];

	if (flags & ~(uint64_t)PVM_LOAD_PGTBL_FLAGS)
		return pvm_hypercall_done(vcpu, HC_EINVAL);
	if (!accept_pgd(vcpu, &supervisor_pgd) || !accept_pgd(vcpu, &user_pgd))
		return pvm_hypercall_done(vcpu, HC_EINVAL);

	load_paging_depth(vcpu, flags & PVM_LOAD_PGTBL_LA57);
	vcpu->cr3 = supervisor_pgd;
	vcpu->msr.switch_cr3 = user_pgd;
	pvm_mmu_new_cr3(vcpu);
	if (flags & PVM_LOAD_PGTBL_FLUSH)
		pvm_mmu_flush_current(vcpu);
	return pvm_hypercall_done(vcpu, 0);
}

static enum pvm_action irq_win(struct pvm_vcpu *vcpu)
{
	pvm_event_irq_window(vcpu);
	return pvm_hypercall_done(vcpu, 0);
}

static enum pvm_action irq_hlt(struct pvm_vcpu *vcpu)
{
	if (!pvm_rip_runnable(vcpu, vcpu->rip))
		return pvm_hypercall_done(vcpu, 0);	/* S1: a #GP, and no halt */
	pvm_hypercall_done(vcpu, 0);
	return pvm_event_irq_halt(vcpu);
}

static enum pvm_action tlb_flush(struct pvm_vcpu *vcpu)
{
	pvm_mmu_flush_all(vcpu);
	return pvm_hypercall_done(vcpu, 0);
}

static enum pvm_action tlb_flush_current(struct pvm_vcpu *vcpu)
{
	pvm_mmu_flush_current(vcpu);
	return pvm_hypercall_done(vcpu, 0);
}

static enum pvm_action tlb_invlpg(struct pvm_vcpu *vcpu)
{
	pvm_mmu_invlpg(vcpu, pvm_gva(vcpu->gpr[PVM_RBX]));
	return pvm_hypercall_done(vcpu, 0);
}

static enum pvm_action load_gs(struct pvm_vcpu *vcpu)
{
	return pvm_hypercall_done(vcpu, pvm_load_gs(vcpu, (uint16_t)vcpu->gpr[PVM_RBX]));
}

static enum pvm_action load_tls(struct pvm_vcpu *vcpu)
{
	const uint64_t desc[3] = {
		vcpu->gpr[PVM_RBX], vcpu->gpr[PVM_RCX], vcpu->gpr[PVM_RDX],
	};

	return pvm_hypercall_done(vcpu, pvm_load_tls(vcpu, desc));
}

enum pvm_action pvm_hypercall(struct pvm_vcpu *vcpu)
{
	switch (vcpu->gpr[PVM_RAX]) {
	case PVM_HC_LOAD_PGTBL:
		return load_pgtbl(vcpu);
	case PVM_HC_IRQ_WIN:
		return irq_win(vcpu);
	case PVM_HC_IRQ_HLT:
		return irq_hlt(vcpu);
	case PVM_HC_TLB_FLUSH:
		return tlb_flush(vcpu);
	case PVM_HC_TLB_FLUSH_CURRENT:
		return tlb_flush_current(vcpu);
	case PVM_HC_TLB_INVLPG:
		return tlb_invlpg(vcpu);
	case PVM_HC_LOAD_GS:
		return load_gs(vcpu);
	case PVM_HC_RDMSR:
		return pvm_hypercall_rdmsr(vcpu, (uint32_t)vcpu->gpr[PVM_RBX]);
	case PVM_HC_WRMSR:
		return pvm_hypercall_wrmsr(vcpu, (uint32_t)vcpu->gpr[PVM_RBX], vcpu->gpr[PVM_RCX]);
	case PVM_HC_LOAD_TLS:
		return load_tls(vcpu);
	default:
		return pvm_hypercall_done(vcpu, HC_ENOSYS);
	}
}
