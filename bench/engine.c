/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The benchmark's host. Its lock is empty, but for the row with two threads. */
#define _GNU_SOURCE
#include "engine.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <pvm/mmu.h>

#define GUEST_BASE	(1ull << 44)
#define TABLE_BASE	(1ull << 45)
#define ARENA_PAGES	8192
#define NO_PAGE		UINT32_MAX

static void spin(const struct engine *e, char *held)
{
	unsigned spins = 0;

	while (e->shared && __atomic_test_and_set(held, __ATOMIC_ACQUIRE))
		if (++spins % 100 == 0)
			sched_yield();
}

static void relax(void *host)
{
	(void)host;
	sched_yield();
}

static int page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	struct engine *e = host;
	uint32_t index;

	(void)sleep;
	spin(e, &e->arena_held);
	index = e->free_count ? e->free[--e->free_count] : NO_PAGE;
	__atomic_clear(&e->arena_held, __ATOMIC_RELEASE);
	if (index == NO_PAGE)
		return PVM_ENOMEM;
	page->va = e->arena + (size_t)index * PVM_PAGE_SIZE;
	page->pa = pvm_hpa(TABLE_BASE + (uint64_t)index * PVM_PAGE_SIZE);
	memset(page->va, 0, PVM_PAGE_SIZE);
	return PVM_OK;
}

static void page_free(void *host, struct pvm_host_page page)
{
	struct engine *e = host;

	spin(e, &e->arena_held);
	e->free[e->free_count++] = (uint32_t)((page.pa.v - TABLE_BASE) >> PVM_PAGE_SHIFT);
	__atomic_clear(&e->arena_held, __ATOMIC_RELEASE);
}

static void *page_va(void *host, pvm_hpa_t pa)
{
	return ((struct engine *)host)->arena + (pa.v - TABLE_BASE);
}

static int gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			struct pvm_frame *frame)
{
	struct engine *e = host;

	(void)write;
	(void)sleep;
	if (gfn.v >= e->memory_size >> PVM_PAGE_SHIFT)
		return PVM_ENOENT;
	frame->pa = pvm_hpa(GUEST_BASE + (gfn.v << PVM_PAGE_SHIFT));
	frame->max_level = 1;
	frame->writable = true;
	return PVM_OK;
}

static void *gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	struct engine *e = host;

	(void)write;
	return gfn.v < e->memory_size >> PVM_PAGE_SHIFT ? e->memory + (gfn.v << PVM_PAGE_SHIFT) : NULL;
}

static int pin(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	*pa = pvm_hpa(GUEST_BASE + (gfn.v << PVM_PAGE_SHIFT));
	*va = gfn_to_va(host, gfn, true);
	return *va ? PVM_OK : PVM_ENOENT;
}

static void unpin(void *host, pvm_gfn_t gfn, void *va)
{
	(void)host;
	(void)gfn;
	(void)va;
}

static void tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	(void)flush;
	((struct engine *)host)->flushes++;
}

/* CPU time of this thread: what other programs take in between is not the engine's. */
static uint64_t cpu_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void lock(void *host)
{
	struct engine *e = host;

	spin(e, &e->held);
	e->takings++;
	if (e->timed)
		e->held_since = cpu_time();
}

static void unlock(void *host)
{
	struct engine *e = host;
	uint64_t held = e->timed ? cpu_time() - e->held_since : 0;

	if (held > e->held_longest)
		e->held_longest = held;
	if (e->shared)
		__atomic_clear(&e->held, __ATOMIC_RELEASE);
}

static const struct pvm_host_ops ops = {
	.page_alloc = page_alloc, .page_free = page_free, .page_va = page_va,
	.gfn_to_frame = gfn_to_frame, .gfn_to_va = gfn_to_va, .pin = pin, .unpin = unpin,
	.tlb_flush = tlb_flush, .mmu_lock = lock, .mmu_unlock = unlock,
	.relax = relax,
};

static const struct pvm_vm_config config = {
	.abi = PVM_ABI_DUAL_CR3,
	.host_nx = true, .host_pke = true, .host_umip = true, .host_osxsave = true,
	.host_page1g = true,
	.host_maxphyaddr = 46, .guest_maxphyaddr = 46,
	.user32_cs = 0x23, .user_ds = 0x2b, .user_cs = 0x33, .cpunode_sel = 0x7b, .tls_index = 12,
	.kernel_cs = 0x10, .kernel_ds = 0x18,
	.range = { 256, 510, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE },
};

uint64_t engine_new_table(struct engine *e)
{
	uint64_t gpa = e->next_table;

	if (gpa >= e->memory_size)
		abort();	/* a row asks for more than it made */
	e->next_table += PVM_PAGE_SIZE;
	memset(e->memory + gpa, 0, PVM_PAGE_SIZE);
	return gpa;
}

