/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Linear addresses and MSR_PVM_LINEAR_ADDRESS_RANGE. */
#include <criterion/criterion.h>
#include <pvm/mmu.h>

#include "mmu_calls.h"

TestSuite(range, .init = setup, .fini = teardown);

#define NONE PVM_RANGE_INDEX_NONE

static uint64_t encode(uint16_t pml4_start, uint16_t pml4_end, uint16_t pml5_start, uint16_t pml5_end)
{
	struct pvm_linear_range range = { pml4_start, pml4_end, pml5_start, pml5_end };

	return pvm_linear_range_encode(&range);
}

static bool decodes(uint64_t msr, bool la57)
{
	struct pvm_linear_range range;

	return pvm_linear_range_decode(msr, la57, &range) == PVM_OK;
}

static bool legal(uint64_t addr)
{
	return pvm_legal_address(vcpu, pvm_gva(addr));
}

/* Without vCPU: a 5-level host with both ranges. */
static void setup_la57(void)
{
	struct pvm_vm_config config = fixture_config();

	config.host_la57 = true;
	config.range = (struct pvm_linear_range){ 300, 400, 280, 290 };
	setup_config(&config);
}

/* spec: C-087, C-088, C-089, C-090 */
Test(range, fields_are_where_the_specification_puts_them)
{
	cr_assert_eq(encode(0x101, 0x102, 0x103, 0x104), 0xff04ff03ff02ff01ull);
}

/* spec: C-087, C-088, C-089, C-090 */
Test(range, every_fixed_bit_must_be_set)
{
	uint64_t msr = encode(256, 510, 256, 510);
	unsigned bit;

	cr_assert(decodes(msr, true));
	for (bit = 0; bit < 64; bit++)
		if (PVM_RANGE_FIXED_BITS >> bit & 1)
			cr_assert_not(decodes(msr & ~(1ull << bit), true), "bit %u", bit);
}

Test(range, what_is_encoded_decodes_to_itself)
{
	struct pvm_linear_range in = { 260, 270, 300, 500 }, out;

	ok(pvm_linear_range_decode(pvm_linear_range_encode(&in), true, &out));
	cr_assert_eq(out.pml4_start, 260);
	cr_assert_eq(out.pml4_end, 270);
	cr_assert_eq(out.pml5_start, 300);
	cr_assert_eq(out.pml5_end, 500);
}

/* spec: C-092 */
Test(range, pml4_constraints)
{
	cr_assert(decodes(encode(256, 257, NONE, NONE), false));
	cr_assert(decodes(encode(509, 510, NONE, NONE), false));
	cr_assert(decodes(encode(NONE, NONE, NONE, NONE), false));
	cr_assert_not(decodes(encode(300, 300, NONE, NONE), false));
	cr_assert_not(decodes(encode(301, 300, NONE, NONE), false));
	cr_assert_not(decodes(encode(256, 511, NONE, NONE), false));
	cr_assert_not(decodes(encode(511, 510, NONE, NONE), false));
}

/* spec: C-091, C-093 */
Test(range, pml5_constraints)
{
	cr_assert(decodes(encode(256, 510, 256, 510), true));
	cr_assert_not(decodes(encode(256, 510, 256, 510), false));
	cr_assert(decodes(encode(256, 510, NONE, NONE), false));
	cr_assert(decodes(encode(256, 510, NONE, NONE), true));
	cr_assert_not(decodes(encode(256, 510, 300, 300), true));
	cr_assert_not(decodes(encode(256, 510, 310, 300), true));
	cr_assert_not(decodes(encode(256, 510, 300, 511), true));
}

Test(range, a_failed_decode_leaves_the_result_alone)
{
	struct pvm_linear_range range = { 1, 2, 3, 4 };

	gp(pvm_linear_range_decode(0, true, &range));
	cr_assert_eq(range.pml4_start, 1);
	cr_assert_eq(range.pml5_end, 4);
}

