/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Selectors, HC_LOAD_GS, HC_LOAD_TLS, and the CS and SS underneath. */
#include <criterion/criterion.h>

#include "mmu_calls.h"

TestSuite(segment, .init = setup, .fini = teardown);

#define TLS_SEL(n)	(uint16_t)((12 + (n)) << 3 | 3)

/* A 32-bit data segment, base 0x12345678, limit 4 GiB, DPL 3, accessed. */
#define DATA32		0x12cff3345678ffffull

static void load_tls0(uint64_t desc)
{
	uint64_t tls[3] = { desc, 0, 0 };

	pvm_load_tls(vcpu, tls);
}

/* spec: C-014 */
Test(segment, null_user_ds_and_cpunode_are_data)
{
	cr_assert(pvm_data_selector_valid(vcpu, 0));
	cr_assert(pvm_data_selector_valid(vcpu, 3));
	cr_assert(pvm_data_selector_valid(vcpu, 0x2b));
	cr_assert(pvm_data_selector_valid(vcpu, 0x28));
	cr_assert(pvm_data_selector_valid(vcpu, 0x7b));
}

/* spec: C-014, C-037 */
Test(segment, everything_else_is_not)
{
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x33), "code");
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x23), "32-bit code");
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x10), "the emulated CS");
	cr_assert(pvm_selector_loadable(vcpu, 0x33) && pvm_selector_loadable(vcpu, 0x23), "code can be read");
	cr_assert(pvm_selector_loadable(vcpu, 0) && pvm_selector_loadable(vcpu, 0x2b));
	cr_assert_not(pvm_selector_loadable(vcpu, 0x10), "the emulated CS");
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x18), "the emulated SS");
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x43), "the host's TSS");
	cr_assert_not(pvm_data_selector_valid(vcpu, 0xfffb), "after the GDT");
}

/* spec: C-010, C-040 */
Test(segment, nothing_loads_from_the_ldt)
{
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x2f));
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x04));
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x07));
}

Test(segment, a_tls_entry_is_data_once_it_is_there)
{
	cr_assert_not(pvm_data_selector_valid(vcpu, TLS_SEL(0)));
	load_tls0(DATA32);
	cr_assert(pvm_data_selector_valid(vcpu, TLS_SEL(0)));
	cr_assert_not(pvm_data_selector_valid(vcpu, TLS_SEL(1)));
	cr_assert_not(pvm_data_selector_valid(vcpu, TLS_SEL(2)));
}

Test(segment, without_a_cpunode_entry_only_null_has_its_index)
{
	vcpu->vm->config.cpunode_sel = 0;
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x7b));
	cr_assert(pvm_data_selector_valid(vcpu, 0));
}

/* spec: C-226, C-227 */
Test(segment, load_gs_gives_the_base_of_the_segment)
{
	load_tls0(DATA32);
	cr_assert_eq(pvm_load_gs(vcpu, TLS_SEL(0)), 0x12345678);
	cr_assert_eq(vcpu->seg[PVM_GS], TLS_SEL(0));
	cr_assert_eq(vcpu->gs_base, 0x12345678);
	cr_assert_eq(pvm_load_gs(vcpu, 0x2b), 0);
	cr_assert_eq(vcpu->seg[PVM_GS], 0x2b);
	cr_assert_eq(vcpu->gs_base, 0);
}

/* spec: C-226 */
Test(segment, load_gs_of_a_bad_selector_loads_null)
{
	vcpu->gs_base = 0x1000;
	vcpu->seg[PVM_GS] = 0x2b;
	cr_assert_eq(pvm_load_gs(vcpu, 0x33), 0);
	cr_assert_eq(vcpu->seg[PVM_GS], 0);
	cr_assert_eq(vcpu->gs_base, 0);
}

Test(segment, load_gs_takes_base_bits_from_both_ends_of_the_descriptor)
{
	load_tls0(DATA32 | 0xff00000000000000ull);
	cr_assert_eq(pvm_load_gs(vcpu, TLS_SEL(0)), 0xff345678);
}

