/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One event of a trace file as JSON: its name, category and arguments.
 * Pure: makes a cJSON object, writes nothing. The schema is in docs/trace.md.
 */
#ifndef STANDALONE_TRACE_EVENT_H
#define STANDALONE_TRACE_EVENT_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include <pvm/trace.h>
#include <pvm/vcpu.h>

/* Every function returns a new object (cJSON_Delete() it), NULL without
 * memory. Times are microseconds since the trace began. */

/* Metadata: what the viewer calls the process and a thread. */
cJSON *trace_event_process(const char *name);
cJSON *trace_event_thread(uint64_t tid, const char *name);

/* The guest ran from @begin for @duration; it had been entered at @rip. */
cJSON *trace_event_guest(uint64_t tid, double begin, double duration, enum pvm_mode mode,
			 uint64_t rip);

/* The monitor served @exit (PVM_TRACE_EXIT) from @begin for @duration. */
cJSON *trace_event_monitor(uint64_t tid, double begin, double duration,
			   const struct pvm_trace_record *exit);

/* Any record, as an instant. */
cJSON *trace_event_record(uint64_t tid, double time, enum pvm_abi abi,
			  const struct pvm_trace_record *record);

#endif /* STANDALONE_TRACE_EVENT_H */
