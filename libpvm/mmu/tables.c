/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a guest tells of its page tables instead of writing them: an entry's new value, and
 * which frames are tables. For guest ABIs with hypercalls for that.
 *
 * The guest's entry is written as its own write would be, and the shadow entries made from it
 * lose what it no longer gives; no TLB is told until the guest flushes (M9).
 */
#include <pvm/mmu.h>

#include "entry.h"
#include "flush.h"
#include "internal.h"
#include "late.h"
#include "lock.h"
#include "mark.h"
#include "page.h"
#include "sync.h"
#include "track.h"
#include "walk.h"

#define KEEP_TRIES 32	/* for A and D, against CPUs that set them meanwhile */

static int no_memory(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write)
{
	return pvm_is_late(vcpu, gfn, write) ? PVM_EAGAIN : PVM_EFAULT;
}

/* *@at = @value, and with @keep_ad the A and D that it has. */
static void store(uint64_t *at, uint64_t value, bool keep_ad)
{
	const uint64_t ad = PVM_PTE_A | PVM_PTE_D;
	uint64_t old = PVM_READ_ONCE(*at);
	unsigned tries;

	for (tries = 0; keep_ad && tries < KEEP_TRIES; tries++)
		if (__atomic_compare_exchange_n(at, &old, value | (old & ad), false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return;
	__atomic_store_n(at, keep_ad ? value | (old & ad) : value, __ATOMIC_SEQ_CST);
}

/* Nothing mirrors the frame. False: something does, or a thread has the lock; nothing was written. */
static bool write_beside(struct pvm_vcpu *vcpu, pvm_gpa_t gpa, uint64_t value, bool keep_ad)
{
	pvm_gfn_t gfn = pvm_gpa_to_gfn(gpa);
	bool done = false;
	uint64_t *va;

	if (!pvm_enter(vcpu))
		return false;
	if (!pvm_page_first(vcpu->vm->mmu, gfn)) {
		va = pvm_walk_entry_va(vcpu, gfn, (unsigned)(gpa.v & (PVM_PAGE_SIZE - 1)) / 8, true);
		if (va) {
			store(va, value, keep_ad);
			done = true;
		}
	}
	pvm_leave(vcpu);
	return done;
}

int pvm_mmu_write_entry(struct pvm_vcpu *vcpu, pvm_gpa_t gpa, uint64_t value, bool keep_ad)
{
	pvm_gfn_t gfn = pvm_gpa_to_gfn(gpa);
	unsigned index = (unsigned)(gpa.v & (PVM_PAGE_SIZE - 1)) / sizeof(value);
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_shadow_page *page;
	uint64_t *va;
	int rc = PVM_OK;

	if (gpa.v % sizeof(value) || gpa.v >> vm->config.guest_maxphyaddr)
		return PVM_EINVAL;
	if (write_beside(vcpu, gpa, value, keep_ad))
		return PVM_OK;
	pvm_lock(vm);
	va = pvm_walk_entry_va(vcpu, gfn, index, true);
	if (va) {
		store(va, value, keep_ad);
		for (page = pvm_page_first(vm->mmu, gfn); page; page = page->same_next)
			if (!page->role.direct)
				pvm_sync_entry(vm->mmu, page, index);
	} else {
		rc = no_memory(vcpu, gfn, true);
	}
	pvm_page_finish(vm->mmu);
	pvm_unlock(vm);
	return rc;
}

int pvm_mmu_find_entry(struct pvm_vcpu *vcpu, pvm_gva_t gva, pvm_gpa_t *gpa)
{
	struct pvm_guest_walk walk;
	bool inside = pvm_enter_or_lock(vcpu);
	bool allowed = pvm_walk_guest(vcpu, gva, PVM_ACCESS_READ, &walk);

	pvm_leave_or_unlock(vcpu, inside);
	/* Whether the entry itself is present or not. */
	if (!allowed && walk.late)
		return PVM_EAGAIN;
	if (walk.level != 1 || walk.no_table)
		return PVM_EINVAL;
	*gpa = pvm_gpa(pvm_gfn_to_gpa(walk.table[1]).v + PVM_LEVEL_INDEX(gva.v, 1) * sizeof(uint64_t));
	return PVM_OK;
}

/* ------------------------------------------------------------------------
 * Marks.
 */

/* What the mark alone allowed goes. False: it would take too long (M12); come again. */
static bool take_writes(struct pvm_vcpu *vcpu, pvm_gfn_t gfn)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;
	uint32_t *head, ref, next;
	unsigned passes = 0;

	while (!pvm_track_can_protect(mmu, gfn)) {
		if (vcpu->brief && ++passes == PVM_BRIEF_PASSES)
			return false;
		pvm_page_breathe(mmu, pvm_vcpu_sleep(vcpu));
	}
	head = pvm_rmap_find(mmu, gfn, 1);
	for (ref = head ? *head : 0; ref; ref = next) {
		unsigned index;
		struct pvm_shadow_page *page = pvm_ref_page(mmu, ref, &index);

		next = pvm_ref_next(mmu, ref);
		if (!page->role.direct && (page->table[index] & PVM_PTE_W))
			pvm_sync_entry(mmu, page, index);
	}
	return true;
}

static int mark(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool table)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;

	if (!pvm_walk_entry_va(vcpu, gfn, 0, false))
		return no_memory(vcpu, gfn, false);
	if (table && mmu->reserved < pvm_mark_missing(mmu, gfn))
		return PVM_ENOMEM;
	pvm_mark_set(mmu, gfn, table);
	if (!table && !take_writes(vcpu, gfn))
		return PVM_EAGAIN;
	return PVM_OK;
}

int pvm_mmu_mark_table(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool table)
{
	struct pvm_vm *vm = vcpu->vm;
	bool refilled;
	int rc;

	if (gfn.v >> (vm->config.guest_maxphyaddr - PVM_PAGE_SHIFT))
		return PVM_EINVAL;
	do {
		refilled = pvm_pool_refill(vm->mmu, RESERVE_GOAL, pvm_vcpu_sleep(vcpu));
		pvm_lock(vm);
		rc = mark(vcpu, gfn, table);
		pvm_page_finish(vm->mmu);
		pvm_unlock(vm);
	} while (rc == PVM_ENOMEM && refilled);	/* others have taken from the reserve */
	/* M11: the host is not out of memory, only this call must not wait for it. */
	return rc == PVM_ENOMEM && vcpu->brief ? PVM_EAGAIN : rc;
}
