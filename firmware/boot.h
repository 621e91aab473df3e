/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * How a guest is started: the Linux 64-bit boot protocol (RSI = boot_params,
 * e820 map, command line, identity-mapped start tables) with ACPI tables that
 * list the vCPUs and give a mailbox to start them.
 *
 * All of it lies in the boot area, which the e820 map calls reserved.
 *
 * Freestanding: needs memcpy(), strlen() and snprintf() (%s %u %d %zu %llu %llx)
 * from the program that links it. Guest memory is a plain stretch of bytes, gpa 0 first.
 */
#ifndef FIRMWARE_BOOT_H
#define FIRMWARE_BOOT_H

#include <pvm/vcpu.h>

#define BOOT_AREA_START		0x80000ull
#define BOOT_AREA_END		0x100000ull	/* the rest up to 1 MiB is reserved by custom */

#define BOOT_PARAMS		0x80000ull
#define BOOT_COMMAND_LINE	0x81000ull
#define BOOT_MAILBOX		0x82000ull
#define BOOT_ACPI		0x83000ull
#define BOOT_ACPI_END		0x88000ull
#define BOOT_TABLES		0x88000ull	/* PML4, PDPT, then a page directory per GiB */
#define BOOT_TABLES_END		0xa0000ull

#define BOOT_MEMORY_MIN		(1ull << 20)
#define BOOT_MEMORY_MAX		(16ull << 30)	/* what the start tables reach */
#define BOOT_COMMAND_LINE_MAX	2047		/* bytes, without the final 0: Linux's limit */

/* struct boot_params and setup_header. Linux: Documentation/arch/x86/zero-page.rst, boot.rst */
#define BOOT_PARAMS_ACPI_RSDP	0x070
#define BOOT_PARAMS_E820_ENTRIES 0x1e8
#define BOOT_PARAMS_BOOT_FLAG	0x1fe
#define BOOT_PARAMS_HEADER	0x202
#define BOOT_PARAMS_VERSION	0x206
#define BOOT_PARAMS_LOADER	0x210
#define BOOT_PARAMS_LOADFLAGS	0x211
#define BOOT_PARAMS_CMD_LINE	0x228
#define BOOT_PARAMS_CMD_LINE_MAX 0x238
#define BOOT_PARAMS_E820_TABLE	0x2d0
#define BOOT_E820_ENTRY_SIZE	20
#define BOOT_E820_RAM		1
#define BOOT_E820_RESERVED	2

/* The multiprocessor wakeup mailbox. ACPI 6.4, 5.2.12.19 */
#define BOOT_MAILBOX_COMMAND	0		/* u16: 0 none, 1 wake up */
#define BOOT_MAILBOX_APIC_ID	4		/* u32 */
#define BOOT_MAILBOX_VECTOR	8		/* u64 */
#define BOOT_MAILBOX_WAKEUP	1

/**
 * boot_write - put everything a guest finds at its start into guest memory.
 * @memory, @size: guest memory, BOOT_MEMORY_MIN..BOOT_MEMORY_MAX; the boot area must be zero.
 * @vcpu_count: at least 1, and no more than fit into the tables.
 * @command_line: NULL for an empty one.
 * Returns 0, or -1 with one line in @why.
 */
int boot_write(uint8_t *memory, uint64_t size, uint32_t vcpu_count, const char *command_line,
	       char *why, size_t why_size);

/**
 * boot_vcpu - registers for the first instruction: 64-bit supervisor mode on
 * the start tables, RIP = @rip, RSI = @rsi, RSP = 0. After pvm_vcpu_reset().
 * Returns PVM_OK or what the engine refused with.
 */
int boot_vcpu(struct pvm_vcpu *vcpu, uint64_t rip, uint64_t rsi);

/**
 * boot_mailbox_poll - the firmware's side of the wakeup mailbox.
 * Takes a wakeup for @apic_id: clears the command and returns true with @vector.
 */
bool boot_mailbox_poll(uint8_t *memory, uint32_t apic_id, uint64_t *vector);

#endif /* FIRMWARE_BOOT_H */
