/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * save_client PVM FOLDER: what 'pvm save' makes of a process that answers in all sorts of ways, which is this
 * one, and of signals. Says what is wrong, and ends with 1 then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

static const char *pvm, *scenario;
static char path[256];
static bool is_wrong;

static void check(bool right, const char *what)
{
	if (right)
		return;
	printf("%s: %s\n", scenario, what);
	is_wrong = true;
}

/* ------------------------------------------------------------------------
 * The process that is to be saved.
 */

static int listen_as(pid_t pid)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t length = control_address(&address, pid);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 1)) {
		perror("listen");
		exit(2);
	}
	return fd;
}

/* Takes the request; the file that came with it, or -1. */
static int take_request(int client, struct control_request *request)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))];
	struct iovec vector = { request, sizeof(*request) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space,
				  .msg_controllen = sizeof(space) };
	struct cmsghdr *header;
	int fd = -1;

	if (recvmsg(client, &message, MSG_CMSG_CLOEXEC) != sizeof(*request))
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static bool answer(int client, int status, const char *line)
{
	struct control_reply reply = { .magic = CONTROL_MAGIC, .status = status };

	snprintf(reply.line, sizeof(reply.line), "%s", line);
	return send(client, &reply, sizeof(reply), MSG_NOSIGNAL) == sizeof(reply);
}

/* ------------------------------------------------------------------------
 * The client.
 */

struct client {
	pid_t pid;
	int errors;	/* its standard error */
};

/* @first, @second: options, or NULL. */
static struct client start_with(pid_t whom, const char *first, const char *second)
{
	const char *arguments[8] = { "pvm", "save" };
	struct client client;
	unsigned count = 2;
	char number[16];
	int ends[2];

	snprintf(number, sizeof(number), "%ld", (long)whom);
	if (first)
		arguments[count++] = first;
	if (second)
		arguments[count++] = second;
	arguments[count++] = number;
	arguments[count] = path;
	if (pipe2(ends, O_CLOEXEC))
		exit(2);
	unlink(path);
	client.pid = fork();
	if (!client.pid) {
		dup2(ends[1], STDERR_FILENO);
		execv(pvm, (char *const *)arguments);
		_exit(127);
	}
	close(ends[1]);
	client.errors = ends[0];
	return client;
}

static struct client start(pid_t whom, const char *option)
{
	return start_with(whom, option, NULL);
}

static struct client start_command(pid_t whom, const char *command)
{
	char option[700];

	snprintf(option, sizeof(option), "--exec=%s", command);
	return start_with(whom, "--continue", option);
}

static bool file_is_there(void)
{
	return access(path, F_OK) == 0;
}

/* Its end: the status, whether there is a file, and a line; NULL: nothing is said. */
static void finish(struct client client, int status, bool file, const char *line)
{
	char text[1024];
	ssize_t got = 0, more;
	int result;

	while ((more = read(client.errors, text + got, sizeof(text) - 1 - (size_t)got)) > 0)
		got += more;
	text[got] = '\0';
	close(client.errors);
	waitpid(client.pid, &result, 0);
	check(WIFEXITED(result) && WEXITSTATUS(result) == status, "it ends with another status");
	check(file_is_there() == file, file ? "the file is gone" : "the file is still there");
	check(line ? strstr(text, line) && strchr(text, '\n') == text + got - 1 : !got, text);
	unlink(path);
}

/* ------------------------------------------------------------------------
 * Scenarios.
 */

static void saved(int listener, bool goes_on)
{
	struct client client = start(getpid(), goes_on ? "--continue" : NULL);
	struct control_request request = { 0 };
	int to = accept(listener, NULL, NULL), file = take_request(to, &request);
	struct pollfd over = { .fd = client.errors, .events = POLLIN };
	struct stat status = { 0 };

	scenario = goes_on ? "saved, and goes on" : "saved";
	check(request.magic == CONTROL_MAGIC && request.what == CONTROL_SAVE, "the request is another");
	check(request.flags == (goes_on ? CONTROL_GOES_ON : 0), "the flags are others");
	check(fstat(file, &status) == 0 && S_ISREG(status.st_mode) && !status.st_size, "no empty file came");
	check((status.st_mode & 0777) == 0600, "others may read the file");
	check(write(file, "x", 1) == 1, "the file cannot be written");
	close(file);
	answer(to, 0, "");
	/* What the process has open is what is waited for. */
	if (!goes_on)
		check(poll(&over, 1, 100) == 0, "it does not wait for the process's end");
	close(to);
	finish(client, 0, true, NULL);
}

