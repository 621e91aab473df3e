/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_switcher_init(): every refusal is one line that names what is missing. */
#include <criterion/criterion.h>
#include <string.h>

#include "host.h"

static struct pvm_switcher_config config;

static void start(void)
{
	config = host_config();
}

TestSuite(switcher_config, .init = start);

static void refused(int expected, const char *names)
{
	static struct pvm_switcher unused;
	const char *why = NULL;

	cr_expect_eq(pvm_switcher_init(&unused, &config, NULL, NULL, cpus, HOST_CPUS, &why), expected,
		     "where %s is wrong", names);
	cr_assert_not_null(why, "no reason where %s is wrong", names);
	cr_expect_not_null(strstr(why, names), "\"%s\" does not name %s", why, names);
	cr_expect_null(strchr(why, '\n'), "one line");
	config = host_config();
}

Test(switcher_config, the_hosts_is_good_and_its_slot_is_the_texts)
{
	host_init(&config);
	cr_assert_eq(switcher.slot, (uint64_t)(uintptr_t)pvm_switcher_text_start >> 39 & 511);
	config.features.la57 = true;
	host_init(&config);
	cr_assert_eq(switcher.slot, (uint64_t)(uintptr_t)pvm_switcher_text_start >> 48 & 511);
	cr_assert_eq(switcher.pml4_slot, (uint64_t)(uintptr_t)pvm_switcher_text_start >> 39 & 511);
}

Test(switcher_config, S9_names_the_feature_that_is_missing)
{
	config.features.syscall = false;
	refused(PVM_ENOSYS, "EFER.SCE");
	config.features.fsgsbase = false;
	refused(PVM_ENOSYS, "CR4.FSGSBASE");
	config.features.nx = false;
	refused(PVM_ENOSYS, "EFER.NXE");
	config.features.fred = true;
	refused(PVM_ENOSYS, "CR4.FRED");
	config.features.supervisor_shadow_stack = true;
	refused(PVM_ENOSYS, "IA32_S_CET.SH_STK_EN");
	config.features.uai = true;
	refused(PVM_ENOSYS, "EFER.UAIE");
	config.host_encrypts = true;
	refused(PVM_ENOSYS, "mem_encrypt=off");
	config.features.sev = true;
	refused(PVM_ENOSYS, "SEV guest");
	config.features.sev_es = true;
	refused(PVM_ENOSYS, "SEV-ES");
}

Test(switcher_config, S6_S9_a_CPU_with_Meltdown_needs_the_hosts_word)
{
	config.features.meltdown = true;
	refused(PVM_ENOSYS, "Meltdown");
	config.features.meltdown = config.meltdown_accepted = true;
	host_init(&config);
}

Test(switcher_config, S9_names_the_hosts_selectors)
{
	config.host_ss = config.host_cs + 16;
	refused(PVM_EINVAL, "host_cs, host_ss");
	config.host_cs |= 3, config.host_ss = config.host_cs + 8;
	refused(PVM_EINVAL, "host_cs, host_ss");
	config.host_cs = 0, config.host_ss = 8;
	refused(PVM_EINVAL, "host_cs, host_ss");
}

Test(switcher_config, S9_names_the_users_selectors)
{
	config.user_ds += 8;
	refused(PVM_EINVAL, "user32_cs, user_ds, user_cs");
	config.user_cs += 8;
	refused(PVM_EINVAL, "user32_cs, user_ds, user_cs");
	config.user32_cs -= 3, config.user_ds -= 3, config.user_cs -= 3;
	refused(PVM_EINVAL, "user32_cs, user_ds, user_cs");
}

