/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The gate between a vCPU's thread and all other threads: kicks, and flushes that
 * must reach the vCPU before its next guest instruction.
 *
 * One mutex per vCPU, a leaf: nothing else is ever locked under it. The vCPU
 * enters the guest only through gate_enter(), which under the mutex looks for
 * pending work and notes that the guest runs. So a flush or a kick that is
 * queued under the same mutex is either seen there, or sees that the guest runs
 * and sends the stub the kick signal. No order of memory accesses beyond the
 * mutex's is needed.
 */
#ifndef NATIVE_GATE_H
#define NATIVE_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <pvm/host.h>

#define GATE_FLUSHES 32

struct space;
struct watchdog;

struct gate {
	struct watchdog *watchdog;	/* may be NULL: then stubs stay where they are bound */
	pthread_mutex_t lock;
	pthread_cond_t left;		/* the vCPU has left the guest */
	const struct space *running;	/* the stub that runs the guest, or NULL */
	const struct space *peer;	/* the one that it may hand over to, or NULL */
	uint64_t entries;		/* how often the guest was entered */
	bool loose;			/* the watchdog has let the stub run on any CPU */
	bool kicked;
	bool overflow;			/* more flushes than fit: all is to be flushed */
	bool roots_died;		/* and some of those were roots that die */
	atomic_bool flushes;		/* any of these: a hint, for who does not hold the lock */
	unsigned count;
	struct pvm_tlb_flush flush[GATE_FLUSHES];

	uint64_t seen_entry;		/* the watchdog's note, of its last look */
};

enum gate_answer {
	GATE_ENTERED,
	GATE_FLUSH,		/* flushes are pending: take them */
	GATE_KICK,		/* a kick was pending, and is now taken */
};

void gate_init(struct gate *gate, struct watchdog *watchdog);
void gate_destroy(struct gate *gate);

/* vCPU thread: may the guest run now, in @space, and in @peer if that is not NULL? gate->loose
 * is false then. */
enum gate_answer gate_enter(struct gate *gate, const struct space *space, const struct space *peer);
/* vCPU thread: it has stopped. Before its process is ended, unless that is what
 * stops it: until here others may send it signals. */
void gate_leave(struct gate *gate);

/* What gate_take() hands over. */
struct gate_flushes {
	unsigned count;
	struct pvm_tlb_flush flush[GATE_FLUSHES];	/* in order */
	bool all;		/* too many: everything is to be flushed */
	bool roots_died;	/* any root may have died */
};

/* vCPU thread: take the pending flushes. */
void gate_take(struct gate *gate, struct gate_flushes *flushes);

/* Any thread. */
void gate_kick(struct gate *gate);

/* Any thread, usually under the MMU lock, which the vCPU's thread never takes
 * between gate_enter() and gate_leave(): queue a flush, and return when no
 * guest instruction that started before it is running any more. */
void gate_flush(struct gate *gate, const struct pvm_tlb_flush *flush);

#endif /* NATIVE_GATE_H */
