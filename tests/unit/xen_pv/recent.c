/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the engine remembers of a guest's memory (mmu/recent.h), and when it must not. */
#include "guest.h"

#include <string.h>

#include "abi/xen_pv/xen_pv.h"
#include "mmu/shadow.h"

#define PAGE_AT		0x43000ull		/* gpa of the page that is read */
#define HERE		(KERNEL + PAGE_AT)
#define OTHER_GPA	0x41000ull
#define ALL		(PVM_PTE_P | PVM_PTE_W | PVM_PTE_A | PVM_PTE_D)

static struct pvm_vcpu *vcpu;
static struct pvm_fault_result fault;
static pvm_gva_t at;
static unsigned asked, asked_to_write;

static void *count(void *host, pvm_gfn_t gfn, bool write)
{
	asked++;
	asked_to_write += write;
	return test_host_ops.gfn_to_va(host, gfn, write);
}

static void setup(void)
{
	xen_guest_init(2);
	vcpu = &g.f.vcpu[0];
	g.f.host.ops.gfn_to_va = count;
	*(uint64_t *)xen_at(HERE) = 1;
	*(uint64_t *)xen_at(KERNEL + OTHER_GPA) = 2;
}

TestSuite(recent, .init = setup, .fini = xen_guest_fini);

static uint64_t *leaf(uint64_t gva)
{
	return fixture_entry(&g.f, g.kernel_table, 4, gva, 1);
}

/* What is at HERE, or ~0. */
static uint64_t word(void)
{
	uint64_t value;

	if (pvm_mmu_read(vcpu, pvm_gva(HERE), &value, sizeof(value), PVM_ACCESS_READ, &fault, &at) != PVM_OK)
		return ~0ull;
	return value;
}

static int put(uint64_t gva, uint64_t value)
{
	return pvm_mmu_write(vcpu, pvm_gva(gva), &value, sizeof(value), &fault, &at);
}

Test(recent, the_same_page_again_takes_no_walk_and_no_question)
{
	cr_assert_eq(word(), 1);
	cr_assert_eq(put(HERE, 1), PVM_OK);
	asked = 0;
	*leaf(HERE) = 0;	/* which is not flushed */
	cr_assert_eq(word(), 1);
	cr_assert_eq(put(HERE, 5), PVM_OK);
	cr_assert_eq(word(), 5);
	cr_expect_eq(asked, 0);
	*leaf(HERE) = PAGE_AT | ALL;
}

/* ------------------------------------------------------------------------
 * M9: not after a flush.
 */

static int64_t ext(uint32_t cmd, uint64_t arg1)
{
	struct pvm_xen_mmuext_op *op = xen_at(ARGUMENTS);

	*op = (struct pvm_xen_mmuext_op){ .cmd = cmd, .arg1 = arg1 };
	return xen_call(PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF);
}

/* The page is read, its entry changed, and @flush called. */
static void expect_new(const char *what, int64_t (*flush)(void))
{
	*leaf(HERE) = PAGE_AT | ALL;
	pvm_mmu_flush_all(vcpu);
	cr_assert_eq(word(), 1);
	*leaf(HERE) = OTHER_GPA | ALL;
	cr_assert_eq(word(), 1, "it is not remembered");
	cr_assert_eq(flush(), 0);
	cr_expect_eq(word(), 2, "M9: %s", what);
}

static int64_t flush_local(void)
{
	return ext(PVM_XEN_TLB_FLUSH_LOCAL, 0);
}

static int64_t flush_all(void)
{
	return ext(PVM_XEN_TLB_FLUSH_ALL, 0);
}

static int64_t invlpg_local(void)
{
	return ext(PVM_XEN_INVLPG_LOCAL, HERE);
}

static int64_t invlpg_all(void)
{
	return ext(PVM_XEN_INVLPG_ALL, HERE);
}

static int64_t load_table(void)
{
	return ext(PVM_XEN_NEW_BASEPTR, g.kernel_table >> PVM_PAGE_SHIFT);
}

static int64_t update_and_flush(void)
{
	return xen_call(PVM_XEN_UPDATE_VA_MAPPING, HERE, OTHER_GPA | ALL, PVM_XEN_UVMF_INVLPG, 0);
}

static int64_t write_cr3(void)
{
	return pvm_cr_write(vcpu, 3, g.kernel_table);
}

static int64_t new_cr3(void)
{
	pvm_mmu_new_cr3(vcpu);
	return 0;
}

/* spec: XC-068, XC-069 */
Test(recent, M9_after_any_flush_the_tables_count)
{
	expect_new("TLB_FLUSH_LOCAL", flush_local);
	expect_new("TLB_FLUSH_ALL", flush_all);
	expect_new("INVLPG_LOCAL", invlpg_local);
	expect_new("INVLPG_ALL", invlpg_all);
	expect_new("NEW_BASEPTR", load_table);
	expect_new("update_va_mapping", update_and_flush);
	expect_new("CR3", write_cr3);
	expect_new("pvm_mmu_new_cr3()", new_cr3);
}

