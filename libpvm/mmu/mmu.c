/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The MMU's life: one struct pvm_mmu per VM, in a page of the host's.
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "shadow.h"

_Static_assert(sizeof(struct pvm_mmu) <= PVM_PAGE_SIZE, "struct pvm_mmu lives in one page");

int pvm_mmu_init(struct pvm_vm *vm)
{
	struct pvm_host_page page;
	struct pvm_mmu *mmu;

	if (vm->ops->page_alloc(vm->host, PVM_MAY_SLEEP, &page) != PVM_OK)
		return PVM_ENOMEM;
	mmu = page.va;
	mmu->vm = vm;
	mmu->page = page;
	vm->mmu = mmu;
	return PVM_OK;
}

void pvm_mmu_destroy(struct pvm_vm *vm)
{
	struct pvm_host_page page = vm->mmu->page;

	vm->mmu = NULL;
	vm->ops->page_free(vm->host, page);
}

int pvm_mmu_vcpu_init(struct pvm_vcpu *vcpu)
{
	memset(&vcpu->mmu, 0, sizeof(vcpu->mmu));
	return PVM_OK;
}

void pvm_mmu_vcpu_destroy(struct pvm_vcpu *vcpu)
{
	pvm_mmu_new_cr3(vcpu);
}
