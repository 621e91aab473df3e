/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Page faults: whose they are. What the guest's own tables refuse is injected;
 * what they allow is filled, or is MMIO where no memory is.
 *
 * spec: Paging, Protection Keys
 */
#include <pvm/mmu.h>

#include "fill.h"
#include "flush.h"
#include "internal.h"
#include "late.h"
#include "lock.h"
#include "near.h"
#include "page.h"
#include "root.h"
#include "track.h"
#include "walk.h"

/* Attempts, each in a hold of the lock of its own; then the guest may run into it
 * again. */
#define FAULT_TRIES 32

/* The frame that gfn_to_frame() gave outside the lock; worth nothing once the
 * host has taken any memory back since (M10). */
struct frame_hint {
	bool valid;
	uint64_t gen;			/* pvm_mmu::frames_gen then */
	pvm_gfn_t gfn;
	int rc;
	struct pvm_frame frame;
};

/* Field by field: building a struct and copying it costs a fill's eighth. */
static void answer(struct pvm_fault_result *result, enum pvm_fault kind, pvm_gpa_t gpa)
{
	result->kind = kind;
	result->vector = 0;
	result->error_code = 0;
	result->gpa = gpa;
	result->error = PVM_OK;
}

static void inject(struct pvm_fault_result *result, const struct pvm_guest_walk *walk)
{
	answer(result, PVM_FAULT_INJECT, pvm_gpa(PVM_INVALID_ADDR));
	result->vector = walk->vector;
	result->error_code = walk->error_code;
}

static void failed(struct pvm_fault_result *result, int error)
{
	answer(result, error == PVM_EAGAIN ? PVM_FAULT_WOULD_BLOCK : PVM_FAULT_ERROR,
	       pvm_gpa(PVM_INVALID_ADDR));
	result->error = error;
}

/*
 * The CPU refused for a key although keys are off in this mode: the underlying
 * PKRU still counts. No shadow entry can allow it, so the guest must hear of it.
 */
static bool key_is_final(const struct pvm_vcpu *vcpu, struct pvm_guest_walk *walk, uint32_t error_code)
{
	unsigned key = vcpu->cr4 & PVM_CR4_PKE ? pvm_pte_key(walk->entry[walk->level]) : 0;

	if (!(error_code & PVM_PF_PK) ||
	    !pvm_pkru_refuses(vcpu->pkru, key, walk->access & PVM_ACCESS_WRITE))
		return false;
	walk->vector = PVM_VEC_PF;
	walk->error_code = PVM_PF_P | PVM_PF_PK | (walk->access & PVM_PF_W) |
		(vcpu->user_mode ? PVM_PF_U : 0);
	return true;
}

/* The host is changing what backs the page or a table on the way to it: nothing that
 * it says in between is installed (M10). The guest runs into it again. */
static bool is_taken(const struct pvm_fill *fill)
{
	const struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	unsigned level;

	for (level = fill->walk.level; level <= fill->walk.top; level++)
		if (pvm_frames_are_taken(mmu, fill->walk.table[level], 1))
			return true;
	return pvm_frames_are_taken(mmu, fill->gfn, 1);
}

/* The guest changed its tables, or one of them cannot be written without sleeping. */
static bool not_accessed(const struct pvm_guest_walk *walk, struct pvm_fault_result *result)
{
	if (walk->late)
		failed(result, PVM_EAGAIN);
	return walk->late;
}

static int find_frame(struct pvm_fill *fill, const struct frame_hint *hint)
{
	struct pvm_vm *vm = fill->vcpu->vm;

	if (hint->valid && hint->gen == vm->mmu->frames_gen && hint->gfn.v == fill->gfn.v) {
		fill->frame = hint->frame;
		return hint->rc;
	}
	return vm->ops->gfn_to_frame(vm->host, fill->gfn, fill->walk.access & PVM_ACCESS_WRITE,
				     PVM_NO_SLEEP, &fill->frame);
}

/* What the guest's tables refuse is M2P's perhaps. False: as try_fault()'s. */
static bool try_refused(struct pvm_fill *fill, uint32_t error_code, enum pvm_sleep sleep,
			struct pvm_fault_result *result)
{
	struct pvm_guest_walk *walk = &fill->walk;
	int rc = error_code & PVM_PF_P ? PVM_ENOENT : pvm_fill_m2p(fill, sleep);

	answer(result, PVM_FAULT_FIXED, pvm_gpa(PVM_INVALID_ADDR));
	if (rc == PVM_OK || rc == FILL_AGAIN)
		return rc == PVM_OK;
	if (walk->no_table && pvm_frames_are_taken(fill->vcpu->vm->mmu, walk->table[walk->level], 1))
		return true;
	if (rc != PVM_ENOENT)
		failed(result, rc);
	else if (walk->late)
		failed(result, PVM_EAGAIN);
	else
		inject(result, walk);
	return true;
}

/* One attempt. False: the guest changed its tables meanwhile, or it is too much for one
 * hold of the lock. */
