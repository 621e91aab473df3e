/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's own events, of the system kvm_pvm: one for each kind of record that the engine makes of its
 * work (<pvm/trace.h>), also of what the switcher answers and KVM does not hear of. Which VM: by the process
 * that made it, as its folder in debugfs is named; vcpu -1: none.
 *
 * For trace.c alone. define_trace.h includes it again and again.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm_pvm

#if !defined(PVM_KVM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PVM_KVM_TRACE_H

#include <linux/tracepoint.h>

#include <pvm/abi.h>
#include <pvm/host.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>
#include <pvm/trace.h>

/* Enumerators with names. Who reads the format of an event has their values from TRACE_DEFINE_ENUM(). */
#define PVM_KVM_FAULTS(row, last) \
	row(PVM_FAULT_FIXED, "fixed") \
	row(PVM_FAULT_INJECT, "inject") \
	row(PVM_FAULT_MMIO, "mmio") \
	row(PVM_FAULT_WOULD_BLOCK, "would_block") \
	last(PVM_FAULT_ERROR, "error")

#define PVM_KVM_FLUSHES(row, last) \
	row(PVM_FLUSH_GVA, "gva") \
	row(PVM_FLUSH_ROOT, "root") \
	last(PVM_FLUSH_ALL, "all")

#define PVM_KVM_SHUTDOWNS(row, last) \
	row(PVM_SHUTDOWN_NONE, "running") \
	row(PVM_SHUTDOWN_DOUBLE_FAULT, "double_fault") \
	row(PVM_SHUTDOWN_NO_PVCS, "no_pvcs") \
	row(PVM_SHUTDOWN_BAD_CR3, "bad_cr3") \
	row(PVM_SHUTDOWN_BAD_ENTRY, "bad_entry") \
	row(PVM_SHUTDOWN_BAD_STACK, "bad_stack") \
	last(PVM_SHUTDOWN_EVENT_LOCKED, "event_locked")

#define PVM_KVM_INSNS(row, last) \
	row(PVM_INSN_UNKNOWN, "unknown") \
	row(PVM_INSN_SYNTHETIC_CPUID, "synthetic_cpuid") \
	row(PVM_INSN_CPUID, "cpuid") \
	row(PVM_INSN_RDMSR, "rdmsr") \
	row(PVM_INSN_WRMSR, "wrmsr") \
	row(PVM_INSN_IN, "in") \
	row(PVM_INSN_OUT, "out") \
	row(PVM_INSN_INS, "ins") \
	row(PVM_INSN_OUTS, "outs") \
	row(PVM_INSN_HLT, "hlt") \
	row(PVM_INSN_CLI, "cli") \
	row(PVM_INSN_STI, "sti") \
	row(PVM_INSN_INVLPG, "invlpg") \
	row(PVM_INSN_INVPCID, "invpcid") \
	row(PVM_INSN_MOV_TO_CR, "mov_to_cr") \
	row(PVM_INSN_MOV_FROM_CR, "mov_from_cr") \
	row(PVM_INSN_MOV_TO_DR, "mov_to_dr") \
	row(PVM_INSN_MOV_FROM_DR, "mov_from_dr") \
	row(PVM_INSN_CLTS, "clts") \
	row(PVM_INSN_LMSW, "lmsw") \
	row(PVM_INSN_LGDT, "lgdt") \
	row(PVM_INSN_LIDT, "lidt") \
	row(PVM_INSN_LLDT, "lldt") \
	row(PVM_INSN_LTR, "ltr") \
	row(PVM_INSN_SGDT, "sgdt") \
	row(PVM_INSN_SIDT, "sidt") \
	row(PVM_INSN_SLDT, "sldt") \
	row(PVM_INSN_STR, "str") \
	row(PVM_INSN_SMSW, "smsw") \
	row(PVM_INSN_INT, "int") \
	row(PVM_INSN_WBINVD, "wbinvd") \
	row(PVM_INSN_XSETBV, "xsetbv") \
	row(PVM_INSN_RDPMC, "rdpmc") \
	row(PVM_INSN_SWAPGS, "swapgs") \
	row(PVM_INSN_SYSRET, "sysret") \
	row(PVM_INSN_SYSEXIT, "sysexit") \
	row(PVM_INSN_SYSENTER, "sysenter") \
	row(PVM_INSN_STAC, "stac") \
	row(PVM_INSN_CLAC, "clac") \
	last(PVM_INSN_SYSCALL32, "syscall32")

