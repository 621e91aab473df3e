/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host operations that the engine gets. */
#include <criterion/criterion.h>
#include <string.h>

#include "host.h"
#include "memory.h"

#define ARENA_PAGES 8

static struct monitor_vm vm;
static char why[256];

static void setup(void)
{
	memset(&vm, 0, sizeof(vm));
	cr_assert_eq(guest_memory_create(&vm.memory, GUEST_MEMORY_FILE, (4 << 20) + 4096,
					 why, sizeof(why)), 0);
	cr_assert_eq(host_init(&vm, ARENA_PAGES * PVM_PAGE_SIZE, NULL, why, sizeof(why)), 0);
}

static void teardown(void)
{
	host_fini(&vm);
	guest_memory_destroy(&vm.memory);
}

TestSuite(host, .init = setup, .fini = teardown);

Test(host, M11_the_arena_ends_at_its_limit_and_takes_pages_back)
{
	struct pvm_host_page pages[ARENA_PAGES], extra;
	unsigned i;

	for (i = 0; i < ARENA_PAGES; i++)
		cr_assert_eq(vm.ops.page_alloc(&vm, PVM_NO_SLEEP, &pages[i]), PVM_OK);
	cr_assert_eq(vm.ops.page_alloc(&vm, PVM_MAY_SLEEP, &extra), PVM_ENOMEM);
	vm.ops.page_free(&vm, pages[3]);
	cr_assert_eq(page_arena_used(vm.arena), (ARENA_PAGES - 1) * PVM_PAGE_SIZE);
	cr_assert_eq(vm.ops.page_alloc(&vm, PVM_NO_SLEEP, &extra), PVM_OK);
	cr_assert_eq(extra.pa.v, pages[3].pa.v);
	cr_assert_eq(page_arena_peak(vm.arena), ARENA_PAGES * PVM_PAGE_SIZE);
}

Test(host, a_page_comes_zeroed_also_the_second_time)
{
	struct pvm_host_page page;
	unsigned i;

	cr_assert_eq(vm.ops.page_alloc(&vm, PVM_NO_SLEEP, &page), PVM_OK);
	memset(page.va, 0xff, PVM_PAGE_SIZE);
	vm.ops.page_free(&vm, page);
	cr_assert_eq(vm.ops.page_alloc(&vm, PVM_NO_SLEEP, &page), PVM_OK);
	for (i = 0; i < PVM_PAGE_SIZE; i++)
		cr_assert_eq(((uint8_t *)page.va)[i], 0);
}

Test(host, M2_engine_pages_and_guest_frames_are_told_apart_by_their_address)
{
	struct pvm_host_page page;
	struct pvm_frame frame;

	cr_assert_eq(vm.ops.page_alloc(&vm, PVM_NO_SLEEP, &page), PVM_OK);
	cr_assert_geq(page.pa.v, ENGINE_HPA_BASE);
	cr_assert_eq(vm.ops.page_va(&vm, page.pa), page.va);
	cr_assert_eq(vm.ops.gfn_to_frame(&vm, pvm_gfn(5), true, PVM_NO_SLEEP, &frame), PVM_OK);
	cr_assert_eq(frame.pa.v, GUEST_HPA_BASE + 5 * PVM_PAGE_SIZE);
	cr_assert_lt(frame.pa.v + GUEST_MEMORY_MAX, ENGINE_HPA_BASE);
	cr_assert(frame.writable);
}

Test(host, a_frame_outside_memory_is_not_there)
{
	uint64_t frames = vm.memory.size >> PVM_PAGE_SHIFT;
	struct pvm_frame frame;
	pvm_hpa_t pa;
	void *va;

	cr_assert_eq(vm.ops.gfn_to_frame(&vm, pvm_gfn(frames), false, PVM_NO_SLEEP, &frame),
		     PVM_ENOENT);
	cr_assert_eq(vm.ops.gfn_to_frame(&vm, pvm_gfn(~0ull >> 12), false, PVM_NO_SLEEP, &frame),
		     PVM_ENOENT);
	cr_assert_null(vm.ops.gfn_to_va(&vm, pvm_gfn(frames), false));
	cr_assert_eq(vm.ops.pin(&vm, pvm_gfn(frames), &va, &pa), PVM_ENOENT);
	cr_assert_not_null(vm.ops.gfn_to_va(&vm, pvm_gfn(frames - 1), true));
}

Test(host, large_pages_only_where_all_of_them_is_memory)
{
	struct pvm_frame frame;

	cr_assert_eq(vm.ops.gfn_to_frame(&vm, pvm_gfn(1), false, PVM_NO_SLEEP, &frame), PVM_OK);
	cr_assert_eq(frame.max_level, 2);
	cr_assert_eq(vm.ops.gfn_to_frame(&vm, pvm_gfn(1024), false, PVM_NO_SLEEP, &frame), PVM_OK);
	cr_assert_eq(frame.max_level, 1, "the last page of memory stands alone");
	teardown();
	cr_assert_eq(guest_memory_create(&vm.memory, GUEST_MEMORY_FILE, 2ull << 30, why, sizeof(why)), 0);
	cr_assert_eq(host_init(&vm, ARENA_PAGES * PVM_PAGE_SIZE, NULL, why, sizeof(why)), 0);
	cr_assert_eq(vm.ops.gfn_to_frame(&vm, pvm_gfn(0x40000), false, PVM_NO_SLEEP, &frame),
		     PVM_OK);
	cr_assert_eq(frame.max_level, 3);
}

Test(host, S8_a_pinned_frame_is_the_guest_s_memory)
{
	pvm_hpa_t pa;
	void *va;

	cr_assert_eq(vm.ops.pin(&vm, pvm_gfn(3), &va, &pa), PVM_OK);
	cr_assert_eq(va, vm.memory.va + 3 * PVM_PAGE_SIZE);
	cr_assert_eq(pa.v, GUEST_HPA_BASE + 3 * PVM_PAGE_SIZE);
	vm.ops.unpin(&vm, pvm_gfn(3), va);
}

Test(host, a_flush_without_an_executor_is_nothing_to_do)
{
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ALL };

	vm.ops.tlb_flush(&vm, &flush);
}
