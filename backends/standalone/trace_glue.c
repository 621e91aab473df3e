/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Hands records to the trace file and counts events for --stats. */
#include "trace_glue.h"

#include <pvm/events.h>

#include "trace.h"

/* Each vCPU counts for itself, in its own thread. */
static void count(struct monitor_vm *vm, const struct pvm_trace_record *record)
{
	if (record->kind == PVM_TRACE_EVENT && record->vcpu < vm->vcpu_count)
		vm->vcpus[record->vcpu]->events[record->a & 0xff]++;
}

void trace_glue_record(void *host, const struct pvm_trace_record *record)
{
	struct monitor_vm *vm = host;

	count(vm, record);
	if (vm->trace)
		trace_record(vm->trace, record);
}

void trace_glue_enter(struct monitor_vcpu *vcpu)
{
	trace_enter(vcpu->vm->trace, vcpu->pvm.id, pvm_vcpu_mode(&vcpu->pvm), vcpu->pvm.rip);
}

void trace_glue_exit(struct monitor_vcpu *vcpu, const struct pvm_guest_exit *exit)
{
	struct pvm_trace_record record = {
		.kind = PVM_TRACE_EXIT,
		.vcpu = vcpu->pvm.id,
		.a = exit->kind,
		.b = vcpu->pvm.rip,
		.c = exit->vector,
		.d = exit->error_code,
	};

	trace_record(vcpu->vm->trace, &record);
}
