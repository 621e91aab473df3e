/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Control registers, EFER and RFLAGS. */
#include <criterion/criterion.h>

#include "mmu_calls.h"

TestSuite(cr, .init = setup, .fini = teardown);

static uint64_t cr(unsigned number)
{
	uint64_t value;

	ok(pvm_cr_read(vcpu, number, &value));
	return value;
}

/* A host with nothing that a host may lack. */
static void setup_poor_host(void)
{
	struct pvm_vm_config config = fixture_config();

	config.host_pke = config.host_umip = config.host_osxsave = config.host_nx = false;
	setup_config(&config);
}

static const struct pvm_cpuid_entry la57_cpuid[] = {
	{ .leaf = 0, .eax = 7 },
	{ .leaf = 7, .subleaf_matters = true, .ecx = PVM_CPUID_7_ECX_LA57 },
};

static void setup_la57(void)
{
	struct pvm_vm_config config = fixture_config();

	config.host_la57 = true;
	config.cpuid = la57_cpuid;
	config.cpuid_count = 2;
	setup_config(&config);
}

/* spec: C-024 */
Test(cr, cr0_has_one_value)
{
	static const uint64_t bits[] = {
		PVM_CR0_PE, PVM_CR0_MP, PVM_CR0_EM, PVM_CR0_TS, PVM_CR0_ET, PVM_CR0_NE,
		PVM_CR0_WP, PVM_CR0_AM, PVM_CR0_NW, PVM_CR0_CD, PVM_CR0_PG,
	};
	unsigned i;

	cr_assert_eq(cr(0), 0x80050033);
	ok(pvm_cr_write(vcpu, 0, 0x80050033));
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		gp(pvm_cr_write(vcpu, 0, 0x80050033 ^ bits[i]));
	cr_assert_eq(cr(0), 0x80050033);
}

Test(cr, cr0_reserved_bits_are_ignored_below_and_refused_above_bit_32)
{
	ok(pvm_cr_write(vcpu, 0, 0x80050033 | 1 << 6 | 1 << 28));
	cr_assert_eq(cr(0), 0x80050033);
	gp(pvm_cr_write(vcpu, 0, 0x180050033ull));
}

Test(cr, cr2_takes_any_value)
{
	ok(pvm_cr_write(vcpu, 2, 0xdeadbeefdeadbeefull));
	cr_assert_eq(cr(2), 0xdeadbeefdeadbeefull);
}

/* spec: C-139, C-144 */
Test(cr, cr3_write_flushes_its_tag_and_no_other)
{
	ok(pvm_cr_write(vcpu, 3, 0x5000));
	cr_assert_eq(cr(3), 0x5000);
	cr_assert_eq(mmu_calls.new_cr3, 1);
	cr_assert_eq(mmu_calls.flush_cr3, 1);
	cr_assert_eq(mmu_calls.flushed_cr3, 0x5000);
	cr_assert_eq(mmu_calls.flush_all, 0);
}

/* spec: C-146 */
Test(cr, cr3_write_with_noflush_flushes_nothing)
{
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE));
	mmu_calls_clear();
	ok(pvm_cr_write(vcpu, 3, 0x5007 | PVM_CR3_NOFLUSH));
	cr_assert_eq(cr(3), 0x5007, "bit 63 reads as 0");
	cr_assert_eq(mmu_calls.new_cr3, 1);
	cr_assert_eq(mmu_calls.flush_cr3, 0);
	ok(pvm_cr_write(vcpu, 3, 0x5007));
	cr_assert_eq(mmu_calls.flush_cr3, 1);
}

Test(cr, cr3_bit_63_is_reserved_without_pcide)
{
	gp(pvm_cr_write(vcpu, 3, 0x5000 | PVM_CR3_NOFLUSH));
	cr_assert_eq(cr(3), 0);
	cr_assert_eq(mmu_calls.new_cr3, 0);
}

Test(cr, cr3_bits_from_maxphyaddr_are_reserved)
{
	unsigned bit;

	ok(pvm_cr_write(vcpu, 3, 1ull << 39));
	for (bit = 40; bit < 63; bit++)
		gp(pvm_cr_write(vcpu, 3, 1ull << bit));
}

