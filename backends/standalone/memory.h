/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guest memory: mapped once in the monitor, from there by the host's hypervisor, or as a file of fixed size,
 * page by page into what executes the guest.
 */
#ifndef STANDALONE_MEMORY_H
#define STANDALONE_MEMORY_H

#include "boot.h"
#include "monitor.h"

#define GUEST_MEMORY_MIN	BOOT_MEMORY_MIN
#define GUEST_MEMORY_MAX	BOOT_MEMORY_MAX

/**
 * guest_memory_create - make @size bytes of zeroed guest memory at gpa 0.
 * @size: bytes, GUEST_MEMORY_MIN..GUEST_MEMORY_MAX, rounded up to 4 KiB.
 * Returns 0, or -1 with one line in @why.
 */
int guest_memory_create(struct guest_memory *memory, enum guest_memory_kind kind, uint64_t size, char *why,
			size_t why_size);
void guest_memory_destroy(struct guest_memory *memory);

/* Is @address in the memory that was made last? Then @gpa says where. May be called in handlers. */
bool guest_memory_has(const void *address, uint64_t *gpa);

/* A pointer to [gpa, gpa+len), or NULL if any of it is not memory. */
void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t len);

#endif /* STANDALONE_MEMORY_H */
