/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The entries of a shadow page and the lists that they are in. entry.c
 */
#ifndef MMU_ENTRY_H
#define MMU_ENTRY_H

#include "shadow.h"

static inline uint32_t pvm_entry_ref(const struct pvm_shadow_page *page, unsigned index)
{
	return page->id << REF_INDEX_BITS | index;
}

static inline struct pvm_shadow_page *pvm_page_of_id(const struct pvm_mmu *mmu, uint32_t id)
{
	return *(struct pvm_shadow_page **)pvm_radix_find(&mmu->ids, id);
}

/* The page and index of a reference. */
static inline struct pvm_shadow_page *pvm_ref_page(const struct pvm_mmu *mmu, uint32_t ref,
						   unsigned *index)
{
	*index = ref & (PVM_PTES_PER_TABLE - 1);
	return pvm_page_of_id(mmu, ref >> REF_INDEX_BITS);
}

/* The entry is the same in every root, and no shadow page's: M2P's. A bit that the CPU ignores. */
#define PVM_ENTRY_FIXED (1ull << 10)

/* Is a shadow entry made for the guest? The switcher's slot has no U (M1). */
static inline bool pvm_pte_is_guests(uint64_t entry)
{
	return (entry & (PVM_PTE_P | PVM_PTE_U | PVM_ENTRY_FIXED)) == (PVM_PTE_P | PVM_PTE_U);
}

static inline bool pvm_entry_present(const struct pvm_shadow_page *page, unsigned index)
{
	return pvm_pte_is_guests(page->table[index]);
}

/*
 * What the switcher has at an index of a page, or 0. Of a root whose slot it shares with the guest: what
 * is there as long as the guest has nothing (M1, S6: without U, and never out of the CPU's reach).
 */
static inline uint64_t pvm_entry_switchers(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page,
					   unsigned index)
{
	const struct pvm_vm_config *config = &mmu->vm->config;

	if (!config->switcher_entry)
		return 0;
	if (pvm_page_is_root(mmu, page))
		return index == config->switcher_slot ? config->switcher_entry & ~PVM_PTE_U : 0;
	if (page->role.last_slot && index == config->switcher_pml4_slot)
		return config->switcher_pml4_entry & ~PVM_PTE_U;
	return 0;
}

/* Of a present entry. */
static inline bool pvm_entry_is_leaf(const struct pvm_shadow_page *page, unsigned index)
{
	return pvm_pte_is_leaf(page->table[index], page->role.level);
}

/* Of a present entry: what it stands for. */
static inline uint64_t pvm_entry_value(const struct pvm_shadow_page *page, unsigned index)
{
	const struct pvm_entry_values *values = page->values[index / CHUNK_ENTRIES];
	unsigned i = index % CHUNK_ENTRIES;

	return (uint64_t)values->high[i] << 32 | values->low[i];
}

/* Is the page one whose slots divide the upper half of 48 bits? */
static inline bool pvm_page_has_pml4_slots(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page)
{
	return mmu->host_levels == 4 ? pvm_page_is_root(mmu, page) : page->role.last_slot;
}

/* What is at an index of a page whatever the guest does, or 0: the switcher's, or M2P's. */
static inline uint64_t pvm_entry_fixed(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page,
				       unsigned index)
{
	const struct pvm_xen_config *xen = &mmu->vm->config.xen;

	/* A user program has no business there. */
	if (xen->m2p_entry && index == xen->m2p_slot && !page->role.user_root &&
	    pvm_page_has_pml4_slots(mmu, page))
		return xen->m2p_entry | PVM_ENTRY_FIXED;
	return pvm_entry_switchers(mmu, page, index);
}

/* There is a place for it already. */
static inline void pvm_entry_set_value(struct pvm_shadow_page *page, unsigned index, uint64_t value)
{
	struct pvm_entry_values *values =
		__atomic_load_n(&page->values[index / CHUNK_ENTRIES], __ATOMIC_ACQUIRE);

	values->low[index % CHUNK_ENTRIES] = (uint32_t)value;
	values->high[index % CHUNK_ENTRIES] = (uint8_t)(value >> 32);
}

/* It is about to be made or changed: in a large guest none of it is in a cache. */
static inline void pvm_entry_prefetch(const struct pvm_shadow_page *page, unsigned index)
{
	__builtin_prefetch(&page->table[index], 1);
	__builtin_prefetch(page->values[index / CHUNK_ENTRIES], 1);
}

/* Places for values that a vCPU has at hand for what it does without the lock. Topping up
 * leaves the reserve what a fault refills it to half. */
void pvm_spares_top_up(struct pvm_vcpu *vcpu);
void pvm_spares_give_back(struct pvm_vcpu *vcpu);
/* Is there a place for the value of @index, now, with a spare if need be? Beside others. */
bool pvm_spares_cover(struct pvm_vcpu *vcpu, struct pvm_shadow_page *page, unsigned index);

/* Of a leaf: the first frame it maps. */
static inline pvm_gfn_t pvm_entry_gfn(const struct pvm_shadow_page *page, unsigned index)
{
	return pvm_gfn(pvm_entry_value(page, index) << (9 * (page->role.level - 1)));
}

/* The shadow page that an entry links to, or NULL. */
static inline struct pvm_shadow_page *pvm_entry_child(const struct pvm_mmu *mmu,
						      const struct pvm_shadow_page *page,
						      unsigned index)
{
	if (!pvm_entry_present(page, index) || pvm_entry_is_leaf(page, index))
		return NULL;
	return pvm_page_of_id(mmu, (uint32_t)pvm_entry_value(page, index));
}

/* Does this entry lack the place for its value? */
static inline bool pvm_entry_lacks_values(const struct pvm_shadow_page *page, unsigned index)
{
	return !page->values[index / CHUNK_ENTRIES];
}

/* The entry after @ref in its list; 0: none. */
uint32_t pvm_ref_next(const struct pvm_mmu *mmu, uint32_t ref);

/* The head of the list of leaves of @level that map @gfn; NULL: there never was one. */
static inline uint32_t *pvm_rmap_find(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	return pvm_radix_find(&mmu->rmap[level - 1], gfn.v >> (9 * (level - 1)));
}

/* Host pages that a first leaf there takes for the list's head. */
uint32_t pvm_rmap_missing(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level);

/* Point an empty entry to @child. @rights: PVM_PTE_W and PVM_PTE_NX. */
void pvm_entry_link(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index,
		    struct pvm_shadow_page *child, uint64_t rights);
/* The same as pvm_entry_map() with @head, which pvm_rmap_find() found. @value: the number of the page
 * of memory, as in struct pvm_entry_values. */
void pvm_entry_map_at(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, uint32_t *head,
		      uint64_t value, uint64_t entry);
/* Let an empty entry map memory from @gfn on. */
void pvm_entry_map(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, pvm_gfn_t gfn,
		   uint64_t entry);
/* Empty a present entry. Its translations may live on in TLBs: pvm_tlb_note_entry() it
 * before, or flush. */
void pvm_entry_drop(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index);
/* Of an empty page: what is left of its memory, because a vCPU made place for a value and
 * then did not fill the entry. */
void pvm_entry_free_all(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
/* Note and drop an entry, if there is one. */
void pvm_entry_clear(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index);

#endif /* MMU_ENTRY_H */
