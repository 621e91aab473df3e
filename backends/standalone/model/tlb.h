/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a CPU remembers of page tables: a TLB and a paging-structure cache,
 * tagged by root. Owns the remembered copies and their replacement, which is
 * deterministic. It never looks at a page table and never forgets anything by
 * itself: an entry goes when it is flushed, when its own page faults (SDM vol.
 * 3, 4.10.4.1), or when its set is full. So a flush that the engine forgot
 * shows as an access through an old translation (M9, M10).
 */
#ifndef MODEL_TLB_H
#define MODEL_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include <pvm/host.h>

#define MODEL_TLB_SETS		128
#define MODEL_TLB_WAYS		8
#define MODEL_STRUCTURE_ENTRIES	64

/* One translation. entry has the rights of all levels combined: W where every
 * level says so, NX where any does; A, D, key and page size are the leaf's. */
struct model_translation {
	uint64_t root;		/* hpa of the root it was found under */
	uint64_t page;		/* gva of the page's first byte */
	uint64_t pa;		/* hpa of the page's first byte */
	uint64_t entry;		/* PVM_PTE_* */
	uint8_t level;		/* 1, 2 or 3; 0: this slot is empty */
};

/* One non-leaf entry: where the table below it is, with the rights so far. */
struct model_structure {
	uint64_t root;
	uint64_t base;		/* gva of the region that the entry covers */
	uint64_t table;		/* hpa of the table it points to */
	uint64_t rights;	/* W, U and NX combined from the root down to it */
	uint8_t level;		/* of the entry, 2..5; 0: this slot is empty */
};

struct model_tlb {
	struct model_translation set[MODEL_TLB_SETS][MODEL_TLB_WAYS];
	uint8_t next_way[MODEL_TLB_SETS];	/* round robin */
	struct model_structure structure[MODEL_STRUCTURE_ENTRIES];
	uint32_t next_structure;
	uint64_t hits, misses, flushes;
};

/* Forget everything. */
void model_tlb_reset(struct model_tlb *tlb);

/* The translation of @gva under @root, or NULL. It may be changed (A, D). */
struct model_translation *model_tlb_find(struct model_tlb *tlb, uint64_t root, uint64_t gva);

/* Remember a translation; an older one of the same page is replaced. */
void model_tlb_insert(struct model_tlb *tlb, const struct model_translation *translation);

/* The lowest remembered non-leaf entry that covers @gva under @root, or NULL. */
const struct model_structure *model_tlb_find_structure(const struct model_tlb *tlb, uint64_t root,
						       uint64_t gva);
void model_tlb_insert_structure(struct model_tlb *tlb, const struct model_structure *structure);

/* Forget what is remembered of one address under one root: INVLPG, or a page
 * fault there. The paging-structure cache loses the whole root, as the
 * architecture says of INVLPG. @size: bytes around @gva that go. */
void model_tlb_drop(struct model_tlb *tlb, uint64_t root, uint64_t gva, uint64_t size);

/* The host operation's request, on this CPU. */
void model_tlb_flush(struct model_tlb *tlb, const struct pvm_tlb_flush *flush);

#endif /* MODEL_TLB_H */
