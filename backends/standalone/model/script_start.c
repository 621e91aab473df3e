/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* How a script starts another vCPU: as a guest does, by walking ACPI's tables
 * to the multiprocessor wakeup mailbox (ACPI 6.4, 5.2.12.19). It must never
 * trust an offset that it reads. */
#include "script.h"

#include <string.h>

#define BOOT_DATA_START	0x80000u
#define BOOT_DATA_END	0xa0000u
#define RSDP_ALIGN	16
#define RSDP_XSDT	24	/* offset of the XSDT's address */
#define TABLE_LENGTH	4
#define TABLE_HEADER	36
#define MADT_ENTRIES	44
#define MADT_WAKEUP	0x10
#define WAKEUP_MAILBOX	8	/* offset in the structure */
#define MAILBOX_APIC_ID	4
#define MAILBOX_VECTOR	8
#define MAILBOX_COMMAND	0
#define COMMAND_WAKEUP	1

/* @size bytes at @gpa; 0 where memory ends. */
static uint64_t field(const struct script_machine *m, uint64_t gpa, unsigned size)
{
	uint64_t value = 0;

	if (gpa < m->memory_size && m->memory_size - gpa >= size)
		memcpy(&value, m->memory + gpa, size);
	return value;
}

static bool signature(const struct script_machine *m, uint64_t gpa, const char *text)
{
	size_t length = strlen(text);

	return gpa < m->memory_size && m->memory_size - gpa >= length &&
	       memcmp(m->memory + gpa, text, length) == 0;
}

static uint64_t find_xsdt(const struct script_machine *m)
{
	uint64_t gpa;

	for (gpa = BOOT_DATA_START; gpa < BOOT_DATA_END; gpa += RSDP_ALIGN)
		if (signature(m, gpa, "RSD PTR "))
			return field(m, gpa + RSDP_XSDT, 8);
	return 0;
}

static uint64_t find_madt(const struct script_machine *m)
{
	uint64_t xsdt = find_xsdt(m), length = field(m, xsdt + TABLE_LENGTH, 4), at;

	if (!xsdt || !signature(m, xsdt, "XSDT"))
		return 0;
	for (at = TABLE_HEADER; at + 8 <= length; at += 8)
		if (signature(m, field(m, xsdt + at, 8), "APIC"))
			return field(m, xsdt + at, 8);
	return 0;
}

static uint64_t find_mailbox(const struct script_machine *m)
{
	uint64_t madt = find_madt(m), length = field(m, madt + TABLE_LENGTH, 4), at, size;

	for (at = MADT_ENTRIES; madt && at + 2 <= length; at += size) {
		size = field(m, madt + at + 1, 1);
		if (size < 2)
			return 0;
		if (field(m, madt + at, 1) == MADT_WAKEUP)
			return field(m, madt + at + WAKEUP_MAILBOX, 8);
	}
	return 0;
}

bool script_start_vcpu(struct script *script, const struct script_line *line, uint32_t apic_id,
		       uint64_t rip)
{
	const struct script_machine *m = &script->machine;
	uint64_t mailbox = find_mailbox(m);
	uint16_t command = COMMAND_WAKEUP;

	if (!mailbox || mailbox >= m->memory_size || m->memory_size - mailbox < PVM_PAGE_SIZE)
		return script_fail(script, line, "the VM has no wakeup mailbox for vCPU %u", apic_id) !=
		       SCRIPT_FAIL;
	memcpy(m->memory + mailbox + MAILBOX_APIC_ID, &apic_id, sizeof(apic_id));
	memcpy(m->memory + mailbox + MAILBOX_VECTOR, &rip, sizeof(rip));
	__atomic_store_n((uint16_t *)(void *)(m->memory + mailbox + MAILBOX_COMMAND), command,
			 __ATOMIC_RELEASE);
	return true;
}
