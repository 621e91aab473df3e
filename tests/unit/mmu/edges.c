/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The MMU at the edge: host pages that run out while a 1 GiB leaf is made, the end of a range
 * of frames, and which root is the other mode's.
 */
#include "guest.h"

#define GIGABYTE	(1ull << 30)	/* gpa of a 1 GiB page that the host does not back */
#define ENOUGH_PAGES	24		/* of the host, for one fault */

static int (*small_frame)(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			  struct pvm_frame *frame);

/* The fixture's memory, and contiguous frames at GIGABYTE. */
static int frame_of(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
		    struct pvm_frame *frame)
{
	if (gfn.v < GIGABYTE >> PVM_PAGE_SHIFT)
		return small_frame(host, gfn, write, sleep, frame);
	*frame = (struct pvm_frame){
		.pa = pvm_hpa(TEST_HOST_GUEST_BASE + (gfn.v << PVM_PAGE_SHIFT)),
		.writable = true,
		.max_level = 3,
	};
	return PVM_OK;
}

Test(mmu_edges, M11_a_gigabyte_leaf_is_made_whole_or_not_at_all_however_few_pages_there_are)
{
	struct pvm_shadow_leaf leaf;
	unsigned pages, failed = 0;
	struct guest g;

	for (pages = 0; pages < ENOUGH_PAGES; pages++) {
		struct pvm_fault_result result;

		guest_init(&g);
		small_frame = g.f.host.ops.gfn_to_frame;
		g.f.host.ops.gfn_to_frame = frame_of;
		guest_map(&g, 1ull << 39, GIGABYTE, 3, RW);
		g.f.host.allocs_left = pages;
		result = pvm_mmu_fault(g.vcpu, pvm_gva(1ull << 39), PVM_PF_U | PVM_PF_W, PVM_NO_SLEEP);
		check_ok(&g);
		failed += result.kind != PVM_FAULT_FIXED;
		g.f.host.allocs_left = -1;
		guest_touch(&g, (1ull << 39) + 0x5000, PVM_ACCESS_WRITE);
		cr_assert(guest_walk(&g, 0, (1ull << 39) + 0x5000, &leaf));
		cr_assert_eq(leaf.level, 3);
		pvm_mmu_unmap_gfns(g.vm, pvm_gfn((GIGABYTE >> PVM_PAGE_SHIFT) + 77), 1, PVM_MAY_SLEEP);
		cr_assert_eq(guest_reaches(&g, 1ull << 39), ~0ull, "%u pages", pages);
		guest_fini(&g);
	}
	cr_assert(failed > 0 && failed < ENOUGH_PAGES, "%u failed", failed);
}

static void *(*small_va)(void *host, pvm_gfn_t gfn, bool write);

/* At GIGABYTE the fixture's memory is seen once more. */
static void *va_of(void *host, pvm_gfn_t gfn, bool write)
{
	if (gfn.v >= GIGABYTE >> PVM_PAGE_SHIFT)
		gfn.v -= GIGABYTE >> PVM_PAGE_SHIFT;
	return small_va(host, gfn, write);
}

Test(mmu_edges, M9_a_gigabyte_leaf_over_a_new_table_loses_the_right_to_write_it)
{
	uint64_t *entry, table;
	struct guest g;

	guest_init(&g);
	small_frame = g.f.host.ops.gfn_to_frame;
	small_va = g.f.host.ops.gfn_to_va;
	g.f.host.ops.gfn_to_frame = frame_of;
	g.f.host.ops.gfn_to_va = va_of;
	guest_map(&g, 1ull << 39, GIGABYTE, 3, RW);
	guest_map(&g, GVA, DATA, 1, RW);
	guest_touch(&g, 1ull << 39, PVM_ACCESS_WRITE);
	/* The table of GVA's page is in that gigabyte now. */
	entry = guest_entry(&g, GVA, 2);
	table = *entry & PVM_PTE_ADDR_MASK;
	*entry += GIGABYTE;
	cr_assert(guest_can_write(&g, (1ull << 39) + table));
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert_not(guest_can_write(&g, (1ull << 39) + table));
	guest_fini(&g);
}

