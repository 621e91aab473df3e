/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which mitigations a CPU needs at its world switches, and what they are called.
 *
 * Owns the decisions, not the deeds: those are the world switch's. A pure function
 * of what CPUID and four MSRs say, so that a table of CPUs can test it. Where a CPU
 * says nothing it counts as affected, where it cannot do the remedy that is not
 * listed: a list is what is done, not what would be nice. docs/mitigations.md has
 * the threats in full and what is left to the host.
 *
 * The guest is code at CPL 3 of the same predictor domain as the host's own user
 * code: not a VMX guest. So what Intel and AMD write about user to supervisor is
 * what counts, and what they write about VM exits does not help.
 *
 * design: switcher/; invariant S10
 */
#include <pvm/x86.h>

#include "switcher/area.h"

#define MMIO_STALE_DATA_NO \
	(PVM_ARCH_CAP_SBDR_SSDP_NO | PVM_ARCH_CAP_FBSDP_NO | PVM_ARCH_CAP_PSDP_NO)
#define TSA_NO	(PVM_CPUID_21_ECX_TSA_SQ_NO | PVM_CPUID_21_ECX_TSA_L1_NO)

static bool is_intel(const struct pvm_switcher_cpu_id *id)
{
	return id->vendor_ebx == PVM_CPUID_0_EBX_INTEL;
}

/* AMD's designs, Hygon's among them. */
static bool is_amd(const struct pvm_switcher_cpu_id *id)
{
	return id->vendor_ebx == PVM_CPUID_0_EBX_AMD || id->vendor_ebx == PVM_CPUID_0_EBX_HYGON;
}

static bool has_cap(const struct pvm_switcher_cpu_id *id, uint64_t bit)
{
	return (id->arch_capabilities & bit) != 0;
}

/* Intel, and other vendors that have Intel's way to say that VERW clears buffers. */
static bool intel_needs_verw(const struct pvm_switcher_cpu_id *id)
{
	bool md_clear = (id->leaf7_edx & PVM_CPUID_7_EDX_MD_CLEAR) != 0;

	/* MDS. Intel, "Microarchitectural Data Sampling", Mitigation for processors
	 * that enumerate MD_CLEAR: VERW before a transition to less trusted code. */
	if (md_clear && !has_cap(id, PVM_ARCH_CAP_MDS_NO))
		return true;
	/* TAA. Intel, "Intel TSX Asynchronous Abort", Mitigations: TSX off (then RTM
	 * is not enumerated), or VERW as for MDS, also where MDS_NO is set. */
	if (md_clear && id->leaf7_ebx & PVM_CPUID_7_EBX_RTM && !has_cap(id, PVM_ARCH_CAP_TAA_NO))
		return true;
	/* Intel, "Processor MMIO Stale Data Vulnerabilities", Enumeration: immune are
	 * those with all three NO bits. A guest needs a device mapped to use it: a
	 * host may pass one through, and this library cannot see that. */
	if (has_cap(id, PVM_ARCH_CAP_FB_CLEAR) &&
	    (id->arch_capabilities & MMIO_STALE_DATA_NO) != MMIO_STALE_DATA_NO)
		return true;
	/* Intel, "Register File Data Sampling", Enumeration and mitigation. */
	return has_cap(id, PVM_ARCH_CAP_RFDS_CLEAR) && !has_cap(id, PVM_ARCH_CAP_RFDS_NO);
}

/* AMD, "Technical Guidance for Mitigating Transient Scheduler Attacks" (AMD-SB-7029):
 * family 19h is affected unless both NO bits are set; VERW with a memory operand
 * clears. VERW_CLEAR is not asked for: the microcode that brings it need not set
 * it, and without that microcode VERW does no harm. */
static bool amd_needs_verw(const struct pvm_switcher_cpu_id *id)
{
	return PVM_CPUID_1_EAX_FAMILY(id->signature) == 0x19 && (id->ext21_ecx & TSA_NO) != TSA_NO;
}

/* Does the CPU by itself, all the time, keep what CPL 3 taught the indirect
 * predictors from CPL 0? What it offers and is not turned on does not count. */
static bool ibrs_always_on(const struct pvm_switcher_cpu_id *id)
{
	bool on = (id->spec_ctrl & PVM_SPEC_CTRL_IBRS) != 0;

	/* Intel, "Indirect Branch Restricted Speculation", Enhanced IBRS: set once. */
	if (on && has_cap(id, PVM_ARCH_CAP_IBRS_ALL))
		return true;
	/* AMD64 APM vol. 2, 3.2.9, IBRS always-on mode: set once. */
	if (on && id->ext8_ebx & PVM_CPUID_88_EBX_IBRS_ALWAYS_ON)
		return true;
	/* AMD64 APM vol. 2, 3.1.7, Automatic IBRS Enable. */
	return id->ext21_eax & PVM_CPUID_21_EAX_AUTO_IBRS && id->efer & PVM_EFER_AIBRSE;
}

/* Intel, "Indirect Branch Restricted Speculation"; AMD, "Software Techniques for
 * Managing Speculation on AMD Processors", Mitigation V2-4. A compiler's retpolines
 * would do on some CPUs: it is not known here how the host was compiled. */
static bool needs_ibrs(const struct pvm_switcher_cpu_id *id)
{
	bool can = id->leaf7_edx & PVM_CPUID_7_EDX_SPEC_CTRL || id->ext8_ebx & PVM_CPUID_88_EBX_IBRS;

	return can && !ibrs_always_on(id);
}

/* Intel, "Branch History Injection and Intra-mode Branch Target Injection": CPUs with
 * enhanced IBRS, whose history is shared by user and supervisor mode, unless BHI_NO;
 * BHI_DIS_S, where CPUID has BHI_CTRL, does it in hardware. Under a hypervisor the
 * enumeration may lie: affected. */
