/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Xen PV for the switcher: direct.S, the tables that it leaves loaded, and where it enters the kernel. */
#include "abi/switches.h"
#include "abi/xen_pv/direct.h"
#include "abi/xen_pv/xen_pv.h"

#define NOWHERE	(1ull << 63)	/* not canonical */

_Static_assert(XEN_STACK_SWITCH == PVM_XEN_STACK_SWITCH && XEN_XEN_VERSION == PVM_XEN_XEN_VERSION &&
	       XEN_IRET == PVM_XEN_IRET && XEN_SET_SEGMENT_BASE == PVM_XEN_SET_SEGMENT_BASE &&
	       XEN_SEGBASE_GS_KERNEL == PVM_XEN_SEGBASE_GS_KERNEL && XEN_VERSION == PVM_XEN_VERSION &&
	       XEN_INFO_PENDING == offsetof(struct pvm_xen_vcpu_info, pending) &&
	       XEN_INFO_MASK == offsetof(struct pvm_xen_vcpu_info, mask), "direct.h has them right");

static void take_tables(struct pvm_vcpu *vcpu, bool user_mode, uint64_t cr3, uint64_t other_cr3)
{
	vcpu->cr3 = user_mode ? other_cr3 : cr3;
	vcpu->msr.switch_cr3 = user_mode ? cr3 : other_cr3;
}

static uint64_t entry(const struct pvm_vcpu *vcpu)
{
	uint64_t address = xen_vcpu(vcpu)->callback[PVM_XEN_CALLBACK_SYSCALL].address;

	return address ? address : NOWHERE;
}

const struct pvm_abi_switches pvm_xen_pv_switches = {
	.syscall = pvm_switcher_syscall_xen_pv,
	.take_tables = take_tables,
	.entry = entry,
};
