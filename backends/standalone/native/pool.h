/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A vCPU's stub address spaces: one per shadow root that it has run on lately.
 * Owned by the vCPU's thread.
 */
#ifndef NATIVE_POOL_H
#define NATIVE_POOL_H

#include <pvm/host.h>

#include "space.h"

/* At most; fewer where the host has no more processes or descriptors for us. */
#define POOL_SPACES 512

struct pool {
	struct nursery nursery;
	struct space spaces[POOL_SPACES];
	unsigned count;			/* of them that were ever used: the first ones */
	unsigned limit;			/* spaces with a process; lowered when the host refuses more */
	struct space *recent[2];	/* usually the supervisor's and the user's */
	uint64_t clock;
	uint64_t created;		/* processes, in all */
	uint64_t alive, peak;
};

int pool_open(struct pool *pool, int guest_fd, unsigned pkeys, char *why, size_t why_size);
void pool_close(struct pool *pool);

/**
 * pool_get - the space for @root: the one it has, a new one, or, of those unused for
 * longest, the one that costs least to fill again, emptied.
 * Returns NULL, with one line in @why, when there is none and none can be made.
 */
struct space *pool_get(struct pool *pool, uint64_t root, char *why, size_t why_size);

/* End @space's process. */
void pool_discard(struct pool *pool, struct space *space);

/* Note what the spaces concerned must forget before the guest runs in them. */
void pool_flush(struct pool *pool, const struct pvm_tlb_flush *flush);

/* All spaces forget everything, and the roots they stood for. */
void pool_forget_roots(struct pool *pool);

#endif /* NATIVE_POOL_H */
