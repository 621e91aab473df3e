/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kicks and flushes on their way into a vCPU's thread. Owns the queue and the
 * only right to send signals to a stub that runs. Never touches a stub's
 * memory. A kick always works: stub.S says why.
 */
#include "gate.h"

#include <signal.h>
#include <sys/pidfd.h>

#include "space.h"
#include "watchdog.h"

void gate_init(struct gate *gate, struct watchdog *watchdog)
{
	*gate = (struct gate){ .watchdog = watchdog };
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->left, NULL);
}

void gate_destroy(struct gate *gate)
{
	pthread_mutex_destroy(&gate->lock);
	pthread_cond_destroy(&gate->left);
}

enum gate_answer gate_enter(struct gate *gate, const struct space *space, const struct space *peer)
{
	enum gate_answer answer = GATE_ENTERED;

	pthread_mutex_lock(&gate->lock);
	if (gate->count || gate->overflow) {
		answer = GATE_FLUSH;
	} else if (gate->kicked) {
		gate->kicked = false;
		answer = GATE_KICK;
	} else {
		gate->running = space;
		gate->peer = peer;
		gate->loose = false;
		gate->entries++;
	}
	pthread_mutex_unlock(&gate->lock);
	if (answer == GATE_ENTERED && gate->watchdog)
		watchdog_arm(gate->watchdog);
	return answer;
}

void gate_leave(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->running = gate->peer = NULL;
	pthread_cond_broadcast(&gate->left);
	pthread_mutex_unlock(&gate->lock);
}

void gate_take(struct gate *gate, struct gate_flushes *flushes)
{
	unsigned i;

	pthread_mutex_lock(&gate->lock);
	flushes->count = gate->count;
	flushes->all = gate->overflow;
	flushes->roots_died = gate->roots_died;
	for (i = 0; i < gate->count; i++)
		flushes->flush[i] = gate->flush[i];
	gate->count = 0;
	gate->overflow = false;
	gate->roots_died = false;
	atomic_store(&gate->flushes, false);
	pthread_mutex_unlock(&gate->lock);
}

static void interrupt_one(const struct space *space)
{
	if (!space)
		return;
	pidfd_send_signal(space->pidfd, STUB_SIGNAL_KICK, NULL, 0);
	/* A stub that SIGSTOP has stopped would not handle the kick. */
	pidfd_send_signal(space->pidfd, SIGCONT, NULL, 0);
}

/* Only the pair itself knows which of the two has the vCPU. The other one, which waits with signals
 * blocked, takes the kick when it gets the vCPU, before the guest's first instruction. */
static void interrupt(struct gate *gate)
{
	interrupt_one(gate->running);
	interrupt_one(gate->peer);
}

void gate_kick(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->kicked = true;
	interrupt(gate);
	pthread_mutex_unlock(&gate->lock);
}

void gate_flush(struct gate *gate, const struct pvm_tlb_flush *flush)
{
	uint64_t entry;

	pthread_mutex_lock(&gate->lock);
	if (gate->count < GATE_FLUSHES) {
		gate->flush[gate->count++] = *flush;
	} else {
		gate->overflow = true;
		gate->roots_died |= flush->root_dying;
	}
	atomic_store(&gate->flushes, true);
	entry = gate->entries;
	interrupt(gate);
	while (gate->running && gate->entries == entry)
		pthread_cond_wait(&gate->left, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}