Test(switcher_config, S9_names_selectors_after_the_gdt)
{
	config.user32_cs = 30 * 8 + 3, config.user_ds = 31 * 8 + 3, config.user_cs = 32 * 8 + 3;
	refused(PVM_EINVAL, "32 entries");
	config.host_cs = 31 * 8, config.host_ss = 32 * 8;
	refused(PVM_EINVAL, "32 entries");
	config.cpunode_sel = 32 * 8 + 3;
	refused(PVM_EINVAL, "32 entries");
	config.tls_index = 30;
	refused(PVM_EINVAL, "32 entries");
	/* The last that lie within. */
	config.tls_index = 29;
	host_init(&config);
	config.tls_index = 12;
	config.user32_cs = 29 * 8 + 3, config.user_ds = 30 * 8 + 3, config.user_cs = 31 * 8 + 3;
	host_init(&config);
	config = host_config();
	config.host_cs = 30 * 8, config.host_ss = 31 * 8;
	host_init(&config);
	config = host_config();
	config.cpunode_sel = 31 * 8 + 3;
	host_init(&config);
}

Test(switcher_config, S9_names_a_tss_that_has_no_place)
{
	config.tss_sel = 0;
	refused(PVM_EINVAL, "tss_sel");
	config.tss_sel = 31 * 8;
	refused(PVM_EINVAL, "tss_sel");
	config.tss_sel = 8 * 8 + 3;
	refused(PVM_EINVAL, "tss_sel");
}

Test(switcher_config, S9_names_a_tss_whose_entries_are_taken)
{
	/* As host.c has them: entries 2 to 6 and 12 to 14; and one that is next to no other. */
	for (unsigned entry = 1; entry < 31; entry++) {
		bool taken = (entry + 1 >= 2 && entry <= 6) || (entry + 1 >= 12 && entry <= 14) ||
			     entry == 19 || entry == 20;

		config.cpunode_sel = 20 << 3 | 3;
		config.tss_sel = (uint16_t)(entry << 3);
		if (taken) {
			refused(PVM_EINVAL, "tss_sel: the entries are taken");
			continue;
		}
		host_init(&config);
		config = host_config();
	}
}

Test(switcher_config, S9_names_an_alias_that_is_not_whole_slots)
{
	config.alias = 1ull << 38;
	refused(PVM_EINVAL, "alias");
	config.alias = 1ull << 39;
	refused(PVM_EINVAL, "window_va");	/* it is in the alias' slot */
}

Test(switcher_config, S9_names_a_window_that_is_not_whole_pages)
{
	config.window_va += 8;
	refused(PVM_EINVAL, "window_va");
	config.window_count = 0;
	refused(PVM_EINVAL, "window_va");
}

Test(switcher_config, S9_names_a_window_outside_the_slot)
{
	config.window_va ^= 1ull << 39;
	refused(PVM_EINVAL, "window_va");
	config.window_va |= (1ull << 39) - PVM_PAGE_SIZE;	/* the second page is in the next */
	refused(PVM_EINVAL, "window_va");
	/* The first is in the one before. */
	config.window_va = (config.window_va & ~((1ull << 39) - 1)) - PVM_PAGE_SIZE;
	refused(PVM_EINVAL, "window_va");
	config.window_va |= (1ull << 39) - PVM_PAGE_SIZE;
	config.window_count = 1;
	host_init(&config);
}

Test(switcher_config, S7_the_hosts_pcid_0_and_too_few_are_refused)
{
	config.pcid_first = 0;
	refused(PVM_EINVAL, "pcid_first");
	config.pcid_count = PVM_SWITCHER_TAGS - 1;
	refused(PVM_EINVAL, "pcid_first");
	config.pcid_first = 4096 - PVM_SWITCHER_TAGS + 1;
	refused(PVM_EINVAL, "pcid_first");
	config.pcid_first = 4096 - PVM_SWITCHER_TAGS;
	host_init(&config);
	config.features.pcid = false;
	config.pcid_first = config.pcid_count = 0;
	host_init(&config);
}

Test(switcher_config, S7_pcids_that_the_host_uses_itself_are_refused)
{
	config.pcid_first = 4064;
	config.pcid_host_last = 4063;
	host_init(&config);
	config.pcid_host_last = 4064;
	refused(PVM_EINVAL, "nopcid");
	config.pcid_host_last = 4095;
	refused(PVM_EINVAL, "nopcid");
	config.features.pcid = false;
	host_init(&config);
}
