/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The roots of a vCPU: one for the supervisor's table, one for the user's,
 * indexed by mode, so that a mode switch changes nothing here.
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "shadow.h"

void pvm_mmu_mode_switched(struct pvm_vcpu *vcpu)
{
	/* root[] is indexed by mode: the other one is current now. */
	(void)vcpu;
}

void pvm_mmu_new_cr3(struct pvm_vcpu *vcpu)
{
	vcpu->mmu.root[0] = vcpu->mmu.root[1] = NULL;
}