static void refused(int listener)
{
	struct client client = start(getpid(), NULL);
	int to = accept(listener, NULL, NULL);
	struct control_request request;

	scenario = "refused";
	close(take_request(to, &request));
	answer(to, 1, "a reason");
	close(to);
	finish(client, 125, false, "is not saved: a reason");
}

static void ended(int listener)
{
	struct client client = start(getpid(), NULL);
	int to = accept(listener, NULL, NULL);
	struct control_request request;

	scenario = "ended meanwhile";
	close(take_request(to, &request));
	close(to);
	finish(client, 125, false, "is not saved: it ended meanwhile");
}

static void nonsense(int listener)
{
	struct client client = start(getpid(), NULL);
	int to = accept(listener, NULL, NULL);
	struct control_request request;

	scenario = "an answer that is none";
	close(take_request(to, &request));
	send(to, "ok", 2, MSG_NOSIGNAL);
	close(to);
	finish(client, 125, false, "is not saved: it ended meanwhile");
}

/* From then on it cannot be told that the guest is saved. */
static void interrupted(int listener, int signal)
{
	struct client client = start(getpid(), NULL);
	int to = accept(listener, NULL, NULL);
	struct control_request request;
	struct pollfd gone = { .fd = to, .events = POLLRDHUP };

	scenario = strsignal(signal);
	close(take_request(to, &request));
	kill(client.pid, signal);
	poll(&gone, 1, -1);
	check(!answer(to, 0, ""), "it was told that the guest is saved, and does not listen");
	finish(client, 125, false, "is not saved: interrupted");
	close(to);
}

/* The answer is there before the signal: it counts. */
static void told_and_interrupted(int listener)
{
	struct client client = start(getpid(), NULL);
	int to = accept(listener, NULL, NULL);
	struct control_request request;

	scenario = "told, and interrupted";
	close(take_request(to, &request));
	kill(client.pid, SIGSTOP);
	waitpid(client.pid, NULL, WUNTRACED);
	answer(to, 0, "");
	kill(client.pid, SIGINT);
	kill(client.pid, SIGCONT);
	finish(client, 0, true, NULL);
	close(to);
}

static void replaced(int listener)
{
	struct client client = start(getpid(), NULL);
	int to = accept(listener, NULL, NULL), other;
	struct control_request request;

	scenario = "a file that is another's by now";
	close(take_request(to, &request));
	unlink(path);
	other = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	close(other);
	answer(to, 1, "a reason");
	close(to);
	finish(client, 125, true, "is not saved: a reason");
}

