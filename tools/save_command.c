/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pvm save: asks a running pvm to write its guest into a file that is made here. Owns the file's name: unless
 * the guest is saved in it, it is gone at the end. A signal ends the wait; from then on the other side can
 * say no more that the guest is saved, and so it goes on. While the command of --exec runs, the connection
 * keeps the guest where it is: it ends with this process, however that ends.
 */
#define _GNU_SOURCE
#include "pvm.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

#define END_MS	60000	/* that the other process may take to end */

static const char help[] =
"Usage: pvm save [--continue [--exec=COMMAND]] PID FILE\n"
"\n"
"Writes the guest of the pvm process PID into FILE, which must not exist yet, and ends\n"
"that process with status 0: 'pvm restore FILE' goes on with it, on this host or on\n"
"another one whose CPU has what this one has. The guest does not notice, but for\n"
"its clock, which stands still meanwhile. Its disks are not in FILE: they are left as\n"
"they are, and belong together with it. It is for guests of 'pvm run --kernel'.\n"
"\n"
"  -c, --continue        the guest goes on, too; then its disks are not those that FILE\n"
"                        was saved with, as it writes them\n"
"      --exec=COMMAND    with --continue: have the shell run COMMAND before the guest\n"
"                        goes on, as its disks are flushed and FILE is whole: for\n"
"                        copies or snapshots of its disks; when it fails there is no\n"
"                        FILE. The guest stands still until it ends\n"
"  -h, --help            print this and exit\n"
"\n"
"Exit status: 0, or 125 when the guest is not saved: then it goes on, and there is no\n"
"FILE.\n"
"\n"
"Examples:\n"
"  pvm save 4711 guest.pvm\n"
"  pvm save --continue --exec='cp root.img copy.img' 4711 guest.pvm\n"
"  pvm restore --disk=copy.img guest.pvm\n";

struct save_options {
	pid_t pid;
	const char *path;
	const char *command;	/* NULL: none */
	bool goes_on, help;
};

static volatile sig_atomic_t has_signal;

static void on_signal(int signal)
{
	has_signal = signal;
}

/* It ends a wait. */
static void on_child(int signal)
{
	(void)signal;
}

/* They come while poll_or_signal() waits, and nowhere else. @before: the mask for that. One that was ignored
 * (nohup) stays so. */
static void catch_signals(sigset_t *before)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action = { .sa_handler = on_signal }, child = { .sa_handler = on_child };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	sigemptyset(&action.sa_mask);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction old;

		if (sigaction(numbers[i], NULL, &old) || old.sa_handler == SIG_IGN)
			continue;
		sigaddset(&set, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child.sa_mask);
	sigaction(SIGCHLD, &child, NULL);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, before);
	sigdelset(before, SIGCHLD);
}

/* Readable in time? False also where a signal came. @ms: -1: without a limit. */
static bool poll_or_signal(int fd, int ms, const sigset_t *mask)
{
	struct pollfd poll = { .fd = fd, .events = POLLIN };
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000l };
	int ready;

	do
		ready = ppoll(&poll, 1, ms < 0 ? NULL : &limit, mask);
	while (ready < 0 && errno == EINTR && !has_signal);
	return ready > 0;
}

/* ------------------------------------------------------------------------
 * The other process.
 */

static const char *why_no_socket(pid_t pid, int error)
{
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return "there is no such process";
	if (error == ECONNREFUSED)
		return "it is no pvm with a guest that can be saved: only those of 'pvm run --kernel' and 'pvm restore' can";
	return strerror(error);
}

