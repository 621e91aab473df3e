/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pvm_switcher_mitigations(): CPUs that were sold, as they enumerate themselves
 * with current microcode, with the whole list each must get; then each rule by
 * itself. What a CPU enumerates is cut down to the bits that some rule reads.
 *
 * design: switcher/; invariant S10
 */
#include <criterion/criterion.h>
#include <pvm/switcher.h>
#include <string.h>

#define SPEC	PVM_CPUID_7_EDX_SPEC_CTRL
#define L1D	PVM_CPUID_7_EDX_L1D_FLUSH
#define MD	PVM_CPUID_7_EDX_MD_CLEAR
#define CAPS	PVM_CPUID_7_EDX_ARCH_CAPABILITIES
#define CAP(x)	PVM_ARCH_CAP_ ## x
#define MMIO_NO	(CAP(SBDR_SSDP_NO) | CAP(FBSDP_NO) | CAP(PSDP_NO))
#define OLD_NO	(CAP(RDCL_NO) | CAP(SKIP_L1DFL_VMENTRY) | CAP(MDS_NO))

#define INTEL	.vendor_ebx = PVM_CPUID_0_EBX_INTEL
#define AMD	.vendor_ebx = PVM_CPUID_0_EBX_AMD
#define SMEP	PVM_CPUID_7_EBX_SMEP

/* The list, in the order of the bits, one blank between names. */
static const char *list(struct pvm_switcher_cpu_id id)
{
	static char text[128];
	uint32_t mitigations = pvm_switcher_mitigations(&id);

	text[0] = '\0';
	for (unsigned bit = 0; bit < 32; bit++) {
		if (!(mitigations >> bit & 1))
			continue;
		const char *name = pvm_switcher_mitigation_name(1u << bit);

		cr_assert_not_null(name, "bit %u has no name", bit);
		if (text[0])
			strcat(text, " ");
		strcat(text, name);
	}
	return text;
}

static void gets(const char *cpu, struct pvm_switcher_cpu_id id, const char *expected)
{
	cr_expect_str_eq(list(id), expected, "%s: \"%s\" instead of \"%s\"", cpu, list(id), expected);
}

static bool has(struct pvm_switcher_cpu_id id, uint32_t mitigation)
{
	return (pvm_switcher_mitigations(&id) & mitigation) != 0;
}

struct model {
	const char *name;
	struct pvm_switcher_cpu_id id;
	const char *expected;
};

static const struct model intel_models[] = {
	{ "Westmere, microcode of 2010", { INTEL, .signature = 0x206c2 }, "rsb_fill lfence" },
	{ "Haswell", { INTEL, .signature = 0x306c3, .leaf7_edx = SPEC | L1D | MD,
		       .leaf7_ebx = SMEP | PVM_CPUID_7_EBX_RTM },
	  "verw ibrs ibpb l1d_flush lfence" },
	{ "Skylake-X", { INTEL, .signature = 0x50654, .leaf7_edx = SPEC | L1D | MD | CAPS,
			 .leaf7_ebx = SMEP | PVM_CPUID_7_EBX_RTM },
	  "verw ibrs ibpb l1d_flush lfence" },
	{ "Cascade Lake, TSX on", { INTEL, .signature = 0x50657, .leaf7_edx = SPEC | L1D | MD | CAPS,
				    .leaf7_ebx = SMEP | PVM_CPUID_7_EBX_RTM,
				    .arch_capabilities = OLD_NO | CAP(IBRS_ALL) | CAP(FB_CLEAR),
				    .spec_ctrl = PVM_SPEC_CTRL_IBRS },
	  "verw bhb_clear ibpb lfence" },
	{ "Ice Lake-SP", { INTEL, .signature = 0x606a6, .leaf7_ebx = SMEP, .leaf7_edx = SPEC | L1D | MD | CAPS,
			   .arch_capabilities = OLD_NO | CAP(IBRS_ALL) | CAP(TAA_NO) | CAP(FB_CLEAR),
			   .spec_ctrl = PVM_SPEC_CTRL_IBRS },
	  "verw bhb_clear ibpb lfence" },
	{ "Sapphire Rapids", { INTEL, .signature = 0x806f8, .leaf7_edx = SPEC | L1D | MD | CAPS,
			       .leaf7_ebx = SMEP | PVM_CPUID_7_EBX_RTM,
			       .leaf7_2_edx = PVM_CPUID_7_2_EDX_BHI_CTRL,
			       .arch_capabilities = OLD_NO | CAP(IBRS_ALL) | CAP(TAA_NO) | MMIO_NO |
						    CAP(FB_CLEAR) | CAP(RFDS_NO),
			       .spec_ctrl = PVM_SPEC_CTRL_IBRS | PVM_SPEC_CTRL_BHI_DIS_S },
	  "ibpb" },
	{ "Alder Lake-N", { INTEL, .signature = 0xb06e0, .leaf7_ebx = SMEP, .leaf7_edx = SPEC | L1D | MD | CAPS,
			    .leaf7_2_edx = PVM_CPUID_7_2_EDX_BHI_CTRL,
			    .arch_capabilities = OLD_NO | CAP(IBRS_ALL) | CAP(TAA_NO) | MMIO_NO |
						 CAP(RFDS_CLEAR),
			    .spec_ctrl = PVM_SPEC_CTRL_IBRS | PVM_SPEC_CTRL_BHI_DIS_S },
	  "verw ibpb" },
	/* Not sold, but what the tests run on. IA32_ARCH_CAPABILITIES is 0x1f there. */
	{ "Bochs corei7_skylake_x", { INTEL, .signature = 0x50654, .leaf7_ebx = SMEP }, "" },
	{ "Bochs corei7_icelake_u", { INTEL, .signature = 0x706e5, .leaf7_ebx = SMEP, .leaf7_edx = SPEC | L1D | CAPS,
				      .arch_capabilities = 0x1f },
	  "bhb_clear ibrs ibpb lfence" },
};

