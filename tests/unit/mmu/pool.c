/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The MMU's own memory: the reserve, objects in pages, list heads by frame. */
#include "guest.h"

#include "mmu/entry.h"

Test(mmu_pool, reserve_is_refilled_before_a_fault_that_may_sleep)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	cr_assert_eq(g.vm->mmu->reserved, 0);
	guest_fault(&g, GVA, 0);
	cr_assert_gt(g.vm->mmu->reserved, 0);
	cr_assert_leq(g.vm->mmu->reserved, RESERVE_GOAL);
	guest_fini(&g);
}

Test(mmu_pool, pages_given_back_are_zeroed_and_kept_up_to_a_limit)
{
	struct pvm_host_page page[RESERVE_MAX + 2];
	struct guest g;
	unsigned i;

	guest_init(&g);
	for (i = 0; i < RESERVE_MAX + 2; i++) {
		cr_assert(pvm_pool_refill(g.vm->mmu, 1, PVM_MAY_SLEEP));
		page[i] = pvm_pool_take(g.vm->mmu);
		memset(page[i].va, 0xff, PVM_PAGE_SIZE);
	}
	for (i = 0; i < RESERVE_MAX + 2; i++)
		pvm_pool_give(g.vm->mmu, page[i]);
	cr_assert_eq(g.vm->mmu->reserved, RESERVE_MAX);
	cr_assert_eq(*(uint64_t *)pvm_pool_take(g.vm->mmu).va, 0);
	g.vm->mmu->reserved++;
	pvm_pool_drain(g.vm->mmu);
	cr_assert_eq(g.vm->mmu->reserved, 0);
	guest_fini(&g);
}

Test(mmu_pool, topup_that_meets_a_full_reserve_gives_its_pages_back)
{
	struct guest g;

	guest_init(&g);
	pvm_pool_refill(g.vm->mmu, RESERVE_GOAL, PVM_MAY_SLEEP);
	cr_assert_eq(g.vm->mmu->reserved, RESERVE_GOAL);
	cr_assert(pvm_pool_refill(g.vm->mmu, RESERVE_MAX, PVM_NO_SLEEP));
	pvm_pool_refill(g.vm->mmu, RESERVE_GOAL, PVM_MAY_SLEEP);
	cr_assert_eq(g.vm->mmu->reserved, RESERVE_MAX);
	guest_fini(&g);
}

Test(mmu_pool, objects_share_pages_and_the_last_one_frees_its_page)
{
	struct pvm_slab slab;
	struct guest g;
	void *object[30];
	uint32_t before;
	unsigned i;

	guest_init(&g);
	pvm_slab_init(&slab, 400);
	cr_assert_eq(pvm_slab_missing(&slab, 10), 1);
	cr_assert_eq(pvm_slab_missing(&slab, 11), 2);
	cr_assert(pvm_pool_refill(g.vm->mmu, 3, PVM_MAY_SLEEP));
	before = g.vm->mmu->reserved;
	for (i = 0; i < 30; i++)
		object[i] = pvm_slab_take(g.vm->mmu, &slab);
	cr_assert_eq(g.vm->mmu->reserved, before - 3);
	cr_assert_eq(slab.available, 0);
	for (i = 0; i < 30; i++)
		pvm_slab_give(g.vm->mmu, &slab, object[(i * 7) % 30]);
	cr_assert_eq(g.vm->mmu->reserved, before);
	cr_assert_eq(slab.available, 0);
	guest_fini(&g);
}

/* One object is left, no page, and the leaf needs it. */
Test(mmu_pool, M11_spares_take_nothing_that_was_counted_for_a_fill)
{
	struct pvm_slab *slab;
	struct guest g;
	void *taken[PVM_PAGE_SIZE / sizeof(struct pvm_entry_values)];
	unsigned n = 0;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + CHUNK_ENTRIES * 0x1000, DATA + 0x1000, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	guest_map(&g, GVA + 0x1000, DATA, 1, RWU);	/* a second one of its frame: links */
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_READ);
	slab = &g.vm->mmu->value_slab;
	pvm_spares_give_back(g.vcpu);
	pvm_pool_drain(g.vm->mmu);
	while (slab->available > 1)
		taken[n++] = pvm_slab_take(g.vm->mmu, slab);
	g.f.host.allocs_left = 0;
	cr_assert_eq(guest_fault(&g, GVA + CHUNK_ENTRIES * 0x1000, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA + CHUNK_ENTRIES * 0x1000), DATA + 0x1000);
	while (n)
		pvm_slab_give(g.vm->mmu, slab, taken[--n]);
	g.f.host.allocs_left = -1;
	guest_fini(&g);
}

/* Sizes of which one more would begin within the page and end after it. */
Test(mmu_pool, every_object_ends_within_its_page)
{
	static const uint32_t sizes[] = { 128, 160, 408 };
	void *object[PVM_PAGE_SIZE / 128];
	struct pvm_slab slab;
	struct guest g;
	unsigned i, n, count;

	guest_init(&g);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		count = PVM_PAGE_SIZE / sizes[i];
		pvm_slab_init(&slab, sizes[i]);
		cr_assert(pvm_pool_refill(g.vm->mmu, pvm_slab_missing(&slab, count), PVM_MAY_SLEEP));
		for (n = 0; n < count; n++) {
			object[n] = pvm_slab_take(g.vm->mmu, &slab);
			cr_assert_leq(((uintptr_t)object[n] & (PVM_PAGE_SIZE - 1)) + sizes[i], PVM_PAGE_SIZE,
				      "object %u of %u bytes", n, sizes[i]);
		}
		for (n = 0; n < count; n++)
			pvm_slab_give(g.vm->mmu, &slab, object[n]);
	}
	guest_fini(&g);
}

