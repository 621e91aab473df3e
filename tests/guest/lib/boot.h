/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * From the boot protocol to guest_main(): finds out whether this is PVM, and
 * sets up memory, page tables, events and the first CPU. Owns struct cpu.
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include "cpu.h"
#include "types.h"

#define E820_RAM 1
#define E820_MAX 128

struct e820_entry {
	u64 addr, size;
	u32 type;
} __attribute__((packed));

/* The parts of Linux's boot_params that guests look at; 4096 bytes. */
struct boot_params {
	u8 screen_info[0x70];
	u64 acpi_rsdp_addr;		/* 0x070 */
	u8 pad0[0x1e8 - 0x78];
	u8 e820_entries;		/* 0x1e8 */
	u8 pad1[0x228 - 0x1e9];
	u32 cmd_line_ptr;		/* 0x228 */
	u8 pad2[0x2d0 - 0x22c];
	struct e820_entry e820_table[E820_MAX];	/* 0x2d0 */
} __attribute__((packed));

_Static_assert(offsetof(struct boot_params, acpi_rsdp_addr) == 0x70, "boot protocol");
_Static_assert(offsetof(struct boot_params, e820_entries) == 0x1e8, "boot protocol");
_Static_assert(offsetof(struct boot_params, cmd_line_ptr) == 0x228, "boot protocol");
_Static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "boot protocol");

extern const struct boot_params *boot_params;

/* The command line, "" if there is none. */
const char *command_line(void);

/* What a guest is: its checks. Returning from it is guest_finish(). */
void guest_main(void);

/* Called by entry.S, with the physical address of the boot_params. */
noreturn void guest_start(u64 boot_params_pa);

/* Gives @cpu a stack and its number; then it can be started. */
void cpu_prepare(struct cpu *cpu);

/* Makes the running CPU @cpu: GS base, PVCS, events, APIC. */
void cpu_init(struct cpu *cpu);

#endif /* GUEST_BOOT_H */