static const struct model amd_models[] = {
	{ "Zen 1", { AMD, .signature = 0x800f12, .leaf7_ebx = SMEP, .ext8_ebx = PVM_CPUID_88_EBX_IBPB },
	  "ibpb exit_ibpb" },
	{ "Zen 2", { AMD, .signature = 0x830f10, .leaf7_ebx = SMEP,
		     .ext8_ebx = PVM_CPUID_88_EBX_IBPB | PVM_CPUID_88_EBX_IBRS },
	  "ibrs ibpb lfence exit_ibpb" },
	{ "Zen 3", { AMD, .signature = 0xa00f11, .leaf7_ebx = SMEP,
		     .ext8_ebx = PVM_CPUID_88_EBX_IBPB | PVM_CPUID_88_EBX_IBRS },
	  "verw ibrs ibpb lfence" },
	{ "Zen 3, microcode of 2023", { AMD, .signature = 0xa00f11, .leaf7_ebx = SMEP,
					.ext8_ebx = PVM_CPUID_88_EBX_IBPB | PVM_CPUID_88_EBX_IBRS,
					.ext21_eax = PVM_CPUID_21_EAX_IBPB_BRTYPE },
	  "verw ibrs ibpb lfence exit_ibpb" },
	{ "Zen 4", { AMD, .signature = 0xa10f11, .leaf7_ebx = SMEP,
		     .ext8_ebx = PVM_CPUID_88_EBX_IBPB | PVM_CPUID_88_EBX_IBRS,
		     .ext21_eax = PVM_CPUID_21_EAX_AUTO_IBRS, .efer = PVM_EFER_AIBRSE },
	  "verw ibpb" },
	{ "Zen 5", { AMD, .signature = 0xb00f21, .leaf7_ebx = SMEP,
		     .ext8_ebx = PVM_CPUID_88_EBX_IBPB | PVM_CPUID_88_EBX_IBRS,
		     .ext21_eax = PVM_CPUID_21_EAX_AUTO_IBRS, .efer = PVM_EFER_AIBRSE },
	  "ibpb" },
	{ "Hygon Dhyana", { .vendor_ebx = PVM_CPUID_0_EBX_HYGON, .signature = 0x900f02, .leaf7_ebx = SMEP,
			    .ext8_ebx = PVM_CPUID_88_EBX_IBPB },
	  "ibpb exit_ibpb" },
	{ "QEMU max, TCG", { AMD, .signature = 0x60fb1, .leaf7_ebx = SMEP, .leaf1_ecx = PVM_CPUID_1_ECX_HYPERVISOR },
	  "" },
	{ "QEMU max, another vendor", { .vendor_ebx = 0x54474354, .signature = 0x60fb1, .leaf7_ebx = SMEP,
					.leaf1_ecx = PVM_CPUID_1_ECX_HYPERVISOR },
	  "" },
};

Test(mitigate, S10_Intels_models_get_what_they_need)
{
	for (size_t i = 0; i < sizeof(intel_models) / sizeof(*intel_models); i++)
		gets(intel_models[i].name, intel_models[i].id, intel_models[i].expected);
}

