/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Memory for the MMU: a reserve of zeroed host pages, and objects of fixed size
 * cut from them. Taking cannot fail and cannot sleep: whoever takes has counted
 * what he needs and filled the reserve before (M11). Returning an object frees
 * its page when it was the last one.
 */
#include "pool.h"

#include "internal.h"
#include "lock.h"
#include "shadow.h"

/* At the start of every page of a slab. */
struct slab_page {
	struct pvm_list link;		/* in slab->partial while it has free objects */
	struct pvm_host_page host;
	void *free;			/* chain through the objects' first words */
	uint32_t used;
};

#define SLAB_HEADER 64
_Static_assert(sizeof(struct slab_page) <= SLAB_HEADER, "the header has its place");

/* How many there are is also read without the lock. */
static void put(struct pvm_mmu *mmu, struct pvm_host_page page)
{
	mmu->reserve[mmu->reserved] = page;
	PVM_WRITE_ONCE(mmu->reserved, mmu->reserved + 1);
}

bool pvm_pool_refill(struct pvm_mmu *mmu, uint32_t pages, enum pvm_sleep sleep)
{
	struct pvm_vm *vm = mmu->vm;
	uint32_t have = PVM_READ_ONCE(mmu->reserved);

	while (have < pages) {
		struct pvm_host_page page[RESERVE_GOAL];
		uint32_t got = 0, wanted = pages - have;

		while (got < wanted && got < RESERVE_GOAL &&
		       vm->ops->page_alloc(vm->host, sleep, &page[got]) == PVM_OK)
			got++;
		if (!got)
			return false;
		pvm_lock(vm);
		while (got && mmu->reserved < RESERVE_MAX)
			put(mmu, page[--got]);
		have = mmu->reserved;
		pvm_unlock(vm);
		while (got)
			vm->ops->page_free(vm->host, page[--got]);
	}
	return true;
}

struct pvm_host_page pvm_pool_take(struct pvm_mmu *mmu)
{
	PVM_WRITE_ONCE(mmu->reserved, mmu->reserved - 1);
	return mmu->reserve[mmu->reserved];
}

void pvm_pool_free(struct pvm_mmu *mmu, struct pvm_host_page page)
{
	mmu->vm->ops->page_free(mmu->vm->host, page);
}

void pvm_pool_give(struct pvm_mmu *mmu, struct pvm_host_page page)
{
	if (mmu->reserved == RESERVE_MAX) {
		pvm_pool_free(mmu, page);
		return;
	}
	memset(page.va, 0, PVM_PAGE_SIZE);
	put(mmu, page);
}

void pvm_pool_drain(struct pvm_mmu *mmu)
{
	while (mmu->reserved)
		pvm_pool_free(mmu, pvm_pool_take(mmu));
}

static uint32_t slab_objects(const struct pvm_slab *slab)
{
	return (PVM_PAGE_SIZE - SLAB_HEADER) / slab->size;
}

static struct slab_page *slab_page_of(const void *object)
{
	return (struct slab_page *)((uintptr_t)object & ~(PVM_PAGE_SIZE - 1));
}

void pvm_slab_init(struct pvm_slab *slab, uint32_t size)
{
	pvm_list_init(&slab->partial);
	slab->size = size;
	slab->available = 0;
}

uint32_t pvm_slab_missing(const struct pvm_slab *slab, uint32_t objects)
{
	if (objects <= slab->available)
		return 0;
	objects -= slab->available;
	return (objects + slab_objects(slab) - 1) / slab_objects(slab);
}

static void slab_grow(struct pvm_mmu *mmu, struct pvm_slab *slab)
{
	struct pvm_host_page host = pvm_pool_take(mmu);
	struct slab_page *page = host.va;
	uint32_t i;

	page->host = host;
	page->free = NULL;
	page->used = 0;
	for (i = 0; i < slab_objects(slab); i++) {
		void **object = (void **)((char *)page + SLAB_HEADER + (size_t)i * slab->size);

		*object = page->free;
		page->free = object;
	}
	pvm_list_add(&page->link, &slab->partial);
	slab->available += slab_objects(slab);
}

void *pvm_slab_take(struct pvm_mmu *mmu, struct pvm_slab *slab)
{
	struct slab_page *page;
	void **object;

	if (pvm_list_empty(&slab->partial))
		slab_grow(mmu, slab);
	page = pvm_list_entry(slab->partial.next, struct slab_page, link);
	object = page->free;
	page->free = *object;
	page->used++;
	slab->available--;
	if (!page->free)
		pvm_list_del(&page->link);
	return memset(object, 0, slab->size);
}

void pvm_slab_give(struct pvm_mmu *mmu, struct pvm_slab *slab, void *object)
{
	struct slab_page *page = slab_page_of(object);

	if (!page->free)
		pvm_list_add(&page->link, &slab->partial);
	*(void **)object = page->free;
	page->free = object;
	slab->available++;
	if (--page->used)
		return;
	pvm_list_del(&page->link);
	slab->available -= slab_objects(slab);
	pvm_pool_give(mmu, page->host);
}
