/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A trace file: what a VM did, in the Chrome trace-event format (a JSON array,
 * one event per line), which the Perfetto viewer opens. The schema is in
 * docs/trace.md.
 *
 * Owns the file and the clock of the trace. It must never grow with the length
 * of the run, and never disturb the guest: an error is kept for trace_close().
 */
#ifndef STANDALONE_TRACE_H
#define STANDALONE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pvm/trace.h>
#include <pvm/vcpu.h>

/* Threads of the trace: vCPU n is thread n + TRACE_TID_FIRST_VCPU. */
#define TRACE_PID		1
#define TRACE_TID_FIRST_VCPU	1
#define TRACE_TID_VM		9999	/* what concerns no vCPU */

struct trace;

/**
 * trace_open - start a trace; its clock starts at 0 now.
 * @path: created, or emptied if it exists; a pipe must have a reader by now.
 * @abi: the guest's, for names of hypercalls.
 * @over: descriptor that is readable once the VM is over, which must outlive the trace: a
 * pipe's reader is waited for until then, and a little longer; -1: it is over.
 * @why: on failure one line that names the file and the reason.
 *
 * Returns NULL on failure.
 */
struct trace *trace_open(const char *path, enum pvm_abi abi, int over, char *why, size_t why_size);

/* Would a trace at @path overwrite @file? Also by another name of it. */
bool trace_would_overwrite(const char *path, const char *file);
/* The same of a file that is a standard stream of this process. */
bool trace_would_overwrite_stream(const char *path);

/**
 * trace_enter - the vCPU is about to run guest instructions.
 * @vcpu: its id. @mode, @rip: where it enters the guest.
 *
 * Ends the slice of the monitor that PVM_TRACE_EXIT began. Any thread.
 */
void trace_enter(struct trace *trace, uint32_t vcpu, enum pvm_mode mode, uint64_t rip);

/**
 * trace_record - write one record, stamped with the time. Any thread.
 *
 * PVM_TRACE_EXIT ends the guest's slice that trace_enter() began. Its fields
 * here are a: enum pvm_exit_kind, b: rip, c: vector, d: error code.
 */
void trace_record(struct trace *trace, const struct pvm_trace_record *record);

/**
 * trace_close - end the slices that are open, finish the file, free @trace.
 * @why: on failure one line that names the file and the first error of all.
 *
 * Returns 0, or -1 when anything could not be written. @trace may be NULL.
 */
int trace_close(struct trace *trace, char *why, size_t why_size);

#endif /* STANDALONE_TRACE_H */
