// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory. A frame is what user space's memory has at the slot's address: looked up
 * without sleeping where that is possible, remembered by its number, and held by nothing but the
 * notifier: whatever Linux takes away goes from here, and from the shadow tables, before
 * the notifier returns (M10). Only the page of a PVCS is pinned (S8).
 *
 * The lock of frames comes after the MMU lock. frames is read without either.
 */
#include <linux/mm.h>
#include <linux/srcu.h>

#include "decode.h"
#include "kvm_pvm.h"

/* A frame as the xarray has it: its number and what may be done with it. */
#define FRAME_WRITABLE	1ul		/* for writing, too */
#define FRAME_LOGGED	2ul		/* a write is to be logged first */
#define FRAME_SHIFT	2

static struct pvm_kvm *vm_of(void *host)
{
	return host;
}

/* ------------------------------------------------------------------------
 * Finding.
 */

/* Remember it, unless it was taken away meanwhile, or is just being. */
static int remember(struct pvm_kvm_memory *memory, gfn_t gfn, unsigned long hva, unsigned long frame,
		    unsigned long taken, gfp_t gfp)
{
	int error = PVM_EAGAIN;
	unsigned long flags;

	if (xa_reserve(&memory->frames, gfn, gfp))
		return PVM_ENOMEM;
	spin_lock_irqsave(&memory->lock, flags);
	if (memory->taken == taken &&
	    !(memory->taking && hva >= memory->taking_start && hva < memory->taking_end)) {
		xa_store(&memory->frames, gfn, xa_mk_value(frame), 0);	/* reserved: allocates nothing */
		error = PVM_OK;
	}
	spin_unlock_irqrestore(&memory->lock, flags);
	return error;
}

static struct page *get_page_of(unsigned long hva, bool write, enum pvm_sleep sleep)
{
	struct page *page = NULL;

	if (get_user_page_fast_only(hva, write ? FOLL_WRITE : 0, &page))
		return page;
	if (sleep == PVM_NO_SLEEP ||
	    get_user_pages_unlocked(hva, 1, &page, (write ? FOLL_WRITE : 0) | FOLL_HWPOISON) != 1)
		return NULL;
	return page;
}

/* Look a frame up in user space's memory. */
static int find_frame(struct pvm_kvm *vm, gfn_t gfn, bool write, enum pvm_sleep sleep, unsigned long *frame)
{
	unsigned long taken = READ_ONCE(vm->memory.taken), hva;
	struct kvm_memory_slot *slot;
	bool writable, logged;
	struct page *page;

	smp_rmb();	/* taken first, then the slot and user space's tables */
	slot = gfn_to_memslot(&vm->kvm, gfn);
	if (!slot || slot->flags & KVM_MEMSLOT_INVALID)
		return slot ? PVM_EAGAIN : PVM_ENOENT;
	hva = slot->userspace_addr + ((gfn - slot->base_gfn) << PAGE_SHIFT);
	writable = !(slot->flags & KVM_MEM_READONLY);
	logged = kvm_slot_dirty_track_enabled(slot);
	page = NULL;
	if (writable)
		page = get_page_of(hva, true, PVM_NO_SLEEP);
	if (!page) {
		page = get_page_of(hva, write && writable, sleep);
		writable = write && writable;
	}
	if (!page)
		return sleep == PVM_NO_SLEEP ? PVM_EAGAIN : PVM_EFAULT;
	*frame = page_to_pfn(page) << FRAME_SHIFT | (writable ? FRAME_WRITABLE : 0) |
		 (logged ? FRAME_LOGGED : 0);
	put_page(page);		/* the notifier says when it goes */
	return remember(&vm->memory, gfn, hva, *frame, taken,
			sleep == PVM_NO_SLEEP ? GFP_NOWAIT : GFP_KERNEL_ACCOUNT);
}

