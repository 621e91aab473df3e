/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Dual CR3 for the switcher: direct.S, and the tables that it leaves loaded. */
#include "abi/switches.h"

static void take_tables(struct pvm_vcpu *vcpu, bool user_mode, uint64_t cr3, uint64_t other_cr3)
{
	vcpu->cr3 = user_mode ? other_cr3 : cr3;
	vcpu->msr.switch_cr3 = user_mode ? cr3 : other_cr3;
}

const struct pvm_abi_switches pvm_dual_cr3_switches = {
	.syscall = pvm_switcher_syscall_dual_cr3,
	.take_tables = take_tables,
};
