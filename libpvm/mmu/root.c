/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The roots of a vCPU: one for the supervisor's table, one for the user's,
 * indexed by mode, so that a mode switch changes nothing here. A root that no
 * vCPU has loaded is an ordinary shadow page and is found again by its key.
 *
 * spec: Paging, MSR_PVM_SWITCH_CR3, MSR_PVM_LINEAR_ADDRESS_RANGE
 */
#include "root.h"

#include "abi/abi.h"
#include "fill.h"
#include "flush.h"
#include "internal.h"
#include "late.h"
#include "lock.h"
#include "page.h"
#include "recent.h"
#include "walk.h"

/* Of the roots of both modes but for what the ABI says of each. */
static inline union pvm_mmu_role common_role(const struct pvm_vcpu *vcpu)
{
	const struct pvm_mmu *mmu = vcpu->vm->mmu;
	uint8_t levels = pvm_walk_levels(vcpu);
	bool widest = vcpu->msr.linear_address_range == mmu->widest_range;
	union pvm_mmu_role role = { .word = 0 };

	role.level = mmu->host_levels;	/* M5 */
	role.guest_levels = levels;
	role.direct = levels < mmu->host_levels;
	role.nx = !!(vcpu->efer & PVM_EFER_NXE);
	role.pke = !!(vcpu->cr4 & PVM_CR4_PKE);
	role.range = (widest ? 1 : vcpu->id + 2) & 0x3fff;	/* PVM_VCPU_ID_MAX + 2: all 14 bits */
	return role;
}

static inline union pvm_mmu_role of_mode(const struct pvm_vcpu *vcpu, union pvm_mmu_role common,
					 bool user_mode)
{
	common.word |= vcpu->vm->abi->root_role[user_mode].word;
	return common;
}

union pvm_mmu_role pvm_root_role(const struct pvm_vcpu *vcpu, bool user_mode)
{
	return of_mode(vcpu, common_role(vcpu), user_mode);
}

static void slot_replace(struct pvm_vcpu *vcpu, unsigned slot, struct pvm_shadow_page *root)
{
	struct pvm_shadow_page *old = vcpu->mmu.root[slot];

	if (old == root)
		return;
	if (old)
		pvm_page_unload(vcpu->vm->mmu, old);
	if (root)
		root->loaded++;
	vcpu->mmu.root[slot] = root;
	vcpu->mmu.roots_gen++;
}

/* Both roots are of the vCPU's role now: one of another role makes way. */
static void slot_set(struct pvm_vcpu *vcpu, unsigned slot, struct pvm_shadow_page *root)
{
	if (vcpu->mmu.cr4 != vcpu->cr4 || vcpu->mmu.efer != vcpu->efer) {
		slot_replace(vcpu, !slot, NULL);
		vcpu->mmu.cr4 = vcpu->cr4;
		vcpu->mmu.efer = vcpu->efer;
	}
	slot_replace(vcpu, slot, root);
}

void pvm_root_take(struct pvm_vcpu *vcpu, struct pvm_shadow_page *root)
{
	slot_set(vcpu, vcpu->user_mode, root);
}

/* M7: what it had outside is in roots that it does not find again: those for ranges
 * other than the widest are the vCPU's own, for one range. They go when the same table
 * is used again, or by eviction. */
void pvm_root_refresh(struct pvm_vcpu *vcpu)
{
	if (vcpu->mmu.range == vcpu->msr.linear_address_range)
		return;
	vcpu->mmu.range = vcpu->msr.linear_address_range;
	vcpu->mmu.range_gen = ++vcpu->vm->mmu->range_gen;
	slot_replace(vcpu, 0, NULL);
	slot_replace(vcpu, 1, NULL);
}

/* The root of a mode, if it is at hand. The vCPU's own reference keeps it; its role is
 * that of pvm_root_role() as long as nothing has changed that goes into it. */
static inline struct pvm_shadow_page *root_loaded(const struct pvm_vcpu *vcpu, bool user_mode, uint64_t cr3)
{
	struct pvm_shadow_page *root = vcpu->mmu.root[user_mode];

	if (!root || root->gfn.v != pvm_cr3_gfn(cr3).v || vcpu->mmu.cr4 != vcpu->cr4 ||
	    vcpu->mmu.efer != vcpu->efer || vcpu->mmu.range != vcpu->msr.linear_address_range ||
	    PVM_READ_ONCE(root->dead))
		return NULL;
	return root;
}

