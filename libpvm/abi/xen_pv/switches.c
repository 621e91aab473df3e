/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Xen PV for the switcher: direct.S, the tables that it leaves loaded, and where it enters the kernel. */
#include "abi/switches.h"
#include "abi/xen_pv/xen_pv.h"

#define NOWHERE	(1ull << 63)	/* not canonical */

_Static_assert(offsetof(struct pvm_xen_vcpu_info, pending) == 0 &&
	       offsetof(struct pvm_xen_vcpu_info, mask) == 1, "INFO_PENDING, INFO_MASK");

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
