/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3, the dialect in which U/S bits count: its table of operations, its hypercalls,
 * a row each, and what of it is registers. One CR3, from which the engine makes a root for
 * each mode; SMEP where NX is.
 *
 * seed: single CR3; docs/decisions/110
 */
#include "abi/single_cr3/single_cr3.h"
#include "abi/pvm/rows.h"

static int msr_write(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	return pvm_dialect_msr_write(vcpu, index, value, PVM_SC_ENTRY_SUPERVISOR);
}

/* M4: SMEP is done with NX. */
static uint64_t cr4_fixed(const struct pvm_vm_config *config)
{
	return config->host_nx ? PVM_CR4_SMEP : 0;
}

static const char *judge(const struct pvm_vm_config *config, const struct pvm_vcpu_state *s)
{
	if (s->supervisor_rsp)
		return "supervisor_rsp";
	if (s->supervisor_redzone)
		return "supervisor_redzone";
	if (s->switch_cr3)
		return "switch_cr3";
	return pvm_dialect_judge(config, s, PVM_SC_ENTRY_SUPERVISOR);
}

static uint64_t other_cr3(const struct pvm_vcpu *vcpu)
{
	return vcpu->cr3;
}

/* By number, from PVM_HC_BASE on. */
static const struct pvm_hypercall_row hypercalls[PVM_DIALECT_HYPERCALLS] = {
	[PVM_HC_LOAD_PGTBL - PVM_HC_BASE] = { "LOAD_PGTBL", pvm_single_cr3_load_pgtbl, PVM_SERVE_RESULT },
	PVM_DIALECT_ROWS,
};

const struct pvm_abi_ops pvm_abi_single_cr3 = {
	.name = "single-cr3",
	.classify = pvm_single_cr3_classify,
	.syscall = pvm_single_cr3_syscall,
	.user_syscall = pvm_single_cr3_user_syscall,
	.return_user = pvm_single_cr3_return_user,
	.return_supervisor = pvm_single_cr3_return_supervisor,
	.hypercalls = hypercalls,
	.hypercall_count = sizeof(hypercalls) / sizeof(hypercalls[0]),
	.hypercall_mask = PVM_DIALECT_HYPERCALLS - 1,
	.hypercall_base = PVM_HC_BASE,
	.hypercall_numbers = PVM_HC_COUNT,
	.deliver = pvm_single_cr3_deliver,
	.at_event_entry = pvm_single_cr3_at_event_entry,
	.interrupt_flag = pvm_single_cr3_interrupt_flag,
	.set_interrupt_flag = pvm_single_cr3_set_interrupt_flag,
	.set_interrupt_waits = pvm_single_cr3_set_interrupt_waits,
	.interrupt_waits = pvm_single_cr3_interrupt_waits,
	.pvcs_size = sizeof(struct pvm_sc_vcpu_struct),
	.pvcs_align = _Alignof(struct pvm_sc_vcpu_struct),
	.msr_base = PVM_MSR_BASE,
	.msr_count = PVM_MSR_LAST - PVM_MSR_BASE + 1,
	.msr_read = pvm_dialect_msr_read,
	.msr_write = msr_write,
	.cr4_fixed = cr4_fixed,
	.cpuid = pvm_dialect_cpuid,
	.cpuid_highest = PVM_CPUID_VENDOR_FEATURES,
	.judge = judge,
	.other_cr3 = other_cr3,
	.root_role = {
		[false] = { .us = 1, .user_path = 1 },
		[true] = { .us = 1, .user_path = 1, .user_root = 1 },	/* M3 */
	},
};