Test(mitigate, S10_AMDs_and_other_models_get_what_they_need)
{
	for (size_t i = 0; i < sizeof(amd_models) / sizeof(*amd_models); i++)
		gets(amd_models[i].name, amd_models[i].id, amd_models[i].expected);
}

/* ------------------------------------------------------------------------
 * VERW, reason by reason: an Intel CPU that has nothing but the one threat.
 */

#define ALL_NO	(OLD_NO | CAP(TAA_NO) | MMIO_NO | CAP(RFDS_NO))

Test(mitigate, S10_without_a_threat_there_is_no_verw)
{
	cr_assert_not(has((struct pvm_switcher_cpu_id){ INTEL, .leaf7_edx = MD,
			.leaf7_ebx = PVM_CPUID_7_EBX_RTM,
			.arch_capabilities = ALL_NO | CAP(FB_CLEAR) | CAP(RFDS_CLEAR) },
		      PVM_MITIGATE_VERW));
}

Test(mitigate, S10_mds_needs_verw_and_md_clear)
{
	struct pvm_switcher_cpu_id id = { INTEL, .leaf7_edx = MD,
					  .arch_capabilities = ALL_NO & ~CAP(MDS_NO) };

	cr_assert(has(id, PVM_MITIGATE_VERW));
	id.leaf7_edx = 0;
	cr_assert_not(has(id, PVM_MITIGATE_VERW), "VERW clears nothing here");
}

Test(mitigate, S10_taa_needs_verw_only_with_transactions_and_md_clear)
{
	struct pvm_switcher_cpu_id id = { INTEL, .leaf7_edx = MD, .leaf7_ebx = PVM_CPUID_7_EBX_RTM,
					  .arch_capabilities = ALL_NO & ~CAP(TAA_NO) };

	cr_assert(has(id, PVM_MITIGATE_VERW));
	id.leaf7_edx = 0;
	cr_assert_not(has(id, PVM_MITIGATE_VERW), "VERW clears nothing here");
	id.leaf7_edx = MD;
	id.leaf7_ebx = 0;
	cr_assert_not(has(id, PVM_MITIGATE_VERW), "TSX is off");
}

Test(mitigate, S10_mmio_stale_data_needs_verw_unless_all_three_bits_say_no)
{
	static const uint64_t no[] = { CAP(SBDR_SSDP_NO), CAP(FBSDP_NO), CAP(PSDP_NO) };

	for (int i = 0; i < 3; i++) {
		struct pvm_switcher_cpu_id id = {
			INTEL, .arch_capabilities = (ALL_NO | CAP(FB_CLEAR)) & ~no[i],
		};

		cr_assert(has(id, PVM_MITIGATE_VERW), "bit %d", i);
		id.arch_capabilities &= ~CAP(FB_CLEAR);
		cr_assert_not(has(id, PVM_MITIGATE_VERW), "VERW clears nothing here");
	}
}

Test(mitigate, S10_rfds_needs_verw_and_rfds_clear)
{
	struct pvm_switcher_cpu_id id = {
		INTEL, .arch_capabilities = (ALL_NO | CAP(RFDS_CLEAR)) & ~CAP(RFDS_NO),
	};

	cr_assert(has(id, PVM_MITIGATE_VERW));
	id.arch_capabilities &= ~CAP(RFDS_CLEAR);
	cr_assert_not(has(id, PVM_MITIGATE_VERW), "VERW clears nothing here");
}

Test(mitigate, S10_tsa_needs_verw_unless_both_bits_say_no)
{
	struct pvm_switcher_cpu_id id = { AMD, .signature = 0xa00f11 };

	cr_assert(has(id, PVM_MITIGATE_VERW));
	id.ext21_ecx = PVM_CPUID_21_ECX_TSA_SQ_NO;
	cr_assert(has(id, PVM_MITIGATE_VERW));
	id.ext21_ecx = PVM_CPUID_21_ECX_TSA_L1_NO;
	cr_assert(has(id, PVM_MITIGATE_VERW));
	id.ext21_ecx |= PVM_CPUID_21_ECX_TSA_SQ_NO;
	cr_assert_not(has(id, PVM_MITIGATE_VERW));
}

Test(mitigate, S10_Intels_buffers_are_not_AMDs_and_the_other_way_round)
{
	cr_assert_not(has((struct pvm_switcher_cpu_id){ AMD, .signature = 0x800f12, .leaf7_edx = MD | L1D },
			  PVM_MITIGATE_VERW | PVM_MITIGATE_L1D_FLUSH));
	cr_assert_not(has((struct pvm_switcher_cpu_id){ .vendor_ebx = PVM_CPUID_0_EBX_HYGON,
							.signature = 0x900f02, .leaf7_edx = MD | L1D },
			  PVM_MITIGATE_VERW | PVM_MITIGATE_L1D_FLUSH));
	cr_assert_not(has((struct pvm_switcher_cpu_id){ INTEL, .signature = 0xa00f11 }, PVM_MITIGATE_VERW));
}

