/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Waiting for readers, with an end. Owns no descriptor. */
#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

int output_own(int fd, int flags)
{
	char path[32];
	struct stat status;
	int own;

	flags |= O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	if (fd < 0 || fstat(fd, &status) < 0 || !(S_ISFIFO(status.st_mode) || isatty(fd)))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, flags);
	/* As after su: the terminal is another user's. */
	if (own < 0 && isatty(fd) && tcgetsid(fd) == getsid(0))
		own = open("/dev/tty", flags);
	return own;
}

/* A socket is the same description for all who have it, so that each call must say that it does not
 * wait; so must it where a description of our own could not be had. What the host denies is done as ever. */
ssize_t output_try_read(int fd, void *buffer, size_t size)
{
	struct iovec part = { .iov_base = buffer, .iov_len = size };
	struct stat status;
	ssize_t n = -1;

	if (fstat(fd, &status) < 0)
		return -1;
	errno = ENOSYS;
	if (S_ISSOCK(status.st_mode))
		n = recv(fd, buffer, size, MSG_DONTWAIT);
	else if (S_ISFIFO(status.st_mode))
		n = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
	return n >= 0 || errno == EAGAIN || errno == EINTR ? n : read(fd, buffer, size);
}

static ssize_t try_write(int fd, const void *bytes, size_t size)
{
	struct stat status;
	ssize_t n;

	if (fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode))
		return write(fd, bytes, size);
	n = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n >= 0 || errno == EAGAIN || errno == EINTR || errno == EPIPE ? n : write(fd, bytes, size);
}

/* 0: there is room, or *@denied: the host does not let us wait. EAGAIN: the VM is over and there is none. */
static int wait_for_room(int fd, int over, int patience, bool *denied)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLOUT }, { .fd = over, .events = POLLIN } };
	int n;

	for (;;) {
		n = poll(fds, 2, over >= 0 ? -1 : patience);
		*denied = n < 0 && errno != EINTR && errno != EAGAIN;
		if (*denied)
			return 0;
		if (n > 0 && fds[0].revents)
			return 0;
		if (n == 0)
			return EAGAIN;
		if (n > 0)
			over = fds[1].fd = -1;
	}
}

#define NAP_MS	10

/* A terminal that has room, but not for what is to be written. 0, or EAGAIN as wait_for_room(). */
static int wait_for_more_room(int *over, int *left)
{
	struct pollfd end = { .fd = *over, .events = POLLIN };

	if (poll(&end, 1, NAP_MS) > 0)
		*over = -1;
	if (*over >= 0)
		return 0;
	*left -= NAP_MS;
	return *left > 0 ? 0 : EAGAIN;
}

int output_write(int fd, int over, int patience, const void *bytes, size_t size)
{
	const char *from = bytes;
	int left = patience, error;
	size_t part;
	ssize_t n;
	bool denied;

	while (size) {
		error = wait_for_room(fd, over, patience, &denied);
		if (error)
			return error;
		/* A pipe that has room has it for that many: no write blocks, even where
		 * the description does, unless others write there, too. */
		part = size < PIPE_BUF ? size : PIPE_BUF;
		n = try_write(fd, from, part);
		if (n < 0 && errno != EINTR && (denied || errno != EAGAIN))
			return errno;
		if (n < 0 && errno == EAGAIN && wait_for_more_room(&over, &left))
			return EAGAIN;
		if (n > 0) {
			left = patience;
			from += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

void output_report(const void *text, size_t size)
{
	int own = output_own(STDERR_FILENO, O_WRONLY);

	output_write(own >= 0 ? own : STDERR_FILENO, -1, OUTPUT_PATIENCE_MS, text, size);
	if (own >= 0)
		close(own);
}

size_t output_control_size(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
		return 2;
	return (at[0] && at[0] < ' ') || at[0] == 0x7f;
}

static void make_plain(char *text)
{
	for (; *text; text++) {
		if (*text != '\n' && *text != '\t')
			memset(text, '?', output_control_size(text));
	}
}

void output_say(const char *format, ...)
{
	char line[PATH_MAX + 768];	/* a line may name a file */
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	if (length >= (int)sizeof(line)) {
		length = sizeof(line) - 1;
		line[length - 1] = '\n';
	}
	if (length <= 0)
		return;
	make_plain(line);
	output_report(line, (size_t)length);
}
