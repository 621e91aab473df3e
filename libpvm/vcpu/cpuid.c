/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * CPUID as the guest sees it: the host's values through one filter, and the
 * leaves of KVM and PVM.
 *
 * The filter lets through what it knows to work at CPL 3 without help: plain
 * instructions, and what the engine does. Everything else is hidden, what is
 * not invented yet included. So these are not there: VMX, SVM, SMX, MONITOR and
 * MWAITX, CET, FRED, UINTR, LASS, SMEP (but see pvm_cr4_of_abi()), SMAP, LAM, XSAVES, AMX (needs XFD), MPX,
 * RDT, SGX, PT, PMU and IBS, machine check, MTRR, thermal and power control, key
 * locker, ENQCMD, WAITPKG (their MSRs), the speculation-control MSRs, SYSENTER
 * (SEP), RDTSCP and RDPID (TSC_AUX is not switched), FFXSR, VME. x2APIC and
 * TSC_DEADLINE are devices of the backend: it puts them into the table or not.
 *
 * Every vCPU is a package of one core with one thread.
 *
 * spec: CPUID leaf, KVM and PVM specific CPUID leafs
 */
#include "abi/abi.h"
#include "rules.h"

enum { EAX, EBX, ECX, EDX };

#define MAX_BASIC	PVM_CPUID_LEAF_TOPOLOGY2
#define MAX_EXTENDED	PVM_CPUID_LEAF_EXT_FEATURES2

/* What is let through, register by register. */
#define LEAF_1_ECX \
	(PVM_CPUID_1_ECX_SSE3 | PVM_CPUID_1_ECX_PCLMULQDQ | PVM_CPUID_1_ECX_SSSE3 | \
	 PVM_CPUID_1_ECX_FMA | PVM_CPUID_1_ECX_CX16 | PVM_CPUID_1_ECX_SSE4_1 | \
	 PVM_CPUID_1_ECX_SSE4_2 | PVM_CPUID_1_ECX_X2APIC | PVM_CPUID_1_ECX_MOVBE | \
	 PVM_CPUID_1_ECX_POPCNT | PVM_CPUID_1_ECX_TSC_DEADLINE | PVM_CPUID_1_ECX_AES | \
	 PVM_CPUID_1_ECX_XSAVE | PVM_CPUID_1_ECX_AVX | PVM_CPUID_1_ECX_F16C | \
	 PVM_CPUID_1_ECX_RDRAND)
#define LEAF_1_EDX \
	(PVM_CPUID_1_EDX_FPU | PVM_CPUID_1_EDX_DE | PVM_CPUID_1_EDX_PSE | PVM_CPUID_1_EDX_TSC | \
	 PVM_CPUID_1_EDX_MSR | PVM_CPUID_1_EDX_PAE | PVM_CPUID_1_EDX_CX8 | \
	 PVM_CPUID_1_EDX_APIC | PVM_CPUID_1_EDX_PGE | PVM_CPUID_1_EDX_CMOV | \
	 PVM_CPUID_1_EDX_PAT | PVM_CPUID_1_EDX_PSE36 | PVM_CPUID_1_EDX_CLFSH | \
	 PVM_CPUID_1_EDX_MMX | PVM_CPUID_1_EDX_FXSR | PVM_CPUID_1_EDX_SSE | \
	 PVM_CPUID_1_EDX_SSE2 | PVM_CPUID_1_EDX_SS)
