/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Binding to CPUs. The choice is the host scheduler's: now and then both are
 * let loose for one run, and bound again to where the thread finds itself. Only
 * a matter of speed: every failure is ignored.
 */
#include "placement.h"

#include <poll.h>
#include <time.h>

#define BOUND_NS 50000000	/* how long a choice holds */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static bool lives(const struct space *space)
{
	struct pollfd end = { .fd = space->pidfd, .events = POLLIN };

	return poll(&end, 1, 0) == 0;
}

/*
 * Both threads of it. The process keeps its number until space_destroy() reaps it, but the mapper's is
 * another's to have as soon as the stub has died, so one that has is left alone. Between the look and the
 * call none is given away: the kernel gives all other numbers first.
 */
static void let_run_on(const struct space *space, const cpu_set_t *cpus)
{
	if (!lives(space))
		return;
	sched_setaffinity(space->pid, sizeof(*cpus), cpus);
	sched_setaffinity(space->mapper, sizeof(*cpus), cpus);
}

/* @space, or this thread. */
static void bind_to(const struct space *space, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (space)
		let_run_on(space, &set);
	else
		sched_setaffinity(0, sizeof(set), &set);
}

/* taskset, say, has changed that since. */
static void follow_user(struct placement *placement, pthread_t unbound)
{
	cpu_set_t now;

	if (pthread_getaffinity_np(unbound, sizeof(now), &now) || CPU_EQUAL(&now, &placement->seen))
		return;
	placement->allowed = placement->seen = now;
}

static void set_loose(struct placement *placement, struct space *space, pthread_t unbound)
{
	placement->cpu = -1;
	follow_user(placement, unbound);
	sched_setaffinity(0, sizeof(placement->allowed), &placement->allowed);
	let_run_on(space, &placement->allowed);
	space->cpu = -1;
}

void placement_bind(struct placement *placement, struct space *space, bool loosened, pthread_t unbound)
{
	if (!placement->known || !pthread_equal(placement->thread, pthread_self())) {
		placement->known = true;
		placement->thread = pthread_self();
		placement->cpu = -1;
		CPU_ZERO(&placement->allowed);
		sched_getaffinity(0, sizeof(placement->allowed), &placement->allowed);
		CPU_ZERO(&placement->seen);
		pthread_getaffinity_np(unbound, sizeof(placement->seen), &placement->seen);
	}
	if (placement->cpu < 0) {
		placement->cpu = sched_getcpu();
		placement->since = now();
		if (placement->cpu >= 0)
			bind_to(NULL, placement->cpu);
	} else if (loosened || now() - placement->since > BOUND_NS) {
		set_loose(placement, space, unbound);
		return;
	}
	if (placement->cpu >= 0 && space->cpu != placement->cpu) {
		bind_to(space, placement->cpu);
		space->cpu = placement->cpu;
	}
}

void placement_follow(const struct placement *placement, const struct space *space, struct space *peer)
{
	if (peer->cpu == space->cpu)
		return;
	if (space->cpu < 0)
		let_run_on(peer, &placement->allowed);
	else
		bind_to(peer, space->cpu);
	peer->cpu = space->cpu;
}

void placement_release(struct placement *placement)
{
	if (placement->known && pthread_equal(placement->thread, pthread_self()) && placement->cpu >= 0)
		sched_setaffinity(0, sizeof(placement->allowed), &placement->allowed);
	placement->cpu = -1;
	placement->known = false;
}
