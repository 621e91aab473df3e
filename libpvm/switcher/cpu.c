/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A CPU's tables - IDT, GDT, TSS - and its way into the switcher's hands and out of
 * them: what is swapped per stretch of running guests, not per world switch.
 *
 * The switcher's TSS has the host's IST stacks where the host's has them, and its own
 * where the host has none. So it may stay loaded while the host runs: whichever IDT
 * an NMI finds, its stack is that of its handler (S12). For the same reason the
 * switcher's GDT has the host's selectors.
 */
#include <pvm/x86.h>

#include "switcher/area.h"
#include "switcher/hw.h"

#define IST_ENTRIES		7
#define TSS_LIMIT		(sizeof(struct switcher_tss) - 1)
#define DESC_TSS_AVAILABLE	0x89ull		/* SDM vol. 3, 3.5 and 8.2.3 */
#define DESC_TSS_BUSY		(2ull << 40)
#define DESC_CODE64		0x00af9b000000ffffull
#define DESC_DATA		0x00cf93000000ffffull
#define DESC_CODE32		0x00cf9b000000ffffull
#define DESC_DPL3		(3ull << 45)
#define GATE_INTERRUPT		0x8e		/* present, DPL 0, 64-bit interrupt gate */
#define GATE_DPL3		0x60
#define STAR_SYSCALL_SHIFT	32
#define STAR_SYSRET_SHIFT	48
/* Nothing of the guest's RFLAGS is left at a SYSCALL, but for bit 1. */
#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f7fd5)

static uint64_t *gdt_entry(struct pvm_switcher_cpu *cpu, uint16_t selector)
{
	return &cpu->gdt[selector >> 3];
}

static void set_tss_descriptor(struct pvm_switcher_cpu *cpu)
{
	uint64_t base = (uint64_t)(uintptr_t)&cpu->tss;
	uint64_t *entry = gdt_entry(cpu, cpu->switcher->config.tss_sel);

	entry[0] = TSS_LIMIT | (base & 0xffffff) << 16 | DESC_TSS_AVAILABLE << 40 |
		   (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
}

/* Does the entry pair of the TSS overlap another entry? */
static bool tss_overlaps(const struct pvm_switcher_config *config)
{
	const uint16_t others[] = { config->host_cs, config->host_ss, config->user32_cs,
				    config->user_ds, config->user_cs, config->cpunode_sel,
				    (uint16_t)(config->tls_index << 3),
				    (uint16_t)((config->tls_index + 1) << 3),
				    (uint16_t)((config->tls_index + 2) << 3) };
	unsigned i, tss = config->tss_sel >> 3;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i] >> 3 == (int)tss || others[i] >> 3 == (int)tss + 1)
			return true;
	return false;
}

static void set_gdt(struct pvm_switcher_cpu *cpu, const uint64_t *host_gdt)
{
	const struct pvm_switcher_config *config = &cpu->switcher->config;

	*gdt_entry(cpu, config->host_cs) = DESC_CODE64;
	*gdt_entry(cpu, config->host_ss) = DESC_DATA;
	*gdt_entry(cpu, config->user32_cs) = DESC_CODE32 | DESC_DPL3;
	*gdt_entry(cpu, config->user_ds) = DESC_DATA | DESC_DPL3;
	*gdt_entry(cpu, config->user_cs) = DESC_CODE64 | DESC_DPL3;
	if (config->cpunode_sel)
		*gdt_entry(cpu, config->cpunode_sel) = host_gdt[config->cpunode_sel >> 3];
	set_tss_descriptor(cpu);
	cpu->gdtr.limit = sizeof(cpu->gdt) - 1;
	cpu->gdtr.base = (uint64_t)(uintptr_t)cpu->gdt;
}

static void set_gate(struct pvm_switcher_cpu *cpu, unsigned vector, const char *handler, unsigned ist)
{
	uint64_t address = (uint64_t)(uintptr_t)handler;
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
	cpu->idtr.base = (uint64_t)(uintptr_t)cpu->idt;
}

/* IST entries that a gate of the host's names, as bits. */
static unsigned host_ists(void)
{
	const struct switcher_gate *gate;
	struct switcher_dtr idtr;
	unsigned vector, used = 0;

	hw_sidt(&idtr);
	gate = (const struct switcher_gate *)(uintptr_t)idtr.base;
	for (vector = 0; vector < 256 && (vector + 1) * sizeof(*gate) <= idtr.limit + 1u; vector++)
		used |= 1u << (gate[vector].ist & 7);
	return used;
}

