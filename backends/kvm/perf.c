// SPDX-License-Identifier: GPL-2.0
/*
 * The host's performance counters around a guest. PEBS and BTS write their records by linear address, in
 * whatever address space the CPU is: a guest's has nothing of the host's there. So both are off while a
 * guest runs, and so are counters that perf wants stopped in guests.
 */
#include <linux/perf_event.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/perf_event.h>

#include "kvm_pvm.h"

#define BRANCH_TRACE (DEBUGCTLMSR_TR | DEBUGCTLMSR_BTS | DEBUGCTLMSR_BTINT)

static void add(struct pvm_switcher_msr *msrs, unsigned int *count, u32 index, u64 guest)
{
	if (*count < PVM_SWITCHER_MSRS)
		msrs[*count] = (struct pvm_switcher_msr){ .index = index, .guest = guest };
	++*count;
}

/* PEBS goes first: a counter that is stopped may still have a record to write. perf lists it only where
 * Intel does not isolate VMX guests by itself. */
static void add_counters(struct pvm_switcher_msr *msrs, unsigned int *count)
{
	int changes = 0, i, perfs_count = 0;
	struct perf_guest_switch_msr *perfs = perf_guest_get_msrs(&perfs_count, NULL);

	for (i = 0; perfs && i < perfs_count; i++)
		changes += perfs[i].host != perfs[i].guest;
	if (likely(!changes))
		return;
	if (boot_cpu_has(X86_FEATURE_PEBS))
		add(msrs, count, MSR_IA32_PEBS_ENABLE, 0);
	for (i = 0; i < perfs_count; i++)
		if (perfs[i].host != perfs[i].guest && perfs[i].msr != MSR_IA32_PEBS_ENABLE)
			add(msrs, count, perfs[i].msr, perfs[i].guest);
}

static void add_branch_trace(struct pvm_switcher_msr *msrs, unsigned int *count)
{
	u32 low, high;

	if (!boot_cpu_has(X86_FEATURE_BTS))
		return;
	rdmsr(MSR_IA32_DEBUGCTLMSR, low, high);
	if (unlikely(low & BRANCH_TRACE))
		add(msrs, count, MSR_IA32_DEBUGCTLMSR, low & ~(u64)BRANCH_TRACE);
}

bool pvm_kvm_perf_in(struct pvm_switcher_cpu *cpu)
{
	struct pvm_switcher_msr msrs[PVM_SWITCHER_MSRS];
	unsigned int count = 0;

	add_counters(msrs, &count);
	add_branch_trace(msrs, &count);
	return pvm_switcher_set_msrs(cpu, msrs, count) == PVM_OK;
}
