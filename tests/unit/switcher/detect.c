/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_switcher_identify() and _judge(): what is read off a CPU, with registers made up here. */
#include <criterion/criterion.h>
#include <string.h>

#include "abi/switches.h"
#include "host.h"
#include "switcher/hw.h"

#define GOOD_CR4	(PVM_CR4_PAE | PVM_CR4_FSGSBASE)
#define GOOD_EFER	(PVM_EFER_SCE | PVM_EFER_LME | PVM_EFER_LMA | PVM_EFER_NXE)
#define S_CET_SH_STK_EN	1
#define S_CET_ENDBR_EN	4

/* The CPU: leaves by number and subleaf, the rest zero; MSRs that may be read. */
static struct { uint32_t number, subleaf, out[4]; } leaves[8];
static struct { uint32_t index; uint64_t value; } msrs[8];
static unsigned leaf_count, msr_count;
static struct switcher_source source;

static void cpuid(uint32_t number, uint32_t subleaf, uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(*out));
	for (unsigned i = 0; i < leaf_count; i++)
		if (leaves[i].number == number && leaves[i].subleaf == subleaf)
			memcpy(out, leaves[i].out, sizeof(leaves[i].out));
}

static uint64_t rdmsr(uint32_t index)
{
	for (unsigned i = 0; i < msr_count; i++)
		if (msrs[i].index == index)
			return msrs[i].value;
	cr_assert_fail("MSR %#x is not there: #GP", index);
	return 0;
}

static void has_leaf(uint32_t number, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
		     uint32_t edx)
{
	leaves[leaf_count].number = number;
	leaves[leaf_count].subleaf = subleaf;
	memcpy(leaves[leaf_count++].out, (uint32_t[4]){ eax, ebx, ecx, edx }, 16);
}

static void has_msr(uint32_t index, uint64_t value)
{
	msrs[msr_count].index = index;
	msrs[msr_count++].value = value;
}

static void start(void)
{
	leaf_count = msr_count = 0;
	source = (struct switcher_source){ cpuid, rdmsr, GOOD_CR4 };
	has_leaf(0, 0, 0x20, PVM_CPUID_0_EBX_INTEL, 0, 0);
	has_msr(MSR_EFER, GOOD_EFER);
}

TestSuite(switcher_detect, .init = start);

static struct pvm_switcher_cpu_id identify(void)
{
	struct pvm_switcher_cpu_id id;

	pvm_switcher_identify(&source, &id);
	return id;
}

static struct pvm_switcher_features judge(void)
{
	struct pvm_switcher_cpu_id id = identify();
	struct pvm_switcher_features features;

	pvm_switcher_judge(&id, &features);
	return features;
}

static void refused(const char *names)
{
	struct pvm_switcher_features features = judge();
	const char *why = pvm_switcher_missing_feature(&features);

	cr_assert_not_null(why, "%s is let through", names);
	cr_expect_not_null(strstr(why, names), "\"%s\" does not name %s", why, names);
	cr_expect_null(strchr(why, '\n'), "one line");
}

Test(switcher_detect, a_good_cpu_is_good)
{
	struct pvm_switcher_features features = judge();

	cr_assert_null(pvm_switcher_missing_feature(&features));
	cr_assert(features.fsgsbase && features.syscall && features.nx);
	cr_assert_not(features.la57 || features.pke || features.pcid || features.smap || features.cet);
}

Test(switcher_detect, leaf_1_says_who_made_the_cpu_and_what_runs_it)
{
	struct pvm_switcher_cpu_id id;

	has_leaf(1, 0, 0x11111, 0x22222, 0x33333, 0x44444);
	id = identify();
	cr_assert_eq(id.signature, 0x11111);
	cr_assert_eq(id.leaf1_ecx, 0x33333);
}

/* SEV_STATUS is there where CPUID says SEV; the test's CPU has no other. */
Test(switcher_detect, S9_SEV_is_refused)
{
	cr_assert_not(judge().sev_es || judge().sev);
	has_leaf(0x80000000, 0, 0x80000021, 0, 0, 0);
	has_leaf(0x8000001f, 0, 1 << 1, 0, 0, 0);
	has_msr(0xc0010131, 1);		/* SEV alone: memory, not registers */
	refused("SEV guest");
	msrs[msr_count - 1].value = 3;
	refused("SEV-ES");
}

Test(switcher_detect, S9_FRED_is_refused_with_its_cure)
{
	source.cr4 |= PVM_CR4_FRED;
	refused("CR4.FRED");
	refused("fred=off");
}

Test(switcher_detect, S9_a_supervisor_shadow_stack_is_refused)
{
	source.cr4 |= PVM_CR4_CET;
	has_msr(MSR_S_CET, S_CET_SH_STK_EN);
	refused("IA32_S_CET.SH_STK_EN");
}

Test(switcher_detect, S9_supervisor_IBT_is_not)
{
	struct pvm_switcher_features features;

	source.cr4 |= PVM_CR4_CET;
	has_msr(MSR_S_CET, S_CET_ENDBR_EN);
	features = judge();
	cr_assert_null(pvm_switcher_missing_feature(&features));
	cr_assert(features.cet);
}

Test(switcher_detect, S9_without_CR4_CET_its_MSR_is_not_read)
{
	cr_assert_eq(identify().s_cet, 0);
}

Test(switcher_detect, S9_upper_address_ignore_is_refused)
{
	msrs[0].value |= PVM_EFER_UAIE;
	refused("EFER.UAIE");
}

