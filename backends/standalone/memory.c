/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guest memory. The file's size is sealed, so that no mapping of it can ever
 * fault because the file has become shorter; core dumps of the monitor leave it out.
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

static int fail(struct guest_memory *memory, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "guest memory: %s: %s", what, strerror(errno));
	guest_memory_destroy(memory);
	return -1;
}

int guest_memory_create(struct guest_memory *memory, uint64_t size, char *why, size_t why_size)
{
	*memory = (struct guest_memory){ .fd = -1 };
	if (size < GUEST_MEMORY_MIN || size > GUEST_MEMORY_MAX) {
		snprintf(why, why_size,
			 "guest memory of %llu bytes: at least 1M and at most 16G are possible",
			 (unsigned long long)size);
		return -1;
	}
	memory->size = (size + PVM_PAGE_SIZE - 1) & ~(PVM_PAGE_SIZE - 1);
	memory->fd = memfd_create("pvm-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory->fd < 0)
		return fail(memory, "memfd_create", why, why_size);
	if (ftruncate(memory->fd, (off_t)memory->size))
		return fail(memory, "ftruncate", why, why_size);
	if (fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fail(memory, "sealing its size", why, why_size);
	memory->va = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			  memory->fd, 0);
	if (memory->va == MAP_FAILED) {
		memory->va = NULL;
		return fail(memory, "mmap", why, why_size);
	}
	madvise(memory->va, memory->size, MADV_DONTDUMP);
	return 0;
}

void guest_memory_destroy(struct guest_memory *memory)
{
	if (memory->va)
		munmap(memory->va, memory->size);
	if (memory->fd >= 0)
		close(memory->fd);
	*memory = (struct guest_memory){ .fd = -1 };
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t len)
{
	if (gpa > memory->size || len > memory->size - gpa)
		return NULL;
	return memory->va + gpa;
}
