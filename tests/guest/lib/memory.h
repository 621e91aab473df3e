/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Physical pages: what the e820 map gives beyond the image, handed out and
 * never swapped. Not safe against interrupts or other CPUs: allocate before.
 */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include "boot.h"
#include "types.h"
#include "x86.h"

/* Where the image is linked over its physical address: 0 here, an upper-half
 * linker script sets another. */
extern char virtual_offset[];
#define phys_to_virt(pa) ((void *)((u64)(pa) + (u64)virtual_offset))
#define virt_to_phys(va) ((u64)(va) - (u64)virtual_offset)

void memory_init(const struct boot_params *boot);

/* A zeroed page, by its physical address. Ends the guest when there is none. */
u64 page_alloc(void);
/* @n zeroed contiguous pages, aligned to @align bytes (a power of two). */
u64 pages_alloc(u64 n, u64 align);
void page_free(u64 pa);

/* End of the highest e820 region that lies below 1 GiB, bytes. */
u64 memory_end(void);

#endif /* GUEST_MEMORY_H */
