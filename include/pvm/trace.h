/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the engine tells a host about its work: one small record per exit,
 * event, hypercall, fault, fill and flush. The host stamps the time.
 *
 * Owns the vocabulary only. Recording costs one test of a pointer when the
 * host has no trace sink.
 */
#ifndef PVM_TRACE_H
#define PVM_TRACE_H

#include <pvm/types.h>

enum pvm_trace_kind {
	PVM_TRACE_EXIT,			/* a: exit reason of the backend, b: rip */
	PVM_TRACE_EVENT,		/* a: vector, b: error code, c: 1 from user mode, d: old rip */
	PVM_TRACE_SYSCALL,		/* a: rip, b: rax: a user SYSCALL */
	PVM_TRACE_RETURN_USER,		/* a: new rip */
	PVM_TRACE_RETURN_SUPERVISOR,	/* a: new rip */
	PVM_TRACE_HYPERCALL,		/* a: number, b..d: the first three arguments */
	PVM_TRACE_HYPERCALL_RESULT,	/* a: number, b: result */
	PVM_TRACE_INSN,			/* a: enum pvm_insn_op, b: rip: an emulated instruction */
	PVM_TRACE_MSR,			/* a: index, b: value, c: 1 for a write */
	PVM_TRACE_FAULT,		/* a: gva, b: error code, c: enum pvm_fault, d: injected code */
	PVM_TRACE_FILL,			/* a: gva, b: gpa, c: level, d: shadow entry */
	PVM_TRACE_FLUSH,		/* a: enum pvm_flush_scope, b: gva or ~0, c: root hpa or ~0 */
	PVM_TRACE_SHUTDOWN,		/* a: enum pvm_shutdown */
	PVM_TRACE_CR4,			/* a: value refused, b: the bits at fault, c: rip */
	PVM_TRACE_KINDS
};

struct pvm_trace_record {
	enum pvm_trace_kind kind;
	uint32_t vcpu;			/* id, or ~0 when no vCPU is concerned */
	uint64_t a, b, c, d;
};

/**
 * pvm_trace_kind_name - the name of a kind, for people ("fill", "hypercall").
 * @kind: any value.
 *
 * Returns a static string; "unknown" for a value that is no kind.
 */
PVM_API const char *pvm_trace_kind_name(enum pvm_trace_kind kind);

#endif /* PVM_TRACE_H */
