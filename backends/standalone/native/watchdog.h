/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The watchdog of a VM: one thread that looks at guests that run for long, so that
 * a guest that computes is not tied to a busy CPU. Asleep while no guest runs.
 */
#ifndef NATIVE_WATCHDOG_H
#define NATIVE_WATCHDOG_H

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

struct gate;

struct watchdog {
	pthread_t thread;
	sem_t wake;
	atomic_bool armed;	/* a look is due; setting it is followed by posting @wake */
	atomic_bool stop;
	pthread_mutex_t lock;	/* of what follows; taken before a gate's, never under one */
	struct gate **gates;
	unsigned count;
	cpu_set_t cpus;		/* that stubs may use */
};

/* Start and stop. Guests may be let loose on the CPUs that the caller may use, and later its thread.
 * watchdog_start() returns 0 or an errno. */
int watchdog_start(struct watchdog *watchdog);
void watchdog_stop(struct watchdog *watchdog);

/* Look after @gate, or no more. False: no memory. */
bool watchdog_add(struct watchdog *watchdog, struct gate *gate);
void watchdog_remove(struct watchdog *watchdog, struct gate *gate);

/* A guest runs. Any thread, under any lock; cheap. */
void watchdog_arm(struct watchdog *watchdog);

#endif /* NATIVE_WATCHDOG_H */