/* A frame that may be read, or written: known, or looked up. */
static int frame_of(struct pvm_kvm *vm, gfn_t gfn, bool write, enum pvm_sleep sleep, unsigned long *frame)
{
	void *entry = xa_load(&vm->memory.frames, gfn);
	int idx, error = PVM_OK;

	if (likely(xa_is_value(entry))) {
		*frame = xa_to_value(entry);
		if (!write || (*frame & (FRAME_WRITABLE | FRAME_LOGGED)) == FRAME_WRITABLE)
			return PVM_OK;
	}
	idx = srcu_read_lock(&vm->kvm.srcu);
	if (!xa_is_value(entry) || (write && !(*frame & FRAME_WRITABLE)))
		error = find_frame(vm, gfn, write, sleep, frame);
	if (!error && write && (*frame & FRAME_LOGGED) && (*frame & FRAME_WRITABLE))
		mark_page_dirty(&vm->kvm, gfn);
	srcu_read_unlock(&vm->kvm.srcu, idx);
	return error;
}

static int gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep, struct pvm_frame *out)
{
	unsigned long frame;
	int error = frame_of(vm_of(host), gfn.v, write, sleep, &frame);

	if (error)
		return error;
	out->pa = (pvm_hpa_t){ (uint64_t)(frame >> FRAME_SHIFT) << PAGE_SHIFT };
	out->writable = (frame & FRAME_WRITABLE) && (write || !(frame & FRAME_LOGGED));
	out->max_level = 1;
	return PVM_OK;
}

static void *gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	unsigned long frame;

	if (frame_of(vm_of(host), gfn.v, write, PVM_NO_SLEEP, &frame) ||
	    (write && !(frame & FRAME_WRITABLE)))
		return NULL;
	return pfn_to_kaddr(frame >> FRAME_SHIFT);
}

/* ------------------------------------------------------------------------
 * The page of a PVCS.
 */

static int pin(void *host, pvm_gfn_t gfn, void **va)
{
	struct pvm_kvm *vm = vm_of(host);
	struct page *page = NULL;
	unsigned long hva;
	int idx, got;

	if (irqs_disabled())
		return PVM_EAGAIN;
	idx = srcu_read_lock(&vm->kvm.srcu);
	hva = gfn_to_hva(&vm->kvm, gfn.v);
	if (kvm_is_error_hva(hva))
		got = 0;
	else
		got = pin_user_pages_fast(hva, 1, FOLL_WRITE | FOLL_LONGTERM, &page);
	if (got == 1)
		mark_page_dirty(&vm->kvm, gfn.v);
	srcu_read_unlock(&vm->kvm.srcu, idx);
	if (got != 1)
		return PVM_EFAULT;
	*va = page_address(page);
	return PVM_OK;
}

/* The page that was pinned, which need not be what is at @gfn today. */
static void unpin(void *host, pvm_gfn_t gfn, void *va)
{
	unpin_user_pages_dirty_lock(&(struct page *){ virt_to_page(va) }, 1, true);
}

/* ------------------------------------------------------------------------
 * Taking away.
 */

/* Nothing of these frames is found from here on, as the caller has seen to. */
static void forget(struct pvm_kvm *vm, gfn_t first, gfn_t end)
{
	unsigned long index = first;
	void *entry;

	xa_for_each_range(&vm->memory.frames, index, entry, first, end - 1)
		xa_erase(&vm->memory.frames, index);
	if (smp_load_acquire(&vm->is_made))
		pvm_mmu_unmap_gfns(&vm->pvm, (pvm_gfn_t){ first }, end - first);
}

