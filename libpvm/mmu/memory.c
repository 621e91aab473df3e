/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest's memory by linear address, for the engine: with the guest's own
 * rights, straight through its tables. Never through shadow tables, which may
 * be stale. A page at a time, and inside (lock.h) or with the MMU lock, so that no
 * frame is taken back in the middle of a copy (M10); the lock is needed only to
 * write a table that is tracked, or more than one page.
 *
 * spec: Paging
 */
#include <pvm/mmu.h>

#include "flush.h"
#include "internal.h"
#include "late.h"
#include "lock.h"
#include "page.h"
#include "recent.h"
#include "track.h"
#include "walk.h"

#define WINDOW 2	/* pages that are checked before any of them is written */

static int report_late(struct pvm_fault_result *result)
{
	*result = (struct pvm_fault_result){
		.kind = PVM_FAULT_WOULD_BLOCK,
		.gpa = { PVM_INVALID_ADDR },
		.error = PVM_EAGAIN,
	};
	return PVM_EAGAIN;
}

static int report_refusal(const struct pvm_guest_walk *walk, struct pvm_fault_result *result)
{
	if (walk->late)
		return report_late(result);
	*result = (struct pvm_fault_result){
		.kind = PVM_FAULT_INJECT,
		.vector = walk->vector,
		.error_code = walk->error_code,
		.gpa = { PVM_INVALID_ADDR },
	};
	return PVM_EFAULT;
}

/* The tables allow it, but no memory is there (or, to write, read-only memory), or not now. */
static int report_no_memory(struct pvm_vcpu *vcpu, const struct pvm_guest_walk *walk,
			    struct pvm_fault_result *result)
{
	if (pvm_is_late(vcpu, pvm_gpa_to_gfn(walk->gpa), walk->access & PVM_ACCESS_WRITE))
		return report_late(result);
	*result = (struct pvm_fault_result){
		.kind = PVM_FAULT_MMIO,
		.vector = PVM_VEC_PF,
		.error_code = (walk->access & PVM_PF_W) | (vcpu->user_mode ? PVM_PF_U : 0),
		.gpa = walk->gpa,
	};
	return PVM_EFAULT;
}

bool pvm_mmu_translate(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t access, bool set_ad,
		       struct pvm_fault_result *result)
{
	struct pvm_guest_walk walk;
	bool allowed, inside = pvm_enter_or_lock(vcpu);

	if (set_ad)
		allowed = pvm_walk_access(vcpu, gva, access, &walk);
	else
		allowed = pvm_walk_guest(vcpu, gva, access, &walk);
	pvm_leave_or_unlock(vcpu, inside);

	if (allowed)
		*result = (struct pvm_fault_result){ .kind = PVM_FAULT_FIXED, .gpa = walk.gpa };
	else
		report_refusal(&walk, result);
	return allowed;
}

/* Bytes from @gva to the end of its page, at most @len. */
static size_t page_part(pvm_gva_t gva, size_t len)
{
	size_t left = PVM_PAGE_SIZE - (gva.v & (PVM_PAGE_SIZE - 1));

	return len < left ? len : left;
}

static uint8_t *walk_va(struct pvm_vcpu *vcpu, const struct pvm_guest_walk *walk, bool write)
{
	uint8_t *va = pvm_frame_va(vcpu, pvm_gpa_to_gfn(walk->gpa), write);

	return va ? va + (walk->gpa.v & (PVM_PAGE_SIZE - 1)) : NULL;
}

/* An address that was looked up of late; NULL: walk. */
static uint8_t *recent_va(struct pvm_vcpu *vcpu, pvm_gva_t gva, bool write)
{
	const pvm_gfn_t *gfn = pvm_recent_page(vcpu, gva, write);
	uint8_t *va;

	if (!gfn || (write && pvm_page_tracked(vcpu->vm->mmu, *gfn)))
		return NULL;
	va = pvm_frame_va(vcpu, *gfn, write);
	return va ? va + (gva.v & (PVM_PAGE_SIZE - 1)) : NULL;
}

