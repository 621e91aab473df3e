/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a CPU has: CPUID, CR4, EFER and a few MSRs. Reading them is for CPL 0, and apart
 * from judging them, so that a test can bring registers of its own.
 */
#include <pvm/x86.h>

#include "switcher/hw.h"

#define CPUID_EXTENDED	0x80000000u
#define EXT_ENCRYPTION	0x8000001fu
#define ENCRYPTION_SEV	(1u << 1)	/* APM vol. 3, E.4.17 */
#define SEV_STATUS_SEV	1ull		/* APM vol. 2, 15.34.10 */
#define SEV_STATUS_ES	(1ull << 1)
#define S_CET_SH_STK_EN	1ull	/* SDM vol. 1, 17.1.2 */

static void leaf(const struct switcher_source *source, uint32_t number, uint32_t subleaf,
		 uint32_t out[4])
{
	uint32_t highest[4];

	source->cpuid(number & CPUID_EXTENDED, 0, highest);
	if (highest[0] >= number)
		source->cpuid(number, subleaf, out);
	else
		memset(out, 0, 4 * sizeof(*out));
}

/* The MSRs that CPUID and CR4 say are there. */
static void identify_msrs(const struct switcher_source *source, struct pvm_switcher_cpu_id *id)
{
	uint32_t regs[4];

	id->efer = source->rdmsr(MSR_EFER);
	leaf(source, EXT_ENCRYPTION, 0, regs);
	if (regs[0] & ENCRYPTION_SEV)
		id->sev_status = source->rdmsr(MSR_SEV_STATUS);
	if (id->leaf7_edx & PVM_CPUID_7_EDX_ARCH_CAPABILITIES)
		id->arch_capabilities = source->rdmsr(MSR_ARCH_CAPABILITIES);
	if (id->leaf7_edx & PVM_CPUID_7_EDX_SPEC_CTRL || id->ext8_ebx & PVM_CPUID_88_EBX_IBRS)
		id->spec_ctrl = source->rdmsr(MSR_SPEC_CTRL);
	if (id->cr4 & PVM_CR4_CET)
		id->s_cet = source->rdmsr(MSR_S_CET);
}

void pvm_switcher_identify(const struct switcher_source *source, struct pvm_switcher_cpu_id *id)
{
	uint32_t regs[4];

	memset(id, 0, sizeof(*id));
	id->cr4 = source->cr4;
	leaf(source, 0, 0, regs);
	id->vendor_ebx = regs[1];
	leaf(source, 1, 0, regs);
	id->signature = regs[0];
	id->leaf1_ecx = regs[2];
	leaf(source, 7, 0, regs);
	id->leaf7_ebx = regs[1];
	id->leaf7_edx = regs[3];
	/* As the host uses it: SMEP that is off counts as none. */
	if (!(id->cr4 & PVM_CR4_SMEP))
		id->leaf7_ebx &= ~PVM_CPUID_7_EBX_SMEP;
	if (regs[0] >= 2) {
		leaf(source, 7, 2, regs);
		id->leaf7_2_edx = regs[3];
	}
	leaf(source, CPUID_EXTENDED + 8, 0, regs);
	id->ext8_ebx = regs[1];
	leaf(source, CPUID_EXTENDED + 0x21, 0, regs);
	id->ext21_eax = regs[0];
	id->ext21_ecx = regs[2];
	identify_msrs(source, id);
}

void pvm_switcher_judge(const struct pvm_switcher_cpu_id *id, struct pvm_switcher_features *features)
{
	uint64_t cr4 = id->cr4;

	*features = (struct pvm_switcher_features){
		.fsgsbase = cr4 & PVM_CR4_FSGSBASE,
		.syscall = id->efer & PVM_EFER_SCE,
		.nx = id->efer & PVM_EFER_NXE,
		.fred = cr4 & PVM_CR4_FRED,
		.supervisor_shadow_stack = cr4 & PVM_CR4_CET && id->s_cet & S_CET_SH_STK_EN,
		.uai = id->efer & PVM_EFER_UAIE,
		.sev = id->sev_status & SEV_STATUS_SEV,
		.sev_es = id->sev_status & SEV_STATUS_ES,
		.meltdown = pvm_switcher_has_meltdown(id),
		.cet = cr4 & PVM_CR4_CET,
		.la57 = cr4 & PVM_CR4_LA57,
		.pke = cr4 & PVM_CR4_PKE,
		.smap = cr4 & PVM_CR4_SMAP,
		.pcid = cr4 & PVM_CR4_PCIDE,
		.invpcid = id->leaf7_ebx & PVM_CPUID_7_EBX_INVPCID,
		.mitigations = pvm_switcher_mitigations(id),
	};
}

void pvm_switcher_detect(struct pvm_switcher_features *features)
{
	const struct switcher_source cpu = {
		.cpuid = hw_cpuid, .rdmsr = hw_rdmsr, .cr4 = hw_read_cr4(),
	};
	struct pvm_switcher_cpu_id id;

	pvm_switcher_identify(&cpu, &id);
	pvm_switcher_judge(&id, features);
}
