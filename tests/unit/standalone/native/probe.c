/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the executor says of the CPU. */
#include "machine.h"

#include <cpuid.h>
#include <pvm/mmu.h>

static struct pvm_vm_config probe(void)
{
	struct pvm_vm_config config = { .abi = PVM_ABI_DUAL_CR3 };
	char why[256] = "";

	cr_assert_eq(native_executor.probe(&config, "none", why, sizeof(why)), 0, "%s", why);
	return config;
}

/* spec: C-007, C-093 */
Test(native_probe, the_configuration_is_one_that_the_engine_runs)
{
	struct pvm_vm_config config = probe();
	const char *why;

	cr_assert_eq(pvm_vm_config_check(&config, &why), PVM_OK, "%s", why);
	cr_assert_not(config.host_la57);
	cr_assert_not(config.host_umip);
	cr_assert_eq(config.range.pml4_start, PVM_RANGE_INDEX_NONE);
	cr_assert_gt(1ull << config.host_maxphyaddr, GUEST_HPA_BASE * 2);
	cr_assert_lt(1ull << config.guest_maxphyaddr, GUEST_HPA_BASE);
}

Test(native_probe, the_cpuid_table_is_the_cpus)
{
	struct pvm_vm_config config = probe();
	uint32_t eax, ebx, ecx, edx, i, seen = 0;

	for (i = 0; i < config.cpuid_count; i++) {
		const struct pvm_cpuid_entry *e = &config.cpuid[i];

		if (e->leaf != 0 && e->leaf != 0x80000000 && !(e->leaf == 7 && e->subleaf == 0))
			continue;
		__cpuid_count(e->leaf, e->subleaf, eax, ebx, ecx, edx);
		cr_assert_eq(e->eax, eax);
		cr_assert_eq(e->ebx, ebx);
		cr_assert_eq(e->ecx, ecx);
		cr_assert_eq(e->edx, edx);
		seen++;
	}
	cr_assert_eq(seen, 3);
}
