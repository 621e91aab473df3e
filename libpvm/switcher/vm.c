/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The switcher's slot in a VM's shadow roots: the tables below it, and the vCPUs'
 * windows. What they map is all that a guest's root holds beside the guest's memory:
 * the text, read-only; the areas and the windows, never executable; nothing with the
 * U bit (M1, M2, S6). The tables are of one VM, so that no VM's root maps another
 * VM's PVCS.
 */
#include <pvm/x86.h>

#include "abi/switches.h"
#include "switcher/area.h"

#define RECORDS (PVM_PAGE_SIZE / sizeof(struct pvm_host_page) - 1)

/* The tables' pages; the first of them is this one. */
struct slot_pages {
	uint64_t count;
	uint64_t pad;
	struct pvm_host_page page[RECORDS];
};

_Static_assert(sizeof(struct slot_pages) <= PVM_PAGE_SIZE, "fits a page");

static unsigned top_level(const struct pvm_switcher *switcher)
{
	return switcher->config.features.la57 ? 5 : 4;
}

int pvm_switcher_slot_table(struct pvm_switcher_vm *vm, struct pvm_host_page *page)
{
	struct pvm_switcher *switcher = vm->switcher;
	struct slot_pages *pages = vm->pages;
	int rc;

	if (pages && pages->count == RECORDS)
		return PVM_ENOMEM;
	rc = switcher->ops->page_alloc(switcher->host, page);
	if (rc != PVM_OK)
		return rc;
	if (!pages)
		vm->pages = pages = page->va;
	pages->page[pages->count++] = *page;
	return PVM_OK;
}

static uint64_t *table_va(const struct pvm_switcher_vm *vm, uint64_t entry)
{
	const struct slot_pages *pages = vm->pages;
	uint64_t i;

	for (i = 0; i < pages->count; i++)
		if (pages->page[i].pa.v == (entry & PVM_PTE_ADDR_MASK))
			return pages->page[i].va;
	return NULL;
}

uint64_t *pvm_switcher_slot_entry(struct pvm_switcher_vm *vm, uint64_t va, unsigned level)
{
	unsigned at = top_level(vm->switcher);
	uint64_t *entry = &vm->entry;

	while (--at >= level) {
		struct pvm_host_page page;

		if (!*entry) {
			if (pvm_switcher_slot_table(vm, &page) != PVM_OK)
				return NULL;
			*entry = page.pa.v | PVM_PTE_P | PVM_PTE_W | PVM_PTE_A;	/* M1: no U */
		}
		entry = table_va(vm, *entry) + PVM_LEVEL_INDEX(va, at);
	}
	return entry;
}

static uint64_t *leaf_entry(struct pvm_switcher_vm *vm, uint64_t va)
{
	return pvm_switcher_slot_entry(vm, va, 1);
}

static int map(struct pvm_switcher_vm *vm, const void *start, uint64_t size, uint64_t bits)
{
	struct pvm_switcher *switcher = vm->switcher;
	uint64_t offset;

	for (offset = 0; offset < size; offset += PVM_PAGE_SIZE) {
		const void *va = (const char *)start + offset;
		pvm_hpa_t pa = switcher->ops->va_to_pa(switcher->host, va);
		uint64_t *entry = leaf_entry(vm, (uint64_t)(uintptr_t)va + switcher->config.alias);

		if (!entry)
			return PVM_ENOMEM;
		if (pa.v == PVM_INVALID_ADDR)
			return PVM_EFAULT;
		*entry = pa.v | bits | PVM_PTE_P | PVM_PTE_A;	/* M1: no U */
	}
	return PVM_OK;
}

static uint64_t data_bits(const struct pvm_switcher *switcher)
{
	return PVM_PTE_W | PVM_PTE_D | (switcher->config.features.nx ? PVM_PTE_NX : 0);
}

static int map_everything(struct pvm_switcher_vm *vm)
{
	struct pvm_switcher *switcher = vm->switcher;
	uint64_t window = switcher->config.window_va;
	uint32_t i;
	int rc = map(vm, pvm_switcher_text_start,
		     (uint64_t)(pvm_switcher_text_end - pvm_switcher_text_start), 0);

	for (i = 0; i < switcher->cpu_count && rc == PVM_OK; i++) {
		const void *area = switcher->cpus[i];

		if (switcher->config.areas)
			area = (const char *)switcher->config.areas + i * (uint64_t)PVM_SWITCHER_AREA_SIZE;
		if (area)
			rc = map(vm, area, sizeof(struct pvm_switcher_cpu), data_bits(switcher));
	}
	for (i = 0; i < switcher->config.window_count && rc == PVM_OK; i++)
		if (!leaf_entry(vm, window + i * PVM_PAGE_SIZE))
			rc = PVM_ENOMEM;
	return rc;
}

