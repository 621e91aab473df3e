/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* ACPI tables: RSDP, XSDT and MADT, enough to find the CPUs and to start them. */
#ifndef FIRMWARE_ACPI_H
#define FIRMWARE_ACPI_H

#include <stdint.h>

/**
 * acpi_write - build the tables.
 * @at: where they go in the host; @gpa: where that is for the guest.
 * @mailbox: gpa of the multiprocessor wakeup mailbox.
 * @vcpu_count: Local x2APIC entries with ids 0..vcpu_count-1.
 * The RSDP is at @gpa itself. Returns the bytes used.
 */
uint32_t acpi_write(uint8_t *at, uint64_t gpa, uint64_t mailbox, uint32_t vcpu_count);

/* What acpi_write() will use, bytes. */
uint32_t acpi_size(uint32_t vcpu_count);

#endif /* FIRMWARE_ACPI_H */
