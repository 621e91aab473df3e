/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Looking at runs that last. Owns a thread and nothing else.
 *
 * A stub is bound to its monitor's CPU because they take turns. One that has run
 * from one look to the next takes no turns: it may go where there is room.
 */
#include "watchdog.h"

#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "gate.h"
#include "space.h"

#define PERIOD_NS	50000000	/* between looks */

/* Look at one vCPU. Returns whether its guest runs. @others: the CPUs are others than at the last look. */
static bool look(struct watchdog *watchdog, struct gate *gate, bool others)
{
	bool running;

	pthread_mutex_lock(&gate->lock);
	running = gate->running;
	if (running && gate->seen_entry == gate->entries && (!gate->loose || others)) {
		sched_setaffinity(gate->running->pid, sizeof(watchdog->cpus), &watchdog->cpus);
		if (gate->peer)
			sched_setaffinity(gate->peer->pid, sizeof(watchdog->cpus), &watchdog->cpus);
		gate->loose = true;
	}
	gate->seen_entry = gate->entries;
	pthread_mutex_unlock(&gate->lock);
	return running;
}

/* This thread binds itself to nothing: its CPUs are those that the user lets us have. Are they others now? */
static bool follow_user(struct watchdog *watchdog)
{
	cpu_set_t now;

	if (sched_getaffinity(0, sizeof(now), &now) || CPU_EQUAL(&now, &watchdog->cpus))
		return false;
	watchdog->cpus = now;
	return true;
}

/* Look at all of them. */
static bool look_around(struct watchdog *watchdog)
{
	bool running = false, others;
	unsigned i;

	pthread_mutex_lock(&watchdog->lock);
	others = follow_user(watchdog);
	for (i = 0; i < watchdog->count; i++)
		running |= look(watchdog, watchdog->gates[i], others);
	pthread_mutex_unlock(&watchdog->lock);
	return running;
}

/* One period, or less when watchdog_stop() posts. */
static void pause_between(struct watchdog *watchdog)
{
	struct timespec t = clock_timespec(clock_now() + PERIOD_NS);

	sem_clockwait(&watchdog->wake, CLOCK_MONOTONIC, &t);
}

static void *watch(void *argument)
{
	struct watchdog *watchdog = argument;

	while (!atomic_load(&watchdog->stop)) {
		if (!atomic_load(&watchdog->armed)) {
			sem_wait(&watchdog->wake);
			continue;
		}
		pause_between(watchdog);
		/* Disarm first: an entry from now on arms it again. */
		atomic_store(&watchdog->armed, false);
		if (look_around(watchdog))
			atomic_store(&watchdog->armed, true);
	}
	return NULL;
}

void watchdog_arm(struct watchdog *watchdog)
{
	if (!atomic_load_explicit(&watchdog->armed, memory_order_relaxed) &&
	    !atomic_exchange(&watchdog->armed, true))
		sem_post(&watchdog->wake);
}

int watchdog_start(struct watchdog *watchdog)
{
	int error;

	*watchdog = (struct watchdog){ 0 };
	sched_getaffinity(0, sizeof(watchdog->cpus), &watchdog->cpus);
	pthread_mutex_init(&watchdog->lock, NULL);
	sem_init(&watchdog->wake, 0, 0);
	error = pthread_create(&watchdog->thread, NULL, watch, watchdog);
	if (error) {
		pthread_mutex_destroy(&watchdog->lock);
		sem_destroy(&watchdog->wake);
	}
	return error;
}

void watchdog_stop(struct watchdog *watchdog)
{
	atomic_store(&watchdog->stop, true);
	sem_post(&watchdog->wake);
	pthread_join(watchdog->thread, NULL);
	pthread_mutex_destroy(&watchdog->lock);
	sem_destroy(&watchdog->wake);
	free(watchdog->gates);
}

bool watchdog_add(struct watchdog *watchdog, struct gate *gate)
{
	struct gate **gates;

	pthread_mutex_lock(&watchdog->lock);
	gates = realloc(watchdog->gates, (watchdog->count + 1) * sizeof(struct gate *));
	if (gates) {
		watchdog->gates = gates;
		gates[watchdog->count++] = gate;
	}
	pthread_mutex_unlock(&watchdog->lock);
	return gates;
}

void watchdog_remove(struct watchdog *watchdog, struct gate *gate)
{
	unsigned i;

	pthread_mutex_lock(&watchdog->lock);
	for (i = 0; i < watchdog->count; i++) {
		if (watchdog->gates[i] == gate) {
			watchdog->gates[i] = watchdog->gates[--watchdog->count];
			break;
		}
	}
	pthread_mutex_unlock(&watchdog->lock);
}
