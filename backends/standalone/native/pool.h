/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A vCPU's stub address spaces: one per shadow root that it has run on lately.
 * Owned by the vCPU's thread.
 */
#ifndef NATIVE_POOL_H
#define NATIVE_POOL_H

#include <pvm/host.h>

#include <pthread.h>

#include "space.h"

/* At most; fewer where the host has no more processes or descriptors for us. Even: the
 * places 2 n and 2 n + 1 are a pair, for supervisor and for user mode. */
#define POOL_SPACES 512
/* Bytes of the host's that all stubs of a VM may cost, for each vCPU, beside what is given to them. */
#define POOL_BUDGET (16ull << 20)
#define POOL_PATIENCE 256	/* uses of spaces before a host that has refused a process is asked again */
#define POOL_PATIENCE_MAX (1u << 24)

/*
 * What the pools of a VM have in common. A vCPU without any stub comes before all that would have
 * another one: so none ends for want of what another could do without. Each asks for its first as soon as it
 * is there; if the host refuses that one, others do not wait any longer. pool_shared_init()
 *
 * Where the host refuses processes, what there is is shared: a pool that has more than its share gives
 * one up for each that has less and asks.
 */
struct pool_shared {
	pthread_mutex_t lock;		/* a process is being made, or one makes place for another */
	unsigned lacking;		/* vCPUs that have no stub, and are about to ask for one */
	unsigned vcpus;
	unsigned alive;			/* processes of all pools */
	unsigned asking;		/* pools that have fewer than their share, and were refused one */
	unsigned offered;		/* what others gave up for them, and none of them has tried to get */
	pthread_cond_t given;		/* such a one */
	uint64_t budget;		/* bytes that what all stubs have mapped may cost the host */
	uint64_t cost;			/* what it has, about: space::cost of all; atomic */
};

struct pool {
	struct nursery nursery;
	struct pool_shared *shared;
	struct space spaces[POOL_SPACES];
	int go[POOL_SPACES];		/* of each place that was ever used, and its peer's: an eventfd */
	unsigned count;			/* of them that were ever used: the first ones, and their peers */
	unsigned limit;			/* spaces with a process; lowered when the host refuses more, */
	uint64_t retry_at, patience;	/* and lifted at this clock, twice as long after each refusal */
	int refusal;			/* the last one: -errno */
	bool lacks;			/* it counts as lacking */
	bool asks;			/* and as asking */
	struct space *recent[2];	/* usually the supervisor's and the user's */
	uint64_t clock;
	uint64_t created;		/* processes, in all */
	uint64_t alive, peak;
	uint64_t cost;			/* of its spaces */
};

/* Before any pool of @vcpus vCPUs is opened; after the last one is closed. @budget: bytes,
 * beside POOL_BUDGET. */
void pool_shared_init(struct pool_shared *shared, unsigned vcpus, uint64_t budget);
void pool_shared_destroy(struct pool_shared *shared);

/* With its first space, if the host has one. -1, and one line in @why: there is no pool. */
int pool_open(struct pool *pool, struct pool_shared *shared, int guest_fd, unsigned pkeys, char *why,
	      size_t why_size);
void pool_close(struct pool *pool);

/**
 * pool_get - the space for @root: the one it has, a new one, or, of those unused for
 * longest, the one that costs least to fill again, emptied.
 * @user: the mode that the root is of.
 * @other: the root of the other mode, beside whose space a new one should be; or PVM_INVALID_ADDR.
 * Returns NULL, with one line in @why, when there is none and none can be made.
 */
struct space *pool_get(struct pool *pool, uint64_t root, bool user, uint64_t other, char *why,
		       size_t why_size);

/* The other one of @space's pair, which may have no process. */
struct space *pool_peer(struct pool *pool, const struct space *space);

/* End @space's process. */
void pool_discard(struct pool *pool, struct space *space);

/**
 * pool_charge - more is about to be mapped in @space, by the commands that it has now.
 *
 * Where the VM is over its budget, and this pool over its share of it, the spaces that were unused
 * for longest end (N6); and where only @space and its peer are left, @space forgets everything before its
 * next run but one. So that a VM costs its host twice the budget at most.
 */
void pool_charge(struct pool *pool, struct space *space);

/* Note what the spaces concerned must forget before the guest runs in them. */
void pool_flush(struct pool *pool, const struct pvm_tlb_flush *flush);

/* All spaces forget everything, and the roots they stood for. */
void pool_forget_roots(struct pool *pool);

#endif /* NATIVE_POOL_H */
