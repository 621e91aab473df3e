/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Memory that runs out: limits, failed allocations, eviction. */
#include "guest.h"

#define AREAS 12	/* addresses with a level-1 table each */

static uint64_t area(unsigned i)
{
	return GVA + ((uint64_t)i << 21);
}

static void init(struct guest *g, uint32_t limit)
{
	struct pvm_vm_config config = fixture_config();
	unsigned i;

	config.max_shadow_pages = limit;
	guest_init_config(g, &config, 1, 4);
	for (i = 0; i < AREAS; i++)
		guest_map(g, area(i), DATA + i * 0x1000, 1, RWU);
}

static uint32_t pages(struct guest *g)
{
	struct pvm_mmu_stats stats;

	pvm_mmu_get_stats(g->vm, &stats);
	return stats.shadow_pages;
}

Test(mmu_evict, limit_is_kept_and_every_page_is_served)
{
	struct guest g;
	unsigned i, round;

	init(&g, 8);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < AREAS; i++) {
			guest_touch(&g, area(i), PVM_ACCESS_WRITE);
			cr_assert_leq(pages(&g), 8);
		}
	}
	guest_fini(&g);
}

Test(mmu_evict, page_used_last_stays_longest)
{
	struct guest g;
	unsigned i;

	init(&g, 9);
	for (i = 0; i < 6; i++)
		guest_touch(&g, area(i), PVM_ACCESS_WRITE);	/* three above and six tables */
	for (i = 6; i < AREAS; i++) {
		guest_fault(&g, area(0), PVM_PF_W);		/* in use again and again */
		guest_touch(&g, area(i), PVM_ACCESS_WRITE);
		cr_assert_eq(guest_reaches(&g, area(0)), DATA, "evicted for area %u", i);
	}
	guest_fini(&g);
}

Test(mmu_evict, M11_limit_too_small_for_one_walk_is_a_clear_error)
{
	struct pvm_fault_result result;
	struct guest g;

	init(&g, 3);
	result = guest_fault(&g, area(0), PVM_PF_W);
	cr_assert_eq(result.kind, PVM_FAULT_ERROR);
	cr_assert_eq(result.error, PVM_ENOMEM);
	cr_assert_eq(*guest_entry(&g, area(0), 1), DATA | RWU);	/* and nothing has happened */
	guest_fini(&g);
}

Test(mmu_evict, M11_host_without_memory_makes_room_by_eviction)
{
	struct guest g;
	unsigned i;

	init(&g, 0);
	for (i = 0; i < 6; i++)
		guest_touch(&g, area(i), PVM_ACCESS_WRITE);
	pvm_mmu_shrink(g.vm, 100, PVM_MAY_SLEEP);	/* empties the reserve, too */
	g.f.host.allocs_left = 0;
	for (i = 0; i < AREAS; i++)
		guest_touch(&g, area(i), PVM_ACCESS_WRITE);
	g.f.host.allocs_left = -1;
	check_ok(&g);
	guest_fini(&g);
}

Test(mmu_evict, M11_failed_allocation_at_any_point_loses_nothing)
{
	struct pvm_fault_result result;
	int64_t allocs;

	for (allocs = 0; allocs < 12; allocs++) {
		pvm_hpa_t root;
		struct guest g;
		int rc;

		init(&g, 0);
		g.f.host.allocs_left = allocs;
		rc = pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP);
		cr_assert(rc == PVM_OK || rc == PVM_ENOMEM);
		result = guest_fault(&g, area(0), PVM_PF_W);
		cr_assert(result.kind == PVM_FAULT_FIXED ||
			  (result.kind == PVM_FAULT_ERROR && result.error == PVM_ENOMEM));
		check_ok(&g);
		g.f.host.allocs_left = -1;
		guest_touch(&g, area(0), PVM_ACCESS_WRITE);
		cr_assert_eq(guest_reaches(&g, area(0)), DATA);
		guest_fini(&g);
	}
}

