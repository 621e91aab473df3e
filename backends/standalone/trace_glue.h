/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Between the run loop, the engine's records, and the trace file (trace.h). */
#ifndef STANDALONE_TRACE_GLUE_H
#define STANDALONE_TRACE_GLUE_H

#include "monitor.h"

/* The engine's sink (pvm_host_ops.trace): counts events, writes the trace. */
void trace_glue_record(void *host, const struct pvm_trace_record *record);

/* vm->trace is there: the vCPU is about to enter the guest, has left it. */
void trace_glue_enter(struct monitor_vcpu *vcpu);
void trace_glue_exit(struct monitor_vcpu *vcpu, const struct pvm_guest_exit *exit);

#endif /* STANDALONE_TRACE_GLUE_H */
