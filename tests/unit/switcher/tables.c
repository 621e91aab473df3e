/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_switcher_make_tables(): a CPU's IDT, GDT and TSS from tables of a host made up here. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"

/* Bits in each of the three parts that a descriptor keeps of it. */
#define TSS_AT		0x1212a9800000ull	/* and where AddressSanitizer has nothing */
#define TSS_ENTRY	8
#define DESC_AT_CPUNODE	0x0040f5000000abcdull

static struct pvm_switcher_cpu *cpu;
static struct switcher_tss *tss;
static uint64_t gdt[32];
static struct switcher_gate idt[256];
static struct switcher_host_tables host;

static void start(void)
{
	struct pvm_switcher_config config = host_config();

	host_init(&config);
	cpu = cpus[1];
	tss = mmap((void *)TSS_AT, PVM_PAGE_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	cr_assert_eq((uintptr_t)tss, TSS_AT);
	for (unsigned i = 0; i < 7; i++)
		tss->ist[i] = 0x1000 * (i + 1);
	memset(idt, 0, sizeof(idt));
	gdt[15] = DESC_AT_CPUNODE;
	gdt[TSS_ENTRY] = (sizeof(*tss) - 1) | (TSS_AT & 0xffffff) << 16 | 0x8bull << 40 |
			 (TSS_AT >> 24 & 0xff) << 56;
	gdt[TSS_ENTRY + 1] = TSS_AT >> 32;
	host = (struct switcher_host_tables){
		.gdtr = { sizeof(gdt) - 1, (uint64_t)(uintptr_t)gdt },
		.idtr = { sizeof(idt) - 1, (uint64_t)(uintptr_t)idt },
		.tr = TSS_ENTRY << 3,
	};
}

TestSuite(switcher_tables, .init = start);

static void make(void)
{
	const char *why = "";

	cr_assert_eq(pvm_switcher_make_tables(cpu, &host, &why), PVM_OK, "%s", why);
}

static uint64_t top(const uint8_t *stack)
{
	return (uint64_t)(uintptr_t)stack + 4096;
}

Test(switcher_tables, S12_our_stacks_take_the_first_three_places_that_are_free)
{
	idt[2].ist = 1, idt[8].ist = 3;
	make();
	cr_expect_eq(cpu->tss.ist[0], 0x1000, "the host's");
	cr_expect_eq(cpu->tss.ist[1], top(cpu->nmi_stack));
	cr_expect_eq(cpu->tss.ist[2], 0x3000, "the host's");
	cr_expect_eq(cpu->tss.ist[3], top(cpu->db_stack));
	cr_expect_eq(cpu->tss.ist[4], top(cpu->mc_stack));
	cr_expect_eq(cpu->tss.ist[5], 0x6000, "what is not needed stays");
	cr_expect_eq(cpu->tss.ist[6], 0x7000);
	cr_expect_eq(cpu->idt[PVM_VEC_NMI].ist, 2);
	cr_expect_eq(cpu->idt[PVM_VEC_DB].ist, 4);
	cr_expect_eq(cpu->idt[PVM_VEC_MC].ist, 5);
	cr_expect_eq(cpu->idt[PVM_VEC_DF].ist, 5);
	cr_expect_eq(cpu->idt[PVM_VEC_PF].ist, 0);
}

/* Linux's gate of #VC has a stack on every machine, and needs it on SEV-ES guests alone. */
Test(switcher_tables, S12_the_stack_of_VC_is_free)
{
	idt[2].ist = 1, idt[8].ist = 2, idt[1].ist = 3, idt[18].ist = 4, idt[29].ist = 5;
	make();
	cr_expect_eq(cpu->tss.ist[3], 0x4000, "the host's");
	cr_expect_eq(cpu->tss.ist[4], top(cpu->nmi_stack));
	cr_expect_eq(cpu->tss.ist[5], top(cpu->db_stack));
	cr_expect_eq(cpu->tss.ist[6], top(cpu->mc_stack));
}

Test(switcher_tables, S12_a_gate_of_any_vector_names_a_stack)
{
	idt[0].ist = 1;
	idt[255].ist = 2;
	make();
	cr_expect_eq(cpu->tss.ist[0], 0x1000);
	cr_expect_eq(cpu->tss.ist[1], 0x2000);
	cr_expect_eq(cpu->idt[PVM_VEC_NMI].ist, 3);
}

Test(switcher_tables, S12_gates_after_the_limit_are_none)
{
	idt[32].ist = 1;
	host.idtr.limit = 33 * sizeof(idt[0]) - 1;
	make();
	cr_expect_eq(cpu->idt[PVM_VEC_NMI].ist, 2, "the last gate counts");
	host.idtr.limit--;
	make();
	cr_expect_eq(cpu->idt[PVM_VEC_NMI].ist, 1, "half a gate is none");
}

Test(switcher_tables, S9_fewer_than_three_free_places_are_refused)
{
	const char *why = NULL;

	for (uint8_t i = 0; i < 5; i++)
		idt[i].ist = i + 1;
	cr_assert_eq(pvm_switcher_make_tables(cpu, &host, &why), PVM_ENOSYS);
	cr_assert_not_null(strstr(why, "three free IST entries"));
	idt[4].ist = 0;
	make();
	cr_expect_eq(cpu->tss.ist[6], top(cpu->mc_stack), "the last is used, too");
}

Test(switcher_tables, without_a_TSS_all_places_are_free)
{
	host.tr = 0;
	make();
	cr_expect_eq(cpu->tss.ist[0], top(cpu->nmi_stack));
	cr_expect_eq(cpu->tss.ist[3], 0);
	cr_expect_eq(cpu->tss.io_bitmap, sizeof(struct switcher_tss), "no port is the guest's");
	cr_expect_eq(cpu->tss.rsp[0], (uint64_t)(uintptr_t)(&cpu->frame + 1));
}

Test(switcher_tables, S5_the_GDT_has_the_hosts_selectors)
{
	uint64_t base = (uint64_t)(uintptr_t)&cpu->tss;

	make();
	cr_expect_eq(cpu->gdt[2], 0x00af9b000000ffffull, "CPL 0, 64 bits");
	cr_expect_eq(cpu->gdt[3], 0x00cf93000000ffffull);
	cr_expect_eq(cpu->gdt[4], 0x00cffb000000ffffull, "CPL 3, 32 bits");
	cr_expect_eq(cpu->gdt[5], 0x00cff3000000ffffull);
	cr_expect_eq(cpu->gdt[6], 0x00affb000000ffffull, "CPL 3, 64 bits");
	cr_expect_eq(cpu->cpunode, DESC_AT_CPUNODE, "until a guest has its own");
	cr_expect_eq((cpu->gdt[8] >> 16 & 0xffffff) | (cpu->gdt[8] >> 56) << 24 | cpu->gdt[9] << 32, base);
	cr_expect_eq(cpu->gdt[8] >> 40 & 0xff, 0x89, "a TSS that is not busy");
	cr_expect_eq(cpu->gdt[8] & 0xffff, sizeof(struct switcher_tss) - 1);
}

Test(switcher_tables, S5_CPL_3_may_use_three_gates)
{
	make();
	for (unsigned vector = 0; vector < 256; vector++) {
		bool open = vector == PVM_VEC_BP || vector == PVM_VEC_OF || vector == 0x80;

		cr_expect_eq(cpu->idt[vector].type, open ? 0xee : 0x8e, "vector %u", vector);
		cr_expect_eq(cpu->idt[vector].selector, switcher.config.host_cs);
	}
}

Test(switcher_tables, S9_names_what_is_wrong_with_an_area)
{
	char *area = (char *)cpus[1];

	cr_assert_null(pvm_switcher_bad_area(&switcher, area, HOST_CPUS - 1));
	cr_assert_not_null(strstr(pvm_switcher_bad_area(&switcher, area, HOST_CPUS), "cpu_count"));
	cr_assert_not_null(strstr(pvm_switcher_bad_area(&switcher, area + PVM_SWITCHER_AREA_SIZE / 2, 1),
				  "aligned"));
	cr_assert_not_null(strstr(pvm_switcher_bad_area(&switcher, area + (1ull << 39), 1), "512 GiB"));
	switcher.config.features.la57 = true;	/* then, too: pvm_switcher_vm::pml4_entry leads to all */
	cr_assert_not_null(strstr(pvm_switcher_bad_area(&switcher, area + (1ull << 39), 1), "512 GiB"));
}

static uint64_t gate_address(const struct switcher_gate *gate)
{
	return gate->offset0 | (uint64_t)gate->offset1 << 16 | (uint64_t)gate->offset2 << 32;
}

static uint64_t tss_base(const uint64_t *entry)
{
	return (entry[0] >> 16 & 0xffffff) | (entry[0] >> 56) << 24 | entry[1] << 32;
}

/* Whatever the CPU finds in a guest's tables is found at the alias; the host's own stacks are not. */
Test(switcher_tables, all_addresses_of_ours_have_the_alias)
{
	const uint64_t alias = 0x7f0000000000;
	const uint64_t *entry;

	cpu->alias = alias;
	idt[2].ist = 1;
	make();
	entry = &cpu->gdt[switcher.config.tss_sel >> 3];
	cr_expect_eq(cpu->tss.rsp[0], (uint64_t)(uintptr_t)(&cpu->frame + 1) + alias);
	cr_expect_eq(cpu->tss.ist[0], 0x1000, "the host's");
	cr_expect_eq(cpu->tss.ist[1], top(cpu->nmi_stack) + alias);
	cr_expect_eq(cpu->tss.ist[3], top(cpu->mc_stack) + alias);
	cr_expect_eq(cpu->gdtr.base, (uint64_t)(uintptr_t)cpu->gdt + alias);
	cr_expect_eq(cpu->idtr.base, (uint64_t)(uintptr_t)cpu->idt + alias);
	cr_expect_eq(gate_address(&cpu->idt[PVM_VEC_NMI]), (uint64_t)(uintptr_t)pvm_switcher_nmi + alias);
	cr_expect_eq(tss_base(entry), (uint64_t)(uintptr_t)&cpu->tss + alias);
}
