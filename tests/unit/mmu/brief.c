/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M12 where the caller may have interrupts off: a call without sleep gives up what takes long, however often
 * it gives up the lock, and the same exit is handled with sleep. Counted in the engine's own steps.
 */
#include "guest.h"

#include <pvm/exit.h>

#include "mmu/entry.h"
#include "mmu/flush.h"
#include "mmu/shadow.h"

#define TABLES_COUNT	400
#define ENTRIES		24	/* of each */
/* Of one call: its passes, each of which may end in the middle of a table, and a bit. */
#define BRIEF_MAX	(PVM_BRIEF_PASSES * (512 + 2 * ENTRIES) + 1000)

static struct guest g;

static uint64_t region(unsigned table)
{
	return GVA + table * PVM_LEVEL_SIZE(2);
}

static void start(void)
{
	unsigned t, i;

	guest_init(&g);
	for (t = 0; t < TABLES_COUNT; t++) {
		for (i = 0; i < ENTRIES; i++) {
			guest_map(&g, region(t) + i * PVM_PAGE_SIZE, DATA, 1, RWU);
			guest_touch(&g, region(t) + i * PVM_PAGE_SIZE, PVM_ACCESS_READ);
		}
		pvm_mmu_host_wrote(g.vm, pvm_gfn(guest_table_of(&g, region(t), 1) >> PVM_PAGE_SHIFT),
				   PVM_MAY_SLEEP);
	}
}

/* ------------------------------------------------------------------------
 * A call that may sleep offers the CPU, one that may not does not.
 */

#define LEAVES		(TABLES_COUNT * ENTRIES)
#define HOLDS_LEAST	(LEAVES / 64)	/* of the lock, to take a frame's leaves away */

static unsigned yields(void)
{
	unsigned count = g.f.host.yields;

	g.f.host.yields = 0;
	return count;
}

/* The guest's root table is the frame that all those leaves map: each loses its right to write first. */
Test(mmu_brief, M12_a_root_that_is_mapped_often)
{
	uint64_t steps;
	pvm_hpa_t root;

	start();
	memcpy(g.f.host.memory + DATA, g.f.host.memory + g.cr3, PVM_PAGE_SIZE);
	g.vcpu->cr3 = DATA;
	yields();
	steps = g.vm->mmu->steps;
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_NO_SLEEP), PVM_EAGAIN);
	cr_assert_leq(g.vm->mmu->steps - steps, BRIEF_MAX);
	cr_assert_eq(yields(), 0);
	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_geq(yields(), HOLDS_LEAST / 2);
	guest_fini(&g);
}

Test(mmu_brief, M12_taking_a_page_that_is_mapped_often)
{
	start();
	yields();
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> PVM_PAGE_SHIFT), 1, PVM_MAY_SLEEP);
	cr_assert_geq(yields(), LEAVES * 16 / 8192 / 2);
	guest_fini(&g);
	start();
	yields();
	pvm_mmu_unmap_gfns(g.vm, pvm_gfn(DATA >> PVM_PAGE_SHIFT), 1, PVM_NO_SLEEP);
	cr_assert_eq(yields(), 0);
	guest_fini(&g);
}

/* A page fault below a table that all those leaves map: each loses its right to write first. */
Test(mmu_brief, M12_a_fault_below_a_table_that_is_mapped_often)
{
	const uint64_t gva = region(TABLES_COUNT + 1);
	struct pvm_fault_result result;

	start();
	guest_map(&g, gva, DATA + PVM_PAGE_SIZE, 1, RWU);	/* the tables above */
	*guest_entry(&g, gva, 2) = DATA | RWU;
	*(uint64_t *)(g.f.host.memory + DATA) = (DATA + PVM_PAGE_SIZE) | RWU;
	yields();
	guest_forget_flushes(&g);
	result = pvm_mmu_fault(g.vcpu, pvm_gva(gva), PVM_PF_U, PVM_NO_SLEEP);
	cr_assert_eq(result.kind, PVM_FAULT_WOULD_BLOCK);
	cr_assert_leq(g.f.host.flush_count, PVM_BRIEF_PASSES, "one for each pass: all CPUs are interrupted");
	cr_assert_eq(yields(), 0);
	do {
		result = pvm_mmu_fault(g.vcpu, pvm_gva(gva), PVM_PF_U, PVM_MAY_SLEEP);
		cr_assert_eq(result.kind, PVM_FAULT_FIXED);
	} while (guest_reaches(&g, gva) == ~0ull);
	cr_assert_geq(yields(), HOLDS_LEAST / 2);
	guest_fini(&g);
}

