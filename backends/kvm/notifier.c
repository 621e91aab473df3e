// SPDX-License-Identifier: GPL-2.0
/*
 * What others do with guest memory: Linux takes pages away and asks which are used, slots go, KVM's
 * emulator and its log write and watch. Whatever is taken away goes from frames, and from the shadow
 * tables, before the notifier returns (M10). And the shrinker, which takes the engine's own pages.
 */
#include <linux/interval_tree.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/srcu.h>

#include "kvm_pvm.h"

/* ------------------------------------------------------------------------
 * Taking away.
 */

#define STEP ((gfn_t)PTRS_PER_PMD * 32)	/* pages, between two chances for others to have the CPU */

/* A part of guest memory. */
struct part {
	gfn_t first, end;
	bool may_sleep;
	bool is_gone;		/* it is memory no more */
	bool found;		/* the answer */
};

typedef void (*part_fn)(struct pvm_kvm *vm, struct part *part);

/* Memory for what is known of [@first, @end), which is nothing any more: in two steps, with the MMU lock
 * taken and given up in between. */
static void retire_frames(struct pvm_kvm_memory *memory, gfn_t first, gfn_t end)
{
	unsigned long flags;

	for (; first < end; first += PTRS_PER_PMD) {
		spin_lock_irqsave(&memory->lock, flags);
		pvm_kvm_frames_retire(&memory->frames, first);
		spin_unlock_irqrestore(&memory->lock, flags);
	}
}

static void reuse_frames(struct pvm_kvm_memory *memory)
{
	unsigned long flags;

	spin_lock_irqsave(&memory->lock, flags);
	pvm_kvm_frames_reuse(&memory->frames);
	spin_unlock_irqrestore(&memory->lock, flags);
}

/* Nothing of these frames is found from here on, as the caller has seen to. Nor that they
 * are part of a large page. */
static void forget(struct pvm_kvm *vm, const struct part *part)
{
	gfn_t first = round_down(part->first, PTRS_PER_PMD), end = round_up(part->end, PTRS_PER_PMD), next;

	for (; first < end; first = next) {
		next = min(first + STEP, end);
		pvm_kvm_frames_forget(&vm->memory.frames, first, next);
		if (part->is_gone)
			retire_frames(&vm->memory, first, next);
		if (smp_load_acquire(&vm->is_made)) {
			gfn_t from = max(first, part->first);

			pvm_mmu_unmap_gfns(&vm->pvm, (pvm_gfn_t){ from }, min(next, part->end) - from,
					   part->may_sleep ? PVM_MAY_SLEEP : PVM_NO_SLEEP);
		}
		if (part->is_gone)
			reuse_frames(&vm->memory);
		if (part->may_sleep)
			cond_resched();
	}
}

/* @fn for what of a slot lies in [start, stop) of user space's addresses. True: it has found something. */
static bool for_part(struct pvm_kvm *vm, const struct pvm_kvm_seen_part *slot, unsigned long start,
		     unsigned long stop, bool may_sleep, part_fn fn)
{
	unsigned long hva = slot->hva, first = max(start, hva);
	unsigned long end = min(stop, hva + (slot->count << PAGE_SHIFT));
	struct part part = {
		.first = slot->first + ((first - hva) >> PAGE_SHIFT),
		.end = slot->first + ((end - hva + PAGE_SIZE - 1) >> PAGE_SHIFT),
		.may_sleep = may_sleep,
	};

	if (first >= end)
		return false;
	fn(vm, &part);
	return part.found;
}

