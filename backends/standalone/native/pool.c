/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which space stands for which shadow root. Owns the choice and the life of the
 * vCPU's spaces; never enters one.
 */
#include "pool.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void pool_shared_init(struct pool_shared *shared, unsigned vcpus, uint64_t budget)
{
	pthread_mutex_init(&shared->lock, NULL);
	shared->lacking = shared->vcpus = vcpus;
	shared->budget = budget + POOL_BUDGET * vcpus;
	shared->cost = 0;
}

void pool_shared_destroy(struct pool_shared *shared)
{
	pthread_mutex_destroy(&shared->lock);
}

static struct space *create(struct pool *pool, bool user, const struct space *other, char *why,
			    size_t why_size);

/* With the lock. */
static void set_lacks(struct pool *pool, bool lacks)
{
	pool->shared->lacking += lacks;
	pool->shared->lacking -= pool->lacks;
	pool->lacks = lacks;
}

int pool_open(struct pool *pool, struct pool_shared *shared, int guest_fd, unsigned pkeys, char *why,
	      size_t why_size)
{
	char unsaid[256];

	memset(pool, 0, offsetof(struct pool, spaces));
	pool->shared = shared;
	pool->lacks = true;		/* pool_shared_init() has counted it */
	pool->limit = POOL_SPACES;
	pool->patience = POOL_PATIENCE;
	pool->count = 0;
	pool->recent[0] = pool->recent[1] = NULL;
	pool->clock = pool->created = pool->alive = pool->peak = pool->retry_at = pool->cost = 0;
	if (nursery_open(&pool->nursery, guest_fd, POOL_SPACES, pkeys, why, why_size) < 0)
		return -1;
	create(pool, false, NULL, unsaid, sizeof(unsaid));	/* one that is never started needs none */
	return 0;
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
	if (space->pid > 0 && !--pool->alive)
		set_lacks(pool, true);	/* before others find what it leaves */
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

/* With the lock: a new process in an unused place. NULL: there may be none now, or the host refuses it. */
static struct space *create_locked(struct pool *pool, bool user, const struct space *other, char *why,
				   size_t why_size)
{
	unsigned place = unused_place(pool, user, other);
	int error;

	if (place == POOL_SPACES)
		return NULL;
	error = open_place(pool, place);
	if (error)
		snprintf(why, why_size, "native executor: no new stub process: %s", strerror(-error));
	else
		error = space_create(&pool->spaces[place], &pool->nursery, place, pool->go[place],
				     pool->go[place ^ 1], why, why_size);
	set_lacks(pool, false);		/* also where the host refuses: others go on then */
	if (error) {
		pool->limit = (unsigned)pool->alive;
		pool->retry_at = pool->clock + pool->patience;
		pool->patience *= 2;
		return NULL;
	}
	pool->created++;
	if (++pool->alive > pool->peak)
		pool->peak = pool->alive;
	return &pool->spaces[place];
}

static struct space *create(struct pool *pool, bool user, const struct space *other, char *why,
			    size_t why_size)
{
	struct space *space = NULL;

	if (pool->limit < POOL_SPACES && pool->clock >= pool->retry_at)
		pool->limit = POOL_SPACES;
	pthread_mutex_lock(&pool->shared->lock);
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

/* The one that was unused for longest, but @space and its peer, of those that cost anything; or NULL. */
static struct space *oldest_but(struct pool *pool, const struct space *space)
{
	struct space *found = NULL;
	unsigned i;

	for (i = 0; i < pool->count; i++) {
		struct space *other = &pool->spaces[i];

		if (other->pid && other->charged && other->slot / 2 != space->slot / 2 &&
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
		victim = oldest_but(pool, space);
		if (!victim) {
			space->empties = true;
			return;
		}
		pool_discard(pool, victim);
		total = __atomic_load_n(&shared->cost, __ATOMIC_RELAXED);
	}
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
