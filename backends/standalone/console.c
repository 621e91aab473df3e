/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The console's host side. Owns the terminal's settings: whatever happens, they
 * are put back (console_close(), and at exit of the process).
 */
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* The terminal to put back when the process exits without console_close(). */
static struct console *open_console;

static void restore_at_exit(void)
{
	if (open_console)
		console_close(open_console);
}

static void make_raw(struct console *console)
{
	static bool registered;
	struct termios raw;

	if (!isatty(console->in) || tcgetpgrp(console->in) != getpgrp() ||
	    tcgetattr(console->in, &console->saved))
		return;
	raw = console->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ECHONL | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (!registered)
		registered = !atexit(restore_at_exit);
	if (registered && !tcsetattr(console->in, TCSANOW, &raw)) {
		console->raw = true;
		open_console = console;
	}
}

void console_open(struct console *console, int in, int out, int over)
{
	*console = (struct console){ .in = in, .out = out, .over = over };
	if (in >= 0)
		make_raw(console);
}

void console_close(struct console *console)
{
	if (console->raw)
		tcsetattr(console->in, TCSANOW, &console->saved);
	console->raw = false;
	if (open_console == console)
		open_console = NULL;
}

/* A reader that takes nothing must not keep a VM that is over. False: it is. */
static bool wait_for_room(const struct console *console)
{
	struct pollfd fds[] = {
		{ .fd = console->out, .events = POLLOUT },
		{ .fd = console->over, .events = POLLIN },
	};

	while (poll(fds, 2, -1) < 0 && (errno == EINTR || errno == EAGAIN))
		;
	return fds[0].revents || !fds[1].revents;
}

int console_put(struct console *console, uint8_t byte)
{
	if (console->out < 0)
		return 0;
	if (console->error)
		return console->error;
	while (wait_for_room(console)) {
		if (write(console->out, &byte, 1) == 1)
			return 0;
		if (errno != EAGAIN && errno != EINTR) {
			console->error = errno;
			return console->error;
		}
	}
	return 0;
}

int console_get(struct console *console, uint8_t *buffer, unsigned size)
{
	ssize_t n = read(console->in, buffer, size);

	if (n > 0)
		return (int)n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}
