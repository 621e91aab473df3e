/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The table of kinds. Its order is that of the harness's output. */
#include "transitions_kinds.h"

const struct transition transitions[] = {
	{ "user SYSCALL, EVENT_RETURN_USER by SYSRET", syscall_return_sysret },
	{ "user SYSCALL, EVENT_RETURN_USER by IRET", syscall_return_iret },
	{ "hypercall in the engine", hypercall_engine },
	{ "hypercall without a function", hypercall_null },
	{ "hypercall that nobody knows", hypercall_unknown },
	{ "LOAD_PGTBL", load_pgtbl },
	{ "LOAD_PGTBL of each pair", load_all_pairs },
	{ "LOAD_PGTBL with a flush", load_pgtbl_flush },
	{ "LOAD_PGTBL, then user mode", load_pgtbl_then_user },
#if SINGLE_CR3
	{ "exception in supervisor mode, a return of its own", exception_supervisor },
	{ "exception in supervisor mode, EVENT_RETURN_SUPERVISOR", return_supervisor },
#else
	{ "exception in supervisor mode, EVENT_RETURN_SUPERVISOR", exception_supervisor },
	{ "EVENT_RETURN_SUPERVISOR with IP set", return_supervisor_ip },
	{ "EVENT_RETURN_SUPERVISOR to no address", return_supervisor_no_address },
	{ "EVENT_RETURN_SUPERVISOR from a frame that cannot be read", return_supervisor_unreadable },
	{ "EVENT_RETURN_SUPERVISOR from a frame in the upper half", return_supervisor_upper },
#endif
	{ "INT3 in supervisor mode", breakpoint_supervisor },
	{ "exception in user mode", exception_user },
	{ "INT3 in user mode", breakpoint_user },
	{ "fill in user mode", fill_user },
	{ "fill in supervisor mode", fill_supervisor },
	{ "page fault in user mode that the guest answers", page_fault_user },
	{ "INVLPG of an entry that is gone", invlpg_cleared },
	{ "interrupt in user mode", interrupt_user },
	{ "interrupt in supervisor mode", interrupt_supervisor },
	{ "interrupt that waits for the return to user mode", interrupt_pending },
	{ "NMI to itself", nmi_self },
	{ "EVENT_RETURN_USER with IP set", return_user_ip },
	{ "EVENT_RETURN_USER that is refused", return_refused },
	{ "EVENT_RETURN_USER to no canonical address", return_not_canonical },
	{ "32-bit user mode, INT 0x80", compat_int80 },
	{ "32-bit user mode, SYSCALL", compat_syscall },
	{ "64-bit user mode, INT 0x80", int80_64 },
	{ "single-step in user mode", step_user },
	{ "breakpoint in user mode", breakpoint_armed },
	{ "instruction that traps in supervisor mode", emulated_instruction },
	{ "data segments of its own", data_segments },
#if SINGLE_CR3
	{ "EVENT_RETURN_USER for which an NMI waits", return_user_nmi },
#else
	{ "LOAD_PGTBL of halves of different pairs", load_mixed_pairs },
#endif
};
const u64 transitions_count = array_size(transitions);

void transitions_init(void)
{
	check_init();
	supervisor_init();
	user_kinds_init();
	interrupt_init();
	spaces_init();
}