/* -1 with the end of a line in @why. */
static int connect_to(pid_t pid, char *why, size_t why_size)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t length = control_address(&address, pid);
	struct ucred other = { 0 };
	socklen_t other_length = sizeof(other);

	if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, length) &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &other_length)) {
		if (other.pid == pid)
			return fd;
		snprintf(why, why_size, "process %ld poses as it", (long)other.pid);
	} else {
		snprintf(why, why_size, "%s", why_no_socket(pid, errno));
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static int send_request(int to, int fd, uint32_t flags)
{
	struct control_request request = { CONTROL_MAGIC, CONTROL_VERSION, CONTROL_SAVE, flags };
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec vector = { &request, sizeof(request) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space,
				  .msg_controllen = sizeof(space) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* 0: it is saved. Else -1 with the end of a line. */
static int wait_for_reply(int from, const sigset_t *mask, char *why, size_t why_size)
{
	struct control_reply reply = { 0 };
	ssize_t got;

	if (!poll_or_signal(from, -1, mask))
		shutdown(from, SHUT_RDWR);	/* what was said before that is still here */
	got = recv(from, &reply, sizeof(reply), MSG_DONTWAIT);
	reply.line[sizeof(reply.line) - 1] = '\0';
	if (got == sizeof(reply) && reply.magic == CONTROL_MAGIC) {
		snprintf(why, why_size, "%s", reply.line);
		return reply.status ? -1 : 0;
	}
	snprintf(why, why_size, "%s", has_signal ? "interrupted" : "it ended meanwhile");
	return -1;
}

/* ------------------------------------------------------------------------
 * The file.
 */

/* Its name, too, is to be there after a power failure. Not every file system can say so. */
static void synchronise_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fsync(fd) < 0)
		errno = 0;
	close(fd);
}

static void remove_file(const char *path, int fd)
{
	struct stat ours, there;

	if (!fstat(fd, &ours) && !lstat(path, &there) && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		unlink(path);
}

/* ------------------------------------------------------------------------
 * The command of --exec.
 */

/* 0, or an errno. Signals are to it what they were to us. */
static int start_shell(pid_t *child, const char *command, const sigset_t *mask)
{
	char *arguments[] = { "sh", "-c", (char *)command, NULL };
	posix_spawnattr_t attributes;
	sigset_t defaults;
	int error;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setsigmask(&attributes, mask);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(child, "/bin/sh", NULL, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	return error;
}

/* False: a signal came, and it has the same. */
static bool wait_or_signal(pid_t child, int *status, const sigset_t *mask)
{
	for (;;) {
		if (waitpid(child, status, WNOHANG) == child)
			return true;
		if (has_signal)
			break;
		ppoll(NULL, 0, NULL, mask);
	}
	kill(child, has_signal);
	return false;
}

/* 0: it ended with status 0. Else -1 with the end of a line. */
static int execute(const char *command, const sigset_t *mask, char *why, size_t why_size)
{
	pid_t child;
	int status = 0, error = start_shell(&child, command, mask);

	if (error)
		snprintf(why, why_size, "/bin/sh: %s", strerror(error));
	else if (!wait_or_signal(child, &status, mask))
		snprintf(why, why_size, "interrupted");
	else if (WIFSIGNALED(status))
		snprintf(why, why_size, "the command of --exec was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(why, why_size, "the command of --exec ended with status %d", WEXITSTATUS(status));
	else
		return 0;
	return -1;
}

/* ------------------------------------------------------------------------
 * All of it.
 */

static int save_into(const struct save_options *options, int file, const sigset_t *mask, char *why,
		     size_t why_size)
{
	uint32_t flags = (options->goes_on ? CONTROL_GOES_ON : 0) | (options->command ? CONTROL_WAITS : 0);
	int to = connect_to(options->pid, why, why_size), error;

	if (to < 0)
		return -1;
	synchronise_folder(options->path);
	error = send_request(to, file, flags);
	if (error)
		snprintf(why, why_size, "%s", strerror(errno));
	else
		error = wait_for_reply(to, mask, why, why_size);
	if (!error && options->command)
		error = execute(options->command, mask, why, why_size);
	/* Who restores it next finds its disks free. */
	if (!error && !options->goes_on)
		poll_or_signal(to, END_MS, mask);
	close(to);
	return error;
}

static int save(const struct save_options *options)
{
	char why[512] = "";
	sigset_t before;
	int file, error;

	catch_signals(&before);
	file = open(options->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0) {
		fprintf(stderr, "pvm: %s: %s\n", options->path, strerror(errno));
		return MONITOR_STATUS_FAILED;
	}
	error = save_into(options, file, &before, why, sizeof(why));
	if (error) {
		remove_file(options->path, file);
		fprintf(stderr, "pvm: %s: process %ld is not saved: %s\n", options->path, (long)options->pid, why);
	}
	close(file);
	return error ? MONITOR_STATUS_FAILED : 0;
}

/* "--exec=COMMAND" or "--exec COMMAND", at *@i. */
static int take_command(struct save_options *options, char **argv, int *i)
{
	options->command = argv[*i][6] ? argv[*i] + 7 : argv[++*i];
	if (!options->command)
		fputs("pvm: option '--exec' needs a value\n", stderr);
	else if (!*options->command)
		fputs("pvm: --exec=: not a command\n", stderr);
	else
		return 0;
	return -1;
}

static int check_options(const struct save_options *options, int operands)
{
	if (operands < 2)
		fputs("pvm: save wants a process and a file: 'pvm save PID FILE'\n", stderr);
	else if (options->command && !options->goes_on)
		fputs("pvm: --exec: it is for --continue: a guest that ends leaves its disks as they are\n", stderr);
	else
		return 0;
	return -1;
}

static int parse_options(struct save_options *options, int argc, char **argv)
{
	const char *operands[2];
	uint32_t pid;
	int i, count = 0;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			options->help = true;
			return 0;
		}
		if (!strcmp(argv[i], "--continue") || !strcmp(argv[i], "-c")) {
			options->goes_on = true;
		} else if (!strcmp(argv[i], "--exec") || !strncmp(argv[i], "--exec=", 7)) {
			if (take_command(options, argv, &i))
				return -1;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			fprintf(stderr, "pvm: unknown option '%s': see 'pvm save --help'\n", argv[i]);
			return -1;
		} else if (count == 2) {
			fprintf(stderr, "pvm: '%s': save wants one process and one file\n", argv[i]);
			return -1;
		} else {
			operands[count++] = argv[i];
		}
	}
	if (check_options(options, count))
		return -1;
	if (!parse_count(operands[0], &pid) || pid > INT_MAX) {
		fprintf(stderr, "pvm: '%s': not the number of a process\n", operands[0]);
		return -1;
	}
	options->pid = (pid_t)pid;
	options->path = operands[1];
	return 0;
}

int save_command(int argc, char **argv)
{
	struct save_options options = { 0 };

	if (parse_options(&options, argc, argv))
		return MONITOR_STATUS_FAILED;
	if (!options.help)
		return save(&options);
	fputs(help, stdout);
	return 0;
}
