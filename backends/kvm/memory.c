// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory, and pages of the engine's own. A frame is what user space's memory has at the
 * slot's address: looked up without sleeping where that is possible, remembered by its number, and
 * held by nothing but the notifier (notifier.c). Only the page of a PVCS is pinned (S8).
 *
 * The lock of frames comes after the MMU lock. frames is read without either.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>

#include "decode.h"
#include "kvm_pvm.h"

/* A frame as frames.c has it: its number and what may be done with it. */
#define FRAME_KNOWN	1ul		/* of all that are */
#define FRAME_WRITABLE	2ul		/* for writing, too */
#define FRAME_LOGGED	4ul		/* a write is to be logged first */
#define FRAME_2M	8ul		/* the whole of its 2 MiB is mapped as one in user space */
#define FRAME_SHIFT	4

#define PAGES_LEAST	1024ul		/* of the engine's, that a VM may have whatever its memory */
#define PAGES_TIMES	4ul		/* what KVM reckons for shadow pages: we have two roots, and lists */
/* Where the control group is full: */
#define ROOM_LEAST	64ul		/* pages that are given back */
#define ROOM_PAGES	128ul		/* but where a VM has fewer, all are left to it */
#define ROOM_TIME	(10 * HZ)	/* before it may have more again */

/* A full control group is no reason to kill a process: the engine gives up other pages of its own (M11). */
#define GFP_SLEEPS	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define GFP_BRIEF	(GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN)

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
	unsigned long size = frame & FRAME_2M ? PMD_SIZE : PAGE_SIZE, start = hva & ~(size - 1);
	unsigned long fresh = 0, *word, flags;
	bool too_late;

	do {
		spin_lock_irqsave(&memory->lock, flags);
		too_late = memory->taken != taken || (memory->taking && start + size > memory->taking_start &&
						      start < memory->taking_end);
		word = too_late ? NULL : pvm_kvm_frame_place(&memory->frames, gfn, &fresh);
		if (word)
			WRITE_ONCE(*word, frame);
		spin_unlock_irqrestore(&memory->lock, flags);
	} while (!word && !too_late && !fresh && (fresh = get_zeroed_page(gfp)));
	free_page(fresh);
	if (word)
		return PVM_OK;
	/* M11: with sleep there may be some memory */
	return too_late || !gfpflags_allow_blocking(gfp) ? PVM_EAGAIN : PVM_ENOMEM;
}

/* Of looking up, by sleeping, user space's memory. */
static int error_of(long got)
{
	if (got == -ENOMEM)
		return PVM_ENOMEM;
	return got == -EHWPOISON || got == -EINTR || got == -EAGAIN ? PVM_EAGAIN : PVM_EFAULT;
}

/* KVM_SET_MSRS has no answer for "again". */
static unsigned int unless_it_is_set(unsigned int flags)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();

	return vcpu && to_pvm_vcpu(vcpu)->is_set ? 0 : flags;
}

/* PVM_EAGAIN: not without sleeping, or there is a signal: user space's own, or for what the guest
 * touched, as other vendors do it, poisoned memory. PVM_EFAULT: user space has none there. */
static int get_page_of(unsigned long hva, bool write, enum pvm_sleep sleep, struct page **page)
{
	unsigned int flags = write ? FOLL_WRITE : 0;
	long got;

	if (get_user_page_fast_only(hva, flags, page))
		return PVM_OK;
	if (sleep == PVM_NO_SLEEP)
		return PVM_EAGAIN;
	flags |= FOLL_HWPOISON | unless_it_is_set(FOLL_INTERRUPTIBLE);
	got = get_user_pages_unlocked(hva, 1, page, flags);
	if (got == 1)
		return PVM_OK;
	if (got == -EHWPOISON)
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)hva, PAGE_SHIFT, current);
	return error_of(got);
}

/* Does user space's own table map @hva by a large page? It may change as soon as this says so:
 * whoever changes it calls the notifier for the whole page. */
static bool mapped_large(struct mm_struct *mm, unsigned long hva)
{
	bool large = false;
	unsigned long flags;
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;

	local_irq_save(flags);	/* tables are freed after an interrupt on every CPU */
	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (pgd_none(pgd))
		goto out;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		goto out;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (pud_none(pud) || !pud_present(pud))
		goto out;
	large = pud_leaf(pud);
	if (large)
		goto out;
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	large = pmd_present(pmd) && pmd_leaf(pmd);
out:
	local_irq_restore(flags);
	return large;
}

/* May a shadow entry map the 2 MiB around @gfn as one? */
static bool is_large(struct pvm_kvm *vm, const struct kvm_memory_slot *slot, gfn_t gfn, unsigned long hva)
{
	gfn_t first = gfn & ~(gfn_t)(PTRS_PER_PMD - 1);

	return ((gfn ^ hva >> PAGE_SHIFT) & (PTRS_PER_PMD - 1)) == 0 && first >= slot->base_gfn &&
	       first + PTRS_PER_PMD <= slot->base_gfn + slot->npages && mapped_large(vm->kvm.mm, hva);
}