#define PVM_KVM_DEFINE(value, name)	TRACE_DEFINE_ENUM(value);
PVM_KVM_FAULTS(PVM_KVM_DEFINE, PVM_KVM_DEFINE)
PVM_KVM_FLUSHES(PVM_KVM_DEFINE, PVM_KVM_DEFINE)
PVM_KVM_SHUTDOWNS(PVM_KVM_DEFINE, PVM_KVM_DEFINE)
PVM_KVM_INSNS(PVM_KVM_DEFINE, PVM_KVM_DEFINE)

#define PVM_KVM_ROW(value, name)	{ value, name },
#define PVM_KVM_LAST(value, name)	{ value, name }
#define PVM_KVM_NAME(value, list)	__print_symbolic(value, list(PVM_KVM_ROW, PVM_KVM_LAST))

#define PVM_KVM_VECTOR_NAME(vector) __print_symbolic(vector, \
	{ PVM_VEC_DE, "#DE" }, { PVM_VEC_DB, "#DB" }, { PVM_VEC_NMI, "NMI" }, { PVM_VEC_BP, "#BP" }, \
	{ PVM_VEC_OF, "#OF" }, { PVM_VEC_BR, "#BR" }, { PVM_VEC_UD, "#UD" }, { PVM_VEC_NM, "#NM" }, \
	{ PVM_VEC_DF, "#DF" }, { PVM_VEC_TS, "#TS" }, { PVM_VEC_NP, "#NP" }, { PVM_VEC_SS, "#SS" }, \
	{ PVM_VEC_GP, "#GP" }, { PVM_VEC_PF, "#PF" }, { PVM_VEC_MF, "#MF" }, { PVM_VEC_AC, "#AC" }, \
	{ PVM_VEC_MC, "#MC" }, { PVM_VEC_XM, "#XM" }, { PVM_VEC_CP, "#CP" })

#define PVM_KVM_HYPERCALL_NAME(nr) __print_symbolic(nr, \
	{ PVM_HC_LOAD_PGTBL, "load_pgtbl" }, { PVM_HC_IRQ_WIN, "irq_win" }, { PVM_HC_IRQ_HLT, "irq_hlt" }, \
	{ PVM_HC_TLB_FLUSH, "tlb_flush" }, { PVM_HC_TLB_FLUSH_CURRENT, "tlb_flush_current" }, \
	{ PVM_HC_TLB_INVLPG, "tlb_invlpg" }, { PVM_HC_LOAD_GS, "load_gs" }, { PVM_HC_RDMSR, "rdmsr" }, \
	{ PVM_HC_WRMSR, "wrmsr" }, { PVM_HC_LOAD_TLS, "load_tls" })

#define PVM_KVM_ACCESS_NAME(code) __print_flags(code, "|", \
	{ PVM_PF_P, "present" }, { PVM_PF_W, "write" }, { PVM_PF_U, "user" }, { PVM_PF_RSVD, "reserved" }, \
	{ PVM_PF_I, "fetch" }, { PVM_PF_PK, "key" })

/* All have the same arguments. The engine makes records while one of them is on, and only then. */
#define PVM_KVM_EVENT(name, fields, assign, format...) \
	TRACE_EVENT_FN(name, \
		TP_PROTO(pid_t vm, const struct pvm_trace_record *record), \
		TP_ARGS(vm, record), \
		TP_STRUCT__entry(__field(pid_t, vm) __field(int, vcpu) fields), \
		TP_fast_assign(__entry->vm = vm; __entry->vcpu = record->vcpu; assign), \
		PVM_KVM_PRINT(format), \
		pvm_kvm_trace_on, pvm_kvm_trace_off)
#define PVM_KVM_PRINT(format, args...) \
	TP_printk("vm %d vcpu %d " format, __entry->vm, __entry->vcpu, args)

/* An event is delivered to the guest; rip: where it was. */
PVM_KVM_EVENT(pvm_event,
	__field(u32, vector) __field(u32, error_code) __field(bool, user) __field(u64, rip),
	__entry->vector = record->a;
	__entry->error_code = record->b;
	__entry->user = record->c;
	__entry->rip = record->d;,
	"vector %s error_code 0x%x from %s rip 0x%llx", PVM_KVM_VECTOR_NAME(__entry->vector),
	__entry->error_code, __entry->user ? "user" : "supervisor", __entry->rip)

