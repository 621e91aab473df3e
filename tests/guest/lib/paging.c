/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Making and finding page-table entries. Intermediate entries carry all
 * rights, so that the leaf alone decides. In single CR3 a space's two roots are
 * one: what is set in either is set in both.
 */
#include "paging.h"

#include "check.h"
#include "insn.h"
#include "memory.h"

#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U)
#define TABLE_ENTRIES 512
#define UPPER_HALF 256		/* its first entry in a top-level table */

extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[];
extern char user_text_start[], user_text_end[], user_data_start[], user_data_end[], image_end[];

struct space boot_space;

static int levels = 4;

int paging_levels(void)
{
	return levels;
}

static u64 *table(u64 entry)
{
	return phys_to_virt(entry & PTE_ADDR);
}

static unsigned index_of(u64 va, int level)
{
	return (va >> (12 + 9 * (level - 1))) & (TABLE_ENTRIES - 1);
}

u64 *pte_of(u64 root, u64 va, int level, bool create)
{
	u64 *entry = &table(root)[index_of(va, levels)];

	for (int l = levels; l > level; l--) {
		if (!(*entry & PTE_P)) {
			if (!create)
				return NULL;
			*entry = page_alloc() | TABLE_FLAGS;
		}
		if (l < levels && (*entry & PTE_PS))
			return NULL;
		entry = &table(*entry)[index_of(va, l - 1)];
	}
	return entry;
}

u64 *user_pte(const struct space *space, u64 va)
{
	return pte_of(space->user_root, va, 1, false);
}

static void set_entry(u64 root, u64 va, int level, u64 entry)
{
	u64 *pte = pte_of(root, va, level, true);

	guest_assert(pte);
	*pte = entry;
}

/* The kernel's own part: all memory, and the image with proper rights. */
static void map_kernel(u64 root)
{
	u64 offset = (u64)virtual_offset;
	u64 image = align_down(virt_to_phys(image_start), 2 * MiB);
	u64 image_top = align_up(virt_to_phys(image_end), 2 * MiB);
	u64 pa = LOWEST_VA;

	while (pa < memory_end()) {
		bool small = pa < 2 * MiB || (pa >= image && pa < image_top);
		u64 flags = PTE_KERNEL_RW;

		if (!small) {
			set_entry(root, pa + offset, 2, pa | flags | PTE_PS);
			pa += 2 * MiB;
			continue;
		}
		if (pa >= virt_to_phys(text_start) && pa < virt_to_phys(text_end))
			flags = PTE_P;
		else if (pa >= virt_to_phys(rodata_start) && pa < virt_to_phys(rodata_end))
			flags = PTE_P | PTE_NX;
		set_entry(root, pa + offset, 1, pa | flags);
		pa += PAGE_SIZE;
	}
}

/* @offset: of the linked over the physical address. */
static void map_image_range(u64 root, const char *start, const char *end, u64 offset, u64 flags)
{
	for (u64 va = (u64)start; va < (u64)end; va += PAGE_SIZE)
		set_entry(root, va, 1, (va - offset) | flags);
}

/* The image's user part: at its physical addresses wherever the rest is. */
static void map_user_image(u64 root, u64 text_flags, u64 data_flags)
{
	map_image_range(root, user_text_start, user_text_end, 0, text_flags);
	map_image_range(root, user_data_start, user_data_end, 0, data_flags);
}

static u64 user_root_of(const struct space *space)
{
	return SINGLE_CR3 ? space->supervisor_root : page_alloc();
}

void paging_init(void)
{
	u64 offset = (u64)virtual_offset;

	if (read_reg(cr4) & CR4_LA57)
		levels = 5;
	boot_space.supervisor_root = page_alloc();
	map_kernel(boot_space.supervisor_root);
	boot_space.user_root = user_root_of(&boot_space);
	if (!SINGLE_CR3) {
		map_user_image(boot_space.supervisor_root, PTE_P | PTE_NX, PTE_KERNEL_RW);
		map_image_range(boot_space.user_root, text_start, text_end, offset, PTE_USER_RX);
	}
	map_image_range(boot_space.user_root, rodata_start, rodata_end, offset, PTE_USER_RO);
	map_user_image(boot_space.user_root, PTE_USER_RX, PTE_USER_RW);
}

/* The level-3 table of the first 512 GiB, made if it is not there. */
static u64 *low_pdpt(u64 root)
{
	u64 *entry = pte_of(root, 0, 3, true);

	guest_assert(entry);
	return entry;
}

void space_init(struct space *space)
{
	space->supervisor_root = page_alloc();
	space->user_root = user_root_of(space);
	/* The kernel, and the image's user part: the same tables in every space,
	 * below KERNEL_TOP or, by another linker script, in the upper half. */
	low_pdpt(space->user_root)[0] = low_pdpt(boot_space.user_root)[0];
	low_pdpt(space->supervisor_root)[0] = low_pdpt(boot_space.supervisor_root)[0];
	for (unsigned i = UPPER_HALF; i < TABLE_ENTRIES; i++) {
		table(space->supervisor_root)[i] = table(boot_space.supervisor_root)[i];
		table(space->user_root)[i] = table(boot_space.user_root)[i];
	}
}

void space_load(const struct space *space, bool flush)
{
	u64 flags = (flush ? PVM_LOAD_PGTBL_FLUSH : 0) | (levels == 5 ? PVM_LOAD_PGTBL_LA57 : 0);

	hc_load_pgtbl(flags, space->supervisor_root, space->user_root);
}

/* Give the supervisor's root the user's tables from KERNEL_TOP on: whole
 * level-4 entries, but 1 GiB at a time in the one that the kernel is in. */
static void share_user_tables(struct space *space, u64 va)
{
	int level = va < 512 * GiB ? 3 : 4;

	if (va < KERNEL_TOP)
		return;
	*pte_of(space->supervisor_root, va, level, true) = *pte_of(space->user_root, va, level, true);
}

void map_user_large(struct space *space, u64 va, u64 pa, int level, u64 flags)
{
	guest_assert(va >= LOWEST_VA && va < HIGHEST_VA);
	set_entry(space->user_root, va, level, pa | flags | (level > 1 ? PTE_PS : 0));
	share_user_tables(space, va);
}

void map_user(struct space *space, u64 va, u64 pa, u64 flags)
{
	map_user_large(space, va, pa, 1, flags);
}

void map_user_range(struct space *space, u64 va, u64 pa, u64 size, u64 flags)
{
	for (u64 done = 0; done < size; done += PAGE_SIZE)
		map_user(space, va + done, pa + done, flags);
}
