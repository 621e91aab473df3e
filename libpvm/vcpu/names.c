/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Names for people: of modes, vectors, shutdown reasons and trace kinds.
 * Owns strings only.
 */
#include <pvm/trace.h>
#include <pvm/vcpu.h>

const char *pvm_trace_kind_name(enum pvm_trace_kind kind)
{
	static const char *const names[PVM_TRACE_KINDS] = {
		[PVM_TRACE_EXIT] = "exit",
		[PVM_TRACE_EVENT] = "event",
		[PVM_TRACE_SYSCALL] = "syscall",
		[PVM_TRACE_RETURN_USER] = "return_user",
		[PVM_TRACE_RETURN_SUPERVISOR] = "return_supervisor",
		[PVM_TRACE_HYPERCALL] = "hypercall",
		[PVM_TRACE_HYPERCALL_RESULT] = "hypercall_result",
		[PVM_TRACE_INSN] = "instruction",
		[PVM_TRACE_MSR] = "msr",
		[PVM_TRACE_FAULT] = "fault",
		[PVM_TRACE_FILL] = "fill",
		[PVM_TRACE_FLUSH] = "flush",
		[PVM_TRACE_SHUTDOWN] = "shutdown",
	};

	return (unsigned)kind < PVM_TRACE_KINDS ? names[kind] : "unknown";
}

const char *pvm_shutdown_name(enum pvm_shutdown reason)
{
	static const char *const names[PVM_SHUTDOWN_COUNT] = {
		[PVM_SHUTDOWN_NONE] = "running",
		[PVM_SHUTDOWN_DOUBLE_FAULT] = "double fault",
		[PVM_SHUTDOWN_NO_PVCS] = "event without a PVCS",
		[PVM_SHUTDOWN_BAD_CR3] = "page table root outside guest memory",
		[PVM_SHUTDOWN_BAD_ENTRY] = "entry point outside the legal address ranges",
		[PVM_SHUTDOWN_BAD_STACK] = "unreadable supervisor return frame",
		[PVM_SHUTDOWN_EVENT_LOCKED] = "event while the PVCS was locked",
	};

	return (unsigned)reason < PVM_SHUTDOWN_COUNT ? names[reason] : "unknown";
}

const char *pvm_mode_name(enum pvm_mode mode)
{
	switch (mode) {
	case PVM_MODE_SUPERVISOR:
		return "supervisor";
	case PVM_MODE_USER64:
		return "user";
	case PVM_MODE_USER32:
		return "user32";
	}
	return "unknown";
}

const char *pvm_vector_name(unsigned vector)
{
	static const char *const names[PVM_VEC_EXCEPTIONS] = {
		[PVM_VEC_DE] = "#DE", [PVM_VEC_DB] = "#DB", [PVM_VEC_NMI] = "NMI", [PVM_VEC_BP] = "#BP",
		[PVM_VEC_OF] = "#OF", [PVM_VEC_BR] = "#BR", [PVM_VEC_UD] = "#UD", [PVM_VEC_NM] = "#NM",
		[PVM_VEC_DF] = "#DF", [PVM_VEC_TS] = "#TS", [PVM_VEC_NP] = "#NP", [PVM_VEC_SS] = "#SS",
		[PVM_VEC_GP] = "#GP", [PVM_VEC_PF] = "#PF", [PVM_VEC_MF] = "#MF", [PVM_VEC_AC] = "#AC",
		[PVM_VEC_MC] = "#MC", [PVM_VEC_XM] = "#XM", [PVM_VEC_CP] = "#CP",
	};

	if (vector == PVM_VEC_SYSCALL32)
		return "INT 0x80";
	if (vector >= PVM_VEC_EXCEPTIONS)
		return vector < 256 ? "interrupt" : "no vector";
	return names[vector] ? names[vector] : "reserved exception";
}

const char *pvm_version(void)
{
	return PVM_VERSION;
}