/* Look a frame up in user space's memory. */
static int find_frame(struct pvm_kvm *vm, gfn_t gfn, bool write, enum pvm_sleep sleep, unsigned long *frame)
{
	unsigned long taken = READ_ONCE(vm->memory.taken), hva;
	struct kvm_memory_slot *slot;
	bool writable, logged;
	struct folio *folio;
	struct page *page;
	int error;

	smp_rmb();	/* taken first, then the slot and user space's tables */
	slot = gfn_to_memslot(&vm->kvm, gfn);
	if (!slot)
		return PVM_ENOENT;
	if (slot->flags & KVM_MEMSLOT_INVALID || !pvm_kvm_is_seen(vm, slot))	/* M10 */
		return PVM_EAGAIN;
	hva = __gfn_to_hva_memslot(slot, gfn);
	writable = !(slot->flags & KVM_MEM_READONLY);
	/* All there is to know: without sleeping a page of zeroes is never found. */
	if (*frame && !writable)
		return PVM_OK;
	logged = kvm_slot_dirty_track_enabled(slot);
	error = writable ? get_page_of(hva, true, PVM_NO_SLEEP, &page) : PVM_EAGAIN;
	if (error) {
		writable = write && writable;
		error = get_page_of(hva, writable, sleep, &page);
	}
	if (error)
		return error;
	if (logged)
		set_bit(slot->id, vm->memory.logged);
	*frame = page_to_pfn(page) << FRAME_SHIFT | FRAME_KNOWN | (writable ? FRAME_WRITABLE : 0) |
		 (logged ? FRAME_LOGGED : is_large(vm, slot, gfn, hva) ? FRAME_2M : 0);
	/* User space's table does not learn that the guest writes: what is clean there is dropped. A
	 * file's page is its file system's to mark, which has done so where it can be written. */
	folio = page_folio(page);
	if (writable && (folio_test_anon(folio) || folio_test_swapbacked(folio)))
		folio_set_dirty(folio);
	put_page(page);		/* the notifier says when it goes */
	return remember(&vm->memory, gfn, hva, *frame, taken,
			sleep == PVM_NO_SLEEP ? GFP_BRIEF : GFP_SLEEPS);
}

/* A frame that may be read, or written: known, or looked up. */
static int frame_of(struct pvm_kvm *vm, gfn_t gfn, bool write, enum pvm_sleep sleep, unsigned long *frame)
{
	int idx, error = PVM_OK;

	*frame = pvm_kvm_frame_get(&vm->memory.frames, gfn);
	if (likely(*frame) && (!write || (*frame & (FRAME_WRITABLE | FRAME_LOGGED)) == FRAME_WRITABLE))
		return PVM_OK;
	idx = srcu_read_lock(&vm->kvm.srcu);
	if (!*frame || (write && !(*frame & FRAME_WRITABLE)))
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
	out->max_level = frame & FRAME_2M ? 2 : 1;
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

/* A long-term pin waits for userfaultfd whatever signals there are, or on some kernels not at all: first the
 * page, then its pin. */
static int pin_page_of(unsigned long hva, struct page **page)
{
	int got, error = get_page_of(hva, true, PVM_MAY_SLEEP, page);

	if (error)
		return error;
	put_page(*page);
	got = pin_user_pages_fast(hva, 1, FOLL_WRITE | FOLL_LONGTERM, page);
	return got == 1 ? PVM_OK : error_of(got);
}

/* As find_frame() has it of a slot that goes or moves: what comes after it may be memory. */
static int find_hva(struct pvm_kvm *vm, gfn_t gfn, unsigned long *hva)
{
	struct kvm_memory_slot *slot = gfn_to_memslot(&vm->kvm, gfn);

	if (!slot)
		return PVM_ENOENT;
	if (slot->flags & KVM_MEMSLOT_INVALID)
		return PVM_EAGAIN;
	*hva = __gfn_to_hva_memslot(slot, gfn);
	return slot->flags & KVM_MEM_READONLY ? PVM_ENOENT : PVM_OK;
}

static int pin(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	struct pvm_kvm *vm = vm_of(host);
	struct page *page;
	unsigned long hva;
	int idx, error;

	if (irqs_disabled())
		return PVM_EAGAIN;
	idx = srcu_read_lock(&vm->kvm.srcu);
	error = find_hva(vm, gfn.v, &hva);
	if (!error)
		error = pin_page_of(hva, &page);
	if (!error)
		mark_page_dirty(&vm->kvm, gfn.v);
	srcu_read_unlock(&vm->kvm.srcu, idx);
	if (error)
		return error;
	*va = page_address(page);
	*pa = pvm_hpa(page_to_phys(page));
	return PVM_OK;
}

/* The log has what was written into a PVCS up to its end. KVM takes entries from the threads of vCPUs
 * only; without one the VM is going. */
static void log_last_writes(struct pvm_kvm *vm, gfn_t gfn)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();
	int idx;

	if (!vcpu || vcpu->kvm != &vm->kvm)
		return;
	idx = srcu_read_lock(&vm->kvm.srcu);
	mark_page_dirty(&vm->kvm, gfn);
	srcu_read_unlock(&vm->kvm.srcu, idx);
}

