/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * libpvm/abi/list.h with a third ABI: all that changes where one is added. It takes the number
 * of the dialect that is not built, and has no direct switches.
 */
#define PVM_ABI_LIST(ROW) \
	ROW(PVM_ABI_DUAL_CR3, dual_cr3) \
	ROW(PVM_ABI_SINGLE_CR3, single_cr3) \
	ROW(PVM_ABI_LOWER_HALF, stub)

#define PVM_ABI_DIRECT_LIST(ROW) \
	ROW(PVM_ABI_DUAL_CR3, dual_cr3) \
	ROW(PVM_ABI_SINGLE_CR3, single_cr3)
