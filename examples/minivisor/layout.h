/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where things are: linear and physical addresses, GDT selectors. Also for
 * assembly; the linker script repeats IMAGE_VIRT and BOOT_PHYS and asserts them.
 *
 *			4-level paging			5-level paging
 *   image, CPU areas	slot 271			slot 510
 *   physical memory	slot 510			slot 509
 *   guests		slots 272..511			256..509, and slot 511's 272..511
 *			and the lower half		and the lower half
 *   M2P (Xen PV)	slot 256			slot 511's 256
 *
 * Guests have no slot from 256 to 271 of what is the upper half with 4 levels: these are no Xen PV guest's.
 * The direct map is not in guests' roots: its slot may be a guest's, too.
 */
#ifndef MINIVISOR_LAYOUT_H
#define MINIVISOR_LAYOUT_H

#define BOOT_PHYS	0x100000	/* where the image is loaded */
#define IMAGE_VIRT	0xffffffff80000000	/* linear address of physical 0, as linked; runs elsewhere */
#define AREAS_OFFSET	0x40000000	/* from IMAGE_VIRT: the switcher's per-CPU areas */
#define WINDOWS_OFFSET	0x60000000	/* and its windows on PVCS pages */
#define LDTS_OFFSET	0x70000000	/* and guests' LDTs */

#define SLIDE		0x780000000000	/* 240 slots of a PML4: what is linked in 511 is in 271 */
#define IMAGE_SLOT	271
#define LA57_SLIDE	0x1000000000000	/* one slot of a PML5: 5-level paging moves it down */
#define LA57_IMAGE_SLOT	510
#define DIRECT_VIRT	0xffffff0000000000	/* physical memory: slot 510 of a PML4 */
#define DIRECT_VIRT_LA57 0xfffd000000000000	/* slot 509 of a PML5 */

#define AP_TRAMPOLINE	0x8000		/* physical, below 1 MiB, a page of its own */

#define BOOT_CS32	0x08
#define BOOT_CS64	0x10
#define BOOT_DS		0x18

/* Ours. The switcher wants the three for users in SYSRET's order. */
#define KERNEL_CS	0x10
#define KERNEL_DS	0x18
#define USER32_CS	0x23
#define USER_DS		0x2b
#define USER_CS		0x33
#define TSS_SEL		0x40		/* two entries */
#define SWITCHER_TSS_SEL 0x50		/* two entries, the switcher's */
#define SWITCHER_LDT_SEL 0x80		/* four entries, the same */
#define M2P_SLOT	256
#define TLS_INDEX	12		/* three entries, the guest's */
#define CPUNODE_SEL	0x7b
#define GDT_ENTRIES	16

/* IST stacks; the switcher takes three of the others. */
#define IST_NMI		1
#define IST_DF		2
#define IST_MC		3

/* struct multiboot_info. Multiboot 0.6.96, 3.3 */
#define MULTIBOOT_MAGIC			0x2badb002
#define MULTIBOOT_HAS_COMMAND_LINE	(1 << 2)
#define MULTIBOOT_HAS_MODULES		(1 << 3)
#define MULTIBOOT_HAS_MEMORY_MAP	(1 << 6)
#define MULTIBOOT_FLAGS			0
#define MULTIBOOT_COMMAND_LINE		16

#endif /* MINIVISOR_LAYOUT_H */
