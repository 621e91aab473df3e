/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which space stands for which shadow root. Owns the choice and the life of the
 * vCPU's spaces; never enters one.
 */
#include "pool.h"
#include "clock.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define AWAIT_NS	10000000	/* between two tries of a vCPU that has no process at all */
#define AWAIT_ROUNDS	100

/* A stub costs four file descriptors; use all that we may have. */
static void more_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void pool_shared_init(struct pool_shared *shared, unsigned vcpus, uint64_t budget)
{
	*shared = (struct pool_shared){
		.lacking = vcpus, .vcpus = vcpus, .budget = budget + POOL_BUDGET * vcpus,
	};
	pthread_mutex_init(&shared->lock, NULL);
	pthread_cond_init(&shared->given, NULL);
	more_descriptors();
}

void pool_shared_destroy(struct pool_shared *shared)
{
	pthread_cond_destroy(&shared->given);
	pthread_mutex_destroy(&shared->lock);
}

static struct space *create_locked(struct pool *pool, bool user, const struct space *other, char *why,
				   size_t why_size);

/* With the lock. */
static void set_lacks(struct pool *pool, bool lacks)
{
	pool->shared->lacking += lacks;
	pool->shared->lacking -= pool->lacks;
	pool->lacks = lacks;
}

/* With the lock. */
static void set_asks(struct pool *pool, bool asks)
{
	struct pool_shared *shared = pool->shared;
	unsigned asking = shared->asking + asks - pool->asks;

	__atomic_store_n(&shared->asking, asking, __ATOMIC_RELAXED);
	pool->asks = asks;
	if (shared->offered > asking)
		shared->offered = asking;
}

/* With the lock: @more processes, or one fewer. */
static void count_alive(struct pool *pool, int more)
{
	pool->alive += (uint64_t)more;
	pool->shared->alive += (unsigned)more;
}

/* Of the VM's processes those that each vCPU should have at least. */
static unsigned share(const struct pool_shared *shared)
{
	unsigned fair = shared->alive / shared->vcpus;

	return fair < 2 ? 2 : fair;	/* a pair */
}

int pool_open(struct pool *pool, struct pool_shared *shared, int guest_fd, unsigned pkeys, char *why,
	      size_t why_size)
{
	char unsaid[256];
	int result;

	memset(pool, 0, offsetof(struct pool, spaces));
	pool->shared = shared;
	pool->lacks = true;		/* pool_shared_init() has counted it */
	pool->asks = false;
	pool->limit = POOL_SPACES;
	pool->patience = POOL_PATIENCE;
	pool->count = 0;
	pool->recent[0] = pool->recent[1] = NULL;
	pool->clock = pool->created = pool->alive = pool->peak = pool->retry_at = pool->cost = 0;
	pool->refusal = 0;
	/* One after the other: how many descriptors it takes does not depend on who else begins now. */
	pthread_mutex_lock(&shared->lock);
	result = nursery_open(&pool->nursery, guest_fd, POOL_SPACES, pkeys, why, why_size);
	if (result == 0)
		create_locked(pool, false, NULL, unsaid, sizeof(unsaid)); /* if not, it may never start */
	pthread_mutex_unlock(&shared->lock);
	return result;
}

void pool_close(struct pool *pool)
{
	unsigned i;

	for (i = 0; i < pool->count; i++) {
		pool_discard(pool, &pool->spaces[i]);
		if (pool->go[i] >= 0)
			close(pool->go[i]);
	}
	pthread_mutex_lock(&pool->shared->lock);
	set_lacks(pool, false);
	set_asks(pool, false);
	pthread_mutex_unlock(&pool->shared->lock);
	nursery_close(&pool->nursery);
}

/* What @space costs now counts, instead of what it did. Returns what all of the VM's do. */
static uint64_t count_cost(struct pool *pool, struct space *space)
{
	uint64_t more = space->cost - space->charged;	/* or less, modulo 2^64 */

	space->charged = space->cost;
	pool->cost += more;
	return __atomic_add_fetch(&pool->shared->cost, more, __ATOMIC_RELAXED);
}

/* With the lock. */
static void discard_locked(struct pool *pool, struct space *space)
{
	space_costs_nothing(space);
	count_cost(pool, space);
	if (space->pid > 0) {
		count_alive(pool, -1);
		if (!pool->alive)
			set_lacks(pool, true);	/* before others find what it leaves */
	}
	space_destroy(space);
}

