/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host of the switcher's unit tests: see host.h. */
#include "host.h"

#include <criterion/criterion.h>
#include <string.h>

struct pvm_switcher switcher;
struct pvm_switcher_cpu *cpus[HOST_CPUS + 1];
unsigned kicks[HOST_CPUS + 1];
enum host_kick on_kick;
int pages_left;
unsigned pages_live;

static uint8_t areas[HOST_CPUS + 1][PVM_SWITCHER_AREA_SIZE] __attribute__((aligned(PVM_SWITCHER_AREA_SIZE)));
static uint8_t pages[HOST_PAGES][PVM_PAGE_SIZE] __attribute__((aligned(PVM_PAGE_SIZE)));
static bool used[HOST_PAGES];

static int page_alloc(void *host, struct pvm_host_page *page)
{
	(void)host;
	if (!pages_left)
		return PVM_ENOMEM;
	for (unsigned i = 0; i < HOST_PAGES; i++) {
		if (used[i])
			continue;
		used[i] = true;
		pages_left -= pages_left > 0;
		pages_live++;
		memset(pages[i], 0, PVM_PAGE_SIZE);
		*page = (struct pvm_host_page){ .va = pages[i], .pa = { HOST_PA(pages[i]) } };
		return PVM_OK;
	}
	return PVM_ENOMEM;
}

static void page_free(void *host, struct pvm_host_page page)
{
	size_t i = (size_t)((uint8_t *)page.va - pages[0]) / PVM_PAGE_SIZE;

	(void)host;
	cr_assert(i < HOST_PAGES && used[i], "a page that is not out");
	cr_assert_eq(page.pa.v, HOST_PA(page.va));
	memset(page.va, 0xff, PVM_PAGE_SIZE);
	used[i] = false;
	pages_live--;
}

static pvm_hpa_t va_to_pa(void *host, const void *va)
{
	(void)host;
	return pvm_hpa(HOST_PA(va));
}

static void kick(void *host, uint32_t id)
{
	(void)host;
	kicks[id]++;
	if (on_kick == KICK_RUNS_AGAIN) {
		cpus[id]->runs++;
		return;
	}
	cpus[id]->signal = HOST_SIGNAL;
	if (on_kick == KICK_LEAVES)
		cpus[id]->active = NULL;
}

static void relax(void *host)
{
	(void)host;
	if (on_kick == KICK_LEAVES_LATER)
		for (uint32_t i = 0; i < HOST_CPUS - 1; i++)
			if (kicks[i])
				cpus[i]->active = NULL;
}

static const struct pvm_switcher_ops ops = {
	.page_alloc = page_alloc, .page_free = page_free, .va_to_pa = va_to_pa, .kick = kick,
	.relax = relax,
};

uint64_t *host_table(uint64_t pa)
{
	for (unsigned i = 0; i < HOST_PAGES; i++)
		if (used[i] && HOST_PA(pages[i]) == pa)
			return (uint64_t *)pages[i];
	return NULL;
}

struct pvm_switcher_config host_config(void)
{
	uint64_t text = (uint64_t)(uintptr_t)pvm_switcher_text_start;
	uint64_t slot = text & ~((1ull << 39) - 1);

	return (struct pvm_switcher_config){
		.features = { .fsgsbase = true, .syscall = true, .nx = true, .pcid = true },
		.host_cs = 0x10, .host_ss = 0x18,
		.user32_cs = 0x23, .user_ds = 0x2b, .user_cs = 0x33,
		.cpunode_sel = 0x7b, .tls_index = 12, .tss_sel = 0x40,
		.pcid_first = 100, .pcid_count = PVM_SWITCHER_TAGS,
		/* Somewhere else in the slot. */
		.window_va = slot + ((text - slot + (64ull << 30)) & ((1ull << 39) - 1) & ~0x1fffffull),
		.window_count = HOST_WINDOWS,
	};
}

struct pvm_vm host_vm;

void host_agree(struct pvm_vm_config *config)
{
	struct pvm_switcher_config host = host_config();

	config->user32_cs = host.user32_cs;
	config->user_cs = host.user_cs;
	config->user_ds = host.user_ds;
	config->cpunode_sel = host.cpunode_sel;
	config->tls_index = host.tls_index;
	config->host_la57 = host.features.la57;
	config->host_pke = host.features.pke;
	config->host_nx = host.features.nx;
}

void host_init(const struct pvm_switcher_config *config)
{
	const char *why;

	host_agree(&host_vm.config);
	memset(cpus, 0, sizeof(cpus));
	memset(kicks, 0, sizeof(kicks));
	memset(areas, 0, sizeof(areas));
	memset(used, 0, sizeof(used));
	on_kick = KICK_LEAVES;
	pages_left = -1;
	pages_live = 0;
	cr_assert_eq(pvm_switcher_init(&switcher, config, &ops, NULL, cpus, HOST_CPUS, &why), PVM_OK,
		     "%s", why);
	for (uint32_t i = 0; i <= HOST_CPUS; i++) {
		if (i == HOST_CPUS - 1)
			continue;
		cpus[i] = (struct pvm_switcher_cpu *)areas[i];
		cpus[i]->switcher = &switcher;
		cpus[i]->id = i;
		pvm_switcher_void_tags(cpus[i]);
	}
	cpus[HOST_CPUS]->active = NOT_OURS;
	cpus[HOST_CPUS]->loaded = NOT_OURS;
}

void host_activate(uint32_t id, struct pvm_switcher_vcpu *svcpu, bool another_vms)
{
	cpus[id]->active = another_vms ? NOT_OURS : svcpu;
}
