// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of guest frames, by their number: words, in a tree of pages as the CPU's tables are. Once
 * there, a page stays as long as the VM, so that it can be read at any time without a lock; all are charged
 * to who uses the VM. Owns nothing but the words: what they say, and when it is true, is memory.c's.
 */
#include "kvm_pvm.h"

#define BITS		9		/* of a page's index */
#define WORDS		(1ul << BITS)
#define LEVELS		4		/* below pvm_kvm_frames::top */
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

/* The page that a word leads to, made if there is none. */
static unsigned long *page_below(unsigned long *word, gfp_t gfp)
{
	unsigned long page = READ_ONCE(*word), other;

	if (page)
		return (unsigned long *)page;
	page = get_zeroed_page(gfp);
	if (!page)
		return NULL;
	other = cmpxchg(word, 0, page);
	if (other)		/* another vCPU was first */
		free_page(page);
	return (unsigned long *)(other ?: page);
}

unsigned long *pvm_kvm_frame_place(struct pvm_kvm_frames *frames, gfn_t gfn, gfp_t gfp)
{
	unsigned int level;
	unsigned long *word;

	if (gfn >= GFN_END)
		return NULL;
	word = &frames->top[gfn >> TOP_SHIFT];
	for (level = LEVELS; level; level--) {
		word = page_below(word, gfp);
		if (!word)
			return NULL;
		word = slot_of(word, gfn, level);
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

	for (i = 0; i < PVM_KVM_FRAMES_TOP; i++)
		if (frames->top[i])
			free_below(frames->top[i], LEVELS);
}
