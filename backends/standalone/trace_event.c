/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What each event of a trace is called and shows. Addresses and raw values are
 * strings in hexadecimal (JSON numbers lose bits above 2^53), small counts are
 * numbers. Owns no state.
 */
#include "trace_event.h"

#include <inttypes.h>
#include <stdio.h>

#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "monitor.h"
#include "trace.h"

static void add_hex(cJSON *args, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	cJSON_AddStringToObject(args, name, text);
}

/* An address, left out if it is "none". */
static void add_address(cJSON *args, const char *name, uint64_t value)
{
	if (value != PVM_INVALID_ADDR)
		add_hex(args, name, value);
}

/* "write user present": the bits of a #PF error code in words. */
static void add_access(cJSON *args, uint64_t error_code)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s%s%s%s",
		 error_code & PVM_PF_I ? "execute" : error_code & PVM_PF_W ? "write" : "read",
		 error_code & PVM_PF_U ? ", user" : "", error_code & PVM_PF_P ? ", present" : "",
		 error_code & PVM_PF_RSVD ? ", reserved bit" : "", error_code & PVM_PF_PK ? ", key" : "");
	cJSON_AddStringToObject(args, "access", text);
}

/* An event with its args, which the caller fills; *args is NULL without memory. */
static cJSON *new_event(const char *phase, const char *category, const char *name, uint64_t tid,
			double time, cJSON **args)
{
	cJSON *event = cJSON_CreateObject();

	cJSON_AddStringToObject(event, "name", name);
	cJSON_AddStringToObject(event, "cat", category);
	cJSON_AddStringToObject(event, "ph", phase);
	cJSON_AddNumberToObject(event, "ts", time);
	cJSON_AddNumberToObject(event, "pid", TRACE_PID);
	cJSON_AddNumberToObject(event, "tid", (double)tid);
	*args = cJSON_AddObjectToObject(event, "args");
	return event;
}

static cJSON *new_metadata(const char *what, uint64_t tid, const char *name)
{
	cJSON *args, *event = new_event("M", "__metadata", what, tid, 0, &args);

	cJSON_AddStringToObject(args, "name", name);
	return event;
}

cJSON *trace_event_process(const char *name)
{
	return new_metadata("process_name", TRACE_TID_FIRST_VCPU, name);
}

cJSON *trace_event_thread(uint64_t tid, const char *name)
{
	return new_metadata("thread_name", tid, name);
}

cJSON *trace_event_guest(uint64_t tid, double begin, double duration, enum pvm_mode mode,
			 uint64_t rip)
{
	char name[32];
	cJSON *args, *event;

	snprintf(name, sizeof(name), "guest %s", pvm_mode_name(mode));
	event = new_event("X", "guest", name, tid, begin, &args);
	cJSON_AddNumberToObject(event, "dur", duration);
	add_hex(args, "rip", rip);
	return event;
}

cJSON *trace_event_monitor(uint64_t tid, double begin, double duration,
			   const struct pvm_trace_record *exit)
{
	bool exception = exit->a == PVM_EXIT_EXCEPTION || exit->a == PVM_EXIT_INSN;
	char name[64];
	cJSON *args, *event;

	snprintf(name, sizeof(name), "exit %s",
		 exit->a == PVM_EXIT_EXCEPTION ? pvm_vector_name((unsigned)exit->c) :
						   pvm_exit_name((enum pvm_exit_kind)exit->a));
	event = new_event("X", "exit", name, tid, begin, &args);
	cJSON_AddNumberToObject(event, "dur", duration);
	cJSON_AddStringToObject(args, "reason", pvm_exit_name((enum pvm_exit_kind)exit->a));
	add_hex(args, "rip", exit->b);
	if (exception) {
		cJSON_AddNumberToObject(args, "vector", (double)exit->c);
		add_hex(args, "error_code", exit->d);
	}
	return event;
}

