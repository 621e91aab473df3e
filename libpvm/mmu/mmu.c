/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The MMU's life: one struct pvm_mmu per VM, in a page of the host's, and its
 * fixed tables. Also looking in from outside: statistics and the walk of the
 * shadow tables as a CPU would do it.
 */
#include <pvm/mmu.h>

#include "entry.h"
#include "internal.h"
#include "lock.h"
#include "page.h"

_Static_assert(sizeof(struct pvm_mmu) <= PVM_PAGE_SIZE, "struct pvm_mmu lives in one page");

#define REGIONS 2

static void free_regions(struct pvm_mmu *mmu, unsigned count)
{
	struct pvm_vm *vm = mmu->vm;
	struct pvm_host_page page = mmu->page;

	while (count--)
		vm->ops->page_free(vm->host, mmu->region[count]);
	vm->ops->page_free(vm->host, page);
	vm->mmu = NULL;
}

static void init_lists(struct pvm_mmu *mmu)
{
	pvm_list_init(&mmu->pages);
	pvm_list_init(&mmu->dead);
	pvm_list_init(&mmu->idle);
	pvm_list_init(&mmu->unsync);
	pvm_list_init(&mmu->wide);
	pvm_list_init(&mmu->harden);
}

/* Slots of four bytes, but for pointers. */
static void init_radices(struct pvm_mmu *mmu)
{
	mmu->ids.shift = mmu->marks.shift = 9;
	mmu->tables.shift = mmu->rmap[0].shift = mmu->rmap[1].shift = mmu->rmap[2].shift = 10;
}

int pvm_mmu_init(struct pvm_vm *vm)
{
	struct pvm_host_page page;
	struct pvm_mmu *mmu;
	unsigned i;

	if (vm->ops->page_alloc(vm->host, PVM_MAY_SLEEP, &page) != PVM_OK)
		return PVM_ENOMEM;
	mmu = page.va;
	mmu->vm = vm;
	mmu->page = page;
	for (i = 0; i < REGIONS; i++) {
		if (vm->ops->page_alloc(vm->host, PVM_MAY_SLEEP, &mmu->region[i]) != PVM_OK) {
			free_regions(mmu, i);
			return PVM_ENOMEM;
		}
	}
	mmu->host_levels = vm->config.host_la57 ? 5 : 4;
	mmu->widest_range = pvm_linear_range_encode(&vm->config.range);
	mmu->frames_gen = mmu->flush_gen = 1;
	pvm_slab_init(&mmu->page_slab, sizeof(struct pvm_shadow_page));
	pvm_slab_init(&mmu->value_slab, sizeof(struct pvm_entry_values));
	pvm_slab_init(&mmu->link_slab, sizeof(struct pvm_entry_links));
	init_lists(mmu);
	init_radices(mmu);
	vm->mmu = mmu;
	return PVM_OK;
}

/* No vCPU is left and no CPU walks any table: nothing needs a flush. */
void pvm_mmu_destroy(struct pvm_vm *vm)
{
	struct pvm_mmu *mmu = vm->mmu;
	unsigned i;

	/* One by one, so that the host, which gets its pages back, may let others run meanwhile. */
	do {
		if (!pvm_list_empty(&mmu->pages))
			pvm_page_zap(mmu, pvm_list_entry(mmu->pages.next, struct pvm_shadow_page, link));
		pvm_list_splice(&mmu->dead, &mmu->idle);
		while (!pvm_list_empty(&mmu->idle))
			pvm_page_release(mmu, pvm_list_entry(mmu->idle.next, struct pvm_shadow_page, link));
	} while (!pvm_list_empty(&mmu->pages));
	pvm_radix_destroy(mmu, &mmu->ids);
	pvm_radix_destroy(mmu, &mmu->tables);
	pvm_radix_destroy(mmu, &mmu->marks);
	for (i = 0; i < 3; i++)
		pvm_radix_destroy(mmu, &mmu->rmap[i]);
	pvm_pool_drain(mmu);
	free_regions(mmu, REGIONS);
}

int pvm_mmu_vcpu_init(struct pvm_vcpu *vcpu)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;

	memset(&vcpu->mmu, 0, sizeof(vcpu->mmu));
	pvm_lock(vcpu->vm);
	vcpu->mmu.next = mmu->first_vcpu;
	mmu->first_vcpu = vcpu;
	mmu->vcpus++;
	pvm_unlock(vcpu->vm);
	return PVM_OK;
}

void pvm_stats_gather(struct pvm_mmu *mmu)
{
	struct pvm_vcpu *vcpu;

	for (vcpu = mmu->first_vcpu; vcpu; vcpu = vcpu->mmu.next) {
		mmu->stats.faults += vcpu->mmu.fills - vcpu->mmu.retries;
		mmu->stats.fills += vcpu->mmu.fills;
		mmu->stats.rmap_entries += vcpu->mmu.fills;
		mmu->stats.faults += vcpu->mmu.refusals;
		mmu->stats.injected += vcpu->mmu.refusals;
		vcpu->mmu.fills = vcpu->mmu.retries = vcpu->mmu.refusals = 0;
	}
}

void pvm_mmu_vcpu_destroy(struct pvm_vcpu *vcpu)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;
	struct pvm_vcpu **at = &mmu->first_vcpu;

	pvm_mmu_new_cr3(vcpu);
	pvm_lock(vcpu->vm);
	pvm_stats_gather(mmu);
	pvm_spares_give_back(vcpu);
	while (*at && *at != vcpu)
		at = &(*at)->mmu.next;
	if (*at)
		*at = vcpu->mmu.next;
	mmu->vcpus--;
	pvm_unlock(vcpu->vm);
}

void pvm_mmu_get_stats(struct pvm_vm *vm, struct pvm_mmu_stats *stats)
{
	pvm_lock(vm);
	pvm_stats_gather(vm->mmu);
	*stats = vm->mmu->stats;
	pvm_unlock(vm);
}

static bool walk_shadow(struct pvm_vm *vm, pvm_hpa_t root, pvm_gva_t gva, struct pvm_shadow_leaf *leaf)
{
	unsigned level = vm->config.host_la57 ? 5 : 4;
	uint64_t writable = PVM_PTE_W, nx = 0;
	pvm_hpa_t table = root;

	for (;; level--) {
		const uint64_t *va = vm->ops->page_va(vm->host, table);
		uint64_t entry = PVM_READ_ONCE(va[PVM_LEVEL_INDEX(gva.v, level)]);

		/* No U: the switcher's, not for the guest. */
		if (!(entry & PVM_PTE_P) || !(entry & PVM_PTE_U))
			return false;
		writable &= entry;
		nx |= entry & PVM_PTE_NX;
		if (pvm_pte_is_leaf(entry, level)) {
			leaf->level = (uint8_t)level;
			leaf->entry = (entry & ~(uint64_t)PVM_PTE_W) | writable | nx;
			leaf->pa = pvm_hpa((entry & PVM_PTE_ADDR_MASK) |
					   (gva.v & (PVM_LEVEL_SIZE(level) - 1) & PVM_PTE_ADDR_MASK));
			return true;
		}
		table = pvm_hpa(entry & PVM_PTE_ADDR_MASK);
	}
}

bool pvm_mmu_shadow_walk(struct pvm_vm *vm, pvm_hpa_t root, pvm_gva_t gva,
			 struct pvm_shadow_leaf *leaf)
{
	bool found;

	pvm_lock(vm);
	found = walk_shadow(vm, root, gva, leaf);
	pvm_unlock(vm);
	return found;
}