static bool needs_bhb_clear(const struct pvm_switcher_cpu_id *id)
{
	bool hidden = (id->leaf1_ecx & PVM_CPUID_1_ECX_HYPERVISOR) != 0;

	if (!is_intel(id) || has_cap(id, PVM_ARCH_CAP_BHI_NO))
		return false;
	if (id->leaf7_2_edx & PVM_CPUID_7_2_EDX_BHI_CTRL && id->spec_ctrl & PVM_SPEC_CTRL_BHI_DIS_S)
		return false;
	return hidden || has_cap(id, PVM_ARCH_CAP_IBRS_ALL);
}

/* Returns that go where the guest's branches have trained them, whatever the return stack holds. AMD,
 * "Technical Guidance for Mitigating Branch Type Confusion": families 15h and 17h (Hygon's 18h), unless BTC_NO;
 * "Technical Update Regarding Speculative Return Stack Overflow": family 19h, too, unless one of its bits
 * says no. How the host's returns are compiled is not known here. IBPB before the first of them is the
 * remedy on all of them; family 19h needs microcode for it, which says IBPB_BRTYPE. */
static bool needs_exit_ibpb(const struct pvm_switcher_cpu_id *id)
{
	unsigned family = PVM_CPUID_1_EAX_FAMILY(id->signature);
	bool srso_no = id->ext21_eax & (PVM_CPUID_21_EAX_SRSO_NO | PVM_CPUID_21_EAX_SRSO_USER_KERNEL_NO);

	if (!is_amd(id) || !(id->ext8_ebx & PVM_CPUID_88_EBX_IBPB))
		return false;
	if (family == 0x19)
		return id->ext21_eax & PVM_CPUID_21_EAX_IBPB_BRTYPE && !srso_no;
	return family >= 0x15 && family <= 0x18 && !(id->ext8_ebx & PVM_CPUID_88_EBX_BTC_NO && srso_no);
}

/* Intel, "L1 Terminal Fault", Enumeration: RDCL_NO means immune, and
 * SKIP_L1DFL_VMENTRY that there is nothing to flush or another does. */
static bool needs_l1d_flush(const struct pvm_switcher_cpu_id *id)
{
	return id->leaf7_edx & PVM_CPUID_7_EDX_L1D_FLUSH && !is_amd(id) &&
	       !has_cap(id, PVM_ARCH_CAP_RDCL_NO) && !has_cap(id, PVM_ARCH_CAP_SKIP_L1DFL_VMENTRY);
}

/* Intel, "Rogue Data Cache Load", Enumeration: RDCL_NO. AMD, "Speculation Behavior in
 * AMD Micro-Architectures": their CPUs check U before they load. */
bool pvm_switcher_has_meltdown(const struct pvm_switcher_cpu_id *id)
{
	return !is_amd(id) && !has_cap(id, PVM_ARCH_CAP_RDCL_NO);
}

uint32_t pvm_switcher_mitigations(const struct pvm_switcher_cpu_id *id)
{
	/*
	 * S10. RSB_FILL: Intel, "Retpoline: A Branch Target Injection Mitigation", RSB
	 * stuffing; AMD, "Software Techniques", V2-3. What a guest leaves on the return
	 * stack are addresses that it may execute at: in the lower half, where SMEP keeps
	 * CPL 0 from following, or in its own part of the upper half, where the host maps
	 * nothing (spec: Exclusive address ranges). Without SMEP the host's own user code
	 * is in reach.
	 */
	uint32_t needed = id->leaf7_ebx & PVM_CPUID_7_EBX_SMEP ? 0 : PVM_MITIGATE_RSB_FILL;

	if (is_amd(id) ? amd_needs_verw(id) : intel_needs_verw(id))
		needed |= PVM_MITIGATE_VERW;
	if (needs_ibrs(id))
		needed |= PVM_MITIGATE_IBRS;
	if (needs_bhb_clear(id))
		needed |= PVM_MITIGATE_BHB_CLEAR;
	/* Intel, "Indirect Branch Predictor Barrier"; AMD64 APM vol. 2, 3.2.9. */
	if (id->leaf7_edx & PVM_CPUID_7_EDX_SPEC_CTRL || id->ext8_ebx & PVM_CPUID_88_EBX_IBPB)
		needed |= PVM_MITIGATE_IBPB;
	if (needs_exit_ibpb(id))
		needed |= PVM_MITIGATE_EXIT_IBPB;
	if (needs_l1d_flush(id))
		needed |= PVM_MITIGATE_L1D_FLUSH;
	/* Intel, "Branch History Injection": the sequences end in LFENCE, so that nothing
	 * runs ahead of them. Before them MOV to CR3 has serialised. */
	if (needed & (PVM_MITIGATE_RSB_FILL | PVM_MITIGATE_BHB_CLEAR | PVM_MITIGATE_IBRS))
		needed |= PVM_MITIGATE_LFENCE;
	return needed;
}

const char *pvm_switcher_mitigation_name(uint32_t bit)
{
	switch (bit) {
	case PVM_MITIGATE_VERW:
		return "verw";
	case PVM_MITIGATE_RSB_FILL:
		return "rsb_fill";
	case PVM_MITIGATE_BHB_CLEAR:
		return "bhb_clear";
	case PVM_MITIGATE_IBRS:
		return "ibrs";
	case PVM_MITIGATE_IBPB:
		return "ibpb";
	case PVM_MITIGATE_L1D_FLUSH:
		return "l1d_flush";
	case PVM_MITIGATE_LFENCE:
		return "lfence";
	case PVM_MITIGATE_EXIT_IBPB:
		return "exit_ibpb";
	default:
		return NULL;
	}
}