Test(range, within_compares_both_ends_of_both_ranges)
{
	struct pvm_linear_range widest = { 300, 400, 280, 290 };
	struct pvm_linear_range none = { NONE, NONE, NONE, NONE };

#define WITHIN(...) pvm_linear_range_within(&(struct pvm_linear_range){ __VA_ARGS__ }, &widest)
	cr_assert(WITHIN(300, 400, 280, 290));
	cr_assert(WITHIN(310, 320, 281, 289));
	cr_assert_not(WITHIN(299, 400, 280, 290));
	cr_assert_not(WITHIN(300, 401, 280, 290));
	cr_assert_not(WITHIN(300, 400, 279, 290));
	cr_assert_not(WITHIN(300, 400, 280, 291));
	/* From a 4-level host: no PML5 range. Without a PML4 range no guest runs there. */
	cr_assert(WITHIN(300, 400, NONE, NONE));
	cr_assert_not(WITHIN(NONE, NONE, NONE, NONE));
	cr_assert(pvm_linear_range_within(&none, &none));
	cr_assert_not(pvm_linear_range_within(&widest, &none));
}

/* spec: C-097 */
Test(range, msr_is_reset_to_the_widest)
{
	uint64_t value;

	ok(pvm_msr_read(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, &value));
	cr_assert_eq(value, encode(256, 510, NONE, NONE));
	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(300, 301, NONE, NONE)));
	pvm_vcpu_reset(vcpu);
	ok(pvm_msr_read(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, &value));
	cr_assert_eq(value, encode(256, 510, NONE, NONE));
}

/* spec: C-098 */
Test(range, msr_takes_sub_ranges_of_the_widest_only, .init = setup_la57)
{
	uint64_t value;

	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(310, 320, 281, 289)));
	/* Wider than now, but not than the widest. */
	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(300, 400, 280, 290)));
	gp(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(299, 400, 280, 290)));
	gp(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(300, 400, 280, 291)));
	gp(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, 0));
	ok(pvm_msr_read(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, &value));
	cr_assert_eq(value, encode(300, 400, 280, 290));
}

/* spec: C-095, C-096, C-101, C-147 */
Test(range, legal_addresses_of_a_4_level_guest)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(300, 400, NONE, NONE)));
	cr_assert(legal(0));
	cr_assert(legal(0x00007fffffffffffull));
	cr_assert_not(legal(0x0000800000000000ull));
	cr_assert_not(legal(0x00ff000000000000ull));
	/* [ (1UL << 39) * (0x1FFFE00 | 300), (1UL << 39) * (0x1FFFE00 | 400) ) */
	cr_assert_not(legal((0x1fffe00ull | 300) * (1ull << 39) - 1));
	cr_assert(legal((0x1fffe00ull | 300) * (1ull << 39)));
	cr_assert(legal((0x1fffe00ull | 400) * (1ull << 39) - 1));
	cr_assert_not(legal((0x1fffe00ull | 400) * (1ull << 39)));
	/* The top 2 GiB, and what is not canonical. */
	cr_assert_not(legal(0xffffffff80000000ull));
	cr_assert_not(legal(~0ull));
	cr_assert_not(legal(PVM_SYNTHETIC_CPUID_ADDR));
	cr_assert_not(legal(((0x1fffe00ull | 300) * (1ull << 39)) & ~(1ull << 62)));
}

/* spec: C-094, C-095, C-096 */
Test(range, legal_addresses_of_a_5_level_guest, .init = setup_la57)
{
	vcpu->cr4 |= PVM_CR4_LA57;
	cr_assert(legal(0x00ffffffffffffffull));
	cr_assert_not(legal(0x0100000000000000ull));
	/* [ (1UL << 48) * (0xFE00 | 280), (1UL << 48) * (0xFE00 | 290) ) */
	cr_assert_not(legal((0xfe00ull | 280) * (1ull << 48) - 1));
	cr_assert(legal((0xfe00ull | 280) * (1ull << 48)));
	cr_assert(legal((0xfe00ull | 290) * (1ull << 48) - 1));
	cr_assert_not(legal((0xfe00ull | 290) * (1ull << 48)));
	cr_assert(legal((0x1fffe00ull | 300) * (1ull << 39)));
	cr_assert_not(legal((0x1fffe00ull | 299) * (1ull << 39)));
	/* The same index under another top-level entry is another address. */
	cr_assert_not(legal((0x1fdfe00ull | 300) * (1ull << 39)));
}

