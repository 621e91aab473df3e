/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The entries of a shadow page: written here and nowhere else (but for rights,
 * which sync.c and host.c lower), each together with its node, so that the
 * reverse maps always agree with what the CPU can walk. Flushes nothing.
 */
#include <pvm/mmu.h>

#include "internal.h"
#include "pte.h"
#include "shadow.h"

/* The page and index that a node belongs to. */
struct pvm_shadow_page *pvm_node_entry(const struct pvm_mmu *mmu,
				       const struct pvm_shadow_node *node, unsigned *index)
{
	struct pvm_node_chunk *chunk = pvm_slab_object(&mmu->chunk_slab, node);

	*index = chunk->first + (unsigned)(node - chunk->node);
	return chunk->page;
}

static struct pvm_shadow_node *node_make(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	struct pvm_node_chunk **chunk = &page->chunk[index / NODES_PER_CHUNK];

	if (!*chunk) {
		*chunk = pvm_slab_take(mmu, &mmu->chunk_slab);
		(*chunk)->page = page;
		(*chunk)->first = (uint16_t)(index - index % NODES_PER_CHUNK);
	}
	(*chunk)->used++;
	page->present++;
	return &(*chunk)->node[index % NODES_PER_CHUNK];
}

static void node_add(struct pvm_shadow_node *node, struct pvm_shadow_node **head)
{
	node->next = *head;
	node->pprev = head;
	if (node->next)
		node->next->pprev = &node->next;
	*head = node;
}

static void node_free(struct pvm_mmu *mmu, struct pvm_shadow_page *page, struct pvm_shadow_node *node)
{
	struct pvm_node_chunk *chunk = pvm_slab_object(&mmu->chunk_slab, node);

	*node->pprev = node->next;
	if (node->next)
		node->next->pprev = node->pprev;
	node->pprev = NULL;
	page->present--;
	if (--chunk->used)
		return;
	page->chunk[chunk->first / NODES_PER_CHUNK] = NULL;
	pvm_slab_give(mmu, &mmu->chunk_slab, chunk);
}

/* Point an empty entry to @child. @rights: PVM_PTE_W and PVM_PTE_NX. */
void pvm_entry_link(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index,
		    struct pvm_shadow_page *child, uint64_t rights)
{
	struct pvm_shadow_node *node = node_make(mmu, page, index);

	node->child = child;
	node_add(node, &child->parents);
	mmu->links++;
	/* M1: whatever the guest's U/S bit, it runs at CPL 3. */
	PVM_WRITE_ONCE(page->table[index],
		       child->host.pa.v | PVM_PTE_P | PVM_PTE_U | PVM_PTE_A | rights);
}

/* Let an empty entry map memory from @gfn on. */
void pvm_entry_map(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index, pvm_gfn_t gfn,
	       uint64_t entry)
{
	struct pvm_shadow_node *node = node_make(mmu, page, index);

	node->gfn = gfn;
	node_add(node, pvm_rmap_make(mmu, gfn, page->role.level));
	mmu->stats.rmap_entries++;
	PVM_WRITE_ONCE(page->table[index], entry);
}

/* Empty a present entry. Its translations may live on in TLBs: pvm_tlb_note() it
 * before, or flush. */
void pvm_entry_drop(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	struct pvm_shadow_node *node = pvm_entry_node(page, index);

	if (pvm_pte_is_leaf(page->table[index], page->role.level))
		mmu->stats.rmap_entries--;
	else
		mmu->links++;
	PVM_WRITE_ONCE(page->table[index], 0);
	node_free(mmu, page, node);
}

/* Note and drop an entry, if there is one. */
void pvm_entry_clear(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index)
{
	if (!pvm_entry_node(page, index))
		return;
	pvm_tlb_note(mmu, page, index);
	pvm_entry_drop(mmu, page, index);
}
