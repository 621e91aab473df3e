/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Faults in the table that the last fill was in: without the lock, and as right as with it. */
#include "guest.h"

#include <pvm/exit.h>

#include "internal.h"

#define PAGE(n)	((uint64_t)(n) << PVM_PAGE_SHIFT)

static struct guest g;
static unsigned locks;
static pvm_gfn_t moved;		/* its memory is elsewhere now */
static uint64_t elsewhere[PVM_PTES_PER_TABLE];

static void lock(void *host)
{
	locks++;
	test_host_ops.mmu_lock(host);
}

static void *va_of_what_moved(void *host, pvm_gfn_t gfn, bool write)
{
	return gfn.v == moved.v ? elsewhere : test_host_ops.gfn_to_va(host, gfn, write);
}

/* Sixteen pages, of which the first has been touched, and each frame has been mapped once. */
static void start_vcpus(unsigned vcpus)
{
	struct pvm_vm_config config = fixture_config();
	unsigned n;

	guest_init_config(&g, &config, vcpus, 4);
	moved = pvm_gfn(~0ull);
	g.f.host.ops.gfn_to_va = va_of_what_moved;
	g.f.host.ops.mmu_lock = lock;
	for (n = 0; n < 16; n++)
		guest_map(&g, GVA + PAGE(n), DATA + PAGE(n), 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	locks = 0;
}

static void start(void)
{
	start_vcpus(1);
}

static void stop(void)
{
	guest_fini(&g);
}

TestSuite(mmu_near, .init = start, .fini = stop);

Test(mmu_near, a_touch_beside_the_last_takes_no_lock)
{
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), PVM_PF_W).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(locks, 0);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA + PAGE(1));
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(2)), DATA + PAGE(2));
	cr_assert(guest_can_write(&g, GVA + PAGE(1)));
	cr_assert_not(guest_can_write(&g, GVA + PAGE(2)), "its D is clear");
	cr_assert_eq(*guest_entry(&g, GVA + PAGE(1), 1) & (PVM_PTE_A | PVM_PTE_D), PVM_PTE_A | PVM_PTE_D);
	cr_assert_eq(*guest_entry(&g, GVA + PAGE(2), 1) & (PVM_PTE_A | PVM_PTE_D), PVM_PTE_A);
}

Test(mmu_near, what_is_filled_says_where_it_is)
{
	struct pvm_fault_result result = guest_fault(&g, GVA + PAGE(1) + 0x123, PVM_PF_W);

	cr_assert_eq(locks, 0);
	cr_assert_eq(result.kind, PVM_FAULT_FIXED);
	cr_assert_eq(result.gpa.v, DATA + PAGE(1) + 0x123);
}

Test(mmu_near, M12_a_thread_that_may_lose_its_cpu_takes_the_lock)
{
	g.vcpu->preemptible = true;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_FIXED);
	cr_assert_gt(locks, 0);
	locks = 0;
	g.vcpu->preemptible = false;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(locks, 0);
}

Test(mmu_near, a_frame_may_be_mapped_more_than_once)
{
	*guest_entry(&g, GVA + PAGE(1), 1) = DATA | RWU;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), PVM_PF_W).kind, PVM_FAULT_FIXED);
	cr_assert_eq(locks, 0);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA);
	check_ok(&g);
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> PVM_PAGE_SHIFT), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull);
}

Test(mmu_near, an_absent_entry_is_refused_without_the_lock)
{
	struct pvm_mmu_stats before, after;
	struct pvm_fault_result result;

	pvm_mmu_get_stats(g.vm, &before);
	locks = 0;
	*guest_entry(&g, GVA + PAGE(1), 1) = 0;
	result = guest_fault(&g, GVA + PAGE(1), PVM_PF_W);
	cr_assert_eq(result.kind, PVM_FAULT_INJECT);
	cr_assert_eq(result.vector, PVM_VEC_PF);
	cr_assert_eq(result.error_code, PVM_PF_W);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), PVM_PF_I).error_code, PVM_PF_I);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).error_code, 0);
	cr_assert_eq(locks, 0);
	pvm_mmu_get_stats(g.vm, &after);
	cr_assert_eq(after.injected - before.injected, 3);
	cr_assert_eq(after.faults - before.faults, 3);
}

