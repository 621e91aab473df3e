/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* CPUs by the MADT (ACPI 6.4, 5.2.12), started one after the other by INIT and SIPI. */
#include "smp.h"

#include "apic.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"

#define BIOS_AREA	0xe0000ull
#define BIOS_AREA_END	0x100000ull
#define RSDT_OFFSET	16
#define HEADER_SIZE	36
#define MADT_ENTRIES	44
#define MADT_LOCAL_APIC	0
#define START_TIMEOUT	30000000000ull	/* ns; machines may be emulated, and busy */

extern const uint8_t ap_trampoline[], ap_trampoline_end[];
extern uint64_t ap_stack, ap_cpu;
void ap_main(struct cpu *cpu);

static void (*ap_function)(struct cpu *cpu);

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void read_madt(const uint8_t *madt)
{
	const uint8_t *at, *end = madt + word(madt + 4);
	uint32_t boot_id = apic_id();

	for (at = madt + MADT_ENTRIES; at < end && at[1]; at += at[1]) {
		if (at[0] != MADT_LOCAL_APIC || !(at[4] & 1) || at[3] == boot_id)
			continue;
		if (cpu_count == MAX_CPUS)
			fail("more than %d CPUs", MAX_CPUS);
		cpus[cpu_count++].apic_id = at[3];
	}
}

void smp_find(void)
{
	const uint8_t *at = phys_to_virt(BIOS_AREA), *end = phys_to_virt(BIOS_AREA_END);
	const uint8_t *rsdt, *entry, *table;

	cpus[0].apic_id = apic_id();
	cpu_count = 1;
	while (at < end && memcmp(at, "RSD PTR ", 8))
		at += 16;
	if (at == end)
		return;
	rsdt = phys_to_virt(word(at + RSDT_OFFSET));
	for (entry = rsdt + HEADER_SIZE; entry < rsdt + word(rsdt + 4); entry += 4) {
		table = phys_to_virt(word(entry));
		if (!memcmp(table, "APIC", 4))
			read_madt(table);
	}
}

/* From boot.S, on the CPU's own stack and the boot page tables. */
void ap_main(struct cpu *cpu)
{
	memory_init_cpu();
	cpu_init(cpu);
	apic_init_cpu();
	__atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
	ap_function(cpu);
	fail("CPU %u has nothing to do", cpu->index);
}

void smp_start(void (*main)(struct cpu *cpu))
{
	uint32_t i;

	ap_function = main;
	cpus[0].online = true;
	memcpy(phys_to_virt(AP_TRAMPOLINE), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	for (i = 1; i < cpu_count; i++) {
		struct cpu *cpu = &cpus[i];
		uint64_t until = clock_now() + START_TIMEOUT;

		cpu->index = i;
		ap_stack = (uint64_t)cpu->stack + sizeof(cpu->stack);
		ap_cpu = (uint64_t)cpu;
		apic_start(cpu->apic_id, AP_TRAMPOLINE >> 12);
		while (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
			if (clock_now() > until)
				fail("CPU %u (APIC %u) does not start", i, cpu->apic_id);
	}
}
