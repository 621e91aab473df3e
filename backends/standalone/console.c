/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The console's host side. Owns the terminal's settings: whatever happens, they
 * are put back: by console_close(), while the process is stopped, at its exit and when it
 * dies of a fault. In the background the terminal stays as it is; so does another session's.
 */
#include "console.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "output.h"

#define ELSEWHERE_MS		200
#define FIRST_PID_NAMESPACE	0xeffffffcu	/* Linux: PROC_PID_INIT_INO */

/* The terminal to put back when the process ends without console_close(). */
static struct console *volatile open_console;

/* As the kernel writes it in /proc: new_encode_dev(). */
static long tty_number(dev_t device)
{
	return (long)((minor(device) & 0xff) | major(device) << 8 | (minor(device) & ~0xffu) << 12);
}

/* The controlling terminal of process @name of /proc; 0: none, or there is no such process. */
static long terminal_of(int proc, const char *name)
{
	char path[64], text[256];
	const char *after;
	ssize_t n = -1;
	long tty;
	int fd;

	if (snprintf(path, sizeof(path), "%s/stat", name) >= (int)sizeof(path))
		return 0;
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n < 0)
		return 0;
	text[n] = 0;
	after = strrchr(text, ')');
	return after && sscanf(after, ") %*c %*d %*d %*d %ld", &tty) == 1 ? tty : 0;
}

/* Processes of other PID namespaces and, by hidepid, of other users may not be in /proc. */
static bool sees_all_processes(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == FIRST_PID_NAMESPACE &&
	       access("/proc/1/stat", R_OK) == 0;
}

/* No session has it: there are no jobs, and no shell that it would be kept from. */
static bool is_unclaimed(int terminal)
{
	const struct dirent *entry;
	struct stat status;
	bool found = false;
	DIR *proc;

	if (tcgetpgrp(terminal) >= 0 || errno != ENOTTY || fstat(terminal, &status) < 0)
		return false;
	proc = sees_all_processes() ? opendir("/proc") : NULL;
	if (!proc)
		return false;
	while (!found && (entry = readdir(proc)))
		found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			terminal_of(dirfd(proc), entry->d_name) == tty_number(status.st_rdev);
	closedir(proc);
	return !found;
}

/* tcsetattr(), tcgetpgrp() and getpgrp() may be called in handlers. */
static bool is_ours(const struct console *console)
{
	pid_t group = tcgetpgrp(console->in);

	return group < 0 ? console->unclaimed : group == getpgrp();
}

/* While it is another's, what is to be put back stays known. */
static void make_cooked(struct console *console)
{
	if (!console->raw || !is_ours(console))
		return;
	tcsetattr(console->in, TCSANOW, &console->saved);
	console->raw = false;
}

void console_restore_in_handler(void)
{
	struct console *console = open_console;
	int error = errno;

	if (console)
		make_cooked(console);
	errno = error;
}

static void make_raw(struct console *console)
{
	static bool registered;
	struct termios raw;
	bool was_raw;

	if (!console->terminal || !is_ours(console))
		return;
	if (!console->raw && tcgetattr(console->in, &console->saved))
		return;
	raw = console->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ECHONL | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
	if (console->keys) {
		raw.c_lflag &= ~(tcflag_t)ISIG;
		raw.c_oflag &= ~(tcflag_t)OPOST;
	}
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (!registered)
		registered = !atexit(console_restore_in_handler);
	if (!registered)
		return;
	/* Before the change: a fault in between finds it. */
	open_console = console;
	was_raw = console->raw;
	console->raw = true;
	if (tcsetattr(console->in, TCSANOW, &raw))
		console->raw = was_raw;
}

void console_open(struct console *console, int in, int out, int over, bool keys)
{
	*console = (struct console){ .in = in, .out = out, .over = over, .keys = keys };
	console->terminal = in >= 0 && isatty(in);
	console->unclaimed = console->terminal && is_unclaimed(in);
	console->own_in = output_own(in, O_RDONLY);
	console->own_out = output_own(out, O_WRONLY);
	make_raw(console);
}

void console_close(struct console *console)
{
	make_cooked(console);
	if (open_console == console)
		open_console = NULL;
	if (console->own_in >= 0)
		close(console->own_in);
	if (console->own_out >= 0)
		close(console->own_out);
	console->own_in = console->own_out = -1;
}

void console_suspend(struct console *console)
{
	make_cooked(console);
}

void console_resume(struct console *console)
{
	make_raw(console);
}

int console_patience(struct console *console)
{
	bool elsewhere = console->terminal && !is_ours(console);

	if (console->elsewhere && !elsewhere)
		make_raw(console);
	console->elsewhere = elsewhere;
	return elsewhere ? ELSEWHERE_MS : -1;
}

int console_put(struct console *console, const uint8_t *bytes, unsigned count)
{
	int error;

	if (console->out < 0)
		return 0;
	if (console->error)
		return console->error;
	if (console->gave_up)
		return 0;
	error = output_write(console->own_out >= 0 ? console->own_out : console->out, console->over,
			     OUTPUT_PATIENCE_MS, bytes, count);
	/* A VM that is over and a reader that takes nothing: no error of the guest's. */
	console->gave_up = error == EAGAIN;
	if (console->gave_up)
		error = 0;
	console->error = error;
	return error;
}

int console_input(const struct console *console)
{
	if (console->in < 0 || (console->terminal && !is_ours(console)))
		return -1;
	return console->own_in >= 0 ? console->own_in : console->in;
}

int console_get(struct console *console, uint8_t *buffer, unsigned size)
{
	int from = console_input(console);
	ssize_t n;

	if (from < 0)
		return 0;
	n = output_try_read(from, buffer, size);
	if (n > 0)
		return (int)n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* It went to the background in between. */
	return n < 0 && errno == EIO && console->terminal && !is_ours(console) ? 0 : -1;
}