/* @fn for all of guest memory that lies in [start, stop) of user space's addresses. */
static bool for_parts(struct pvm_kvm *vm, unsigned long start, unsigned long stop, bool may_sleep, part_fn fn)
{
	struct pvm_kvm_seen_part seen;
	unsigned long id = 0;
	bool found = false;
	int idx, space;

	idx = srcu_read_lock(&vm->kvm.srcu);
	for (space = 0; space < pvm_kvm_address_spaces(&vm->kvm); space++) {
		struct kvm_memslots *slots = __kvm_memslots(&vm->kvm, space);
		struct interval_tree_node *node = interval_tree_iter_first(&slots->hva_tree, start, stop - 1);

		for (; node; node = interval_tree_iter_next(node, start, stop - 1)) {
			struct kvm_memory_slot *slot =
				container_of(node, struct kvm_memory_slot, hva_node[slots->node_idx]);
			struct pvm_kvm_seen_part part = { slot->base_gfn, slot->userspace_addr,
							  slot->npages };

			found |= for_part(vm, &part, start, stop, may_sleep, fn);
		}
	}
	while (pvm_kvm_next_seen(vm, &id, &seen))
		found |= for_part(vm, &seen, start, stop, may_sleep, fn);
	srcu_read_unlock(&vm->kvm.srcu, idx);
	return found;
}

static void forget_part(struct pvm_kvm *vm, struct part *part)
{
	forget(vm, part);
}

static struct pvm_kvm *vm_of_notifier(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct pvm_kvm, memory.notifier);
}

/* Between start and end find_frame() finds nothing of the range, whatever becomes of slots. */
static int invalidate_start(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct pvm_kvm *vm = vm_of_notifier(notifier);
	struct pvm_kvm_memory *memory = &vm->memory;
	unsigned long flags;

	spin_lock_irqsave(&memory->lock, flags);
	memory->taking_start = memory->taking ? min(memory->taking_start, range->start) : range->start;
	memory->taking_end = memory->taking ? max(memory->taking_end, range->end) : range->end;
	memory->taking++;
	spin_unlock_irqrestore(&memory->lock, flags);

	for_parts(vm, range->start, range->end, mmu_notifier_range_blockable(range), forget_part);
	return 0;
}

static void invalidate_end(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct pvm_kvm_memory *memory = &vm_of_notifier(notifier)->memory;
	unsigned long flags;

	spin_lock_irqsave(&memory->lock, flags);
	memory->taken++;
	memory->taking--;
	spin_unlock_irqrestore(&memory->lock, flags);
}

/* ------------------------------------------------------------------------
 * Which pages are used. No TLB is flushed: an old translation is used for a while without being seen,
 * as with the kernel's own pages.
 */

static void age_part(struct pvm_kvm *vm, struct part *part)
{
	if (smp_load_acquire(&vm->is_made))
		part->found = pvm_mmu_age_gfns(&vm->pvm, (pvm_gfn_t){ part->first },
					       part->end - part->first) > 0;
}

static void test_part(struct pvm_kvm *vm, struct part *part)
{
	if (smp_load_acquire(&vm->is_made))
		part->found = pvm_mmu_accessed_gfns(&vm->pvm, (pvm_gfn_t){ part->first },
						    part->end - part->first) > 0;
}

static pvm_kvm_young_t clear_young(struct mmu_notifier *notifier, struct mm_struct *mm, unsigned long start,
				   unsigned long stop)
{
	return for_parts(vm_of_notifier(notifier), start, stop, false, age_part);
}

static pvm_kvm_young_t test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
				  unsigned long address)
{
	return for_parts(vm_of_notifier(notifier), address, address + PAGE_SIZE, false, test_part);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_start,
	.invalidate_range_end = invalidate_end,
	.clear_flush_young = clear_young,
	.clear_young = clear_young,
	.test_young = test_young,
};

/* ------------------------------------------------------------------------
 * Slots, the emulator, the log.
 */

/* M10: no PVCS stays in memory that goes. A vCPU that is out of the guest when this returns pins its own anew
 * before it looks at it again (vcpu.c); one that has not been out since KVM made the slot invalid is waited
 * for by KVM itself, which then makes the next list of slots. */
static void take_pvcs(struct pvm_kvm *vm, gfn_t first, gfn_t end)
{
	struct kvm *kvm = &vm->kvm;
	struct kvm_vcpu *vcpu;
	unsigned long i;
	bool any = false;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
		gfn_t gfn = READ_ONCE(v->pvm.msr.vcpu_struct) >> PAGE_SHIFT;

		if (gfn < first || gfn >= end)
			continue;
		pvm_pvcs_leave(&v->pvm);
		WRITE_ONCE(v->pvcs_is_gone, true);
		any = true;
	}
	if (pvm_kvm_is_xen(vm) && vm->xen.config.shared_info.v >= first &&
	    vm->xen.config.shared_info.v < end) {
		WRITE_ONCE(vm->xen.is_lost, true);
		any = true;
	}
	if (any)
		kvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE);
}