#define LEAF_7_EBX \
	(PVM_CPUID_7_EBX_FSGSBASE | PVM_CPUID_7_EBX_BMI1 | PVM_CPUID_7_EBX_HLE | \
	 PVM_CPUID_7_EBX_AVX2 | PVM_CPUID_7_EBX_FDP_EXCPTN_ONLY | PVM_CPUID_7_EBX_BMI2 | \
	 PVM_CPUID_7_EBX_ERMS | PVM_CPUID_7_EBX_INVPCID | PVM_CPUID_7_EBX_RTM | \
	 PVM_CPUID_7_EBX_FCS_FDS | PVM_CPUID_7_EBX_AVX512F | PVM_CPUID_7_EBX_AVX512DQ | \
	 PVM_CPUID_7_EBX_RDSEED | PVM_CPUID_7_EBX_ADX | PVM_CPUID_7_EBX_AVX512_IFMA | \
	 PVM_CPUID_7_EBX_CLFLUSHOPT | PVM_CPUID_7_EBX_CLWB | PVM_CPUID_7_EBX_AVX512PF | \
	 PVM_CPUID_7_EBX_AVX512ER | PVM_CPUID_7_EBX_AVX512CD | PVM_CPUID_7_EBX_SHA | \
	 PVM_CPUID_7_EBX_AVX512BW | PVM_CPUID_7_EBX_AVX512VL)
#define LEAF_7_ECX \
	(PVM_CPUID_7_ECX_PREFETCHWT1 | PVM_CPUID_7_ECX_AVX512_VBMI | PVM_CPUID_7_ECX_UMIP | \
	 PVM_CPUID_7_ECX_PKU | PVM_CPUID_7_ECX_AVX512_VBMI2 | PVM_CPUID_7_ECX_GFNI | \
	 PVM_CPUID_7_ECX_VAES | PVM_CPUID_7_ECX_VPCLMULQDQ | PVM_CPUID_7_ECX_AVX512_VNNI | \
	 PVM_CPUID_7_ECX_AVX512_BITALG | PVM_CPUID_7_ECX_AVX512_VPOPCNTDQ | \
	 PVM_CPUID_7_ECX_LA57 | PVM_CPUID_7_ECX_CLDEMOTE | PVM_CPUID_7_ECX_MOVDIRI | \
	 PVM_CPUID_7_ECX_MOVDIR64B)
#define LEAF_7_EDX \
	(PVM_CPUID_7_EDX_AVX512_4VNNIW | PVM_CPUID_7_EDX_AVX512_4FMAPS | PVM_CPUID_7_EDX_FSRM | \
	 PVM_CPUID_7_EDX_AVX512_VP2INTERSECT | PVM_CPUID_7_EDX_MD_CLEAR | \
	 PVM_CPUID_7_EDX_RTM_ALWAYS_ABORT | PVM_CPUID_7_EDX_SERIALIZE | \
	 PVM_CPUID_7_EDX_TSXLDTRK | PVM_CPUID_7_EDX_AVX512_FP16)
#define LEAF_7_1_EAX \
	(PVM_CPUID_7_1_EAX_SHA512 | PVM_CPUID_7_1_EAX_SM3 | PVM_CPUID_7_1_EAX_SM4 | \
	 PVM_CPUID_7_1_EAX_RAO_INT | PVM_CPUID_7_1_EAX_AVX_VNNI | \
	 PVM_CPUID_7_1_EAX_AVX512_BF16 | PVM_CPUID_7_1_EAX_CMPCCXADD | PVM_CPUID_7_1_EAX_FZRM | \
	 PVM_CPUID_7_1_EAX_FSRS | PVM_CPUID_7_1_EAX_FSRCS | PVM_CPUID_7_1_EAX_AVX_IFMA)
#define LEAF_7_1_EDX \
	(PVM_CPUID_7_1_EDX_AVX_VNNI_INT8 | PVM_CPUID_7_1_EDX_AVX_NE_CONVERT | \
	 PVM_CPUID_7_1_EDX_AVX_VNNI_INT16 | PVM_CPUID_7_1_EDX_PREFETCHI)
#define LEAF_D_1_EAX \
	(PVM_CPUID_D_1_EAX_XSAVEOPT | PVM_CPUID_D_1_EAX_XSAVEC | PVM_CPUID_D_1_EAX_XGETBV1)