static bool try_fault(struct pvm_fill *fill, uint32_t error_code, enum pvm_sleep sleep,
		      const struct frame_hint *hint, struct pvm_fault_result *result)
{
	struct pvm_vcpu *vcpu = fill->vcpu;
	struct pvm_guest_walk *walk = &fill->walk;
	bool write = error_code & PVM_PF_W;
	int rc;

	if (!pvm_walk_guest(vcpu, walk->gva, error_code & (PVM_ACCESS_WRITE | PVM_ACCESS_EXEC), walk) ||
	    key_is_final(vcpu, walk, error_code))
		return try_refused(fill, error_code, sleep, result);
	answer(result, PVM_FAULT_FIXED, walk->gpa);
	fill->gfn = pvm_gpa_to_gfn(walk->gpa);
	if (pvm_unlikely(vcpu->vm->mmu->taking) && is_taken(fill))
		return true;
	rc = find_frame(fill, hint);
	if (rc == PVM_ENOENT || (rc == PVM_OK && write && !fill->frame.writable)) {
		answer(result, PVM_FAULT_MMIO, walk->gpa);
		return pvm_walk_set_accessed(vcpu, walk) || not_accessed(walk, result);
	}
	if (rc != PVM_OK) {
		failed(result, rc);
		return true;
	}
	if (write && !pvm_track_written(vcpu->vm->mmu, fill->gfn))
		return false;
	rc = pvm_fill_prepare(fill, sleep);
	if (rc == FILL_AGAIN)
		return false;
	if (rc != PVM_OK) {
		failed(result, rc);
		return true;
	}
	if (!pvm_walk_set_accessed(vcpu, walk))
		return not_accessed(walk, result);
	return pvm_fill_install(fill);
}

static void fault_locked(struct pvm_fill *fill, uint32_t error_code, enum pvm_sleep sleep,
			 const struct frame_hint *hint, struct pvm_fault_result *result)
{
	/* M12: without sleep interrupts may be off. */
	unsigned most = sleep == PVM_NO_SLEEP ? PVM_BRIEF_PASSES : FAULT_TRIES;
	struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	unsigned tries;

	mmu->use_clock++;
	mmu->stats.faults++;
	pvm_root_refresh(fill->vcpu);
	for (tries = 0; tries < most; tries++) {
		if (try_fault(fill, error_code, sleep, hint, result))
			break;
		pvm_fill_pause(fill, sleep);
	}
	if (tries == most && sleep == PVM_NO_SLEEP)
		failed(result, PVM_EAGAIN);
	mmu->stats.injected += result->kind == PVM_FAULT_INJECT;
	pvm_page_finish(mmu);
}

static struct pvm_fault_result traced(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
				      struct pvm_fault_result result)
{
	pvm_trace_vcpu(vcpu, PVM_TRACE_FAULT, gva.v, error_code, result.kind, result.error_code);
	return result;
}

static struct pvm_fault_result fault_far(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
					 enum pvm_sleep sleep)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_fault_result result;
	struct frame_hint hint;
	struct pvm_fill fill;
	unsigned late = 0;

	/* Hot: the rest is filled by the walk, and by who uses it. */
	fill.vcpu = vcpu;
	fill.walk.gva = gva;
	fill.wanted = 0;
	hint.valid = false;
	for (;;) {
		fill.starved = PVM_READ_ONCE(vm->mmu->reserved) < RESERVE_GOAL &&
			!pvm_pool_refill(vm->mmu, RESERVE_GOAL, sleep);
		pvm_lock(vm);
		fault_locked(&fill, error_code, sleep, &hint, &result);
		hint.gen = vm->mmu->frames_gen;
		pvm_unlock(vm);
		if (result.kind != PVM_FAULT_WOULD_BLOCK || sleep == PVM_NO_SLEEP)
			break;
		if (fill.walk.late) {
			int rc = pvm_late_fetch(vcpu);

			if (rc == PVM_EAGAIN || ++late == LATE_TRIES)
				break;
			if (rc == PVM_OK)
				continue;
			result.kind = PVM_FAULT_ERROR;
			result.error = rc;
			break;
		}
		hint.gfn = fill.gfn;
		hint.rc = vm->ops->gfn_to_frame(vm->host, fill.gfn, error_code & PVM_PF_W,
						PVM_MAY_SLEEP, &hint.frame);
		if (hint.rc == PVM_EAGAIN)
			break;
		hint.valid = true;
	}
	return traced(vcpu, gva, error_code, result);
}

struct pvm_fault_result pvm_mmu_fault(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
				      enum pvm_sleep sleep)
{
	struct pvm_fault_result result = { .kind = PVM_FAULT_FIXED, .gpa = { PVM_INVALID_ADDR } };

	if (pvm_unlikely(pvm_near_fault(vcpu, gva, error_code, &result) == PVM_NEAR_NOT))
		return fault_far(vcpu, gva, error_code, sleep);
	return traced(vcpu, gva, error_code, result);
}