void pool_discard(struct pool *pool, struct space *space)
{
	pthread_mutex_lock(&pool->shared->lock);
	discard_locked(pool, space);
	pthread_mutex_unlock(&pool->shared->lock);
}

struct space *pool_peer(struct pool *pool, const struct space *space)
{
	return &pool->spaces[space->slot ^ 1];
}

/* The space that stands for @root, or NULL. */
static struct space *find(struct pool *pool, uint64_t root)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct space *space = pool->recent[i];

		if (space && space->pid && space->root == root)
			return space;
	}
	for (i = 0; i < pool->count && root != PVM_INVALID_ADDR; i++)
		if (pool->spaces[i].pid && pool->spaces[i].root == root)
			return &pool->spaces[i];
	return NULL;
}

/* An unused place: beside @other, if there is one. POOL_SPACES: none. */
static unsigned unused_place(struct pool *pool, bool user, const struct space *other)
{
	unsigned i;

	if (other && space_is_users(other) != user && !pool_peer(pool, other)->pid)
		return other->slot ^ 1;
	for (i = user; i < POOL_SPACES; i += 2)
		if (i >= pool->count || !pool->spaces[i].pid)
			break;
	return i < POOL_SPACES ? i : POOL_SPACES;
}

/* The places up to @place and its peer exist, with an event each; or -errno. */
static int open_place(struct pool *pool, unsigned place)
{
	unsigned i;

	for (; pool->count <= (place | 1); pool->count++) {
		pool->spaces[pool->count] = SPACE_NONE;
		pool->spaces[pool->count].slot = pool->count;
		pool->go[pool->count] = -1;
	}
	for (i = place & ~1u; i <= (place | 1); i++) {
		if (pool->go[i] < 0)
			pool->go[i] = eventfd(0, EFD_CLOEXEC);
		if (pool->go[i] < 0)
			return -errno;
	}
	return 0;
}

/* The place of @space, and its peer's, if both are unused: their events are of no use, either. */
static void close_place(struct pool *pool, const struct space *space)
{
	unsigned i;

	if (space->pid || pool_peer(pool, space)->pid)
		return;
	for (i = space->slot & ~1u; i <= (space->slot | 1); i++) {
		if (pool->go[i] >= 0)
			close(pool->go[i]);
		pool->go[i] = -1;
	}
}

/* With the lock. Another one of the VM may have what this one lacks: give(). */
static void was_refused(struct pool *pool, int error)
{
	pool->refusal = error;
	pool->limit = (unsigned)pool->alive;
	pool->retry_at = pool->clock + pool->patience;
	if (pool->patience < POOL_PATIENCE_MAX)
		pool->patience *= 2;
	if (error != -EPIPE && pool->alive < share(pool->shared))	/* it is not the zygote that lacks */
		set_asks(pool, true);
}

/* With the lock: a new process in an unused place. NULL: there may be none now, or the host refuses it. */
static struct space *create_locked(struct pool *pool, bool user, const struct space *other, char *why,
				   size_t why_size)
{
	unsigned place = unused_place(pool, user, other);
	int error;

	if (place == POOL_SPACES)
		return NULL;
	if (pool->asks && pool->shared->offered)
		pool->shared->offered--;
	error = open_place(pool, place);
	if (error)
		snprintf(why, why_size, "native executor: no new stub process: %s", strerror(-error));
	else
		error = space_create(&pool->spaces[place], &pool->nursery, place, pool->go[place],
				     pool->go[place ^ 1], why, why_size);
	set_lacks(pool, false);		/* also where the host refuses: others go on then */
	if (error) {
		was_refused(pool, error);
		return NULL;
	}
	pool->created++;
	count_alive(pool, 1);
	set_asks(pool, pool->asks && pool->alive < share(pool->shared));
	if (pool->alive > pool->peak)
		pool->peak = pool->alive;
	return &pool->spaces[place];
}

