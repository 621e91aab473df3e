/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the CPU that this runs on has: CPUID, CR4, EFER. At CPL 0 only.
 */
#include <pvm/x86.h>

#include "switcher/hw.h"

#define VENDOR_AMD_EBX		0x68747541	/* "Auth" */
#define VENDOR_HYGON_EBX	0x6f677948	/* "Hygo" */
#define LEAF7_EBX_INVPCID	(1u << 10)
#define LEAF7_EDX_ARCH_CAP	(1u << 29)
#define CPUID_EXTENDED		0x80000000u

static void leaf(uint32_t number, uint32_t subleaf, uint32_t out[4])
{
	uint32_t highest[4];

	hw_cpuid(number & CPUID_EXTENDED, 0, highest);
	if (highest[0] >= number)
		hw_cpuid(number, subleaf, out);
	else
		memset(out, 0, 4 * sizeof(*out));
}

void pvm_switcher_detect(struct pvm_switcher_features *features)
{
	struct pvm_switcher_cpu_id id = { 0 };
	uint64_t cr4 = hw_read_cr4(), efer = hw_rdmsr(MSR_EFER);
	uint32_t regs[4];

	leaf(0, 0, regs);
	id.vendor_ebx = regs[1];
	leaf(1, 0, regs);
	id.signature = regs[0];
	id.leaf1_ecx = regs[2];
	leaf(7, 0, regs);
	id.leaf7_ebx = regs[1];
	id.leaf7_edx = regs[3];
	leaf(7, 2, regs);
	id.leaf7_2_edx = regs[3];
	leaf(CPUID_EXTENDED + 8, 0, regs);
	id.ext8_ebx = regs[1];
	leaf(CPUID_EXTENDED + 0x21, 0, regs);
	id.ext21_eax = regs[0];
	if (id.leaf7_edx & LEAF7_EDX_ARCH_CAP)
		id.arch_capabilities = hw_rdmsr(MSR_ARCH_CAPABILITIES);

	*features = (struct pvm_switcher_features){
		.fsgsbase = cr4 & PVM_CR4_FSGSBASE,
		.syscall = efer & PVM_EFER_SCE,
		.nx = efer & PVM_EFER_NXE,
		.la57 = cr4 & PVM_CR4_LA57,
		.pke = cr4 & PVM_CR4_PKE,
		.pcid = cr4 & PVM_CR4_PCIDE,
		.invpcid = id.leaf7_ebx & LEAF7_EBX_INVPCID,
		.amd = id.vendor_ebx == VENDOR_AMD_EBX || id.vendor_ebx == VENDOR_HYGON_EBX,
		.mitigations = pvm_switcher_mitigations(&id),
	};
}
