/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host of every test that links the engine into a process. Owns the guest's memory, the
 * pages that the engine has, and what the engine did with the host: frames pinned, the lock
 * held, flushes, trace records. Checks the rules of pvm/host.h that a host can see. It never
 * runs a guest and allocates nothing at random.
 *
 * A test that wants another answer to an operation replaces it in test_host::ops, and may
 * call the default (test_host_ops) from there; failures that many tests want are fields.
 * The defaults are for one thread. A test with several must replace the operations on pages
 * and the lock, and leave trace NULL.
 */
#ifndef TESTS_TEST_HOST_H
#define TESTS_TEST_HOST_H

#include <pvm/vcpu.h>

#define TEST_HOST_GUEST_BASE	(1ull << 44)	/* hpa of guest frame 0 */
#define TEST_HOST_TABLE_BASE	(1ull << 45)	/* hpa of the first engine page */
#define TEST_HOST_MAX_PAGES	16384u		/* that the engine can have at a time */
#define TEST_HOST_MAX_FLUSHES	256		/* recorded; later ones are only carried out */
#define TEST_HOST_MAX_RECORDS	256
#define TEST_HOST_MAX_AWAY	8

struct test_host {
	struct pvm_host_ops ops;	/* a copy of test_host_ops, for pvm_vm_init() */

	uint8_t *memory;		/* guest memory, gpa 0.. */
	uint8_t *own_memory;		/* the same if it is freed at the end, else NULL */
	uint64_t memory_size;		/* bytes */
	uint64_t hole_start, hole_end;	/* gfns that are no memory */
	uint64_t read_only_start, read_only_end;	/* gfns that cannot be written */
	uint8_t max_level;		/* of frames handed out; 1 by default */
	struct {
		uint64_t gfn;
		bool only_writes;	/* it can be read */
	} away[TEST_HOST_MAX_AWAY];	/* memory that comes when gfn_to_frame() may sleep for it */
	unsigned away_count;
	unsigned fetched;		/* frames of those that came */
	bool frames_would_block;	/* gfn_to_frame(PVM_NO_SLEEP) returns PVM_EAGAIN */

	uint8_t **pages;		/* engine pages by index, NULL: freed */
	uint32_t *free_pages;		/* stack of free indices below pages_used */
	uint32_t free_count, pages_used, pages_live, pages_capacity;
	int64_t allocs_left;		/* page_alloc() fails when it reaches 0; -1: never */

	uint32_t pins;			/* pinned frames now */
	int lock_depth;			/* 0 or 1 */
	struct pvm_tlb_flush flushes[TEST_HOST_MAX_FLUSHES];
	unsigned flush_count;
	unsigned yields;		/* offers of the CPU, without the lock */
	struct pvm_trace_record records[TEST_HOST_MAX_RECORDS];
	unsigned record_count;

	/* The engine, or the test, broke a rule of the host. Must not return. */
	void (*broken)(const char *rule);
};

/* The defaults; the void *host of each is a struct test_host. */
extern const struct pvm_host_ops test_host_ops;

/* Zeroed memory and no engine page. @broken NULL: a line on standard error, and abort(). */
void test_host_init(struct test_host *host, uint64_t memory_size, void (*broken)(const char *rule));
/* The same on the caller's @memory, page-aligned, which is cleared. */
void test_host_init_on(struct test_host *host, uint8_t *memory, uint64_t memory_size,
		       void (*broken)(const char *rule));

/* After the VM's end: nothing may be leaked, neither pages nor pins nor the lock. Each
 * page_free() checks that nothing was written after the page's end. */
void test_host_fini(struct test_host *host);

/* The va of an engine page's byte, or NULL where @pa is in no page that the engine has. */
void *test_host_page_va(const struct test_host *host, pvm_hpa_t pa);

/* From now on the frame is away (the next of away[]). */
void test_host_send_away(struct test_host *host, uint64_t gfn, bool only_writes);

/* Is it guest memory, and may it be written? */
bool test_host_is_memory(const struct test_host *host, uint64_t gfn);
bool test_host_is_writable(const struct test_host *host, uint64_t gfn);

/* Dual CR3 on a 4-level host with NX, keys and 1 GiB pages, the GDT of Linux, and the range
 * of linear addresses 256 to 510 of the top-level table. */
struct pvm_vm_config test_host_config(void);

/* A vCPU's PVCS, by its VM's guest ABI. */
static inline struct pvm_vcpu_struct *dual_pvcs(const struct pvm_vcpu *vcpu)
{
	return vcpu->pvcs;
}

static inline struct pvm_sc_vcpu_struct *single_pvcs(const struct pvm_vcpu *vcpu)
{
	return vcpu->pvcs;
}

#endif /* TESTS_TEST_HOST_H */