/* ------------------------------------------------------------------------
 * Predictors.
 */

Test(mitigate, S10_ibrs_that_is_offered_but_off_is_toggled)
{
	struct pvm_switcher_cpu_id intel = { INTEL, .leaf7_edx = SPEC, .arch_capabilities = CAP(IBRS_ALL) };
	struct pvm_switcher_cpu_id automatic = { AMD, .ext8_ebx = PVM_CPUID_88_EBX_IBRS,
						 .ext21_eax = PVM_CPUID_21_EAX_AUTO_IBRS };
	struct pvm_switcher_cpu_id always = {
		AMD, .ext8_ebx = PVM_CPUID_88_EBX_IBRS | PVM_CPUID_88_EBX_IBRS_ALWAYS_ON,
	};

	cr_assert(has(intel, PVM_MITIGATE_IBRS));
	cr_assert(has(automatic, PVM_MITIGATE_IBRS));
	cr_assert(has(always, PVM_MITIGATE_IBRS));
	intel.spec_ctrl = always.spec_ctrl = PVM_SPEC_CTRL_IBRS;
	automatic.efer = PVM_EFER_AIBRSE;
	cr_assert_not(has(intel, PVM_MITIGATE_IBRS));
	cr_assert_not(has(automatic, PVM_MITIGATE_IBRS));
	cr_assert_not(has(always, PVM_MITIGATE_IBRS));
}

Test(mitigate, S10_plain_ibrs_protects_nobody_by_being_left_on)
{
	cr_assert(has((struct pvm_switcher_cpu_id){ INTEL, .leaf7_edx = SPEC,
						    .spec_ctrl = PVM_SPEC_CTRL_IBRS },
		      PVM_MITIGATE_IBRS));
	cr_assert(has((struct pvm_switcher_cpu_id){ AMD, .ext8_ebx = PVM_CPUID_88_EBX_IBRS,
						    .efer = PVM_EFER_AIBRSE },
		      PVM_MITIGATE_IBRS));
}

Test(mitigate, S10_what_a_cpu_cannot_do_is_not_listed)
{
	cr_assert_not(has((struct pvm_switcher_cpu_id){ INTEL },
			  PVM_MITIGATE_VERW | PVM_MITIGATE_IBRS | PVM_MITIGATE_IBPB |
			  PVM_MITIGATE_L1D_FLUSH));
	cr_assert_not(has((struct pvm_switcher_cpu_id){ AMD }, PVM_MITIGATE_IBRS | PVM_MITIGATE_IBPB));
}

Test(mitigate, S10_branch_history_is_cleared_where_nothing_else_does)
{
	struct pvm_switcher_cpu_id id = { INTEL, .arch_capabilities = CAP(IBRS_ALL) };

	cr_assert(has(id, PVM_MITIGATE_BHB_CLEAR));
	id.leaf7_2_edx = PVM_CPUID_7_2_EDX_BHI_CTRL;
	cr_assert(has(id, PVM_MITIGATE_BHB_CLEAR), "offered is not turned on");
	id.spec_ctrl = PVM_SPEC_CTRL_BHI_DIS_S;
	cr_assert_not(has(id, PVM_MITIGATE_BHB_CLEAR));
	id.leaf7_2_edx = 0;
	cr_assert(has(id, PVM_MITIGATE_BHB_CLEAR), "a bit that this CPU does not know");
	id.arch_capabilities |= CAP(BHI_NO);
	cr_assert_not(has(id, PVM_MITIGATE_BHB_CLEAR));
}

Test(mitigate, S10_branch_history_under_a_hypervisor_that_hides_enhanced_ibrs)
{
	cr_assert(has((struct pvm_switcher_cpu_id){ INTEL, .leaf1_ecx = PVM_CPUID_1_ECX_HYPERVISOR },
		      PVM_MITIGATE_BHB_CLEAR));
	cr_assert_not(has((struct pvm_switcher_cpu_id){ INTEL }, PVM_MITIGATE_BHB_CLEAR));
	cr_assert_not(has((struct pvm_switcher_cpu_id){ AMD, .leaf1_ecx = PVM_CPUID_1_ECX_HYPERVISOR },
			  PVM_MITIGATE_BHB_CLEAR));
}

