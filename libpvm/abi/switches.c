/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The direct switches that are built; registry.c's counterpart for the switcher. */
#include "abi/switches.h"

const struct pvm_abi_switches *pvm_abi_switches_find(enum pvm_abi abi)
{
	switch (abi) {
	case PVM_ABI_DUAL_CR3:
		return &pvm_dual_cr3_switches;
	case PVM_ABI_SINGLE_CR3:
		return &pvm_single_cr3_switches;
	case PVM_ABI_LOWER_HALF:
	case PVM_ABI_COUNT:
		break;
	}
	return NULL;
}
