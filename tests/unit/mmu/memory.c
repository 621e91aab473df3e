/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_mmu_read() and pvm_mmu_write(). */
#include "guest.h"

#include "mmu/shadow.h"

static struct pvm_fault_result fault;
static pvm_gva_t at;

Test(mmu_memory, read_follows_the_guests_tables_across_pages)
{
	char buf[0x2000];
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RO);
	guest_map(&g, GVA + 0x1000, DATA + 0x5000, 1, RO);
	memset(g.f.host.memory + DATA, 1, 0x1000);
	memset(g.f.host.memory + DATA + 0x5000, 2, 0x1000);
	cr_assert_eq(pvm_mmu_read(g.vcpu, pvm_gva(GVA + 0xff0), buf, 0x20, PVM_ACCESS_READ, &fault, &at),
		     PVM_OK);
	cr_assert_eq(buf[0xf], 1);
	cr_assert_eq(buf[0x10], 2);
	cr_assert(*guest_entry(&g, GVA + 0x1000, 1) & PVM_PTE_A);
	guest_fini(&g);
}

Test(mmu_memory, read_reports_the_page_that_faults)
{
	char buf[0x20];
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RO);
	cr_assert_eq(pvm_mmu_read(g.vcpu, pvm_gva(GVA + 0xff8), buf, 0x20, PVM_ACCESS_READ, &fault, &at),
		     PVM_EFAULT);
	cr_assert_eq(at.v, GVA + 0x1000);
	cr_assert_eq(fault.kind, PVM_FAULT_INJECT);
	cr_assert_eq(fault.error_code, 0);
	guest_fini(&g);
}

Test(mmu_memory, read_of_code_needs_the_right_to_execute)
{
	char buf[4];
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RO | NX);
	cr_assert_eq(pvm_mmu_read(g.vcpu, pvm_gva(GVA), buf, 4, PVM_ACCESS_EXEC, &fault, &at), PVM_EFAULT);
	cr_assert_eq(fault.error_code, PVM_PF_P | PVM_PF_I);
	cr_assert_eq(pvm_mmu_read(g.vcpu, pvm_gva(GVA), buf, 4, PVM_ACCESS_READ, &fault, &at), PVM_OK);
	guest_fini(&g);
}

Test(mmu_memory, access_where_no_memory_is_names_the_gpa)
{
	uint64_t word = 0;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, 1ull << 32, 1, RWU);
	g.vcpu->user_mode = true;
	cr_assert_eq(pvm_mmu_read(g.vcpu, pvm_gva(GVA + 8), &word, 8, PVM_ACCESS_READ, &fault, &at),
		     PVM_EFAULT);
	cr_assert_eq(fault.kind, PVM_FAULT_MMIO);
	cr_assert_eq(fault.gpa.v, (1ull << 32) + 8);
	cr_assert_eq(fault.error_code, PVM_PF_U);
	cr_assert_eq(pvm_mmu_write(g.vcpu, pvm_gva(GVA), &word, 8, &fault, &at), PVM_EFAULT);
	cr_assert_eq(fault.kind, PVM_FAULT_MMIO);
	cr_assert_eq(fault.error_code, PVM_PF_U | PVM_PF_W);
	guest_fini(&g);
}

Test(mmu_memory, write_sets_accessed_and_dirty)
{
	uint64_t word = 0x1122334455667788;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	cr_assert_eq(pvm_mmu_write(g.vcpu, pvm_gva(GVA + 0x10), &word, 8, &fault, &at), PVM_OK);
	cr_assert_eq(*(uint64_t *)(g.f.host.memory + DATA + 0x10), word);
	cr_assert_eq(*guest_entry(&g, GVA, 1), DATA | RWU | PVM_PTE_A | PVM_PTE_D);
	guest_fini(&g);
}

Test(mmu_memory, write_that_faults_in_its_second_page_has_written_nothing)
{
	uint64_t words[2] = { ~0ull, ~0ull };
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + 0x1000, DATA + 0x1000, 1, RO);
	cr_assert_eq(pvm_mmu_write(g.vcpu, pvm_gva(GVA + 0xff8), words, 16, &fault, &at), PVM_EFAULT);
	cr_assert_eq(at.v, GVA + 0x1000);
	cr_assert_eq(fault.error_code, PVM_PF_P | PVM_PF_W);
	cr_assert_eq(*(uint64_t *)(g.f.host.memory + DATA + 0xff8), 0);
	cr_assert_eq(*guest_entry(&g, GVA, 1), DATA | RWU);
	guest_fini(&g);
}

