/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fuzz target: EVENT_RETURN_USER with any PVCS, EVENT_RETURN_SUPERVISOR with
 * any frame on any stack.
 */
#include <string.h>

#include "host.h"

static void return_user(struct fuzz_host *h, struct fuzz_input *in)
{
	struct pvm_vcpu *vcpu = &h->vcpu;
	uint64_t cr3 = vcpu->cr3, switch_cr3 = vcpu->msr.switch_cr3;
	enum pvm_action action;

	if (vcpu->pvcs) {
		dual_pvcs(vcpu)->user_cs = fuzz_u8(in) & 0xf ? 0x33 - (fuzz_u8(in) & 0x10) : fuzz_u16(in);
		dual_pvcs(vcpu)->user_ss = fuzz_u8(in) & 0xf ? 0x2b : fuzz_u16(in);
		dual_pvcs(vcpu)->rip = fuzz_value(in);
		dual_pvcs(vcpu)->eflags = (uint32_t)fuzz_value(in);
		dual_pvcs(vcpu)->user_gsbase = fuzz_value(in);
	}
	action = pvm_event_return_user(vcpu);
	fuzz_check(h, action);
	if (vcpu->user_mode) {
		fuzz_require(vcpu->seg[PVM_CS] == 0x33 || vcpu->seg[PVM_CS] == 0x23, "S4: CS is one of two");
		fuzz_require(vcpu->seg[PVM_SS] == 0x2b, "S4: SS is __USER_DS");
		fuzz_require(vcpu->cr3 == switch_cr3 && vcpu->msr.switch_cr3 == cr3,
			     "CR3 and MSR_PVM_SWITCH_CR3 have changed places");
		fuzz_require(!h->vm.config.host_pke || vcpu->pkru == dual_pvcs(vcpu)->pkru, "S11: the user's PKRU");
		fuzz_require(!(dual_pvcs(vcpu)->event_flags & PVM_EVENT_FLAGS_IP), "IP is clear");
		fuzz_require(!vcpu->nmi_masked, "NMIs are unmasked");
	} else if (action == PVM_ACT_RESUME) {
		fuzz_require(pvm_legal_address(vcpu, pvm_gva(vcpu->rip)), "M7: entry points are legal");
	}
}

static void return_supervisor(struct fuzz_host *h, struct fuzz_input *in)
{
	struct pvm_vcpu *vcpu = &h->vcpu;
	struct pvm_supervisor_frame frame;
	uint64_t rsp = vcpu->gpr[PVM_RSP];

	fuzz_bytes(in, &frame, sizeof(frame));
	frame.rip = fuzz_value(in);
	if (rsp < FUZZ_HOLE - sizeof(frame))
		memcpy(h->host.memory + rsp, &frame, sizeof(frame));
	fuzz_check(h, pvm_event_return_supervisor(vcpu));
	fuzz_require(!vcpu->user_mode, "EVENT_RETURN_SUPERVISOR stays in supervisor mode");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fuzz_host h;

	fuzz_host_init(&h, &in);
	fuzz_vcpu(&h, &in);
	if (!h.vcpu.user_mode) {
		if (fuzz_u8(&in) & 1)
			return_user(&h, &in);
		else
			return_supervisor(&h, &in);
	}
	fuzz_host_fini(&h);
	return 0;
}
