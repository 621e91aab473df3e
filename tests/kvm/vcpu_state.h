/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * All that KVM's ioctls give of a vCPU, for another one. An ioctl that fails ends the program, and so does
 * an MSR that is refused.
 */
#ifndef KVM_VCPU_STATE_H
#define KVM_VCPU_STATE_H

#include "machine.h"

#define VCPU_STATE_MSRS	25

struct vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[VCPU_STATE_MSRS];
	} msrs;
};

void vcpu_state_get(int vcpu, struct vcpu_state *s);
void vcpu_state_set(int vcpu, struct vcpu_state *s);

#endif /* KVM_VCPU_STATE_H */
