/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host of the tests, as test_host.h says. Each engine page is an allocation of its own. */
#include "test_host.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After each engine page come bytes that must not change; AddressSanitizer stops at once. */
#define GUARD_SIZE 256u
#define GUARD_BYTE 0x5a

static void print_and_abort(const char *rule)
{
	fprintf(stderr, "test host: %s\n", rule);
	abort();
}

static void require(const struct test_host *h, bool holds, const char *rule)
{
	if (!holds)
		h->broken(rule);
}

static uint64_t page_index(pvm_hpa_t pa)
{
	return (pa.v - TEST_HOST_TABLE_BASE) / PVM_PAGE_SIZE;
}

/* The tables of pages double, so that a small VM costs little: fuzzers make many. */
static bool have_index(struct test_host *h)
{
	uint32_t capacity = h->pages_capacity ? 2 * h->pages_capacity : 64;
	uint8_t **pages;
	uint32_t *free_pages;

	if (h->free_count || h->pages_used < h->pages_capacity)
		return true;
	pages = realloc(h->pages, capacity * sizeof(*pages));
	if (pages)
		h->pages = pages;
	free_pages = realloc(h->free_pages, capacity * sizeof(*free_pages));
	if (free_pages)
		h->free_pages = free_pages;
	if (!pages || !free_pages)
		return false;
	h->pages_capacity = capacity;
	return true;
}

static int page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	struct test_host *h = host;
	uint32_t index;
	void *va;

	(void)sleep;
	require(h, h->lock_depth == 0, "page_alloc under the MMU lock");
	if (h->allocs_left == 0 || h->pages_live == TEST_HOST_MAX_PAGES || !have_index(h) ||
	    posix_memalign(&va, PVM_PAGE_SIZE, PVM_PAGE_SIZE + GUARD_SIZE))
		return PVM_ENOMEM;
	if (h->allocs_left > 0)
		h->allocs_left--;
	index = h->free_count ? h->free_pages[--h->free_count] : h->pages_used++;
	h->pages[index] = va;
	h->pages_live++;
	memset(va, 0, PVM_PAGE_SIZE);
	memset((uint8_t *)va + PVM_PAGE_SIZE, GUARD_BYTE, GUARD_SIZE);
	ASAN_POISON_MEMORY_REGION((uint8_t *)va + PVM_PAGE_SIZE, GUARD_SIZE);
	page->va = va;
	page->pa = pvm_hpa(TEST_HOST_TABLE_BASE + (uint64_t)index * PVM_PAGE_SIZE);
	return PVM_OK;
}

static void page_free(void *host, struct pvm_host_page page)
{
	struct test_host *h = host;
	uint64_t index = page_index(page.pa);
	const uint8_t *guard = (uint8_t *)page.va + PVM_PAGE_SIZE;
	unsigned i;

	require(h, page.va && page.va == test_host_page_va(h, page.pa),
		"page_free of a page that the engine does not have");
	ASAN_UNPOISON_MEMORY_REGION(guard, GUARD_SIZE);
	for (i = 0; i < GUARD_SIZE; i++)
		require(h, guard[i] == GUARD_BYTE, "an engine page was written after its end");
	memset(page.va, 0xa5, PVM_PAGE_SIZE);
	free(page.va);
	h->pages[index] = NULL;
	h->free_pages[h->free_count++] = (uint32_t)index;
	h->pages_live--;
}

void *test_host_page_va(const struct test_host *h, pvm_hpa_t pa)
{
	uint64_t index = page_index(pa);

	if (pa.v < TEST_HOST_TABLE_BASE || index >= h->pages_used || !h->pages[index])
		return NULL;
	return h->pages[index] + (pa.v & (PVM_PAGE_SIZE - 1));
}

static void *page_va(void *host, pvm_hpa_t pa)
{
	struct test_host *h = host;
	void *va = test_host_page_va(h, pa);

	require(h, va, "page_va of an address in no page that the engine has");
	return va;
}

bool test_host_is_memory(const struct test_host *h, uint64_t gfn)
{
	return gfn < h->memory_size >> PVM_PAGE_SHIFT && !(gfn >= h->hole_start && gfn < h->hole_end);
}

bool test_host_is_writable(const struct test_host *h, uint64_t gfn)
{
	return !(gfn >= h->read_only_start && gfn < h->read_only_end);
}

void test_host_send_away(struct test_host *h, uint64_t gfn, bool only_writes)
{
	require(h, h->away_count < TEST_HOST_MAX_AWAY, "too many frames are away");
	h->away[h->away_count].gfn = gfn;
	h->away[h->away_count++].only_writes = only_writes;
}

static bool is_away(const struct test_host *h, uint64_t gfn, bool write)
{
	unsigned i;

	for (i = 0; i < h->away_count; i++)
		if (h->away[i].gfn == gfn && (write || !h->away[i].only_writes))
			return true;
	return false;
}

static void fetch(struct test_host *h, uint64_t gfn, bool write)
{
	unsigned i;

	for (i = 0; i < h->away_count; i++) {
		if (h->away[i].gfn != gfn || (h->away[i].only_writes && !write))
			continue;
		h->fetched++;
		h->away[i--] = h->away[--h->away_count];
	}
}

static bool overlaps(uint64_t start, uint64_t end, uint64_t first, uint64_t frames)
{
	return start < first + frames && end > first;
}

