/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Names of instructions for people. Owns strings only.
 */
#include <pvm/hypercall.h>

const char *pvm_insn_name(enum pvm_insn_op op)
{
	static const char *const names[PVM_INSN_OPS] = {
		[PVM_INSN_UNKNOWN] = "unknown instruction",
		[PVM_INSN_SYNTHETIC_CPUID] = "synthetic CPUID",
		[PVM_INSN_XEN_CPUID] = "Xen's CPUID",
		[PVM_INSN_CPUID] = "CPUID",
		[PVM_INSN_RDMSR] = "RDMSR",
		[PVM_INSN_WRMSR] = "WRMSR",
		[PVM_INSN_IN] = "IN",
		[PVM_INSN_OUT] = "OUT",
		[PVM_INSN_INS] = "INS",
		[PVM_INSN_OUTS] = "OUTS",
		[PVM_INSN_HLT] = "HLT",
		[PVM_INSN_CLI] = "CLI",
		[PVM_INSN_STI] = "STI",
		[PVM_INSN_INVLPG] = "INVLPG",
		[PVM_INSN_INVPCID] = "INVPCID",
		[PVM_INSN_MOV_TO_CR] = "MOV to CR",
		[PVM_INSN_MOV_FROM_CR] = "MOV from CR",
		[PVM_INSN_MOV_TO_DR] = "MOV to DR",
		[PVM_INSN_MOV_FROM_DR] = "MOV from DR",
		[PVM_INSN_CLTS] = "CLTS",
		[PVM_INSN_LMSW] = "LMSW",
		[PVM_INSN_LGDT] = "LGDT",
		[PVM_INSN_LIDT] = "LIDT",
		[PVM_INSN_LLDT] = "LLDT",
		[PVM_INSN_LTR] = "LTR",
		[PVM_INSN_SGDT] = "SGDT",
		[PVM_INSN_SIDT] = "SIDT",
		[PVM_INSN_SLDT] = "SLDT",
		[PVM_INSN_STR] = "STR",
		[PVM_INSN_SMSW] = "SMSW",
		[PVM_INSN_INT] = "INT n",
		[PVM_INSN_WBINVD] = "WBINVD",
		[PVM_INSN_XSETBV] = "XSETBV",
		[PVM_INSN_RDPMC] = "RDPMC",
		[PVM_INSN_SWAPGS] = "SWAPGS",
		[PVM_INSN_SYSRET] = "SYSRET",
		[PVM_INSN_SYSEXIT] = "SYSEXIT",
		[PVM_INSN_SYSENTER] = "SYSENTER",
		[PVM_INSN_STAC] = "STAC",
		[PVM_INSN_CLAC] = "CLAC",
		[PVM_INSN_SYSCALL32] = "32-bit SYSCALL",
	};

	return (unsigned)op < PVM_INSN_OPS ? names[op] : "no instruction";
}
