/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The boot protocol. Writes the boot area once, before the first vCPU runs;
 * afterwards only the mailbox is looked at.
 */
#include "boot.h"

#include <stdio.h>
#include <string.h>

#include "acpi.h"

_Static_assert(BOOT_TABLES + (2 + (BOOT_MEMORY_MAX >> 30)) * PVM_PAGE_SIZE <= BOOT_TABLES_END,
	       "the start tables reach all of the largest guest");

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

static void add_e820(uint8_t *params, uint64_t start, uint64_t end, uint32_t type)
{
	uint8_t *entry = params + BOOT_PARAMS_E820_TABLE +
			 params[BOOT_PARAMS_E820_ENTRIES] * BOOT_E820_ENTRY_SIZE;

	put(entry, start, 8);
	put(entry + 8, end - start, 8);
	put(entry + 16, type, 4);
	params[BOOT_PARAMS_E820_ENTRIES]++;
}

static void write_params(uint8_t *params, uint64_t memory_size)
{
	put(params + BOOT_PARAMS_ACPI_RSDP, BOOT_ACPI, 8);
	put(params + BOOT_PARAMS_BOOT_FLAG, 0xaa55, 2);
	memcpy(params + BOOT_PARAMS_HEADER, "HdrS", 4);
	put(params + BOOT_PARAMS_VERSION, 0x020f, 2);
	params[BOOT_PARAMS_LOADER] = 0xff;	/* an unregistered loader */
	params[BOOT_PARAMS_LOADFLAGS] = 1;	/* loaded high */
	put(params + BOOT_PARAMS_CMD_LINE, BOOT_COMMAND_LINE, 4);
	put(params + BOOT_PARAMS_CMD_LINE_MAX, BOOT_COMMAND_LINE_MAX, 4);
	add_e820(params, 0, BOOT_AREA_START, BOOT_E820_RAM);
	add_e820(params, BOOT_AREA_START, BOOT_AREA_END, BOOT_E820_RESERVED);
	if (memory_size > BOOT_AREA_END)
		add_e820(params, BOOT_AREA_END, memory_size, BOOT_E820_RAM);
}

/* Linear = physical for all of memory, in 2 MiB pages. */
static void write_tables(uint8_t *tables, uint64_t memory_size)
{
	const uint64_t flags = PVM_PTE_P | PVM_PTE_W;	/* the supervisor's pages: SMEP */
	uint64_t gpa;

	put(tables, (BOOT_TABLES + PVM_PAGE_SIZE) | flags, 8);
	for (gpa = 0; gpa < memory_size; gpa += PVM_LEVEL_SIZE(2)) {
		uint64_t directory = 2 + PVM_LEVEL_INDEX(gpa, 3);

		put(tables + PVM_PAGE_SIZE + 8 * PVM_LEVEL_INDEX(gpa, 3),
		    (BOOT_TABLES + directory * PVM_PAGE_SIZE) | flags, 8);
		put(tables + directory * PVM_PAGE_SIZE + 8 * PVM_LEVEL_INDEX(gpa, 2),
		    gpa | flags | PVM_PTE_PS, 8);
	}
}

int boot_write(uint8_t *memory, uint64_t size, uint32_t vcpu_count, const char *command_line,
	       char *why, size_t why_size)
{
	size_t length = command_line ? strlen(command_line) : 0;

	if (length > BOOT_COMMAND_LINE_MAX) {
		snprintf(why, why_size,
			 "the guest's command line has %zu characters; at most %d fit", length,
			 BOOT_COMMAND_LINE_MAX);
		return -1;
	}
	if (acpi_size(vcpu_count) > BOOT_ACPI_END - BOOT_ACPI) {
		snprintf(why, why_size, "%u vCPUs do not fit into the ACPI tables", vcpu_count);
		return -1;
	}
	write_params(memory + BOOT_PARAMS, size);
	if (length)
		memcpy(memory + BOOT_COMMAND_LINE, command_line, length);
	acpi_write(memory + BOOT_ACPI, BOOT_ACPI, BOOT_MAILBOX, vcpu_count);
	write_tables(memory + BOOT_TABLES, size);
	return 0;
}

int boot_vcpu(struct pvm_vcpu *vcpu, uint64_t rip, uint64_t rsi)
{
	int error = pvm_cr_write(vcpu, 3, BOOT_TABLES);
	uint64_t ignored;

	/* User mode's table, where the guest's ABI has one of its own. */
	if (!error && !pvm_msr_read(vcpu, MSR_PVM_SWITCH_CR3, &ignored))
		error = pvm_msr_write(vcpu, MSR_PVM_SWITCH_CR3, BOOT_TABLES);
	vcpu->rip = rip;
	vcpu->gpr[PVM_RSI] = rsi;
	vcpu->gpr[PVM_RDI] = 0;
	vcpu->gpr[PVM_RSP] = 0;
	return error;
}

bool boot_mailbox_poll(uint8_t *memory, uint32_t apic_id, uint64_t *vector)
{
	uint8_t *mailbox = memory + BOOT_MAILBOX;
	uint16_t *command = (uint16_t *)(mailbox + BOOT_MAILBOX_COMMAND);
	uint32_t *id = (uint32_t *)(mailbox + BOOT_MAILBOX_APIC_ID);
	uint64_t *entry = (uint64_t *)(mailbox + BOOT_MAILBOX_VECTOR);

	if (__atomic_load_n(command, __ATOMIC_ACQUIRE) != BOOT_MAILBOX_WAKEUP ||
	    __atomic_load_n(id, __ATOMIC_RELAXED) != apic_id)
		return false;
	*vector = __atomic_load_n(entry, __ATOMIC_RELAXED);
	__atomic_store_n(command, 0, __ATOMIC_RELEASE);
	return true;
}
