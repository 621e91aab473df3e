/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_vm_config_check(): each field, with its name in the sentence. */
#include <criterion/criterion.h>
#include <fixture.h>
#include <string.h>

static struct pvm_vm_config config;

static void start(void)
{
	config = fixture_config();
}

TestSuite(config, .init = start);

static void refused(const char *field)
{
	struct fixture unused;
	const char *why = NULL;

	cr_assert_eq(pvm_vm_config_check(&config, &why), PVM_EINVAL);
	cr_assert_not_null(why);
	cr_assert_eq(strncmp(why, field, strlen(field)), 0, "\"%s\" does not name %s", why, field);
	cr_assert_null(strchr(why, '\n'), "one line");
	cr_assert_eq(pvm_vm_init(&unused.vm, &config, NULL, NULL), PVM_EINVAL);
}

static void accepted(void)
{
	const char *why = "untouched";

	cr_assert_eq(pvm_vm_config_check(&config, &why), PVM_OK);
	cr_assert_null(why);
}

Test(config, the_fixtures_is_good)
{
	accepted();
}

Test(config, both_dialects_that_are_built_are_good)
{
	config.abi = PVM_ABI_SINGLE_CR3;
	accepted();
	cr_assert_str_eq(pvm_abi_name(PVM_ABI_DUAL_CR3), "dual-cr3");
	cr_assert_str_eq(pvm_abi_name(PVM_ABI_SINGLE_CR3), "single-cr3");
	cr_assert_null(pvm_abi_name(PVM_ABI_LOWER_HALF));
	cr_assert_null(pvm_abi_name(PVM_ABI_COUNT));
}

Test(config, a_dialect_that_is_not_built_is_enosys)
{
	const char *why;

	config.abi = PVM_ABI_LOWER_HALF;
	cr_assert_eq(pvm_vm_config_check(&config, &why), PVM_ENOSYS);
	cr_assert_not_null(strstr(why, "abi"));
}

Test(config, S9_names_a_bad_abi)
{
	config.abi = PVM_ABI_COUNT;
	refused("abi");
}

Test(config, S9_names_a_bad_host_maxphyaddr)
{
	config.host_maxphyaddr = 35;
	refused("host_maxphyaddr");
	config.host_maxphyaddr = 53;
	refused("host_maxphyaddr");
	config.host_maxphyaddr = 52;
	accepted();
}

Test(config, S9_names_a_bad_guest_maxphyaddr)
{
	config.guest_maxphyaddr = 35;
	refused("guest_maxphyaddr");
	config.guest_maxphyaddr = 53;
	refused("guest_maxphyaddr");
	config.guest_maxphyaddr = 36;
	accepted();
}

Test(config, S9_names_a_missing_cpuid_table)
{
	config.cpuid_count = 1;
	refused("cpuid");
}

/* spec: C-007 */
Test(config, S9_names_bad_user_selectors)
{
	config.user32_cs = 0x20;
	refused("user32_cs");
	config.user32_cs = 0x27;
	refused("user32_cs");
	config.user32_cs = 3;
	refused("user32_cs");
	start();
	config.user_ds = 0x33;
	refused("user_ds");
	start();
	config.user_cs = 0x2b;
	refused("user_cs");
}

/* spec: C-008 */
Test(config, S9_names_a_bad_cpunode_sel)
{
	config.cpunode_sel = 0x78;
	refused("cpunode_sel");
	config.cpunode_sel = 0;
	accepted();
}

Test(config, S9_names_bad_kernel_selectors)
{
	config.kernel_cs = 0x13;
	refused("kernel_cs");
	config.kernel_cs = 0x14;
	refused("kernel_cs");
	config.kernel_cs = 0;
	refused("kernel_cs");
	start();
	config.kernel_ds = 0x20;
	refused("kernel_ds");
}