Test(switcher_detect, S9_what_is_not_turned_on_is_refused)
{
	source.cr4 &= ~PVM_CR4_FSGSBASE;
	refused("CR4.FSGSBASE");
	source.cr4 |= PVM_CR4_FSGSBASE;
	msrs[0].value = GOOD_EFER & ~PVM_EFER_NXE;
	refused("EFER.NXE");
	msrs[0].value = GOOD_EFER & ~PVM_EFER_SCE;
	refused("EFER.SCE");
}

Test(switcher_detect, each_bit_of_CR4_is_its_own_feature)
{
#define ONE(bit, field) do { \
		source.cr4 = GOOD_CR4 | (bit); \
		cr_expect(judge().field, #field); \
		source.cr4 = GOOD_CR4; \
		cr_expect_not(judge().field, #field); \
	} while (0)
	ONE(PVM_CR4_LA57, la57);
	ONE(PVM_CR4_PKE, pke);
	ONE(PVM_CR4_PCIDE, pcid);
	ONE(PVM_CR4_SMAP, smap);
}

Test(switcher_detect, leaf_7_2_is_there_from_two_subleaves_on)
{
	has_leaf(7, 0, 1, 0, 0, 0);
	has_leaf(7, 2, 0, 0, 0, PVM_CPUID_7_2_EDX_BHI_CTRL);
	cr_assert_eq(identify().leaf7_2_edx, 0, "the CPU says that there are two");
	leaves[1].out[0] = 2;
	cr_assert_eq(identify().leaf7_2_edx, PVM_CPUID_7_2_EDX_BHI_CTRL);
	leaves[1].out[0] = 3;
	cr_assert_eq(identify().leaf7_2_edx, PVM_CPUID_7_2_EDX_BHI_CTRL);
}

Test(switcher_detect, leaves_above_the_highest_are_not_asked_for)
{
	has_leaf(7, 0, 2, PVM_CPUID_7_EBX_RTM, 0, 0);
	leaves[0].out[0] = 6;
	cr_assert_eq(identify().leaf7_ebx, 0);
	leaves[0].out[0] = 7;
	cr_assert_eq(identify().leaf7_ebx, PVM_CPUID_7_EBX_RTM);
	has_leaf(0x80000008, 0, 0, PVM_CPUID_88_EBX_IBPB, 0, 0);
	cr_assert_eq(identify().ext8_ebx, 0);
	has_leaf(0x80000000, 0, 0x80000008, 0, 0, 0);
	cr_assert_eq(identify().ext8_ebx, PVM_CPUID_88_EBX_IBPB);
}

Test(switcher_detect, S9_Intels_CPU_has_Meltdown_unless_it_says_no)
{
	cr_assert(judge().meltdown, "silence counts as affected");
	has_leaf(7, 0, 0, 0, 0, PVM_CPUID_7_EDX_ARCH_CAPABILITIES);
	has_msr(MSR_ARCH_CAPABILITIES, PVM_ARCH_CAP_MDS_NO);
	cr_assert(judge().meltdown);
	msrs[1].value |= PVM_ARCH_CAP_RDCL_NO;
	cr_assert_not(judge().meltdown);
}

Test(switcher_detect, S9_AMDs_CPU_has_no_Meltdown)
{
	leaves[0].out[1] = PVM_CPUID_0_EBX_AMD;
	cr_assert_not(judge().meltdown);
	leaves[0].out[1] = PVM_CPUID_0_EBX_HYGON;
	cr_assert_not(judge().meltdown);
}

Test(switcher_detect, S10_SMEP_that_is_off_is_none)
{
	has_leaf(7, 0, 0, PVM_CPUID_7_EBX_SMEP, 0, 0);
	cr_assert_eq(judge().mitigations & PVM_MITIGATE_RSB_FILL, PVM_MITIGATE_RSB_FILL);
	source.cr4 |= PVM_CR4_SMEP;
	cr_assert_eq(judge().mitigations & PVM_MITIGATE_RSB_FILL, 0);
}

Test(switcher_detect, S10_MSRs_are_read_where_CPUID_has_them)
{
	has_leaf(7, 0, 0, 0, 0, PVM_CPUID_7_EDX_ARCH_CAPABILITIES | PVM_CPUID_7_EDX_SPEC_CTRL);
	has_msr(MSR_ARCH_CAPABILITIES, PVM_ARCH_CAP_RDCL_NO);
	has_msr(MSR_SPEC_CTRL, PVM_SPEC_CTRL_IBRS);
	cr_assert_eq(identify().arch_capabilities, PVM_ARCH_CAP_RDCL_NO);
	cr_assert_eq(identify().spec_ctrl, PVM_SPEC_CTRL_IBRS);
}

/* With supervisor IBT a CPU raises #CP where an event or a SYSCALL finds no ENDBR64. */
Test(switcher_detect, S9_what_the_CPU_enters_begins_with_ENDBR64)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	const char *const places[] = { pvm_switcher_nmi, pvm_switcher_db, pvm_switcher_mc, pvm_switcher_df,
				       pvm_switcher_syscall_dual_cr3,
				       pvm_switcher_syscall_single_cr3, pvm_switcher_syscall32,
				       pvm_switcher_syscall_out };

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		cr_expect_arr_eq(places[i], endbr64, sizeof(endbr64), "place %u", i);
	for (unsigned vector = 0; vector < 256; vector++)
		cr_expect_arr_eq(pvm_switcher_stubs + vector * SWITCHER_STUB_SIZE, endbr64, sizeof(endbr64),
				 "vector %u", vector);
}
