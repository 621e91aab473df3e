/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host changes guest memory: takes frames back, takes the right to write
 * them, has written into them. What is taken is out of reach of every vCPU
 * before the call returns (M10).
 *
 * A range is gone through in order, and the lock is given up in between (M12). What
 * was done stays done: as long as frames are being taken, no fault installs them.
 */
#include <pvm/mmu.h>

#include "batch.h"
#include "entry.h"
#include "internal.h"
#include "lock.h"
#include "page.h"
#include "tlb.h"
#include "track.h"

/* Of one hold of the lock, in slots looked at. */
#define HOLD_BUDGET	8192
#define LEAF_COST	16
#define TABLE_COST	4096
#define SKIP_COST	64	/* of looking past frames that nothing is known of */
#define TRIM_COST	128	/* of looking whether a page of an index is empty */
#define LEAVES_MAX	64	/* of a frame, gone through without giving the lock up */
#define SHRINK_STEP	16	/* shadow pages */
#define FRAMES_MAX	(1ull << 40)	/* gpas have at most 52 bits */

/* Going through frames. */
struct pass {
	struct pvm_mmu *mmu;
	struct pvm_tlb_batch batch;
	int budget;
	uint64_t accessed;
	uint64_t clear;		/* age(): the bits of a leaf that go */
	enum pvm_sleep sleep;
};

/* What the pass does with the leaves of one page of memory. False: it is to be called again. */
typedef bool (*leaves_fn)(struct pass *pass, uint32_t *head);

static void breathe(struct pass *pass)
{
	pvm_tlb_batch_flush(pass->mmu, &pass->batch);
	memset(&pass->batch, 0, sizeof(pass->batch));
	pvm_page_breathe(pass->mmu, pass->sleep);
	pass->budget = HOLD_BUDGET;
}

static void spend(struct pass *pass, int cost)
{
	pass->mmu->steps++;
	pass->budget -= cost;
	if (pass->budget <= 0)
		breathe(pass);
}

/* The leaves go; their tables stay. */
static bool take_leaves(struct pass *pass, uint32_t *head)
{
	unsigned count = LEAVES_MAX;

	while (*head && count--) {
		unsigned index;
		struct pvm_shadow_page *page = pvm_ref_page(pass->mmu, *head, &index);

		pvm_tlb_batch_leaf(&pass->batch, page, index);
		pvm_entry_drop(pass->mmu, page, index);
		pass->mmu->steps++;
		pass->budget -= LEAF_COST;
	}
	return !*head;
}

static bool more_than(const struct pvm_mmu *mmu, uint32_t ref, unsigned count)
{
	for (; ref; ref = pvm_ref_next(mmu, ref))
		if (!count--)
			return true;
	return false;
}

/* The right to write goes; of a frame that is mapped often, the leaves. */
static bool take_write(struct pass *pass, uint32_t *head)
{
	unsigned index;
	uint32_t ref;

	if (more_than(pass->mmu, *head, LEAVES_MAX))
		return take_leaves(pass, head);
	for (ref = *head; ref; ref = pvm_ref_next(pass->mmu, ref)) {
		struct pvm_shadow_page *page = pvm_ref_page(pass->mmu, ref, &index);

		pass->budget -= LEAF_COST;
		if (!(page->table[index] & PVM_PTE_W))
			continue;
		pvm_tlb_batch_leaf(&pass->batch, page, index);
		PVM_WRITE_ONCE(page->table[index], page->table[index] & ~(PVM_PTE_W | PVM_PTE_D));
	}
	return true;
}

/* Test the accessed bits, and clear them. What is mapped often counts as used. */
static bool age(struct pass *pass, uint32_t *head)
{
	bool used = more_than(pass->mmu, *head, LEAVES_MAX);
	unsigned count = LEAVES_MAX;
	uint32_t ref;

	for (ref = *head; ref && count--; ref = pvm_ref_next(pass->mmu, ref)) {
		unsigned index;
		struct pvm_shadow_page *page = pvm_ref_page(pass->mmu, ref, &index);

		pass->budget -= LEAF_COST;
		/* The CPU sets it by itself. */
		if (__atomic_fetch_and(&page->table[index], ~pass->clear, __ATOMIC_RELAXED) & PVM_PTE_A)
			used = true;
	}
	pass->accessed += used;
	return true;
}

