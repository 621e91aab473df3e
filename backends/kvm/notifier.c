// SPDX-License-Identifier: GPL-2.0
/*
 * What others do with guest memory: Linux takes pages away and asks which are used, slots go, KVM's
 * emulator and its log write and watch. Whatever is taken away goes from frames, and from the shadow
 * tables, before the notifier returns (M10). And the shrinker, which takes the engine's own pages.
 */
#include <linux/mm.h>
#include <linux/srcu.h>

#include "kvm_pvm.h"

/* ------------------------------------------------------------------------
 * Taking away.
 */

/* A part of guest memory. */
typedef void (*part_fn)(struct pvm_kvm *vm, gfn_t first, gfn_t end, bool *found);

/* Nothing of these frames is found from here on, as the caller has seen to. Nor that they
 * are part of a large page. */
static void forget(struct pvm_kvm *vm, gfn_t first, gfn_t end)
{
	pvm_kvm_frames_forget(&vm->memory.frames, round_down(first, PTRS_PER_PMD),
			      round_up(end, PTRS_PER_PMD));
	if (smp_load_acquire(&vm->is_made))
		pvm_mmu_unmap_gfns(&vm->pvm, (pvm_gfn_t){ first }, end - first);
}

/* @fn for all of guest memory that lies in [start, stop) of user space's addresses. */
static bool for_parts(struct pvm_kvm *vm, unsigned long start, unsigned long stop, part_fn fn)
{
	struct kvm_memory_slot *slot;
	bool found = false;
	int idx, space, bkt;

	idx = srcu_read_lock(&vm->kvm.srcu);
	for (space = 0; space < pvm_kvm_address_spaces(&vm->kvm); space++) {
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(&vm->kvm, space)) {
			unsigned long hva = slot->userspace_addr;
			unsigned long first = max(start, hva);
			unsigned long end = min(stop, hva + (slot->npages << PAGE_SHIFT));

			if (first < end)
				fn(vm, slot->base_gfn + ((first - hva) >> PAGE_SHIFT),
				   slot->base_gfn + ((end - hva + PAGE_SIZE - 1) >> PAGE_SHIFT), &found);
		}
	}
	srcu_read_unlock(&vm->kvm.srcu, idx);
	return found;
}

static void forget_part(struct pvm_kvm *vm, gfn_t first, gfn_t end, bool *found)
{
	forget(vm, first, end);
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

	for_parts(vm, range->start, range->end, forget_part);
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

static void age_part(struct pvm_kvm *vm, gfn_t first, gfn_t end, bool *found)
{
	if (smp_load_acquire(&vm->is_made))
		*found |= pvm_mmu_age_gfns(&vm->pvm, (pvm_gfn_t){ first }, end - first) > 0;
}

static void test_part(struct pvm_kvm *vm, gfn_t first, gfn_t end, bool *found)
{
	if (smp_load_acquire(&vm->is_made))
		*found |= pvm_mmu_accessed_gfns(&vm->pvm, (pvm_gfn_t){ first }, end - first) > 0;
}

static pvm_kvm_young_t clear_young(struct mmu_notifier *notifier, struct mm_struct *mm, unsigned long start,
				   unsigned long stop)
{
	return for_parts(vm_of_notifier(notifier), start, stop, age_part);
}

static pvm_kvm_young_t test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
				  unsigned long address)
{
	return for_parts(vm_of_notifier(notifier), address, address + PAGE_SIZE, test_part);
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

static struct pvm_kvm *vm_of_track(struct kvm_page_track_notifier_node *node)
{
	return container_of(node, struct pvm_kvm, memory.track);
}

/* A slot goes, or moves. KVM has made it invalid: it is found no more, and who found it
 * before comes too late. */
static void slot_goes(struct kvm_page_track_notifier_node *node, gfn_t first, unsigned long count)
{
	struct pvm_kvm *vm = vm_of_track(node);
	unsigned long flags;

	spin_lock_irqsave(&vm->memory.lock, flags);
	vm->memory.taken++;
	spin_unlock_irqrestore(&vm->memory.lock, flags);
	forget(vm, first, first + count);
}

/* KVM's emulator has written: a page table of the guest's, perhaps. */
static void emulator_wrote(struct kvm_page_track_notifier_node *node, gpa_t gpa, int bytes)
{
	struct pvm_kvm *vm = vm_of_track(node);

	pvm_mmu_host_wrote(&vm->pvm, (pvm_gfn_t){ gpa >> PAGE_SHIFT });
	if (offset_in_page(gpa) + bytes > PAGE_SIZE)
		pvm_mmu_host_wrote(&vm->pvm, (pvm_gfn_t){ (gpa >> PAGE_SHIFT) + 1 });
}

PVM_KVM_TRACK_FUNCTIONS(slot_goes, emulator_wrote)

/* The log of a range was read: writes are to be seen again. */
int pvm_kvm_flush_range(struct kvm *kvm, gfn_t first, u64 count)
{
	struct pvm_kvm *vm = to_pvm_kvm(kvm);

	/* FRAME_LOGGED may have changed. */
	pvm_kvm_frames_forget(&vm->memory.frames, first, first + count);
	if (smp_load_acquire(&vm->is_made))
		pvm_mmu_write_protect_gfns(&vm->pvm, (pvm_gfn_t){ first }, count);
	return 0;
}

/* ------------------------------------------------------------------------
 * The shrinker: when memory is short, the VM that has the most pages gives some.
 */
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

static unsigned long scan_pages(struct shrinker *shrinker, struct shrink_control *control)
{
	struct pvm_kvm *vm, *largest = NULL;
	unsigned long freed = 0;
	long before = 0;

	if (!mutex_trylock(&vms_lock))
		return SHRINK_STOP;
	list_for_each_entry(vm, &vms, memory.link) {
		if (atomic_long_read(&vm->memory.pages) > before && smp_load_acquire(&vm->is_made)) {
			before = atomic_long_read(&vm->memory.pages);
			largest = vm;
		}
	}
	if (largest) {
		struct pvm_mmu_stats stats;

		pvm_mmu_get_stats(&largest->pvm, &stats);
		pvm_mmu_shrink(&largest->pvm, stats.shadow_pages - min_t(unsigned long, stats.shadow_pages,
									 control->nr_to_scan));
		freed = max(before - atomic_long_read(&largest->memory.pages), 0l);
		largest->memory.shrunk += freed;
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