Test(range, a_4_level_guest_has_no_pml5_range, .init = setup_la57)
{
	cr_assert_not(legal((0xfe00ull | 280) * (1ull << 48)));
	cr_assert_not(legal(0x00ff000000000000ull));
	cr_assert(legal((0x1fffe00ull | 300) * (1ull << 39)));
}

Test(range, without_any_range_only_the_lower_half_is_legal)
{
	vcpu->msr.linear_address_range = encode(NONE, NONE, NONE, NONE);
	cr_assert(legal(0x00007fffffffffffull));
	cr_assert_not(legal(0xffff800000000000ull));
	cr_assert_not(legal(0xffffff8000000000ull));
	cr_assert_not(legal(~0ull));
}

/* spec: C-100 */
Test(range, M7_narrowing_drops_translations_that_are_now_outside)
{
	uint64_t gva = (0x1fffe00ull | 300) * (1ull << 39);
	struct pvm_shadow_leaf leaf;
	pvm_hpa_t root;

	fixture_boot(&fix, vcpu);
	fixture_map(&fix, vcpu->cr3, 4, gva, 0x5000, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	cr_assert_eq(pvm_mmu_fault(vcpu, pvm_gva(gva), PVM_PF_U, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	ok(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP));
	cr_assert(pvm_mmu_shadow_walk(&fix.vm, root, pvm_gva(gva), &leaf));

	/* A range that still holds the address. */
	mmu_calls_clear();
	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(300, 400, NONE, NONE)));
	cr_assert_eq(mmu_calls.new_cr3, 1);
	cr_assert_eq(pvm_mmu_fault(vcpu, pvm_gva(gva), PVM_PF_U, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	ok(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP));
	cr_assert(pvm_mmu_shadow_walk(&fix.vm, root, pvm_gva(gva), &leaf));

	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, encode(301, 400, NONE, NONE)));
	ok(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP));
	cr_assert_not(pvm_mmu_shadow_walk(&fix.vm, root, pvm_gva(gva), &leaf));
	cr_assert_neq(pvm_mmu_fault(vcpu, pvm_gva(gva), PVM_PF_U, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	cr_assert_not(pvm_mmu_shadow_walk(&fix.vm, root, pvm_gva(gva), &leaf));
}

Test(range, canonical_follows_the_guests_depth, .init = setup_la57)
{
	cr_assert(pvm_canonical(vcpu, 0x00007fffffffffffull));
	cr_assert_not(pvm_canonical(vcpu, 0x0000800000000000ull));
	cr_assert(pvm_canonical(vcpu, 0xffff800000000000ull));
	cr_assert_not(pvm_canonical(vcpu, 0xffff7fffffffffffull));
	vcpu->cr4 |= PVM_CR4_LA57;
	cr_assert(pvm_canonical(vcpu, 0x00ffffffffffffffull));
	cr_assert_not(pvm_canonical(vcpu, 0x0100000000000000ull));
	cr_assert(pvm_canonical(vcpu, 0xff00000000000000ull));
	cr_assert_not(pvm_canonical(vcpu, 0xfeffffffffffffffull));
}

/* spec: C-064 */
Test(range, semi_canonical_copies_bit_47_on_a_4_level_host)
{
	cr_assert_eq(pvm_semi_canonical(vcpu, 0xdead800000001234ull), 0xffff800000001234ull);
	cr_assert_eq(pvm_semi_canonical(vcpu, 0xdead7fffffff1234ull), 0x00007fffffff1234ull);
}

/* spec: C-064 */
Test(range, semi_canonical_copies_bit_56_on_a_5_level_host, .init = setup_la57)
{
	cr_assert_eq(pvm_semi_canonical(vcpu, 0x01ad800000001234ull), 0xffad800000001234ull);
	cr_assert_eq(pvm_semi_canonical(vcpu, 0xfeadffffffff1234ull), 0x00adffffffff1234ull);
}
