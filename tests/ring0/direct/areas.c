/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pvm_switcher_cpu_init() at CPL 0: what it refuses, and what of the host's TSS and IDT it
 * keeps. Each area is made and looked at; none is loaded. Prints to COM2.
 */
#include "minivisor.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "test_vm.h"

#include "switcher/area.h"

#define AREA_OFFSET (AREAS_OFFSET + 0x100000)	/* not those of test_vm.c */
#define LAST_VECTOR 255

struct __attribute__((packed)) dtr {
	uint16_t limit;
	uint64_t base;
};

static struct pvm_switcher second;
static struct pvm_switcher_cpu *areas[1];
static struct pvm_switcher_cpu *area;

static void map_area(void)
{
	uint64_t va = image_address(AREA_OFFSET), offset;

	for (offset = 0; offset < PVM_SWITCHER_AREA_USED; offset += PVM_PAGE_SIZE)
		memory_map(va + offset, virt_to_phys(page_alloc()), PVM_PTE_W | PVM_PTE_NX);
	area = (void *)va;
}

static int init_area(const struct pvm_switcher_config *config, void *at, uint32_t id)
{
	const char *why;
	int ret;

	if (pvm_switcher_init(&second, config, test.cpu->switcher->ops, NULL, areas, 1, &why) != PVM_OK)
		return PVM_EINVAL;
	ret = pvm_switcher_cpu_init(&second, at, id, &why);
	if ((ret == PVM_OK) != !why)
		fail("result %d, and why is %s", ret, why ? why : "nothing");
	return ret;
}

/* S9 */
static void the_tss_overlaps_nothing(const struct pvm_switcher_config *config)
{
	const unsigned taken[] = {
		PVM_SEL_INDEX(config->host_cs), PVM_SEL_INDEX(config->host_ss),
		PVM_SEL_INDEX(config->user32_cs), PVM_SEL_INDEX(config->user_ds),
		PVM_SEL_INDEX(config->user_cs), PVM_SEL_INDEX(config->cpunode_sel),
		config->tls_index, config->tls_index + 1, config->tls_index + 2,
		PVM_SEL_INDEX(config->ldt_sel), PVM_SEL_INDEX(config->ldt_sel) + 1,
		PVM_SEL_INDEX(config->ldt_sel) + 2, PVM_SEL_INDEX(config->ldt_sel) + 3,
	};
	struct pvm_switcher_config changed = *config;
	unsigned tss, i;

	for (tss = 1; tss <= SWITCHER_GDT_ENTRIES - 2; tss++) {
		bool overlaps = false;

		for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
			overlaps |= taken[i] == tss || taken[i] == tss + 1;
		changed.tss_sel = (uint16_t)(tss << 3);
		if (init_area(&changed, area, 0) != (overlaps ? PVM_EINVAL : PVM_OK))
			fail("S9: a TSS at entry %u", tss);
	}
	print("the TSS overlaps nothing\n");
}

static void places_are_checked(const struct pvm_switcher_config *config)
{
	uint64_t slot = 1ull << PVM_LEVEL_SHIFT(4);

	if (init_area(config, (uint8_t *)area + PVM_PAGE_SIZE, 0) != PVM_EINVAL ||
	    init_area(config, (void *)((uint64_t)area ^ slot), 0) != PVM_EINVAL ||
	    init_area(config, area, 1) != PVM_EINVAL || init_area(config, area, 0) != PVM_OK)
		fail("S9: the place or the number of an area");
	if (areas[0] != area || area->switcher != &second || area->id != 0)
		fail("the area is not entered");
	print("places are checked\n");
}