static const char *fault_name(uint64_t kind)
{
	static const char *const names[] = {
		[PVM_FAULT_FIXED] = "fixed",
		[PVM_FAULT_INJECT] = "inject",
		[PVM_FAULT_MMIO] = "mmio",
		[PVM_FAULT_WOULD_BLOCK] = "would_block",
		[PVM_FAULT_ERROR] = "error",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

static const char *flush_name(uint64_t scope)
{
	static const char *const names[] = {
		[PVM_FLUSH_GVA] = "gva",
		[PVM_FLUSH_ROOT] = "root",
		[PVM_FLUSH_ALL] = "all",
	};

	return scope < sizeof(names) / sizeof(names[0]) ? names[scope] : "unknown";
}

static const char *page_size_name(uint64_t level)
{
	static const char *const names[] = { [1] = "4K", [2] = "2M", [3] = "1G" };

	return level >= 1 && level <= 3 ? names[level] : "unknown";
}

/* The viewer's category, by which it filters. */
static const char *category_of(enum pvm_trace_kind kind)
{
	switch (kind) {
	case PVM_TRACE_EXIT:
		return "exit";
	case PVM_TRACE_EVENT:
	case PVM_TRACE_SYSCALL:
	case PVM_TRACE_RETURN_USER:
	case PVM_TRACE_RETURN_SUPERVISOR:
	case PVM_TRACE_SHUTDOWN:
		return "event";
	case PVM_TRACE_HYPERCALL:
	case PVM_TRACE_HYPERCALL_RESULT:
	case PVM_TRACE_INSN:
	case PVM_TRACE_MSR:
	case PVM_TRACE_CR4:
		return "hypercall";
	case PVM_TRACE_FAULT:
	case PVM_TRACE_FILL:
	case PVM_TRACE_FLUSH:
		return "mmu";
	case PVM_TRACE_KINDS:
		break;
	}
	return "unknown";
}

/* The second word of the name: which one of its kind. */
static const char *detail_of(enum pvm_abi abi, const struct pvm_trace_record *record, char *buffer,
			     size_t size)
{
	const char *name;

	switch (record->kind) {
	case PVM_TRACE_EXIT:
		return pvm_exit_name((enum pvm_exit_kind)record->a);
	case PVM_TRACE_EVENT:
		if (record->a < PVM_VEC_EXCEPTIONS || record->a == PVM_VEC_SYSCALL32)
			return pvm_vector_name((unsigned)record->a);
		snprintf(buffer, size, "interrupt %" PRIu64, record->a);
		return buffer;
	case PVM_TRACE_HYPERCALL:
	case PVM_TRACE_HYPERCALL_RESULT:
		name = pvm_hypercall_name(abi, record->a);
		if (name)
			return name;
		snprintf(buffer, size, "0x%" PRIx64, record->a);
		return buffer;
	case PVM_TRACE_INSN:
		return pvm_insn_name((enum pvm_insn_op)record->a);
	case PVM_TRACE_MSR:
		return record->c ? "write" : "read";
	case PVM_TRACE_CR4:
		return record->b ? pvm_cr4_bit_name((unsigned)__builtin_ctzll(record->b)) : NULL;
	case PVM_TRACE_FAULT:
		return fault_name(record->c);
	case PVM_TRACE_FILL:
		return page_size_name(record->c);
	case PVM_TRACE_FLUSH:
		return flush_name(record->a);
	case PVM_TRACE_SHUTDOWN:
		return pvm_shutdown_name((enum pvm_shutdown)record->a);
	default:
		return NULL;
	}
}

/* Arguments of events, system calls, returns and the end. */
static void add_event_args(cJSON *args, const struct pvm_trace_record *record)
{
	switch (record->kind) {
	case PVM_TRACE_EXIT:
		cJSON_AddStringToObject(args, "reason",
					pvm_exit_name((enum pvm_exit_kind)record->a));
		add_hex(args, "rip", record->b);
		break;
	case PVM_TRACE_EVENT:
		cJSON_AddNumberToObject(args, "vector", (double)record->a);
		add_hex(args, "error_code", record->b);
		cJSON_AddStringToObject(args, "from", record->c ? "user" : "supervisor");
		add_hex(args, "rip", record->d);
		break;
	case PVM_TRACE_SYSCALL:
		add_hex(args, "rip", record->a);
		add_hex(args, "rax", record->b);
		break;
	case PVM_TRACE_RETURN_USER:
	case PVM_TRACE_RETURN_SUPERVISOR:
		add_hex(args, "rip", record->a);
		break;
	case PVM_TRACE_SHUTDOWN:
		cJSON_AddStringToObject(args, "reason", pvm_shutdown_name((enum pvm_shutdown)record->a));
		break;
	default:
		break;
	}
}

/* Arguments of what the guest asked for. */
static void add_hypercall_args(cJSON *args, const struct pvm_trace_record *record)
{
	switch (record->kind) {
	case PVM_TRACE_HYPERCALL:
		add_hex(args, "number", record->a);
		add_hex(args, "arg0", record->b);
		add_hex(args, "arg1", record->c);
		add_hex(args, "arg2", record->d);
		break;
	case PVM_TRACE_HYPERCALL_RESULT:
		add_hex(args, "number", record->a);
		add_hex(args, "result", record->b);
		break;
	case PVM_TRACE_INSN:
		cJSON_AddStringToObject(args, "op", pvm_insn_name((enum pvm_insn_op)record->a));
		add_hex(args, "rip", record->b);
		break;
	case PVM_TRACE_MSR:
		add_hex(args, "index", record->a);
		add_hex(args, "value", record->b);
		break;
	case PVM_TRACE_CR4:
		add_hex(args, "value", record->a);
		add_hex(args, "refused", record->b);
		add_hex(args, "rip", record->c);
		break;
	default:
		break;
	}
}

/* Arguments of the MMU's work. */
static void add_mmu_args(cJSON *args, const struct pvm_trace_record *record)
{
	switch (record->kind) {
	case PVM_TRACE_FAULT:
		add_hex(args, "gva", record->a);
		add_hex(args, "error_code", record->b);
		add_access(args, record->b);
		cJSON_AddStringToObject(args, "outcome", fault_name(record->c));
		if (record->c == PVM_FAULT_INJECT)
			add_hex(args, "injected", record->d);
		break;
	case PVM_TRACE_FILL:
		add_hex(args, "gva", record->a);
		add_hex(args, "gpa", record->b);
		cJSON_AddStringToObject(args, "size", page_size_name(record->c));
		add_hex(args, "entry", record->d);
		break;
	case PVM_TRACE_FLUSH:
		cJSON_AddStringToObject(args, "scope", flush_name(record->a));
		add_address(args, "gva", record->b);
		add_address(args, "root", record->c);
		break;
	default:
		break;
	}
}

cJSON *trace_event_record(uint64_t tid, double time, enum pvm_abi abi,
			  const struct pvm_trace_record *record)
{
	char buffer[48], name[96];
	const char *detail = detail_of(abi, record, buffer, sizeof(buffer));
	cJSON *args, *event;

	snprintf(name, sizeof(name), "%s%s%s", pvm_trace_kind_name(record->kind), detail ? " " : "",
		 detail ? detail : "");
	event = new_event("i", category_of(record->kind), name, tid, time, &args);
	cJSON_AddStringToObject(event, "s", record->kind == PVM_TRACE_SHUTDOWN ? "p" : "t");
	add_event_args(args, record);
	add_hypercall_args(args, record);
	add_mmu_args(args, record);
	return event;
}
