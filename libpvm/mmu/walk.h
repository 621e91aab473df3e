/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A walk of the guest's page tables: a copy of every entry it read, and what
 * the tables say of one access. It never looks at shadow tables.
 */
#ifndef MMU_WALK_H
#define MMU_WALK_H

#include <pvm/mmu.h>

#include "abi/abi.h"
#include "pte.h"

#define WALK_LEVELS 6	/* levels count from 1; [0] is not used */
/* A guest that changes its tables during each of so many walks in a row gets the last
 * walk, without accessed bits: no guest holds the lock without end. */
#define WALK_TRIES 32

struct pvm_guest_walk {
	pvm_gva_t gva;
	uint32_t access;		/* PVM_ACCESS_* */
	uint8_t top;			/* depth of the guest's paging: 4 or 5 */
	uint8_t level;			/* of the last entry read; 0: none */
	bool complete;			/* entry[level] is a sound leaf: gpa is valid */
	bool writable, user;		/* complete: every level has W, U */
	bool writes_table;		/* the last has no W, but is a marked table's (mark.h) */
	bool above_accessed;		/* complete: every level but the last has A */
	bool no_table;			/* table[level] is not in memory */
	bool late;			/* a table cannot be read, or written, without sleeping (late.h);
					 * else nothing here is of worth then */
	uint8_t read_only;		/* bit per level: its table cannot take A and D */
	uint8_t vector;			/* refused: PVM_VEC_PF or PVM_VEC_GP */
	uint32_t error_code;		/* refused by PVM_VEC_PF */
	pvm_gpa_t gpa;
	pvm_gfn_t table[WALK_LEVELS];	/* the frame each entry lies in */
	uint64_t entry[WALK_LEVELS];	/* as read, once (M6) */
	const uint64_t *at[WALK_LEVELS];	/* where, in this hold of the lock */
};

/* spec: Protection Keys: the mode decides if they count, U/S does not. */
static inline bool pvm_walk_key_refuses(const struct pvm_vcpu *vcpu, uint64_t leaf, uint32_t access)
{
	uint64_t enabled = vcpu->user_mode ? PVM_CR4_PKE : PVM_CR4_PKS;

	if (!(vcpu->cr4 & enabled) || (access & PVM_ACCESS_EXEC))
		return false;
	return pvm_pkru_refuses(vcpu->pkru, pvm_pte_key(leaf), access & PVM_ACCESS_WRITE);
}

/* Where U/S counts: a user's access to a supervisor's page, and with SMEP a supervisor's
 * fetch from a user's. SMAP is off. */
static inline bool pvm_walk_us_refuses(const struct pvm_vcpu *vcpu, bool user, uint32_t access)
{
	if (!vcpu->vm->abi->root_role[vcpu->user_mode].us)
		return false;
	if (vcpu->user_mode)
		return !user;	/* M3 */
	return user && (access & PVM_ACCESS_EXEC) && (vcpu->cr4 & PVM_CR4_SMEP);	/* M4 */
}

/* Bits of the error code for what present entries refuse, by the rights of the whole walk; 0: they
 * allow it. CR0.WP is always 1. */
static inline uint32_t pvm_walk_cause(const struct pvm_vcpu *vcpu, uint64_t leaf, uint32_t access,
				      bool writable, bool user, bool executable)
{
	bool refused = ((access & PVM_ACCESS_WRITE) && !writable) ||
		((access & PVM_ACCESS_EXEC) && !executable);

	if (pvm_walk_us_refuses(vcpu, user, access))
		return PVM_PF_P;
	if (pvm_walk_key_refuses(vcpu, leaf, access))
		return PVM_PF_P | PVM_PF_PK;
	return refused ? PVM_PF_P : 0;
}

/* May this vCPU's guest use the address at all (M7), the switcher's slot being
 * no guest's? */
bool pvm_walk_address_legal(const struct pvm_vcpu *vcpu, pvm_gva_t gva);

/* Depth of the guest's paging: 5 only on a host that has it. */
uint8_t pvm_walk_levels(const struct pvm_vcpu *vcpu);

/* Inside (lock.h) or with the MMU lock, as all that follow. Returns true when the guest's
 * tables allow the access. */
bool pvm_walk_guest(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t access, struct pvm_guest_walk *walk);

/* Set A on the way and, for a write, D in the leaf, in the guest's tables and
 * in the copies. False: an entry has changed since it was read, walk again; or late. */
bool pvm_walk_set_accessed(struct pvm_vcpu *vcpu, struct pvm_guest_walk *walk);

/* Both, walking again as long as the guest changes what was read. False also: late. */
bool pvm_walk_access(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t access, struct pvm_guest_walk *walk);

/* The pointer to the guest's entry; NULL: no memory (or, to write, read-only). */
uint64_t *pvm_walk_entry_va(struct pvm_vcpu *vcpu, pvm_gfn_t table, unsigned index, bool write);

/* Do all entries from the root's down to that of @level have U? */
static inline bool pvm_walk_is_user(const struct pvm_guest_walk *walk, unsigned level)
{
	uint64_t entries = PVM_PTE_U;

	for (; level <= walk->top; level++)
		entries &= walk->entry[level];
	return entries & PVM_PTE_U;
}

static inline pvm_gfn_t pvm_cr3_gfn(uint64_t cr3)
{
	return pvm_gfn((cr3 & PVM_CR3_ADDR_MASK) >> PVM_PAGE_SHIFT);
}

#endif /* MMU_WALK_H */