Test(mmu_near, what_is_present_and_refuses_is_refused_as_ever)
{
	*guest_entry(&g, GVA + PAGE(1), 1) |= 1ull << 50;	/* reserved */
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).error_code, PVM_PF_P | PVM_PF_RSVD);
	*guest_entry(&g, GVA + PAGE(2), 1) &= ~PVM_PTE_W;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), PVM_PF_W).error_code, PVM_PF_P | PVM_PF_W);
	*guest_entry(&g, GVA + PAGE(3), 1) |= PVM_PTE_NX;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(3), PVM_PF_I).error_code, PVM_PF_P | PVM_PF_I);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull);
}

/* The guest changes an upper entry of GVA. */
static void change_entry(unsigned level, uint64_t entry)
{
	*guest_entry(&g, GVA, level) = entry;
	pvm_mmu_host_wrote(g.vm, pvm_gfn(guest_table_of(&g, GVA, level) >> PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
}

/* What the upper entries refuse is refused for the neighbours too. */
Test(mmu_near, upper_entries_count_for_the_neighbours)
{
	change_entry(3, *guest_entry(&g, GVA, 3) & ~PVM_PTE_W);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_FIXED);
	locks = 0;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(locks, 0);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(3), PVM_PF_W).kind, PVM_FAULT_INJECT);
	change_entry(2, 0);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(4), 0).kind, PVM_FAULT_INJECT);
}

static void set_mode(bool user, uint64_t cr3)
{
	g.vcpu->user_mode = user;
	g.vcpu->cr3 = cr3;
}

Test(mmu_near, each_mode_has_its_own_path)
{
	const uint64_t cr3 = g.vcpu->cr3;

	fixture_map(&g.f, g.user_cr3, 4, GVA, DATA, 1, RWU);
	fixture_map(&g.f, g.user_cr3, 4, GVA + PAGE(1), DATA + PAGE(8), 1, RWU);
	set_mode(true, g.user_cr3);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	set_mode(false, cr3);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), 0).kind, PVM_FAULT_FIXED);	/* links were made */
	locks = 0;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(locks, 0);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA + PAGE(1));
	set_mode(true, g.user_cr3);
	locks = 0;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(locks, 0);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA + PAGE(8));
}

Test(mmu_near, M10_memory_that_the_host_moved_is_read_where_it_is_now)
{
	uint64_t *table = guest_entry(&g, GVA, 2) - PVM_LEVEL_INDEX(GVA, 2);

	memcpy(elsewhere, table, sizeof(elsewhere));
	elsewhere[PVM_LEVEL_INDEX(GVA, 2)] = 0;
	moved = pvm_gfn((uint64_t)((uint8_t *)table - g.f.host.memory) >> PVM_PAGE_SHIFT);
	/* The host says so of another frame: all that it said before is worth nothing. */
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn((DATA >> PVM_PAGE_SHIFT) + 15), 1, PVM_MAY_SLEEP);
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_INJECT);
	moved = pvm_gfn(~0ull);
}

Test(mmu_near, M10_a_path_that_was_found_meanwhile_leads_to_nothing_that_is_being_taken)
{
	pvm_mmu_invalidate_begin(g.vm, pvm_gfn((DATA >> PVM_PAGE_SHIFT) + 2), 1, PVM_MAY_SLEEP);
	change_entry(3, *guest_entry(&g, GVA, 3) & ~PVM_PTE_W);	/* another path */
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA + PAGE(1));
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(2)), ~0ull);
	pvm_mmu_invalidate_end(g.vm, pvm_gfn((DATA >> PVM_PAGE_SHIFT) + 2), 1);
}