/* Tables of list heads hold 512 frames: ends within one, and at the end of one. */
Test(mmu_edges, M10_the_first_frame_after_a_range_stays)
{
	static const uint64_t ends[] = { 0x101, 0x180, 0x200, 0x300, 0x400 };
	struct guest g;
	unsigned i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		uint64_t end = ends[i] << PVM_PAGE_SHIFT;

		guest_init(&g);
		guest_map(&g, GVA, end - PVM_PAGE_SIZE, 1, RW);
		guest_map(&g, GVA + 0x1000, end, 1, RW);
		guest_touch(&g, GVA, PVM_ACCESS_WRITE);
		guest_touch(&g, GVA + 0x1000, PVM_ACCESS_WRITE);
		pvm_mmu_unmap_gfns(g.vm, pvm_gfn(ends[i] - 1), 1, PVM_MAY_SLEEP);
		cr_assert_eq(guest_reaches(&g, GVA), ~0ull, "before frame %#lx", (unsigned long)ends[i]);
		cr_assert_eq(guest_reaches(&g, GVA + 0x1000), end, "frame %#lx", (unsigned long)ends[i]);
		guest_fini(&g);
	}
}

static uint64_t load(struct guest *g)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(g->vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	return root.v;
}

static unsigned locked;
static void (*real_lock)(void *host);

static void counting_lock(void *host)
{
	locked++;
	real_lock(host);
}

/* Another vCPU has loaded the table, with PKE and without: it is found under the lock, and
 * only the root of the same control bits is this vCPU's. */
Test(mmu_edges, the_other_root_is_found_under_the_lock_and_by_its_role)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_vcpu *second;
	uint64_t with, without;
	struct guest g;

	guest_init_config(&g, &config, 2, 4);
	load(&g);
	second = &g.f.vcpu[1];
	second->cr3 = g.user_cr3;
	g.vcpu = second;
	second->cr4 &= ~(uint64_t)(PVM_CR4_PKE | PVM_CR4_PKS);
	without = load(&g);
	g.vcpu = &g.f.vcpu[0];
	cr_assert_eq(pvm_mmu_other_root(g.vcpu).v, PVM_INVALID_ADDR, "of another role");
	g.vcpu = second;
	second->cr4 |= PVM_CR4_PKE | PVM_CR4_PKS;
	pvm_mmu_new_cr3(second);
	with = load(&g);
	cr_assert_neq(with, without);
	g.vcpu = &g.f.vcpu[0];
	real_lock = g.f.host.ops.mmu_lock;
	g.f.host.ops.mmu_lock = counting_lock;
	cr_assert_eq(pvm_mmu_other_root(g.vcpu).v, with);
	cr_assert_eq(locked, 1);
	cr_assert_eq(g.f.host.lock_depth, 0);
	guest_fini(&g);
}

/* CR4 has changed: the first load of each mode looks for its root, and both stay. */
Test(mmu_edges, both_roots_stay_at_hand_after_cr4_has_changed)
{
	uint64_t user, supervisor, generation;
	struct guest g;

	guest_init(&g);
	supervisor = load(&g);
	g.vcpu->cr4 &= ~(uint64_t)(PVM_CR4_PKE | PVM_CR4_PKS);
	pvm_mmu_new_cr3(g.vcpu);
	cr_assert_neq(load(&g), supervisor);
	supervisor = load(&g);
	g.vcpu->cr3 = g.user_cr3;
	g.vcpu->user_mode = true;
	g.vcpu->msr.switch_cr3 = g.cr3;
	user = load(&g);
	generation = g.vcpu->mmu.roots_gen;
	cr_assert_eq(load(&g), user);
	cr_assert_eq(pvm_mmu_other_root(g.vcpu).v, supervisor);
	cr_assert_eq(g.vcpu->mmu.roots_gen, generation);
	guest_fini(&g);
}
