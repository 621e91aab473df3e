/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The contents of a CPU's tables: IDT, GDT, TSS, made from the host's. Touches no register
 * of the CPU, so that a test can bring a host's tables of its own.
 *
 * The switcher's TSS has the host's IST stacks where the host's has them, and its own
 * where the host has none. So it may stay loaded while the host runs: whichever IDT
 * an NMI finds, its stack is that of its handler (S12). For the same reason the
 * switcher's GDT has the host's selectors.
 */
#include <pvm/x86.h>

#include "switcher/area.h"

#define IST_ENTRIES		7
#define VEC_VC			29	/* AMD's VMM communication exception. APM vol. 2, 8.2.25 */
#define TSS_LIMIT		(sizeof(struct switcher_tss) - 1)
#define DESC_TSS_AVAILABLE	0x89ull		/* SDM vol. 3, 3.5 and 8.2.3 */
#define DESC_CODE64		0x00af9b000000ffffull
#define DESC_DATA		0x00cf93000000ffffull
#define DESC_CODE32		0x00cf9b000000ffffull
#define DESC_DPL3		(3ull << 45)
#define GATE_INTERRUPT		0x8e		/* present, DPL 0, 64-bit interrupt gate */
#define GATE_DPL3		0x60

static uint64_t *gdt_entry(struct pvm_switcher_cpu *cpu, uint16_t selector)
{
	return &cpu->gdt[selector >> 3];
}