Test(cr, cr8_holds_four_bits)
{
	ok(pvm_cr_write(vcpu, 8, 15));
	cr_assert_eq(cr(8), 15);
	gp(pvm_cr_write(vcpu, 8, 16));
	gp(pvm_cr_write(vcpu, 8, 1ull << 63));
	cr_assert_eq(cr(8), 15);
}

Test(cr, other_numbers_are_no_registers)
{
	static const unsigned none[] = { 1, 5, 6, 7, 9, 15, 16 };
	uint64_t value;
	unsigned i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ud(pvm_cr_read(vcpu, none[i], &value));
		ud(pvm_cr_write(vcpu, none[i], 0));
	}
}

/* spec: C-026 */
Test(cr, cr4_after_reset_follows_the_host)
{
	cr_assert_eq(cr(4), PVM_CR4_PAE | PVM_CR4_FSGSBASE | PVM_CR4_OSFXSR | PVM_CR4_OSXMMEXCPT |
			    PVM_CR4_UMIP | PVM_CR4_OSXSAVE | PVM_CR4_PKE);
}

/* spec: C-026 */
Test(cr, cr4_after_reset_on_a_poor_host, .init = setup_poor_host)
{
	cr_assert_eq(cr(4), PVM_CR4_PAE | PVM_CR4_FSGSBASE | PVM_CR4_OSFXSR | PVM_CR4_OSXMMEXCPT);
}

/* spec: C-025 */
Test(cr, cr4_fixed_bits)
{
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_VME));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PVI));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~PVM_CR4_PAE));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~PVM_CR4_FSGSBASE));
}

/* spec: C-028, C-135, C-137 */
Test(cr, cr4_smep_and_smap_can_not_be_set)
{
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_SMEP));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_SMAP));
}

Test(cr, cr4_bits_of_hidden_features_can_not_be_set)
{
	static const unsigned bits[] = { 13, 14, 15, 19, 23, 25, 26, 27, 28, 32, 63 };
	unsigned i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | 1ull << bits[i]));
}

Test(cr, cr4_plain_bits_come_and_go)
{
	static const uint64_t bits[] = {
		PVM_CR4_TSD, PVM_CR4_DE, PVM_CR4_PSE, PVM_CR4_MCE, PVM_CR4_PGE, PVM_CR4_PCE,
	};
	unsigned i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		uint64_t before = vcpu->cr4;

		ok(pvm_cr_write(vcpu, 4, before | bits[i]));
		cr_assert_eq(cr(4), before | bits[i]);
		ok(pvm_cr_write(vcpu, 4, before));
		cr_assert_eq(cr(4), before);
	}
}

/* spec: C-026 */
Test(cr, cr4_host_bits_can_not_be_set_without_the_hosts, .init = setup_poor_host)
{
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_UMIP));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_OSXSAVE));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PKE));
}

/* spec: C-026 */
Test(cr, cr4_host_bits_stay_with_the_host_whatever_is_written)
{
	uint64_t before = vcpu->cr4;

	ok(pvm_cr_write(vcpu, 4, PVM_CR4_PAE | PVM_CR4_FSGSBASE | PVM_CR4_PKE));
	cr_assert_eq(cr(4), before);
}

/* spec: C-027 */
Test(cr, pcide_needs_nothing_of_the_host)
{
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE));
	cr_assert(cr(4) & PVM_CR4_PCIDE);
}

Test(cr, pcide_is_set_only_with_pcid_0)
{
	ok(pvm_cr_write(vcpu, 3, 0x5018));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE));
	ok(pvm_cr_write(vcpu, 3, 0x5000));
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE));
	/* Once set, it can be written again with any PCID. */
	ok(pvm_cr_write(vcpu, 3, 0x5001));
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_DE));
}

Test(cr, clearing_pcide_and_changing_pge_flush_everything)
{
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE));
	cr_assert_eq(mmu_calls.flush_all, 0);
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~PVM_CR4_PCIDE));
	cr_assert_eq(mmu_calls.flush_all, 1);
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PGE));
	cr_assert_eq(mmu_calls.flush_all, 2);
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~PVM_CR4_PGE));
	cr_assert_eq(mmu_calls.flush_all, 3);
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_DE));
	cr_assert_eq(mmu_calls.flush_all, 3);
}

