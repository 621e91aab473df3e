/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_mmu_fault() and pvm_handle_page_fault(): whose a fault is. */
#include <pvm/exit.h>

#include "guest.h"

Test(mmu_fault, first_touch_maps_the_frame_with_the_guests_rights)
{
	struct pvm_shadow_leaf leaf;
	struct pvm_fault_result result;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU | NX);
	result = guest_fault(&g, GVA + 0x10, PVM_PF_W);
	cr_assert_eq(result.kind, PVM_FAULT_FIXED);
	cr_assert_eq(result.gpa.v, DATA + 0x10);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));
	cr_assert_eq(leaf.pa.v, TEST_HOST_GUEST_BASE + DATA);
	cr_assert_eq(leaf.level, 1);
	cr_assert_eq(leaf.entry & (PVM_PTE_W | NX), PVM_PTE_W | NX);
	cr_assert_eq(*guest_entry(&g, GVA, 1) & (PVM_PTE_A | PVM_PTE_D), PVM_PTE_A | PVM_PTE_D);
	guest_fini(&g);
}

/* spec: C-133 */
Test(mmu_fault, M1_supervisor_pages_get_the_U_bit_too)
{
	struct pvm_shadow_leaf leaf;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RW);
	*guest_entry(&g, GVA, 3) &= ~PVM_PTE_U;
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));
	cr_assert(leaf.entry & PVM_PTE_U);
	guest_fini(&g);
}

Test(mmu_fault, M8_leaf_carries_the_key_of_the_guests_entry)
{
	struct pvm_shadow_leaf leaf;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU | KEY(9));
	guest_map(&g, GVA + (2 << 20), 4 << 20, 2, RWU | KEY(3));
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	guest_touch(&g, GVA + (2 << 20), PVM_ACCESS_READ);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));
	cr_assert_eq(leaf.entry & PVM_PTE_PK_MASK, KEY(9));
	cr_assert(guest_walk(&g, 0, GVA + (2 << 20), &leaf));
	cr_assert_eq(leaf.entry & PVM_PTE_PK_MASK, KEY(3));
	check_ok(&g);
	/* With CR4.PKE clear the bits are the guest's own. */
	g.vcpu->cr4 &= ~(PVM_CR4_PKE | PVM_CR4_PKS);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));
	cr_assert_eq(leaf.entry & PVM_PTE_PK_MASK, 0);
	guest_fini(&g);
}

Test(mmu_fault, M8_pieces_of_large_pages_with_different_keys_are_not_shared)
{
	struct pvm_shadow_leaf leaf;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, 4 << 20, 2, RWU | KEY(1));
	guest_map(&g, GVA + (2 << 20), 4 << 20, 2, RWU | KEY(2));
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	guest_touch(&g, GVA + (2 << 20), PVM_ACCESS_READ);
	cr_assert(guest_walk(&g, 0, GVA, &leaf));
	cr_assert_eq(leaf.entry & PVM_PTE_PK_MASK, KEY(1));
	guest_fini(&g);
}

/* Between the change of the key and the flush, too. */
Test(mmu_fault, M2_M8_pieces_with_a_former_key_are_not_those_of_the_new_one)
{
	struct pvm_shadow_leaf leaf;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, 4 << 20, 2, RWU | KEY(1));
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	guest_map(&g, GVA, 4 << 20, 2, RWU | KEY(2));
	pvm_mmu_host_wrote(g.vm, pvm_gpa_to_gfn(pvm_gpa(*guest_entry(&g, GVA, 3) & PVM_PTE_ADDR_MASK)),
			   PVM_MAY_SLEEP);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_READ);
	cr_assert(guest_walk(&g, 0, GVA + 0x1000, &leaf));
	cr_assert_eq(leaf.entry & PVM_PTE_PK_MASK, KEY(2));
	check_ok(&g);
	guest_fini(&g);
}

Test(mmu_fault, page_stays_read_only_until_its_entry_is_dirty)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert_not(guest_can_write(&g, GVA));
	cr_assert_not(*guest_entry(&g, GVA, 1) & PVM_PTE_D);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	cr_assert(*guest_entry(&g, GVA, 1) & PVM_PTE_D);
	/* A page that is dirty already is writable at once. */
	guest_map(&g, GVA + 0x1000, DATA + 0x1000, 1, RWU | PVM_PTE_D);
	guest_touch(&g, GVA + 0x1000, PVM_ACCESS_READ);
	cr_assert(guest_can_write(&g, GVA + 0x1000));
	guest_fini(&g);
}

