/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Memory. One range of RAM is used, the one the image is in: after the image and
 * the module from below for pages, from its end downwards for the guest.
 */
#include "memory.h"

#include "cpu.h"
#include "print.h"

#define GIB		(1ull << 30)
#define MMAP_RAM	1
#define DEVICES		0xc0000000ull	/* the PC's MMIO: up to 4 GiB, uncached */

/* Multiboot 0.6.96, 3.3 */
struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, command_line, module_count, modules;
	uint32_t syms[4], mmap_length, mmap;
};

struct multiboot_module {
	uint32_t start, end, string, reserved;
};

struct multiboot_mmap {
	uint32_t size;		/* of the rest */
	uint64_t start, length;
	uint32_t type;
} __attribute__((packed));

struct free_page {
	struct free_page *next;
};

extern uint32_t boot_magic, boot_info;
extern uint64_t boot_slide;
extern uint8_t image_start[], text_start[], text_end[], rodata_end[], image_end[];

struct boot_info boot;

static uint64_t phys_base;		/* phys_to_virt(0) */
static uint64_t *top;			/* minivisor's top-level table */
static uint64_t top_pa;
static uint64_t ram_end;		/* of all RAM: what the direct map reaches at least */
static uint64_t fresh, fresh_end;	/* never used pages, physical */
static struct free_page *free_pages;
static struct spinlock lock;

uint64_t image_address(uint64_t offset)
{
	return IMAGE_VIRT + boot_slide + offset;
}

void *phys_to_virt(uint64_t pa)
{
	return (void *)(phys_base + pa);
}

uint64_t direct_to_phys(const void *va)
{
	return (uint64_t)va - phys_base;
}

static uint64_t image_pa(const void *va)
{
	return (uint64_t)va - image_address(0);
}

static void copy_string(char *to, const char *from, size_t size)
{
	size_t i;

	for (i = 0; from[i] && i < size - 1; i++)
		to[i] = from[i];
	to[i] = 0;
}

static void read_modules(const struct multiboot_info *info)
{
	const struct multiboot_module *module = phys_to_virt(info->modules);
	const char *string;

	if (!(info->flags & MULTIBOOT_HAS_MODULES) || !info->module_count)
		return;
	boot.module = phys_to_virt(module->start);
	boot.module_size = module->end - module->start;
	if (info->module_count > 1) {
		boot.second_module = phys_to_virt(module[1].start);
		boot.second_module_size = module[1].end - module[1].start;
	}
	string = phys_to_virt(module->string);
	while (module->string && *string && *string != ' ')
		string++;
	if (module->string && *string)
		copy_string(boot.guest_command_line, string + 1, sizeof(boot.guest_command_line));
}

/* The range of RAM around the image, without the module. */
static void read_memory_map(const struct multiboot_info *info)
{
	uint64_t image = image_pa(image_start), at = info->mmap;
	uint64_t module = boot.module ? (uint64_t)boot.module - phys_base : 0;
	uint64_t module_end = module + boot.module_size;

	if (!(info->flags & MULTIBOOT_HAS_MEMORY_MAP))
		fail("the boot loader gives no memory map");
	while (at < info->mmap + info->mmap_length) {
		const struct multiboot_mmap *entry = phys_to_virt(at);

		at += entry->size + sizeof(entry->size);
		if (entry->type != MMAP_RAM)
			continue;
		if (entry->start + entry->length > ram_end)
			ram_end = entry->start + entry->length;
		if (image >= entry->start && image < entry->start + entry->length)
			fresh_end = (entry->start + entry->length) & -PVM_PAGE_SIZE;
	}
	/* Loaders put them side by side. */
	if (boot.second_module) {
		uint64_t second = (uint64_t)boot.second_module - phys_base;

		if (second + boot.second_module_size > module_end)
			module_end = second + boot.second_module_size;
		if (second < module)
			module = second;
	}
	fresh = image_pa(image_end);
	if (module > fresh && module - fresh > fresh_end - module)
		fresh_end = module & -PVM_PAGE_SIZE;
	else if (module)
		fresh = (module_end + PVM_PAGE_SIZE - 1) & -PVM_PAGE_SIZE;
	if (fresh >= fresh_end)
		fail("no memory after the image");
}

void memory_read_boot_info(void)
{
	const struct multiboot_info *info;

	phys_base = image_address(0);
	if (boot_magic != MULTIBOOT_MAGIC)
		fail("not started by a multiboot loader");
	info = phys_to_virt(boot_info);
	if (info->flags & MULTIBOOT_HAS_COMMAND_LINE)
		copy_string(boot.command_line, phys_to_virt(info->command_line),
			    sizeof(boot.command_line));
	read_modules(info);
	read_memory_map(info);
}