/* spec: C-230, C-231 */
Test(segment, load_tls_sets_three_entries_and_says_where)
{
	uint64_t tls[3] = { DATA32, DATA32 + (1 << 16), DATA32 + (2 << 16) };

	cr_assert_eq(pvm_load_tls(vcpu, tls), 12);
	cr_assert_eq(vcpu->tls[0], DATA32);
	cr_assert_eq(vcpu->tls[1], DATA32 + (1 << 16));
	cr_assert_eq(vcpu->tls[2], DATA32 + (2 << 16));
}

/* S12: an entry loads the selectors at CPL 0 and must not fault. */
Test(segment, load_tls_drops_selectors_whose_entry_goes)
{
	uint64_t two[3] = { 0, DATA32, 0 };

	load_tls0(DATA32);
	vcpu->seg[PVM_DS] = vcpu->seg[PVM_GS] = TLS_SEL(0);
	vcpu->seg[PVM_ES] = 0x2b;
	vcpu->seg[PVM_FS] = TLS_SEL(0) & ~3;
	load_tls0(DATA32 | 1ull << 40);
	cr_assert_eq(vcpu->seg[PVM_DS], TLS_SEL(0), "another descriptor is one");
	pvm_load_tls(vcpu, two);
	cr_assert_eq(vcpu->seg[PVM_DS], 0);
	cr_assert_eq(vcpu->seg[PVM_GS], 0);
	cr_assert_eq(vcpu->seg[PVM_FS], 0);
	cr_assert_eq(vcpu->seg[PVM_ES], 0x2b);
	vcpu->seg[PVM_DS] = TLS_SEL(1);
	load_tls0(0);
	cr_assert_eq(vcpu->seg[PVM_DS], 0);
}

/* spec: C-230 */
Test(segment, load_tls_forces_dpl_3_and_accessed_and_clears_l)
{
	load_tls0((DATA32 & ~(PVM_DESC_DPL3 | PVM_DESC_ACCESSED)) | PVM_DESC_L);
	cr_assert_eq(vcpu->tls[0], DATA32);
}

/* spec: C-230 */
Test(segment, load_tls_empties_what_is_not_32_bit_data)
{
	static const struct {
		const char *what;
		uint64_t desc;
	} bad[] = {
		{ "empty", 0 },
		{ "not present", DATA32 & ~PVM_DESC_P },
		{ "code", DATA32 | PVM_DESC_CODE },
		{ "system segment, such as a call gate", DATA32 & ~PVM_DESC_S },
		{ "16-bit: its IRET leaks the host's stack pointer", DATA32 & ~PVM_DESC_DB },
	};
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		load_tls0(bad[i].desc);
		cr_assert_eq(vcpu->tls[0], 0, "%s", bad[i].what);
	}
}

/* spec: C-012, C-013, C-041, C-043 */
Test(segment, supervisor_mode_runs_on_the_users_cs_and_ss)
{
	cr_assert_eq(vcpu->seg[PVM_CS], 0x10);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x18);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x33);
	cr_assert_eq(pvm_vcpu_underlying_ss(vcpu), 0x2b);
}

/* spec: C-012, C-018, C-042, C-044 */
Test(segment, user_mode_runs_on_its_own_cs)
{
	vcpu->user_mode = true;
	vcpu->seg[PVM_CS] = 0x23;
	vcpu->seg[PVM_SS] = 0x2b;
	cr_assert_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER32);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x23);
	vcpu->seg[PVM_CS] = 0x33;
	cr_assert_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER64);
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x33);
	cr_assert_eq(pvm_vcpu_underlying_ss(vcpu), 0x2b);
}

/* spec: C-012, C-013 */
Test(segment, whatever_the_view_holds_the_cpu_gets_a_user_selector)
{
	vcpu->user_mode = true;
	vcpu->seg[PVM_CS] = 0x10;
	vcpu->seg[PVM_SS] = 0x18;
	cr_assert_eq(pvm_vcpu_underlying_cs(vcpu), 0x33);
	cr_assert_eq(pvm_vcpu_underlying_ss(vcpu), 0x2b);
}
