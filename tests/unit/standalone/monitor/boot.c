/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What a guest finds at its start: boot_params, e820, ACPI, start tables, mailbox. */
#include <criterion/criterion.h>
#include <string.h>

#include "boot.h"
#include "fixture.h"
#include "memory.h"
#include "vm.h"

static struct guest_memory memory;
static char why[256];

static void setup(void)
{
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, 64 << 20, why, sizeof(why)), 0, "%s", why);
	cr_assert_eq(boot_write(memory.va, memory.size, 3, "quiet test=all", why, sizeof(why)), 0, "%s", why);
}

static void teardown(void)
{
	guest_memory_destroy(&memory);
}

TestSuite(boot, .init = setup, .fini = teardown);

static uint64_t get(uint64_t gpa, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, memory.va + gpa, bytes);
	return value;
}

static uint64_t param(unsigned offset, unsigned bytes)
{
	return get(BOOT_PARAMS + offset, bytes);
}

/* The entry of the start tables that maps @gpa, as a 2 MiB page. */
static uint64_t start_entry(uint64_t gpa)
{
	uint64_t table = get(BOOT_TABLES + 8 * PVM_LEVEL_INDEX(gpa, 4), 8) & PVM_PTE_ADDR_MASK;

	table = get(table + 8 * PVM_LEVEL_INDEX(gpa, 3), 8) & PVM_PTE_ADDR_MASK;
	return get(table + 8 * PVM_LEVEL_INDEX(gpa, 2), 8);
}

Test(boot, the_header_is_linux)
{
	cr_assert_eq(param(BOOT_PARAMS_BOOT_FLAG, 2), 0xaa55);
	cr_assert_eq(memcmp(memory.va + BOOT_PARAMS + BOOT_PARAMS_HEADER, "HdrS", 4), 0);
	cr_assert_geq(param(BOOT_PARAMS_VERSION, 2), 0x020c);
}

Test(boot, the_command_line_is_where_the_header_says)
{
	cr_assert_str_eq((char *)memory.va + param(BOOT_PARAMS_CMD_LINE, 4), "quiet test=all");
}

Test(boot, a_command_line_that_is_too_long_is_refused)
{
	char line[BOOT_COMMAND_LINE_MAX + 2];

	memset(line, 'x', sizeof(line));
	line[BOOT_COMMAND_LINE_MAX + 1] = 0;
	cr_assert_eq(boot_write(memory.va, memory.size, 1, line, why, sizeof(why)), -1);
	cr_assert(strstr(why, "command line"));
	line[BOOT_COMMAND_LINE_MAX] = 0;
	cr_assert_eq(boot_write(memory.va, memory.size, 1, line, why, sizeof(why)), 0);
}

Test(boot, e820_covers_memory_without_gaps_and_reserves_the_boot_area)
{
	uint64_t next = 0, entries = param(BOOT_PARAMS_E820_ENTRIES, 1), i;

	cr_assert_eq(entries, 3);
	for (i = 0; i < entries; i++) {
		unsigned entry = (unsigned)(BOOT_PARAMS_E820_TABLE + i * BOOT_E820_ENTRY_SIZE);

		cr_assert_eq(param(entry, 8), next);
		next += param(entry + 8, 8);
		cr_assert_eq(param(entry + 16, 4), i == 1 ? BOOT_E820_RESERVED : BOOT_E820_RAM);
	}
	cr_assert_eq(next, memory.size);
	cr_assert_eq(param(BOOT_PARAMS_E820_TABLE + BOOT_E820_ENTRY_SIZE, 8), BOOT_AREA_START);
}

Test(boot, the_smallest_memory_has_no_entry_after_the_boot_area)
{
	guest_memory_destroy(&memory);
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, 1 << 20, why, sizeof(why)), 0);
	cr_assert_eq(boot_write(memory.va, memory.size, 1, NULL, why, sizeof(why)), 0);
	cr_assert_eq(param(BOOT_PARAMS_E820_ENTRIES, 1), 2);
}

Test(boot, start_tables_map_memory_to_itself)
{
	uint64_t gpa;

	for (gpa = 0; gpa < memory.size; gpa += PVM_LEVEL_SIZE(2))
		cr_assert_eq(start_entry(gpa),
			     gpa | PVM_PTE_P | PVM_PTE_W | PVM_PTE_PS);
	cr_assert_eq(start_entry(memory.size) & PVM_PTE_P, 0);
}