/* A slot goes, or moves: it is found no more, and who found it before comes too late. */
void pvm_kvm_slot_goes(struct pvm_kvm *vm, gfn_t first, u64 count)
{
	struct part part = { .first = first, .end = first + count, .may_sleep = true, .is_gone = true };
	unsigned long flags;

	spin_lock_irqsave(&vm->memory.lock, flags);
	vm->memory.taken++;
	spin_unlock_irqrestore(&vm->memory.lock, flags);
	forget(vm, &part);
	take_pvcs(vm, first, first + count);
}

void pvm_kvm_has_written(struct pvm_kvm *vm, gpa_t gpa, int bytes)
{
	pvm_mmu_host_wrote(&vm->pvm, (pvm_gfn_t){ gpa >> PAGE_SHIFT }, PVM_MAY_SLEEP);
	if (offset_in_page(gpa) + bytes > PAGE_SIZE)
		pvm_mmu_host_wrote(&vm->pvm, (pvm_gfn_t){ (gpa >> PAGE_SHIFT) + 1 }, PVM_MAY_SLEEP);
}

static struct pvm_kvm __maybe_unused *vm_of_track(struct kvm_page_track_notifier_node *node)
{
	return container_of(node, struct pvm_kvm, memory.track);
}

static void __maybe_unused slot_goes(struct kvm_page_track_notifier_node *node, gfn_t first,
				     unsigned long count)
{
	pvm_kvm_slot_goes(vm_of_track(node), first, count);
}

static void __maybe_unused emulator_wrote(struct kvm_page_track_notifier_node *node, gpa_t gpa, int bytes)
{
	pvm_kvm_has_written(vm_of_track(node), gpa, bytes);
}

PVM_KVM_TRACK_FUNCTIONS(slot_goes, emulator_wrote)

/* The log of a range was read: writes are to be seen again. Or KVM changes tables of its own, which it has
 * after KVM_PRE_FAULT_MEMORY, and holds its MMU lock. */
int pvm_kvm_flush_range(struct kvm *kvm, gfn_t first, u64 count)
{
	enum pvm_sleep sleep = preemptible() ? PVM_MAY_SLEEP : PVM_NO_SLEEP;
	struct pvm_kvm *vm = to_pvm_kvm(kvm);
	u64 step;

	for (; count; first += step, count -= step) {
		step = min(count, STEP);
		/* FRAME_LOGGED may have changed. */
		pvm_kvm_frames_forget(&vm->memory.frames, first, first + step);
		if (smp_load_acquire(&vm->is_made))
			pvm_mmu_write_protect_gfns(&vm->pvm, (pvm_gfn_t){ first }, step, sleep);
		if (sleep == PVM_MAY_SLEEP)
			cond_resched();
	}
	return 0;
}

/* What is not logged any more is forgotten, so that large pages come back and writes are free. Frames of
 * a log that has ended are not found any more: KVM has waited for who read its slots before. */
static void logs_have_ended(struct pvm_kvm *vm, struct kvm_memslots *slots)
{
	unsigned long *logged = vm->memory.logged, id;

	for_each_set_bit(id, logged, KVM_MEM_SLOTS_NUM) {
		struct kvm_memory_slot *slot = id_to_memslot(slots, id);

		if (slot && kvm_slot_dirty_track_enabled(slot))
			continue;
		clear_bit(id, logged);
		if (slot)
			forget(vm, &(struct part){ .first = slot->base_gfn, .may_sleep = true,
						   .end = slot->base_gfn + slot->npages });
	}
}

void pvm_kvm_look_at_slots(struct pvm_kvm *vm)
{
	struct kvm_memslots *slots = kvm_memslots(&vm->kvm);
	u64 generation = READ_ONCE(slots->generation);

	if (likely(vm->memory.slots_generation == generation) ||
	    generation & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS)
		return;
	WRITE_ONCE(vm->memory.slots_generation, generation);
	logs_have_ended(vm, slots);
}

