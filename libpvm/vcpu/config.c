/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Is a VM's configuration one that the engine can run? One sentence for each
 * field that is not, so that the host can say so (S9).
 *
 * Pure. Never fixes a configuration.
 */
#include "abi/abi.h"
#include "rules.h"

#define MAXPHYADDR_MIN	36
#define MAXPHYADDR_MAX	52
#define SLOTS		PVM_PTES_PER_TABLE
#define TLS_ENTRIES	3

static bool maxphyaddr_ok(unsigned bits)
{
	return bits >= MAXPHYADDR_MIN && bits <= MAXPHYADDR_MAX;
}

static bool user_selector_ok(uint16_t sel)
{
	return (sel & PVM_SEL_RPL) == PVM_SEL_RPL && !(sel & PVM_SEL_LDT) && PVM_SEL_INDEX(sel);
}

static bool pvcs_fits(const struct pvm_abi_ops *abi)
{
	uint32_t size = abi->pvcs_size, align = abi->pvcs_align;

	return !size || (size <= PVM_PAGE_SIZE && align && align <= PVM_PAGE_SIZE && !(align & (align - 1)));
}

/* All that the core calls without looking whether it is there. */
static bool abi_complete(const struct pvm_abi_ops *abi)
{
	return abi->name && abi->syscall && abi->deliver && abi->interrupt_flag && abi->other_cr3 &&
	       (abi->hypercalls || !abi->hypercall_count) &&
	       (!abi->hypercall_count || abi->hypercall_mask >= abi->hypercall_count - 1) &&
	       ((abi->msr_read && abi->msr_write) || !abi->msr_count) &&
	       (abi->cpuid || abi->cpuid_highest < PVM_CPUID_HYPERVISOR_FIRST);
}

static const char *check_abi(const struct pvm_abi_ops *abi)
{
	if (!abi)
		return "abi: this guest ABI is not built";
	if (!abi_complete(abi))
		return "abi: this guest ABI lacks an operation";
	if (!pvcs_fits(abi))
		return "abi: this guest ABI's pvcs_size or pvcs_align is not that of a structure in one page";
	if (!pvm_msr_range_is_free(abi))
		return "abi: this guest ABI's range of MSRs has one of x86's in it";
	return NULL;
}

static const char *check_cpu(const struct pvm_vm_config *config)
{
	if (!maxphyaddr_ok(config->host_maxphyaddr))
		return "host_maxphyaddr must be 36 to 52 bits";
	if (!maxphyaddr_ok(config->guest_maxphyaddr))
		return "guest_maxphyaddr must be 36 to 52 bits";
	if (config->guest_cr4 & ~(uint64_t)PVM_CR4_GUEST)
		return "guest_cr4 has bits that no guest may have";
	if (config->cpuid_count && !config->cpuid)
		return "cpuid is NULL, but cpuid_count is not 0";
	return NULL;
}

static bool in_tls(const struct pvm_vm_config *config, uint16_t sel)
{
	unsigned index = PVM_SEL_INDEX(sel), first = config->tls_index;

	return index >= first && index < first + TLS_ENTRIES;
}

/* The distances are those of SYSCALL and SYSRET: MSR_STAR derives by them. */
static const char *check_selectors(const struct pvm_vm_config *config)
{
	if (!user_selector_ok(config->user32_cs))
		return "user32_cs must be a GDT selector with RPL 3";
	if (config->user_ds != config->user32_cs + PVM_STAR_SYSRET_SS)
		return "user_ds must be user32_cs + 8";
	if (config->user_cs != config->user32_cs + PVM_STAR_SYSRET_CS64)
		return "user_cs must be user32_cs + 16";
	if (config->cpunode_sel && !user_selector_ok(config->cpunode_sel))
		return "cpunode_sel must be 0 or a GDT selector with RPL 3";
	if (!config->kernel_cs || config->kernel_cs & (PVM_SEL_RPL | PVM_SEL_LDT))
		return "kernel_cs must be a GDT selector with RPL 0";
	if (config->kernel_ds != config->kernel_cs + PVM_STAR_SYSCALL_SS)
		return "kernel_ds must be kernel_cs + 8";
	if (!config->tls_index || in_tls(config, config->user32_cs) ||
	    in_tls(config, config->user_ds) || in_tls(config, config->user_cs) ||
	    (config->cpunode_sel && in_tls(config, config->cpunode_sel)))
		return "tls_index must name three GDT entries of their own";
	return NULL;
}

