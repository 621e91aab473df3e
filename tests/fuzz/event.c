/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fuzz target: vector events, interrupts, NMIs and #DB in any state.
 */
#include "host.h"

static enum pvm_action one_event(struct pvm_vcpu *vcpu, struct fuzz_input *in)
{
	uint8_t vector = fuzz_u8(in);
	bool delivered, allowed;
	enum pvm_action action;

	switch (fuzz_u8(in) % 8) {
	case 0:
		allowed = pvm_event_interrupt_allowed(vcpu);
		action = pvm_event_interrupt(vcpu, vector, &delivered);
		fuzz_require(delivered == (allowed && vector >= PVM_VEC_APIC_FIRST),
			     "an interrupt is delivered when, and only when, it is allowed");
		return action;
	case 1:
		return pvm_event_nmi(vcpu);
	case 2:
		return pvm_event_debug(vcpu, fuzz_u64(in));
	case 3:
		return pvm_event_pf(vcpu, pvm_gva(fuzz_value(in)), fuzz_u32(in));
	case 4:
		if (vcpu->user_mode)
			return pvm_event_user_syscall(vcpu);
		pvm_event_set_if(vcpu, vector & 1);
		return PVM_ACT_RESUME;
	case 5:
		if (!vcpu->user_mode)
			return pvm_event_irq_halt(vcpu);
		return PVM_ACT_RESUME;
	default:
		return pvm_event_deliver(vcpu, vector, fuzz_u32(in));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fuzz_host h;
	unsigned i;

	fuzz_host_init(&h, &in);
	fuzz_vcpu(&h, &in);
	for (i = 0; i < 16 && in.left; i++) {
		bool was_user = h.vcpu.user_mode;
		uint64_t rip = h.vcpu.rip;
		enum pvm_action action = one_event(&h.vcpu, &in);

		fuzz_check(&h, action);
		fuzz_require(action == PVM_ACT_RESUME || action == PVM_ACT_HALT ||
			     action == PVM_ACT_SHUTDOWN || action == PVM_ACT_ERROR, "actions of an event");
		fuzz_require(!h.vcpu.nmi_pending || h.vcpu.nmi_masked, "an NMI waits only while NMIs are masked");
		fuzz_require(!h.vcpu.user_mode || was_user, "an event never enters user mode");
		if (action == PVM_ACT_SHUTDOWN) {
			fuzz_require(h.vcpu.request.shutdown.reason != PVM_SHUTDOWN_NONE, "a shutdown has a reason");
			break;
		}
		if (action == PVM_ACT_RESUME && h.vcpu.rip != rip)
			fuzz_require(pvm_legal_address(&h.vcpu, pvm_gva(h.vcpu.rip)), "M7: entry points are legal");
	}
	fuzz_host_fini(&h);
	return 0;
}
