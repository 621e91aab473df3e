// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of guest frames, by their number: words, in a tree of pages as the CPU's tables are, all
 * charged to who uses the VM. It is read at any time without a lock: a page that was once in the tree stays a
 * page of its level for as long as the VM. Where a slot has gone, its pages leave the tree, and are used for
 * other frames once no thread can be reading them for these. Owns nothing but the words: what they say,
 * and when it is true, is memory.c's.
 */
#include <linux/mm.h>

#include "kvm_pvm.h"

#define BITS		9		/* of a page's index */
#define WORDS		(1ul << BITS)
#define LEVELS		PVM_KVM_FRAMES_LEVELS	/* below pvm_kvm_frames::top */
#define TOP_SHIFT	(LEVELS * BITS)
#define GFN_END		((gfn_t)PVM_KVM_FRAMES_TOP << TOP_SHIFT)

static unsigned long *slot_of(unsigned long *page, gfn_t gfn, unsigned int level)
{
	return page + ((gfn >> (level - 1) * BITS) & (WORDS - 1));
}

unsigned long pvm_kvm_frame_get(const struct pvm_kvm_frames *frames, gfn_t gfn)
{
	unsigned int level = LEVELS;
	unsigned long word;

	if (unlikely(gfn >= GFN_END))
		return 0;
	word = READ_ONCE(frames->top[gfn >> TOP_SHIFT]);
	for (; word && level; level--)
		word = READ_ONCE(*slot_of((unsigned long *)word, gfn, level));
	return word;
}

/* ------------------------------------------------------------------------
 * Pages that are in no tree: lists through struct page, because their words may still be read.
 */

static void push(unsigned long *list, unsigned long page)
{
	set_page_private(virt_to_page((void *)page), *list);
	*list = page;
}

static unsigned long pop(unsigned long *list)
{
	unsigned long page = *list;

	if (page) {
		*list = page_private(virt_to_page((void *)page));
		set_page_private(virt_to_page((void *)page), 0);
	}
	return page;
}

unsigned long *pvm_kvm_frame_place(struct pvm_kvm_frames *frames, gfn_t gfn, unsigned long *fresh)
{
	unsigned long *word;
	unsigned int level;

	if (gfn >= GFN_END)
		return NULL;
	word = &frames->top[gfn >> TOP_SHIFT];
	for (level = LEVELS; level; level--) {
		unsigned long page = *word ?: pop(&frames->spare[level - 1]);

		if (!page && *fresh) {
			page = *fresh;
			*fresh = 0;
			frames->pages++;
		}
		if (!page)
			return NULL;
		if (!*word)
			smp_store_release(word, page);	/* zeroed, for who reads it */
		word = slot_of((unsigned long *)page, gfn, level);
	}
	return word;
}

/* The part of [@first, @end) that is below a page of @level, which begins at @base. */
static void forget_below(unsigned long *page, unsigned int level, gfn_t base, gfn_t first, gfn_t end)
{
	gfn_t size = 1ull << (level - 1) * BITS;
	unsigned long i = first > base ? (first - base) >> (level - 1) * BITS : 0;

	for (; i < WORDS && base + i * size < end; i++) {
		unsigned long word = READ_ONCE(page[i]);

		if (word && level > 1)
			forget_below((unsigned long *)word, level - 1, base + i * size, first, end);
		else if (word)
			WRITE_ONCE(page[i], 0);
	}
}

void pvm_kvm_frames_forget(struct pvm_kvm_frames *frames, gfn_t first, gfn_t end)
{
	gfn_t i;

	for (i = first >> TOP_SHIFT; i < PVM_KVM_FRAMES_TOP && i << TOP_SHIFT < end; i++) {
		unsigned long word = READ_ONCE(frames->top[i]);

		if (word)
			forget_below((unsigned long *)word, LEVELS, i << TOP_SHIFT, first, end);
	}
}

void pvm_kvm_frames_retire(struct pvm_kvm_frames *frames, gfn_t gfn)
{
	unsigned long *path[LEVELS], *word;
	unsigned int level;

	if (gfn >= GFN_END)
		return;
	word = &frames->top[gfn >> TOP_SHIFT];
	for (level = LEVELS; level; level--) {
		path[level - 1] = word;
		if (!*word)
			return;
		word = slot_of((unsigned long *)*word, gfn, level);
	}
	for (level = 0; level < LEVELS; level++) {
		unsigned long page = *path[level];

		if (memchr_inv((void *)page, 0, PAGE_SIZE))
			return;
		WRITE_ONCE(*path[level], 0);
		push(&frames->retired[level], page);
	}
}

void pvm_kvm_frames_reuse(struct pvm_kvm_frames *frames)
{
	unsigned int level;
	unsigned long page;

	for (level = 0; level < LEVELS; level++)
		while ((page = pop(&frames->retired[level])))
			push(&frames->spare[level], page);
}

static void free_below(unsigned long page, unsigned int level)
{
	unsigned long i;

	for (i = 0; i < WORDS && level > 1; i++)
		if (((unsigned long *)page)[i])
			free_below(((unsigned long *)page)[i], level - 1);
	free_page(page);
	cond_resched();
}

void pvm_kvm_frames_destroy(struct pvm_kvm_frames *frames)
{
	unsigned int i;
	unsigned long page;

	pvm_kvm_frames_reuse(frames);
	for (i = 0; i < LEVELS; i++)
		while ((page = pop(&frames->spare[i])))
			free_page(page);
	for (i = 0; i < PVM_KVM_FRAMES_TOP; i++) {
		if (frames->top[i])
			free_below(frames->top[i], LEVELS);
		frames->top[i] = 0;
	}
}