/* Every page of memory, of whatever size, that has leaves in the range. */
static void for_leaves(struct pass *pass, pvm_gfn_t gfn, uint64_t count, leaves_fn fn)
{
	uint64_t last = gfn.v + count - 1;
	unsigned level;

	for (level = 1; level <= 3; level++) {
		const struct pvm_radix *rmap = &pass->mmu->rmap[level - 1];
		unsigned shift = 9 * (level - 1);
		uint64_t index = gfn.v >> shift, end = (last >> shift) + 1;

		while (index < end) {
			uint32_t *head = pvm_radix_next(rmap, &index, end);
			bool done = head && (!*head || fn(pass, head));

			/* Whoever has the lock meanwhile may give the head's page back. */
			spend(pass, head ? 1 : SKIP_COST);
			index += done;
		}
	}
}

/* TLBs may hold frames that no leaf maps any more. */
static void batch_frames(struct pass *pass, pvm_gfn_t gfn, uint64_t count)
{
	uint64_t i;

	if (count >= STALE_BITS)
		pass->batch.everything |= pass->mmu->stale_some || pass->mmu->stale_links;
	for (i = 0; count < STALE_BITS && i < count && !pass->batch.everything; i++)
		pvm_tlb_batch_frame(pass->mmu, &pass->batch, pvm_gfn(gfn.v + i));
}

/* What has left the tables leaves the TLBs: also what others took away, and noted, while
 * the lock was not held. */
static void flush(struct pass *pass, pvm_gfn_t gfn, uint64_t count)
{
	batch_frames(pass, gfn, count);
	pvm_tlb_batch_flush(pass->mmu, &pass->batch);
	memset(&pass->batch, 0, sizeof(pass->batch));
}

/* What of a range can be frames at all. False: nothing. */
static bool clamp_range(pvm_gfn_t gfn, uint64_t *count)
{
	if (gfn.v >= FRAMES_MAX)
		return false;
	if (*count > FRAMES_MAX - gfn.v)
		*count = FRAMES_MAX - gfn.v;
	return *count;
}

static struct pvm_shadow_page *first_mirror(const struct pvm_mmu *mmu, pvm_gfn_t gfn)
{
	struct pvm_shadow_page *page = pvm_page_first(mmu, gfn);

	while (page && !page->role.guest_levels)
		page = page->same_next;
	return page;
}

/* Shadow pages made from tables in the range: their source is gone. */
static void zap_tables(struct pass *pass, pvm_gfn_t gfn, uint64_t count)
{
	const struct pvm_radix *tables = &pass->mmu->tables;
	uint64_t index = gfn.v, end = gfn.v + count;

	while (index < end) {
		struct pvm_shadow_page *page;

		if (!pvm_radix_next(tables, &index, end)) {
			spend(pass, SKIP_COST);
			continue;
		}

		/* After each one the lock may have been given up. */
		while ((page = first_mirror(pass->mmu, pvm_gfn(index)))) {
			pvm_page_zap_some(pass->mmu, page);
			spend(pass, TABLE_COST);
		}
		spend(pass, 1);
		index++;
	}
}

/* What an index has for nothing in [@first, @last] any more. */
static void trim(struct pass *pass, struct pvm_radix *radix, uint64_t first, uint64_t last)
{
	uint64_t index = first, page = (1ull << radix->shift) - 1;

	while (index <= last) {
		if (!pvm_radix_next(radix, &index, last + 1)) {
			spend(pass, SKIP_COST);
			continue;
		}
		pvm_radix_trim(pass->mmu, radix, index);
		spend(pass, TRIM_COST);
		index = (index | page) + 1;
	}
}

/* Or memory that comes and goes, at many places, fills all there may be of such pages. */
static void trim_indices(struct pass *pass, pvm_gfn_t gfn, uint64_t count)
{
	uint64_t last = gfn.v + count - 1;
	unsigned level;

	for (level = 1; level <= 3; level++) {
		unsigned shift = 9 * (level - 1);

		trim(pass, &pass->mmu->rmap[level - 1], gfn.v >> shift, last >> shift);
	}
	trim(pass, &pass->mmu->tables, gfn.v, last);
}

/* From here to taking_ends() no frame of the range is installed. */
static void taking_starts(struct pvm_mmu *mmu, pvm_gfn_t gfn, uint64_t count)
{
	uint64_t end = gfn.v + count;

	mmu->frames_gen++;
	if (!mmu->taking || gfn.v < mmu->taking_start)
		mmu->taking_start = gfn.v;
	if (!mmu->taking || end > mmu->taking_end)
		mmu->taking_end = end;
	mmu->taking++;
}

static void taking_ends(struct pvm_mmu *mmu)
{
	mmu->frames_gen++;
	mmu->taking--;
}

static void take(struct pvm_mmu *mmu, pvm_gfn_t gfn, uint64_t count, enum pvm_sleep sleep)
{
	struct pass pass = { .mmu = mmu, .budget = HOLD_BUDGET, .sleep = sleep };

	for_leaves(&pass, gfn, count, take_leaves);
	flush(&pass, gfn, count);
	zap_tables(&pass, gfn, count);
	flush(&pass, gfn, count);
	trim_indices(&pass, gfn, count);
	pvm_page_finish(mmu);
}

