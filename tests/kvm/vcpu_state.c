/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What of a vCPU there is to get and set, and in which order. */
#include "vcpu_state.h"

#include <string.h>
#include <sys/ioctl.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/vcpu.h>
#include <pvm/x86.h>

/* The TSC's deadline comes after the local APIC, which it belongs to. */
static const uint32_t msr_list[VCPU_STATE_MSRS] = {
	PVM_MSR_STAR, PVM_MSR_LSTAR, PVM_MSR_CSTAR, PVM_MSR_SYSCALL_MASK, PVM_MSR_KERNEL_GS_BASE,
	PVM_MSR_IA32_SYSENTER_CS, PVM_MSR_IA32_SYSENTER_ESP, PVM_MSR_IA32_SYSENTER_EIP, PVM_MSR_IA32_PAT,
	PVM_MSR_IA32_PKRS, PVM_MSR_TSC_AUX, MSR_PVM_LINEAR_ADDRESS_RANGE, MSR_PVM_VCPU_STRUCT,
	MSR_PVM_SUPERVISOR_RSP, MSR_PVM_SUPERVISOR_REDZONE, MSR_PVM_EVENT_ENTRY, MSR_PVM_RETU_RIP,
	MSR_PVM_RETS_RIP, MSR_PVM_SWITCH_CR3, PVM_KVM_MSR_TLS0, PVM_KVM_MSR_TLS0 + 1,
	PVM_KVM_MSR_TLS0 + 2, PVM_KVM_MSR_VCPU, PVM_KVM_MSR_EVENT, PVM_MSR_IA32_TSC_DEADLINE,
};

/* Those that a dialect does not have, or the CPU, are left out. */
static void get_msrs(int vcpu, struct vcpu_state *s)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1 };
	unsigned i;

	for (i = 0; i < VCPU_STATE_MSRS; i++) {
		one.entry.index = msr_list[i];
		if (ioctl(vcpu, KVM_GET_MSRS, &one) == 1)
			s->msrs.entry[s->msrs.head.nmsrs++] = one.entry;
	}
}

void vcpu_state_get(int vcpu, struct vcpu_state *s)
{
	memset(s, 0, sizeof(*s));
	ASK(vcpu, KVM_GET_REGS, &s->regs);
	ASK(vcpu, KVM_GET_SREGS, &s->sregs);
	ASK(vcpu, KVM_GET_VCPU_EVENTS, &s->events);
	ASK(vcpu, KVM_GET_DEBUGREGS, &s->debugregs);
	ASK(vcpu, KVM_GET_LAPIC, &s->lapic);
	ASK(vcpu, KVM_GET_MP_STATE, &s->mp);
	ASK(vcpu, KVM_GET_XSAVE, &s->xsave);
	ASK(vcpu, KVM_GET_XCRS, &s->xcrs);
	get_msrs(vcpu, s);
}

void vcpu_state_set(int vcpu, struct vcpu_state *s)
{
	int set;

	ASK(vcpu, KVM_SET_XCRS, &s->xcrs);
	ASK(vcpu, KVM_SET_XSAVE, &s->xsave);
	ASK(vcpu, KVM_SET_SREGS, &s->sregs);
	ASK(vcpu, KVM_SET_LAPIC, &s->lapic);
	set = ASK(vcpu, KVM_SET_MSRS, &s->msrs);
	if (set != (int)s->msrs.head.nmsrs)
		machine_die("MSR 0x%x is refused: 0x%llx", s->msrs.entry[set].index, s->msrs.entry[set].data);
	ASK(vcpu, KVM_SET_REGS, &s->regs);
	ASK(vcpu, KVM_SET_DEBUGREGS, &s->debugregs);
	ASK(vcpu, KVM_SET_VCPU_EVENTS, &s->events);
	ASK(vcpu, KVM_SET_MP_STATE, &s->mp);
}