#define LEAF_81_ECX \
	(PVM_CPUID_81_ECX_LAHF | PVM_CPUID_81_ECX_ABM | PVM_CPUID_81_ECX_SSE4A | \
	 PVM_CPUID_81_ECX_MISALIGNSSE | PVM_CPUID_81_ECX_PREFETCHW | PVM_CPUID_81_ECX_XOP | \
	 PVM_CPUID_81_ECX_FMA4 | PVM_CPUID_81_ECX_TBM)
/* AMD repeats the old ones of leaf 1 here. */
#define LEAF_81_EDX \
	(PVM_CPUID_1_EDX_FPU | PVM_CPUID_1_EDX_DE | PVM_CPUID_1_EDX_PSE | PVM_CPUID_1_EDX_TSC | \
	 PVM_CPUID_1_EDX_MSR | PVM_CPUID_1_EDX_PAE | PVM_CPUID_1_EDX_CX8 | \
	 PVM_CPUID_1_EDX_APIC | PVM_CPUID_1_EDX_PGE | PVM_CPUID_1_EDX_CMOV | \
	 PVM_CPUID_1_EDX_PAT | PVM_CPUID_1_EDX_PSE36 | PVM_CPUID_1_EDX_MMX | \
	 PVM_CPUID_1_EDX_FXSR | PVM_CPUID_81_EDX_SYSCALL | PVM_CPUID_81_EDX_NX | \
	 PVM_CPUID_81_EDX_MMXEXT | PVM_CPUID_81_EDX_PDPE1GB | PVM_CPUID_81_EDX_LM | \
	 PVM_CPUID_81_EDX_3DNOWEXT | PVM_CPUID_81_EDX_3DNOW)
#define LEAF_88_EBX \
	(PVM_CPUID_88_EBX_CLZERO | PVM_CPUID_88_EBX_XSAVEERPTR)
#define LEAF_21_EAX \
	(PVM_CPUID_21_EAX_NO_NESTED_DATA_BP | PVM_CPUID_21_EAX_LFENCE_RDTSC | \
	 PVM_CPUID_21_EAX_NULL_SEL_CLR_BASE)
/* These need XSAVE: gone with it. */
#define XSAVE_1_ECX	(PVM_CPUID_1_ECX_XSAVE | \
			 PVM_CPUID_1_ECX_AVX | PVM_CPUID_1_ECX_FMA | PVM_CPUID_1_ECX_F16C)

/* The host's values, zeroes for a leaf that is not in the table. */
static void raw(const struct pvm_vm_config *config, uint32_t leaf, uint32_t subleaf,
		uint32_t out[4])
{
	const struct pvm_cpuid_entry *entry;

	memset(out, 0, 4 * sizeof(out[0]));
	for (entry = config->cpuid; entry != config->cpuid + config->cpuid_count; entry++) {
		if (entry->leaf != leaf || (entry->subleaf_matters && entry->subleaf != subleaf))
			continue;
		out[EAX] = entry->eax;
		out[EBX] = entry->ebx;
		out[ECX] = entry->ecx;
		out[EDX] = entry->edx;
		return;
	}
}

static void keep(uint32_t out[4], uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	out[EAX] &= eax;
	out[EBX] &= ebx;
	out[ECX] &= ecx;
	out[EDX] &= edx;
}

static uint32_t highest(const struct pvm_vm_config *config, uint32_t leaf, uint32_t limit)
{
	uint32_t out[4];

	raw(config, leaf, 0, out);
	return out[EAX] < limit ? out[EAX] : limit;
}

/* Of leaf 1 and of leaf 0x80000001, which repeats them. Large pages are more than a bit of CR4: a guest that
 * does not see them must not use them. */
static uint32_t hidden_edx(const struct pvm_vcpu *vcpu)
{
	uint64_t hidden = vcpu->vm->abi->cr4_hidden;
	uint32_t edx = 0;

	if (hidden & PVM_CR4_PSE)
		edx |= PVM_CPUID_1_EDX_PSE | PVM_CPUID_1_EDX_PSE36;
	if (hidden & PVM_CR4_PGE)
		edx |= PVM_CPUID_1_EDX_PGE;
	return edx;
}

