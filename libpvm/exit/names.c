/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Names of exits for people. Owns strings only. */
#include <pvm/exit.h>

const char *pvm_exit_name(enum pvm_exit_kind kind)
{
	static const char *const names[PVM_EXIT_KINDS] = {
		[PVM_EXIT_KICK] = "KICK",
		[PVM_EXIT_SYSCALL] = "SYSCALL",
		[PVM_EXIT_SYSCALL32] = "SYSCALL32",
		[PVM_EXIT_EXCEPTION] = "exception",
		[PVM_EXIT_SOFTWARE] = "software interrupt",
		[PVM_EXIT_INSN] = "instruction",
		[PVM_EXIT_INTERRUPT] = "host interrupt",
		[PVM_EXIT_ACTION] = "action",
		[PVM_EXIT_DEAD] = "DEAD",
		[PVM_EXIT_FAILED] = "FAILED",
	};

	return (unsigned)kind < PVM_EXIT_KINDS ? names[kind] : "unknown";
}
