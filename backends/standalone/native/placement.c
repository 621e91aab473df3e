/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Binding to CPUs. The choice is the host scheduler's: now and then both are
 * let loose for one run, and bound again to where the thread finds itself. Only
 * a matter of speed: every failure is ignored.
 */
#include "placement.h"

#include <time.h>

#define BOUND_NS 50000000	/* how long a choice holds */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void bind_to(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

static void set_loose(struct placement *placement, struct space *space)
{
	placement->cpu = -1;
	sched_setaffinity(0, sizeof(placement->allowed), &placement->allowed);
	sched_setaffinity(space->pid, sizeof(placement->allowed), &placement->allowed);
	space->cpu = -1;
}

void placement_bind(struct placement *placement, struct space *space, bool loosened)
{
	if (!placement->known || !pthread_equal(placement->thread, pthread_self())) {
		placement->known = true;
		placement->thread = pthread_self();
		placement->cpu = -1;
		CPU_ZERO(&placement->allowed);
		sched_getaffinity(0, sizeof(placement->allowed), &placement->allowed);
	}
	if (CPU_COUNT(&placement->allowed) < 2)
		return;
	if (placement->cpu < 0) {
		placement->cpu = sched_getcpu();
		placement->since = now();
		if (placement->cpu >= 0)
			bind_to(0, placement->cpu);
	} else if (loosened || now() - placement->since > BOUND_NS) {
		set_loose(placement, space);
		return;
	}
	if (placement->cpu >= 0 && space->cpu != placement->cpu) {
		bind_to(space->pid, placement->cpu);
		space->cpu = placement->cpu;
	}
}

void placement_release(struct placement *placement)
{
	if (placement->known && pthread_equal(placement->thread, pthread_self()) && placement->cpu >= 0)
		sched_setaffinity(0, sizeof(placement->allowed), &placement->allowed);
	placement->cpu = -1;
	placement->known = false;
}
