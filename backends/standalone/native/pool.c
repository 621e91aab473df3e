/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which space stands for which shadow root. Owns the choice and the life of the
 * vCPU's spaces; never enters one.
 */
#include "pool.h"

#include <errno.h>
#include <stdio.h>

int pool_open(struct pool *pool, int guest_fd, unsigned pkeys, char *why, size_t why_size)
{
	unsigned i;

	*pool = (struct pool){ .limit = POOL_SPACES };
	for (i = 0; i < POOL_SPACES; i++)
		pool->spaces[i] = SPACE_NONE;
	return nursery_open(&pool->nursery, guest_fd, POOL_SPACES, pkeys, why, why_size);
}

void pool_close(struct pool *pool)
{
	unsigned i;

	for (i = 0; i < POOL_SPACES; i++)
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
	for (i = 0; i < POOL_SPACES && pool->spaces[i].pid; i++)
		;
	if (i == POOL_SPACES)
		return NULL;
	*error = space_create(&pool->spaces[i], &pool->nursery, i, why, why_size);
	if (*error)
		return NULL;
	pool->created++;
	if (++pool->alive > pool->peak)
		pool->peak = pool->alive;
	return &pool->spaces[i];
}

/* One without a root, else the one unused for longest. */
static struct space *oldest(struct pool *pool)
{
	struct space *found = NULL;
	unsigned i;

	for (i = 0; i < POOL_SPACES; i++) {
		struct space *space = &pool->spaces[i];

		if (!space->pid)
			continue;
		if (space->root == PVM_INVALID_ADDR)
			return space;
		if (!found || space->used < found->used)
			found = space;
	}
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
	for (i = 0; i < POOL_SPACES; i++) {
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
		space = idle ? idle : oldest(pool);
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

	for (i = 0; i < POOL_SPACES; i++) {
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

	for (i = 0; i < POOL_SPACES; i++)
		pool->spaces[i].root = PVM_INVALID_ADDR;
}