/* What of @slot lies in [start, stop) of user space's addresses. */
static void forget_part(struct pvm_kvm *vm, const struct kvm_memory_slot *slot, unsigned long start,
			unsigned long stop)
{
	unsigned long first = max(start, slot->userspace_addr);
	unsigned long last = min(stop, slot->userspace_addr + (slot->npages << PAGE_SHIFT));

	if (first < last)
		forget(vm, slot->base_gfn + ((first - slot->userspace_addr) >> PAGE_SHIFT),
		       slot->base_gfn + ((last - slot->userspace_addr + PAGE_SIZE - 1) >> PAGE_SHIFT));
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
	struct kvm_memory_slot *slot;
	unsigned long flags;
	int idx, space, bkt;

	spin_lock_irqsave(&memory->lock, flags);
	memory->taking_start = memory->taking ? min(memory->taking_start, range->start) : range->start;
	memory->taking_end = memory->taking ? max(memory->taking_end, range->end) : range->end;
	memory->taking++;
	spin_unlock_irqrestore(&memory->lock, flags);

	idx = srcu_read_lock(&vm->kvm.srcu);
	for (space = 0; space < pvm_kvm_address_spaces(&vm->kvm); space++)
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(&vm->kvm, space))
			forget_part(vm, slot, range->start, range->end);
	srcu_read_unlock(&vm->kvm.srcu, idx);
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

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_start,
	.invalidate_range_end = invalidate_end,
};

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
	unsigned long index = first;
	void *entry;

	xa_for_each_range(&vm->memory.frames, index, entry, first, first + count - 1)
		xa_erase(&vm->memory.frames, index);	/* FRAME_LOGGED may have changed */
	if (smp_load_acquire(&vm->is_made))
		pvm_mmu_write_protect_gfns(&vm->pvm, (pvm_gfn_t){ first }, count);
	return 0;
}

/* ------------------------------------------------------------------------
 * Pages of the engine's own, locks, life.
 */

static int page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	gfp_t gfp = sleep == PVM_MAY_SLEEP ? GFP_KERNEL_ACCOUNT : GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN;

	page->va = (void *)get_zeroed_page(gfp);
	if (!page->va)
		return PVM_ENOMEM;
	page->pa = (pvm_hpa_t){ __pa(page->va) };
	return PVM_OK;
}

static void page_free(void *host, struct pvm_host_page page)
{
	free_page((unsigned long)page.va);
}

static void *page_va(void *host, pvm_hpa_t pa)
{
	return __va(pa.v);
}

static void mmu_lock(void *host)
{
	spin_lock(&vm_of(host)->memory.mmu_lock);
}

static void mmu_unlock(void *host)
{
	spin_unlock(&vm_of(host)->memory.mmu_lock);
}

static void relax(void *host)
{
	cpu_relax();
}

static void tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	pvm_switcher_flush(&vm_of(host)->switcher, flush);
}

const struct pvm_host_ops pvm_kvm_host_ops = {
	.page_alloc = page_alloc,
	.page_free = page_free,
	.page_va = page_va,
	.gfn_to_frame = gfn_to_frame,
	.gfn_to_va = gfn_to_va,
	.pin = pin,
	.unpin = unpin,
	.tlb_flush = tlb_flush,
	.mmu_lock = mmu_lock,
	.mmu_unlock = mmu_unlock,
	.relax = relax,
	.decode = decode_insn,
	.events = pvm_kvm_events,
	.event_taken = pvm_kvm_event_taken,
};

int pvm_kvm_memory_init(struct pvm_kvm *vm)
{
	struct pvm_kvm_memory *memory = &vm->memory;

	xa_init(&memory->frames);
	spin_lock_init(&memory->lock);
	spin_lock_init(&memory->mmu_lock);
	memory->notifier.ops = &notifier_ops;
	return mmu_notifier_register(&memory->notifier, current->mm);
}

int pvm_kvm_memory_precreate(struct kvm *kvm)
{
	struct pvm_kvm_memory *memory = &to_pvm_kvm(kvm)->memory;
	int error;

	if (memory->is_tracked)
		return 0;
	error = pvm_kvm_track_register(kvm, &memory->track);
	memory->is_tracked = !error;
	return error;
}

void pvm_kvm_memory_destroy(struct pvm_kvm *vm)
{
	struct pvm_kvm_memory *memory = &vm->memory;

	if (memory->is_tracked)
		pvm_kvm_track_unregister(&vm->kvm, &memory->track);
	if (memory->notifier.mm)
		mmu_notifier_unregister(&memory->notifier, memory->notifier.mm);
	xa_destroy(&memory->frames);
}
