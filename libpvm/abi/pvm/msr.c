/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The MSRs that every dialect of PVM has, and the same values in a snapshot.
 *
 * spec: PVM MSRs
 */
#include "abi/pvm/parts.h"
#include "vcpu/rules.h"

int pvm_dialect_msr_read(const struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	const struct pvm_msrs *msr = &vcpu->msr;

	switch (index) {
	case MSR_PVM_LINEAR_ADDRESS_RANGE:
		*value = msr->linear_address_range;
		return PVM_OK;
	case MSR_PVM_VCPU_STRUCT:
		*value = msr->vcpu_struct;
		return PVM_OK;
	case MSR_PVM_EVENT_ENTRY:
		*value = msr->event_entry;
		return PVM_OK;
	case MSR_PVM_RETU_RIP:
		*value = msr->retu_rip;
		return PVM_OK;
	case MSR_PVM_RETS_RIP:
		*value = msr->rets_rip;
		return PVM_OK;
	}
	return PVM_EINVAL;
}

static int write_linear_range(struct pvm_vcpu *vcpu, uint64_t value)
{
	if (!pvm_linear_range_allowed(&vcpu->vm->config, value))
		return PVM_EINVAL;
	vcpu->msr.linear_address_range = value;
	/* M7: a root is made for one range; the next is made for this one. */
	pvm_mmu_new_cr3(vcpu);
	return PVM_OK;
}

int pvm_dialect_msr_write(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value, uint64_t entry_size)
{
	struct pvm_msrs *msr = &vcpu->msr;

	switch (index) {
	case MSR_PVM_LINEAR_ADDRESS_RANGE:
		return write_linear_range(vcpu, value);
	case MSR_PVM_VCPU_STRUCT:
		return pvm_pvcs_attach(vcpu, value);
	case MSR_PVM_EVENT_ENTRY:
		return pvm_msr_write_entry(vcpu, &msr->event_entry, value, entry_size);
	case MSR_PVM_RETU_RIP:
		return pvm_msr_write_entry(vcpu, &msr->retu_rip, value, 0);
	case MSR_PVM_RETS_RIP:
		return pvm_msr_write_entry(vcpu, &msr->rets_rip, value, 0);
	}
	return PVM_EINVAL;
}

const char *pvm_dialect_judge(const struct pvm_vm_config *config, const struct pvm_vcpu_state *s,
			      uint64_t entry_size)
{
	uint64_t widest = pvm_linear_range_encode(&config->range);
	unsigned bits = pvm_host_address_bits(config);

	if (!pvm_linear_range_allowed(config, s->linear_address_range))
		return "linear_address_range";
	if (!pvm_legal_in(s->event_entry, widest, bits) ||
	    !pvm_legal_in(s->event_entry + entry_size, widest, bits))
		return "event_entry";
	if (!pvm_legal_in(s->retu_rip, widest, bits))
		return "retu_rip";
	if (!pvm_legal_in(s->rets_rip, widest, bits))
		return "rets_rip";
	return NULL;
}
