/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The trace file: time stamps, slices of guest and monitor, writing.
 * Owns the file; what an event is called and shows is trace_event.c's.
 * Never holds more than one stdio buffer of events.
 */
#define _GNU_SOURCE
#include "trace.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "monitor.h"
#include "output.h"
#include "trace_event.h"

#define TRACE_VCPUS_MAX		4096	/* more than any VM has; bounds the table below */
#define TRACE_LINE_MAX		2048	/* bytes of one event; the longest has some 300 */
#define TRACE_BUFFER_SIZE	(64 * 1024)
#define NS_PER_SECOND		1000000000ull
#define NS_PER_US		1000.0

enum slice_kind {
	SLICE_NONE,
	SLICE_GUEST,
	SLICE_MONITOR,
};

/* What a vCPU is doing: the slice that is written when it ends. */
struct slice {
	enum slice_kind kind;
	bool named;			/* the thread's metadata is written */
	uint64_t since;			/* ns */
	enum pvm_mode mode;		/* GUEST */
	uint64_t rip;			/* GUEST */
	struct pvm_trace_record exit;	/* MONITOR */
};

struct trace {
	enum pvm_abi abi;
	FILE *file;			/* of write_out() */
	int fd, over;
	char *path;
	int error;			/* the first errno, 0: none */
	bool first;			/* nothing is written yet: no comma before the next event */
	bool vm_named;
	uint64_t start;			/* ns of CLOCK_MONOTONIC */
	pthread_mutex_t lock;
	struct slice *slices;
	uint32_t slice_count;
	char buffer[TRACE_BUFFER_SIZE];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* A failed stdio call need not set errno. */
static void remember(struct trace *trace, int error)
{
	if (!trace->error)
		trace->error = error ? error : EIO;
}

/* Takes @event over. */
static void write_event(struct trace *trace, cJSON *event)
{
	char line[TRACE_LINE_MAX];

	if (!event) {
		remember(trace, ENOMEM);
		return;
	}
	if (!trace->error) {
		errno = 0;
		if (!cJSON_PrintPreallocated(event, line, sizeof(line), false))
			remember(trace, ENOMEM);
		else if (fprintf(trace->file, "%s%s", trace->first ? "" : ",\n", line) < 0)
			remember(trace, errno);
		trace->first = false;
	}
	cJSON_Delete(event);
}

static uint64_t tid_of(uint32_t vcpu)
{
	return vcpu < TRACE_VCPUS_MAX ? (uint64_t)vcpu + TRACE_TID_FIRST_VCPU : TRACE_TID_VM;
}

/* The vCPU's slot, the thread named at its first use; NULL: not a vCPU. */
static struct slice *slice_of(struct trace *trace, uint32_t vcpu)
{
	char name[32];