static int read_inside(struct pvm_vcpu *vcpu, pvm_gva_t gva, void *buf, size_t len, uint32_t access,
		       struct pvm_fault_result *fault)
{
	struct pvm_guest_walk walk;
	const uint8_t *va = access & PVM_ACCESS_EXEC ? NULL : recent_va(vcpu, gva, access & PVM_ACCESS_WRITE);

	if (va) {
		memcpy(buf, va, len);
		return PVM_OK;
	}
	if (!pvm_walk_access(vcpu, gva, access, &walk))
		return report_refusal(&walk, fault);
	va = walk_va(vcpu, &walk, false);
	if (!va)
		return report_no_memory(vcpu, &walk, fault);
	if (!(access & PVM_ACCESS_EXEC))
		pvm_recent_remember(vcpu, &walk);
	memcpy(buf, va, len);
	return PVM_OK;
}

static int read_page(struct pvm_vcpu *vcpu, pvm_gva_t gva, void *buf, size_t len, uint32_t access,
		     struct pvm_fault_result *fault)
{
	bool inside = pvm_enter_or_lock(vcpu);
	int rc = read_inside(vcpu, gva, buf, len, access, fault);

	pvm_leave_or_unlock(vcpu, inside);
	return rc;
}

int pvm_mmu_read(struct pvm_vcpu *vcpu, pvm_gva_t gva, void *buf, size_t len, uint32_t access,
		 struct pvm_fault_result *fault, pvm_gva_t *fault_gva)
{
	uint8_t *to = buf;
	int rc = PVM_OK;

	while (len && rc == PVM_OK) {
		size_t part = page_part(gva, len);

		*fault_gva = gva;
		rc = read_page(vcpu, gva, to, part, access, fault);
		to += part;
		gva.v += part;
		len -= part;
	}
	return rc;
}

/* Bytes of guest memory by gpa, within one page. */
static int touch_gpa(struct pvm_vcpu *vcpu, pvm_gpa_t gpa, void *to, size_t len, bool write)
{
	pvm_gfn_t gfn = pvm_gpa_to_gfn(gpa);
	struct pvm_vm *vm = vcpu->vm;
	const uint8_t *va;
	bool inside;
	int rc = PVM_OK;

	if (gpa.v >> vm->config.guest_maxphyaddr)
		return PVM_EFAULT;
	inside = pvm_enter_or_lock(vcpu);
	va = pvm_frame_va(vcpu, gfn, write);
	if (va)
		memcpy(to, va + (gpa.v & (PVM_PAGE_SIZE - 1)), len);
	else
		rc = pvm_is_late(vcpu, gfn, write) ? PVM_EAGAIN : PVM_EFAULT;
	pvm_leave_or_unlock(vcpu, inside);
	return rc;
}

int pvm_mmu_read_gpa(struct pvm_vcpu *vcpu, pvm_gpa_t gpa, void *buf, size_t len)
{
	if ((gpa.v & (PVM_PAGE_SIZE - 1)) + len > PVM_PAGE_SIZE)
		return PVM_EINVAL;
	return touch_gpa(vcpu, gpa, buf, len, false);
}

int pvm_mmu_probe_gpa(struct pvm_vcpu *vcpu, pvm_gpa_t gpa)
{
	return touch_gpa(vcpu, gpa, NULL, 0, true);
}

/* A page of a write: where it goes and by which walk. */
struct target {
	struct pvm_guest_walk walk;
	uint8_t *va;
};

/* Check @pages pages from @gva on, then set their A and D bits. *@again: an entry has
 * changed since it was read (M6). */
static int check_window(struct pvm_vcpu *vcpu, pvm_gva_t gva, unsigned pages, struct target *target,
			struct pvm_fault_result *fault, pvm_gva_t *fault_gva, bool *again)
{
	unsigned i;