/* The page that was pinned, which need not be what is at @gfn today. */
static void unpin(void *host, pvm_gfn_t gfn, void *va)
{
	struct page *page = virt_to_page(va);

	log_last_writes(vm_of(host), gfn.v);
	set_page_dirty_lock(page);
	unpin_user_page(page);
}

/* ------------------------------------------------------------------------
 * Pages of the engine's own, locks, life.
 */

/* Where it has as many as it may have, the engine gives up others of its own. */
static bool may_have_another(struct pvm_kvm *vm)
{
	unsigned long most = max(PAGES_LEAST, PAGES_TIMES * READ_ONCE(vm->kvm.arch.n_max_mmu_pages));
	unsigned long most_now = READ_ONCE(vm->memory.most);

	if (most_now && time_before(jiffies, READ_ONCE(vm->memory.most_until)))
		most = min(most, most_now);
	if (atomic_long_inc_return(&vm->memory.pages) <= most)
		return true;
	atomic_long_dec(&vm->memory.pages);
	return false;
}

/* Some for the rest of the control group: what a process allocates there is not allowed to fail, and nothing
 * takes the engine's pages for it. */
static void make_room(struct pvm_kvm *vm)
{
	struct pvm_kvm_memory *memory = &vm->memory;
	struct pvm_mmu_stats stats;
	unsigned long wanted;

	if (!smp_load_acquire(&vm->is_made) || atomic_long_read(&memory->pages) <= ROOM_PAGES)
		return;
	pvm_mmu_get_stats(&vm->pvm, &stats);
	wanted = min_t(unsigned long, stats.shadow_pages, max(ROOM_LEAST, stats.shadow_pages / 8ul));
	pvm_mmu_shrink(&vm->pvm, stats.shadow_pages - wanted, PVM_MAY_SLEEP);
	WRITE_ONCE(memory->most_until, jiffies + ROOM_TIME);
	WRITE_ONCE(memory->most, max_t(unsigned long, ROOM_PAGES, atomic_long_read(&memory->pages)));
}

static int page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	struct pvm_kvm *vm = vm_of(host);

	if (!may_have_another(vm))
		return PVM_ENOMEM;
	page->va = (void *)get_zeroed_page(sleep == PVM_NO_SLEEP ? GFP_BRIEF : GFP_SLEEPS);
	if (!page->va) {
		atomic_long_dec(&vm->memory.pages);
		if (sleep == PVM_MAY_SLEEP)
			make_room(vm);
		return PVM_ENOMEM;
	}
	page->pa = (pvm_hpa_t){ __pa(page->va) };
	return PVM_OK;
}

static void page_free(void *host, struct pvm_host_page page)
{
	struct pvm_kvm_memory *memory = &vm_of(host)->memory;

	free_page((unsigned long)page.va);
	atomic_long_dec(&memory->pages);
	if (memory->is_going)	/* all of them go, and no lock is held */
		cond_resched();
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

static void yield_cpu(void *host)
{
	cond_resched();
}

/* cond_resched() would not let a thread of a lower priority have the CPU. */
static void nap(void *host)
{
	usleep_range(20, 100);
}

static void relax(void *host)
{
	cpu_relax();
}

static void tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	pvm_switcher_flush(&vm_of(host)->switcher, flush);
}

struct pvm_host_ops pvm_kvm_host_ops __read_mostly = {
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
	.yield = yield_cpu,
	.nap = nap,
	.decode = decode_insn,
	.events = pvm_kvm_events,
	.event_taken = pvm_kvm_event_taken,
	.wrmsr = pvm_kvm_wrmsr,
	.clock = pvm_kvm_xen_clock,
	.set_timer = pvm_kvm_xen_set_timer,
	.kick = pvm_kvm_xen_kick,
	.notify = pvm_kvm_xen_notify,
};

void pvm_kvm_memory_init(struct pvm_kvm *vm)
{
	struct pvm_kvm_memory *memory = &vm->memory;

	spin_lock_init(&memory->lock);
	spin_lock_init(&memory->mmu_lock);
	pvm_kvm_untold_init(vm);
}

void pvm_kvm_memory_destroy(struct pvm_kvm *vm)
{
	pvm_kvm_untold_destroy(vm);
	pvm_kvm_frames_destroy(&vm->memory.frames);
}
