/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The TLB of the model. Owns set arithmetic and replacement; it must never
 * look at a page table, nor forget what no flush names. */
#include "tlb.h"

#include <string.h>

#include <pvm/x86.h>

static uint64_t page_base(uint64_t gva, unsigned level)
{
	return gva & ~(PVM_LEVEL_SIZE(level) - 1);
}

static unsigned set_index(uint64_t gva, unsigned level)
{
	return (gva >> PVM_LEVEL_SHIFT(level)) % MODEL_TLB_SETS;
}

void model_tlb_reset(struct model_tlb *tlb)
{
	memset(tlb, 0, sizeof(*tlb));
}

static struct model_translation *find_level(struct model_tlb *tlb, uint64_t root, uint64_t gva,
					    unsigned level)
{
	struct model_translation *set = tlb->set[set_index(gva, level)];
	unsigned way;

	for (way = 0; way < MODEL_TLB_WAYS; way++)
		if (set[way].level == level && set[way].root == root &&
		    set[way].page == page_base(gva, level))
			return &set[way];
	return NULL;
}

struct model_translation *model_tlb_find(struct model_tlb *tlb, uint64_t root, uint64_t gva)
{
	struct model_translation *found = NULL;
	unsigned level;

	for (level = 1; level <= 3 && !found; level++)
		found = find_level(tlb, root, gva, level);
	return found;
}

void model_tlb_insert(struct model_tlb *tlb, const struct model_translation *translation)
{
	unsigned index = set_index(translation->page, translation->level);
	struct model_translation *slot;

	slot = find_level(tlb, translation->root, translation->page, translation->level);
	if (!slot) {
		slot = &tlb->set[index][tlb->next_way[index]];
		tlb->next_way[index] = (uint8_t)((tlb->next_way[index] + 1) % MODEL_TLB_WAYS);
	}
	*slot = *translation;
}

const struct model_structure *model_tlb_find_structure(const struct model_tlb *tlb, uint64_t root,
						       uint64_t gva)
{
	const struct model_structure *best = NULL;
	unsigned i;

	for (i = 0; i < MODEL_STRUCTURE_ENTRIES; i++) {
		const struct model_structure *s = &tlb->structure[i];

		if (s->level && s->root == root && s->base == page_base(gva, s->level) &&
		    (!best || s->level < best->level))
			best = s;
	}
	return best;
}

void model_tlb_insert_structure(struct model_tlb *tlb, const struct model_structure *structure)
{
	unsigned i;

	for (i = 0; i < MODEL_STRUCTURE_ENTRIES; i++) {
		const struct model_structure *s = &tlb->structure[i];

		if (s->level == structure->level && s->root == structure->root &&
		    s->base == structure->base)
			break;
	}
	if (i == MODEL_STRUCTURE_ENTRIES) {
		i = tlb->next_structure;
		tlb->next_structure = (i + 1) % MODEL_STRUCTURE_ENTRIES;
	}
	tlb->structure[i] = *structure;
}

/* PVM_INVALID_ADDR as @root: every root. */
static bool root_matches(uint64_t tag, uint64_t root)
{
	return root == PVM_INVALID_ADDR || tag == root;
}

static void drop_structures(struct model_tlb *tlb, uint64_t root)
{
	unsigned i;

	for (i = 0; i < MODEL_STRUCTURE_ENTRIES; i++)
		if (root_matches(tlb->structure[i].root, root))
			tlb->structure[i].level = 0;
}

/* Forget every page under @root that overlaps [start, start + size). */
static void drop_pages(struct model_tlb *tlb, uint64_t root, uint64_t start, uint64_t size)
{
	struct model_translation *t = tlb->set[0];
	struct model_translation *end = t + (size_t)MODEL_TLB_SETS * MODEL_TLB_WAYS;

	for (; t < end; t++)
		if (t->level && root_matches(t->root, root) && t->page - start < size)
			t->level = 0;
		else if (t->level && root_matches(t->root, root) &&
			 start - t->page < PVM_LEVEL_SIZE(t->level))
			t->level = 0;
}

void model_tlb_drop(struct model_tlb *tlb, uint64_t root, uint64_t gva, uint64_t size)
{
	drop_pages(tlb, root, gva & ~(size - 1), size);
	drop_structures(tlb, root);
}

static void drop_root(struct model_tlb *tlb, uint64_t root)
{
	struct model_translation *t = tlb->set[0];
	struct model_translation *end = t + (size_t)MODEL_TLB_SETS * MODEL_TLB_WAYS;

	for (; t < end; t++)
		if (root_matches(t->root, root))
			t->level = 0;
	drop_structures(tlb, root);
}

void model_tlb_flush(struct model_tlb *tlb, const struct pvm_tlb_flush *flush)
{
	tlb->flushes++;
	switch (flush->scope) {
	case PVM_FLUSH_GVA:
		model_tlb_drop(tlb, flush->root.v, flush->gva.v, PVM_LEVEL_SIZE(flush->level));
		break;
	case PVM_FLUSH_ROOT:
		drop_root(tlb, flush->root.v);
		break;
	case PVM_FLUSH_ALL:
		drop_root(tlb, PVM_INVALID_ADDR);
		break;
	}
}