Test(mmu_near, M9_a_frame_that_is_a_table_stays_read_only)
{
	uint64_t table = (uint64_t)((uint8_t *)guest_entry(&g, GVA, 1) - g.f.host.memory) & -PVM_PAGE_SIZE;

	*guest_entry(&g, GVA + PAGE(1), 1) = table | RWU | PVM_PTE_A | PVM_PTE_D;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), table);
	cr_assert_not(guest_can_write(&g, GVA + PAGE(1)));
	check_ok(&g);
}

Test(mmu_near, M7_another_range_ends_the_path)
{
	const struct pvm_linear_range none = { PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE,
					       PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE };
	const uint64_t slot = g.vm->config.range.pml4_start;
	const uint64_t gva = 0xffff000000000000ull | slot << PVM_LEVEL_SHIFT(4);

	guest_map(&g, gva, DATA, 1, RWU);
	guest_map(&g, gva + PAGE(1), DATA + PAGE(1), 1, RWU);
	guest_touch(&g, gva, PVM_ACCESS_READ);
	g.vcpu->msr.linear_address_range = pvm_linear_range_encode(&none);
	cr_assert_not(pvm_legal_address(g.vcpu, pvm_gva(gva)));
	cr_assert_eq(guest_fault(&g, gva + PAGE(1), 0).kind, PVM_FAULT_INJECT);
}

Test(mmu_near, M11_nothing_is_made_from_an_empty_reserve)
{
	unsigned n;

	for (n = 0; n < 16; n++)
		guest_map(&g, GVA + PAGE(64 + n), DATA + PAGE(n), 1, RWU);
	pvm_mmu_shrink(g.vm, ~0u, PVM_MAY_SLEEP);	/* the reserve goes back to the host */
	locks = 0;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(64), 0).kind, PVM_FAULT_FIXED);
	cr_assert_gt(locks, 0);
	check_ok(&g);
}

/* With another vCPU: what is not one word's change takes the lock. */
Test(mmu_near, beside_others_a_frame_that_is_mapped_takes_the_lock)
{
	stop();
	start_vcpus(2);
	*guest_entry(&g, GVA + PAGE(1), 1) = DATA | RWU;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), PVM_PF_W).kind, PVM_FAULT_FIXED);
	cr_assert_gt(locks, 0);
	*guest_entry(&g, GVA + PAGE(2), 1) = 0;
	locks = 0;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), PVM_PF_W).kind, PVM_FAULT_INJECT);
	cr_assert_eq(locks, 0, "a refusal changes nothing");
	check_ok(&g);
}

