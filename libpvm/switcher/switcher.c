/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host's configuration: is it one that the switcher can work with? Touches no
 * hardware. Every refusal is one line that names what is missing (S9).
 */
#include <pvm/x86.h>

#include "switcher/area.h"

#define SELECTOR_INDEX(sel)	((sel) >> 3)
#define TSS_ENTRIES		2
#define LDT_ENTRIES		4

const char *pvm_switcher_missing_feature(const struct pvm_switcher_features *features)
{
	/* S9 */
	if (features->fred)
		return "CR4.FRED is set: SWAPGS and SYSRET are #UD; start the host without it "
		       "(Linux: fred=off)";
	if (features->supervisor_shadow_stack)
		return "IA32_S_CET.SH_STK_EN is set: shadow stacks of the host are not mapped in "
		       "guests; turn them off at CPL 0";
	if (features->sev_es)
		return "the host is an SEV-ES guest: its hypervisor cannot be asked while a guest runs";
	if (features->sev)
		return "the host is an SEV guest: its memory is encrypted by a bit of its page tables, "
		       "which guests' tables have not";
	if (features->uai)
		return "EFER.UAIE is set: it would hide bits of a guest's addresses; clear it";
	if (!features->syscall)
		return "EFER.SCE is clear: the switcher needs SYSCALL";
	if (!features->fsgsbase)
		return "CR4.FSGSBASE is clear: the switcher needs RDGSBASE and WRGSBASE";
	if (!features->nx)
		return "EFER.NXE is clear: the switcher's data must not be executable";
	return NULL;
}

/* Do @count entries from @first on overlap one that has its place? */
static bool overlaps(const struct pvm_switcher_config *config, unsigned first, unsigned count)
{
	const uint16_t others[] = { config->host_cs, config->host_ss, config->user32_cs,
				    config->user_ds, config->user_cs, config->cpunode_sel,
				    (uint16_t)(config->tls_index << 3),
				    (uint16_t)((config->tls_index + 1) << 3),
				    (uint16_t)((config->tls_index + 2) << 3) };
	unsigned i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (SELECTOR_INDEX((unsigned)others[i]) - first < count)
			return true;
	return false;
}

static const char *bad_ldt_selector(const struct pvm_switcher_config *config)
{
	unsigned first = SELECTOR_INDEX(config->ldt_sel), tss = SELECTOR_INDEX(config->tss_sel);

	if (!config->ldt_sel)
		return NULL;
	if ((config->ldt_sel & 7) || first > SWITCHER_GDT_ENTRIES - LDT_ENTRIES)
		return "ldt_sel: no four entries within the switcher's GDT";
	if (overlaps(config, first, LDT_ENTRIES) || tss - first < LDT_ENTRIES ||
	    tss + 1 - first < LDT_ENTRIES)
		return "ldt_sel: the entries are taken";
	return NULL;
}

static const char *bad_selectors(const struct pvm_switcher_config *config)
{
	if (config->host_ss != config->host_cs + 8 || (config->host_cs & 7) || !config->host_cs)
		return "host_cs, host_ss: SYSCALL needs RPL 0 and host_ss = host_cs + 8";
	if (config->user_ds != config->user32_cs + 8 || config->user_cs != config->user32_cs + 16 ||
	    (config->user32_cs & 7) != 3)
		return "user32_cs, user_ds, user_cs: SYSRET needs RPL 3 and steps of 8";
	if (SELECTOR_INDEX(config->user_cs) >= SWITCHER_GDT_ENTRIES ||
	    SELECTOR_INDEX(config->host_ss) >= SWITCHER_GDT_ENTRIES ||
	    SELECTOR_INDEX(config->cpunode_sel) >= SWITCHER_GDT_ENTRIES ||
	    config->tls_index > SWITCHER_GDT_ENTRIES - 3)
		return "a selector lies beyond the 32 entries of the switcher's GDT";
	if ((config->tss_sel & 7) || !config->tss_sel ||
	    SELECTOR_INDEX(config->tss_sel) > SWITCHER_GDT_ENTRIES - 2)
		return "tss_sel: no pair of entries within the switcher's GDT";
	if (overlaps(config, SELECTOR_INDEX(config->tss_sel), TSS_ENTRIES))
		return "tss_sel: the entries are taken";
	return bad_ldt_selector(config);
}

