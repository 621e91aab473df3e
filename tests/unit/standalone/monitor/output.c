/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Input that another reader has taken since poll(), and output that nobody takes: neither blocks. */
#define _GNU_SOURCE
#include "output.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "console.h"

#define ALARM_S	20	/* a call that blocks ends the test */

/* The library's: of a terminal poll() says that there is room where that is not for a whole character. */
static int cramped = -1;

ssize_t write(int fd, const void *bytes, size_t size)
{
	if (fd != cramped)
		return syscall(SYS_write, fd, bytes, size);
	errno = EAGAIN;
	return -1;
}

Test(output, room_that_is_not_enough_is_waited_for_no_longer_than_the_vm)
{
	int pipes[2], over;

	alarm(ALARM_S);
	cr_assert_eq(pipe(pipes), 0);
	cramped = pipes[1];
	cr_expect_eq(output_write(pipes[1], -1, 50, "x", 1), EAGAIN);
	over = eventfd(1, 0);
	cr_expect_eq(output_write(pipes[1], over, 50, "x", 1), EAGAIN);
	cramped = -1;
}

Test(output, a_socket_with_another_reader_is_not_waited_for)
{
	int pair[2];
	char byte;

	alarm(ALARM_S);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_expect_eq(output_try_read(pair[0], &byte, 1), -1);
	cr_expect_eq(errno, EAGAIN);
	cr_assert_eq(write(pair[1], "x", 1), 1);
	cr_expect_eq(output_try_read(pair[0], &byte, 1), 1);
	cr_expect_eq(byte, 'x');
	close(pair[1]);
	cr_expect_eq(output_try_read(pair[0], &byte, 1), 0, "its end");
}

Test(output, what_is_no_socket_is_read_as_ever)
{
	int pipes[2];
	char bytes[4];

	alarm(ALARM_S);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(write(pipes[1], "abc", 3), 3);
	cr_expect_eq(output_try_read(pipes[0], bytes, sizeof(bytes)), 3);
	close(pipes[1]);
	cr_expect_eq(output_try_read(pipes[0], bytes, sizeof(bytes)), 0);
	cr_expect_eq(output_try_read(-1, bytes, sizeof(bytes)), -1);
	cr_expect_eq(errno, EBADF);
}

Test(output, a_full_socket_is_given_up_when_the_vm_is_over)
{
	static char much[4 << 20];
	int pair[2];

	alarm(ALARM_S);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_expect_eq(output_write(pair[0], -1, 10, much, sizeof(much)), EAGAIN);
	close(pair[1]);
	cr_expect_eq(output_write(pair[0], -1, 10, much, 1), EPIPE, "and no SIGPIPE");
}

/* Of a saved guest's file the names are whatever its writer liked. */
Test(output, a_terminal_obeys_nothing_that_is_said)
{
	char text[64] = "";
	int pipes[2];

	alarm(ALARM_S);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_neq(dup2(pipes[1], STDERR_FILENO), -1);
	output_say("pvm: disk %s:\tno\n", "\33]0;a\a\302\2331m\177\303\234");
	cr_assert(read(pipes[0], text, sizeof(text) - 1) > 0);
	cr_expect_str_eq(text, "pvm: disk ?]0;a???1m?\303\234:\tno\n");
}

#define LAST_WORDS	(256 << 10)	/* more than fits into the pipe at once */

static void *read_all(void *from)
{
	static char buffer[4096];
	size_t count = 0;
	ssize_t n;

	while ((n = read(*(int *)from, buffer, sizeof(buffer))) > 0)
		count += (size_t)n;
	return (void *)count;
}