Test(mmu_fault, faults_and_fills_are_counted)
{
	struct pvm_mmu_stats stats;
	struct guest g;
	unsigned i;

	guest_init(&g);
	for (i = 0; i < 3; i++) {
		guest_map(&g, GVA + i * 0x1000, DATA + i * 0x1000, 1, RWU);
		guest_touch(&g, GVA + i * 0x1000, PVM_ACCESS_READ);
	}
	pvm_mmu_get_stats(g.vm, &stats);
	cr_assert_eq(stats.fills, 3);
	cr_assert_eq(stats.faults, 3);
	cr_assert_eq(stats.injected, 0);
	guest_fini(&g);
}

Test(mmu_fault, what_the_guests_tables_refuse_is_injected_and_maps_nothing)
{
	struct pvm_fault_result result;
	struct pvm_mmu_stats stats;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RO);
	g.vcpu->user_mode = true;
	g.vcpu->cr3 = g.cr3;
	result = guest_fault(&g, GVA, PVM_PF_W);
	cr_assert_eq(result.kind, PVM_FAULT_INJECT);
	cr_assert_eq(result.vector, PVM_VEC_PF);
	cr_assert_eq(result.error_code, PVM_PF_P | PVM_PF_W | PVM_PF_U);
	result = guest_fault(&g, 1ull << 50, 0);
	cr_assert_eq(result.kind, PVM_FAULT_INJECT);
	cr_assert_eq(result.vector, PVM_VEC_GP);
	pvm_mmu_get_stats(g.vm, &stats);
	cr_assert_eq(stats.injected, 2);
	cr_assert_eq(stats.faults, 2);
	cr_assert_eq(stats.fills, 0);
	cr_assert_eq(stats.rmap_entries, 0);
	guest_fini(&g);
}

Test(mmu_fault, U_bit_of_the_hardware_error_code_says_nothing)
{
	struct guest g;

	guest_init(&g);
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_U).error_code, 0);
	guest_fini(&g);
}

Test(mmu_fault, key_that_the_cpu_refused_although_keys_are_off_is_injected)
{
	struct pvm_fault_result result;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU | KEY(2));
	g.vcpu->cr4 &= ~PVM_CR4_PKS;
	g.vcpu->pkru = 1u << 4;
	result = guest_fault(&g, GVA, PVM_PF_P | PVM_PF_W | PVM_PF_PK);
	cr_assert_eq(result.kind, PVM_FAULT_INJECT);
	cr_assert_eq(result.error_code, PVM_PF_P | PVM_PF_W | PVM_PF_PK);
	/* The key was changed meanwhile: nothing refuses any more. */
	g.vcpu->pkru = 0;
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_P | PVM_PF_PK).kind, PVM_FAULT_FIXED);
	guest_fini(&g);
}

Test(mmu_fault, access_where_no_memory_is_is_mmio)
{
	struct pvm_fault_result result;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, 0xfee00000, 1, RWU);
	result = guest_fault(&g, GVA + 0x20, PVM_PF_W);
	cr_assert_eq(result.kind, PVM_FAULT_MMIO);
	cr_assert_eq(result.gpa.v, 0xfee00020);
	cr_assert_eq(*guest_entry(&g, GVA, 1) & (PVM_PTE_A | PVM_PTE_D), PVM_PTE_A | PVM_PTE_D);
	guest_fini(&g);
}

Test(mmu_fault, write_to_read_only_memory_is_mmio_and_reads_are_served)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU | PVM_PTE_A | PVM_PTE_D);
	g.f.host.read_only_end = ~0ull;
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert_not(guest_can_write(&g, GVA));
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_W).kind, PVM_FAULT_MMIO);
	guest_fini(&g);
}

