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

static struct client start(pid_t whom, const char *option)
{
	struct client client;
	char number[16];
	int ends[2];

	snprintf(number, sizeof(number), "%ld", (long)whom);
	if (pipe2(ends, O_CLOEXEC))
		exit(2);
	unlink(path);
	client.pid = fork();
	if (!client.pid) {
		dup2(ends[1], STDERR_FILENO);
		execl(pvm, "pvm", "save", option ? option : number, option ? number : path,
		      option ? path : NULL, NULL);
		_exit(127);
	}
	close(ends[1]);
	client.errors = ends[0];
	return client;
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
	return is_wrong;
}
