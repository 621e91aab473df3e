/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host of the model VM: frames that can move or go away under the guest,
 * and an arena for the engine's pages that knows which of them are alive. */
#define _GNU_SOURCE
#include "vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pvm/mmu.h>

#define TABLE_HPA_BASE	(1ull << 45)
#define SPARE_FRAMES	4096	/* for model_host_move() */

static int page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	struct model_vm *vm = host;
	uint32_t index;

	(void)sleep;
	pthread_mutex_lock(&vm->arena_lock);
	if (vm->arena_free_count == 0) {
		pthread_mutex_unlock(&vm->arena_lock);
		return PVM_ENOMEM;
	}
	index = vm->arena_free[--vm->arena_free_count];
	vm->arena_used[index] = true;
	vm->arena_live++;
	pthread_mutex_unlock(&vm->arena_lock);
	page->va = vm->arena + (size_t)index * PVM_PAGE_SIZE;
	page->pa = pvm_hpa(TABLE_HPA_BASE + (uint64_t)index * PVM_PAGE_SIZE);
	memset(page->va, 0, PVM_PAGE_SIZE);
	return PVM_OK;
}

static void page_free(void *host, struct pvm_host_page page)
{
	struct model_vm *vm = host;
	uint32_t index = (uint32_t)((page.pa.v - TABLE_HPA_BASE) >> PVM_PAGE_SHIFT);

	if (index >= vm->options.table_pages || !vm->arena_used[index])
		abort();	/* the engine freed what it does not own */
	memset(page.va, 0xa5, PVM_PAGE_SIZE);
	pthread_mutex_lock(&vm->arena_lock);
	vm->arena_used[index] = false;
	vm->arena_live--;
	vm->arena_free[vm->arena_free_count++] = index;
	pthread_mutex_unlock(&vm->arena_lock);
}

static void *page_va(void *host, pvm_hpa_t pa)
{
	struct model_vm *vm = host;

	return vm->arena + (pa.v - TABLE_HPA_BASE);
}

/* Is the page of @level around @gfn one piece of host memory? */
static bool contiguous(const struct model_vm *vm, uint64_t gfn, unsigned level)
{
	uint64_t pages = PVM_LEVEL_SIZE(level) >> PVM_PAGE_SHIFT, first = gfn & ~(pages - 1), i;

	if (first + pages > vm->frames)
		return false;
	for (i = 0; i < pages; i++)
		if (vm->frame[first + i].host != first + i || vm->frame[first + i].logged)
			return false;
	return true;
}

static int gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			struct pvm_frame *frame)
{
	struct model_vm *vm = host;
	struct model_frame *f = &vm->frame[gfn.v < vm->frames ? gfn.v : 0];
	unsigned level;

	if (gfn.v >= vm->frames)
		return PVM_ENOENT;
	if (__atomic_load_n(&f->moving, __ATOMIC_ACQUIRE)) {
		if (sleep == PVM_NO_SLEEP)
			return PVM_EAGAIN;
		pthread_mutex_lock(&vm->move_lock);	/* wait for the end of the move */
		pthread_mutex_unlock(&vm->move_lock);
	}
	if (f->host == FRAME_TAKEN)
		return PVM_ENOENT;
	if (write && f->logged) {
		f->dirty = true;
		f->logged = false;
	}
	frame->pa = pvm_hpa(GUEST_HPA_BASE + ((uint64_t)f->host << PVM_PAGE_SHIFT));
	frame->writable = !f->logged;
	frame->max_level = 1;
	for (level = 2; level <= vm->options.max_level && contiguous(vm, gfn.v, level); level++)
		frame->max_level = (uint8_t)level;
	return PVM_OK;
}

static void *gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	struct model_vm *vm = host;

	if (gfn.v >= vm->frames || vm->frame[gfn.v].host == FRAME_TAKEN ||
	    __atomic_load_n(&vm->frame[gfn.v].moving, __ATOMIC_ACQUIRE))
		return NULL;
	if (write)
		vm->frame[gfn.v].dirty = true;
	return vm->memory + ((uint64_t)vm->frame[gfn.v].host << PVM_PAGE_SHIFT);
}

static int pin(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	struct model_vm *vm = host;

	*va = gfn_to_va(host, gfn, true);
	if (!*va)
		return PVM_ENOENT;
	*pa = pvm_hpa(GUEST_HPA_BASE + ((uint64_t)vm->frame[gfn.v].host << PVM_PAGE_SHIFT));
	vm->frame[gfn.v].pins++;
	vm->pins++;
	return PVM_OK;
}

static void unpin(void *host, pvm_gfn_t gfn, void *va)
{
	struct model_vm *vm = host;

	(void)va;
	vm->frame[gfn.v].pins--;
	vm->pins--;
}

static void tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	struct model_vm *vm = host;
	unsigned i;

	for (i = 0; i < vm->vcpus; i++)
		if (!flush->vcpu || flush->vcpu == &vm->vcpu[i])
			model_cpu_flush(&vm->cpu[i], flush);
}

static void mmu_lock(void *host)
{
	pthread_mutex_lock(&((struct model_vm *)host)->mmu_lock);
}

static void mmu_unlock(void *host)
{
	pthread_mutex_unlock(&((struct model_vm *)host)->mmu_lock);
}

const struct pvm_host_ops model_host_ops = {
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
};

/* ------------------------------------------------------------------------
 * The CPU's side of the same memory.
 */

static uint64_t *walker_table(void *owner, uint64_t pa)
{
	struct model_vm *vm = owner;
	uint64_t index = (pa - TABLE_HPA_BASE) >> PVM_PAGE_SHIFT;

	if (index >= vm->options.table_pages || !vm->arena_used[index])
		return NULL;
	return (uint64_t *)(vm->arena + (index << PVM_PAGE_SHIFT));
}

