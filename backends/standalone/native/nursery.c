/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Starting the zygote and asking it for stubs. Owns the zygote's process, the
 * socket to it and the arena of shared pages. Never runs a guest.
 */
#include "nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

extern const char native_image[], native_image_end[];
extern char **environ;

/* Wait for the end of a child, and reap it. */
static siginfo_t reap(int pidfd)
{
	siginfo_t status = { 0 };

	while (waitid(P_PIDFD, (id_t)pidfd, &status, WEXITED) < 0) {
		if (errno != EINTR) {
			status.si_code = 0;
			break;
		}
	}
	return status;
}

siginfo_t nursery_kill(int pidfd)
{
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	return reap(pidfd);
}

/* A handle for a process that was just started: -1 when that is not ours to wait
 * for, because it is gone already and nobody keeps it for us. */
static int open_child(pid_t pid)
{
	siginfo_t status = { 0 };
	int pidfd = pidfd_open(pid, 0);

	if (pidfd >= 0 && waitid(P_PIDFD, (id_t)pidfd, &status, WEXITED | WNOHANG | WNOWAIT) < 0) {
		int error = errno;

		close(pidfd);
		errno = error;
		return -1;
	}
	return pidfd;
}

static int fail(char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "native executor: %s: %s", what, strerror(errno));
	return -1;
}

static bool write_all(int fd, const char *from, const char *end)
{
	while (from < end) {
		ssize_t n = write(fd, from, (size_t)(end - from));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		from += n;
	}
	return true;
}