/* Where the text is in guests. */
static uint64_t guests_text(const struct pvm_switcher_config *config)
{
	return (uint64_t)(uintptr_t)pvm_switcher_text_start + config->alias;
}

static const char *bad_window(const struct pvm_switcher_config *config)
{
	uint64_t last = config->window_va + config->window_count * (uint64_t)PVM_PAGE_SIZE - 1;
	uint64_t text = guests_text(config);
	unsigned shift = PVM_LEVEL_SHIFT(4);

	if (config->alias & (PVM_LEVEL_SIZE(4) - 1))
		return "alias: no whole slots of 512 GiB";
	if (!config->window_count || config->window_va & (PVM_PAGE_SIZE - 1))
		return "window_va, window_count: no whole pages";
	if (config->window_va >> shift != text >> shift || last >> shift != text >> shift)
		return "window_va: not in the 512 GiB around the switcher's text";
	return NULL;
}

static const char *bad_ldts(const struct pvm_switcher_config *config)
{
	uint32_t count = config->window_count < PVM_SWITCHER_LDTS ? config->window_count : PVM_SWITCHER_LDTS;
	uint64_t first = config->ldt_va, last = first + pvm_switcher_ldts_size(count) - 1;
	uint64_t windows = config->window_va + config->window_count * (uint64_t)PVM_PAGE_SIZE - 1;
	uint64_t text = guests_text(config);
	unsigned shift = PVM_LEVEL_SHIFT(4);

	if (!config->ldt_sel && !first)
		return NULL;
	if (!config->ldt_sel || !first || first & (PVM_PAGE_SIZE - 1))
		return "ldt_va, ldt_sel: both or none, and whole pages";
	if (first >> shift != text >> shift || last >> shift != text >> shift)
		return "ldt_va: not in the 512 GiB around the switcher's text";
	if ((first <= windows && config->window_va <= last) || (first <= text && text <= last))
		return "ldt_va: something is there";
	return NULL;
}

static const char *bad_pcids(const struct pvm_switcher_config *config)
{
	if (!config->features.pcid)
		return NULL;
	/* S7: 0 is the host's, whatever else is. */
	if (!config->pcid_first || config->pcid_count < PVM_SWITCHER_TAGS ||
	    config->pcid_first + config->pcid_count > 4096)
		return "pcid_first, pcid_count: fewer than 16 PCIDs between 1 and 4095";
	/* S7 */
	if (config->pcid_host_last >= config->pcid_first)
		return "the host uses all PCIDs itself, or those from pcid_first on: start it without "
		       "(Linux with INVLPGB: nopcid, or pti=off)";
	return NULL;
}

int pvm_switcher_init(struct pvm_switcher *switcher, const struct pvm_switcher_config *config,
		      const struct pvm_switcher_ops *ops, void *host,
		      struct pvm_switcher_cpu **cpus, uint32_t cpu_count, const char **why)
{
	uint64_t text = guests_text(config);

	*why = pvm_switcher_missing_feature(&config->features);
	/* S9, S6: the areas of all CPUs are mapped in all VMs. */
	if (!*why && config->host_encrypts)
		*why = "the host encrypts its memory by a bit of its page tables, which guests' tables "
		       "have not: start it without (Linux: mem_encrypt=off)";
	if (!*why && config->features.meltdown && !config->meltdown_accepted)
		*why = "the CPU has Meltdown: a guest could read registers of other VMs' guests; "
		       "meltdown_accepted says that it may";
	if (*why)
		return PVM_ENOSYS;
	*why = bad_selectors(config);
	if (!*why)
		*why = bad_window(config);
	if (!*why)
		*why = bad_ldts(config);
	if (!*why)
		*why = bad_pcids(config);
	if (*why)
		return PVM_EINVAL;
	*switcher = (struct pvm_switcher){
		.config = *config,
		.ops = ops,
		.host = host,
		.slot = PVM_LEVEL_INDEX(text, config->features.la57 ? 5 : 4),
		.pml4_slot = PVM_LEVEL_INDEX(text, 4),
		.cpus = cpus,
		.cpu_count = cpu_count,
		.tags_gen = 1,
	};
	return PVM_OK;
}

void pvm_switcher_get_stats(const struct pvm_switcher_cpu *cpu, struct pvm_switcher_stats *stats)
{
	*stats = cpu->stats;
	stats->entries = cpu->runs - cpu->turned_back;
}