Test(mmu_memory, long_write_covers_all_its_pages)
{
	static uint8_t bytes[0x3800];
	struct guest g;
	unsigned i;

	guest_init(&g);
	for (i = 0; i < 5; i++)
		guest_map(&g, GVA + i * 0x1000, DATA + i * 0x2000, 1, RWU);
	memset(bytes, 7, sizeof(bytes));
	cr_assert_eq(pvm_mmu_write(g.vcpu, pvm_gva(GVA + 0x400), bytes, sizeof(bytes), &fault, &at),
		     PVM_OK);
	cr_assert_eq(g.f.host.memory[DATA + 0x3ff], 0);
	cr_assert_eq(g.f.host.memory[DATA + 0x400], 7);
	cr_assert_eq(g.f.host.memory[DATA + 0x6bff], 7);
	cr_assert_eq(g.f.host.memory[DATA + 0x6c00], 0);
	guest_fini(&g);
}

Test(mmu_memory, M9_write_to_a_page_table_is_seen_by_the_next_flush)
{
	uint64_t entry = (DATA + 0x1000) | RWU;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map_tables(&g);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert_eq(pvm_mmu_write(g.vcpu, pvm_gva(guest_entry_gva(&g, GVA, 1)), &entry, 8, &fault, &at),
		     PVM_OK);
	pvm_mmu_invlpg(g.vcpu, pvm_gva(GVA));
	cr_assert_eq(guest_reaches(&g, GVA), ~0ull);
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	cr_assert_eq(guest_reaches(&g, GVA), DATA + 0x1000);
	guest_fini(&g);
}

/* The entry of the address is the first word of dual CR3's PVCS. */
#define SHARED_INDEX	256
#define SHARED_GVA	(GVA + SHARED_INDEX * 0x1000ull)

static void assert_pvcs_is_seen(struct guest *g, uint64_t gpa)
{
	guest_touch(g, SHARED_GVA, PVM_ACCESS_READ);
	dual_pvcs(g->vcpu)->event_flags = gpa | RWU;
	pvm_mmu_invlpg(g->vcpu, pvm_gva(SHARED_GVA));
	guest_touch(g, SHARED_GVA, PVM_ACCESS_READ);
	cr_assert_eq(guest_reaches(g, SHARED_GVA), gpa);
}

static void share_table(struct guest *g)
{
	uint64_t table = guest_table_of(g, SHARED_GVA, 1);

	cr_assert_eq(pvm_msr_write(g->vcpu, MSR_PVM_VCPU_STRUCT, table + SHARED_INDEX * 8), PVM_OK);
}

/* What the engine writes into the PVCS is written beside the MMU. */
Test(mmu_memory, M9_table_with_the_pvcs_in_it_is_never_taken_to_be_exact)
{
	struct guest g;
	unsigned i;

	guest_init(&g);
	guest_map(&g, SHARED_GVA, DATA, 1, RWU);
	guest_touch(&g, SHARED_GVA, PVM_ACCESS_READ);
	share_table(&g);
	assert_pvcs_is_seen(&g, DATA + 0x1000);
	for (i = 0; i < 8; i++)
		pvm_mmu_flush_all(g.vcpu);	/* a table that stays as it is is protected again */
	assert_pvcs_is_seen(&g, DATA + 0x2000);
	guest_fini(&g);
}

Test(mmu_memory, M9_table_that_the_pvcs_is_in_before_it_is_one)
{
	struct guest g;

	guest_init(&g);
	guest_map(&g, SHARED_GVA, DATA, 1, RWU);
	share_table(&g);
	assert_pvcs_is_seen(&g, DATA + 0x1000);
	guest_fini(&g);
}

static void (*real_lock)(void *host);
static unsigned locks;

static void counting_lock(void *host)
{
	locks++;
	real_lock(host);
}

/* A call that succeeds, and takes the MMU lock @times times. */
#define assert_locks(times, call) do { \
	locks = 0; \
	cr_assert(call); \
	cr_assert_eq(locks, times); \
} while (0)

static bool read_word(struct guest *g, uint64_t gva, uint64_t *word)
{
	return pvm_mmu_read(g->vcpu, pvm_gva(gva), word, 8, PVM_ACCESS_READ, &fault, &at) == PVM_OK;
}

