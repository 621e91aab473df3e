/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the dialects of PVM share and is not hot: ordinary functions, for the tables of
 * operations in libpvm/abi/NAME/.
 */
#ifndef PVM_ABI_PVM_PARTS_H
#define PVM_ABI_PVM_PARTS_H

#include "abi/abi.h"
#include "internal.h"

/* cpuid.c: pvm_abi_ops::cpuid. */
void pvm_dialect_cpuid(const struct pvm_vm_config *config, uint32_t leaf, uint32_t highest,
		       uint32_t out[4]);

/* msr.c: MSRs that all dialects have: pvm_abi_ops::msr_read and ::msr_write of those.
 * @entry_size: bytes from MSR_PVM_EVENT_ENTRY to the last entry point (M7). */
int pvm_dialect_msr_read(const struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value);
int pvm_dialect_msr_write(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value, uint64_t entry_size);
/* msr.c: the same for a snapshot: pvm_abi_ops::judge. */
const char *pvm_dialect_judge(const struct pvm_vm_config *config, const struct pvm_vcpu_state *state,
			      uint64_t entry_size);

#endif /* PVM_ABI_PVM_PARTS_H */