/* What a guest prints as it ends tells why it does. */
Test(output, last_words_wait_for_a_slow_reader)
{
	int pipes[2], over = eventfd(1, 0);
	struct console console;
	uint8_t *words = calloc(1, LAST_WORDS);
	pthread_t reader;
	void *count;

	alarm(ALARM_S);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_geq(fcntl(pipes[1], F_SETPIPE_SZ, 4096), 4096);
	console_open(&console, -1, pipes[1], over, false);
	cr_assert_eq(pthread_create(&reader, NULL, read_all, &pipes[0]), 0);
	cr_expect_eq(console_put(&console, words, LAST_WORDS), 0);
	console_close(&console);
	close(pipes[1]);
	pthread_join(reader, &count);
	cr_expect_eq((size_t)count, LAST_WORDS);
	free(words);
}

Test(output, a_reader_that_takes_nothing_is_waited_for_once)
{
	int pipes[2], over = eventfd(1, 0);
	struct console console;
	uint8_t *words = calloc(1, LAST_WORDS);

	alarm(ALARM_S);
	cr_assert_eq(pipe(pipes), 0);
	console_open(&console, -1, pipes[1], over, false);
	cr_expect_eq(console_put(&console, words, LAST_WORDS), 0);
	cr_expect(console.gave_up);
	cr_assert_eq(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
	while (read(pipes[0], words, 4096) > 0)
		;	/* there is room again */
	cr_expect_eq(console_put(&console, words, 1), 0);
	cr_expect_eq(read(pipes[0], words, 1), -1, "what comes later is dropped, too");
	console_close(&console);
	free(words);
}

/* @part in a process of its own, with the name of a new terminal: it ends with 0 where all is well. */
static void with_terminal(int (*part)(const char *name))
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), status;
	char name[64];
	pid_t child;

	cr_assert_geq(master, 0);
	cr_assert_eq(grantpt(master) | unlockpt(master) | ptsname_r(master, name, sizeof(name)), 0);
	child = fork();
	if (child == 0)
		_exit(part(name));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", status);
}

/* In a session with a terminal that it may use, and not open: 0 if there is a description of its own. */
static int own_terminal_of_another_user(const char *name)
{
	int terminal, own;

	setsid();
	terminal = open(name, O_RDWR);
	if (terminal < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0 || fchmod(terminal, 0) < 0)
		return 1;
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 2;
	prctl(PR_SET_DUMPABLE, 1);
	if (open(name, O_WRONLY | O_NOCTTY) >= 0)
		return 3;
	own = output_own(terminal, O_WRONLY);
	if (own < 0 || !isatty(own))
		return 4;
	return fcntl(own, F_GETFL) & O_NONBLOCK && !(fcntl(terminal, F_GETFL) & O_NONBLOCK) ? 0 : 5;
}

Test(output, a_terminal_of_another_user_has_a_description_of_its_own)
{
	with_terminal(own_terminal_of_another_user);
}

static bool is_raw(int terminal)
{
	struct termios now;

	return tcgetattr(terminal, &now) == 0 && !(now.c_lflag & (ICANON | ECHO));
}

/* In a session whose terminal another process group has, and then this one, as by fg: 0: raw at once. */
static int terminal_comes_back(const char *name)
{
	struct console console;
	int terminal, patience;
	pid_t other;

	setsid();
	signal(SIGTTOU, SIG_IGN);
	terminal = open(name, O_RDWR);
	if (terminal < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0)
		return 1;
	other = fork();
	if (other == 0) {
		setpgid(0, 0);
		pause();
	}
	setpgid(other, other);
	if (tcsetpgrp(terminal, other))
		return 2;
	console_open(&console, terminal, terminal, -1, false);
	patience = console_patience(&console);
	if (is_raw(terminal) || patience <= 0)
		return 3;
	/* Whatever else ends a wait, and however often. */
	if (tcsetpgrp(terminal, getpgrp()) || console_patience(&console) != -1 || !is_raw(terminal))
		return 4;
	console_close(&console);
	kill(other, SIGKILL);
	return is_raw(terminal) ? 5 : 0;
}

Test(output, a_terminal_that_comes_back_without_a_signal_is_raw_at_once)
{
	with_terminal(terminal_comes_back);
}