/* The largest page around a frame that is all memory, and all of it as writable. */
static uint8_t frame_level(const struct test_host *h, uint64_t gfn)
{
	uint8_t level;

	for (level = 1; level < h->max_level; level++) {
		uint64_t frames = PVM_LEVEL_SIZE(level + 1) >> PVM_PAGE_SHIFT;
		uint64_t first = gfn & ~(frames - 1);

		if (first + frames > h->memory_size >> PVM_PAGE_SHIFT ||
		    overlaps(h->hole_start, h->hole_end, first, frames))
			break;
		if (overlaps(h->read_only_start, h->read_only_end, first, frames) &&
		    !(h->read_only_start <= first && h->read_only_end >= first + frames))
			break;
	}
	return level;
}

static int gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			struct pvm_frame *frame)
{
	struct test_host *h = host;

	require(h, sleep == PVM_NO_SLEEP || h->lock_depth == 0,
		"gfn_to_frame may sleep under the MMU lock");
	if (!test_host_is_memory(h, gfn.v))
		return PVM_ENOENT;
	if (h->frames_would_block && sleep == PVM_NO_SLEEP)
		return PVM_EAGAIN;
	if (sleep == PVM_MAY_SLEEP)
		fetch(h, gfn.v, write);
	if (is_away(h, gfn.v, write))
		return PVM_EAGAIN;
	frame->pa = pvm_hpa(TEST_HOST_GUEST_BASE + (gfn.v << PVM_PAGE_SHIFT));
	frame->writable = test_host_is_writable(h, gfn.v);
	frame->max_level = frame_level(h, gfn.v);
	return PVM_OK;
}

static void *gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	struct test_host *h = host;

	if (!test_host_is_memory(h, gfn.v) || (write && !test_host_is_writable(h, gfn.v)))
		return NULL;
	if (is_away(h, gfn.v, write))
		return NULL;
	return h->memory + (gfn.v << PVM_PAGE_SHIFT);
}

static int pin(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	struct test_host *h = host;

	*va = gfn_to_va(host, gfn, true);
	if (!*va)
		return PVM_ENOENT;
	*pa = pvm_hpa(TEST_HOST_GUEST_BASE + (gfn.v << PVM_PAGE_SHIFT));
	h->pins++;
	return PVM_OK;
}

static void unpin(void *host, pvm_gfn_t gfn, void *va)
{
	struct test_host *h = host;

	require(h, h->pins > 0, "unpin without pin");
	require(h, va == h->memory + (gfn.v << PVM_PAGE_SHIFT), "unpin of another page");
	h->pins--;
}

static void tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	struct test_host *h = host;

	if (h->flush_count < TEST_HOST_MAX_FLUSHES)
		h->flushes[h->flush_count++] = *flush;
}

static void yield(void *host)
{
	struct test_host *h = host;

	require(h, h->lock_depth == 0, "yield comes without the MMU lock");
	h->yields++;
}

static void mmu_lock(void *host)
{
	struct test_host *h = host;

	require(h, h->lock_depth == 0, "the MMU lock is not recursive");
	h->lock_depth++;
}

static void mmu_unlock(void *host)
{
	struct test_host *h = host;

	require(h, h->lock_depth == 1, "unlock without lock");
	h->lock_depth--;
}

static void trace(void *host, const struct pvm_trace_record *record)
{
	struct test_host *h = host;

	if (h->record_count < TEST_HOST_MAX_RECORDS)
		h->records[h->record_count++] = *record;
}

const struct pvm_host_ops test_host_ops = {
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
	.yield = yield,
	.trace = trace,
};

void test_host_init_on(struct test_host *h, uint8_t *memory, uint64_t memory_size,
		       void (*broken)(const char *rule))
{
	memset(h, 0, sizeof(*h));
	memset(memory, 0, memory_size);
	h->ops = test_host_ops;
	h->memory = memory;
	h->memory_size = memory_size;
	h->broken = broken ? broken : print_and_abort;
	h->allocs_left = -1;
	h->max_level = 1;
}

void test_host_init(struct test_host *h, uint64_t memory_size, void (*broken)(const char *rule))
{
	uint8_t *memory = aligned_alloc(PVM_PAGE_SIZE, memory_size);

	if (!memory)
		(broken ? broken : print_and_abort)("out of memory");
	test_host_init_on(h, memory, memory_size, broken);
	h->own_memory = memory;
}

void test_host_fini(struct test_host *h)
{
	require(h, h->pages_live == 0, "M11: engine pages are leaked");
	require(h, h->pins == 0, "S8: frames stay pinned");
	require(h, h->lock_depth == 0, "the MMU lock is held at the end");
	free(h->own_memory);
	free(h->pages);
	free(h->free_pages);
}

struct pvm_vm_config test_host_config(void)
{
	return (struct pvm_vm_config){
		.abi = PVM_ABI_DUAL_CR3,
		.host_nx = true,
		.host_pke = true,
		.host_umip = true,
		.host_osxsave = true,
		.host_page1g = true,
		.host_maxphyaddr = 46,
		.guest_maxphyaddr = 40,
		.user32_cs = 0x23,
		.user_ds = 0x2b,
		.user_cs = 0x33,
		.cpunode_sel = 0x7b,
		.tls_index = 12,
		.kernel_cs = 0x10,
		.kernel_ds = 0x18,
		.range = { 256, 510, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE },
		.pvm_features = 0,
	};
}
