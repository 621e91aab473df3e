/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Rows beside user-mode Linux, which also runs a kernel and its programs in ordinary processes. Its
 * time includes what a whole kernel does; our guest's what the smallest does.
 */
#include "bench.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "process.h"

#define UML "/usr/bin/linux.uml"

struct peer {
	const struct bench_options *options;
	const char *what;
	char why[BENCH_WHY];
};

static double run_guest(void *context)
{
	struct peer *p = context;

	return process_guest(p->options, p->what, p->why, sizeof(p->why));
}

static double run_uml(void *context)
{
	struct peer *p = context;
	char root[PATH_MAX];
	const char *argv[] = {
		UML, "rootfstype=hostfs", root, "rw", "init=/init", "mem=64M", "con=null", "con0=fd:0,fd:1",
		"quiet", "--", p->what, NULL,
	};

	snprintf(root, sizeof(root), "rootflags=%s/../peer", p->options->guests);
	return process_result(argv, p->why, sizeof(p->why));
}

static void beside_uml(const struct bench_options *options, struct bench_result *result, const char *what)
{
	struct peer p = { .options = options, .what = what };

	if (access(UML, X_OK)) {
		bench_cannot(result, "no " UML ": apt-get install user-mode-linux");
		return;
	}
	if (!process_have_pvm(options, result))
		return;
	if (!bench_ratio(options, run_guest, run_uml, &p, result))
		bench_cannot(result, "%s", p.why);
}

static void run_syscall(const struct bench_options *options, struct bench_result *result)
{
	beside_uml(options, result, "syscall");
}

static void run_demand(const struct bench_options *options, struct bench_result *result)
{
	beside_uml(options, result, "demand");
}

static void run_cow(const struct bench_options *options, struct bench_result *result)
{
	beside_uml(options, result, "cow");
}

static void run_fork(const struct bench_options *options, struct bench_result *result)
{
	beside_uml(options, result, "fork");
}

const struct bench_row bench_peer_rows[] = {
	{ "uml.syscall", "a system call / the same in user-mode Linux", "ratio", 0.7, run_syscall },
	{ "uml.demand", "a first write to memory / the same in user-mode Linux", "ratio", 0.6, run_demand },
	{ "uml.cow", "a copy on write / the same in user-mode Linux", "ratio", 0.5, run_cow },
	{ "uml.fork", "fork of 1,024 pages, exit and wait / the same in user-mode Linux", "ratio", 0.5, run_fork },
	{ NULL, NULL, NULL, 0, NULL },
};
