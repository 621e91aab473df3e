/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The guest ABIs that are built: the one place of libpvm that lists them. */
#include "abi/abi.h"

const struct pvm_abi_ops *pvm_abi_find(enum pvm_abi abi)
{
	switch (abi) {
	case PVM_ABI_DUAL_CR3:
		return &pvm_abi_dual_cr3;
	case PVM_ABI_SINGLE_CR3:
		return &pvm_abi_single_cr3;
	case PVM_ABI_LOWER_HALF:
	case PVM_ABI_COUNT:
		break;
	}
	return NULL;
}

const char *pvm_abi_name(enum pvm_abi abi)
{
	const struct pvm_abi_ops *ops = pvm_abi_find(abi);

	return ops ? ops->name : NULL;
}

const char *pvm_hypercall_name(enum pvm_abi abi, uint64_t nr)
{
	const struct pvm_abi_ops *ops = pvm_abi_find(abi);

	if (!ops || nr - ops->hypercall_base >= ops->hypercall_count)
		return NULL;
	return ops->hypercalls[nr - ops->hypercall_base].name;
}