/* The guest takes one page of the last table away, and asks for a flush. */
static struct pvm_guest_exit asks(uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	*guest_entry(&g, region(TABLES_COUNT - 1), 1) = 0;
	g.vcpu->gpr[PVM_RAX] = nr;
	g.vcpu->gpr[PVM_RBX] = a;
	g.vcpu->gpr[PVM_R10] = b;
	g.vcpu->gpr[PVM_RDX] = c;
	g.vcpu->rip = 0x200002;
	return (struct pvm_guest_exit){ .kind = PVM_EXIT_SYSCALL };
}

static uint64_t steps_of(struct pvm_guest_exit *stop, enum pvm_sleep sleep, enum pvm_action *action)
{
	uint64_t before = g.vm->mmu->steps;
	pvm_hpa_t root;

	*action = pvm_handle_exit(g.vcpu, stop, &root, sleep);
	return g.vm->mmu->steps - before;
}

/* The hypercall @nr in a guest of start(), and in another one. LOAD_PGTBL loads what is loaded. */
static void assert_brief(uint64_t nr)
{
	struct pvm_guest_exit stop;
	enum pvm_action action;
	uint64_t first, rest, whole;

	start();
	stop = asks(nr, PVM_LOAD_PGTBL_FLUSH, g.cr3, g.user_cr3);
	whole = steps_of(&stop, PVM_MAY_SLEEP, &action);
	cr_assert_eq(action, PVM_ACT_RESUME);
	guest_fini(&g);

	start();
	stop = asks(nr, PVM_LOAD_PGTBL_FLUSH, g.cr3, g.user_cr3);
	guest_forget_flushes(&g);
	first = steps_of(&stop, PVM_NO_SLEEP, &action);
	cr_assert_eq(action, PVM_ACT_RETRY);
	cr_assert_leq(first, BRIEF_MAX, "%lu steps", (unsigned long)first);
	cr_assert_geq(first, PVM_BRIEF_PASSES * 512 / 2, "it gives up too soon: %lu steps", (unsigned long)first);
	cr_assert_eq(g.f.host.flush_count, 0, "nothing is forgotten yet");
	cr_assert_eq(yields(), 0);
	cr_assert_eq(stop.kind, PVM_EXIT_SYSCALL);
	rest = steps_of(&stop, PVM_MAY_SLEEP, &action);
	cr_assert_eq(action, PVM_ACT_RESUME);
	cr_assert_leq(first + rest, whole + whole / 8, "what was done is done again: %lu and %lu steps, of %lu",
		      (unsigned long)first, (unsigned long)rest, (unsigned long)whole);
	cr_assert_gt(g.f.host.flush_count, 0);
	cr_assert_gt(yields(), 0);
	cr_assert_eq(guest_reaches(&g, region(TABLES_COUNT - 1)), ~0ull);
	guest_fini(&g);
}

Test(mmu_brief, M12_TLB_FLUSH)
{
	assert_brief(PVM_HC_TLB_FLUSH);
}

Test(mmu_brief, M12_TLB_FLUSH_CURRENT)
{
	assert_brief(PVM_HC_TLB_FLUSH_CURRENT);
}

Test(mmu_brief, M12_LOAD_PGTBL)
{
	assert_brief(PVM_HC_LOAD_PGTBL);
}

/* A flush that was given up, and never finished, is not taken for a later one. */
Test(mmu_brief, M9_a_later_flush_is_a_whole_one)
{
	struct pvm_guest_exit stop;
	enum pvm_action action;

	start();
	stop = asks(PVM_HC_TLB_FLUSH, 0, 0, 0);
	steps_of(&stop, PVM_NO_SLEEP, &action);
	cr_assert_eq(action, PVM_ACT_RETRY);
	/* Its host looks at other things first. */
	*guest_entry(&g, region(0), 1) = 0;
	pvm_mmu_flush_all(g.vcpu);
	cr_assert_eq(guest_reaches(&g, region(0)), ~0ull);
	cr_assert_eq(guest_reaches(&g, region(TABLES_COUNT - 1)), ~0ull);
	guest_fini(&g);
}

Test(mmu_brief, M12_a_PVCS_in_a_table_is_attached_with_sleep)
{
	struct pvm_guest_exit stop;
	enum pvm_action action;
	uint64_t table;

	start();
	table = guest_table_of(&g, region(0), 1);
	stop = asks(PVM_HC_WRMSR, MSR_PVM_VCPU_STRUCT, table, 0);
	steps_of(&stop, PVM_NO_SLEEP, &action);
	cr_assert_eq(action, PVM_ACT_RETRY);
	cr_assert_null(g.vcpu->pvcs);
	steps_of(&stop, PVM_MAY_SLEEP, &action);
	cr_assert_eq(action, PVM_ACT_RESUME);
	cr_assert_not_null(g.vcpu->pvcs);
	guest_fini(&g);
}