	for (i = 0; i < pages; i++) {
		*fault_gva = i ? pvm_gva((gva.v | (PVM_PAGE_SIZE - 1)) + 1) : gva;
		if (!pvm_walk_guest(vcpu, *fault_gva, PVM_ACCESS_WRITE, &target[i].walk))
			return report_refusal(&target[i].walk, fault);
		target[i].va = walk_va(vcpu, &target[i].walk, true);
		if (!target[i].va)
			return report_no_memory(vcpu, &target[i].walk, fault);
	}
	for (i = 0; i < pages; i++) {
		*again |= !pvm_walk_set_accessed(vcpu, &target[i].walk);
		if (target[i].walk.late)
			return report_late(fault);
	}
	return PVM_OK;
}

/* Until no other CPU changes an entry between its walk and its bits: what is written is
 * dirty. A guest that never stops has it written without. */
static int open_window(struct pvm_vcpu *vcpu, pvm_gva_t gva, unsigned pages, struct target *target,
		       struct pvm_fault_result *fault, pvm_gva_t *fault_gva)
{
	unsigned tries;

	for (tries = 0; tries < WALK_TRIES; tries++) {
		bool again = false;
		int rc = check_window(vcpu, gva, pages, target, fault, fault_gva, &again);

		if (rc != PVM_OK || !again)
			return rc;
	}
	return PVM_OK;
}

/* What the window's pages hold is about to be written. False: give the lock up, and open
 * the window again. */
static bool note_writes(struct pvm_mmu *mmu, const struct target *target, unsigned pages)
{
	unsigned i;

	for (i = 0; i < pages; i++)
		if (!pvm_track_written(mmu, pvm_gpa_to_gfn(target[i].walk.gpa)))
			return false;
	return true;
}

/* A write within one page that the guest may write itself, beside other vCPUs. False:
 * something is in the way, and nothing was written. */
static bool write_inside(struct pvm_vcpu *vcpu, pvm_gva_t gva, const void *buf, size_t len)
{
	const struct pvm_mmu *mmu = vcpu->vm->mmu;
	struct target target;
	bool done;

	if (!pvm_enter(vcpu))
		return false;
	target.va = recent_va(vcpu, gva, true);
	done = target.va;
	if (!done && pvm_walk_guest(vcpu, gva, PVM_ACCESS_WRITE, &target.walk) &&
	    !pvm_page_tracked(mmu, pvm_gpa_to_gfn(target.walk.gpa))) {
		target.va = walk_va(vcpu, &target.walk, true);
		done = target.va && pvm_walk_set_accessed(vcpu, &target.walk);
		if (done)
			pvm_recent_remember(vcpu, &target.walk);
	}
	if (done)
		memcpy(target.va, buf, len);
	pvm_leave(vcpu);
	return done;
}

int pvm_mmu_write(struct pvm_vcpu *vcpu, pvm_gva_t gva, const void *buf, size_t len,
		  struct pvm_fault_result *fault, pvm_gva_t *fault_gva)
{
	struct pvm_vm *vm = vcpu->vm;
	struct target target[WINDOW];
	const uint8_t *from = buf;
	unsigned passes = 0;
	int rc = PVM_OK;

	if (page_part(gva, len) == len && write_inside(vcpu, gva, buf, len))
		return PVM_OK;
	pvm_lock(vm);
	while (len) {
		size_t part = page_part(gva, len);
		unsigned i, pages = part < len ? WINDOW : 1;

		rc = open_window(vcpu, gva, pages, target, fault, fault_gva);
		if (rc != PVM_OK)
			break;
		if (!note_writes(vm->mmu, target, pages)) {
			if (vcpu->brief && ++passes == PVM_BRIEF_PASSES) {	/* M12 */
				rc = report_late(fault);
				break;
			}
			pvm_page_breathe(vm->mmu, pvm_vcpu_sleep(vcpu));
			continue;
		}
		for (i = 0; i < pages; i++) {
			part = page_part(gva, len);
			memcpy(target[i].va, from, part);
			from += part;
			gva.v += part;
			len -= part;
		}
	}
	pvm_page_finish(vm->mmu);
	pvm_unlock(vm);
	return rc;
}