static void basic_features(const struct pvm_vcpu *vcpu, uint32_t out[4])
{
	keep(out, ~0u, 0xffff, LEAF_1_ECX, LEAF_1_EDX & ~hidden_edx(vcpu));
	out[EBX] |= vcpu->id << PVM_CPUID_1_EBX_APIC_ID_SHIFT;
	if (!vcpu->vm->config.host_osxsave)
		out[ECX] &= ~XSAVE_1_ECX;
	out[ECX] |= PVM_CPUID_1_ECX_HYPERVISOR;
	/* spec: PCID can be enabled even if the hardware doesn't support PCID */
	if (pvm_cr4_mask(vcpu->vm) & PVM_CR4_PCIDE)
		out[ECX] |= PVM_CPUID_1_ECX_PCID;
	else
		out[ECX] &= ~PVM_CPUID_1_ECX_PCID;
	if (vcpu->cr4 & PVM_CR4_OSXSAVE)
		out[ECX] |= PVM_CPUID_1_ECX_OSXSAVE;
}

/* The highest subleaf of leaf 7 that the guest sees. */
static uint32_t highest_feature_subleaf(const struct pvm_vm_config *config)
{
	return highest(config, PVM_CPUID_LEAF_FEATURES, 1);
}

static void structured_features(const struct pvm_vcpu *vcpu, uint32_t out[4])
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint64_t cr4 = pvm_cr4_mask(vcpu->vm);
	bool pke = config->host_pke && (cr4 & PVM_CR4_PKE);

	keep(out, 0, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX);
	out[EAX] = highest_feature_subleaf(config);
	if (!config->host_umip || (vcpu->vm->abi->cr4_hidden & PVM_CR4_UMIP))
		out[ECX] &= ~PVM_CPUID_7_ECX_UMIP;
	if (!config->host_la57 || !(cr4 & PVM_CR4_LA57))
		out[ECX] &= ~PVM_CPUID_7_ECX_LA57;
	if (vcpu->vm->abi->cr4_hidden & PVM_CR4_PCIDE)
		out[EBX] &= ~PVM_CPUID_7_EBX_INVPCID;
	if (!pke)
		out[ECX] &= ~PVM_CPUID_7_ECX_PKU;
	/* spec: PKS can be enabled if the host CR4.PKE is set */
	if (pke && (cr4 & PVM_CR4_PKS))
		out[ECX] |= PVM_CPUID_7_ECX_PKS;
	if (vcpu->cr4 & PVM_CR4_PKE)
		out[ECX] |= PVM_CPUID_7_ECX_OSPKE;
	if (pvm_cr4_of_abi(vcpu->vm) & PVM_CR4_SMEP)
		out[EBX] |= PVM_CPUID_7_EBX_SMEP;
}

static void features(const struct pvm_vcpu *vcpu, uint32_t subleaf, uint32_t out[4])
{
	if (subleaf == 0)
		structured_features(vcpu, out);
	else if (subleaf <= highest_feature_subleaf(&vcpu->vm->config))
		keep(out, LEAF_7_1_EAX, 0, 0, LEAF_7_1_EDX);
	else
		keep(out, 0, 0, 0, 0);
}

/* Levels: the thread, then the core; one of each. */
static void topology(const struct pvm_vcpu *vcpu, uint32_t subleaf, uint32_t out[4])
{
	out[EAX] = 0;
	out[EBX] = subleaf < 2 ? 1 : 0;
	out[ECX] = subleaf & 0xff;
	if (subleaf == 0)
		out[ECX] |= PVM_CPUID_B_ECX_SMT;
	else if (subleaf == 1)
		out[ECX] |= PVM_CPUID_B_ECX_CORE;
	out[EDX] = vcpu->id;
}