static struct space *create(struct pool *pool, bool user, const struct space *other, char *why,
			    size_t why_size)
{
	struct space *space = NULL;

	pthread_mutex_lock(&pool->shared->lock);
	if (pool->clock >= pool->retry_at || (pool->asks && pool->shared->offered))
		pool->limit = POOL_SPACES;
	if (!pool->alive || (pool->alive < pool->limit && !pool->shared->lacking))
		space = create_locked(pool, user, other, why, why_size);
	pthread_mutex_unlock(&pool->shared->lock);
	return space;
}

/* Of so many that were unused for longest, the one with the fewest pages goes. */
#define OLDEST 8

struct oldest {
	struct space *space[OLDEST];	/* from the oldest on */
	unsigned count;
};

static void note_age(struct oldest *oldest, struct space *space)
{
	unsigned i, place;

	for (place = 0; place < oldest->count && oldest->space[place]->used < space->used; place++)
		;
	if (place == OLDEST)
		return;
	if (oldest->count < OLDEST)
		oldest->count++;
	for (i = oldest->count - 1; i > place; i--)
		oldest->space[i] = oldest->space[i - 1];
	oldest->space[place] = space;
}

/* The one that was unused for longest, but @space and its peer, of those that cost @cost or more; or NULL. */
static struct space *oldest_but(struct pool *pool, const struct space *space, uint64_t cost)
{
	struct space *found = NULL;
	unsigned i;

	for (i = 0; i < pool->count; i++) {
		struct space *other = &pool->spaces[i];

		if (other->pid && other->charged >= cost && other->slot / 2 != space->slot / 2 &&
		    (!found || other->used < found->used))
			found = other;
	}
	return found;
}

void pool_charge(struct pool *pool, struct space *space)
{
	const struct pool_shared *shared = pool->shared;
	uint64_t total = count_cost(pool, space);
	struct space *victim;

	while (total > shared->budget && pool->cost > shared->budget / shared->vcpus) {
		victim = oldest_but(pool, space, 1);
		if (!victim) {
			space->empties = true;
			return;
		}
		pool_discard(pool, victim);
		total = __atomic_load_n(&shared->cost, __ATOMIC_RELAXED);
	}
}

/*
 * The host has refused a process to a vCPU that has fewer than its share. One that has more does without
 * the one that was unused for longest, but @space and its peer. N5: or one vCPU would keep all, and each
 * system call of another's would take a new process.
 */
static void give(struct pool *pool, const struct space *space)
{
	struct pool_shared *shared = pool->shared;
	struct space *victim = NULL;

	if (__atomic_load_n(&shared->asking, __ATOMIC_RELAXED) == 0)
		return;
	pthread_mutex_lock(&shared->lock);
	if (shared->asking > shared->offered && pool->alive > share(shared))
		victim = oldest_but(pool, space, 0);
	if (victim) {
		discard_locked(pool, victim);
		close_place(pool, victim);
		pool->limit = (unsigned)pool->alive;
		pool->retry_at = pool->clock + pool->patience;
		shared->offered++;
		pthread_cond_broadcast(&shared->given);
	}
	pthread_mutex_unlock(&shared->lock);
}

/* The cheapest of the oldest of a mode; NULL: there is none. */
static struct space *to_recycle(struct pool *pool, bool user)
{
	struct oldest oldest = { .count = 0 };
	struct space *found = NULL;
	unsigned i;

	for (i = 0; i < pool->count; i++)
		if (pool->spaces[i].pid && space_is_users(&pool->spaces[i]) == user)
			note_age(&oldest, &pool->spaces[i]);
	/* Half of them at most: a small pool must not lose what was used just now. */
	for (i = 0; i < oldest.count && i <= pool->alive / 2; i++)
		if (!found || oldest.space[i]->mapped < found->mapped)
			found = oldest.space[i];
	return found;
}

/* One that stands for no root: @other's peer rather than others; or NULL. */
static struct space *idle(struct pool *pool, bool user, const struct space *other)
{
	struct space *found = NULL;
	unsigned i;

	for (i = user; i < pool->count; i += 2) {
		struct space *space = &pool->spaces[i];

		if (space->pid && space->root == PVM_INVALID_ADDR &&
		    (!found || space == (other ? pool_peer(pool, other) : NULL)))
			found = space;
	}
	return found;
}

/* The space of a mode that was used last; NULL: none. */
static const struct space *last_of_mode(const struct pool *pool, bool user)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (pool->recent[i] && space_is_users(pool->recent[i]) == user)
			return pool->recent[i];
	return NULL;
}

