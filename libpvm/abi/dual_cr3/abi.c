/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Dual CR3, the dialect of the PVM specification of 2024: its table of operations, its
 * hypercalls, a row each, and what of it is registers: CR3 and MSR_PVM_SWITCH_CR3, RSP and
 * its MSRs.
 *
 * spec: PVM MSRs, Paging
 */
#include "abi/dual_cr3/dual_cr3.h"
#include "abi/pvm/rows.h"
#include "vcpu/rules.h"

static int msr_read(const struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	switch (index) {
	case MSR_PVM_SUPERVISOR_RSP:
		*value = vcpu->msr.supervisor_rsp;
		return PVM_OK;
	case MSR_PVM_SUPERVISOR_REDZONE:
		*value = vcpu->msr.supervisor_redzone;
		return PVM_OK;
	case MSR_PVM_SWITCH_CR3:
		*value = vcpu->msr.switch_cr3;
		return PVM_OK;
	}
	return pvm_dialect_msr_read(vcpu, index, value);
}

static int write_redzone(struct pvm_vcpu *vcpu, uint64_t value)
{
	if (value > PVM_REDZONE_MAX)
		return PVM_EINVAL;
	vcpu->msr.supervisor_redzone = value;
	return PVM_OK;
}

/* spec: TLB: writing MSR_PVM_SWITCH_CR3 flushes nothing. */
static int write_switch_cr3(struct pvm_vcpu *vcpu, uint64_t value)
{
	if (vcpu->cr4 & PVM_CR4_PCIDE)
		value &= ~PVM_CR3_NOFLUSH;
	if (!pvm_cr3_allowed(&vcpu->vm->config, value))
		return PVM_EINVAL;
	vcpu->msr.switch_cr3 = value;
	pvm_mmu_new_cr3(vcpu);
	return PVM_OK;
}

static int msr_write(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_PVM_SUPERVISOR_RSP:
		vcpu->msr.supervisor_rsp = value;
		return PVM_OK;
	case MSR_PVM_SUPERVISOR_REDZONE:
		return write_redzone(vcpu, value);
	case MSR_PVM_SWITCH_CR3:
		return write_switch_cr3(vcpu, value);
	}
	return pvm_dialect_msr_write(vcpu, index, value, PVM_ENTRY_SUPERVISOR_INTERRUPT);
}

static const char *judge(const struct pvm_vm_config *config, const struct pvm_vcpu_state *s)
{
	if (s->supervisor_redzone > PVM_REDZONE_MAX)
		return "supervisor_redzone";
	if (!pvm_cr3_allowed(config, s->switch_cr3))
		return "switch_cr3";
	return pvm_dialect_judge(config, s, PVM_ENTRY_SUPERVISOR_INTERRUPT);
}

static uint64_t other_cr3(const struct pvm_vcpu *vcpu)
{
	return vcpu->msr.switch_cr3;
}

/* By number, from PVM_HC_BASE on. */
static const struct pvm_hypercall_row hypercalls[PVM_DIALECT_HYPERCALLS] = {
	[PVM_HC_LOAD_PGTBL - PVM_HC_BASE] = { "LOAD_PGTBL", pvm_dual_cr3_load_pgtbl, PVM_SERVE_RESULT },
	PVM_DIALECT_ROWS,
};

const struct pvm_abi_ops pvm_abi_dual_cr3 = {
	.name = "dual-cr3",
	.classify = pvm_dual_cr3_classify,
	.syscall = pvm_dual_cr3_syscall,
	.user_syscall = pvm_dual_cr3_user_syscall,
	.return_user = pvm_dual_cr3_return_user,
	.return_supervisor = pvm_dual_cr3_return_supervisor,
	.switched = pvm_dual_cr3_switched,
	.hypercalls = hypercalls,
	.hypercall_count = sizeof(hypercalls) / sizeof(hypercalls[0]),
	.hypercall_mask = PVM_DIALECT_HYPERCALLS - 1,
	.hypercall_base = PVM_HC_BASE,
	.hypercall_numbers = PVM_HC_COUNT,
	.deliver = pvm_dual_cr3_deliver,
	.at_event_entry = pvm_dual_cr3_at_event_entry,
	.interrupt_flag = pvm_dual_cr3_interrupt_flag,
	.set_interrupt_flag = pvm_dual_cr3_set_interrupt_flag,
	.set_interrupt_waits = pvm_dual_cr3_set_interrupt_waits,
	.interrupt_waits = pvm_dual_cr3_interrupt_waits,
	.pvcs_size = sizeof(struct pvm_vcpu_struct),
	.pvcs_align = _Alignof(struct pvm_vcpu_struct),
	.msr_base = PVM_MSR_BASE,
	.msr_count = PVM_MSR_LAST - PVM_MSR_BASE + 1,
	.msr_read = msr_read,
	.msr_write = msr_write,
	.cpuid = pvm_dialect_cpuid,
	.cpuid_highest = PVM_CPUID_VENDOR_FEATURES,
	.judge = judge,
	.other_cr3 = other_cr3,
};
