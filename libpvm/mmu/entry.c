/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The entries of a shadow page: made and emptied here, each together with its place in a
 * list, so that the reverse maps always agree with what the CPU can walk. Elsewhere only
 * rights change (fill.c raises, sync.c, track.c and host.c lower them), and
 * near.c makes a leaf beside the lock. Flushes nothing.
 */
#include "entry.h"

#include "internal.h"
#include "tlb.h"

#define SPARES 16	/* a table's worth */

void pvm_spares_top_up(struct pvm_vcpu *vcpu)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;

	while (vcpu->mmu.spares < SPARES &&
	       (mmu->value_slab.available || mmu->reserved > RESERVE_GOAL / 2)) {
		void **object = pvm_slab_take(mmu, &mmu->value_slab);

		*object = vcpu->mmu.spare;
		vcpu->mmu.spare = object;
		vcpu->mmu.spares++;
	}
}

void pvm_spares_give_back(struct pvm_vcpu *vcpu)
{
	for (; vcpu->mmu.spares; vcpu->mmu.spares--) {
		void **object = vcpu->mmu.spare;

		vcpu->mmu.spare = *object;
		pvm_slab_give(vcpu->vm->mmu, &vcpu->vm->mmu->value_slab, object);
	}
}

bool pvm_spares_cover(struct pvm_vcpu *vcpu, struct pvm_shadow_page *page, unsigned index)
{
	struct pvm_entry_values **values = &page->values[index / CHUNK_ENTRIES], *none = NULL;
	void **object = vcpu->mmu.spare;
	void *next;

	if (__atomic_load_n(values, __ATOMIC_ACQUIRE))
		return true;
	if (!vcpu->mmu.spares)
		return false;
	next = *object;
	memset(object, 0, sizeof(struct pvm_entry_values));
	if (__atomic_compare_exchange_n(values, &none, (struct pvm_entry_values *)(void *)object, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		vcpu->mmu.spare = next;
		vcpu->mmu.spares--;
	} else {
		*object = next;		/* another vCPU was first */
	}
	return true;
}

static inline void set_value(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index,
			     uint64_t value)
{
	struct pvm_entry_values **values = &page->values[index / CHUNK_ENTRIES];

	if (!*values)
		*values = pvm_slab_take(mmu, &mmu->value_slab);
	pvm_entry_set_value(page, index, value);
}

/* Are the words of a chunk's entries, or of their links, all 0? By eight, and from the end,
 * because a page is emptied from its start. */
static bool is_zero(const uint64_t *words)
{
	const uint64_t *w = words + CHUNK_ENTRIES;

	while (w != words) {
		w -= 8;
		if (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7])
			return false;
	}
	return true;
}

/* The switcher's slot is not 0. */
static bool has_entries(const struct pvm_shadow_page *page, unsigned first)
{
	unsigned i = CHUNK_ENTRIES;

	if (pvm_likely(is_zero(page->table + first)))
		return false;
	while (i--)
		if (pvm_entry_present(page, first + i))
			return true;
	return false;
}

/* Free the values around an entry if no entry needs them. */
static void trim_values(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	struct pvm_entry_values **values = &page->values[index / CHUNK_ENTRIES];

	if (has_entries(page, index - index % CHUNK_ENTRIES))
		return;
	pvm_slab_give(mmu, &mmu->value_slab, *values);
	*values = NULL;
}

void pvm_entry_free_all(struct pvm_mmu *mmu, struct pvm_shadow_page *page)
{
	unsigned c;

	for (c = 0; c < CHUNKS_PER_PAGE; c++)
		if (page->values[c])
			trim_values(mmu, page, c * CHUNK_ENTRIES);
}

static struct pvm_entry_link *link_make(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	struct pvm_entry_links **links = &page->links[index / CHUNK_ENTRIES];

	if (!*links)
		*links = pvm_slab_take(mmu, &mmu->link_slab);
	return &(*links)->of[index % CHUNK_ENTRIES];
}

static struct pvm_entry_links *links_find(const struct pvm_mmu *mmu, uint32_t ref, unsigned *i)
{
	unsigned index;
	const struct pvm_shadow_page *page = pvm_ref_page(mmu, ref, &index);

	*i = index % CHUNK_ENTRIES;
	return page->links[index / CHUNK_ENTRIES];
}