/* The host's IST stacks stay where they are; ours take the first three free places. */
static bool set_tss(struct pvm_switcher_cpu *cpu, const struct switcher_tss *host_tss, uint8_t ist[3])
{
	uint8_t *const stacks[3] = { cpu->nmi_stack, cpu->db_stack, cpu->mc_stack };
	unsigned i, ours = 0, used = host_ists();

	cpu->tss.rsp[0] = (uint64_t)(uintptr_t)(&cpu->frame + 1);
	cpu->tss.io_bitmap = sizeof(cpu->tss);	/* no I/O port is the guest's */
	for (i = 0; i < IST_ENTRIES; i++) {
		cpu->tss.ist[i] = host_tss ? host_tss->ist[i] : 0;
		if ((used >> (i + 1) & 1) || ours == 3)
			continue;
		cpu->tss.ist[i] = (uint64_t)(uintptr_t)(stacks[ours] + sizeof(cpu->nmi_stack));
		ist[ours++] = (uint8_t)(i + 1);
	}
	return ours == 3;
}

static const struct switcher_tss *host_tss(const struct switcher_dtr *gdtr)
{
	uint16_t selector = hw_str() & ~7u;
	const uint64_t *entry = (const uint64_t *)(uintptr_t)(gdtr->base + selector);

	if (!selector)
		return NULL;
	return (const struct switcher_tss *)(uintptr_t)((entry[0] >> 16 & 0xffffff) |
							(entry[0] >> 56) << 24 | entry[1] << 32);
}

/* S9: is this CPU like the one that the configuration was made on? */
static const char *unlike(const struct pvm_switcher_features *all)
{
	struct pvm_switcher_features here;
	const char *why;

	pvm_switcher_detect(&here);
	why = pvm_switcher_missing_feature(&here);
	if (why)
		return why;
	if (here.la57 != all->la57 || here.pke != all->pke || here.pcid != all->pcid ||
	    here.cet != all->cet || here.smap != all->smap)
		return "this CPU's CR4 is not that of the others: LA57, PKE, PCIDE, CET, SMAP must agree";
	return NULL;
}

int pvm_switcher_cpu_init(struct pvm_switcher *switcher, void *area, uint32_t id, const char **why)
{
	struct pvm_switcher_cpu *cpu = area;
	struct pvm_switcher_features *features = &switcher->config.features;
	unsigned shift = PVM_LEVEL_SHIFT(features->la57 ? 5 : 4);
	struct switcher_dtr gdtr;
	uint8_t ist[3];

	hw_sgdt(&gdtr);
	*why = unlike(features);
	if (*why)
		return PVM_ENOSYS;
	if (id >= switcher->cpu_count)
		*why = "the CPU's number is not below cpu_count";
	else if ((uintptr_t)area & (PVM_SWITCHER_AREA_SIZE - 1))
		*why = "the area is not aligned to its size";
	else if ((uintptr_t)area >> shift != (uintptr_t)pvm_switcher_text_start >> shift)
		*why = "the area is not in the top-level slot of the switcher's text";
	else if (tss_overlaps(&switcher->config))
		*why = "tss_sel: the entries are taken";
	if (*why)
		return PVM_EINVAL;
	cpu->switcher = switcher;
	cpu->id = id;
	if (!set_tss(cpu, host_tss(&gdtr), ist)) {
		*why = "the host's TSS has no three free IST entries";
		return PVM_ENOSYS;
	}
	set_gdt(cpu, (const uint64_t *)(uintptr_t)gdtr.base);
	set_idt(cpu, ist);
	cpu->self = (uint64_t)(uintptr_t)&cpu->frame;
	cpu->flags = (features->pke ? AREA_PKE : 0) |
		     (features->smap ? AREA_SMAP : 0);
	cpu->host_noflush = features->pcid ? 1ull << 63 : 0;
	cpu->mitigations = features->mitigations;
	cpu->extras = (features->pke ? EXTRA_PKE : 0) | (features->mitigations ? EXTRA_MITIGATE : 0);
	cpu->user_cs = switcher->config.user_cs;
	cpu->user_ds = switcher->config.user_ds;
	cpu->user_cs_ss = cpu->user_cs | (uint32_t)cpu->user_ds << 16;
	cpu->switcher_ss = switcher->config.host_ss;
	cpu->gs_shift = features->la57 ? 64 - 57 : 64 - 48;
	pvm_switcher_void_tags(cpu);
	switcher->cpus[id] = cpu;
	return PVM_OK;
}

