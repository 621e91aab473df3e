/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Where LDTs are in a VM's slot, and the descriptors that name them. Loading them is ring0.corners'. */
#include <criterion/criterion.h>
#include <string.h>

#include "host.h"
#include "vcpu/ldt.h"

#define LDT_SEL		0x90
#define LDT_OFFSET	(64ull << 20)		/* from the windows */
#define LDT_SIZE	0x10000ull
#define COUNT		3
#define SEL(index)	((index) << 3 | 7)

static struct pvm_switcher_config config;
static struct pvm_switcher_vm vm;
static struct pvm_switcher_vcpu svcpu;
static struct fixture fixture;
static struct pvm_vcpu *vcpu;

static void setup(void)
{
	config = host_config();
	config.ldt_sel = LDT_SEL;
	config.ldt_va = config.window_va + LDT_OFFSET;
	host_init(&config);
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	fixture_init(&fixture);
	vcpu = &fixture.vcpu[0];
	vcpu->id = 1;
	host_agree(&fixture.vm.config);
	fixture.vm.config.host_ldt = true;
}

static void fini(void)
{
	pvm_switcher_vm_destroy(&vm);
	cr_assert_eq(pages_live, 0);
	fixture_fini(&fixture);
}

TestSuite(switcher_ldt, .init = setup, .fini = fini);

/* The leaf for @va; 0: there is none. */
static uint64_t leaf(uint64_t va)
{
	uint64_t entry = vm.entry;
	unsigned level;

	for (level = 3; level >= 1 && entry; level--) {
		cr_assert_eq(entry & PVM_PTE_U, 0, "M1");
		entry = host_table(entry & PVM_PTE_ADDR_MASK)[PVM_LEVEL_INDEX(va, level)];
	}
	return entry;
}

static uint64_t table(uint32_t id)
{
	return config.ldt_va + (id + 1) * LDT_SIZE;
}

static void load(uint32_t entries)
{
	cr_assert_eq(pvm_ldt_open(vcpu, entries), PVM_OK);
	pvm_ldt_load(vcpu, entries);
	pvm_switcher_take_ldt(cpus[0], &svcpu);
}

static void make_vcpu(void)
{
	cr_assert_eq(pvm_switcher_vm_ldts(&vm, COUNT), PVM_OK);
	cr_assert_eq(pvm_switcher_vcpu_init(&svcpu, &vm, vcpu), PVM_OK);
}

Test(switcher_ldt, M1_S6_the_spare_table_is_one_page_of_harmless_entries)
{
	uint64_t offset, first;
	const uint64_t *entry;
	unsigned i;

	cr_assert_eq(leaf(config.ldt_va), 0, "a VM without LDTs has no place for them");
	make_vcpu();
	first = leaf(config.ldt_va);
	cr_expect_eq(first & (PVM_PTE_P | PVM_PTE_W | PVM_PTE_U | PVM_PTE_NX), PVM_PTE_P | PVM_PTE_NX);
	for (offset = 0; offset < LDT_SIZE; offset += PVM_PAGE_SIZE)
		cr_expect_eq(leaf(config.ldt_va + offset), first, "M1");
	for (i = 0, entry = host_table(first & PVM_PTE_ADDR_MASK); i < 512; i++) {
		cr_expect_eq(entry[i], pvm_ldt_rectify(entry[i]), "S6");
		cr_expect_eq(entry[i] & PVM_DESC_RW, 0);
	}
}

Test(switcher_ldt, M1_S6_an_ldt_is_shown_read_only_and_taken_away)
{
	unsigned i;

	make_vcpu();
	load(513);
	for (i = 0; i < PVM_LDT_PAGES; i++) {
		uint64_t entry = leaf(table(1) + i * PVM_PAGE_SIZE);

		cr_expect_eq(entry & PVM_PTE_ADDR_MASK, i < 2 ? vcpu->ldt->page[i].pa.v : 0);
		cr_expect_eq(entry & (PVM_PTE_P | PVM_PTE_W | PVM_PTE_U | PVM_PTE_NX),
			     i < 2 ? PVM_PTE_P | PVM_PTE_NX : 0, "M1, S6: page %u", i);
		cr_expect_eq(leaf(table(0) + i * PVM_PAGE_SIZE) | leaf(table(2) + i * PVM_PAGE_SIZE), 0);
	}
	cr_expect(svcpu.special & SPECIAL_LDT);
	load(8192);
	cr_expect_eq(leaf(table(1) + 15 * PVM_PAGE_SIZE) & PVM_PTE_ADDR_MASK, vcpu->ldt->page[15].pa.v);
	pvm_switcher_vcpu_destroy(&svcpu);
	for (i = 0; i < PVM_LDT_PAGES; i++)
		cr_expect_eq(leaf(table(1) + i * PVM_PAGE_SIZE), 0);
}

static uint64_t base_of(const uint64_t *entry)
{
	return (entry[0] >> 16 & 0xffffff) | (entry[0] >> 56) << 24 | entry[1] << 32;
}

