/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reading a page-table entry, the guest's or a shadow one: pure functions of
 * its 64 bits. Owns no state and touches no memory.
 */
#ifndef MMU_PTE_H
#define MMU_PTE_H

#include <pvm/types.h>
#include <pvm/x86.h>

/* Does an entry of this level map a page rather than point to a table? */
static inline bool pvm_pte_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || (level <= 3 && (entry & PVM_PTE_PS));
}

static inline pvm_gfn_t pvm_pte_gfn(uint64_t entry)
{
	return pvm_gfn((entry & PVM_PTE_ADDR_MASK) >> PVM_PAGE_SHIFT);
}

/* 4 KiB frames that an entry of this level covers. */
static inline uint64_t pvm_level_frames(unsigned level)
{
	return PVM_LEVEL_SIZE(level) >> PVM_PAGE_SHIFT;
}

/* The first frame of the large page that a leaf of this level maps. */
static inline pvm_gfn_t pvm_pte_leaf_gfn(uint64_t entry, unsigned level)
{
	return pvm_gfn(pvm_pte_gfn(entry).v & ~(pvm_level_frames(level) - 1));
}

static inline unsigned pvm_pte_key(uint64_t entry)
{
	return (entry & PVM_PTE_PK_MASK) >> PVM_PTE_PK_SHIFT;
}

/* Bits that must be zero in every present entry. SDM vol. 3, 4.5, table 4-14 and on */
static inline uint64_t pvm_pte_reserved_always(unsigned maxphyaddr, bool nx)
{
	return (PVM_PTE_ADDR_MASK & ~((1ull << maxphyaddr) - 1)) | (nx ? 0 : PVM_PTE_NX);
}

/* And in this one, which @always is among. */
static inline uint64_t pvm_pte_reserved(uint64_t entry, unsigned level, uint64_t always)
{
	uint64_t reserved = always;

	if (level >= 4)
		reserved |= PVM_PTE_PS;
	else if (level > 1 && (entry & PVM_PTE_PS))
		reserved |= (PVM_LEVEL_SIZE(level) - 1) & PVM_PTE_ADDR_MASK & ~PVM_PTE_PAT_LARGE;
	return reserved;
}

/* Does the key of a page forbid this data access? SDM vol. 3, 4.6.2 */
static inline bool pvm_pkru_refuses(uint32_t pkru, unsigned key, bool write)
{
	uint32_t rights = pkru >> (2 * key);

	return (rights & 1) || (write && (rights & 2));
}

#endif /* MMU_PTE_H */
