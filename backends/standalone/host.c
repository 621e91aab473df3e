/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The engine's host operations in an ordinary process. Physical addresses are
 * made up: offsets into the memfd (guest frames) and into an arena (the
 * engine's pages), each with a base of its own, so that M2 can be checked.
 * Must never call the engine: most of this runs under the MMU lock.
 */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "decode.h"
#include "local_apic.h"
#include "memory.h"

struct page_arena {
	uint8_t *va;
	uint32_t limit;			/* pages */
	uint32_t fresh;			/* pages from here on were never used and are zero */
	uint32_t used, peak;
	uint32_t free_first;		/* list through the free pages' first words, index + 1 */
	pthread_mutex_t lock;
};

struct page_arena *page_arena_create(uint64_t size)
{
	struct page_arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return NULL;
	arena->limit = (uint32_t)(size >> PVM_PAGE_SHIFT);
	arena->va = mmap(NULL, (size_t)arena->limit << PVM_PAGE_SHIFT, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena->va == MAP_FAILED) {
		free(arena);
		return NULL;
	}
	pthread_mutex_init(&arena->lock, NULL);
	return arena;
}

void page_arena_destroy(struct page_arena *arena)
{
	if (!arena)
		return;
	munmap(arena->va, (size_t)arena->limit << PVM_PAGE_SHIFT);
	pthread_mutex_destroy(&arena->lock);
	free(arena);
}

uint64_t page_arena_used(const struct page_arena *arena)
{
	return (uint64_t)arena->used << PVM_PAGE_SHIFT;
}

uint64_t page_arena_peak(const struct page_arena *arena)
{
	return (uint64_t)arena->peak << PVM_PAGE_SHIFT;
}

static void *arena_page(const struct page_arena *arena, uint32_t index)
{
	return arena->va + ((size_t)index << PVM_PAGE_SHIFT);
}

static int host_page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	struct page_arena *arena = ((struct monitor_vm *)host)->arena;
	uint32_t index;
	bool reused = false;

	(void)sleep;
	pthread_mutex_lock(&arena->lock);
	if (arena->free_first) {
		index = arena->free_first - 1;
		memcpy(&arena->free_first, arena_page(arena, index), sizeof(arena->free_first));
		reused = true;
	} else if (arena->fresh < arena->limit) {
		index = arena->fresh++;
	} else {
		pthread_mutex_unlock(&arena->lock);
		return PVM_ENOMEM;
	}
	if (++arena->used > arena->peak)
		arena->peak = arena->used;
	pthread_mutex_unlock(&arena->lock);
	page->va = arena_page(arena, index);
	page->pa = pvm_hpa(ENGINE_HPA_BASE + ((uint64_t)index << PVM_PAGE_SHIFT));
	if (reused)
		memset(page->va, 0, PVM_PAGE_SIZE);
	return PVM_OK;
}

static void host_page_free(void *host, struct pvm_host_page page)
{
	struct page_arena *arena = ((struct monitor_vm *)host)->arena;

	pthread_mutex_lock(&arena->lock);
	memcpy(page.va, &arena->free_first, sizeof(arena->free_first));
	arena->free_first = (uint32_t)((page.pa.v - ENGINE_HPA_BASE) >> PVM_PAGE_SHIFT) + 1;
	arena->used--;
	pthread_mutex_unlock(&arena->lock);
}

static void *host_page_va(void *host, pvm_hpa_t pa)
{
	return ((struct monitor_vm *)host)->arena->va + (pa.v - ENGINE_HPA_BASE);
}

static void host_relax(void *host)
{
	(void)host;
	sched_yield();
}

static int host_gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			     struct pvm_frame *frame)
{
	const struct guest_memory *memory = &((struct monitor_vm *)host)->memory;
	uint64_t frames = memory->size >> PVM_PAGE_SHIFT;
	unsigned level;

	(void)write;
	(void)sleep;
	if (gfn.v >= frames)
		return PVM_ENOENT;
	frame->pa = pvm_hpa(GUEST_HPA_BASE + (gfn.v << PVM_PAGE_SHIFT));
	frame->writable = true;
	frame->max_level = 1;
	for (level = 2; level <= 3; level++) {
		uint64_t pages = PVM_LEVEL_SIZE(level) >> PVM_PAGE_SHIFT;

		if ((gfn.v & ~(pages - 1)) + pages > frames)
			break;
		frame->max_level = (uint8_t)level;
	}
	return PVM_OK;
}