/* A link that is made takes nothing away: the other vCPU's next touch needs no lock. */
Test(mmu_near, a_link_that_another_vcpu_makes_ends_no_path)
{
	const uint64_t far_away = GVA + (1ull << 30);
	struct pvm_vcpu *other;

	stop();
	start_vcpus(2);
	other = &g.f.vcpu[1];
	other->cr3 = g.vcpu->cr3;
	other->msr.switch_cr3 = g.vcpu->msr.switch_cr3;
	guest_map(&g, far_away, DATA + PAGE(20), 1, RWU);
	cr_assert_eq(pvm_mmu_fault(other, pvm_gva(far_away), 0, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	cr_assert_eq(guest_reaches(&g, far_away), DATA + PAGE(20));
	locks = 0;
	cr_assert_eq(guest_fault(&g, GVA + PAGE(1), 0).kind, PVM_FAULT_FIXED);
	cr_assert_eq(locks, 0);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA + PAGE(1));
	change_entry(2, 0);		/* one that goes is another matter */
	cr_assert_eq(guest_fault(&g, GVA + PAGE(2), 0).kind, PVM_FAULT_INJECT);
	check_ok(&g);
}

/* ------------------------------------------------------------------------
 * Before the guest tries again what a #PF was raised for.
 */

#define FAULT_RIP	0x1234ull

/* The guest has answered the #PF of an access to page 1 with @entry, and goes on at @rip. */
static void return_with(uint64_t entry, uint32_t access, uint64_t rip)
{
	*guest_entry(&g, GVA + PAGE(1), 1) = 0;
	g.vcpu->rip = FAULT_RIP;
	pvm_handle_page_fault(g.vcpu, pvm_gva(GVA + PAGE(1)), access, PVM_MAY_SLEEP);
	g.vcpu->user_mode = false;
	*guest_entry(&g, GVA + PAGE(1), 1) = entry;
	g.vcpu->rip = rip;
	locks = 0;
	pvm_returned(g.vcpu);
	cr_assert_eq(locks, 0);
	cr_assert_eq(*guest_entry(&g, GVA + PAGE(1), 1), entry, "no bit of the guest's has changed");
	check_ok(&g);
}

#define ENTRY(bits)	((DATA + PAGE(1)) | RWU | (bits))

Test(mmu_near, a_retry_finds_its_page)
{
	struct pvm_mmu_stats stats, before;

	pvm_mmu_get_stats(g.vm, &before);
	return_with(ENTRY(PVM_PTE_A | PVM_PTE_D), PVM_PF_W, FAULT_RIP);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA + PAGE(1));
	cr_assert(guest_can_write(&g, GVA + PAGE(1)));
	pvm_mmu_get_stats(g.vm, &stats);
	cr_assert_eq(stats.fills - before.fills, 1);
	cr_assert_eq(stats.faults - before.faults, 1, "the one that was raised");
}

Test(mmu_near, a_retry_that_reads_needs_no_D)
{
	return_with(ENTRY(PVM_PTE_A), 0, FAULT_RIP);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), DATA + PAGE(1));
	cr_assert_not(guest_can_write(&g, GVA + PAGE(1)));
}

Test(mmu_near, nothing_is_filled_ahead_without_A_nor_a_write_without_D)
{
	return_with(ENTRY(0), 0, FAULT_RIP);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull);
	return_with(ENTRY(PVM_PTE_D), PVM_PF_W, FAULT_RIP);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull);
	return_with(ENTRY(PVM_PTE_A), PVM_PF_W, FAULT_RIP);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull);
}

Test(mmu_near, nothing_is_filled_ahead_for_another_instruction_or_access)
{
	return_with(ENTRY(PVM_PTE_A | PVM_PTE_D), PVM_PF_W, FAULT_RIP + 1);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull);
	pvm_returned(g.vcpu);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull, "it is tried once");
	return_with((ENTRY(PVM_PTE_A | PVM_PTE_D)) & ~PVM_PTE_W, PVM_PF_W, FAULT_RIP);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull, "what is refused is refused");
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(2)), ~0ull, "and no neighbour is filled");
}

Test(mmu_near, M10_nothing_is_filled_ahead_while_memory_is_being_taken)
{
	const pvm_gfn_t gfn = pvm_gfn((DATA >> PVM_PAGE_SHIFT) + 1);

	*guest_entry(&g, GVA + PAGE(1), 1) = 0;
	g.vcpu->rip = FAULT_RIP;
	pvm_handle_page_fault(g.vcpu, pvm_gva(GVA + PAGE(1)), PVM_PF_W, PVM_MAY_SLEEP);
	*guest_entry(&g, GVA + PAGE(1), 1) = ENTRY(PVM_PTE_A | PVM_PTE_D);
	g.vcpu->rip = FAULT_RIP;
	pvm_mmu_invalidate_begin(g.vm, gfn, 1, PVM_MAY_SLEEP);
	pvm_returned(g.vcpu);
	cr_assert_eq(guest_reaches(&g, GVA + PAGE(1)), ~0ull);
	pvm_mmu_invalidate_end(g.vm, gfn, 1);
}
