/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest for MMU tests: the fixture's VM with empty root tables, and short
 * names for what every test does.
 */
#ifndef TESTS_MMU_GUEST_H
#define TESTS_MMU_GUEST_H

#include <criterion/criterion.h>
#include <string.h>

#include <pvm/mmu.h>

#include "fixture.h"

#define RWU	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U)
#define RW	(PVM_PTE_P | PVM_PTE_W)
#define RO	PVM_PTE_P
#define NX	PVM_PTE_NX
#define KEY(k)	((uint64_t)(k) << PVM_PTE_PK_SHIFT)

#define GVA	0x40000000ull	/* 1 GiB: an address of the lower half, first of its tables */
#define DATA	0x100000ull	/* gpa of a page of data */
#define TABLES	0x200000000ull	/* where map_tables() puts the table area */

struct guest {
	struct fixture f;
	struct pvm_vcpu *vcpu;	/* &f.vcpu[0] */
	struct pvm_vm *vm;
	uint64_t cr3, user_cr3;
	unsigned levels;	/* of the guest's paging */
};

/* Supervisor mode, NX on, keys on in both modes with PKRU 0. */
void guest_init(struct guest *g);
void guest_init_config(struct guest *g, const struct pvm_vm_config *config, unsigned vcpus,
		       unsigned levels);
/* Also runs pvm_mmu_check(). */
void guest_fini(struct guest *g);

/* Map one page of the supervisor's table (fixture_map with cr3 and levels). */
void guest_map(struct guest *g, uint64_t gva, uint64_t gpa, unsigned level, uint64_t flags);
uint64_t *guest_entry(struct guest *g, uint64_t gva, unsigned level);
/* The gpa of the table that holds it. */
uint64_t guest_table_of(struct guest *g, uint64_t gva, unsigned level);
/* Where the guest sees the table that holds the entry of @gva at @level, after
 * guest_map_tables(). */
uint64_t guest_entry_gva(struct guest *g, uint64_t gva, unsigned level);
/* Map all tables made so far at TABLES, writable. */
void guest_map_tables(struct guest *g);

struct pvm_fault_result guest_fault(struct guest *g, uint64_t gva, uint32_t error_code);
/* Fault until the access is possible; fails the test if it never is. */
void guest_touch(struct guest *g, uint64_t gva, uint32_t access);
/* What the CPU finds now. False: not present. */
bool guest_walk(struct guest *g, unsigned cpu, uint64_t gva, struct pvm_shadow_leaf *leaf);
/* The gpa that the CPU reaches now without a fault; ~0: none. */
uint64_t guest_reaches(struct guest *g, uint64_t gva);
bool guest_can_write(struct guest *g, uint64_t gva);
/* The guest stores a word at @gva: faults as needed, then writes memory. */
void guest_store(struct guest *g, uint64_t gva, uint64_t value);

struct pvm_fault_result guest_translate(struct guest *g, uint64_t gva, uint32_t access);

/* Forget the flushes recorded so far; is there one like this since? */
void guest_forget_flushes(struct guest *g);
unsigned guest_flushes(const struct guest *g, enum pvm_flush_scope scope);

#define check_ok(g) do { \
	const char *wrong_ = pvm_mmu_check((g)->vm); \
	cr_assert_null(wrong_, "%s", wrong_); \
} while (0)

#endif /* TESTS_MMU_GUEST_H */
