/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guest memory. A file's size is sealed, so that no mapping of it can ever fault because the file has become
 * shorter; core dumps of the monitor leave it out.
 * Must not know what is in it.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* For the handler of a fault. Most programs have one. */
static uint8_t *volatile newest_va;
static volatile uint64_t newest_size;

static int fail(struct guest_memory *memory, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "guest memory: %s: %s", what, strerror(errno));
	guest_memory_destroy(memory);
	return -1;
}

/* NULL: errno says why. */
static void *map(int fd, uint64_t size)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* What has its address in common with gpa 0 but for the upper bits: large pages of the guest's can be the
 * host's. */
static void *map_private(uint64_t size)
{
	const uint64_t slack = PVM_LEVEL_SIZE(2) - PVM_PAGE_SIZE;
	uint8_t *from = map(-1, size + slack), *at;

	if (!from)
		return NULL;
	at = from + (-(uintptr_t)from & (PVM_LEVEL_SIZE(2) - 1));
	if (at > from)
		munmap(from, (size_t)(at - from));
	if (from + slack > at)
		munmap(at + size, (size_t)(from + slack - at));
	madvise(at, size, MADV_HUGEPAGE);	/* refused: in small ones */
	madvise(at, size, MADV_DONTFORK);
	return at;
}

/* -1: errno, and what has failed. */
static int make_file(struct guest_memory *memory, const char **what)
{
	*what = "memfd_create";
	memory->fd = memfd_create("pvm-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory->fd < 0)
		return -1;
	*what = "ftruncate";
	if (ftruncate(memory->fd, (off_t)memory->size))
		return -1;
	*what = "sealing its size";
	return fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

int guest_memory_create(struct guest_memory *memory, enum guest_memory_kind kind, uint64_t size, char *why,
			size_t why_size)
{
	const char *what;


	*memory = (struct guest_memory){ .fd = -1 };
	if (size < GUEST_MEMORY_MIN || size > GUEST_MEMORY_MAX) {
		snprintf(why, why_size,
			 "guest memory of %llu bytes: at least 1M and at most 16G are possible",
			 (unsigned long long)size);
		return -1;
	}
	memory->size = (size + PVM_PAGE_SIZE - 1) & ~(PVM_PAGE_SIZE - 1);
	if (kind == GUEST_MEMORY_FILE && make_file(memory, &what))
		return fail(memory, what, why, why_size);
	memory->va = kind == GUEST_MEMORY_FILE ? map(memory->fd, memory->size) : map_private(memory->size);
	if (!memory->va)
		return fail(memory, "mmap", why, why_size);
	madvise(memory->va, memory->size, MADV_DONTDUMP);
	newest_size = memory->size;
	newest_va = memory->va;
	return 0;
}

void guest_memory_destroy(struct guest_memory *memory)
{
	if (memory->va && memory->va == newest_va)
		newest_va = NULL;
	if (memory->va)
		munmap(memory->va, memory->size);
	if (memory->fd >= 0)
		close(memory->fd);
	*memory = (struct guest_memory){ .fd = -1 };
}

bool guest_memory_has(const void *address, uint64_t *gpa)
{
	uintptr_t va = (uintptr_t)newest_va;

	*gpa = (uintptr_t)address - va;
	return va && (uintptr_t)address >= va && *gpa < newest_size;
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t len)
{
	if (gpa > memory->size || len > memory->size - gpa)
		return NULL;
	return memory->va + gpa;
}
