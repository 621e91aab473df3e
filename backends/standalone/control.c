/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * As control.h says. A client is not trusted with the guest's time: what it does not say in
 * CONTROL_SILENCE_MS is not waited for, and no answer is. A reply that says that the guest is saved is the
 * moment from which it is: a client that cannot be told so finds the guest running. Where the guest is to
 * stand still after that (CONTROL_WAITS), it does as long as the client has its end open, and so lives.
 */
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"
#include "output.h"

#define FDS_MAX		8	/* of a message: all that come are closed */
#define WAITING		4	/* clients */

struct control {
	struct monitor_vm *vm;
	int fd;			/* listens */
	int client;		/* or -1; of the one that was told last until the VM is gone */
	pthread_t thread;
};

socklen_t control_address(struct sockaddr_un *address, pid_t pid)
{
	int length;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	length = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "pvm/%ld", (long)pid);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static bool reply(struct control *control, int status, const char *line)
{
	struct control_reply reply = { .magic = CONTROL_MAGIC, .status = status };

	snprintf(reply.line, sizeof(reply.line), "%s", line);
	return send(control->client, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(reply);
}

/* ------------------------------------------------------------------------
 * What the client wants.
 */

/* Of a message that may bring any number of them. Returns how many were taken; more are closed. */
static unsigned take_fds(struct msghdr *message, int *fd)
{
	struct cmsghdr *header;
	unsigned count = 0;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t at, size = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
			int got;

			memcpy(&got, CMSG_DATA(header) + at, sizeof(got));
			if (count++)
				close(got);
			else
				*fd = got;
		}
	}
	return count;
}

/* NULL, or what is wrong with it; @fd is to be closed then, too, unless it is -1. */
static const char *receive(int client, struct control_request *request, int *fd)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec vector = { request, sizeof(*request) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space,
				  .msg_controllen = sizeof(space) };
	ssize_t got = recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	unsigned fds = got < 0 ? 0 : take_fds(&message, fd);

	if (got != (ssize_t)sizeof(*request) || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    request->magic != CONTROL_MAGIC)
		return "the request is none";
	if (request->version != CONTROL_VERSION)
		return "the request is another pvm's";
	if (request->what != CONTROL_SAVE || request->flags & ~(CONTROL_GOES_ON | CONTROL_WAITS) ||
	    request->flags == CONTROL_WAITS || fds != 1)
		return "the request is none";
	return NULL;
}

/* An empty file that can be written: not what would make the guest wait, and nothing that is worth anything.
 */
static const char *check_file(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat status;

	if (fstat(fd, &status) || flags < 0)
		return strerror(errno);
	if (!S_ISREG(status.st_mode))
		return "it is not a file";
	if (status.st_size)
		return "the file is not empty";
	if ((flags & O_ACCMODE) == O_RDONLY)
		return "the file cannot be written";
	return NULL;
}

static bool client_is_gone(void *opaque)
{
	struct control *control = opaque;
	struct pollfd client = { .fd = control->client, .events = POLLIN | POLLRDHUP };

	/* There is nothing that it has to say. */
	return poll(&client, 1, 0) > 0;
}

static bool tell_client(void *opaque)
{
	return reply(opaque, 0, "");
}

/* It has nothing more to say. Its end is what counts, however it ends, and that of the VM. */
static void wait_for_client(void *opaque)
{
	struct control *control = opaque;
	struct pollfd fds[] = {
		{ .fd = control->client, .events = POLLIN | POLLRDHUP },
		{ .fd = control->vm->loop->over_fd, .events = POLLIN },
	};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
}

static void save(struct control *control, int fd, uint32_t flags)
{
	const struct monitor_save_client client = {
		client_is_gone, tell_client, flags & CONTROL_WAITS ? wait_for_client : NULL, control,
	};
	const char *wrong = check_file(fd);
	char why[320] = "";

	if (wrong) {
		reply(control, 1, wrong);
		return;
	}
	if (!monitor_vm_save(control->vm, fd, flags & CONTROL_GOES_ON, &client, why, sizeof(why)))
		return;
	if (ftruncate(fd, 0) < 0)
		errno = 0;	/* its client has it removed, if there still is one */
	reply(control, 1, atomic_load(&control->vm->over) ? "the guest ended meanwhile" : why);
}

/* ------------------------------------------------------------------------
 * Clients.
 */

static bool is_allowed(int client)
{
	struct ucred other;
	socklen_t length = sizeof(other);

	return !getsockopt(client, SOL_SOCKET, SO_PEERCRED, &other, &length) && length == sizeof(other) &&
	       (other.uid == geteuid() || !other.uid);
}

/* False: it says nothing, or the VM is over. */
static bool wait_for_request(const struct control *control)
{
	struct pollfd fds[] = {
		{ .fd = control->client, .events = POLLIN },
		{ .fd = control->vm->loop->over_fd, .events = POLLIN },
	};

	return poll(fds, 2, CONTROL_SILENCE_MS) > 0 && fds[0].revents && !fds[1].revents;
}

static void serve(struct control *control)
{
	struct control_request request;
	const char *wrong;
	int fd = -1;

	if (!is_allowed(control->client)) {
		reply(control, 1, "it is another user's");
		return;
	}
	if (!wait_for_request(control))
		return;
	wrong = receive(control->client, &request, &fd);
	if (wrong)
		reply(control, 1, wrong);
	else
		save(control, fd, request.flags);
	if (fd >= 0)
		close(fd);
}

static void *listen_for_clients(void *arg)
{
	struct control *control = arg;
	struct pollfd fds[] = {
		{ .fd = control->fd, .events = POLLIN },
		{ .fd = control->vm->loop->over_fd, .events = POLLIN },
	};

	while (!atomic_load(&control->vm->over)) {
		if (poll(fds, 2, -1) < 0 || !fds[0].revents)
			continue;
		control->client = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (control->client < 0) {
			poll(&fds[1], 1, 100);	/* no descriptor may be left for it */
			continue;
		}
		serve(control);
		if (atomic_load(&control->vm->over))
			break;
		close(control->client);
		control->client = -1;
	}
	return NULL;
}

/* ------------------------------------------------------------------------
 * Life.
 */

static int open_socket(void)
{
	struct sockaddr_un address;
	socklen_t length = control_address(&address, getpid());
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

	if (fd < 0)
		return -1;
	if (!bind(fd, (struct sockaddr *)&address, length) && !listen(fd, WAITING))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

struct control *control_start(struct monitor_vm *vm)
{
	struct control *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return NULL;
	control->vm = vm;
	control->client = -1;
	control->fd = open_socket();
	error = control->fd < 0 ? errno : pthread_create(&control->thread, NULL, listen_for_clients, control);
	if (!error)
		return control;
	output_say("pvm: 'pvm save' will not reach this guest: its socket @pvm/%d: %s\n", (int)getpid(),
		   strerror(error));
	if (control->fd >= 0)
		close(control->fd);
	free(control);
	return NULL;
}

void control_wait(struct control *control)
{
	if (control)
		pthread_join(control->thread, NULL);
}

void control_close(struct control *control)
{
	if (!control)
		return;
	close(control->fd);
	if (control->client >= 0)
		close(control->client);
	free(control);
}
