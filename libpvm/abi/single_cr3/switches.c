/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Single CR3 for the switcher: direct.S, and the table that it leaves loaded. */
#include "abi/switches.h"

static void take_tables(struct pvm_vcpu *vcpu, bool user_mode, uint64_t cr3, uint64_t other_cr3)
{
	(void)user_mode;
	(void)other_cr3;	/* the same */
	vcpu->cr3 = cr3;
}

const struct pvm_abi_switches pvm_single_cr3_switches = {
	.syscall = pvm_switcher_syscall_single_cr3,
	.take_tables = take_tables,
};