/* A system call of a program's that could not go directly to the guest's kernel. */
PVM_KVM_EVENT(pvm_syscall,
	__field(u64, rip) __field(u64, nr),
	__entry->rip = record->a;
	__entry->nr = record->b;,
	"rip 0x%llx nr %llu", __entry->rip, __entry->nr)

/* EVENT_RETURN_USER and _SUPERVISOR that did not go directly. */
PVM_KVM_EVENT(pvm_return,
	__field(bool, user) __field(u64, rip),
	__entry->user = record->kind == PVM_TRACE_RETURN_USER;
	__entry->rip = record->a;,
	"to %s rip 0x%llx", __entry->user ? "user" : "supervisor", __entry->rip)

PVM_KVM_EVENT(pvm_hypercall,
	__field(u64, nr) __field(u64, a0) __field(u64, a1) __field(u64, a2),
	__entry->nr = record->a;
	__entry->a0 = record->b;
	__entry->a1 = record->c;
	__entry->a2 = record->d;,
	"nr %s args 0x%llx 0x%llx 0x%llx", PVM_KVM_HYPERCALL_NAME(__entry->nr), __entry->a0, __entry->a1,
	__entry->a2)

PVM_KVM_EVENT(pvm_hypercall_result,
	__field(u64, nr) __field(u64, result),
	__entry->nr = record->a;
	__entry->result = record->b;,
	"nr %s result 0x%llx", PVM_KVM_HYPERCALL_NAME(__entry->nr), __entry->result)

/* An instruction is emulated. */
PVM_KVM_EVENT(pvm_insn,
	__field(u32, op) __field(u64, rip),
	__entry->op = record->a;
	__entry->rip = record->b;,
	"op %s rip 0x%llx", PVM_KVM_NAME(__entry->op, PVM_KVM_INSNS), __entry->rip)

PVM_KVM_EVENT(pvm_msr,
	__field(u32, index) __field(u64, value) __field(bool, write),
	__entry->index = record->a;
	__entry->value = record->b;
	__entry->write = record->c;,
	"%s 0x%x value 0x%llx", __entry->write ? "write" : "read", __entry->index, __entry->value)

/* A #PF of the guest's, and what was done; injected: the error code of the one that the guest gets. */
PVM_KVM_EVENT(pvm_fault,
	__field(u64, gva) __field(u32, error_code) __field(u32, result) __field(u32, injected),
	__entry->gva = record->a;
	__entry->error_code = record->b;
	__entry->result = record->c;
	__entry->injected = record->d;,
	"gva 0x%llx error_code 0x%x (%s) result %s injected 0x%x", __entry->gva, __entry->error_code,
	PVM_KVM_ACCESS_NAME(__entry->error_code), PVM_KVM_NAME(__entry->result, PVM_KVM_FAULTS),
	__entry->injected)

/* A shadow entry is written. Level 1 is 4 KiB, 2 is 2 MiB, 3 is 1 GiB. */
PVM_KVM_EVENT(pvm_fill,
	__field(u64, gva) __field(u64, gpa) __field(u32, level) __field(u64, entry),
	__entry->gva = record->a;
	__entry->gpa = record->b;
	__entry->level = record->c;
	__entry->entry = record->d;,
	"gva 0x%llx gpa 0x%llx level %u entry 0x%llx", __entry->gva, __entry->gpa, __entry->level,
	__entry->entry)

/* root: the shadow table's address; what the scope does not name is -1. */
PVM_KVM_EVENT(pvm_flush,
	__field(u32, scope) __field(u64, gva) __field(u64, root),
	__entry->scope = record->a;
	__entry->gva = record->b;
	__entry->root = record->c;,
	"scope %s gva 0x%llx root 0x%llx", PVM_KVM_NAME(__entry->scope, PVM_KVM_FLUSHES), __entry->gva,
	__entry->root)

/* A triple fault. */
PVM_KVM_EVENT(pvm_shutdown,
	__field(u32, reason),
	__entry->reason = record->a;,
	"reason %s", PVM_KVM_NAME(__entry->reason, PVM_KVM_SHUTDOWNS))

/* A value of CR4 is refused, for these bits. */
PVM_KVM_EVENT(pvm_cr4,
	__field(u64, value) __field(u64, bits) __field(u64, rip),
	__entry->value = record->a;
	__entry->bits = record->b;
	__entry->rip = record->c;,
	"value 0x%llx bits 0x%llx rip 0x%llx", __entry->value, __entry->bits, __entry->rip)

#endif /* PVM_KVM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
