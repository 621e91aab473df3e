/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The smallest guest ABI: a shared structure, two MSRs, two hypercalls, one entry point, no
 * user mode. Only operations that an ABI must have, and its own; also an example of one.
 */
#include "abi/abi.h"
#include "hypercall/engine.h"
#include "internal.h"
#include "stub/stub.h"
#include "vcpu/rules.h"

/* M6: the guest may change it at any time, so that each access is a single one. */
static volatile struct stub_shared *shared(const struct pvm_vcpu *vcpu)
{
	return vcpu->pvcs;
}

/* ------------------------------------------------------------------------
 * Hypercalls: every SYSCALL is one.
 */

static enum pvm_action add(struct pvm_vcpu *vcpu)
{
	return pvm_hypercall_done(vcpu, vcpu->gpr[PVM_RBX] + vcpu->gpr[PVM_RCX]);
}

static enum pvm_action halt(struct pvm_vcpu *vcpu)
{
	pvm_hypercall_done(vcpu, 0);
	return pvm_event_irq_halt(vcpu);
}

#define STUB_ROWS	256	/* a power of two */
static const struct pvm_hypercall_row hypercalls[STUB_ROWS] = {
	[STUB_HC_ADD - STUB_HC_BASE] = { "ADD", add, PVM_SERVE_RESULT },
	[STUB_HC_HALT - STUB_HC_BASE] = { "HALT", halt, PVM_SERVE_NOT },
};

#define HYPERCALLS	(sizeof(hypercalls) / sizeof(hypercalls[0]))

static enum pvm_action on_syscall(struct pvm_vcpu *vcpu)
{
	uint64_t nr = vcpu->gpr[PVM_RAX] - STUB_HC_BASE;

	vcpu->gpr[PVM_RCX] = vcpu->gpr[PVM_R10];
	if (nr < HYPERCALLS && hypercalls[nr].handler)
		return hypercalls[nr].handler(vcpu);
	return nr < STUB_HC_NUMBERS ? pvm_hypercall_done(vcpu, STUB_NO_FUNCTION) : pvm_hypercall_other(vcpu);
}

/* ------------------------------------------------------------------------
 * Events.
 */

static enum pvm_action deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	shared(vcpu)->vector = vector;
	shared(vcpu)->error_code = error_code;
	shared(vcpu)->rip = vcpu->rip;
	vcpu->rip = vcpu->msr.event_entry;
	vcpu->halted = false;
	return PVM_ACT_RESUME;
}

static bool interrupt_flag(const struct pvm_vcpu *vcpu)
{
	return vcpu->pvcs && shared(vcpu)->interrupts;
}

/* ------------------------------------------------------------------------
 * Registers.
 */

static int msr_read(const struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	switch (index) {
	case STUB_MSR_SHARED:
		*value = vcpu->msr.vcpu_struct;
		return PVM_OK;
	case STUB_MSR_ENTRY:
		*value = vcpu->msr.event_entry;
		return PVM_OK;
	}
	return PVM_ENOENT;
}

static int msr_write(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	switch (index) {
	case STUB_MSR_SHARED:
		return pvm_pvcs_attach(vcpu, value);
	case STUB_MSR_ENTRY:
		return pvm_msr_write_entry(vcpu, &vcpu->msr.event_entry, value, 0);
	}
	return PVM_ENOENT;
}

static uint64_t other_cr3(const struct pvm_vcpu *vcpu)
{
	return vcpu->cr3;
}

const struct pvm_abi_ops pvm_abi_stub = {
	.name = "stub",
	.syscall = on_syscall,
	.hypercalls = hypercalls,
	.hypercall_count = HYPERCALLS,
	.hypercall_mask = STUB_ROWS - 1,
	.hypercall_base = STUB_HC_BASE,
	.hypercall_numbers = STUB_HC_NUMBERS,
	.deliver = deliver,
	.interrupt_flag = interrupt_flag,
	.pvcs_size = sizeof(struct stub_shared),
	.pvcs_align = _Alignof(struct stub_shared),
	.msr_base = STUB_MSR_SHARED,
	.msr_count = STUB_MSR_COUNT,
	.msr_read = msr_read,
	.msr_write = msr_write,
	.other_cr3 = other_cr3,
};