void pvm_mmu_invalidate_begin(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count, enum pvm_sleep sleep)
{
	if (!clamp_range(gfn, &count))
		return;
	pvm_lock(vm);
	taking_starts(vm->mmu, gfn, count);
	take(vm->mmu, gfn, count, sleep);
	pvm_unlock(vm);
}

void pvm_mmu_invalidate_end(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count)
{
	if (!clamp_range(gfn, &count))
		return;
	pvm_lock(vm);
	taking_ends(vm->mmu);
	pvm_unlock(vm);
}

void pvm_mmu_unmap_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count, enum pvm_sleep sleep)
{
	if (!clamp_range(gfn, &count))
		return;
	pvm_lock(vm);
	taking_starts(vm->mmu, gfn, count);
	take(vm->mmu, gfn, count, sleep);
	taking_ends(vm->mmu);
	pvm_unlock(vm);
}

void pvm_mmu_write_protect_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count, enum pvm_sleep sleep)
{
	struct pass pass = { .mmu = vm->mmu, .budget = HOLD_BUDGET, .sleep = sleep };

	if (!clamp_range(gfn, &count))
		return;
	pvm_lock(vm);
	taking_starts(vm->mmu, gfn, count);
	for_leaves(&pass, gfn, count, take_write);
	flush(&pass, gfn, count);
	pvm_page_finish(vm->mmu);
	taking_ends(vm->mmu);
	pvm_unlock(vm);
}

static uint64_t accessed(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count, uint64_t clear)
{
	struct pass pass = { .mmu = vm->mmu, .budget = HOLD_BUDGET, .clear = clear };

	if (!clamp_range(gfn, &count))
		return 0;
	pvm_lock(vm);
	for_leaves(&pass, gfn, count, age);
	pvm_unlock(vm);
	return pass.accessed;
}

uint64_t pvm_mmu_age_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count)
{
	return accessed(vm, gfn, count, PVM_PTE_A);
}

uint64_t pvm_mmu_accessed_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count)
{
	return accessed(vm, gfn, count, 0);
}

static void note_write(struct pvm_mmu *mmu, pvm_gfn_t gfn, enum pvm_sleep sleep)
{
	while (!pvm_track_written(mmu, gfn))
		pvm_page_breathe(mmu, sleep);
	pvm_page_finish(mmu);
}

void pvm_mmu_host_wrote(struct pvm_vm *vm, pvm_gfn_t gfn, enum pvm_sleep sleep)
{
	pvm_lock(vm);
	note_write(vm->mmu, gfn, sleep);
	pvm_unlock(vm);
}

void pvm_mmu_share_vm(struct pvm_vcpu *vcpu, pvm_gfn_t gfn)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;

	pvm_lock(vcpu->vm);
	mmu->shared = gfn;
	mmu->is_shared = true;
	note_write(mmu, gfn, pvm_vcpu_sleep(vcpu));
	pvm_unlock(vcpu->vm);
}

void pvm_mmu_share(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool shared)
{
	struct pvm_vm *vm = vcpu->vm;

	pvm_lock(vm);
	vcpu->mmu.shared = gfn;
	vcpu->mmu.is_shared = shared;
	if (shared)
		note_write(vm->mmu, gfn, pvm_vcpu_sleep(vcpu));
	pvm_unlock(vm);
}

bool pvm_mmu_is_table(struct pvm_vcpu *vcpu, pvm_gfn_t gfn)
{
	bool inside = pvm_enter_or_lock(vcpu), found = pvm_page_first(vcpu->vm->mmu, gfn);

	pvm_leave_or_unlock(vcpu, inside);
	return found;
}

uint32_t pvm_mmu_shrink(struct pvm_vm *vm, uint32_t target, enum pvm_sleep sleep)
{
	struct pass pass = { .mmu = vm->mmu, .sleep = sleep };
	struct pvm_mmu *mmu = vm->mmu;
	uint32_t left;

	pvm_lock(vm);
	mmu->use_clock++;
	while (pvm_page_free_waiting(mmu))
		breathe(&pass);
	while (mmu->stats.shadow_pages > target) {
		uint32_t over = mmu->stats.shadow_pages - target;

		if (!pvm_page_evict(mmu, over < SHRINK_STEP ? over : SHRINK_STEP))
			break;
		breathe(&pass);
	}
	pvm_pool_drain(mmu);
	left = mmu->stats.shadow_pages;
	pvm_unlock(vm);
	return left;
}
