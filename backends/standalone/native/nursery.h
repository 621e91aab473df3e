/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The nursery: the monitor's end of one vCPU's zygote. Starts the zygote, asks
 * it for stub processes, and owns the pages that stubs share with the monitor.
 */
#ifndef NATIVE_NURSERY_H
#define NATIVE_NURSERY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "stub/protocol.h"

struct nursery {
	pid_t zygote;		/* 0: none */
	int zygote_pidfd;
	siginfo_t status;	/* of a zygote that has ended by itself; si_code 0: none has */
	int socket;		/* to it */
	uint8_t *arena;		/* @slots of STUB_SLOT_SIZE bytes */
	unsigned slots;
	unsigned pkeys;		/* protection keys that each stub allocates */
};

/* A new stub: its process, as a number and as a handle that stays its own; the
 * event that its mapper waits for; the read end of its pipe. */
struct nursery_stub {
	pid_t pid;
	int pidfd;
	int order, stop;
};

/**
 * nursery_open - start a zygote.
 * @guest_fd: guest memory, the one file that its stubs can map.
 * Returns 0, or -1 with one line in @why.
 */
int nursery_open(struct nursery *nursery, int guest_fd, unsigned slots, unsigned pkeys,
		 char *why, size_t why_size);

/* Ends the zygote. Stubs are their owners' to end, before. */
void nursery_close(struct nursery *nursery);

/**
 * nursery_clone - a new stub on the pages of @slot, on its way to its first stop. With an even number
 * it is a supervisor's, and the next one is the user's of its pair.
 * @go: the event that its guest's thread waits for. @peer: that of the other stub of the pair.
 * Returns 0, or -errno: -EAGAIN and -ENOMEM when the host has no more
 * processes or memory, -EPIPE when the zygote is gone: nursery->status says how.
 */
int nursery_clone(struct nursery *nursery, unsigned slot, int go, int peer, struct nursery_stub *stub);

/* End a child, which may be dead already, and wait for it. Its status, as of
 * waitid(), or si_code 0 if the kernel has reaped it (SIGCHLD is ignored). Never
 * reaches another process that has got the child's number since. */
siginfo_t nursery_kill(int pidfd);

#endif /* NATIVE_NURSERY_H */
