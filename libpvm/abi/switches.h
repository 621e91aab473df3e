/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the switcher asks of a guest ABI: where SYSCALL goes while its guests run, and what
 * the direct switches there have done. Apart from struct pvm_abi_ops, so that a host
 * without the switcher does not link its assembly.
 */
#ifndef PVM_ABI_SWITCHES_H
#define PVM_ABI_SWITCHES_H

#include <pvm/vcpu.h>

#include "abi/list.h"

#pragma GCC visibility push(hidden)

struct pvm_abi_switches {
	/* In the switcher's text: abi/NAME/direct.S. */
	const char *syscall;
	/* The direct switches have left the vCPU in @user_mode, with the pair of root tables
	 * @cr3 (of supervisor mode) and @other_cr3 (of user mode). Called only if they did. */
	void (*take_tables)(struct pvm_vcpu *vcpu, bool user_mode, uint64_t cr3, uint64_t other_cr3);
	/* Where the user's SYSCALL enters the supervisor; an address that is not legal: not directly.
	 * NULL: LSTAR. What changes it counts in pvm_vcpu::state_gen. */
	uint64_t (*entry)(const struct pvm_vcpu *vcpu);
};

/* Those of a guest ABI that is built; never NULL: without any, every SYSCALL is an exit.
 * switches.c */
const struct pvm_abi_switches *pvm_abi_switches_find(enum pvm_abi abi);

#define PVM_DECLARE_SWITCHES(number, folder)				\
	extern const struct pvm_abi_switches pvm_##folder##_switches;	\
	extern const char pvm_switcher_syscall_##folder[];
PVM_ABI_DIRECT_LIST(PVM_DECLARE_SWITCHES)
#undef PVM_DECLARE_SWITCHES

#pragma GCC visibility pop

#endif /* PVM_ABI_SWITCHES_H */