static void links_trim(struct pvm_mmu *mmu, uint32_t ref)
{
	unsigned index;
	struct pvm_shadow_page *page = pvm_ref_page(mmu, ref, &index);
	struct pvm_entry_links **links = &page->links[index / CHUNK_ENTRIES];

	if (!*links || !is_zero((*links)->both))
		return;
	pvm_slab_give(mmu, &mmu->link_slab, *links);
	*links = NULL;
}

static inline void list_add(struct pvm_mmu *mmu, uint32_t *head, struct pvm_shadow_page *page,
			    unsigned index)
{
	uint32_t ref = pvm_entry_ref(page, index);

	if (*head) {
		unsigned second;
		struct pvm_shadow_page *other = pvm_ref_page(mmu, *head, &second);

		link_make(mmu, page, index)->next = *head;
		link_make(mmu, other, second)->prev = ref;
	}
	*head = ref;
}

static void list_del(struct pvm_mmu *mmu, uint32_t *head, uint32_t ref)
{
	unsigned i, other;
	struct pvm_entry_links *links = links_find(mmu, ref, &i);
	uint32_t next = links ? links->of[i].next : 0, prev = links ? links->of[i].prev : 0;

	if (prev)
		links_find(mmu, prev, &other)->of[other].next = next;
	else
		*head = next;
	if (next)
		links_find(mmu, next, &other)->of[other].prev = prev;
	if (!next && !prev)
		return;
	links->of[i].next = links->of[i].prev = 0;
	links_trim(mmu, ref);
	if (prev)
		links_trim(mmu, prev);
	if (next)
		links_trim(mmu, next);
}

uint32_t pvm_ref_next(const struct pvm_mmu *mmu, uint32_t ref)
{
	unsigned i;
	const struct pvm_entry_links *links = links_find(mmu, ref, &i);

	return links ? links->of[i].next : 0;
}

uint32_t pvm_rmap_missing(const struct pvm_mmu *mmu, pvm_gfn_t gfn, unsigned level)
{
	return pvm_radix_missing(&mmu->rmap[level - 1], gfn.v >> (9 * (level - 1)));
}

void pvm_entry_link(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index,
		    struct pvm_shadow_page *child, uint64_t rights)
{
	set_value(mmu, page, index, child->id);
	list_add(mmu, &child->parents, page, index);
	/* links_gen stays: what is made here changes no path that there was.
	 * M1: whatever the guest's U/S bit, it runs at CPL 3. */
	PVM_WRITE_ONCE(page->table[index],
		       child->host.pa.v | PVM_PTE_P | PVM_PTE_U | PVM_PTE_A | rights);
}

void pvm_entry_map_at(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, uint32_t *head,
		      uint64_t value, uint64_t entry)
{
	set_value(mmu, page, index, value);
	list_add(mmu, head, page, index);
	PVM_WRITE_ONCE(page->table[index], entry);
}

void pvm_entry_map(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, pvm_gfn_t gfn,
		   uint64_t entry)
{
	uint64_t value = gfn.v >> (9 * (page->role.level - 1));

	mmu->stats.rmap_entries++;
	pvm_entry_map_at(mmu, page, index, pvm_radix_make(mmu, &mmu->rmap[page->role.level - 1], value),
			 value, entry);
}

void pvm_entry_drop(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	uint64_t empty = 0;
	uint32_t *head;

	if (pvm_entry_is_leaf(page, index)) {
		head = pvm_rmap_find(mmu, pvm_entry_gfn(page, index), page->role.level);
		mmu->stats.rmap_entries--;
	} else {
		head = &pvm_entry_child(mmu, page, index)->parents;
		mmu->links_gen++;
		empty = pvm_entry_switchers(mmu, page, index);
	}
	PVM_WRITE_ONCE(page->table[index], empty);
	list_del(mmu, head, pvm_entry_ref(page, index));
	trim_values(mmu, page, index);
}

/* An entry is about to go, and not every TLB will be told. */
static void note(struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index)
{
	const struct pvm_shadow_page *child = pvm_entry_child(mmu, page, index);

	if (child)
		pvm_tlb_note_link(mmu, child);
	else
		pvm_tlb_note_leaf(mmu, pvm_entry_gfn(page, index), page->role.level);
}

void pvm_entry_clear(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	if (!pvm_entry_present(page, index))
		return;
	note(mmu, page, index);
	pvm_entry_drop(mmu, page, index);
}