/* ------------------------------------------------------------------------
 * The shrinker: when memory is short, the VM that has the most pages gives some.
 */
#define SHRINK_TRIES 8	/* other VMs, where that one has none to give */

static LIST_HEAD(vms);
static DEFINE_MUTEX(vms_lock);

static unsigned long count_pages(struct shrinker *shrinker, struct shrink_control *control)
{
	struct pvm_kvm *vm;
	unsigned long count = 0;

	if (!mutex_trylock(&vms_lock))
		return 0;
	list_for_each_entry(vm, &vms, memory.link)
		count += atomic_long_read(&vm->memory.pages);
	mutex_unlock(&vms_lock);
	return count;
}

/* How many pages it has given. */
static unsigned long shrink(struct pvm_kvm *vm, unsigned long wanted)
{
	long before = atomic_long_read(&vm->memory.pages);
	struct pvm_mmu_stats stats;
	unsigned long freed;

	pvm_mmu_get_stats(&vm->pvm, &stats);
	pvm_mmu_shrink(&vm->pvm, stats.shadow_pages - min_t(unsigned long, stats.shadow_pages, wanted),
		       PVM_MAY_SLEEP);
	freed = max(before - atomic_long_read(&vm->memory.pages), 0l);
	vm->memory.shrunk += freed;
	return freed;
}

static unsigned long scan_pages(struct shrinker *shrinker, struct shrink_control *control)
{
	struct pvm_kvm *vm, *largest = NULL;
	unsigned long freed = 0;
	unsigned int tries;
	long most = 0;

	if (!mutex_trylock(&vms_lock))
		return SHRINK_STOP;
	list_for_each_entry(vm, &vms, memory.link) {
		if (atomic_long_read(&vm->memory.pages) > most && smp_load_acquire(&vm->is_made)) {
			most = atomic_long_read(&vm->memory.pages);
			largest = vm;
		}
	}
	if (largest)
		freed = shrink(largest, control->nr_to_scan);
	/* All of its pages may be in use: then some of the others, in turn. */
	for (tries = 0; largest && !freed && tries < SHRINK_TRIES; tries++) {
		vm = list_first_entry(&vms, struct pvm_kvm, memory.link);
		list_move_tail(&vm->memory.link, &vms);
		if (vm != largest && smp_load_acquire(&vm->is_made))
			freed = shrink(vm, control->nr_to_scan);
	}
	mutex_unlock(&vms_lock);
	return freed ?: SHRINK_STOP;
}

PVM_KVM_SHRINKER_FUNCTIONS(count_pages, scan_pages)

/* ------------------------------------------------------------------------
 * Life.
 */

int pvm_kvm_notifier_init(struct pvm_kvm *vm)
{
	int error;

	vm->memory.notifier.ops = &notifier_ops;
	error = mmu_notifier_register(&vm->memory.notifier, current->mm);
	if (error)
		return error;
	mutex_lock(&vms_lock);
	list_add(&vm->memory.link, &vms);
	mutex_unlock(&vms_lock);
	return 0;
}

int pvm_kvm_notifier_precreate(struct kvm *kvm)
{
	struct pvm_kvm_memory *memory = &to_pvm_kvm(kvm)->memory;
	int error;

	if (memory->is_tracked)
		return 0;
	error = pvm_kvm_track_register(kvm, &memory->track);
	memory->is_tracked = !error;
	return error;
}

void pvm_kvm_notifier_destroy(struct pvm_kvm *vm)
{
	struct pvm_kvm_memory *memory = &vm->memory;

	if (!memory->notifier.mm)	/* it was never made */
		return;
	mutex_lock(&vms_lock);
	list_del(&memory->link);
	mutex_unlock(&vms_lock);
	if (memory->is_tracked)
		pvm_kvm_track_unregister(&vm->kvm, &memory->track);
	mmu_notifier_unregister(&memory->notifier, memory->notifier.mm);
}