Test(mmu_fault, frame_that_needs_sleep_blocks_a_caller_who_must_not_and_changes_nothing)
{
	struct pvm_fault_result result;
	struct guest g;
	unsigned flushes;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	g.f.host.frames_would_block = true;
	flushes = g.f.host.flush_count;
	result = pvm_mmu_fault(g.vcpu, pvm_gva(GVA), PVM_PF_W, PVM_NO_SLEEP);
	cr_assert_eq(result.kind, PVM_FAULT_WOULD_BLOCK);
	cr_assert_eq(*guest_entry(&g, GVA, 1), DATA | RWU);
	cr_assert_eq(*guest_entry(&g, GVA, 4) & PVM_PTE_A, 0);
	cr_assert_eq(g.f.host.flush_count, flushes);
	/* Who may sleep gets it. */
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_W).kind, PVM_FAULT_FIXED);
	guest_fini(&g);
}

/* A host that takes the frame back while the fault sleeps for it. */
static struct guest *sleeper;
static int (*plain_gfn_to_frame)(void *, pvm_gfn_t, bool, enum pvm_sleep, struct pvm_frame *);
static unsigned taken;

static int taking_gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			       struct pvm_frame *frame)
{
	int rc = plain_gfn_to_frame(host, gfn, write, sleep, frame);

	if (sleep == PVM_MAY_SLEEP && taken++ == 0) {
		sleeper->f.host.hole_start = gfn.v;
		sleeper->f.host.hole_end = gfn.v + 1;
		pvm_mmu_unmap_gfns(sleeper->vm, gfn, 1, PVM_MAY_SLEEP);
	}
	return rc;
}

Test(mmu_fault, M10_frame_taken_back_while_the_fault_slept_is_not_mapped)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	sleeper = &g;
	plain_gfn_to_frame = g.f.host.ops.gfn_to_frame;
	g.f.host.ops.gfn_to_frame = taking_gfn_to_frame;
	g.f.host.frames_would_block = true;
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_W).kind, PVM_FAULT_MMIO);
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	guest_fini(&g);
}

static int lost_gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			     struct pvm_frame *frame)
{
	(void)host;
	(void)gfn;
	(void)write;
	(void)sleep;
	(void)frame;
	return PVM_EFAULT;
}

Test(mmu_fault, memory_that_the_host_lost_is_an_error)
{
	struct pvm_fault_result result;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	g.f.host.ops.gfn_to_frame = lost_gfn_to_frame;
	result = guest_fault(&g, GVA, 0);
	cr_assert_eq(result.kind, PVM_FAULT_ERROR);
	cr_assert_eq(result.error, PVM_EFAULT);
	cr_assert_eq(pvm_handle_page_fault(g.vcpu, pvm_gva(GVA), 0, PVM_MAY_SLEEP), PVM_ACT_ERROR);
	cr_assert_eq(g.vcpu->request.error.code, PVM_EFAULT);
	guest_fini(&g);
}

/* Another CPU of the guest, which writes a table in the moment in which it is
 * write-protected: that is when the flush takes its TLB's right away. */
static struct guest *writer;
static void (*plain_tlb_flush)(void *host, const struct pvm_tlb_flush *flush);

static void writing_tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	*guest_entry(writer, GVA, 1) = (DATA + 0x1000) | RWU | PVM_PTE_A;
	plain_tlb_flush(host, flush);
}

Test(mmu_fault, M6_entry_changed_while_its_table_is_being_protected_is_seen)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU | PVM_PTE_A);	/* no bit to set: no second look by that */
	guest_map_tables(&g);
	/* The table is writable in some TLB before anything is shadowed by it. */
	guest_touch(&g, guest_entry_gva(&g, GVA, 1), PVM_ACCESS_WRITE);
	writer = &g;
	plain_tlb_flush = g.f.host.ops.tlb_flush;
	g.f.host.ops.tlb_flush = writing_tlb_flush;
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	g.f.host.ops.tlb_flush = plain_tlb_flush;
	cr_assert_eq(guest_reaches(&g, GVA), DATA + 0x1000);
	cr_assert_not(guest_can_write(&g, guest_entry_gva(&g, GVA, 1)));
	guest_fini(&g);
}

