/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * By what a running pvm is told to save its guest: a socket with a name that is no file, "pvm/PID", on which
 * it takes one request at a time, of its own user or of root. Both sides ask the kernel who the other one is.
 */
#ifndef STANDALONE_CONTROL_H
#define STANDALONE_CONTROL_H

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vm.h"

#define CONTROL_MAGIC		0x5056434du
#define CONTROL_VERSION		1u
#define CONTROL_SAVE		1u	/* into the file that comes with it */
/* Flags. */
#define CONTROL_GOES_ON		1u	/* the guest does, afterwards */
#define CONTROL_WAITS		2u	/* with that: not before the client has closed its end */
#define CONTROL_SILENCE_MS	2000	/* that a client may take for its request */

struct control_request {
	uint32_t magic, version, what, flags;
};

struct control_reply {
	uint32_t magic;
	int32_t status;		/* 0: done; else the line says why not */
	char line[320];
};

/* The name of @pid's socket. Returns its length. */
socklen_t control_address(struct sockaddr_un *address, pid_t pid);

struct control;

/* The thread that listens, until the VM is over. NULL: it cannot be had, and nothing depends on it. */
struct control *control_start(struct monitor_vm *vm);
/* The VM is over: its thread has ended. */
void control_wait(struct control *control);
/* A client that waits for the end of all that the VM had open sees it now. */
void control_close(struct control *control);

#endif /* STANDALONE_CONTROL_H */
