/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The page allocator: a pointer that walks up the largest usable region, and
 * a list of freed pages.
 */
#include "memory.h"

#include "check.h"

extern char image_end[];

static u64 next, limit, end;
static u64 free_list;

void memory_init(const struct boot_params *boot)
{
	u64 image = virt_to_phys(image_end);

	for (u32 i = 0; i < boot->e820_entries; i++) {
		const struct e820_entry *e = &boot->e820_table[i];
		u64 first = e->addr, last = e->addr + e->size;

		if (last > GiB)		/* more is of no use to a guest like these */
			last = GiB;
		if (first >= last)
			continue;
		if (last > end)
			end = last;
		if (e->type != E820_RAM)
			continue;
		if (first < image && last > image)
			first = image;
		if (first >= image && last - first > limit - next) {
			next = align_up(first, PAGE_SIZE);
			limit = align_down(last, PAGE_SIZE);
		}
	}
	guest_assert(next < limit);
}

u64 pages_alloc(u64 n, u64 align)
{
	u64 pa = align_up(next, align);

	guest_assert(pa + n * PAGE_SIZE <= limit);
	if (pa - next < MiB)		/* do not lose what the alignment skips */
		for (u64 p = next; p < pa; p += PAGE_SIZE)
			page_free(p);
	next = pa + n * PAGE_SIZE;
	memset(phys_to_virt(pa), 0, n * PAGE_SIZE);
	return pa;
}

u64 page_alloc(void)
{
	u64 pa = free_list;

	if (!pa)
		return pages_alloc(1, PAGE_SIZE);
	free_list = *(u64 *)phys_to_virt(pa);
	memset(phys_to_virt(pa), 0, PAGE_SIZE);
	return pa;
}

void page_free(u64 pa)
{
	*(u64 *)phys_to_virt(pa) = free_list;
	free_list = pa;
}

u64 memory_end(void)
{
	return end;
}