static void load_msrs(struct pvm_switcher_cpu *cpu)
{
	const struct pvm_switcher_config *config = &cpu->switcher->config;

	cpu->host_star = hw_rdmsr(MSR_STAR);
	cpu->host_lstar = hw_rdmsr(MSR_LSTAR);
	cpu->host_cstar = hw_rdmsr(MSR_CSTAR);
	cpu->host_fmask = hw_rdmsr(MSR_FMASK);
	cpu->host_sysenter_cs = hw_rdmsr(MSR_SYSENTER_CS);
	if (cpu->mitigations & PVM_MITIGATE_IBRS)
		cpu->host_spec_ctrl = (uint32_t)hw_rdmsr(MSR_SPEC_CTRL);
	if (config->features.cet) {
		/* A guest has neither a shadow stack nor IBT, whatever the thread has. */
		cpu->host_u_cet = hw_rdmsr(MSR_U_CET);
		hw_wrmsr(MSR_U_CET, 0);
	}
	hw_wrmsr(MSR_STAR, (uint64_t)config->host_cs << STAR_SYSCALL_SHIFT |
				   (uint64_t)config->user32_cs << STAR_SYSRET_SHIFT);
	hw_wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)pvm_switcher_syscall);
	hw_wrmsr(MSR_CSTAR, (uint64_t)(uintptr_t)pvm_switcher_syscall32);
	hw_wrmsr(MSR_FMASK, FMASK);
	hw_wrmsr(MSR_SYSENTER_CS, 0);	/* SYSENTER raises #GP */
}

/* Selectors of the host that mean something in its own tables only: put aside. */
static uint64_t put_aside(const struct pvm_switcher_cpu *cpu, uint16_t selector)
{
	const struct pvm_switcher_config *config = &cpu->switcher->config;
	bool everybodys = selector <= 3 || selector == config->host_ss || selector == config->user_ds ||
			  (config->cpunode_sel && selector == config->cpunode_sel);

	return everybodys ? 0 : selector;
}

static void put_segments_aside(struct pvm_switcher_cpu *cpu)
{
	uint16_t ds, es, fs, gs;

	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	cpu->host_seg[0] = put_aside(cpu, ds);
	cpu->host_seg[1] = put_aside(cpu, es);
	cpu->host_seg[2] = put_aside(cpu, fs);
	cpu->host_seg[3] = put_aside(cpu, gs);
	if (cpu->host_seg[0])
		__asm__ volatile("mov %k0, %%ds" : : "r"(0ull));
	if (cpu->host_seg[1])
		__asm__ volatile("mov %k0, %%es" : : "r"(0ull));
	if (cpu->host_seg[2])
		hw_load_fs(0);
	if (cpu->host_seg[3])
		hw_load_gs(0);
}

static void take_segments_back(struct pvm_switcher_cpu *cpu)
{
	if (cpu->host_seg[0])
		__asm__ volatile("mov %k0, %%ds" : : "r"(cpu->host_seg[0]));
	if (cpu->host_seg[1])
		__asm__ volatile("mov %k0, %%es" : : "r"(cpu->host_seg[1]));
	if (cpu->host_seg[2])
		hw_load_fs(cpu->host_seg[2]);
	if (cpu->host_seg[3])
		hw_load_gs(cpu->host_seg[3]);
}

void pvm_switcher_load(struct pvm_switcher_cpu *cpu)
{
	if (cpu->is_loaded)
		return;
	hw_sgdt(&cpu->host_gdtr);
	hw_sidt(&cpu->host_idtr);
	cpu->host_tr = hw_str();
	cpu->host_ldt = hw_sldt();
	put_segments_aside(cpu);
	set_tss_descriptor(cpu);	/* not busy */
	hw_lgdt(&cpu->gdtr);
	hw_lldt(0);
	hw_ltr(cpu->switcher->config.tss_sel);
	load_msrs(cpu);
	cpu->is_loaded = true;
}

void pvm_switcher_unload(struct pvm_switcher_cpu *cpu)
{
	const struct pvm_switcher_ops *ops = cpu->switcher->ops;
	uint64_t *gdt = (uint64_t *)(uintptr_t)cpu->host_gdtr.base;

	if (!cpu->is_loaded)
		return;
	if (ops->gdt)
		gdt = ops->gdt(cpu->switcher->host);
	hw_lgdt(&cpu->host_gdtr);
	hw_lldt(cpu->host_ldt);
	if (cpu->host_tr & ~7u) {
		struct switcher_dtr writable = { cpu->host_gdtr.limit, (uint64_t)(uintptr_t)gdt };

		/* LTR takes no busy TSS, and makes it busy through GDTR. */
		gdt[cpu->host_tr >> 3] &= ~DESC_TSS_BUSY;
		hw_lgdt(&writable);
		hw_ltr(cpu->host_tr);
		hw_lgdt(&cpu->host_gdtr);
	}
	take_segments_back(cpu);
	hw_wrmsr(MSR_STAR, cpu->host_star);
	hw_wrmsr(MSR_LSTAR, cpu->host_lstar);
	hw_wrmsr(MSR_CSTAR, cpu->host_cstar);
	hw_wrmsr(MSR_FMASK, cpu->host_fmask);
	hw_wrmsr(MSR_SYSENTER_CS, cpu->host_sysenter_cs);
	if (cpu->mitigations & PVM_MITIGATE_IBRS)
		hw_wrmsr(MSR_SPEC_CTRL, cpu->host_spec_ctrl);
	if (cpu->switcher->config.features.cet)
		hw_wrmsr(MSR_U_CET, cpu->host_u_cet);
	cpu->is_loaded = false;
}