void pvm_switcher_set_tss_descriptor(struct pvm_switcher_cpu *cpu)
{
	uint64_t base = pvm_switcher_alias(cpu, &cpu->tss);
	uint64_t *entry = gdt_entry(cpu, cpu->switcher->config.tss_sel);

	entry[0] = TSS_LIMIT | (base & 0xffffff) << 16 | DESC_TSS_AVAILABLE << 40 |
		   (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
}

static void set_gdt(struct pvm_switcher_cpu *cpu, const uint64_t *host_gdt)
{
	const struct pvm_switcher_config *config = &cpu->switcher->config;

	*gdt_entry(cpu, config->host_cs) = DESC_CODE64;
	*gdt_entry(cpu, config->host_ss) = DESC_DATA;
	*gdt_entry(cpu, config->user32_cs) = DESC_CODE32 | DESC_DPL3;
	*gdt_entry(cpu, config->user_ds) = DESC_DATA | DESC_DPL3;
	*gdt_entry(cpu, config->user_cs) = DESC_CODE64 | DESC_DPL3;
	if (config->cpunode_sel) {
		cpu->cpunode = host_gdt[config->cpunode_sel >> 3];
		cpu->cpunode_at = pvm_switcher_alias(cpu, gdt_entry(cpu, config->cpunode_sel));
		*gdt_entry(cpu, config->cpunode_sel) = cpu->cpunode;
	}
	pvm_switcher_set_tss_descriptor(cpu);
	if (config->ldt_sel)
		pvm_switcher_set_spare_ldt(cpu);
	cpu->gdtr.limit = sizeof(cpu->gdt) - 1;
	cpu->gdtr.base = pvm_switcher_alias(cpu, cpu->gdt);
}

static void set_gate(struct pvm_switcher_cpu *cpu, unsigned vector, const char *handler, unsigned ist)
{
	uint64_t address = pvm_switcher_alias(cpu, handler);
	bool dpl3 = vector == PVM_VEC_BP || vector == PVM_VEC_OF || vector == PVM_VEC_SYSCALL32;

	cpu->idt[vector] = (struct switcher_gate){
		.offset0 = (uint16_t)address,
		.selector = cpu->switcher->config.host_cs,
		.ist = (uint8_t)ist,
		.type = GATE_INTERRUPT | (dpl3 ? GATE_DPL3 : 0),
		.offset1 = (uint16_t)(address >> 16),
		.offset2 = (uint32_t)(address >> 32),
	};
}

static void set_idt(struct pvm_switcher_cpu *cpu, const uint8_t ist[3])
{
	unsigned vector;

	for (vector = 0; vector < 256; vector++)
		set_gate(cpu, vector, pvm_switcher_stubs + vector * SWITCHER_STUB_SIZE, 0);
	set_gate(cpu, PVM_VEC_NMI, pvm_switcher_nmi, ist[0]);		/* S12: good stacks */
	set_gate(cpu, PVM_VEC_DB, pvm_switcher_db, ist[1]);
	set_gate(cpu, PVM_VEC_MC, pvm_switcher_mc, ist[2]);
	set_gate(cpu, PVM_VEC_DF, pvm_switcher_df, ist[2]);
	cpu->idtr.limit = sizeof(cpu->idt) - 1;
	cpu->idtr.base = pvm_switcher_alias(cpu, cpu->idt);
}

/* IST entries that a gate of the host's names, as bits. Linux's gate of #VC names one everywhere,
 * and it comes in SEV-ES guests only, which are refused as hosts (S9): its entry is free. */
static unsigned host_ists(const struct switcher_dtr *idtr)
{
	const struct switcher_gate *gate = (const struct switcher_gate *)(uintptr_t)idtr->base;
	unsigned vector, used = 0;

	for (vector = 0; vector < 256 && (vector + 1) * sizeof(*gate) <= idtr->limit + 1u; vector++)
		if (vector != VEC_VC)
			used |= 1u << (gate[vector].ist & 7);
	return used;
}

/* The host's IST stacks stay where they are; ours take the first three free places. */
static bool set_tss(struct pvm_switcher_cpu *cpu, const struct switcher_tss *host_tss, unsigned used,
		    uint8_t ist[3])
{
	uint8_t *const stacks[3] = { cpu->nmi_stack, cpu->db_stack, cpu->mc_stack };
	unsigned i, ours = 0;

	cpu->tss.rsp[0] = pvm_switcher_alias(cpu, &cpu->frame + 1);
	cpu->tss.io_bitmap = sizeof(cpu->tss);	/* no I/O port is the guest's */
	for (i = 0; i < IST_ENTRIES; i++) {
		cpu->tss.ist[i] = host_tss ? host_tss->ist[i] : 0;
		if ((used >> (i + 1) & 1) || ours == 3)
			continue;
		cpu->tss.ist[i] = pvm_switcher_alias(cpu, stacks[ours] + sizeof(cpu->nmi_stack));
		ist[ours++] = (uint8_t)(i + 1);
	}
	return ours == 3;
}

static const struct switcher_tss *host_tss(const struct switcher_host_tables *host)
{
	uint16_t selector = host->tr & ~7u;
	const uint64_t *entry = (const uint64_t *)(uintptr_t)(host->gdtr.base + selector);

	if (!selector)
		return NULL;
	return (const struct switcher_tss *)(uintptr_t)((entry[0] >> 16 & 0xffffff) |
							(entry[0] >> 56) << 24 | entry[1] << 32);
}

int pvm_switcher_make_tables(struct pvm_switcher_cpu *cpu, const struct switcher_host_tables *host,
			     const char **why)
{
	uint8_t ist[3];

	if (!set_tss(cpu, host_tss(host), host_ists(&host->idtr), ist)) {
		*why = "the host's TSS has no three free IST entries";
		return PVM_ENOSYS;
	}
	set_gdt(cpu, (const uint64_t *)(uintptr_t)host->gdtr.base);
	set_idt(cpu, ist);
	return PVM_OK;
}

const char *pvm_switcher_bad_area(const struct pvm_switcher *switcher, const void *area, uint32_t id)
{
	unsigned shift = PVM_LEVEL_SHIFT(4);

	if (id >= switcher->cpu_count)
		return "the CPU's number is not below cpu_count";
	if ((uintptr_t)area & (PVM_SWITCHER_AREA_SIZE - 1))
		return "the area is not aligned to its size";
	if ((uintptr_t)area >> shift != (uintptr_t)pvm_switcher_text_start >> shift)
		return "the area is not in the 512 GiB around the switcher's text";
	return NULL;
}