/* A process that has another's name. */
static void posing(void)
{
	pid_t other = fork();
	struct client client;
	int listener;

	scenario = "a process that poses as another";
	if (!other) {
		pause();
		_exit(0);
	}
	listener = listen_as(other);
	client = start(other, NULL);
	finish(client, 125, false, "poses as it");
	close(listener);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

/* ------------------------------------------------------------------------
 * --exec.
 */

/* Told that the guest is saved, and stands still. Returns its connection. */
static int told_to_execute(int listener)
{
	int to = accept(listener, NULL, NULL);
	struct control_request request = { 0 };

	close(take_request(to, &request));
	check(request.flags == (CONTROL_GOES_ON | CONTROL_WAITS), "the flags are others");
	check(answer(to, 0, ""), "it does not listen");
	return to;
}

static bool has_closed(int to, int ms)
{
	struct pollfd poll_to = { .fd = to, .events = POLLIN | POLLRDHUP };

	return poll(&poll_to, 1, ms) > 0;
}

/* The command waits until the test opens its pipe: its guest goes on afterwards. */
static void executed(int listener)
{
	char pipe[300], command[640];
	struct client client;
	int to, end;

	scenario = "executed";
	snprintf(pipe, sizeof(pipe), "%s.pipe", path);
	snprintf(command, sizeof(command), "test -e %s && cat %s", path, pipe);
	if (mkfifo(pipe, 0600))
		exit(2);
	client = start_command(getpid(), command);
	to = told_to_execute(listener);
	end = open(pipe, O_WRONLY | O_CLOEXEC);		/* it runs */
	check(!has_closed(to, 200), "the guest goes on while the command runs");
	check(waitpid(client.pid, NULL, WNOHANG) == 0, "it does not wait for the command");
	close(end);
	check(has_closed(to, -1), "the guest stands still");
	finish(client, 0, true, NULL);
	close(to);
	unlink(pipe);
}

static void executed_in_vain(int listener, const char *command, const char *line)
{
	struct client client;
	int to;

	scenario = command;
	client = start_command(getpid(), command);
	to = told_to_execute(listener);
	check(has_closed(to, -1), "the guest stands still");
	finish(client, 125, false, line);
	close(to);
}

/* A command that does not end by itself. It runs when this returns, with its process in @number. */
static struct client start_endless(int listener, int *to, char *number, size_t size)
{
	struct client client;
	char pipe[300], command[640];
	ssize_t n;
	int end;

	snprintf(pipe, sizeof(pipe), "%s.pipe", path);
	snprintf(command, sizeof(command), "echo $$ >%s; exec sleep 1000", pipe);
	if (mkfifo(pipe, 0600))
		exit(2);
	client = start_command(getpid(), command);
	*to = told_to_execute(listener);
	end = open(pipe, O_RDONLY | O_CLOEXEC);
	n = read(end, number, size - 1);
	if (n <= 0)
		exit(2);	/* the command does not run */
	number[n] = '\0';
	close(end);
	unlink(pipe);
	return client;
}

/* The command has the signal, too: else what it copies then is another moment's. */
static void execution_interrupted(int listener)
{
	struct client client;
	char number[16];
	int to;

	scenario = "a signal while the command runs";
	client = start_endless(listener, &to, number, sizeof(number));
	kill(client.pid, SIGTERM);
	check(has_closed(to, -1), "the guest stands still");
	finish(client, 125, false, "is not saved: interrupted");
	close(to);
}

/* Whatever ends it, also what no program can wait for. */
static void killed_while_it_executes(int listener)
{
	struct client client;
	char number[16];
	int to;

	scenario = "SIGKILL while the command runs";
	client = start_endless(listener, &to, number, sizeof(number));
	kill(client.pid, SIGKILL);
	check(has_closed(to, 10000), "the command holds the guest, and it stands still");
	kill(atoi(number), SIGKILL);
	waitpid(client.pid, NULL, 0);
	close(client.errors);
	close(to);
	unlink(path);
}

static void not_executed(int listener)
{
	char made[300], command[640];
	struct control_request request;
	struct client client;
	int to;

	scenario = "refused, and not executed";
	snprintf(made, sizeof(made), "%s.made", path);
	snprintf(command, sizeof(command), "touch %s", made);
	client = start_command(getpid(), command);
	to = accept(listener, NULL, NULL);
	close(take_request(to, &request));
	answer(to, 1, "a reason");
	close(to);
	finish(client, 125, false, "is not saved: a reason");
	check(unlink(made) < 0, "the command was run");
}

int main(int argc, char **argv)
{
	int listener;

	if (argc != 3)
		return 2;
	pvm = argv[1];
	snprintf(path, sizeof(path), "%s/save-client.%ld", argv[2], (long)getpid());
	listener = listen_as(getpid());
	saved(listener, false);
	saved(listener, true);
	refused(listener);
	ended(listener);
	nonsense(listener);
	interrupted(listener, SIGINT);
	interrupted(listener, SIGTERM);
	interrupted(listener, SIGHUP);
	told_and_interrupted(listener);
	replaced(listener);
	posing();
	executed(listener);
	executed_in_vain(listener, "exit 3", "is not saved: the command of --exec ended with status 3");
	executed_in_vain(listener, "kill -KILL $$", "is not saved: the command of --exec was ended by signal 9");
	execution_interrupted(listener);
	killed_while_it_executes(listener);
	not_executed(listener);
	return is_wrong;
}
