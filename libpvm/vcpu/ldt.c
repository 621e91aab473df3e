/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A vCPU's LDT: the pages that hold it, and what may stand in them. A CPU reads them while the guest runs, as
 * the hypervisor's memory: no entry gets there that was not judged.
 */
#include "vcpu/ldt.h"

/*
 * S6: code and data of DPL 3, present or not: what such a segment does at CPL 3 ends at the page tables.
 * Gates and system segments would lead out of it. A DPL below 3 is of use to CPL 0 only, and to conforming
 * code; 64-bit code has one selector, by which everything tells it from 32-bit code (S4). A 16-bit stack
 * would show the guest bits of the host's stack pointer, as in pvm_tls_rectify(): 16-bit data cannot be
 * written. Linux knows that of Xen PV, and has no 16-bit segments there. An entry is marked as accessed, so
 * that no CPU writes it.
 */
uint64_t pvm_ldt_rectify(uint64_t desc)
{
	const uint64_t needed = PVM_DESC_S | PVM_DESC_DPL3;

	if ((desc & needed) != needed)
		return 0;
	if (desc & PVM_DESC_CODE ? desc & PVM_DESC_L : (desc & PVM_DESC_RW) && !(desc & PVM_DESC_DB))
		return 0;
	return (desc | PVM_DESC_ACCESSED) & ~PVM_DESC_L;
}

static int page_alloc(struct pvm_vcpu *vcpu, struct pvm_host_page *page)
{
	struct pvm_vm *vm = vcpu->vm;

	return vm->ops->page_alloc(vm->host, vcpu->brief ? PVM_NO_SLEEP : PVM_MAY_SLEEP, page);
}

static int add_page(struct pvm_vcpu *vcpu, struct pvm_host_page *place)
{
	struct pvm_host_page page;

	if (place->va)
		return PVM_OK;
	if (page_alloc(vcpu, &page) != PVM_OK)
		return PVM_ENOMEM;
	*place = page;
	return PVM_OK;
}

int pvm_ldt_open(struct pvm_vcpu *vcpu, uint32_t entries)
{
	struct pvm_host_page own;
	struct pvm_ldt *ldt = vcpu->ldt;
	unsigned i;

	if (!ldt) {
		if (page_alloc(vcpu, &own) != PVM_OK)
			return PVM_ENOMEM;
		vcpu->ldt = ldt = own.va;
		ldt->own = own;
	}
	pvm_ldt_load(vcpu, 0);
	for (i = 0; i * PVM_LDT_PER_PAGE < entries; i++)
		if (add_page(vcpu, &ldt->page[i]) != PVM_OK)
			return PVM_ENOMEM;
	return PVM_OK;
}

void pvm_ldt_rectify_page(struct pvm_vcpu *vcpu, unsigned index)
{
	uint64_t *entry = vcpu->ldt->page[index].va;
	unsigned i;

	for (i = 0; i < PVM_LDT_PER_PAGE; i++)
		entry[i] = pvm_ldt_rectify(entry[i]);
}

void pvm_ldt_load(struct pvm_vcpu *vcpu, uint32_t entries)
{
	if (!vcpu->ldt)
		return;
	vcpu->ldt->entries = entries;
	vcpu->state_gen++;
}

uint64_t pvm_ldt_entry(const struct pvm_vcpu *vcpu, uint16_t sel)
{
	const struct pvm_ldt *ldt = vcpu->ldt;
	uint64_t index = PVM_SEL_INDEX(sel);
	const uint64_t *entry;

	if (!ldt || index >= ldt->entries)
		return 0;
	index = pvm_index_clamped(index, ldt->entries);
	entry = ldt->page[index / PVM_LDT_PER_PAGE].va;
	return entry[index % PVM_LDT_PER_PAGE];
}

void pvm_ldt_destroy(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_ldt *ldt = vcpu->ldt;
	unsigned i;

	if (!ldt)
		return;
	vcpu->ldt = NULL;
	for (i = 0; i < PVM_LDT_PAGES; i++)
		if (ldt->page[i].va)
			vm->ops->page_free(vm->host, ldt->page[i]);
	vm->ops->page_free(vm->host, ldt->own);
}