Test(mitigate, S10_a_barrier_wherever_there_is_one)
{
	cr_assert(has((struct pvm_switcher_cpu_id){ INTEL, .leaf7_edx = SPEC }, PVM_MITIGATE_IBPB));
	cr_assert(has((struct pvm_switcher_cpu_id){ AMD, .ext8_ebx = PVM_CPUID_88_EBX_IBPB },
		      PVM_MITIGATE_IBPB));
	cr_assert(has((struct pvm_switcher_cpu_id){ AMD, .leaf7_edx = SPEC }, PVM_MITIGATE_IBRS),
		  "a hypervisor may say it Intel's way");
}

Test(mitigate, S10_returns_of_AMDs_that_branches_train)
{
	struct pvm_switcher_cpu_id id = { AMD, .signature = 0x830f10, .ext8_ebx = PVM_CPUID_88_EBX_IBPB };

	cr_assert(has(id, PVM_MITIGATE_EXIT_IBPB));
	id.ext8_ebx |= PVM_CPUID_88_EBX_BTC_NO;
	cr_assert(has(id, PVM_MITIGATE_EXIT_IBPB), "SRSO is another matter");
	id.ext21_eax = PVM_CPUID_21_EAX_SRSO_NO;
	cr_assert_not(has(id, PVM_MITIGATE_EXIT_IBPB));
	id.ext8_ebx = PVM_CPUID_88_EBX_IBPB;
	cr_assert(has(id, PVM_MITIGATE_EXIT_IBPB), "and the other way round");
	id = (struct pvm_switcher_cpu_id){ AMD, .signature = 0xa10f11, .ext8_ebx = PVM_CPUID_88_EBX_IBPB };
	cr_assert_not(has(id, PVM_MITIGATE_EXIT_IBPB), "a barrier that does nothing for returns");
	id.ext21_eax = PVM_CPUID_21_EAX_IBPB_BRTYPE;
	cr_assert(has(id, PVM_MITIGATE_EXIT_IBPB));
	id.ext21_eax |= PVM_CPUID_21_EAX_SRSO_USER_KERNEL_NO;
	cr_assert_not(has(id, PVM_MITIGATE_EXIT_IBPB));
	id.signature = 0xb00f21;
	id.ext21_eax = PVM_CPUID_21_EAX_IBPB_BRTYPE;
	cr_assert_not(has(id, PVM_MITIGATE_EXIT_IBPB), "Zen 5");
	cr_assert_not(has((struct pvm_switcher_cpu_id){ INTEL, .signature = 0x806f8, .leaf7_edx = SPEC },
			  PVM_MITIGATE_EXIT_IBPB));
}

Test(mitigate, S10_l1d_is_flushed_unless_there_is_nothing_to_leak)
{
	struct pvm_switcher_cpu_id id = { INTEL, .leaf7_edx = L1D };

	cr_assert(has(id, PVM_MITIGATE_L1D_FLUSH));
	id.arch_capabilities = CAP(RDCL_NO);
	cr_assert_not(has(id, PVM_MITIGATE_L1D_FLUSH));
	id.arch_capabilities = CAP(SKIP_L1DFL_VMENTRY);
	cr_assert_not(has(id, PVM_MITIGATE_L1D_FLUSH));
}

Test(mitigate, the_family_is_two_fields)
{
	cr_assert_eq(PVM_CPUID_1_EAX_FAMILY(0x806f8u), 6);
	cr_assert_eq(PVM_CPUID_1_EAX_FAMILY(0x800f12u), 0x17);
	cr_assert_eq(PVM_CPUID_1_EAX_FAMILY(0xa00f11u), 0x19);
	cr_assert_eq(PVM_CPUID_1_EAX_FAMILY(0xa00611u), 6, "the extension counts with 15 only");
}

Test(mitigate, S10_a_name_is_of_one_mitigation)
{
	cr_assert_null(pvm_switcher_mitigation_name(0));
	cr_assert_null(pvm_switcher_mitigation_name(PVM_MITIGATE_VERW | PVM_MITIGATE_IBRS));
	cr_assert_null(pvm_switcher_mitigation_name(PVM_MITIGATE_EXIT_IBPB << 1));
	for (uint32_t a = PVM_MITIGATE_VERW; a <= PVM_MITIGATE_EXIT_IBPB; a <<= 1)
		for (uint32_t b = a << 1; b <= PVM_MITIGATE_EXIT_IBPB; b <<= 1)
			cr_assert_str_neq(pvm_switcher_mitigation_name(a), pvm_switcher_mitigation_name(b));
}