static bool write_word(struct guest *g, uint64_t gva, uint64_t word)
{
	return pvm_mmu_write(g->vcpu, pvm_gva(gva), &word, 8, &fault, &at) == PVM_OK;
}

Test(mmu_memory, M12_only_a_tracked_table_or_two_pages_take_the_lock)
{
	struct pvm_fault_result result;
	uint64_t word = 0;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + 0x1000, DATA + 0x1000, 1, RWU);
	guest_map_tables(&g);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	real_lock = g.f.host.ops.mmu_lock;
	g.f.host.ops.mmu_lock = counting_lock;
	assert_locks(0, read_word(&g, GVA + 0xffc, &word));
	assert_locks(0, pvm_mmu_translate(g.vcpu, pvm_gva(GVA), PVM_ACCESS_WRITE, true, &result));
	assert_locks(0, write_word(&g, GVA + 8, 0x4d5650));
	cr_assert_str_eq((char *)g.f.host.memory + DATA + 8, "PVM");
	assert_locks(1, write_word(&g, GVA + 0xffc, 0));
	/* The table of GVA: tracked until its first write, which is noticed. */
	word = *guest_entry(&g, GVA, 1);
	assert_locks(1, write_word(&g, guest_entry_gva(&g, GVA, 1), word));
	assert_locks(0, write_word(&g, guest_entry_gva(&g, GVA, 1), word));
	/* Another thread has the lock, and does not give it up: wait for it. */
	g.vm->mmu->alone = true;
	assert_locks(1, read_word(&g, GVA, &word));
	g.vm->mmu->alone = true;
	assert_locks(1, write_word(&g, GVA, 0));
	cr_assert_not(g.vcpu->mmu.inside);
	guest_fini(&g);
}

static struct pvm_mmu *held;
static unsigned relaxed;

/* The other thread gives the lock up, at its third chance to run. */
static void holder_runs(void *host)
{
	(void)host;
	if (++relaxed == 3)
		held->alone = false;
}

/* Were it to queue for the lock, it would stand in the way of the next vCPU, and so on. */
Test(mmu_memory, who_meets_a_short_hold_of_the_lock_comes_inside_after_it)
{
	uint64_t word = 0;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map_tables(&g);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	real_lock = g.f.host.ops.mmu_lock;
	g.f.host.ops.mmu_lock = counting_lock;
	g.f.host.ops.relax = holder_runs;
	held = g.vm->mmu;
	held->alone = true;
	assert_locks(0, write_word(&g, GVA + 8, 0x4d5650));
	cr_assert_eq(relaxed, 3);
	relaxed = 0;
	held->alone = true;
	assert_locks(0, read_word(&g, GVA + 8, &word));
	cr_assert_eq(relaxed, 3);
	cr_assert_eq(word, 0x4d5650);
	guest_fini(&g);
}

static uint64_t *changing;

/* Another vCPU sets a bit that is the guest's own, once, while the engine is about to write. */
static void *va_while_the_entry_changes(void *host, pvm_gfn_t gfn, bool write)
{
	if (write && changing && gfn.v == DATA >> PVM_PAGE_SHIFT) {
		*changing |= 1ull << 9;
		changing = NULL;
	}
	return test_host_ops.gfn_to_va(host, gfn, write);
}

Test(mmu_memory, M6_what_is_written_is_dirty_although_the_entry_changes_meanwhile)
{
	uint64_t *entry;
	struct guest g;

	guest_init(&g);
	guest_map(&g, GVA, DATA, 1, RWU);
	guest_map(&g, GVA + 0x1000, DATA + 0x1000, 1, RWU);
	g.f.host.ops.gfn_to_va = va_while_the_entry_changes;
	changing = entry = guest_entry(&g, GVA, 1);
	cr_assert(write_word(&g, GVA + 0xffc, 0x1122334455667788));
	cr_assert_eq(*entry & (PVM_PTE_A | PVM_PTE_D | 1ull << 9), PVM_PTE_A | PVM_PTE_D | 1ull << 9);
	changing = entry = guest_entry(&g, GVA, 1);
	*entry &= ~(uint64_t)(PVM_PTE_D | 1ull << 9);
	cr_assert(write_word(&g, GVA, 1), "within a page");
	cr_assert_eq(*entry & (PVM_PTE_A | PVM_PTE_D | 1ull << 9), PVM_PTE_A | PVM_PTE_D | 1ull << 9);
	guest_fini(&g);
}