Test(mmu_evict, M11_caller_who_must_not_sleep_is_told_to_come_again)
{
	pvm_hpa_t root;
	struct guest g;

	init(&g, 0);
	g.f.host.allocs_left = 0;
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_NO_SLEEP), PVM_EAGAIN);
	cr_assert_eq(pvm_mmu_fault(g.vcpu, pvm_gva(area(0)), PVM_PF_W, PVM_NO_SLEEP).kind,
		     PVM_FAULT_WOULD_BLOCK);
	cr_assert_eq(*guest_entry(&g, area(0), 1), DATA | RWU);
	cr_assert_eq(pages(&g), 0);
	g.f.host.allocs_left = -1;
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_NO_SLEEP), PVM_OK);
	cr_assert_eq(pvm_mmu_fault(g.vcpu, pvm_gva(area(0)), PVM_PF_W, PVM_NO_SLEEP).kind,
		     PVM_FAULT_FIXED);
	guest_fini(&g);
}

Test(mmu_evict, M11_engine_that_cannot_be_made_leaves_nothing_behind)
{
	struct pvm_vm_config config = fixture_config();
	int64_t allocs;

	for (allocs = 0; allocs < 3; allocs++) {
		struct fixture f;
		struct pvm_vm vm;

		fixture_init(&f);
		f.host.allocs_left = allocs;
		cr_assert_eq(pvm_vm_init(&vm, &config, &f.host.ops, &f.host), PVM_ENOMEM);
		f.host.allocs_left = -1;
		fixture_fini(&f);
	}
}

/* However many roots run, one eviction comes past them all. */
Test(mmu_evict, M12_roots_in_use_do_not_hide_what_can_go)
{
	static struct guest g;
	struct pvm_vm_config config = fixture_config();
	pvm_hpa_t root;
	unsigned i;

	config.max_shadow_pages = FIXTURE_VCPUS + 8;
	guest_init_config(&g, &config, FIXTURE_VCPUS, 4);
	for (i = 0; i < AREAS; i++)
		guest_map(&g, area(i), DATA + i * 0x1000, 1, RWU);
	for (i = 0; i < FIXTURE_VCPUS; i++) {
		if (i)
			cr_assert_eq(pvm_cr_write(&g.f.vcpu[i], 3, fixture_new_table(&g.f)), PVM_OK);
		cr_assert_eq(pvm_mmu_load(&g.f.vcpu[i], &root, PVM_MAY_SLEEP), PVM_OK);
	}
	for (i = 0; i < AREAS; i++)
		guest_touch(&g, area(i), PVM_ACCESS_WRITE);
	cr_assert_eq(pages(&g), config.max_shadow_pages);
	guest_fini(&g);
}

Test(mmu_evict, loaded_root_outlives_its_table_until_it_is_put_down)
{
	struct guest g;
	pvm_hpa_t root;

	init(&g, 5);
	guest_touch(&g, area(0), PVM_ACCESS_WRITE);
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	/* Its table's memory goes and comes back: the root is dead, but still this
	 * vCPU's, and makes no room. */
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(g.cr3 >> 12), 1, PVM_MAY_SLEEP);
	cr_assert_eq(((uint64_t *)g.f.host.ops.page_va(&g.f, root))[0], 0);
	guest_touch(&g, area(0), PVM_ACCESS_WRITE);
	guest_touch(&g, area(1), PVM_ACCESS_WRITE);
	guest_fini(&g);
}

Test(mmu_evict, many_dead_pages_are_freed_by_one_flush)
{
	struct guest g;
	unsigned i;

	guest_init(&g);
	for (i = 0; i < 60; i++)
		guest_map(&g, area(i), DATA + i * 0x1000, 1, RWU);
	guest_map_tables(&g);
	for (i = 0; i < 60; i++)
		guest_touch(&g, area(i), PVM_ACCESS_WRITE);
	guest_store(&g, guest_entry_gva(&g, GVA, 3), 0);
	pvm_mmu_flush_current(g.vcpu);
	guest_forget_flushes(&g);
	for (i = 0; i < 60; i++)	/* tables that no table links to any more become data */
		guest_touch(&g, TABLES + (8 << 20) + 0x5000 + i * 0x1000, PVM_ACCESS_WRITE);
	cr_assert_leq(guest_flushes(&g, PVM_FLUSH_ALL), 4);
	cr_assert_lt(pages(&g), 45);
	guest_fini(&g);
}