uint64_t *engine_table_entry(struct engine *e, uint64_t root, uint64_t gva, unsigned last)
{
	uint64_t table = root;
	unsigned level;

	for (level = 4; level > last; level--) {
		uint64_t *entry = (uint64_t *)(e->memory + table) + PVM_LEVEL_INDEX(gva, level);

		if (!(*entry & PVM_PTE_P))
			*entry = engine_new_table(e) | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U | PVM_PTE_A;
		table = *entry & PVM_PTE_ADDR_MASK;
	}
	return (uint64_t *)(e->memory + table) + PVM_LEVEL_INDEX(gva, last);
}

uint64_t *engine_entry(struct engine *e, uint64_t root, uint64_t gva)
{
	return engine_table_entry(e, root, gva, 1);
}

void engine_map(struct engine *e, uint64_t root, uint64_t gva, uint64_t gpa, uint64_t flags)
{
	*engine_entry(e, root, gva) = gpa | flags;
}

/* The root of a mode: with five levels, one that links to the four below. */
static uint64_t identity(struct engine *e)
{
	uint64_t root = engine_new_table(e), pdpt = engine_new_table(e), pd = 0, gva;
	uint64_t top = e->vm.config.host_la57 ? engine_new_table(e) : root;

	if (top != root)
		*(uint64_t *)(e->memory + top) = root | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
	*(uint64_t *)(e->memory + root) = pdpt | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
	for (gva = 0; gva < e->memory_size; gva += PVM_LEVEL_SIZE(2)) {
		if (gva % PVM_LEVEL_SIZE(3) == 0) {
			pd = engine_new_table(e);
			((uint64_t *)(e->memory + pdpt))[PVM_LEVEL_INDEX(gva, 3)] =
				pd | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
		}
		((uint64_t *)(e->memory + pd))[PVM_LEVEL_INDEX(gva, 2)] =
			gva | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U | PVM_PTE_PS;
	}
	return top;
}

static bool boot(struct engine *e)
{
	struct pvm_vcpu *v = &e->vcpu;

	if (e->vm.config.host_la57)
		v->cr4 |= PVM_CR4_LA57;
	if (pvm_cr_write(v, 3, identity(e)) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_SWITCH_CR3, identity(e)) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_VCPU_STRUCT, ENGINE_PVCS) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_EVENT_ENTRY, ENGINE_ENTRY) != PVM_OK ||
	    pvm_msr_write(v, PVM_MSR_LSTAR, 0x110000) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_RETU_RIP, ENGINE_RETU) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_RETS_RIP, ENGINE_RETU + 16) != PVM_OK)
		return false;
	v->rip = 0x200000;
	v->gpr[PVM_RSP] = 0x208000;
	return true;
}

static void *reserve(uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	/* As in a kernel, where such memory is mapped by large pages; no matter if it cannot be. */
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static void release(struct engine *e)
{
	if (e->memory)
		munmap(e->memory, e->memory_size);
	if (e->arena)
		munmap(e->arena, (size_t)e->arena_pages * PVM_PAGE_SIZE);
	free(e->free);
}

bool engine_init_sized(struct engine *e, uint64_t memory_size, uint32_t arena_pages, unsigned levels)
{
	struct pvm_vm_config c = config;
	uint32_t i;

	memset(e, 0, sizeof(*e));
	if (levels == 5) {
		c.host_la57 = true;
		c.range = (struct pvm_linear_range){ 256, 510, 256, 510 };
	}
	e->memory_size = memory_size;
	e->next_table = memory_size / 2;
	e->arena_pages = arena_pages;
	e->memory = reserve(memory_size);
	e->arena = reserve((uint64_t)arena_pages * PVM_PAGE_SIZE);
	e->free = calloc(arena_pages, sizeof(*e->free));
	if (e->memory && e->arena && e->free) {
		for (i = 0; i < arena_pages; i++)
			e->free[e->free_count++] = arena_pages - 1 - i;
		if (pvm_vm_init(&e->vm, &c, &ops, e) == PVM_OK) {
			if (pvm_vcpu_init(&e->vcpu, &e->vm, 0) == PVM_OK) {
				if (boot(e))
					return true;
				pvm_vcpu_destroy(&e->vcpu);
			}
			pvm_vm_destroy(&e->vm);
		}
	}
	release(e);
	return false;
}

bool engine_init(struct engine *e, uint64_t memory_size)
{
	if (!engine_init_sized(e, memory_size, ARENA_PAGES, 4))
		return false;
	/* Touched before anything is timed. */
	memset(e->arena + (size_t)(ARENA_PAGES - e->free_count) * PVM_PAGE_SIZE, 0,
	       (size_t)e->free_count * PVM_PAGE_SIZE);
	return true;
}

void engine_fini(struct engine *e)
{
	pvm_vcpu_destroy(&e->vcpu);
	pvm_vm_destroy(&e->vm);
	release(e);
}
