/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A VM for unit tests: the test host, vCPUs on it, and a builder of guest page tables.
 * Deterministic; nothing here runs a guest. A rule that is broken fails the test.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "test_host.h"

#define FIXTURE_VCPUS 64

struct fixture {
	struct test_host host;		/* what the engine gets as its host */
	struct pvm_vm vm;
	struct pvm_vcpu vcpu[FIXTURE_VCPUS];
	unsigned vcpus;
	uint64_t next_table;		/* gpa of the next free guest table page, grows up */
};

/* The configuration that fixture_init() uses: 4-level host, NX, PKE, a Linux
 * GDT, ranges 256..511 exclusive; change it before fixture_init_config(). */
struct pvm_vm_config fixture_config(void);

/* 16 MiB of memory, one vCPU, reset. Fails the test on error. */
void fixture_init(struct fixture *fixture);
void fixture_init_config(struct fixture *fixture, const struct pvm_vm_config *config,
			 uint64_t memory_size, unsigned vcpus);
/* Also asserts that nothing is leaked, as test_host_fini() does. */
void fixture_fini(struct fixture *fixture);

/* A zeroed guest page for a page table; its gpa. */
uint64_t fixture_new_table(struct fixture *fixture);

/* Map gva to gpa in the guest's tables under cr3 with leaf @flags (PVM_PTE_*)
 * at @level; makes tables on the way with P|W|U. The depth is @levels. */
void fixture_map(struct fixture *fixture, uint64_t cr3, unsigned levels, uint64_t gva, uint64_t gpa,
		 unsigned level, uint64_t flags);

/* The guest's entry for gva at @level, for a test to change; NULL: no table. */
uint64_t *fixture_entry(struct fixture *fixture, uint64_t cr3, unsigned levels, uint64_t gva,
			unsigned level);

/* Give the vCPU page tables that map all memory at gva = gpa (2 MiB pages) for
 * both modes (single CR3: one table for both), a PVCS at gpa 0x3000, entries and a stack:
 * EVENT_ENTRY 0x100000, LSTAR 0x110000, RETU_RIP 0x120000, RETS_RIP 0x120010,
 * supervisor rsp 0x208000. In supervisor mode, IF set. */
void fixture_boot(struct fixture *fixture, struct pvm_vcpu *vcpu);

/* The first record of that kind since the start, or NULL. */
const struct pvm_trace_record *fixture_find_record(const struct fixture *fixture,
						   enum pvm_trace_kind kind);

#endif /* TESTS_FIXTURE_H */
