/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The tables below the switcher's slot: walked to their last entry, they hold what
 * they must and nothing else.
 */
#include <criterion/criterion.h>

#include "host.h"

static struct pvm_switcher_vm vm;
static unsigned text_pages, area_pages, window_pages;
static uint64_t alias;			/* the switcher's */

static void start(void)
{
	struct pvm_switcher_config config = host_config();

	host_init(&config);
	text_pages = area_pages = window_pages = 0;
	alias = 0;
}

TestSuite(switcher_slot, .init = start);

static bool within(uint64_t va, const void *start_va, uint64_t size)
{
	return va - (uint64_t)(uintptr_t)start_va < size;
}

static void leaf(uint64_t va, uint64_t entry, uint64_t window_pa)
{
	uint64_t data = PVM_PTE_P | PVM_PTE_W | PVM_PTE_NX;
	uint64_t bits = entry & (data | PVM_PTE_U);

	cr_assert_eq(entry & PVM_PTE_U, 0, "M1: %#lx has the U bit", va);
	va -= alias;
	if (within(va, pvm_switcher_text_start,
		   (uint64_t)(pvm_switcher_text_end - pvm_switcher_text_start))) {
		text_pages++;
		cr_assert_eq(bits, PVM_PTE_P, "text: present, read-only, executable");
		cr_assert_eq(entry & PVM_PTE_ADDR_MASK, HOST_PA(va));
		return;
	}
	cr_assert_eq(bits, data, "%#lx: data is writable and not executable", va);
	if (within(va, (void *)(uintptr_t)(switcher.config.window_va - alias),
		   HOST_WINDOWS * PVM_PAGE_SIZE)) {
		window_pages++;
		cr_assert_eq(entry & PVM_PTE_ADDR_MASK, window_pa);
		return;
	}
	cr_assert(within(va, cpus[0], PVM_SWITCHER_AREA_USED) || within(va, cpus[1], PVM_SWITCHER_AREA_USED),
		  "M2: %#lx is nobody's", va);
	area_pages++;
	cr_assert_eq(entry & PVM_PTE_ADDR_MASK, HOST_PA(va));
}

static void walk(uint64_t va, uint64_t entry, unsigned level, uint64_t window_pa)
{
	const uint64_t *table = host_table(entry & PVM_PTE_ADDR_MASK);

	cr_assert_not_null(table, "an entry above %#lx names no table", va);
	cr_assert_eq(entry & (PVM_PTE_P | PVM_PTE_U), PVM_PTE_P, "M1: a table above %#lx", va);
	for (uint64_t i = 0; i < PVM_PTES_PER_TABLE; i++) {
		uint64_t below = va + (i << PVM_LEVEL_SHIFT(level));

		if (!table[i])
			continue;
		if (level == 1)
			leaf(below, table[i], window_pa);
		else
			walk(below, table[i], level - 1, window_pa);
	}
}

static void check(unsigned levels, uint64_t window_pa)
{
	unsigned shift = PVM_LEVEL_SHIFT(levels);
	uint64_t slot = ((uint64_t)(uintptr_t)pvm_switcher_text_start + alias) >> shift << shift;

	text_pages = area_pages = window_pages = 0;
	walk(slot, vm.entry, levels - 1, window_pa);
	cr_assert_eq(text_pages, (unsigned)(pvm_switcher_text_end - pvm_switcher_text_start) / PVM_PAGE_SIZE);
	cr_assert_eq(area_pages, 2 * PVM_SWITCHER_AREA_USED / PVM_PAGE_SIZE);
}

Test(switcher_slot, M1_M2_S6_only_text_and_areas_without_U_on_4_levels)
{
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	check(4, 0);
	cr_assert_eq(window_pages, 0);
	cr_assert_eq(vm.pml4_entry, 0);
	pvm_switcher_vm_destroy(&vm);
	cr_assert_eq(pages_live, 0);
}

Test(switcher_slot, M1_M2_S6_only_text_and_areas_without_U_on_5_levels)
{
	struct pvm_switcher_config config = host_config();

	config.features.la57 = true;
	host_init(&config);
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	check(5, 0);
	cr_assert_eq(window_pages, 0);
	text_pages = area_pages = 0;
	walk((uint64_t)(uintptr_t)pvm_switcher_text_start >> 39 << 39, vm.pml4_entry, 3, 0);
	cr_assert_eq(text_pages, (unsigned)(pvm_switcher_text_end - pvm_switcher_text_start) / PVM_PAGE_SIZE);
	cr_assert_eq(area_pages, 2 * PVM_SWITCHER_AREA_USED / PVM_PAGE_SIZE);
	pvm_switcher_vm_destroy(&vm);
	cr_assert_eq(pages_live, 0);
}

Test(switcher_slot, M1_M2_S6_the_same_where_text_has_an_alias)
{
	struct pvm_switcher_config config = host_config();
	uint64_t text = (uint64_t)(uintptr_t)pvm_switcher_text_start >> 39 << 39;

	alias = 0xffff878000000000 - text;
	config.alias = alias;
	config.window_va += alias;
	host_init(&config);
	cr_assert_eq(switcher.slot, 271);
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	check(4, 0);
	pvm_switcher_vm_destroy(&vm);
}