/* The components of XCR0 that the guest may use. */
static uint32_t xstate_mask(const struct pvm_vcpu *vcpu)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint32_t mask = PVM_XCR0_X87 | PVM_XCR0_SSE | PVM_XCR0_AVX | PVM_XCR0_AVX512, out[4];

	if (!config->host_osxsave)
		return 0;
	/* Linux 7.3 wants the size of an area to be that of the components whose feature it sees. */
	if (config->host_pke && !(vcpu->vm->abi->cr4_hidden & PVM_CR4_PKE))
		mask |= PVM_XCR0_PKRU;
	raw(config, PVM_CPUID_LEAF_XSTATE, 0, out);
	return out[EAX] & mask;
}

/* Bytes of an XSAVE area with the components in @mask. */
static uint32_t xsave_size(const struct pvm_vm_config *config, uint32_t mask, bool compacted)
{
	uint32_t size = PVM_XSAVE_LEGACY_SIZE, component, start, out[4];

	for (component = 2; component < 32; component++) {
		if (!(mask >> component & 1))
			continue;
		raw(config, PVM_CPUID_LEAF_XSTATE, component, out);
		start = out[EBX];
		if (compacted)
			start = out[ECX] & PVM_CPUID_D_ECX_ALIGN64 ? (size + 63) & ~63u : size;
		if (start + out[EAX] > size)
			size = start + out[EAX];
	}
	return size;
}

static void xstate(const struct pvm_vcpu *vcpu, uint32_t subleaf, uint32_t out[4])
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint32_t mask = xstate_mask(vcpu);

	if (!mask || subleaf > 31) {
		keep(out, 0, 0, 0, 0);
	} else if (subleaf == 0) {
		out[EAX] = mask;
		out[EBX] = out[ECX] = xsave_size(config, mask, false);
		out[EDX] = 0;
	} else if (subleaf == 1) {
		keep(out, LEAF_D_1_EAX, 0, 0, 0);
		if (out[EAX] & PVM_CPUID_D_1_EAX_XSAVEC)
			out[EBX] = xsave_size(config, mask, true);
	} else if (mask >> subleaf & 1) {
		keep(out, ~0u, ~0u, PVM_CPUID_D_ECX_ALIGN64, 0);
	} else {
		keep(out, 0, 0, 0, 0);
	}
}

static void basic_leaf(const struct pvm_vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
		       uint32_t out[4])
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	raw(config, leaf, subleaf, out);
	switch (leaf) {
	case PVM_CPUID_LEAF_VENDOR:
		out[EAX] = highest(config, PVM_CPUID_LEAF_VENDOR, MAX_BASIC);
		return;
	case PVM_CPUID_LEAF_BASIC:
		basic_features(vcpu, out);
		return;
	case PVM_CPUID_LEAF_CACHES:
		out[EAX] &= ~PVM_CPUID_4_EAX_SHARING;
		return;
	case PVM_CPUID_LEAF_POWER:
		/* The timer is emulated: it never stops. */
		keep(out, 0, 0, 0, 0);
		out[EAX] = PVM_CPUID_6_EAX_ARAT;
		return;
	case PVM_CPUID_LEAF_FEATURES:
		features(vcpu, subleaf, out);
		return;
	case PVM_CPUID_LEAF_TOPOLOGY:
	case PVM_CPUID_LEAF_TOPOLOGY2:
		topology(vcpu, subleaf, out);
		return;
	case PVM_CPUID_LEAF_XSTATE:
		xstate(vcpu, subleaf, out);
		return;
	case PVM_CPUID_LEAF_CACHE_TLB:
	case PVM_CPUID_LEAF_TSC:
	case PVM_CPUID_LEAF_FREQUENCY:
		return;
	}
	keep(out, 0, 0, 0, 0);
}

static void extended_features(const struct pvm_vcpu *vcpu, uint32_t out[4])
{
	keep(out, ~0u, ~0u, LEAF_81_ECX, LEAF_81_EDX & ~hidden_edx(vcpu));
	if (vcpu->vm->abi->cr4_hidden & PVM_CR4_PSE)
		out[EDX] &= ~PVM_CPUID_81_EDX_PDPE1GB;
	if (!vcpu->vm->config.host_nx)
		out[EDX] &= ~PVM_CPUID_81_EDX_NX;
}

