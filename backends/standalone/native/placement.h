/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which CPU a vCPU's thread and its stubs run on: the same one, because a
 * wake-up across CPUs costs ten times one within. Owned by the vCPU's thread.
 */
#ifndef NATIVE_PLACEMENT_H
#define NATIVE_PLACEMENT_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "space.h"

struct placement {
	cpu_set_t allowed;	/* what the thread came with; later, what all of the VM may use */
	cpu_set_t seen;		/* what that was last */
	bool known;		/* @thread and @allowed are set */
	pthread_t thread;	/* that this is about */
	int cpu;		/* bound to, or -1: the scheduler may choose */
	int64_t since;		/* when that began, ns */
};

/* The vCPU's thread is about to wait for @space: bring them together.
 * @loosened: the watchdog has taken the last binding back. @unbound: a thread that binds itself to nothing:
 * its CPUs are those that the user lets us have. */
void placement_bind(struct placement *placement, struct space *space, bool loosened, pthread_t unbound);

/* @space may hand over to @peer: that runs where @space does. */
void placement_follow(const struct placement *placement, const struct space *space, struct space *peer);

/* The thread does something else from now on. */
void placement_release(struct placement *placement);

#endif /* NATIVE_PLACEMENT_H */
