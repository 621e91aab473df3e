/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Rows that run guests: what a guest in an ordinary process costs. Guests time
 * themselves with RDTSC; references are measured in between. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "process.h"

#define PLACED "guest and reference: each a pair of tasks on one CPU"

/* What the rounds of a row share. */
struct native {
	const struct bench_options *options;
	const char *guest;		/* file name */
	bool together;			/* the ping-pong's placement */
	char why[BENCH_WHY];
};

static double run_guest(void *context)
{
	struct native *n = context;

	return process_guest(n->options, n->guest, n->why, sizeof(n->why));
}

static double ping_pong(void *context)
{
	struct native *n = context;

	return process_ping_pong(n->together);
}

static void against_ping_pong(const struct bench_options *options, struct bench_result *result,
			      const char *guest, bool together)
{
	struct native n = { .options = options, .guest = guest, .together = together };

	if (!process_have_pvm(options, result))
		return;
	if (!bench_ratio(options, run_guest, ping_pong, &n, result))
		bench_cannot(result, "%s", n.why[0] ? n.why : "no pipes or processes for the reference");
	else if (together)
		snprintf(result->why, sizeof(result->why), PLACED);
	else
		snprintf(result->why, sizeof(result->why), "reference: two processes placed by the scheduler");
}

static void run_syscall(const struct bench_options *options, struct bench_result *result)
{
	against_ping_pong(options, result, "syscall", true);
}

static void run_syscall_unpinned(const struct bench_options *options, struct bench_result *result)
{
	against_ping_pong(options, result, "syscall", false);
}

static void run_fault(const struct bench_options *options, struct bench_result *result)
{
	against_ping_pong(options, result, "fault", true);
}

static void run_demand(const struct bench_options *options, struct bench_result *result)
{
	against_ping_pong(options, result, "demand", true);
}

static void run_cow(const struct bench_options *options, struct bench_result *result)
{
	against_ping_pong(options, result, "cow", true);
}

/* ------------------------------------------------------------------------
 * native.compute
 */

static double own_process(struct native *n, const char *name)
{
	char path[PATH_MAX];
	const char *argv[] = { path, NULL };

	snprintf(path, sizeof(path), "%s/%s_process", n->options->guests, name);
	return process_result(argv, n->why, sizeof(n->why));
}

static double plain_process(void *context)
{
	return own_process(context, "compute");
}

static double floor_process(void *context)
{
	return own_process(context, "floor");
}

static void run_syscall_floor(const struct bench_options *options, struct bench_result *result)
{
	struct native n = { .options = options, .together = true };

	if (!bench_ratio(options, floor_process, ping_pong, &n, result))
		bench_cannot(result, "%s", n.why[0] ? n.why : "no pipes or processes for the reference");
	else
		snprintf(result->why, sizeof(result->why), PLACED);
}

static void run_compute(const struct bench_options *options, struct bench_result *result)
{
	struct native n = { .options = options, .guest = "compute" };

	if (!process_have_pvm(options, result))
		return;
	if (!bench_ratio(options, run_guest, plain_process, &n, result))
		bench_cannot(result, "%s", n.why);
}

/* ------------------------------------------------------------------------
 * native.hello
 */

static double hello_seconds(const struct bench_options *options, char *why, size_t why_size)
{
	char path[PATH_MAX];
	const char *argv[] = { options->pvm, "run", "--backend=native", "--timeout=20", path, NULL };
	struct process p;
	double start;
	int status;

	snprintf(path, sizeof(path), "%s/" BENCH_HELLO, options->guests);
	start = bench_seconds();
	if (!process_start(&p, argv)) {
		snprintf(why, why_size, "%s: %s", argv[0], strerror(errno));
		return -1;
	}
	status = process_finish(&p);
	if (status == 0)
		return bench_seconds() - start;
	p.text[strcspn(p.text, "\n")] = '\0';
	snprintf(why, why_size, "%.150s (status %d)", p.text[0] ? p.text : "hello.elf", status);
	return -1;
}

static void run_hello(const struct bench_options *options, struct bench_result *result)
{
	double seconds[BENCH_MAX_ROUNDS];
	char why[BENCH_WHY];
	unsigned i;

	if (!process_have_pvm(options, result))
		return;
	for (i = 0; i < options->rounds; i++) {
		seconds[i] = hello_seconds(options, why, sizeof(why));
		if (seconds[i] < 0) {
			bench_cannot(result, "%s", why);
			return;
		}
	}
	result->measured = true;
	result->value = bench_median(seconds, options->rounds);
	result->absolute = result->value * 1e9;
}

/* ------------------------------------------------------------------------
 * native.memory
 */

static double monitor_mib(const struct bench_options *options, char *why, size_t why_size)
{
	char path[PATH_MAX];
	const char *argv[] = { options->pvm, "run", "--backend=native", "--timeout=20", path, NULL };
	struct process p;
	double mib = -1;

	snprintf(path, sizeof(path), "%s/memory.elf", options->guests);
	if (!process_start(&p, argv)) {
		snprintf(why, why_size, "%s: %s", argv[0], strerror(errno));
		return -1;
	}
	if (process_wait_for(&p, "result ")) {
		mib = memory_beside_guest(p.pid) / (1 << 20);
		if (mib < 0)
			snprintf(why, why_size, "/proc has no smaps for us");
	} else {
		p.text[strcspn(p.text, "\n")] = '\0';
		snprintf(why, why_size, "%.150s", p.text[0] ? p.text : "memory.elf said nothing");
	}
	if (write(p.in, "\n", 1) != 1)
		mib = -1;
	process_finish(&p);
	return mib;
}

static void run_memory(const struct bench_options *options, struct bench_result *result)
{
	double mib[BENCH_MAX_ROUNDS];
	char why[BENCH_WHY] = "memory.elf ended too early";
	unsigned i;

	if (!process_have_pvm(options, result))
		return;
	for (i = 0; i < options->rounds; i++) {
		mib[i] = monitor_mib(options, why, sizeof(why));
		if (mib[i] < 0) {
			bench_cannot(result, "%s", why);
			return;
		}
	}
	result->measured = true;
	result->value = bench_median(mib, options->rounds);
}

const struct bench_row bench_native_rows[] = {
	{ "native.compute", "guest compute / the same code as a plain process", "ratio", 1.02,
	  run_compute },
	{ "native.syscall", "guest system call there and back / a pipe ping-pong", "ratio", 1.5,
	  run_syscall },
	{ "native.syscall_floor", "two hand-overs and two signals, and no more / a pipe ping-pong", "ratio", 0,
	  run_syscall_floor },
	{ "native.syscall_unpinned", "the same, the ping-pong's processes placed by the scheduler",
	  "ratio", 0, run_syscall_unpinned },
	{ "native.fault", "a page fault that the engine resolves / a pipe ping-pong", "ratio", 5,
	  run_fault },
	{ "native.demand", "a first write that the guest answers / a pipe ping-pong", "ratio", 0, run_demand },
	{ "native.cow", "a copy on write by the guest / a pipe ping-pong", "ratio", 0, run_cow },
	{ "native.hello", "exec to exit of hello", "s", 0.1, run_hello },
	{ "native.memory", "monitor memory beside the guest's, 32 MiB of it in use", "MiB", 16,
	  run_memory },
	{ NULL, NULL, NULL, 0, NULL },
};