/* spec: C-151, C-152 */
Test(cr, pks_needs_pke)
{
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PKS));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~PVM_CR4_PKE));
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~(PVM_CR4_PKE | PVM_CR4_PKS)));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PKS));
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PKE));
}

Test(cr, changing_protection_keys_makes_new_roots)
{
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PKS));
	cr_assert_eq(mmu_calls.new_cr3, 1);
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_DE));
	cr_assert_eq(mmu_calls.new_cr3, 1);
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~(PVM_CR4_PKS | PVM_CR4_PKE)));
	cr_assert_eq(mmu_calls.new_cr3, 2);
}

Test(cr, la57_does_not_change_by_a_write, .init = setup_la57)
{
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_LA57));
	vcpu->cr4 |= PVM_CR4_LA57;	/* as PVM_HC_LOAD_PGTBL does */
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_DE));
	gp(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~PVM_CR4_LA57));
}

/* spec: C-029 */
Test(cr, efer_has_one_value)
{
	uint64_t efer;

	ok(pvm_msr_read(vcpu, PVM_MSR_EFER, &efer));
	cr_assert_eq(efer, 0xd01);
	ok(pvm_msr_write(vcpu, PVM_MSR_EFER, 0xd01));
	gp(pvm_msr_write(vcpu, PVM_MSR_EFER, 0xd00));
	gp(pvm_msr_write(vcpu, PVM_MSR_EFER, 0xc01));
	gp(pvm_msr_write(vcpu, PVM_MSR_EFER, 0x1d01));
	gp(pvm_msr_write(vcpu, PVM_MSR_EFER, 0xd01 | 1ull << 14));
	/* LMA is read-only, NXE is the host's. */
	ok(pvm_msr_write(vcpu, PVM_MSR_EFER, 0x101));
	cr_assert_eq(vcpu->efer, 0xd01);
}

/* spec: C-029 */
Test(cr, efer_nxe_can_not_be_set_without_the_hosts, .init = setup_poor_host)
{
	cr_assert_eq(vcpu->efer, 0x501);
	gp(pvm_msr_write(vcpu, PVM_MSR_EFER, 0xd01));
	ok(pvm_msr_write(vcpu, PVM_MSR_EFER, 0x501));
}

/* spec: C-002, C-031, C-065 */
Test(cr, S2_rflags_entering_the_guest_are_harmless)
{
	cr_assert_eq(pvm_rflags_sanitize(0), 0x202);
	cr_assert_eq(pvm_rflags_sanitize(~0ull) & (PVM_RFLAGS_IOPL | PVM_RFLAGS_VM | PVM_RFLAGS_VIF |
						   PVM_RFLAGS_VIP), 0);
	cr_assert_eq(pvm_rflags_sanitize(~0ull), 0x254fd7);
	cr_assert_eq(pvm_rflags_sanitize(PVM_RFLAGS_ZF | PVM_RFLAGS_TF | PVM_RFLAGS_AC), 0x40342);
	cr_assert_eq(pvm_rflags_sanitize(pvm_rflags_sanitize(~0ull)), 0x254fd7);
}

/* spec: C-034 */
Test(cr, if_is_0_in_supervisor_mode_without_a_pvcs)
{
	vcpu->rflags = 0x246;
	cr_assert_eq(pvm_vcpu_rflags(vcpu), 0x046);
}

/* spec: C-030, C-032 */
Test(cr, if_is_the_pvcss_in_supervisor_mode)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	vcpu->rflags = 0x246;
	dual_pvcs(vcpu)->event_flags = ~PVM_EVENT_FLAGS_IF;
	cr_assert_eq(pvm_vcpu_rflags(vcpu), 0x046);
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IF;
	cr_assert_eq(pvm_vcpu_rflags(vcpu), 0x246);
}

/* spec: C-033 */
Test(cr, if_is_1_in_user_mode)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	vcpu->user_mode = true;
	vcpu->rflags = 0x246;
	cr_assert_eq(pvm_vcpu_rflags(vcpu), 0x246);
}