/* Frames that the host has taken or left are still there for a stale
 * translation to reach: that is what tests look for. */
static uint8_t *walker_frame(void *owner, uint64_t pa)
{
	struct model_vm *vm = owner;
	uint64_t offset = pa - GUEST_HPA_BASE;

	return offset < vm->host_frames << PVM_PAGE_SHIFT ? vm->memory + offset : NULL;
}

struct model_memory model_host_memory(struct model_vm *vm)
{
	return (struct model_memory){ walker_table, walker_frame, vm };
}

/* ------------------------------------------------------------------------
 * Life.
 */

int model_host_init(struct model_vm *vm)
{
	uint32_t tables = vm->options.table_pages, i;
	uint64_t gfn;

	vm->frames = vm->options.memory_size >> PVM_PAGE_SHIFT;
	vm->host_frames = vm->frames + SPARE_FRAMES;
	vm->next_spare = vm->frames;
	vm->next_page = vm->options.memory_size / 2;
	pthread_mutex_init(&vm->mmu_lock, NULL);
	pthread_mutex_init(&vm->arena_lock, NULL);
	pthread_mutex_init(&vm->move_lock, NULL);
	vm->memory = mmap(NULL, vm->host_frames << PVM_PAGE_SHIFT, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm->memory == MAP_FAILED)
		vm->memory = NULL;
	vm->frame = calloc(vm->frames, sizeof(*vm->frame));
	vm->arena = aligned_alloc(PVM_PAGE_SIZE, (size_t)tables * PVM_PAGE_SIZE);
	vm->arena_used = calloc(tables, sizeof(*vm->arena_used));
	vm->arena_free = calloc(tables, sizeof(*vm->arena_free));
	if (!vm->memory || !vm->frame || !vm->arena || !vm->arena_used || !vm->arena_free) {
		model_host_fini(vm);
		return -1;
	}
	for (gfn = 0; gfn < vm->frames; gfn++)
		vm->frame[gfn].host = (uint32_t)gfn;
	for (i = 0; i < tables; i++)
		vm->arena_free[vm->arena_free_count++] = tables - 1 - i;
	return 0;
}

void model_host_fini(struct model_vm *vm)
{
	if (vm->memory)
		munmap(vm->memory, vm->host_frames << PVM_PAGE_SHIFT);
	free(vm->frame);
	free(vm->arena);
	free(vm->arena_used);
	free(vm->arena_free);
	pthread_mutex_destroy(&vm->mmu_lock);
	pthread_mutex_destroy(&vm->arena_lock);
	pthread_mutex_destroy(&vm->move_lock);
}

/* ------------------------------------------------------------------------
 * What tests ask the host to do.
 */

static bool any_pinned(const struct model_vm *vm, uint64_t gfn, uint64_t pages)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		if (vm->frame[gfn + i].pins)
			return true;
	return false;
}

int model_host_take(struct model_vm *vm, uint64_t gpa, uint64_t pages)
{
	uint64_t gfn = gpa >> PVM_PAGE_SHIFT, i;

	if (any_pinned(vm, gfn, pages))
		return PVM_EBUSY;
	for (i = 0; i < pages; i++)
		vm->frame[gfn + i].host = FRAME_TAKEN;
	pvm_mmu_unmap_gfns(&vm->pvm, pvm_gfn(gfn), pages, PVM_MAY_SLEEP);
	return PVM_OK;
}

/* The guest loses the frame first; what it writes until then is copied. */
static void move_locked(struct model_vm *vm, uint64_t gfn)
{
	struct model_frame *f = &vm->frame[gfn];
	uint8_t *from = vm->memory + ((uint64_t)f->host << PVM_PAGE_SHIFT);
	uint8_t *to = vm->memory + (vm->next_spare << PVM_PAGE_SHIFT);

	__atomic_store_n(&f->moving, true, __ATOMIC_SEQ_CST);
	pvm_mmu_unmap_gfns(&vm->pvm, pvm_gfn(gfn), 1, PVM_MAY_SLEEP);
	memcpy(to, from, PVM_PAGE_SIZE);
	memset(from, 0xa5, PVM_PAGE_SIZE);
	f->host = (uint32_t)vm->next_spare++;
	__atomic_store_n(&f->moving, false, __ATOMIC_SEQ_CST);
}

int model_host_move(struct model_vm *vm, uint64_t gpa)
{
	uint64_t gfn = gpa >> PVM_PAGE_SHIFT;
	int rc = PVM_OK;

	pthread_mutex_lock(&vm->move_lock);
	if (vm->frame[gfn].pins)
		rc = PVM_EBUSY;
	else if (vm->next_spare == vm->host_frames)
		rc = PVM_ENOMEM;
	else
		move_locked(vm, gfn);
	pthread_mutex_unlock(&vm->move_lock);
	return rc;
}

void model_host_log(struct model_vm *vm, uint64_t gpa, uint64_t pages)
{
	uint64_t gfn = gpa >> PVM_PAGE_SHIFT, i;

	for (i = 0; i < pages; i++) {
		vm->frame[gfn + i].logged = true;
		vm->frame[gfn + i].dirty = false;
	}
	pvm_mmu_write_protect_gfns(&vm->pvm, pvm_gfn(gfn), pages, PVM_MAY_SLEEP);
}

bool model_host_dirty(const struct model_vm *vm, uint64_t gpa)
{
	return vm->frame[gpa >> PVM_PAGE_SHIFT].dirty;
}