Test(boot, start_tables_reach_the_end_of_the_largest_memory)
{
	guest_memory_destroy(&memory);
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, GUEST_MEMORY_MAX, why, sizeof(why)), 0);
	cr_assert_eq(boot_write(memory.va, memory.size, MONITOR_MAX_VCPUS, NULL, why, sizeof(why)), 0);
	cr_assert_eq(start_entry(GUEST_MEMORY_MAX - 1) & PVM_PTE_ADDR_MASK,
		     GUEST_MEMORY_MAX - PVM_LEVEL_SIZE(2));
	cr_assert_eq(get(BOOT_TABLES_END, 8), 0, "the tables grew over their end");
}

static uint8_t sum(uint64_t gpa, uint64_t length)
{
	uint8_t total = 0;
	uint64_t i;

	for (i = 0; i < length; i++)
		total = (uint8_t)(total + memory.va[gpa + i]);
	return total;
}

/* The MADT, by way of RSDP and XSDT, with each checksum. */
static uint64_t find_madt(void)
{
	uint64_t rsdp = param(BOOT_PARAMS_ACPI_RSDP, 8), xsdt, madt;

	cr_assert_eq(memcmp(memory.va + rsdp, "RSD PTR ", 8), 0);
	cr_assert_eq(sum(rsdp, 20), 0);
	cr_assert_eq(sum(rsdp, 36), 0);
	xsdt = get(rsdp + 24, 8);
	cr_assert_eq(memcmp(memory.va + xsdt, "XSDT", 4), 0);
	cr_assert_eq(get(xsdt + 4, 4), 44);
	cr_assert_eq(sum(xsdt, 44), 0);
	madt = get(xsdt + 36, 8);
	cr_assert_eq(memcmp(memory.va + madt, "APIC", 4), 0);
	cr_assert_eq(sum(madt, get(madt + 4, 4)), 0);
	return madt;
}

Test(boot, acpi_lists_every_vcpu_and_the_mailbox)
{
	uint64_t madt = find_madt(), at = madt + 44, end = madt + get(madt + 4, 4), mailbox = 0;
	unsigned cpus = 0;

	for (; at < end; at += memory.va[at + 1]) {
		cr_assert_gt(memory.va[at + 1], 0);
		if (memory.va[at] == 9) {
			cr_assert_eq(get(at + 4, 4), cpus, "x2APIC id");
			cr_assert_eq(get(at + 8, 4), 1, "enabled");
			cpus++;
		} else if (memory.va[at] == 0x10) {
			mailbox = get(at + 8, 8);
		}
	}
	cr_assert_eq(at, end);
	cr_assert_eq(cpus, 3);
	cr_assert_eq(mailbox, BOOT_MAILBOX);
}

Test(boot, the_mailbox_wakes_only_the_addressed_vcpu_and_once)
{
	uint64_t vector = 0;
	uint16_t command = BOOT_MAILBOX_WAKEUP;
	uint32_t id = 2;
	uint64_t entry = 0x1234000;

	cr_assert_not(boot_mailbox_poll(memory.va, 2, &vector));
	memcpy(memory.va + BOOT_MAILBOX + BOOT_MAILBOX_APIC_ID, &id, 4);
	memcpy(memory.va + BOOT_MAILBOX + BOOT_MAILBOX_VECTOR, &entry, 8);
	memcpy(memory.va + BOOT_MAILBOX + BOOT_MAILBOX_COMMAND, &command, 2);
	cr_assert_not(boot_mailbox_poll(memory.va, 1, &vector));
	cr_assert(boot_mailbox_poll(memory.va, 2, &vector));
	cr_assert_eq(vector, entry);
	cr_assert_eq(get(BOOT_MAILBOX + BOOT_MAILBOX_COMMAND, 2), 0, "the command is acknowledged");
	cr_assert_not(boot_mailbox_poll(memory.va, 2, &vector));
}

Test(boot, a_vcpu_starts_in_supervisor_mode_on_the_start_tables)
{
	struct fixture f;

	fixture_init(&f);
	cr_assert_eq(boot_vcpu(&f.vcpu[0], 0x1000000, BOOT_PARAMS), PVM_OK);
	cr_assert_eq(f.vcpu[0].rip, 0x1000000);
	cr_assert_eq(f.vcpu[0].gpr[PVM_RSI], BOOT_PARAMS);
	cr_assert_eq(f.vcpu[0].gpr[PVM_RSP], 0);
	cr_assert_eq(f.vcpu[0].cr3, BOOT_TABLES);
	cr_assert_eq(f.vcpu[0].msr.switch_cr3, BOOT_TABLES);
	cr_assert_eq(pvm_vcpu_mode(&f.vcpu[0]), PVM_MODE_SUPERVISOR);
	cr_assert(f.vcpu[0].rflags & PVM_RFLAGS_IF, "the underlying IF");
	fixture_fini(&f);
}
