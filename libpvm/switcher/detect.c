/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the CPU that this runs on has: CPUID, CR4, EFER. At CPL 0 only.
 */
#include <pvm/x86.h>

#include "switcher/hw.h"

#define CPUID_EXTENDED 0x80000000u

static void leaf(uint32_t number, uint32_t subleaf, uint32_t out[4])
{
	uint32_t highest[4];

	hw_cpuid(number & CPUID_EXTENDED, 0, highest);
	if (highest[0] >= number)
		hw_cpuid(number, subleaf, out);
	else
		memset(out, 0, 4 * sizeof(*out));
}

/* What is said of the CPU, as the host uses it: SMEP that is off counts as none. */
static void identify(struct pvm_switcher_cpu_id *id, uint64_t cr4, uint64_t efer)
{
	uint32_t regs[4];

	memset(id, 0, sizeof(*id));
	leaf(0, 0, regs);
	id->vendor_ebx = regs[1];
	leaf(1, 0, regs);
	id->signature = regs[0];
	id->leaf1_ecx = regs[2];
	leaf(7, 0, regs);
	id->leaf7_ebx = regs[1];
	id->leaf7_edx = regs[3];
	if (!(cr4 & PVM_CR4_SMEP))
		id->leaf7_ebx &= ~PVM_CPUID_7_EBX_SMEP;
	if (regs[0] >= 2) {
		leaf(7, 2, regs);
		id->leaf7_2_edx = regs[3];
	}
	leaf(CPUID_EXTENDED + 8, 0, regs);
	id->ext8_ebx = regs[1];
	leaf(CPUID_EXTENDED + 0x21, 0, regs);
	id->ext21_eax = regs[0];
	id->ext21_ecx = regs[2];
	if (id->leaf7_edx & PVM_CPUID_7_EDX_ARCH_CAPABILITIES)
		id->arch_capabilities = hw_rdmsr(MSR_ARCH_CAPABILITIES);
	if (id->leaf7_edx & PVM_CPUID_7_EDX_SPEC_CTRL || id->ext8_ebx & PVM_CPUID_88_EBX_IBRS)
		id->spec_ctrl = hw_rdmsr(MSR_SPEC_CTRL);
	id->efer = efer;
}

void pvm_switcher_detect(struct pvm_switcher_features *features)
{
	struct pvm_switcher_cpu_id id;
	uint64_t cr4 = hw_read_cr4(), efer = hw_rdmsr(MSR_EFER);

	identify(&id, cr4, efer);
	*features = (struct pvm_switcher_features){
		.fsgsbase = cr4 & PVM_CR4_FSGSBASE,
		.syscall = efer & PVM_EFER_SCE,
		.nx = efer & PVM_EFER_NXE,
		.la57 = cr4 & PVM_CR4_LA57,
		.pke = cr4 & PVM_CR4_PKE,
		.pcid = cr4 & PVM_CR4_PCIDE,
		.invpcid = id.leaf7_ebx & PVM_CPUID_7_EBX_INVPCID,
		.mitigations = pvm_switcher_mitigations(&id),
	};
}
