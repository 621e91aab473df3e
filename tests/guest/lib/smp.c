/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * RSDP -> XSDT -> MADT -> one x2APIC entry per CPU and the wakeup mailbox.
 */
#include "smp.h"

#include "boot.h"
#include "check.h"
#include "event.h"
#include "insn.h"
#include "interrupt.h"
#include "memory.h"
#include "paging.h"
#include "spinlock.h"
#include "user.h"

#define RSDP_XSDT	24
#define HEADER_LENGTH	4
#define HEADER_SIZE	36
#define MADT_ENTRIES	44
#define MADT_X2APIC	9
#define MADT_WAKEUP	0x10
#define X2APIC_ID	4
#define X2APIC_FLAGS	8
#define WAKEUP_MAILBOX	8
#define WAKEUP_COMMAND	1
#define START_TIMEOUT_MS 120000	/* only a hang reaches it */

struct mailbox {
	u16 command, reserved;
	u32 apic_id;
	u64 wakeup_vector;
};

extern char ap_start[];
struct cpu *ap_cpu;	/* entry.S reads it */

static u32 field32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 field64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static const u8 *find_madt(void)
{
	const u8 *rsdp = phys_to_virt(boot_params->acpi_rsdp_addr), *xsdt;

	if (!boot_params->acpi_rsdp_addr)
		return NULL;
	guest_assert(memcmp(rsdp, "RSD PTR ", 8) == 0);
	xsdt = phys_to_virt(field64(rsdp + RSDP_XSDT));
	guest_assert(memcmp(xsdt, "XSDT", 4) == 0);
	for (u32 at = HEADER_SIZE; at + 8 <= field32(xsdt + HEADER_LENGTH); at += 8) {
		const u8 *sdt = phys_to_virt(field64(xsdt + at));

		if (memcmp(sdt, "APIC", 4) == 0)
			return sdt;
	}
	return NULL;
}

/* The next MADT entry of @type after @at; NULL at the end. */
static const u8 *next_entry(const u8 *madt, const u8 *at, u8 type)
{
	const u8 *end = madt + field32(madt + HEADER_LENGTH);

	for (at = at ? at + at[1] : madt + MADT_ENTRIES; at + 2 <= end; at += at[1]) {
		guest_assert(at[1] >= 2);
		if (at[0] == type)
			return at;
	}
	return NULL;
}

u32 smp_count(void)
{
	const u8 *madt = find_madt(), *entry = NULL;
	u32 n = 0;

	while (madt && (entry = next_entry(madt, entry, MADT_X2APIC)))
		n += field32(entry + X2APIC_FLAGS) & 1;
	return n ? n : 1;
}

noreturn void ap_main(struct cpu *cpu)
{
	space_load(&boot_space, true);
	cpu_init(cpu);
	guest_assert(hc_wrmsr(MSR_STAR, (u64)user32_cs() << 48 | (u64)supervisor_cs << 32) == 0);
	atomic_set(&cpu->online, 1);
	cpu->run();
	for (;;)
		hc_irq_hlt();
}

static void start_one(volatile struct mailbox *mailbox, struct cpu *cpu, u32 id, void (*run)(void))
{
	cpu_prepare(cpu);
	cpu->run = run;
	ap_cpu = cpu;
	mailbox->apic_id = id;
	mailbox->wakeup_vector = virt_to_phys(ap_start);
	barrier();
	mailbox->command = WAKEUP_COMMAND;
	guest_assert(wait_for(&cpu->online, 1, START_TIMEOUT_MS));
}

u32 smp_start(void (*run)(void))
{
	const u8 *madt = find_madt(), *wakeup, *entry = NULL;
	volatile struct mailbox *mailbox;
	u32 started = 1;

	guest_assert(madt);
	wakeup = next_entry(madt, NULL, MADT_WAKEUP);
	guest_assert(wakeup);
	mailbox = phys_to_virt(field64(wakeup + WAKEUP_MAILBOX));
	while (started < MAX_CPUS && (entry = next_entry(madt, entry, MADT_X2APIC))) {
		u32 id = field32(entry + X2APIC_ID);

		if (id == this_cpu()->apic_id || !(field32(entry + X2APIC_FLAGS) & 1))
			continue;
		start_one(mailbox, &cpus[started], id, run);
		started++;
	}
	return started;
}