Test(mmu_fault, handler_resumes_retries_and_reports_mmio)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + 0x1000, 0xfee00000, 1, RWU);
	cr_assert_eq(pvm_handle_page_fault(g.vcpu, pvm_gva(GVA), 0, PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(pvm_handle_page_fault(g.vcpu, pvm_gva(GVA + 0x1008), PVM_PF_W, PVM_MAY_SLEEP),
		     PVM_ACT_MMIO);
	cr_assert_eq(g.vcpu->request.mmio.gva.v, GVA + 0x1008);
	cr_assert_eq(g.vcpu->request.mmio.gpa.v, 0xfee00008);
	cr_assert(g.vcpu->request.mmio.write);
	g.f.host.frames_would_block = true;
	cr_assert_eq(pvm_handle_page_fault(g.vcpu, pvm_gva(GVA), PVM_PF_W, PVM_NO_SLEEP), PVM_ACT_RETRY);
	guest_fini(&g);
}

Test(mmu_fault, handler_delivers_what_it_injects)
{
	struct fixture f;

	fixture_init(&f);
	fixture_boot(&f, &f.vcpu[0]);
	cr_assert_eq(pvm_handle_page_fault(&f.vcpu[0], pvm_gva(1ull << 40), PVM_PF_W, PVM_MAY_SLEEP),
		     PVM_ACT_RESUME);
	cr_assert_eq(f.vcpu[0].rip, 0x100000 + PVM_ENTRY_SUPERVISOR_EXCEPTION);
	cr_assert_eq(dual_pvcs(&f.vcpu[0])->cr2, 1ull << 40);
	cr_assert_eq(pvm_handle_page_fault(&f.vcpu[0], pvm_gva(1ull << 50), 0, PVM_MAY_SLEEP),
		     PVM_ACT_RESUME);
	cr_assert_eq(*(uint32_t *)(f.host.memory + f.vcpu[0].gpr[PVM_RSP] + PVM_FRAME_VECTOR), PVM_VEC_GP);
	fixture_fini(&f);
}

Test(mmu_fault, faults_and_fills_are_traced)
{
	const struct pvm_trace_record *record;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_fault(&g, GVA, 0);
	record = fixture_find_record(&g.f, PVM_TRACE_FILL);
	cr_assert_not_null(record);
	cr_assert_eq(record->a, GVA);
	cr_assert_eq(record->b, DATA);
	cr_assert_eq(record->c, 1);
	record = fixture_find_record(&g.f, PVM_TRACE_FAULT);
	cr_assert_not_null(record);
	cr_assert_eq(record->c, PVM_FAULT_FIXED);
	guest_fini(&g);
}

Test(mmu_fault, neighbouring_pages_and_changed_upper_entries_are_served_right)
{
	struct guest g;
	unsigned i;

	guest_init(&g);
	for (i = 0; i < 40; i++)
		guest_map(&g, GVA + i * 0x1000, DATA + i * 0x1000, 1, RWU);
	for (i = 0; i < 40; i++) {
		guest_touch(&g, GVA + i * 0x1000, i & 1 ? PVM_ACCESS_WRITE : PVM_ACCESS_READ);
		cr_assert_eq(guest_reaches(&g, GVA + i * 0x1000), DATA + i * 0x1000);
	}
	cr_assert_eq(guest_fault(&g, GVA, 0).kind, PVM_FAULT_FIXED);
	guest_fini(&g);
}

/* Without PKE every shadow entry has key 0. */
Test(mmu_fault, M8_without_keys_it_is_key_0_that_the_cpu_refuses_by)
{
	struct pvm_fault_result result;
	struct guest g;

	guest_init(&g);
	g.vcpu->cr4 &= ~(uint64_t)(PVM_CR4_PKE | PVM_CR4_PKS);
	guest_map(&g, GVA, DATA, 1, RWU | KEY(1));
	g.vcpu->pkru = 1u << 2 * 1;	/* key 1: not the one */
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_P | PVM_PF_PK).kind, PVM_FAULT_FIXED);
	g.vcpu->pkru = 1u << 2 * 0;
	result = guest_fault(&g, GVA, PVM_PF_P | PVM_PF_PK);
	cr_assert_eq(result.kind, PVM_FAULT_INJECT);
	cr_assert_eq(result.error_code, PVM_PF_P | PVM_PF_PK);
	g.vcpu->pkru = 2u << 2 * 0;	/* writes only */
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_P | PVM_PF_PK).kind, PVM_FAULT_FIXED, "a read");
	cr_assert_eq(guest_fault(&g, GVA, PVM_PF_P | PVM_PF_W | PVM_PF_PK).kind, PVM_FAULT_INJECT);
	guest_fini(&g);
}
