/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The table of dialects. Owns data only: pvm_vm_config_check() refuses a
 * dialect that has no row here.
 */
#include "events/dialect.h"

const struct pvm_dialect pvm_dialects[] = {
	[PVM_ABI_DUAL_CR3] = {
		.event_flags = PVCS_EVENT_FLAGS,
		.event_errcode = PVCS_EVENT_ERRCODE,
		.event_vector = PVCS_EVENT_VECTOR,
		.cr2 = PVCS_CR2,
		.user_cs = PVCS_USER_CS,
		.user_ss = PVCS_USER_SS,
		.user_gsbase = PVCS_USER_GSBASE,
		.eflags = PVCS_EFLAGS,
		.pkru = PVCS_PKRU,
		.rip = PVCS_RIP,
		.rsp = PVCS_RSP,
		.rcx = PVCS_RCX,
		.r11 = PVCS_R11,
		.entry_user = PVM_ENTRY_USER,
		.entry_exception = PVM_ENTRY_SUPERVISOR_EXCEPTION,
		.entry_interrupt = PVM_ENTRY_SUPERVISOR_INTERRUPT,
		.switches_cr3 = true,
		.switches_rsp = true,
		.stack_frame = true,
	},
};