int pvm_switcher_vm_init(struct pvm_switcher_vm *vm, struct pvm_switcher *switcher)
{
	struct pvm_host_page page;
	int rc;

	*vm = (struct pvm_switcher_vm){
		.switcher = switcher,
		.id = __atomic_add_fetch(&switcher->vms, 1, __ATOMIC_RELAXED),
	};
	pvm_switcher_void_tags_of(vm);
	rc = pvm_switcher_slot_table(vm, &page);	/* the page that holds the list */
	if (rc == PVM_OK)
		rc = map_everything(vm);
	if (rc != PVM_OK)
		pvm_switcher_vm_destroy(vm);
	else if (top_level(switcher) == 5)
		vm->pml4_entry = table_va(vm, vm->entry)[switcher->pml4_slot];
	return rc;
}

void pvm_switcher_vm_destroy(struct pvm_switcher_vm *vm)
{
	struct pvm_switcher *switcher = vm->switcher;
	struct slot_pages *pages = vm->pages;

	if (!pages)
		return;
	while (pages->count > 1)
		switcher->ops->page_free(switcher->host, pages->page[--pages->count]);
	switcher->ops->page_free(switcher->host, pages->page[0]);
	vm->pages = NULL;
	vm->entry = vm->pml4_entry = 0;
}

void pvm_switcher_map_window(struct pvm_switcher_vm *vm, uint32_t id, pvm_hpa_t page)
{
	struct pvm_switcher *switcher = vm->switcher;
	uint64_t *entry = leaf_entry(vm, switcher->config.window_va + id * PVM_PAGE_SIZE);

	*(volatile uint64_t *)entry =
		page.v == PVM_INVALID_ADDR ? 0 : page.v | data_bits(switcher) | PVM_PTE_P | PVM_PTE_A;
	/* A CPU that has the old page in its TLB has it under a tag of this VM. */
	pvm_switcher_void_tags_of(vm);
}

/* Do the engine and the switcher know the same CPU and the same GDT? */
static bool agrees(const struct pvm_switcher_config *switcher, const struct pvm_vm_config *vm)
{
	return switcher->user32_cs == vm->user32_cs && switcher->user_cs == vm->user_cs &&
	       switcher->user_ds == vm->user_ds && switcher->cpunode_sel == vm->cpunode_sel &&
	       switcher->tls_index == vm->tls_index && switcher->features.la57 == vm->host_la57 &&
	       switcher->features.pke == vm->host_pke && switcher->features.nx == vm->host_nx;
}

int pvm_switcher_vcpu_init(struct pvm_switcher_vcpu *svcpu, struct pvm_switcher_vm *vm,
			   struct pvm_vcpu *vcpu)
{
	if (vcpu->id >= vm->switcher->config.window_count ||
	    (vcpu->vm->config.host_ldt && vcpu->id >= vm->ldts) ||
	    !agrees(&vm->switcher->config, &vcpu->vm->config))
		return PVM_EINVAL;
	*svcpu = (struct pvm_switcher_vcpu){
		.vcpu = vcpu,
		.vm = vm,
		.switches = pvm_abi_switches_find(vcpu->vm->config.abi),
		.next = vm->vcpus,
		.roots_gen = ~0ull,
	};
	vm->vcpus = svcpu;
	return PVM_OK;
}

void pvm_switcher_vcpu_destroy(struct pvm_switcher_vcpu *svcpu)
{
	struct pvm_switcher_vm *vm = svcpu->vm;
	struct pvm_switcher_vcpu **link = &vm->vcpus;
	uint32_t i;

	while (*link != svcpu)
		link = &(*link)->next;
	*link = svcpu->next;
	pvm_switcher_forget_ldt(svcpu);
	/* The window is of an id, and a host may have made a second vCPU of it in vain. */
	if (svcpu->pvcs)
		pvm_switcher_map_window(vm, svcpu->vcpu->id, pvm_hpa(PVM_INVALID_ADDR));
	for (i = 0; i < vm->switcher->cpu_count; i++) {
		struct pvm_switcher_cpu *cpu = vm->switcher->cpus[i];

		if (cpu && cpu->loaded == svcpu)
			cpu->loaded = NULL;
	}
}
