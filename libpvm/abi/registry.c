/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* From an ABI's number to its operations, and the names of both. list.h has the rows. */
#include "abi/abi.h"

#define ROW(number, folder) [number] = &pvm_abi_##folder,

static const struct pvm_abi_ops *const abis[PVM_ABI_COUNT] = { PVM_ABI_LIST(ROW) };

const struct pvm_abi_ops *pvm_abi_find(enum pvm_abi abi)
{
	return (unsigned)abi < PVM_ABI_COUNT ? abis[abi] : NULL;
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