static void address_sizes(const struct pvm_vcpu *vcpu, uint32_t out[4])
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint32_t seven[4];

	raw(config, PVM_CPUID_LEAF_FEATURES, 0, seven);
	structured_features(vcpu, seven);
	keep(out, 0, LEAF_88_EBX, 0, 0);
	out[EAX] = config->guest_maxphyaddr;
	out[EAX] |= (seven[ECX] & PVM_CPUID_7_ECX_LA57 ? 57u : 48u) << 8;
}

static void extended_leaf(const struct pvm_vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
			  uint32_t out[4])
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	raw(config, leaf, subleaf, out);
	switch (leaf) {
	case PVM_CPUID_LEAF_EXTENDED:
		out[EAX] = highest(config, PVM_CPUID_LEAF_EXTENDED, MAX_EXTENDED);
		return;
	case PVM_CPUID_LEAF_EXT_FEATURES:
		extended_features(vcpu, out);
		return;
	case PVM_CPUID_LEAF_EXT_POWER:
		keep(out, 0, 0, 0, PVM_CPUID_87_EDX_INVARIANT_TSC);
		return;
	case PVM_CPUID_LEAF_ADDRESS:
		address_sizes(vcpu, out);
		return;
	case PVM_CPUID_LEAF_AMD_CACHES:
		out[EAX] &= ~PVM_CPUID_4_EAX_SHARING;
		return;
	case PVM_CPUID_LEAF_AMD_TOPOLOGY:
		out[EAX] = out[EBX] = vcpu->id;
		out[EBX] &= 0xff;
		out[ECX] = out[EDX] = 0;
		return;
	case PVM_CPUID_LEAF_EXT_FEATURES2:
		keep(out, LEAF_21_EAX, 0, 0, 0);
		return;
	case PVM_CPUID_LEAF_BRAND:
	case PVM_CPUID_LEAF_BRAND + 1:
	case PVM_CPUID_LEAF_BRAND + 2:
	case PVM_CPUID_LEAF_L1:
	case PVM_CPUID_LEAF_L2:
	case PVM_CPUID_LEAF_TLB_1G:
	case PVM_CPUID_LEAF_PERF_HINTS:
		return;
	}
	keep(out, 0, 0, 0, 0);
}

/* Leaves of the host's table after those that are always the ABI's raise the maximum. */
static uint32_t highest_hypervisor_leaf(const struct pvm_vm *vm)
{
	uint32_t max = vm->abi->cpuid_highest, i;

	for (i = 0; i < vm->config.cpuid_count; i++) {
		uint32_t leaf = vm->config.cpuid[i].leaf;

		if (leaf > max && leaf <= PVM_CPUID_HYPERVISOR_LAST)
			max = leaf;
	}
	return max;
}

static void hypervisor_leaf(const struct pvm_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	uint32_t max = highest_hypervisor_leaf(vm);

	raw(&vm->config, leaf, subleaf, out);
	if (leaf <= vm->abi->cpuid_highest)
		vm->abi->cpuid(&vm->config, leaf, max, out);
	else if (leaf > max)
		keep(out, 0, 0, 0, 0);
}

void pvm_cpuid(const struct pvm_vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint32_t max_basic = highest(config, PVM_CPUID_LEAF_VENDOR, MAX_BASIC);

	if (leaf >= PVM_CPUID_HYPERVISOR_FIRST && leaf < PVM_CPUID_LEAF_EXTENDED) {
		hypervisor_leaf(vcpu->vm, leaf, subleaf, out);
		return;
	}
	if (leaf >= PVM_CPUID_LEAF_EXTENDED &&
	    leaf <= highest(config, PVM_CPUID_LEAF_EXTENDED, MAX_EXTENDED)) {
		extended_leaf(vcpu, leaf, subleaf, out);
		return;
	}
	/* Beyond a maximum: Intel answers with the highest basic leaf. */
	basic_leaf(vcpu, leaf < max_basic ? leaf : max_basic, subleaf, out);
}
