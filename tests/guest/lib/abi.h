/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The dialect of the ABI that this guest is built for, GUEST_SINGLE_CR3 or dual
 * CR3: everything that the rest of the library and the guests need to know of the
 * difference. Numbers and names only; from assembly, too.
 */
#ifndef GUEST_ABI_H
#define GUEST_ABI_H

#include <pvm/abi.h>

#ifdef GUEST_SINGLE_CR3

#define SINGLE_CR3 1
#define DUAL_OR_SINGLE(dual, single) single
#define OF_PVCS(field) PVM_SC_PVCS_##field
#define guest_pvcs pvm_sc_vcpu_struct
#define ENTRY_SUPERVISOR_EXCEPTION PVM_SC_ENTRY_SUPERVISOR
#define ENTRY_SUPERVISOR_INTERRUPT PVM_SC_ENTRY_SUPERVISOR

#else

#define SINGLE_CR3 0
#define DUAL_OR_SINGLE(dual, single) dual
#define OF_PVCS(field) PVCS_##field
#define guest_pvcs pvm_vcpu_struct
#define ENTRY_SUPERVISOR_EXCEPTION PVM_ENTRY_SUPERVISOR_EXCEPTION
#define ENTRY_SUPERVISOR_INTERRUPT PVM_ENTRY_SUPERVISOR_INTERRUPT

#endif

/* Of the ELF note: enum pvm_abi, whose names are the hypervisor's. */
#define GUEST_ABI_NUMBER DUAL_OR_SINGLE(0, 1)

/* Where an event leaves RSP alone, its entry goes below what the interrupted code
 * may have there: 128 bytes of its own, and 8 of a return that is under way. */
#define RED_ZONE	128
#define RETURN_SLOT	(RED_ZONE + 8)
#define ENTRY_STEP	256

#endif /* GUEST_ABI_H */
