/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Physical memory: what the boot loader left, a page allocator, minivisor's own
 * page tables, and the stretch that is guest memory.
 */
#ifndef MINIVISOR_MEMORY_H
#define MINIVISOR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pvm/x86.h>

/* What the boot loader says, in memory of ours. */
struct boot_info {
	char command_line[512];
	const uint8_t *module;		/* the first: the guest's ELF file; NULL: none */
	uint64_t module_size;
	const uint8_t *second_module;	/* NULL: none */
	uint64_t second_module_size;
	char guest_command_line[512];	/* the module's, without its first word */
};
extern struct boot_info boot;

/* Read multiboot's information. Boot tables; before anything else. */
void memory_read_boot_info(void);

/* Page allocator, then tables with the image (W^X) and all of physical memory, and
 * switch to them: nothing is left in the lower half. */
void memory_init(void);
/* The same tables on another CPU. */
void memory_init_cpu(void);

/* A zeroed page, or NULL. Any CPU. */
void *page_alloc(void);
void page_free(void *page);

/* The direct map and back; and for any address of ours (~0: not mapped). */
void *phys_to_virt(uint64_t pa);
uint64_t direct_to_phys(const void *va);
uint64_t virt_to_phys(const void *va);

/* Map a page for minivisor; before the first guest runs. @flags: PVM_PTE_W, NX, PCD. */
void memory_map(uint64_t va, uint64_t pa, uint64_t flags);

/* The linear address that is IMAGE_VIRT + @offset but for the slide. */
uint64_t image_address(uint64_t offset);

/* Take @size bytes (a multiple of 2 MiB), contiguous, aligned to 2 MiB and zeroed, for a
 * guest. NULL: not there. Once. */
void *memory_take(uint64_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);

#endif /* MINIVISOR_MEMORY_H */
