/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Starting, reading and ending programs; the pipe ping-pong. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PATIENCE_MS	30000
#define TRIPS		3000

static void run_child(const char *const argv[], int in, int out)
{
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv(argv[0], (char *const *)argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

bool process_start(struct process *p, const char *const argv[])
{
	int in[2], out[2];

	memset(p, 0, sizeof(*p));
	p->in = p->out = -1;
	if (pipe2(in, O_CLOEXEC) < 0)
		return false;
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return false;
	}
	p->pid = fork();
	if (p->pid == 0)
		run_child(argv, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	p->in = in[1];
	p->out = out[0];
	if (p->pid > 0)
		return true;
	close(in[1]);
	close(out[0]);
	return false;
}

/* Keep the last part when it gets too much. False at its end. */
static bool read_some(struct process *p)
{
	struct pollfd poll_out = { .fd = p->out, .events = POLLIN };
	ssize_t got;

	if (p->length > sizeof(p->text) / 2) {
		p->length -= sizeof(p->text) / 4;
		memmove(p->text, p->text + sizeof(p->text) / 4, p->length + 1);
	}
	if (poll(&poll_out, 1, PATIENCE_MS) <= 0)
		return false;
	got = read(p->out, p->text + p->length, sizeof(p->text) - 1 - p->length);
	if (got <= 0)
		return false;
	p->length += (size_t)got;
	p->text[p->length] = '\0';
	return true;
}

bool process_wait_for(struct process *p, const char *word)
{
	const char *found;

	for (;;) {
		found = strstr(p->text, word);
		if (found && strchr(found, '\n'))
			return true;
		if (!read_some(p))
			return false;
	}
}

int process_finish(struct process *p)
{
	int status;

	close(p->in);
	while (read_some(p))
		;
	close(p->out);
	if (waitpid(p->pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

double process_result(const char *const argv[], char *why, size_t why_size)
{
	struct process p;
	double value = -1;
	char *found;
	int status;

	if (!process_start(&p, argv)) {
		snprintf(why, why_size, "%s: %s", argv[0], strerror(errno));
		return -1;
	}
	process_wait_for(&p, "result ");
	status = process_finish(&p);
	found = strstr(p.text, "result ");
	if (found && status == 0)
		value = strtod(found + strlen("result "), NULL);
	if (value > 0)
		return value;
	p.text[strcspn(p.text, "\n")] = '\0';
	snprintf(why, why_size, "%.150s (status %d)", p.text[0] ? p.text : argv[0], status);
	return -1;
}

double process_guest(const struct bench_options *options, const char *guest, char *why, size_t why_size)
{
	char path[PATH_MAX];
	const char *argv[] = { options->pvm, "run", "--backend=native", "--timeout=20", path, NULL };

	snprintf(path, sizeof(path), "%s/%s.elf", options->guests, guest);
	return process_result(argv, why, why_size);
}

bool process_have_pvm(const struct bench_options *options, struct bench_result *result)
{
	if (options->pvm && access(options->pvm, X_OK) == 0)
		return true;
	bench_cannot(result, "no pvm command at %s", options->pvm ? options->pvm : "(unknown)");
	return false;
}

/* ------------------------------------------------------------------------
 * Ping-pong.
 */

static void echo(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
		;
	_exit(0);
}

static double trips(int to, int from)
{
	static double cycles[TRIPS];
	char byte = 0;
	int i;

	for (i = 0; i < TRIPS; i++) {
		uint64_t start = bench_cycles();

		if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1)
			return -1;
		cycles[i] = (double)(bench_cycles() - start);
	}
	return bench_median(cycles, TRIPS);
}

double process_ping_pong(bool together)
{
	int there[2], back[2];
	cpu_set_t before, one;
	double cycles = -1;
	pid_t child;

	if (pipe2(there, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(back, O_CLOEXEC) < 0) {
		close(there[0]);
		close(there[1]);
		return -1;
	}
	sched_getaffinity(0, sizeof(before), &before);
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	if (together)
		sched_setaffinity(0, sizeof(one), &one);
	child = fork();
	if (child == 0) {
		close(there[1]);
		echo(there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	if (child > 0)
		cycles = trips(there[1], back[0]);
	close(there[1]);
	close(back[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	sched_setaffinity(0, sizeof(before), &before);
	return cycles;
}