/* What was remembered before a flush is not what is remembered after it. */
Test(recent, M9_a_walk_after_a_flush_brings_nothing_back)
{
	uint64_t value;

	cr_assert_eq(word(), 1);
	*leaf(HERE) = OTHER_GPA | ALL;
	pvm_mmu_flush_current(vcpu);
	cr_assert_eq(pvm_mmu_read(vcpu, pvm_gva(KERNEL + 0x44000), &value, 8, PVM_ACCESS_READ, &fault, &at),
		     PVM_OK);
	cr_expect_eq(word(), 2);
}

/* Any address of a large page flushes all of it. */
Test(recent, M9_an_address_of_a_large_page_is_the_page)
{
	uint64_t gva = KERNEL + 0x40000000 - 0x400000, value;
	unsigned i;

	for (i = 0; i < 2; i++) {
		fixture_map(&g.f, g.kernel_table, 4, gva, i * 0x200000ull, 2, ALL);
		if (i)
			pvm_mmu_invlpg(vcpu, pvm_gva(gva + 0x5000));
		*(uint64_t *)(g.f.host.memory + i * 0x200000 + 0x44000) = i;
		cr_assert_eq(pvm_mmu_read(vcpu, pvm_gva(gva + 0x44000), &value, 8, PVM_ACCESS_READ, &fault,
					  &at), PVM_OK);
		cr_expect_eq(value, i);
	}
}

/* The flush is another vCPU's. */
static void expect_new_elsewhere(const char *what, int64_t (*flush)(void))
{
	struct pvm_vcpu *first = vcpu;

	vcpu = &g.f.vcpu[1];
	*leaf(HERE) = PAGE_AT | ALL;
	pvm_mmu_flush_all(vcpu);
	cr_assert_eq(word(), 1);
	*leaf(HERE) = OTHER_GPA | ALL;
	cr_assert_eq(word(), 1, "it is not remembered");
	cr_assert_eq(flush(), 0);
	cr_expect_eq(word(), 2, "M9: %s", what);
	vcpu = first;
}

/* spec: XC-068 */
Test(recent, M9_after_a_flush_of_another_vcpu_the_tables_count)
{
	g.f.vcpu[1].cr3 = g.kernel_table;
	expect_new_elsewhere("TLB_FLUSH_ALL", flush_all);
	expect_new_elsewhere("INVLPG_ALL", invlpg_all);
}