Test(config, S9_names_tls_entries_that_are_not_free)
{
	static const uint8_t taken[] = { 0, 2, 3, 4, 5, 6, 13, 14, 15 };
	unsigned i;

	for (i = 0; i < sizeof(taken); i++) {
		config.tls_index = taken[i];
		refused("tls_index");
	}
	config.tls_index = 16;
	accepted();
	config.tls_index = 255;
	accepted();
}

Test(config, S9_names_a_bad_range)
{
	config.range.pml4_end = 511;
	refused("range");
	config.range.pml4_end = 256;
	refused("range");
	config.range.pml4_end = 512;
	refused("range");
	start();
	config.range.pml4_start = 255;
	refused("range");
	config.range.pml4_start = config.range.pml4_end = PVM_RANGE_INDEX_NONE;
	accepted();
}

/* spec: C-093 */
Test(config, S9_names_a_pml5_range_without_la57)
{
	config.range.pml5_start = 256;
	config.range.pml5_end = 300;
	refused("range");
	config.host_la57 = true;
	accepted();
}

static void with_switcher(uint16_t slot)
{
	config.switcher_slot = slot;
	config.switcher_entry = 0x123000 | PVM_PTE_P | PVM_PTE_W;
}

Test(config, M1_the_switchers_entry_is_not_the_users)
{
	with_switcher(510);
	accepted();
	config.switcher_entry |= PVM_PTE_U;
	refused("switcher_entry");
	config.switcher_entry = 0x123000;
	refused("switcher_entry");
}

Test(config, M2_the_switchers_slot_is_out_of_the_guests_reach)
{
	with_switcher(255);
	refused("switcher_slot");
	with_switcher(512);
	refused("switcher_slot");
	with_switcher(256);
	refused("switcher_slot");
	with_switcher(509);
	refused("switcher_slot");
	with_switcher(511);
	accepted();
}

Test(config, M2_the_switchers_slot_with_5_levels)
{
	config.host_la57 = true;
	config.range = (struct pvm_linear_range){ 256, 510, 280, 290 };
	with_switcher(280);
	refused("switcher_slot");
	with_switcher(289);
	refused("switcher_slot");
	with_switcher(290);
	accepted();
	/* The last slot holds the whole PML4 range. */
	with_switcher(511);
	refused("switcher_slot");
	config.range.pml4_start = config.range.pml4_end = PVM_RANGE_INDEX_NONE;
	accepted();
}

Test(config, M1_M2_the_switchers_slot_below_one_it_shares_is_out_of_the_guests_reach)
{
	config.host_la57 = true;
	config.range = (struct pvm_linear_range){ 256, 510, 280, 290 };
	with_switcher(511);
	config.switcher_pml4_slot = 510;
	config.switcher_pml4_entry = 0x124000 | PVM_PTE_P | PVM_PTE_W;
	refused("guest_cr4");	/* S6 */
	config.guest_cr4 = PVM_CR4_GUEST;
	refused("guest_cr4");
	config.guest_cr4 &= ~(uint64_t)PVM_CR4_LA57;
	accepted();
	config.switcher_pml4_slot = 509;
	refused("switcher_pml4_slot");
	config.switcher_pml4_slot = 256;
	refused("switcher_pml4_slot");
	config.range.pml4_start = 257;
	accepted();
	config.switcher_pml4_slot = 255;
	refused("switcher_pml4_slot");
	config.switcher_pml4_slot = 512;
	refused("switcher_pml4_slot");
	config.switcher_pml4_slot = 511;
	accepted();
	config.switcher_pml4_entry |= PVM_PTE_U;
	refused("switcher_pml4_entry");
	config.switcher_pml4_entry = 0x124000;
	refused("switcher_pml4_entry");
	config.switcher_pml4_entry |= PVM_PTE_P;
	with_switcher(510);
	refused("switcher_pml4_entry");
	with_switcher(511);
	config.host_la57 = false;
	config.range.pml5_start = config.range.pml5_end = PVM_RANGE_INDEX_NONE;
	refused("switcher_pml4_entry");
}

Test(config, without_a_switcher_its_slot_does_not_matter)
{
	config.switcher_slot = 3;
	accepted();
}
