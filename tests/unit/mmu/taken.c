/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Between pvm_mmu_invalidate_begin() and _end(): what of the frames is installed, and what
 * the guest is told of tables in them. */
#include "guest.h"

#define LARGE	(4ull << 20)	/* gpa of a large page */
#define TAKEN	77		/* the frame of it that the host takes */

static struct guest g;
static pvm_gfn_t gone;

static void *va_of_what_is_left(void *host, pvm_gfn_t gfn, bool write)
{
	return gfn.v == gone.v ? NULL : test_host_ops.gfn_to_va(host, gfn, write);
}

static void begin(pvm_gfn_t gfn)
{
	gone = gfn;
	pvm_mmu_invalidate_begin(g.vm, gfn, 1, PVM_MAY_SLEEP);
}

static void end(void)
{
	pvm_mmu_invalidate_end(g.vm, gone, 1);
	gone = pvm_gfn(~0ull);
}

static void start(void)
{
	struct pvm_vm_config config = fixture_config();

	guest_init_config(&g, &config, 1, 4);
	gone = pvm_gfn(~0ull);
	g.f.host.ops.gfn_to_va = va_of_what_is_left;
}

static void stop(void)
{
	guest_fini(&g);
}

TestSuite(mmu_taken, .init = start, .fini = stop);

/* The host still answers with a large frame, which it may. */
Test(mmu_taken, M10_no_large_leaf_covers_a_frame_that_is_being_taken)
{
	const uint64_t gva = GVA + (2 << 20);

	g.f.host.max_level = 2;
	guest_map(&g, gva, LARGE, 2, RWU);
	begin(pvm_gfn((LARGE >> PVM_PAGE_SHIFT) + TAKEN));
	cr_assert_eq(guest_fault(&g, gva, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, gva), LARGE, "its neighbours are served");
	cr_assert_eq(guest_reaches(&g, gva + TAKEN * PVM_PAGE_SIZE), ~0ull);
	cr_assert_eq(guest_fault(&g, gva + TAKEN * PVM_PAGE_SIZE, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, gva + TAKEN * PVM_PAGE_SIZE), ~0ull);
	end();
	cr_assert_eq(guest_reaches(&g, gva + TAKEN * PVM_PAGE_SIZE), ~0ull, "nor by its old frame");
}

Test(mmu_taken, M10_nothing_is_installed_by_a_table_that_is_being_taken)
{
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	begin(pvm_gfn(guest_table_of(&g, GVA, 1) >> PVM_PAGE_SHIFT));
	gone = pvm_gfn(~0ull);		/* the host still has it */
	cr_assert_eq(guest_fault(&g, GVA, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	gone = pvm_gfn(guest_table_of(&g, GVA, 1) >> PVM_PAGE_SHIFT);
	end();
	guest_touch(&g, GVA, PVM_ACCESS_READ);
}

Test(mmu_taken, M10_a_frame_is_not_installed_beside_the_lock_either)
{
	struct pvm_vm_config config = fixture_config();

	guest_fini(&g);
	guest_init_config(&g, &config, 2, 4);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + 0x1000, DATA + 0x1000, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);	/* its path is the next fault's */
	begin(pvm_gfn((DATA >> PVM_PAGE_SHIFT) + 1));
	cr_assert_eq(guest_fault(&g, GVA + 0x1000, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA + 0x1000), ~0ull);
	end();
}

Test(mmu_taken, a_table_that_is_being_taken_is_no_fault_of_the_guests)
{
	pvm_hpa_t root;

	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	begin(pvm_gfn(guest_table_of(&g, GVA, 1) >> PVM_PAGE_SHIFT));
	cr_assert_eq(guest_fault(&g, GVA, 0).kind, PVM_FAULT_FIXED);
	end();
	begin(pvm_gfn(g.cr3 >> PVM_PAGE_SHIFT));
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_EAGAIN);
	end();
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
}

Test(mmu_taken, M10_nothing_is_installed_between_begin_and_end)
{
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + 0x1000, DATA + 0x8000, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	pvm_mmu_invalidate_begin(g.vm, pvm_gfn(DATA >> 12), 2, PVM_MAY_SLEEP);
	pvm_mmu_invalidate_begin(g.vm, pvm_gfn((DATA >> 12) + 1), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	cr_assert_eq(guest_fault(&g, GVA, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_READ);		/* another frame */
	pvm_mmu_invalidate_end(g.vm, pvm_gfn((DATA >> 12) + 1), 1);
	cr_assert_eq(guest_fault(&g, GVA, 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	pvm_mmu_invalidate_end(g.vm, pvm_gfn(DATA >> 12), 2);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
}

static int (*fixture_frame)(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			    struct pvm_frame *frame);
static unsigned slept;

/* The host sleeps, and meanwhile its notifier runs: what it answers is old. */
static int frame_with_notifier(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			       struct pvm_frame *frame)
{
	int rc = fixture_frame(host, gfn, write, sleep, frame);

	if (sleep == PVM_MAY_SLEEP && !slept++) {
		pvm_mmu_invalidate_begin(g.vm, gfn, 1, PVM_MAY_SLEEP);
		pvm_mmu_invalidate_end(g.vm, gfn, 1);
		frame->pa.v += 0x7000;	/* where it was before */
	}
	return rc;
}

Test(mmu_taken, M10_frame_fetched_before_an_end_is_not_installed_after_it)
{
	guest_map(&g, GVA, DATA, 1, RWU);
	fixture_frame = g.f.host.ops.gfn_to_frame;
	g.f.host.ops.gfn_to_frame = frame_with_notifier;
	g.f.host.frames_would_block = true;
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert_eq(slept, 2);
	g.f.host.frames_would_block = false;
	cr_assert_eq(guest_reaches(&g, GVA), DATA);
}