/* The page has become a table since it was written: the write is seen by the next flush. */
Test(recent, M9_a_page_that_has_become_a_table_is_one)
{
	uint64_t *entry = fixture_entry(&g.f, g.user_table, 4, USER, 1), old = *entry;
	uint64_t table = (uint64_t)((uint8_t *)entry - g.f.host.memory);
	struct pvm_shadow_leaf found;
	pvm_hpa_t root;

	fixture_map(&g.f, g.kernel_table, 4, HERE, table & ~(uint64_t)(PVM_PAGE_SIZE - 1), 1, ALL);
	pvm_mmu_flush_all(vcpu);
	cr_assert_eq(put(HERE + table % PVM_PAGE_SIZE, old), PVM_OK);
	asked = 0;
	cr_assert_eq(put(HERE + table % PVM_PAGE_SIZE, old), PVM_OK);
	cr_assert_eq(asked, 0, "it is not remembered");
	xen_go_user(false);
	cr_assert_eq(pvm_mmu_fault(vcpu, pvm_gva(USER), PVM_PF_U, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	pvm_xen_cross(vcpu);
	cr_assert_eq(put(HERE + table % PVM_PAGE_SIZE, 0), PVM_OK);
	pvm_xen_cross(vcpu);
	pvm_mmu_flush_all(vcpu);
	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	cr_expect_not(pvm_mmu_shadow_walk(&g.f.vm, root, pvm_gva(USER), &found));
}

/* ------------------------------------------------------------------------
 * Rights.
 */

Test(recent, M3_what_the_kernel_was_allowed_user_mode_is_not)
{
	vcpu->msr.switch_cr3 = vcpu->cr3;
	cr_assert_eq(word(), 1);
	pvm_xen_cross(vcpu);
	cr_expect_eq(word(), ~0ull);
	pvm_xen_cross(vcpu);
	cr_expect_eq(word(), 1);
	vcpu->msr.switch_cr3 = g.user_table;
}

Test(recent, tables_of_another_root_are_others)
{
	uint64_t other = fixture_new_table(&g.f);

	fixture_map(&g.f, other, 4, HERE, OTHER_GPA, 1, ALL);
	cr_assert_eq(word(), 1);
	vcpu->cr3 = other;
	cr_expect_eq(word(), 2);
	vcpu->cr3 = g.kernel_table;
	cr_expect_eq(word(), 1);
}

Test(recent, what_was_read_is_not_what_may_be_written)
{
	*leaf(HERE) = PAGE_AT | PVM_PTE_P;
	cr_assert_eq(word(), 1);
	cr_expect_eq(put(HERE, 5), PVM_EFAULT);
	cr_expect_eq(fault.error_code, PVM_PF_P | PVM_PF_W);
	*leaf(HERE) = PAGE_AT | PVM_PTE_P | PVM_PTE_W;
	cr_assert_eq(word(), 1);
	cr_expect_eq(put(HERE, 5), PVM_OK);
	cr_expect_eq(*leaf(HERE), PAGE_AT | ALL);
}

/* The kernel may write what it calls a table, through an entry without W, as long as it does. */
/* spec: XC-072 */
Test(recent, a_table_that_is_none_any_more_is_written_by_its_entry)
{
	*leaf(HERE) = PAGE_AT | PVM_PTE_P;
	cr_assert_eq(put(HERE, 5), PVM_EFAULT);
	cr_assert_eq(ext(PVM_XEN_PIN_L1_TABLE, PAGE_AT >> PVM_PAGE_SHIFT), 0);
	cr_assert_eq(put(HERE, 5), PVM_OK);
	cr_assert_eq(ext(PVM_XEN_UNPIN_TABLE, PAGE_AT >> PVM_PAGE_SHIFT), 0);
	cr_expect_eq(put(HERE, 6), PVM_EFAULT);
}

Test(recent, what_was_read_is_not_what_may_be_executed)
{
	uint64_t value;

	*leaf(HERE) = PAGE_AT | PVM_PTE_P | PVM_PTE_NX;
	vcpu->efer |= PVM_EFER_NXE;
	cr_assert_eq(word(), 1);
	cr_expect_eq(pvm_mmu_read(vcpu, pvm_gva(HERE), &value, 8, PVM_ACCESS_EXEC, &fault, &at), PVM_EFAULT);
	cr_expect_eq(pvm_mmu_read(vcpu, pvm_gva(HERE), &value, 8, PVM_ACCESS_WRITE, &fault, &at), PVM_EFAULT);
}

/* PKRU is the guest's to change at any time. */
static void expect_key_counts(unsigned key)
{
	*leaf(HERE) = PAGE_AT | ALL | PVM_PTE_U | (uint64_t)key << PVM_PTE_PK_SHIFT;
	pvm_mmu_flush_all(vcpu);
	vcpu->pkru = 0;
	cr_assert_eq(word(), 1);
	vcpu->pkru = 1u << 2 * key;
	cr_expect_eq(word(), ~0ull, "key %u", key);
	vcpu->pkru = 0;
}

Test(recent, M8_where_keys_count_each_access_is_walked)
{
	vcpu->user_mode = true;
	vcpu->cr4 |= PVM_CR4_PKE;
	expect_key_counts(0);
	expect_key_counts(1);
	vcpu->cr4 &= ~(uint64_t)PVM_CR4_PKE;
	vcpu->user_mode = false;
}

/* ------------------------------------------------------------------------
 * M10: not what the host has taken.
 */

static uint64_t elsewhere[PVM_PAGE_SIZE / sizeof(uint64_t)] __attribute__((aligned(PVM_PAGE_SIZE))) = { 7 };

static void *moved(void *host, pvm_gfn_t gfn, bool write)
{
	return gfn.v == PAGE_AT >> PVM_PAGE_SHIFT ? elsewhere : test_host_ops.gfn_to_va(host, gfn, write);
}

Test(recent, M10_memory_that_the_host_has_moved_is_where_it_is_now)
{
	cr_assert_eq(word(), 1);
	cr_assert_eq(put(HERE, 1), PVM_OK);
	g.f.host.ops.gfn_to_va = moved;
	pvm_mmu_unmap_gfns(&g.f.vm, pvm_gfn(PAGE_AT >> PVM_PAGE_SHIFT), 1, PVM_MAY_SLEEP);
	cr_expect_eq(word(), 7);
	cr_assert_eq(put(HERE, 8), PVM_OK);
	cr_expect_eq(elsewhere[0], 8);
}

/* While frames are being taken the answer is good for once. */
Test(recent, M10_nothing_is_remembered_while_frames_are_taken)
{
	pvm_gfn_t gfn = pvm_gfn(PAGE_AT >> PVM_PAGE_SHIFT);

	pvm_mmu_invalidate_begin(&g.f.vm, gfn, 1, PVM_MAY_SLEEP);
	cr_assert_eq(word(), 1);
	g.f.host.ops.gfn_to_va = moved;
	cr_expect_eq(word(), 7);
	pvm_mmu_invalidate_end(&g.f.vm, gfn, 1);
	cr_expect_eq(word(), 7);
}

/* The host is asked, and so learns of the first write after it has taken the right (dirty logging). */
Test(recent, M10_the_host_is_asked_before_the_next_write)
{
	cr_assert_eq(put(HERE, 1), PVM_OK);
	asked_to_write = 0;
	cr_assert_eq(put(HERE, 2), PVM_OK);
	cr_assert_eq(asked_to_write, 0);
	pvm_mmu_write_protect_gfns(&g.f.vm, pvm_gfn(PAGE_AT >> PVM_PAGE_SHIFT), 1, PVM_MAY_SLEEP);
	cr_assert_eq(put(HERE, 3), PVM_OK);
	cr_expect_eq(asked_to_write, 1);
}