/* What entry.S reads and nothing changes. No CPU but some of AMD's shows a wrong switcher_ss. */
static void words_are_the_configurations(const struct pvm_switcher_config *config)
{
	const struct pvm_switcher_features *features = &config->features;
	uint32_t flags = (features->pke ? AREA_PKE : 0) | (features->smap ? AREA_SMAP : 0);
	uint32_t extras = (features->pke ? EXTRA_PKE : 0) | (features->mitigations ? EXTRA_MITIGATE : 0);

	if (init_area(config, area, 0) != PVM_OK)
		fail("an area");
	if (area->self != (uint64_t)&area->frame)
		fail("the area finds itself at %lx", area->self);
	if (area->switcher_ss != config->host_ss || area->user_cs != config->user_cs ||
	    area->user_ds != config->user_ds || area->user_cs_ss >> 16 != config->user_ds ||
	    (uint16_t)area->user_cs_ss != config->user_cs)
		fail("selectors: SS %x, the guest's CS %lx, SS %lx, both %x", area->switcher_ss,
		     area->user_cs, area->user_ds, area->user_cs_ss);
	if (area->flags != flags || area->extras != extras || area->mitigations != features->mitigations)
		fail("flags %x, extras %x, mitigations %x", area->flags, area->extras, area->mitigations);
	if (area->host_noflush != (features->pcid ? 1ull << 63 : 0))
		fail("the host's CR3 is loaded with %lx", area->host_noflush);
	if (area->gs_shift != (features->la57 ? 7 : 16))
		fail("GS base is shifted by %u", area->gs_shift);
	print("words are the configuration's\n");
}

/* S7: whoever used the memory before. */
static void an_area_begins_without_tags(const struct pvm_switcher_config *config)
{
	unsigned i;

	for (i = 0; i < PVM_SWITCHER_TAGS; i++)
		area->tag_root[i].v = area->tag_vm[i] = 0x1000;
	if (init_area(config, area, 0) != PVM_OK)
		fail("an area");
	for (i = 0; i < PVM_SWITCHER_TAGS; i++)
		if (area->tag_root[i].v != PVM_INVALID_ADDR || area->tag_vm[i])
			fail("S7: tag %u is root %lx's", i, area->tag_root[i].v);
	print("an area begins without tags\n");
}

/* The host's IST stacks stay where its own gates name them, ours are in the free ones. */
static void ist_stacks_are_the_hosts_and_ours(const struct pvm_switcher_config *config)
{
	const struct tss *host = &this_cpu()->tss;
	const uint64_t ours[3] = {
		(uint64_t)area->db_stack, (uint64_t)area->mc_stack, (uint64_t)(area->mc_stack + 4096),
	};
	struct switcher_gate *gate;
	unsigned vector, used = 0, i, next = 0;
	struct dtr idtr;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	gate = (struct switcher_gate *)idtr.base;
	for (vector = 0; vector <= LAST_VECTOR; vector++)
		used |= 1u << gate[vector].ist;
	if (init_area(config, area, 0) != PVM_OK)
		fail("an area");
	for (i = 0; i < 7; i++) {
		uint64_t expected = used >> (i + 1) & 1 || next == 3 ? host->ist[i] : ours[next++];

		if (area->tss.ist[i] != expected)
			fail("IST %u is %lx, not %lx", i + 1, area->tss.ist[i], expected);
	}
	print("IST stacks are right, the host uses %x\n", used);
}

void minivisor_main(void)
{
	struct pvm_switcher_config config;
	struct switcher_gate *gate;
	struct dtr idtr;
	uint16_t cpunode_sel;
	unsigned ist;

	test_vm_init();
	pvm_switcher_unload(test.cpu);
	config = test.cpu->switcher->config;
	map_area();
	the_tss_overlaps_nothing(&config);
	cpunode_sel = config.cpunode_sel;
	config.cpunode_sel = 0;		/* none: the entry after the TLS is free */
	the_tss_overlaps_nothing(&config);
	config.cpunode_sel = cpunode_sel;
	places_are_checked(&config);
	words_are_the_configurations(&config);
	an_area_begins_without_tags(&config);
	/* With each further stack named by the very last gate of the host's. */
	__asm__ volatile("sidt %0" : "=m"(idtr));
	gate = (struct switcher_gate *)idtr.base;
	for (ist = 0; ist <= 4; ist++) {
		gate[LAST_VECTOR].ist = (uint8_t)ist;
		ist_stacks_are_the_hosts_and_ours(&config);
	}
	print("all areas are right\n");
	machine_exit(0);
}
