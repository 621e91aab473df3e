/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Clients of a running guest's control socket: none of them holds it up. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "saving.h"

TestSuite(control, .init = saving_begin, .fini = saving_end, .timeout = 120);

Test(control, requests_that_are_none)
{
	static const struct control_request rows[] = {
		{ 0, CONTROL_VERSION, CONTROL_SAVE, 0 },
		{ CONTROL_MAGIC, CONTROL_VERSION + 1, CONTROL_SAVE, 0 },
		{ CONTROL_MAGIC, CONTROL_VERSION, 2, 0 },
		{ CONTROL_MAGIC, CONTROL_VERSION, CONTROL_SAVE, CONTROL_WAITS },
		{ CONTROL_MAGIC, CONTROL_VERSION, CONTROL_SAVE, 4 },
	};
	static const struct { size_t size; unsigned fds;
	} shapes[] = {
		{ sizeof(saving_ends), 0 },
		{ sizeof(saving_ends), 2 },
		{ sizeof(saving_ends), 16 },
		{ sizeof(saving_ends) - 1, 1 },
		{ 1, 1 },
	};
	char large[64] = { 0 };
	int file = saving_new_file(second), to;
	size_t i;

	memcpy(large, &saving_ends, sizeof(saving_ends));
	saving_start(first);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		to = saving_connect();
		saving_ask(to, &rows[i], sizeof(rows[i]), file, 1);
		cr_expect_eq(saving_reply(to).status, 1, "row %zu", i);
		close(to);
	}
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		to = saving_connect();
		saving_ask(to, &saving_ends, shapes[i].size, file, shapes[i].fds);
		cr_expect_eq(saving_reply(to).status, 1, "shape %zu", i);
		close(to);
	}
	to = saving_connect();
	saving_ask(to, large, sizeof(large), file, 1);
	cr_expect_eq(saving_reply(to).status, 1);
	close(to);
	close(file);
	saving_stop();
}

Test(control, files_that_are_none)
{
	static const char text[] = "worth something";
	struct control_reply reply;
	int ends[2], to, file;

	saving_start(first);
	cr_assert_eq(pipe(ends), 0);
	to = saving_connect();
	saving_ask(to, &saving_ends, sizeof(saving_ends), ends[1], 1);
	reply = saving_reply(to);
	cr_expect_str_eq(reply.line, "it is not a file");
	close(to);
	file = saving_new_file(second);
	cr_assert_eq(write(file, text, sizeof(text)), (ssize_t)sizeof(text));
	to = saving_connect();
	saving_ask(to, &saving_ends, sizeof(saving_ends), file, 1);
	reply = saving_reply(to);
	cr_expect_str_eq(reply.line, "the file is not empty");
	close(to);
	cr_expect_eq(lseek(file, 0, SEEK_END), (off_t)sizeof(text));
	cr_assert_eq(ftruncate(file, 0), 0);
	close(file);
	file = open(second, O_RDONLY | O_CLOEXEC);
	to = saving_connect();
	saving_ask(to, &saving_ends, sizeof(saving_ends), file, 1);
	reply = saving_reply(to);
	cr_expect_str_eq(reply.line, "the file cannot be written");
	close(to);
	close(file);
	saving_stop();
}

/* It is not waited for longer than CONTROL_SILENCE_MS, and others come to their turn. */
Test(control, a_client_that_says_nothing)
{
	int silent;

	saving_start(first);
	silent = saving_connect();
	cr_expect_eq(saving_save(second, &saving_ends).status, 0);
	saving_finish(MONITOR_END_SAVED);
	close(silent);
}

Test(control, the_end_does_not_wait_for_a_client)
{
	int silent;

	saving_start(first);
	silent = saving_connect();
	saving_stop();
	close(silent);
}

/* A client that cannot be told that the guest is saved finds it running. */
Test(control, a_client_that_is_gone)
{
	int to, file, i;

	saving_start(first);
	for (i = 0; i < 10; i++) {
		to = saving_connect();
		file = saving_new_file(second);
		saving_ask(to, &saving_ends, sizeof(saving_ends), file, 1);
		cr_assert_eq(shutdown(to, SHUT_RDWR), 0);
		close(to);
		/* The next is served when this one has been. */
		unlink(second);
		cr_assert_eq(saving_save(second, &saving_goes_on).status, 0);
		cr_assert_eq(lseek(file, 0, SEEK_END), 0, "nothing is left in its file");
		close(file);
		unlink(second);
	}
	saving_stop();
}

/* ------------------------------------------------------------------------
 * A client that has something to do before the guest goes on.
 */

static const struct control_request waits = { CONTROL_MAGIC, CONTROL_VERSION, CONTROL_SAVE,
					      CONTROL_GOES_ON | CONTROL_WAITS };

/* Returns its connection: the guest is saved, and stands still. */
static int save_and_hold(void)
{
	int to = saving_connect(), file = saving_new_file(second);

	saving_ask(to, &waits, sizeof(waits), file, 1);
	cr_assert_eq(saving_reply(to).status, 0);
	cr_expect_gt(lseek(file, 0, SEEK_END), 0, "the file is whole");
	close(file);
	unlink(second);
	usleep(50000);
	cr_expect_eq(atomic_load(&vm->loop->paused), 1, "it goes on");
	return to;
}

static void wait_until_it_goes_on(void)
{
	while (atomic_load(&vm->loop->paused))
		sched_yield();
}

Test(control, a_guest_stands_still_until_its_client_is_gone)
{
	int to;

	saving_start(first);
	to = save_and_hold();
	close(to);
	wait_until_it_goes_on();
	/* Not by accident. */
	to = save_and_hold();
	shutdown(to, SHUT_WR);
	wait_until_it_goes_on();
	close(to);
	cr_expect_eq(saving_save(second, &saving_goes_on).status, 0);
	saving_stop();
}

Test(control, the_end_does_not_wait_for_a_client_that_holds_the_guest)
{
	int to;

	saving_start(first);
	to = save_and_hold();
	saving_stop();
	close(to);
}

Test(control, the_socket_is_gone_with_the_guest)
{
	saving_start(first);
	close(saving_connect());
	saving_stop();
	cr_expect_eq(saving_try_connect(), -1);
}

Test(control, a_socket_that_another_has_is_said)
{
	struct sockaddr_un address;
	socklen_t length = control_address(&address, getpid());
	int other = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), errors = dup(STDERR_FILENO), pipes[2];
	char text[512] = "";

	cr_assert_eq(bind(other, (struct sockaddr *)&address, length), 0);
	cr_assert_eq(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	saving_start(first);
	saving_stop();
	dup2(errors, STDERR_FILENO);
	close(pipes[1]);
	cr_assert(read(pipes[0], text, sizeof(text) - 1) > 0, "nothing was said");
	cr_expect(strstr(text, "'pvm save' will not reach this guest") && strstr(text, "Address already in use"), "%s",
		  text);
	close(pipes[0]);
	close(errors);
	close(other);
}
