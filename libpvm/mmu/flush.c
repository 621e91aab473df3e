/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Flushes that the guest asks for, of one vCPU each.
 *
 * spec: TLB
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "shadow.h"

static void flush_vcpu(struct pvm_vcpu *vcpu, struct pvm_tlb_flush flush)
{
	struct pvm_vm *vm = vcpu->vm;

	flush.vcpu = vcpu;
	vm->ops->mmu_lock(vm->host);
	vm->ops->tlb_flush(vm->host, &flush);
	vm->ops->mmu_unlock(vm->host);
}

void pvm_mmu_flush_all(struct pvm_vcpu *vcpu)
{
	flush_vcpu(vcpu, (struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
}

void pvm_mmu_flush_current(struct pvm_vcpu *vcpu)
{
	flush_vcpu(vcpu, (struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
}

void pvm_mmu_flush_cr3(struct pvm_vcpu *vcpu, uint64_t cr3)
{
	(void)cr3;
	flush_vcpu(vcpu, (struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
}

void pvm_mmu_invlpg(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	flush_vcpu(vcpu, (struct pvm_tlb_flush){
		.scope = PVM_FLUSH_GVA, .root = { PVM_INVALID_ADDR }, .gva = gva, .level = 1 });
}