Test(switcher_slot, S6_the_area_of_a_CPU_that_comes_later_is_there)
{
	struct pvm_switcher_config config = host_config();
	struct pvm_switcher_cpu *late;

	config.areas = cpus[0];
	host_init(&config);
	late = cpus[1];
	cr_assert_eq((char *)late - (char *)cpus[0], PVM_SWITCHER_AREA_SIZE, "one after the other");
	cpus[1] = NULL;
	switcher.cpu_count = 2;
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	cpus[1] = late;
	check(4, 0);
	pvm_switcher_vm_destroy(&vm);
}

Test(switcher_slot, M1_S8_a_window_shows_one_page_and_then_none_and_voids_tags)
{
	uint64_t before;

	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	before = vm.tags_gen;
	pvm_switcher_map_window(&vm, HOST_WINDOWS - 1, pvm_hpa(0x123456000));
	check(4, 0x123456000);
	cr_assert_eq(window_pages, 1);
	cr_assert_gt(vm.tags_gen, before, "S7: an older window may be in a TLB");
	before = vm.tags_gen;
	pvm_switcher_map_window(&vm, HOST_WINDOWS - 1, pvm_hpa(PVM_INVALID_ADDR));
	check(4, 0);
	cr_assert_eq(window_pages, 0);
	cr_assert_gt(vm.tags_gen, before);
	pvm_switcher_vm_destroy(&vm);
}

/* The windows' tables are there from the start: showing a page cannot fail. Two tables, of which
 * the first has one window, and one that is just full. */
Test(switcher_slot, M11_S8_showing_a_page_takes_no_memory)
{
	static const unsigned before_the_edge[] = { 1, HOST_WINDOWS };
	struct pvm_switcher_config config = host_config();
	uint64_t edge = config.window_va + PVM_LEVEL_SIZE(2);
	unsigned live = 0;

	for (unsigned n = 0; n < 2; n++) {
		config.window_va = edge - before_the_edge[n] * PVM_PAGE_SIZE;
		host_init(&config);
		cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
		cr_assert(!n || pages_live == live - 1, "%u pages, and no window but in one table", pages_live);
		live = pages_live;
		pages_left = 0;
		for (unsigned i = 0; i < HOST_WINDOWS; i++)
			pvm_switcher_map_window(&vm, i, pvm_hpa(0x123456000));
		check(4, 0x123456000);
		cr_assert_eq(window_pages, HOST_WINDOWS);
		pvm_switcher_vm_destroy(&vm);
		cr_assert_eq(pages_live, 0);
		cr_assert_eq(vm.entry, 0);
		pvm_switcher_vm_destroy(&vm);	/* nothing is left to give back */
	}
}

Test(switcher_slot, M11_no_memory_at_any_page_leaks_nothing)
{
	int n = 0;

	do {
		pages_left = n++;
		if (pvm_switcher_vm_init(&vm, &switcher) == PVM_OK)
			break;
		cr_assert_eq(pages_live, 0, "with %d pages", n - 1);
	} while (n < HOST_PAGES);
	cr_assert_gt(n, 4);
	cr_assert_lt(n, HOST_PAGES);
	pvm_switcher_vm_destroy(&vm);
	cr_assert_eq(pages_live, 0);
}

Test(switcher_slot, S9_a_vm_that_knows_another_gdt_or_cpu_is_refused)
{
	struct pvm_switcher_vcpu svcpu;
	struct pvm_vcpu vcpu = { .vm = &host_vm };
	struct pvm_vm_config *config = &host_vm.config;

	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
#define REFUSED(field, wrong) do { \
		host_agree(config); \
		config->field = wrong; \
		cr_expect_eq(pvm_switcher_vcpu_init(&svcpu, &vm, &vcpu), PVM_EINVAL, #field); \
	} while (0)
	REFUSED(user32_cs, 0x1b);
	REFUSED(user_cs, 0x1b);
	REFUSED(user_ds, 0x1b);
	REFUSED(cpunode_sel, 0);
	REFUSED(tls_index, 6);
	REFUSED(host_la57, true);
	REFUSED(host_pke, true);
	REFUSED(host_nx, false);
	cr_assert_null(vm.vcpus);
	host_agree(config);
	pvm_switcher_vm_destroy(&vm);
}

Test(switcher_slot, a_vcpu_without_a_window_is_refused)
{
	struct pvm_switcher_vcpu svcpu;
	struct pvm_vcpu vcpu = { .id = HOST_WINDOWS, .vm = &host_vm };

	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	cr_assert_eq(pvm_switcher_vcpu_init(&svcpu, &vm, &vcpu), PVM_EINVAL);
	vcpu.id--;
	cr_assert_eq(pvm_switcher_vcpu_init(&svcpu, &vm, &vcpu), PVM_OK);
	cpus[1]->loaded = cpus[HOST_CPUS]->loaded = &svcpu;
	pvm_switcher_vcpu_destroy(&svcpu);
	cr_assert_null(cpus[1]->loaded, "what is gone is nobody's");
	cr_assert_eq(cpus[HOST_CPUS]->loaded, &svcpu, "no CPU of this switcher");
	cr_assert_null(vm.vcpus);
	pvm_switcher_vm_destroy(&vm);
}