/* ------------------------------------------------------------------------
 * Pages.
 */

void *page_alloc(void)
{
	struct free_page *page;

	spin_lock(&lock);
	page = free_pages;
	if (page) {
		free_pages = page->next;
	} else if (fresh < fresh_end) {
		page = phys_to_virt(fresh);
		fresh += PVM_PAGE_SIZE;
	}
	spin_unlock(&lock);
	return page ? memset(page, 0, PVM_PAGE_SIZE) : NULL;
}

void page_free(void *page)
{
	struct free_page *first = page;

	spin_lock(&lock);
	first->next = free_pages;
	free_pages = first;
	spin_unlock(&lock);
}

void *memory_take(uint64_t size)
{
	uint64_t start = (fresh_end - size) & -PVM_LEVEL_SIZE(2);

	if (size > fresh_end - fresh || start < fresh)
		return NULL;
	fresh_end = start;
	return memset(phys_to_virt(start), 0, size);
}

/* ------------------------------------------------------------------------
 * Page tables.
 */

static unsigned levels(void)
{
	return cpu_features.la57 ? 5 : 4;
}

/* The entry for @va at @level; tables above it are made. */
static uint64_t *entry_of(uint64_t va, unsigned level)
{
	uint64_t *table = top;
	unsigned at;

	for (at = levels(); at > level; at--) {
		uint64_t *entry = &table[PVM_LEVEL_INDEX(va, at)];

		if (!*entry) {
			void *page = page_alloc();

			if (!page)
				fail("no memory for page tables");
			*entry = ((uint64_t)page - phys_base) | PVM_PTE_P | PVM_PTE_W;
		}
		table = phys_to_virt(*entry & PVM_PTE_ADDR_MASK);
	}
	return &table[PVM_LEVEL_INDEX(va, level)];
}

void memory_map(uint64_t va, uint64_t pa, uint64_t flags)
{
	*entry_of(va, 1) = pa | flags | PVM_PTE_P;
}

uint64_t virt_to_phys(const void *va)
{
	uint64_t *table = top, entry, mask;
	unsigned level;

	for (level = levels();; level--) {
		entry = table[PVM_LEVEL_INDEX((uint64_t)va, level)];
		if (!(entry & PVM_PTE_P))
			return ~0ull;
		if (level == 1 || entry & PVM_PTE_PS)
			break;
		table = phys_to_virt(entry & PVM_PTE_ADDR_MASK);
	}
	mask = PVM_LEVEL_SIZE(level) - 1;
	return (entry & PVM_PTE_ADDR_MASK & ~mask) | ((uint64_t)va & mask);
}

static void map_image(void)
{
	const uint8_t *va;

	for (va = image_start; va < image_end; va += PVM_PAGE_SIZE) {
		uint64_t flags = PVM_PTE_W | PVM_PTE_NX;

		if (va >= text_start && va < text_end)
			flags = 0;
		else if (va >= text_end && va < rodata_end)
			flags = PVM_PTE_NX;
		memory_map((uint64_t)va, image_pa(va), flags);
	}
}

void memory_init(void)
{
	uint64_t direct = cpu_features.la57 ? DIRECT_VIRT_LA57 : DIRECT_VIRT;
	uint64_t pa, end = ram_end > 4 * GIB ? ram_end : 4 * GIB;

	top = page_alloc();
	if (!top)
		fail("no memory for page tables");
	top_pa = (uint64_t)top - phys_base;
	for (pa = 0; pa < end; pa += PVM_LEVEL_SIZE(2))
		*entry_of(direct + pa, 2) = pa | PVM_PTE_P | PVM_PTE_W | PVM_PTE_PS | PVM_PTE_NX |
					    (pa >= DEVICES && pa < 4 * GIB ? PVM_PTE_PCD : 0);
	map_image();
	memory_init_cpu();
	if (boot.module)
		boot.module += direct - phys_base;
	if (boot.second_module)
		boot.second_module += direct - phys_base;
	top = (void *)(direct + top_pa);
	phys_base = direct;
}

void memory_init_cpu(void)
{
	write_cr3(top_pa);
}

/* ------------------------------------------------------------------------
 * What a compiler expects of every program.
 */

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	void *at = to;
	size_t words = size >> 3;

	__asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
	size &= 7;
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (t <= f || t >= f + size)
		return memcpy(to, from, size);
	while (size--)
		*(volatile uint8_t *)&t[size] = f[size];
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *at = to;
	uint64_t word = (uint8_t)byte * 0x0101010101010101ull;
	size_t words = size >> 3;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(word) : "memory");
	size &= 7;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(word) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;

	for (; size; size--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	const char *end = s;

	while (*end)
		end++;
	return (size_t)(end - s);
}
