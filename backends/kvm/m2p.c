// SPDX-License-Identifier: GPL-2.0
/*
 * Xen PV's table of frame numbers by machine frame, which here is the identity: one for all VMs, as long as
 * the largest of them wants it. It grows in place, as entries that a guest may have seen never change, and
 * goes when the last VM of this ABI does. Guests read it through a top-level entry of their own roots, to
 * tables that end with the VM's own frames: how large others are it does not learn.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "kvm_pvm.h"

#define ENTRIES	((u64)PTRS_PER_PTE)	/* of a page */

static u64 *top;
static u64 frames;			/* that it has */
static unsigned int users;
static DEFINE_MUTEX(lock);

static u64 *new_page(void)
{
	return (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
}

static u64 entry_to(const u64 *page)
{
	return __pa(page) | PVM_PTE_P | PVM_PTE_U | PVM_PTE_A | PVM_PTE_NX;
}

static u64 *page_of(u64 entry)
{
	return __va(entry & PVM_PTE_ADDR_MASK);
}

/* The table or page that @table's entry for byte @offset at @level leads to; NULL: no memory. */
static u64 *below(u64 *table, u64 offset, unsigned int level)
{
	u64 *entry = &table[PVM_LEVEL_INDEX(offset, level)], *page;

	if (*entry)
		return page_of(*entry);
	page = new_page();
	if (page)
		WRITE_ONCE(*entry, entry_to(page));	/* of tables; a page is shown when it is full */
	return page;
}

/* The page of entries from frame @first on. */
static int add_page(u64 first)
{
	u64 offset = first * sizeof(u64), *table = top, *page, i;
	unsigned int level;

	for (level = PVM_KVM_M2P_LEVELS; level > 1; level--) {
		table = below(table, offset, level);
		if (!table)
			return -ENOMEM;
	}
	page = new_page();
	if (!page)
		return -ENOMEM;
	for (i = 0; i < ENTRIES; i++)
		page[i] = first + i;
	smp_store_release(&table[PVM_LEVEL_INDEX(offset, 1)], entry_to(page));
	return 0;
}

static void free_tables(u64 *table, unsigned int level)
{
	unsigned int i;

	for (i = 0; level && i < ENTRIES; i++)
		if (table[i])
			free_tables(page_of(table[i]), level - 1);
	free_page((unsigned long)table);
	cond_resched();
}

static int grow(u64 wanted)
{
	int error = 0;

	if (!top)
		top = new_page();
	if (!top)
		return -ENOMEM;
	while (frames < wanted && !error) {
		error = add_page(frames);
		if (!error)
			frames += ENTRIES;
		if (fatal_signal_pending(current))
			error = -EINTR;
		cond_resched();
	}
	return error;
}

/* Tables of the VM's own, a page at each level, on the way to the last of its frames. */
static int cut(struct pvm_kvm_m2p *m2p, u64 wanted)
{
	u64 last = (wanted - 1) * sizeof(u64), *from = top, *link = NULL;
	unsigned int level;

	for (level = PVM_KVM_M2P_LEVELS; level; level--) {
		unsigned int index = PVM_LEVEL_INDEX(last, level);
		u64 *own = new_page();

		if (!own)
			return -ENOMEM;
		m2p->own[level - 1] = own;
		memcpy(own, from, (index + 1) * sizeof(*own));
		if (link)
			*link = entry_to(own);
		link = &own[index];
		from = page_of(own[index]);
	}
	return 0;
}

static void leave(struct pvm_kvm_m2p *m2p)
{
	unsigned int i;

	for (i = 0; i < PVM_KVM_M2P_LEVELS; i++)
		free_page((unsigned long)m2p->own[i]);
	memset(m2p, 0, sizeof(*m2p));
	if (--users)
		return;
	if (top)
		free_tables(top, PVM_KVM_M2P_LEVELS);
	top = NULL;
	frames = 0;
}

int pvm_kvm_m2p_get(struct pvm_kvm_m2p *m2p, u64 wanted, u64 *entry)
{
	int error;

	if (mutex_lock_killable(&lock))
		return -EINTR;
	users++;
	error = grow(wanted);
	if (!error)
		error = cut(m2p, wanted);
	if (error)
		leave(m2p);
	else
		*entry = entry_to(m2p->own[PVM_KVM_M2P_LEVELS - 1]);
	mutex_unlock(&lock);
	return error;
}

void pvm_kvm_m2p_put(struct pvm_kvm_m2p *m2p)
{
	mutex_lock(&lock);
	leave(m2p);
	mutex_unlock(&lock);
}
