/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest ABIs that are built. A folder of libpvm/abi/ gets into the engine here and
 * nowhere else; its number is in enum pvm_abi, which ELF notes of guests name too.
 *
 * For C two lists, each of rows ROW(number, folder). For assembly the direct switches
 * themselves, in the place where switcher/entry.S includes this file.
 */
#ifdef __ASSEMBLER__

#include "abi/xen_pv/direct.S"
#include "abi/single_cr3/direct.S"
#include "abi/dual_cr3/direct.S"	/* last: its user's SYSCALL falls through to tails.S */

/* Where these read and write frames on the guest's stack: \within NAME, REFUSED for pvm_switcher_NAME to
 * pvm_switcher_NAME_end, and pvm_switcher_REFUSED to go on when that faults. \marked: with labels. */
.macro ABI_FRAMES within marked
	\within frame_read, return_refused
	.ifnb \marked
xen_frame_refused:
	.endif
	\within xen_frame_read, xen_iret_refused
	\within xen_frame_write, xen_syscall_refused
.endm

#else

/* With a struct pvm_abi_ops: pvm_abi_FOLDER. */
#define PVM_ABI_LIST(ROW) \
	ROW(PVM_ABI_DUAL_CR3, dual_cr3) \
	ROW(PVM_ABI_SINGLE_CR3, single_cr3) \
	ROW(PVM_ABI_XEN_PV, xen_pv)

/* Those with direct switches: a struct pvm_abi_switches, pvm_FOLDER_switches, and an
 * entry, pvm_switcher_syscall_FOLDER. With the others every SYSCALL is an exit. */
#define PVM_ABI_DIRECT_LIST(ROW) \
	ROW(PVM_ABI_DUAL_CR3, dual_cr3) \
	ROW(PVM_ABI_SINGLE_CR3, single_cr3) \
	ROW(PVM_ABI_XEN_PV, xen_pv)

#endif
