/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* From an ABI's number to its direct switches: registry.c's counterpart for the switcher. */
#include "abi/switches.h"
#include "switcher/area.h"

/* Of an ABI without any: nothing is left that take_tables() would have to take. */
static const struct pvm_abi_switches none = { .syscall = pvm_switcher_syscall_out };

#define ROW(number, folder) [number] = &pvm_##folder##_switches,

static const struct pvm_abi_switches *const switches[PVM_ABI_COUNT] = { PVM_ABI_DIRECT_LIST(ROW) };

const struct pvm_abi_switches *pvm_abi_switches_find(enum pvm_abi abi)
{
	return switches[abi] ? switches[abi] : &none;
}