/* A file in memory that can be executed and never changed again. */
static int image_file(void)
{
	int fd = memfd_create("pvm-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)	/* before Linux 6.3 */
		fd = memfd_create("pvm-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (!write_all(fd, native_image, native_image_end) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A process group of its own: the terminal's keys are the monitor's. The zygote drops what came before that.
 * No session of its own: Linux shares the CPUs out by sessions, and `nice` counts within one only. */
static void keep_signals_away(posix_spawnattr_t *attributes)
{
	sigset_t all;

	sigfillset(&all);
	posix_spawnattr_setsigmask(attributes, &all);
	posix_spawnattr_setpgroup(attributes, 0);
	posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
}

static int spawn_zygote(struct nursery *nursery, const int fds[4])
{
	static const int targets[4] = {
		ZYGOTE_FD_SOCKET, ZYGOTE_FD_ARENA, STUB_FD_GUEST, ZYGOTE_FD_IMAGE,
	};
	char path[32];
	char name[] = "pvm-stub";
	char *argv[] = { name, NULL };
	char *envp[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	bool missing = false;
	unsigned i;
	int high[4];
	int error;

	posix_spawnattr_init(&attributes);
	keep_signals_away(&attributes);
	posix_spawn_file_actions_init(&actions);
	/* Out of the way first: a source may have the number of a target. */
	for (i = 0; i < 4; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 16);
		if (high[i] < 0)
			missing = true;
		posix_spawn_file_actions_adddup2(&actions, high[i], targets[i]);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", high[3]);
	/* Also EINVAL, where the limit is lower than that. */
	error = missing ? EMFILE : posix_spawn(&nursery->zygote, path, &actions, &attributes, argv, envp);
	for (i = 0; i < 4; i++)
		if (high[i] >= 0)
			close(high[i]);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (error) {
		nursery->zygote = 0;
		errno = error;
		return -1;
	}
	nursery->zygote_pidfd = open_child(nursery->zygote);
	return nursery->zygote_pidfd < 0 ? -1 : 0;
}

static int start(struct nursery *nursery, int guest_fd, int arena, char *why, size_t why_size)
{
	int sockets[2];
	int image = image_file();
	int result = 0;

	if (image < 0)
		return fail(why, why_size, "no executable file in memory for the stub (memfd_create)");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
		close(image);
		return fail(why, why_size, "socketpair");
	}
	nursery->socket = sockets[0];
	if (spawn_zygote(nursery, (int[4]){ sockets[1], arena, guest_fd, image }) < 0)
		result = fail(why, why_size, "can not start the stub's zygote");
	close(sockets[1]);
	close(image);
	return result;
}

int nursery_open(struct nursery *nursery, int guest_fd, unsigned slots, unsigned pkeys,
		 char *why, size_t why_size)
{
	size_t size = (size_t)slots * STUB_SLOT_SIZE;
	int arena = memfd_create("pvm-stub-pages", MFD_CLOEXEC);
	int result = 0;

	*nursery = (struct nursery){ .socket = -1, .zygote_pidfd = -1, .slots = slots, .pkeys = pkeys };
	if (arena < 0)
		return fail(why, why_size, "memfd_create");
	if (ftruncate(arena, (off_t)size) < 0) {
		result = fail(why, why_size, "no memory for the stubs' pages");
	} else {
		nursery->arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, arena, 0);
		if (nursery->arena == MAP_FAILED) {
			nursery->arena = NULL;
			result = fail(why, why_size, "no memory for the stubs' pages");
		}
	}
	if (result == 0)
		result = start(nursery, guest_fd, arena, why, why_size);
	close(arena);
	if (result < 0)
		nursery_close(nursery);
	return result;
}

void nursery_close(struct nursery *nursery)
{
	if (nursery->zygote_pidfd >= 0) {
		nursery_kill(nursery->zygote_pidfd);
		close(nursery->zygote_pidfd);
	}
	if (nursery->socket >= 0)
		close(nursery->socket);
	if (nursery->arena)
		munmap(nursery->arena, (size_t)nursery->slots * STUB_SLOT_SIZE);
	*nursery = (struct nursery){ .socket = -1, .zygote_pidfd = -1 };
}

/* Send the request with the stub's descriptors. -EPIPE: the zygote is gone. */
static int ask(struct nursery *nursery, unsigned slot, const int fds[4])
{
	struct zygote_request request = {
		.slot = slot, .monitor = getpid(), .pkeys = nursery->pkeys,
	};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(4 * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, 4 * sizeof(int));
	while (sendmsg(nursery->socket, &message, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

static int answer(struct nursery *nursery)
{
	struct pollfd socket = { .fd = nursery->socket, .events = POLLIN };
	int32_t pid;
	ssize_t n;

	/* One that somebody has stopped would keep us for ever. */
	while (poll(&socket, 1, 1000) == 0)
		pidfd_send_signal(nursery->zygote_pidfd, SIGCONT, NULL, 0);
	do
		n = read(nursery->socket, &pid, sizeof(pid));
	while (n < 0 && errno == EINTR);
	return n == sizeof(pid) ? pid : -EPIPE;
}

static void close_all(const int *fds, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* The zygote does not answer: it is dead, or as good as that. Keep what it died of. */
static int zygote_is_gone(struct nursery *nursery)
{
	if (nursery->zygote_pidfd >= 0) {
		nursery->status = nursery_kill(nursery->zygote_pidfd);
		close(nursery->zygote_pidfd);
		nursery->zygote_pidfd = -1;
	}
	return -EPIPE;
}

int nursery_clone(struct nursery *nursery, unsigned slot, int go, int peer, struct nursery_stub *stub)
{
	/* Events, not pipes: writing to a dead stub must not raise SIGPIPE. */
	int stop[2] = { -1, -1 };
	int order = eventfd(0, EFD_CLOEXEC);
	int pidfd, pid = 0, result = 0;

	if (order < 0 || pipe2(stop, O_CLOEXEC) < 0)
		result = -errno;
	else
		result = ask(nursery, slot, (int[4]){ go, stop[1], order, peer });
	/* The write end is the stub's alone: its death shows as end of file. */
	close_all(&stop[1], 1);
	if (result == 0)
		result = answer(nursery);
	if (result == -EPIPE)
		result = zygote_is_gone(nursery);
	if (result > 0) {
		pidfd = open_child(result);
		if (pidfd >= 0) {
			*stub = (struct nursery_stub){
				.pid = result, .pidfd = pidfd, .order = order, .stop = stop[0],
			};
			return 0;
		}
		pid = result;
		result = -errno;
	}
	close_all((int[2]){ order, stop[0] }, 2);
	/* It ends by itself, as its pipe has no reader. There are descriptors to spare now, to reap it. */
	if (pid > 0 && (pidfd = open_child(pid)) >= 0) {
		nursery_kill(pidfd);
		close(pidfd);
	}
	return result;
}
