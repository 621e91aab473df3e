/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Runs a command as a person would and checks how it ends: exit status, first
 * line on standard error, standard output, and that no process is left of it.
 *
 *	expect --status N [--line TEXT]... [--only] [--err TEXT]... [--out TEXT]
 *	       [--in TEXT] [--kill SIGNAL] [--full | --closed] -- COMMAND ARG...
 *
 * --status N	wanted exit status; "bad": any but 0
 * --line TEXT	the first line on standard error contains TEXT
 * --only	standard error has that line and no other
 * --err TEXT	standard error contains TEXT somewhere
 * --out TEXT	standard output contains TEXT
 * --in TEXT	standard input; else it is /dev/null
 * --kill N	after standard output has begun, send signal N
 * --full	standard output is /dev/full
 * --closed	standard input and output are closed
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT_MS	60000
#define LEFTOVER_MS	1000
#define MAX_LINES	8
#define OUTPUT_MAX	(1 << 20)

struct expectation {
	int status;		/* -1: any but 0 */
	const char *lines[MAX_LINES];
	unsigned line_count;
	const char *errs[MAX_LINES];
	unsigned err_count;
	bool only;
	const char *out, *in;
	int kill;
	bool full, closed;
	char **command;
};

struct output {
	int fd;
	char *text;
	size_t length;
};

static __attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...)
{
	va_list args;

	fputs("expect: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static const char *value_of(char **argv, int *i)
{
	if (!argv[*i + 1])
		fail("%s needs a value", argv[*i]);
	return argv[++*i];
}

static struct expectation parse(char **argv)
{
	struct expectation e = { .status = 0 };
	int i;

	for (i = 1; argv[i] && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--status")) {
			const char *status = value_of(argv, &i);

			e.status = strcmp(status, "bad") ? atoi(status) : -1;
		} else if (!strcmp(argv[i], "--line") && e.line_count < MAX_LINES) {
			e.lines[e.line_count++] = value_of(argv, &i);
		} else if (!strcmp(argv[i], "--err") && e.err_count < MAX_LINES) {
			e.errs[e.err_count++] = value_of(argv, &i);
		} else if (!strcmp(argv[i], "--only")) {
			e.only = true;
		} else if (!strcmp(argv[i], "--out")) {
			e.out = value_of(argv, &i);
		} else if (!strcmp(argv[i], "--in")) {
			e.in = value_of(argv, &i);
		} else if (!strcmp(argv[i], "--kill")) {
			e.kill = atoi(value_of(argv, &i));
		} else if (!strcmp(argv[i], "--full")) {
			e.full = true;
		} else if (!strcmp(argv[i], "--closed")) {
			e.closed = true;
		} else {
			fail("what is '%s'?", argv[i]);
		}
	}
	if (!argv[i] || !argv[i + 1])
		fail("no command");
	e.command = argv + i + 1;
	return e;
}

static void become_command(const struct expectation *e, int in, int out, int err)
{
	int full = e->full ? open("/dev/full", O_WRONLY) : out;

	if (dup2(in, 0) < 0 || dup2(full, 1) < 0 || dup2(err, 2) < 0)
		_exit(127);
	if (e->closed && (close(0) || close(1)))
		_exit(127);
	execvp(e->command[0], e->command);
	dprintf(2, "%s: %s\n", e->command[0], strerror(errno));
	_exit(127);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void take(struct output *output)
{
	ssize_t n;

	if (output->length == OUTPUT_MAX)
		fail("more than %d bytes of output", OUTPUT_MAX);
	n = read(output->fd, output->text + output->length, OUTPUT_MAX - output->length);
	if (n > 0) {
		output->length += (size_t)n;
		output->text[output->length] = 0;
	} else {
		close(output->fd);
		output->fd = -1;
	}
}

/* Both outputs to their end: when this returns, no process holds them any more. */
static void collect(const struct expectation *e, pid_t pid, struct output *out, struct output *err)
{
	long end = now_ms() + TIME_LIMIT_MS;
	bool killed = false;

	while (out->fd >= 0 || err->fd >= 0) {
		struct pollfd fds[2] = { { out->fd, POLLIN, 0 }, { err->fd, POLLIN, 0 } };
		long left = end - now_ms();

		if (left <= 0) {
			kill(pid, SIGKILL);
			fail("still running, or its output still open, after %d s; stderr so far:\n%s",
			     TIME_LIMIT_MS / 1000, err->text);
		}
		poll(fds, 2, (int)left);
		if (fds[0].revents)
			take(out);
		if (fds[1].revents)
			take(err);
		if (e->kill && out->length && !killed) {
			kill(pid, e->kill);
			killed = true;
		}
	}
}

/* We are the reaper of all its descendants: a living one is a leak. */
static void check_leftovers(void)
{
	long end = now_ms() + LEFTOVER_MS;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		if (pid == 0 && now_ms() > end)
			fail("a process is left");
		if (pid == 0)
			usleep(1000);
	}
}

static void check(const struct expectation *e, int status, const struct output *out,
		  const struct output *err)
{
	char *newline = strchr(err->text, '\n');
	bool more = newline && newline[1];
	unsigned i;

	if (WIFSIGNALED(status))
		fail("killed by signal %d; stderr:\n%s", WTERMSIG(status), err->text);
	if (e->status < 0 ? WEXITSTATUS(status) == 0 : WEXITSTATUS(status) != e->status)
		fail("exit status %d; stderr:\n%s", WEXITSTATUS(status), err->text);
	if (e->out && !strstr(out->text, e->out))
		fail("'%s' is not in the output:\n%s", e->out, out->text);
	if (e->only && (!newline || more))
		fail("not exactly one line on stderr:\n%s", err->text);
	for (i = 0; i < e->err_count; i++)
		if (!strstr(err->text, e->errs[i]))
			fail("'%s' is not on stderr:\n%s", e->errs[i], err->text);
	if (newline)
		*newline = 0;
	for (i = 0; i < e->line_count; i++)
		if (!strstr(err->text, e->lines[i]))
			fail("'%s' is not in the line '%s'", e->lines[i], err->text);
	if (e->line_count && strncmp(err->text, "pvm: ", 5))
		fail("the line does not say who wrote it: '%s'", err->text);
}

int main(int argc, char **argv)
{
	struct expectation e = parse(argv);
	struct output out, err;
	int in[2], out_pipe[2], err_pipe[2], status;
	pid_t pid;

	(void)argc;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || pipe2(in, O_CLOEXEC) ||
	    pipe2(out_pipe, O_CLOEXEC) || pipe2(err_pipe, O_CLOEXEC))
		fail("setting up: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		become_command(&e, e.in ? in[0] : null, out_pipe[1], err_pipe[1]);
	}
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	close(in[0]);
	if (e.in && write(in[1], e.in, strlen(e.in)) < 0)
		fail("writing its input: %s", strerror(errno));
	close(in[1]);
	close(out_pipe[1]);
	close(err_pipe[1]);
	out = (struct output){ out_pipe[0], calloc(1, OUTPUT_MAX + 1), 0 };
	err = (struct output){ err_pipe[0], calloc(1, OUTPUT_MAX + 1), 0 };
	if (!out.text || !err.text)
		fail("no memory");
	collect(&e, pid, &out, &err);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid: %s", strerror(errno));
	check_leftovers();
	check(&e, status, &out, &err);
	return 0;
}