static const char *check_range(const struct pvm_vm_config *config, const struct pvm_abi_ops *abi)
{
	struct pvm_linear_range range = config->range;
	struct pvm_linear_range decoded;

	if (abi->last_slot && range.pml4_end == PVM_PTES_PER_TABLE)
		range.pml4_end -= 2;	/* as if it ended below the last slot */
	/* Encoding would cut these off. */
	if ((range.pml4_start | range.pml4_end | range.pml5_start | range.pml5_end) >=
	    PVM_PTES_PER_TABLE)
		return "range must have indices below 512";
	if (pvm_linear_range_decode(pvm_linear_range_encode(&range), config->host_la57, &decoded) !=
	    PVM_OK)
		return "range must be 256 <= start < end < 511 or none (PML5: none without host_la57)";
	return NULL;
}

/* M1, M2: the same of its slot in the table of level 4 that it shares with the guest. */
static const char *check_shared_slot(const struct pvm_vm_config *config)
{
	uint16_t slot = config->switcher_pml4_slot;

	if (!config->host_la57 || config->switcher_slot != SLOTS - 1)
		return "switcher_pml4_entry is for switcher_slot 511 of a host with 5 levels";
	if (!(config->switcher_pml4_entry & PVM_PTE_P) || (config->switcher_pml4_entry & PVM_PTE_U))
		return "switcher_pml4_entry must be present and not for user mode";
	/* The guest's entry above would say whether the switcher may be written and executed (S6). */
	if (!config->guest_cr4 || (config->guest_cr4 & PVM_CR4_LA57))
		return "guest_cr4 must be without LA57 where switcher_pml4_entry is set";
	if (slot < SLOTS / 2 || slot >= SLOTS)
		return "switcher_pml4_slot must be 256 to 511";
	if (slot >= config->range.pml4_start && slot < config->range.pml4_end)
		return "switcher_pml4_slot is within range";
	return NULL;
}

/* M1, M2: the guest can neither name the switcher's slot nor reach it. */
static const char *check_switcher(const struct pvm_vm_config *config)
{
	const struct pvm_linear_range *range = &config->range;
	uint16_t start = config->host_la57 ? range->pml5_start : range->pml4_start;
	uint16_t end = config->host_la57 ? range->pml5_end : range->pml4_end;
	uint16_t slot = config->switcher_slot;

	if (!config->switcher_entry)
		return NULL;
	if (!(config->switcher_entry & PVM_PTE_P) || (config->switcher_entry & PVM_PTE_U))
		return "switcher_entry must be present and not for user mode";
	if (slot < SLOTS / 2 || slot >= SLOTS)
		return "switcher_slot must be 256 to 511";
	if (config->switcher_pml4_entry)
		return check_shared_slot(config);
	/* With 5 levels the PML4 range is below the last slot. */
	if ((slot >= start && slot < end) ||
	    (config->host_la57 && slot == SLOTS - 1 && range->pml4_start != PVM_RANGE_INDEX_NONE))
		return "switcher_slot is within range";
	return NULL;
}

/* M1, M2: the same of M2P's slot, which the guest may read. */
static const char *check_m2p(const struct pvm_vm_config *config)
{
	const struct pvm_xen_config *xen = &config->xen;
	uint16_t switcher = config->host_la57 ? config->switcher_pml4_slot : config->switcher_slot;

	if (!xen->m2p_entry)
		return NULL;
	if (!(xen->m2p_entry & PVM_PTE_P) || !(xen->m2p_entry & PVM_PTE_NX) || (xen->m2p_entry & PVM_PTE_W))
		return "xen.m2p_entry must be present, neither writable nor executable";
	if (!xen->m2p_frames)
		return "xen.m2p_frames is 0, but xen.m2p_entry is not";
	if (xen->m2p_slot < SLOTS / 2 || xen->m2p_slot >= SLOTS)
		return "xen.m2p_slot must be 256 to 511";
	if (xen->m2p_slot >= config->range.pml4_start && xen->m2p_slot < config->range.pml4_end)
		return "xen.m2p_slot is within range";
	if (config->switcher_entry && xen->m2p_slot == switcher)
		return "xen.m2p_slot is the switcher's";
	return NULL;
}

int pvm_vm_config_check(const struct pvm_vm_config *config, const char **why)
{
	const struct pvm_abi_ops *abi;

	if ((unsigned)config->abi >= PVM_ABI_COUNT) {
		*why = "abi is not a guest ABI of libpvm";
		return PVM_EINVAL;
	}
	abi = pvm_abi_find(config->abi);
	*why = check_abi(abi);
	if (*why)
		return PVM_ENOSYS;
	*why = check_cpu(config);
	if (!*why && config->host_ldt && !abi->has_ldt)
		*why = "host_ldt is for guest ABIs that have LDTs";
	if (!*why)
		*why = check_selectors(config);
	if (!*why)
		*why = check_range(config, abi);
	if (!*why)
		*why = check_switcher(config);
	if (!*why)
		*why = check_m2p(config);
	return *why ? PVM_EINVAL : PVM_OK;
}