static struct space *used(struct pool *pool, struct space *space)
{
	give(pool, space);
	if (pool->recent[0] != space) {
		pool->recent[1] = pool->recent[0];
		pool->recent[0] = space;
	}
	space->used = ++pool->clock;
	return space;
}

/* Those of the other mode go, one after the other, until the host has a process for this one. */
static struct space *replace(struct pool *pool, bool user, char *why, size_t why_size)
{
	struct space *space = NULL, *victim;

	pthread_mutex_lock(&pool->shared->lock);
	while (!space && (victim = to_recycle(pool, !user))) {
		discard_locked(pool, victim);
		space = create_locked(pool, user, NULL, why, why_size);
	}
	pthread_mutex_unlock(&pool->shared->lock);
	return space;
}

static void wait_for_gift(struct pool_shared *shared)
{
	struct timespec until = clock_timespec(clock_now() + AWAIT_NS);

	pthread_cond_clockwait(&shared->given, &shared->lock, CLOCK_MONOTONIC, &until);
}

/* N5: it has none, and the host has just refused one. Another vCPU may give one, or another process of the
 * user's end: so it waits for a while. */
static struct space *await(struct pool *pool, bool user, char *why, size_t why_size)
{
	uint64_t patience = pool->patience;
	struct space *space = NULL;
	unsigned i;

	pthread_mutex_lock(&pool->shared->lock);
	for (i = 0; i < AWAIT_ROUNDS && !space && !pool->alive && pool->refusal != -EPIPE; i++) {
		wait_for_gift(pool->shared);
		space = create_locked(pool, user, NULL, why, why_size);
		pool->patience = patience;
	}
	pthread_mutex_unlock(&pool->shared->lock);
	return space;
}

struct space *pool_get(struct pool *pool, uint64_t root, bool user, uint64_t other_root, char *why,
		       size_t why_size)
{
	struct space *space = find(pool, root), *other;

	if (space)
		return used(pool, space);
	other = find(pool, other_root);
	/* One beside the other mode's, before one to which that can hand nothing over. */
	if (other && space_is_users(other) != user && !pool_peer(pool, other)->pid)
		space = create(pool, user, other, why, why_size);
	if (!space)
		space = idle(pool, user, other);
	if (!space)
		space = create(pool, user, other, why, why_size);
	/* What lies beside @other stands for a root whose own pair is gone: it goes before others. */
	if (!space && other && space_is_users(other) != user && pool_peer(pool, other)->pid)
		space = pool_peer(pool, other);
	if (!space)	/* M11: with fewer processes than we would like the guest still runs */
		space = to_recycle(pool, user);
	/* One that its last program has left so that it would die of the next one's kick; or all that
	 * there may be are of the other mode. */
	if (space && space->used && user && !space_is_honest(space)) {
		pool_discard(pool, space);
		space = NULL;
	}
	if (!space)
		space = create(pool, user, other, why, why_size);
	if (!space)
		space = replace(pool, user, why, why_size);
	if (!space)
		space = await(pool, user, why, why_size);
	if (!space)
		return NULL;
	space_recycle(space, root, last_of_mode(pool, user));
	return used(pool, space);
}

void pool_flush(struct pool *pool, const struct pvm_tlb_flush *flush)
{
	bool every_root = flush->scope == PVM_FLUSH_ALL || flush->root.v == PVM_INVALID_ADDR;
	uint64_t size;
	unsigned i;

	for (i = 0; i < pool->count; i++) {
		struct space *space = &pool->spaces[i];

		if (!space->pid || space->root == PVM_INVALID_ADDR ||
		    (!every_root && space->root != flush->root.v))
			continue;
		if (flush->scope == PVM_FLUSH_GVA) {
			size = PVM_LEVEL_SIZE(flush->level);
			space_forget(space, flush->gva.v & ~(size - 1), size);
		} else {
			space->forget_all = true;
		}
		if (flush->scope == PVM_FLUSH_ROOT && flush->root_dying)
			space->root = PVM_INVALID_ADDR;
	}
}

void pool_forget_roots(struct pool *pool)
{
	unsigned i;

	for (i = 0; i < pool->count; i++)
		pool->spaces[i].root = PVM_INVALID_ADDR;
}