static void make_slot(struct pvm_mmu *mmu, struct pvm_radix *radix, uint64_t index, uint32_t missing)
{
	uint32_t before, *slot;

	cr_assert_eq(pvm_radix_missing(radix, index), missing, "%u", pvm_radix_missing(radix, index));
	cr_assert(pvm_pool_refill(mmu, missing, PVM_MAY_SLEEP));
	before = mmu->reserved;
	slot = pvm_radix_make(mmu, radix, index);
	cr_assert_eq(before - mmu->reserved, missing);
	cr_assert_eq(pvm_radix_find(radix, index), slot);
	cr_assert_eq(pvm_radix_missing(radix, index), 0);
	cr_assert_eq(*slot, 0);
}

Test(mmu_pool, sparse_array_grows_with_the_indices_used)
{
	struct pvm_radix radix = { .shift = 10 };
	struct guest g;
	uint64_t index = 0;
	unsigned calls = 0;

	guest_init(&g);
	cr_assert_null(pvm_radix_find(&radix, 5));
	make_slot(g.vm->mmu, &radix, 5, 1);
	make_slot(g.vm->mmu, &radix, 1023, 0);
	make_slot(g.vm->mmu, &radix, 1024, 2);	/* higher by one, and a second page */
	cr_assert_null(pvm_radix_find(&radix, 1ull << 39));
	make_slot(g.vm->mmu, &radix, (1ull << 40) - 1, 7);	/* the last frame there can be */
	make_slot(g.vm->mmu, &radix, (1ull << 40) - 1100, 1);
	/* All slots in order, nothing skipped, nothing twice. */
	cr_assert_not_null(pvm_radix_next(&radix, &index, 1ull << 40));
	cr_assert_eq(index, 0);
	index = 2048;
	while (index < 1ull << 40 && !pvm_radix_next(&radix, &index, 1ull << 40))
		calls++;
	cr_assert_gt(calls, 1, "M12: so much emptiness is skipped in many calls");
	cr_assert_eq(index, (1ull << 40) - 2048);
	index = 2048;
	while (index < 1ull << 30)
		cr_assert_null(pvm_radix_next(&radix, &index, 1ull << 30));
	cr_assert_eq(index, 1ull << 30);
	pvm_radix_destroy(g.vm->mmu, &radix);
	guest_fini(&g);
}

Test(mmu_pool, sparse_array_gives_back_what_is_empty)
{
	static const uint64_t index[] = { 5, 1023, 1024, 3ull << 30, (1ull << 40) - 1 };
	struct pvm_radix radix = { .shift = 10 };
	uint32_t before, *slot;
	struct guest g;
	unsigned i;

	guest_init(&g);
	cr_assert(pvm_pool_refill(g.vm->mmu, 40, PVM_MAY_SLEEP));
	before = g.vm->mmu->reserved;
	pvm_radix_trim(g.vm->mmu, &radix, 0);
	for (i = 0; i < 5; i++)
		*(uint32_t *)pvm_radix_make(g.vm->mmu, &radix, index[i]) = 7;
	/* What holds something stays; what never was, and is beyond the top, is no harm. */
	for (i = 0; i < 5; i++)
		pvm_radix_trim(g.vm->mmu, &radix, index[i]);
	pvm_radix_trim(g.vm->mmu, &radix, 1ull << 20);
	pvm_radix_trim(g.vm->mmu, &radix, 1ull << 63);
	for (i = 0; i < 5; i++)
		cr_assert_eq(*(uint32_t *)pvm_radix_find(&radix, index[i]), 7);
	/* The last frames go, and with them the height that they needed. */
	for (i = 4; i; i--) {
		slot = pvm_radix_find(&radix, index[i]);
		*slot = 0;
		pvm_radix_trim(g.vm->mmu, &radix, index[i]);
		cr_assert_eq(pvm_radix_find(&radix, index[i]), i == 1 ? slot : NULL, "its page has slot 5");
	}
	cr_assert_eq(radix.height, 1);
	cr_assert_eq(before - g.vm->mmu->reserved, 1);
	*(uint32_t *)pvm_radix_find(&radix, 5) = 0;
	pvm_radix_trim(g.vm->mmu, &radix, 5);
	cr_assert_eq(g.vm->mmu->reserved, before);
	cr_assert_null(pvm_radix_find(&radix, 5));
	make_slot(g.vm->mmu, &radix, 77, 1);
	pvm_radix_destroy(g.vm->mmu, &radix);
	guest_fini(&g);
}

Test(mmu_pool, frames_far_apart_are_all_found_by_the_host)
{
	struct guest g;
	unsigned i;

	guest_init(&g);
	for (i = 0; i < 6; i++) {
		guest_map(&g, GVA + i * 0x1000, (i * 300ull + 16) << 12, 1, RWU);
		guest_touch(&g, GVA + i * 0x1000, PVM_ACCESS_READ);
	}
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(16), 5 * 300 + 1, PVM_MAY_SLEEP);
	for (i = 0; i < 6; i++)
		cr_assert_eq(guest_reaches(&g, GVA + i * 0x1000), ~0ull);
	guest_fini(&g);
}