Test(switcher_ldt, S6_descriptors_name_the_vcpus_table_to_its_end)
{
	const uint64_t *entry = &cpus[0]->gdt[LDT_SEL >> 3];

	make_vcpu();
	load(3);
	cr_expect_eq(base_of(entry), table(1));
	cr_expect_eq(entry[0] & 0xffff, 3 * 8 - 1);
	cr_expect_eq(entry[0] >> 40 & 0xff, 0x82, "present, DPL 0, an LDT");
	cr_expect_eq(entry[0] >> 48 & 0xff, 0);
	load(8192);
	cr_expect_eq(entry[0] & 0xffff, 0xffff);
	pvm_switcher_set_spare_ldt(cpus[0]);
	cr_expect_eq(base_of(entry + 2), config.ldt_va);
	cr_expect_eq(entry[2] & 0xffff, 0xffff);
	cr_expect_eq(entry[2] >> 40 & 0xff, 0x82);
	pvm_switcher_vcpu_destroy(&svcpu);
}

Test(switcher_ldt, one_without_pays_nothing)
{
	make_vcpu();
	svcpu.special = SPECIAL_LDT;
	pvm_switcher_take_ldt(cpus[0], &svcpu);
	cr_expect_eq(svcpu.special, 0);
	vcpu->seg[PVM_ES] = SEL(5);	/* of one that is gone */
	pvm_switcher_take_ldt(cpus[0], &svcpu);
	cr_expect_eq(svcpu.special, SPECIAL_LDT);
	cr_expect_eq(vcpu->seg[PVM_ES], SEL(5));
	pvm_switcher_vcpu_destroy(&svcpu);
}

Test(switcher_ldt, M11_no_memory_and_no_place_are_refused)
{
	int left;

	cr_expect_eq(pvm_switcher_vcpu_init(&svcpu, &vm, vcpu), PVM_EINVAL, "no place was made");
	cr_expect_eq(pvm_switcher_vm_ldts(&vm, PVM_SWITCHER_LDTS + 1), PVM_EINVAL);
	for (left = 0; left < 2; left++) {
		pages_left = left;
		cr_expect_eq(pvm_switcher_vm_ldts(&vm, COUNT), PVM_ENOMEM, "%d", left);
		cr_expect_eq(vm.ldts, 0);
	}
	pages_left = -1;
	cr_expect_eq(pvm_switcher_vm_ldts(&vm, 1), PVM_OK);
	cr_expect_eq(pvm_switcher_vm_ldts(&vm, 1), PVM_EINVAL, "once");
	cr_expect_eq(pvm_switcher_vcpu_init(&svcpu, &vm, vcpu), PVM_EINVAL, "it is beyond them");
	switcher.config.ldt_va = 0;
	vm.ldts = 0;
	cr_expect_eq(pvm_switcher_vm_ldts(&vm, 1), PVM_EINVAL);
}

/* ------------------------------------------------------------------------
 * Configurations.
 */

static void refused(const char *what)
{
	struct pvm_switcher_cpu *none[HOST_CPUS] = { NULL };
	struct pvm_switcher_ops ops = *switcher.ops;
	struct pvm_switcher other;
	const char *why = NULL;

	cr_expect_eq(pvm_switcher_init(&other, &config, &ops, NULL, none, HOST_CPUS, &why), PVM_EINVAL);
	cr_assert_not_null(why, "%s", what);
	cr_expect_not_null(strstr(why, what), "%s", why);
	config = host_config();
	config.ldt_sel = LDT_SEL;
	config.ldt_va = config.window_va + LDT_OFFSET;
}

Test(switcher_ldt, S9_names_an_ldt_that_has_no_place)
{
	config.ldt_sel = LDT_SEL + 3;
	refused("ldt_sel: no four");
	config.ldt_sel = 29 << 3;
	refused("ldt_sel: no four");
	config.ldt_sel = 9 << 3;		/* to 12, the first of the TLS */
	refused("ldt_sel: the entries");
	config.ldt_sel = 6 << 3;		/* to 9: the TSS, and user_cs */
	refused("ldt_sel: the entries");
	config.tss_sel = 20 << 3;
	config.ldt_sel = 21 << 3;
	refused("ldt_sel: the entries");
	config.ldt_va = 0;
	refused("ldt_va, ldt_sel");
	config.ldt_sel = 0;
	refused("ldt_va, ldt_sel");
	config.ldt_va += 8;
	refused("ldt_va, ldt_sel");
	config.ldt_va ^= 1ull << 39;
	refused("ldt_va: not in");
	config.ldt_va |= (1ull << 39) - PVM_PAGE_SIZE;
	refused("ldt_va: not in");
	config.ldt_va = config.window_va + (HOST_WINDOWS - 1) * PVM_PAGE_SIZE;
	refused("ldt_va: something");
	config.ldt_va = config.window_va - LDT_SIZE;
	refused("ldt_va: something");
	config.ldt_va = (uint64_t)(uintptr_t)pvm_switcher_text_start & ~(PVM_PAGE_SIZE - 1);
	refused("ldt_va: something");
}