	if (vcpu >= TRACE_VCPUS_MAX) {
		if (!trace->vm_named)
			write_event(trace, trace_event_thread(TRACE_TID_VM, "VM"));
		trace->vm_named = true;
		return NULL;
	}
	if (vcpu >= trace->slice_count) {
		struct slice *grown = realloc(trace->slices, (vcpu + 1) * sizeof(*grown));

		if (!grown) {
			remember(trace, ENOMEM);
			return NULL;
		}
		memset(grown + trace->slice_count, 0, (vcpu + 1 - trace->slice_count) * sizeof(*grown));
		trace->slices = grown;
		trace->slice_count = vcpu + 1;
	}
	if (!trace->slices[vcpu].named) {
		snprintf(name, sizeof(name), "vCPU %u", vcpu);
		write_event(trace, trace_event_thread(tid_of(vcpu), name));
		trace->slices[vcpu].named = true;
	}
	return &trace->slices[vcpu];
}

/* Write the slice that ends at @now. */
static void end_slice(struct trace *trace, uint32_t vcpu, struct slice *slice, uint64_t now)
{
	double begin = (double)(slice->since - trace->start) / NS_PER_US;
	double duration = (double)(now - slice->since) / NS_PER_US;

	if (slice->kind == SLICE_GUEST)
		write_event(trace, trace_event_guest(tid_of(vcpu), begin, duration, slice->mode, slice->rip));
	else if (slice->kind == SLICE_MONITOR)
		write_event(trace, trace_event_monitor(tid_of(vcpu), begin, duration, &slice->exit));
	slice->kind = SLICE_NONE;
}

/* A reader that takes nothing holds up the VM, but not its end. */
static ssize_t write_out(void *cookie, const char *bytes, size_t size)
{
	struct trace *trace = cookie;
	int error = output_write(trace->fd, trace->over, OUTPUT_PATIENCE_MS, bytes, size);

	if (!error)
		return (ssize_t)size;
	remember(trace, error);
	errno = error;
	return 0;
}

static int close_out(void *cookie)
{
	return close(((struct trace *)cookie)->fd);
}

static const char *reason(int error)
{
	if (error == ENXIO)
		return "a pipe that nobody reads";
	return error == EAGAIN ? "its reader takes nothing" : strerror(error);
}

bool trace_would_overwrite(const char *path, const char *file)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(file, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool trace_would_overwrite_stream(const char *path)
{
	struct stat a, b;
	int fd;

	if (stat(path, &a) || !S_ISREG(a.st_mode))
		return false;
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
			return true;
	return false;
}

static struct trace *give_up(struct trace *trace, const char *path, int error, char *why, size_t why_size)
{
	snprintf(why, why_size, "trace %s: %s", path, reason(error));
	if (trace)
		free(trace->path);
	free(trace);
	return NULL;
}

struct trace *trace_open(const char *path, enum pvm_abi abi, int over, char *why, size_t why_size)
{
	static const cookie_io_functions_t functions = { .write = write_out, .close = close_out };
	struct trace *trace = calloc(1, sizeof(*trace));

	if (!trace || !(trace->path = strdup(path)))
		return give_up(trace, path, ENOMEM, why, why_size);
	/* No stub process inherits it, and a pipe without a reader is not waited for. */
	trace->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
	if (trace->fd < 0)
		return give_up(trace, path, errno, why, why_size);
	trace->over = over;
	trace->file = fopencookie(trace, "w", functions);
	if (!trace->file) {
		close(trace->fd);
		return give_up(trace, path, ENOMEM, why, why_size);
	}
	setvbuf(trace->file, trace->buffer, _IOFBF, sizeof(trace->buffer));
	pthread_mutex_init(&trace->lock, NULL);
	trace->start = now_ns();
	trace->first = true;
	trace->abi = abi;
	if (fputs("[\n", trace->file) < 0)
		remember(trace, errno);
	write_event(trace, trace_event_process("PVM guest"));
	return trace;
}

void trace_enter(struct trace *trace, uint32_t vcpu, enum pvm_mode mode, uint64_t rip)
{
	struct slice *slice;

	pthread_mutex_lock(&trace->lock);
	slice = slice_of(trace, vcpu);
	if (slice) {
		uint64_t now = now_ns();

		end_slice(trace, vcpu, slice, now);
		slice->kind = SLICE_GUEST;
		slice->since = now;
		slice->mode = mode;
		slice->rip = rip;
	}
	pthread_mutex_unlock(&trace->lock);
}

void trace_record(struct trace *trace, const struct pvm_trace_record *record)
{
	struct slice *slice;
	uint64_t now;

	pthread_mutex_lock(&trace->lock);
	slice = slice_of(trace, record->vcpu);
	now = now_ns();
	if (record->kind == PVM_TRACE_EXIT && slice) {
		end_slice(trace, record->vcpu, slice, now);
		slice->kind = SLICE_MONITOR;
		slice->since = now;
		slice->exit = *record;
	} else {
		write_event(trace, trace_event_record(tid_of(record->vcpu),
						      (double)(now - trace->start) / NS_PER_US,
						      trace->abi, record));
	}
	pthread_mutex_unlock(&trace->lock);
}

int trace_close(struct trace *trace, char *why, size_t why_size)
{
	uint64_t now = now_ns();
	uint32_t vcpu;
	int error;

	if (!trace)
		return 0;
	for (vcpu = 0; vcpu < trace->slice_count; vcpu++)
		end_slice(trace, vcpu, &trace->slices[vcpu], now);
	errno = 0;
	if (fputs("\n]\n", trace->file) < 0)
		remember(trace, errno);
	errno = 0;
	if (fclose(trace->file))
		remember(trace, errno);
	error = trace->error;
	if (error)
		snprintf(why, why_size, "trace %s: %s", trace->path, reason(error));
	pthread_mutex_destroy(&trace->lock);
	free(trace->slices);
	free(trace->path);
	free(trace);
	return error ? -1 : 0;
}