static int load(struct pvm_fill *fill, enum pvm_sleep sleep)
{
	pvm_gfn_t table = pvm_cr3_gfn(fill->vcpu->cr3);

	if (!pvm_walk_entry_va(fill->vcpu, table, 0, false))
		return pvm_is_late(fill->vcpu, table, false) ? PVM_EAGAIN : PVM_EFAULT;
	return pvm_fill_root(fill, sleep);
}

/* The root of a mode, if it has been made before; none stays there for other tables. */
static struct pvm_shadow_page *take_found(struct pvm_vcpu *vcpu, union pvm_mmu_role common, bool user_mode)
{
	const struct pvm_vm *vm = vcpu->vm;
	uint64_t cr3 = user_mode == vcpu->user_mode ? vcpu->cr3 : vm->abi->other_cr3(vcpu);
	struct pvm_shadow_page *page = pvm_page_find(vm->mmu, pvm_cr3_gfn(cr3),
						     of_mode(vcpu, common, user_mode), vcpu->mmu.range_gen);

	slot_set(vcpu, user_mode, page);
	return page;
}

/* Both roots, where this mode's has been made before: the other's with it, in the same hold of the lock. */
static struct pvm_shadow_page *take_both(struct pvm_vcpu *vcpu)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;
	union pvm_mmu_role common;
	struct pvm_shadow_page *page;

	pvm_root_refresh(vcpu);
	common = common_role(vcpu);
	page = take_found(vcpu, common, vcpu->user_mode);
	if (!page)
		return NULL;
	page->used = ++mmu->use_clock;
	take_found(vcpu, common, !vcpu->user_mode);
	pvm_page_finish(mmu);
	return page;
}

int pvm_mmu_load(struct pvm_vcpu *vcpu, pvm_hpa_t *root, enum pvm_sleep sleep)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_shadow_page *page = root_loaded(vcpu, vcpu->user_mode, vcpu->cr3);
	struct pvm_fill fill;
	unsigned passes = 0;
	int rc;

	if (page) {
		*root = page->host.pa;
		return PVM_OK;
	}
	pvm_lock(vm);
	page = take_both(vcpu);
	pvm_unlock(vm);
	if (pvm_likely(page)) {
		*root = page->host.pa;
		return PVM_OK;
	}
	fill.vcpu = vcpu;
	fill.walk.gva = pvm_gva(0);	/* the root is looked for, no entry of it */
	fill.starved = !pvm_pool_refill(vm->mmu, RESERVE_GOAL, sleep);
	pvm_lock(vm);
	vm->mmu->use_clock++;
	pvm_root_refresh(vcpu);
	while ((rc = load(&fill, sleep)) == FILL_AGAIN) {
		if (sleep == PVM_NO_SLEEP && ++passes == PVM_BRIEF_PASSES) {	/* M12 */
			rc = PVM_EAGAIN;
			break;
		}
		pvm_fill_pause(&fill, sleep);
	}
	if (rc == PVM_OK)
		*root = ((struct pvm_shadow_page *)vcpu->mmu.root[vcpu->user_mode])->host.pa;
	pvm_page_finish(vm->mmu);
	pvm_unlock(vm);
	return rc;
}

pvm_hpa_t pvm_mmu_other_root(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_shadow_page *page = root_loaded(vcpu, !vcpu->user_mode, vm->abi->other_cr3(vcpu));

	if (page)
		return page->host.pa;
	if (vcpu->mmu.range != vcpu->msr.linear_address_range)
		return pvm_hpa(PVM_INVALID_ADDR);
	pvm_lock(vm);
	page = take_found(vcpu, common_role(vcpu), !vcpu->user_mode);
	pvm_unlock(vm);
	return page ? page->host.pa : pvm_hpa(PVM_INVALID_ADDR);
}

uint64_t pvm_mmu_root_role(const struct pvm_vcpu *vcpu)
{
	union pvm_mmu_role role = pvm_root_role(vcpu, false);

	return role.word | (role.range > 1 ? vcpu->mmu.range_gen << 32 : 0);
}

void pvm_mmu_new_cr3(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;

	pvm_recent_forget(vcpu);
	pvm_lock(vm);
	slot_replace(vcpu, 0, NULL);
	slot_replace(vcpu, 1, NULL);
	pvm_unlock(vm);
}
