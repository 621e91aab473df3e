/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The standalone monitor as a host of the engine: struct pvm_host_ops over
 * guest memory, a page arena with a limit, and the executor's TLB.
 */
#ifndef STANDALONE_HOST_H
#define STANDALONE_HOST_H

#include "monitor.h"

/* hpas of the engine's own pages; guest frames have GUEST_HPA_BASE. */
#define ENGINE_HPA_BASE	(1ull << 45)
/* Physical address bits that these made-up hpas need. */
#define HOST_MAXPHYADDR	46

#define SHADOW_MEMORY_DEFAULT	(256ull << 20)
#define SHADOW_MEMORY_MIN	(4ull * PVM_PAGE_SIZE)
#define SHADOW_MEMORY_MAX	(64ull << 30)

/**
 * page_arena_create - address space for at most @size bytes of engine pages.
 * Memory is taken at first use. Returns NULL when the address space is not there.
 */
struct page_arena *page_arena_create(uint64_t size);
void page_arena_destroy(struct page_arena *arena);

/* Bytes in use now, and the most there ever were. */
uint64_t page_arena_used(const struct page_arena *arena);
uint64_t page_arena_peak(const struct page_arena *arena);

/**
 * host_init - fill vm->ops, and the lock; @shadow_memory bytes for the engine.
 * @trace: called for every trace record of the engine; NULL: the engine records nothing.
 * Returns 0, or -1 with one line in @why.
 */
int host_init(struct monitor_vm *vm, uint64_t shadow_memory,
	      void (*trace)(void *host, const struct pvm_trace_record *record), char *why,
	      size_t why_size);
void host_fini(struct monitor_vm *vm);

#endif /* STANDALONE_HOST_H */
