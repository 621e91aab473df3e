/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which space stands for which shadow root. Owns the choice and the life of the
 * vCPU's spaces; never enters one.
 */
#include "pool.h"

#include <stddef.h>
#include <string.h>

int pool_open(struct pool *pool, int guest_fd, unsigned pkeys, char *why, size_t why_size)
{
	memset(pool, 0, offsetof(struct pool, spaces));
	pool->limit = POOL_SPACES;
	pool->count = 0;
	pool->recent[0] = pool->recent[1] = NULL;
	pool->clock = pool->created = pool->alive = pool->peak = 0;
	return nursery_open(&pool->nursery, guest_fd, POOL_SPACES, pkeys, why, why_size);
}

void pool_close(struct pool *pool)
{
	unsigned i;

	for (i = 0; i < pool->count; i++)
		pool_discard(pool, &pool->spaces[i]);
	nursery_close(&pool->nursery);
}

void pool_discard(struct pool *pool, struct space *space)
{
	if (space->pid > 0)
		pool->alive--;
	space_destroy(space);
}

/* A new process in an unused place. NULL: the limit is reached, or *@error. */
static struct space *create(struct pool *pool, char *why, size_t why_size, int *error)
{
	unsigned i;

	*error = 0;
	if (pool->alive >= pool->limit)
		return NULL;
	for (i = 0; i < pool->count && pool->spaces[i].pid; i++)
		;
	if (i == POOL_SPACES)
		return NULL;
	if (i == pool->count)
		pool->spaces[pool->count++] = SPACE_NONE;
	*error = space_create(&pool->spaces[i], &pool->nursery, i, why, why_size);
	if (*error)
		return NULL;
	pool->created++;
	if (++pool->alive > pool->peak)
		pool->peak = pool->alive;
	return &pool->spaces[i];
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

/* One without a root, else the cheapest of the oldest. */
static struct space *to_recycle(struct pool *pool)
{
	struct oldest oldest = { .count = 0 };
	struct space *found = NULL;
	unsigned i;

	for (i = 0; i < pool->count; i++) {
		struct space *space = &pool->spaces[i];

		if (!space->pid)
			continue;
		if (space->root == PVM_INVALID_ADDR)
			return space;
		note_age(&oldest, space);
	}
	/* Half of them at most: a small pool must not lose what was used just now. */
	for (i = 0; i < oldest.count && i <= pool->alive / 2; i++)
		if (!found || oldest.space[i]->mapped < found->mapped)
			found = oldest.space[i];
	return found;
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

struct space *pool_get(struct pool *pool, uint64_t root, char *why, size_t why_size)
{
	struct space *space, *idle = NULL;
	unsigned i;
	int error;

	for (i = 0; i < 2; i++) {
		space = pool->recent[i];
		if (space && space->pid && space->root == root)
			return used(pool, space);
	}
	for (i = 0; i < pool->count; i++) {
		space = &pool->spaces[i];
		if (!space->pid)
			continue;
		if (space->root == root)
			return used(pool, space);
		if (space->root == PVM_INVALID_ADDR)
			idle = space;
	}
	space = idle ? NULL : create(pool, why, why_size, &error);
	if (!space) {
		/* M11: with fewer processes than we would like the guest still runs. */
		if (!idle && error)
			pool->limit = pool->alive;
		space = idle ? idle : to_recycle(pool);
		if (!space)
			return NULL;
	}
	space_recycle(space, root);
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
