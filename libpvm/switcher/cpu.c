/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A CPU's way into the switcher's hands and out of them: what is swapped per stretch of
 * running guests, not per world switch. The tables that are loaded are tables.c's.
 */
#include <pvm/x86.h>

#include "switcher/area.h"
#include "switcher/hw.h"

#define DESC_TSS_BUSY		(2ull << 40)
/* What LAR tells of a descriptor. SDM vol. 2, LAR */
#define DESC_RIGHTS_READABLE	(1u << 9)	/* of code */
#define DESC_RIGHTS_CODE	(1u << 11)
#define DESC_RIGHTS_S		(1u << 12)
#define DESC_RIGHTS_P		(1u << 15)
#define STAR_SYSCALL_SHIFT	32
#define STAR_SYSRET_SHIFT	48
/* Nothing of the guest's RFLAGS is left at a SYSCALL, but for bit 1. */
#define FMASK			(~(uint64_t)PVM_RFLAGS_FIXED & 0x3f7fd5)

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
	struct switcher_host_tables host;

	*why = unlike(features);
	if (*why)
		return PVM_ENOSYS;
	*why = pvm_switcher_bad_area(switcher, area, id);
	if (*why)
		return PVM_EINVAL;
	cpu->switcher = switcher;
	cpu->owns_fault = switcher->ops->owns_fault;
	cpu->id = id;
	cpu->alias = switcher->config.alias;
	hw_sgdt(&host.gdtr);
	hw_sidt(&host.idtr);
	host.tr = hw_str();
	if (pvm_switcher_make_tables(cpu, &host, why) != PVM_OK)
		return PVM_ENOSYS;
	cpu->enter = (void (*)(struct pvm_switcher_cpu *, struct pvm_vcpu *))(uintptr_t)
		     pvm_switcher_alias(cpu, pvm_switcher_enter);
	cpu->seen = (struct pvm_switcher_cpu *)(uintptr_t)pvm_switcher_alias(cpu, cpu);
	cpu->own_roots_seen = pvm_switcher_alias(cpu, &cpu->own_roots);
	cpu->self = pvm_switcher_alias(cpu, &cpu->frame);
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
	if (cpu->syscall)
		hw_wrmsr(MSR_LSTAR, pvm_switcher_alias(cpu, cpu->syscall));
	hw_wrmsr(MSR_CSTAR, pvm_switcher_alias(cpu, pvm_switcher_syscall32));
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

/*
 * The host's thread may have a selector loaded whose descriptor is gone by now, as Linux lets FS and GS
 * be when modify_ldt() takes theirs away: to load it again would fault, at CPL 0. NULL then. LAR never
 * faults.
 */
static uint64_t still_loadable(uint64_t selector)
{
	uint32_t rights = 0;
	bool visible, readable;

	__asm__("lar %k2, %0; setz %1" : "+r"(rights), "=q"(visible) : "r"(selector) : "cc");
	readable = !(rights & DESC_RIGHTS_CODE) || (rights & DESC_RIGHTS_READABLE);
	return visible && (rights & DESC_RIGHTS_S) && (rights & DESC_RIGHTS_P) && readable ? selector : 0;
}

static void take_segments_back(struct pvm_switcher_cpu *cpu)
{
	unsigned i;

	for (i = 0; i < sizeof(cpu->host_seg) / sizeof(cpu->host_seg[0]); i++)
		if (cpu->host_seg[i])
			cpu->host_seg[i] = still_loadable(cpu->host_seg[i]);
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
	pvm_switcher_set_tss_descriptor(cpu);	/* not busy */
	hw_lgdt(&cpu->gdtr);
	hw_lldt(0);
	hw_ltr(cpu->switcher->config.tss_sel);
	load_msrs(cpu);
	/* What Linux, or another host, has done meanwhile left the area as it was; but see set_cr4(). */
	if (cpu->copies_cr4 != hw_read_cr4())
		cpu->loaded = NULL;
	cpu->is_loaded = true;
}

int pvm_switcher_set_msrs(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_msr *msrs, uint32_t count)
{
	uint32_t i;

	if (count > PVM_SWITCHER_MSRS)
		return PVM_EINVAL;
	for (i = 0; i < count; i++) {
		cpu->msrs[i].index = msrs[i].index;
		cpu->msrs[i].low = (uint32_t)msrs[i].guest;
		cpu->msrs[i].high = (uint32_t)(msrs[i].guest >> 32);
	}
	cpu->msrs_end = pvm_switcher_alias(cpu, &cpu->msrs[count]);
	cpu->extras = (cpu->extras & ~EXTRA_MSRS) | (count ? EXTRA_MSRS : 0);
	return PVM_OK;
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