static void *host_gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	const struct guest_memory *memory = &((struct monitor_vm *)host)->memory;

	(void)write;
	if (gfn.v >= memory->size >> PVM_PAGE_SHIFT)
		return NULL;
	return memory->va + (gfn.v << PVM_PAGE_SHIFT);
}

/* S8: the whole memfd stays mapped and writable while the VM exists. */
static int host_pin(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	*pa = pvm_hpa(GUEST_HPA_BASE + (gfn.v << PVM_PAGE_SHIFT));
	*va = host_gfn_to_va(host, gfn, true);
	return *va ? PVM_OK : PVM_ENOENT;
}

static void host_unpin(void *host, pvm_gfn_t gfn, void *va)
{
	(void)host;
	(void)gfn;
	(void)va;
}

static void host_tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	struct monitor_vm *vm = host;

	if (vm->executor_ready && vm->executor->tlb_flush)
		vm->executor->tlb_flush(vm, flush);
}

static void host_lock(void *host)
{
	pthread_mutex_lock(&((struct monitor_vm *)host)->mmu_lock);
}

static void host_unlock(void *host)
{
	pthread_mutex_unlock(&((struct monitor_vm *)host)->mmu_lock);
}

static uint32_t host_events(void *host, struct pvm_vcpu *pvm, uint8_t *vector)
{
	struct monitor_vcpu *vcpu = pvm->backend;

	(void)host;
	return vcpu->apic ? local_apic_waits(vcpu->apic, pvm->cr8, vector) : 0;
}

static void host_event_taken(void *host, struct pvm_vcpu *pvm, uint32_t waits, uint8_t vector)
{
	struct monitor_vcpu *vcpu = pvm->backend;

	(void)host;
	local_apic_taken(vcpu->apic, waits, vector);
}

/* Of guests that speak Xen PV; those run on another engine than this one (executor_ops::live). */
static void host_clock(void *host, struct pvm_clock *now)
{
	(void)host;
	*now = (struct pvm_clock){ .ns = clock_now() };
}

static void host_set_timer(void *host, struct pvm_vcpu *vcpu, uint64_t ns)
{
	(void)host;
	(void)vcpu;
	(void)ns;
}

static void host_kick(void *host, struct pvm_vcpu *vcpu)
{
	(void)host;
	(void)vcpu;
}

int host_init(struct monitor_vm *vm, uint64_t shadow_memory,
	      void (*trace)(void *host, const struct pvm_trace_record *record), char *why,
	      size_t why_size)
{
	vm->arena = page_arena_create(shadow_memory);
	if (!vm->arena) {
		snprintf(why, why_size, "no address space for %llu bytes of shadow memory: %s; see --shadow-memory",
			 (unsigned long long)shadow_memory, strerror(errno));
		return -1;
	}
	vm->shadow_memory = shadow_memory;
	pthread_mutex_init(&vm->mmu_lock, NULL);
	vm->ops = (struct pvm_host_ops){
		.page_alloc = host_page_alloc,
		.page_free = host_page_free,
		.page_va = host_page_va,
		.gfn_to_frame = host_gfn_to_frame,
		.gfn_to_va = host_gfn_to_va,
		.pin = host_pin,
		.unpin = host_unpin,
		.tlb_flush = host_tlb_flush,
		.mmu_lock = host_lock,
		.mmu_unlock = host_unlock,
		.decode = decode_insn,
		.events = host_events,
		.event_taken = host_event_taken,
		.relax = host_relax,
		.clock = host_clock,
		.set_timer = host_set_timer,
		.kick = host_kick,
		.trace = trace,
	};
	return 0;
}

void host_fini(struct monitor_vm *vm)
{
	if (!vm->arena)
		return;
	page_arena_destroy(vm->arena);
	vm->arena = NULL;
	pthread_mutex_destroy(&vm->mmu_lock);
}
