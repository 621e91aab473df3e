/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The #PF exit: the MMU says whose fault it is, and what is the guest's is delivered.
 * Looks at no table itself.
 *
 * spec: Paging, Vector events in supervisor mode
 */
#include <pvm/events.h>
#include <pvm/exit.h>
#include <pvm/mmu.h>

#include "exit/fault.h"

enum pvm_action pvm_fault_answer(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
				 enum pvm_sleep sleep, bool *fixed)
{
	struct pvm_fault_result result = pvm_mmu_fault(vcpu, gva, error_code, sleep);

	*fixed = result.kind == PVM_FAULT_FIXED;
	switch (result.kind) {
	case PVM_FAULT_FIXED:
		return PVM_ACT_RESUME;
	case PVM_FAULT_INJECT:
		if (result.vector == PVM_VEC_GP)
			return pvm_event_gp(vcpu, 0);
		vcpu->mmu.retry.waits = true;
		vcpu->mmu.retry.user_mode = vcpu->user_mode;
		vcpu->mmu.retry.access = error_code & (PVM_ACCESS_WRITE | PVM_ACCESS_EXEC);
		vcpu->mmu.retry.gva = gva;
		vcpu->mmu.retry.rip = vcpu->rip;
		return pvm_event_pf(vcpu, gva, result.error_code);
	case PVM_FAULT_MMIO:
		vcpu->request.mmio.gva = gva;
		vcpu->request.mmio.gpa = result.gpa;
		vcpu->request.mmio.write = error_code & PVM_PF_W;
		return PVM_ACT_MMIO;
	case PVM_FAULT_WOULD_BLOCK:
		return PVM_ACT_RETRY;
	case PVM_FAULT_ERROR:
		break;
	}
	vcpu->request.error.code = result.error;
	return PVM_ACT_ERROR;
}

enum pvm_action pvm_handle_page_fault(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
				      enum pvm_sleep sleep)
{
	bool fixed;

	return pvm_fault_answer(vcpu, gva, error_code, sleep, &fixed);
}
