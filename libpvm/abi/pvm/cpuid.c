/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The CPUID leaves by which a guest knows a hypervisor of PVM's specification.
 *
 * spec: KVM and PVM specific CPUID leafs
 */
#include "abi/pvm/parts.h"

enum { EAX, EBX, ECX, EDX };

void pvm_dialect_cpuid(const struct pvm_vm_config *config, uint32_t leaf, uint32_t highest,
		       uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
	if (leaf == PVM_CPUID_SIGNATURE) {
		out[EAX] = highest;
		out[EBX] = PVM_CPUID_KVM_EBX;
		out[ECX] = PVM_CPUID_KVM_ECX;
		out[EDX] = PVM_CPUID_KVM_EDX;
	} else if (leaf == PVM_CPUID_VENDOR_FEATURES) {
		out[EAX] = config->pvm_features;
		out[EBX] = config->deployed_cpuid_signature ? PVM_CPUID_VENDOR_EBX_DEPLOYED :
							      PVM_CPUID_VENDOR_EBX;
	}
}
