/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * ACPI tables (ACPI 6.4, 5.2.5 RSDP, 5.2.8 XSDT, 5.2.12 MADT). Writes bytes and
 * sums; must not know where guest memory is.
 */
#include "acpi.h"

#include <stddef.h>
#include <string.h>

#define RSDP_SIZE	36
#define HEADER_SIZE	36
#define XSDT_OFFSET	64
#define XSDT_SIZE	(HEADER_SIZE + 8)
#define MADT_OFFSET	128
#define MADT_FIXED	(HEADER_SIZE + 8)
#define MADT_X2APIC	9
#define MADT_X2APIC_SIZE 16
#define MADT_WAKEUP	0x10
#define MADT_WAKEUP_SIZE 16
#define X2APIC_ENABLED	1
#define LOCAL_APIC_ADDRESS 0xfee00000u

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

static void set_checksum(uint8_t *table, uint32_t length, size_t where)
{
	uint8_t sum = 0;
	uint32_t i;

	table[where] = 0;
	for (i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	table[where] = (uint8_t)-sum;
}

static void write_header(uint8_t *table, const char *signature, uint32_t length, uint8_t revision)
{
	memcpy(table, signature, 4);
	put(table + 4, length, 4);
	table[8] = revision;
	memcpy(table + 10, "LIBPVM", 6);
	memcpy(table + 16, "STANDALN", 8);
	put(table + 24, 1, 4);
	memcpy(table + 28, "PVM ", 4);
	put(table + 32, 1, 4);
}

static void write_rsdp(uint8_t *rsdp, uint64_t xsdt)
{
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "LIBPVM", 6);
	rsdp[15] = 2;
	put(rsdp + 20, RSDP_SIZE, 4);
	put(rsdp + 24, xsdt, 8);
	set_checksum(rsdp, 20, 8);
	set_checksum(rsdp, RSDP_SIZE, 32);
}

static uint32_t madt_size(uint32_t vcpu_count)
{
	return MADT_FIXED + vcpu_count * MADT_X2APIC_SIZE + MADT_WAKEUP_SIZE;
}

static void write_madt(uint8_t *madt, uint64_t mailbox, uint32_t vcpu_count)
{
	uint8_t *entry = madt + MADT_FIXED;
	uint32_t id;

	write_header(madt, "APIC", madt_size(vcpu_count), 5);
	put(madt + HEADER_SIZE, LOCAL_APIC_ADDRESS, 4);
	for (id = 0; id < vcpu_count; id++, entry += MADT_X2APIC_SIZE) {
		entry[0] = MADT_X2APIC;
		entry[1] = MADT_X2APIC_SIZE;
		put(entry + 4, id, 4);
		put(entry + 8, X2APIC_ENABLED, 4);
		put(entry + 12, id, 4);
	}
	entry[0] = MADT_WAKEUP;
	entry[1] = MADT_WAKEUP_SIZE;
	put(entry + 8, mailbox, 8);
	set_checksum(madt, madt_size(vcpu_count), 9);
}

uint32_t acpi_size(uint32_t vcpu_count)
{
	return MADT_OFFSET + madt_size(vcpu_count);
}

uint32_t acpi_write(uint8_t *at, uint64_t gpa, uint64_t mailbox, uint32_t vcpu_count)
{
	write_rsdp(at, gpa + XSDT_OFFSET);
	write_header(at + XSDT_OFFSET, "XSDT", XSDT_SIZE, 1);
	put(at + XSDT_OFFSET + HEADER_SIZE, gpa + MADT_OFFSET, 8);
	set_checksum(at + XSDT_OFFSET, XSDT_SIZE, 9);
	write_madt(at + MADT_OFFSET, mailbox, vcpu_count);
	return acpi_size(vcpu_count);
}
