/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The test VM: its host operations, memory and tables. Not on tests/support/test_host.c: that
 * one hands out addresses that no CPU can walk, and wants a C library; here the CPU itself
 * walks the engine's pages, and flushes go to the switcher.
 */
#include "test_vm.h"

#include <pvm/exit.h>
#include <pvm/mmu.h>
#include <pvm/xen.h>

#include "cpu.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "trap.h"

#define PCID_FIRST	16
#define PCID_COUNT	64
#define KICKS_MAX	1000		/* in a row: no one kicks here */

struct test_vm test;
static struct pvm_switcher switcher;
static struct pvm_switcher_cpu *areas[1];
static uint64_t random_state;
uint64_t *test_writable_gdt;
static uint64_t replaced_gfn = ~0ull;
static void *replacement;

/* ------------------------------------------------------------------------
 * Host operations.
 */

static int op_page_alloc(void *host, struct pvm_host_page *page)
{
	(void)host;
	page->va = page_alloc();
	if (!page->va)
		return PVM_ENOMEM;
	page->pa = pvm_hpa(virt_to_phys(page->va));
	return PVM_OK;
}

static int op_vm_page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	(void)sleep;
	return op_page_alloc(host, page);
}

static void op_page_free(void *host, struct pvm_host_page page)
{
	(void)host;
	page_free(page.va);
}

static void *op_page_va(void *host, pvm_hpa_t pa)
{
	(void)host;
	return phys_to_virt(pa.v);
}

static void *op_gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	(void)host, (void)write;
	if (gfn.v == replaced_gfn)
		return replacement;
	return gfn.v < MEMORY_SIZE / PVM_PAGE_SIZE ? test.memory + gfn.v * PVM_PAGE_SIZE : NULL;
}

static int op_gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			   struct pvm_frame *frame)
{
	void *va = op_gfn_to_va(host, gfn, write);

	(void)sleep;
	if (!va)
		return PVM_ENOENT;
	*frame = (struct pvm_frame){ pvm_hpa(virt_to_phys(va)), 1, true, false };
	return PVM_OK;
}

static int op_pin(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	*va = op_gfn_to_va(host, gfn, true);
	*pa = pvm_hpa(*va ? virt_to_phys(*va) : PVM_INVALID_ADDR);
	return *va ? PVM_OK : PVM_ENOENT;
}

static void op_unpin(void *host, pvm_gfn_t gfn, void *va)
{
	(void)host, (void)gfn, (void)va;
}

static void op_flush(void *host, const struct pvm_tlb_flush *flush)
{
	(void)host;
	pvm_switcher_flush(&test.svm, flush);
}

static void op_lock(void *host)
{
	(void)host;
}

/* Its time stands still. */
static void op_clock(void *host, struct pvm_clock *clock)
{
	(void)host;
	*clock = (struct pvm_clock){ .mul = 1u << 31, .stable = true };
}

static void op_set_timer(void *host, struct pvm_vcpu *vcpu, uint64_t ns)
{
	(void)host, (void)vcpu, (void)ns;
}

static void op_kick_vcpu(void *host, struct pvm_vcpu *vcpu)
{
	(void)host, (void)vcpu;
}

static const struct pvm_host_ops host_ops = {
	.page_alloc = op_vm_page_alloc,
	.page_free = op_page_free,
	.page_va = op_page_va,
	.gfn_to_frame = op_gfn_to_frame,
	.gfn_to_va = op_gfn_to_va,
	.pin = op_pin,
	.unpin = op_unpin,
	.tlb_flush = op_flush,
	.mmu_lock = op_lock,
	.mmu_unlock = op_lock,
	.clock = op_clock,
	.set_timer = op_set_timer,
	.kick = op_kick_vcpu,
};

static pvm_hpa_t op_va_to_pa(void *host, const void *va)
{
	(void)host;
	return pvm_hpa(virt_to_phys(va));
}

static void op_kick(void *host, uint32_t cpu)
{
	(void)host, (void)cpu;
	fail("one CPU, and it kicks itself");
}

static uint64_t *op_gdt(void *host)
{
	(void)host;
	return test_writable_gdt ? test_writable_gdt : this_cpu()->gdt;
}

uint64_t test_hosts_fault;

static bool op_owns_fault(void *host, uint64_t cr2)
{
	bool is_hosts = test_hosts_fault && test_hosts_fault == cr2;

	(void)host;
	test_hosts_fault = 0;
	return is_hosts;
}

static const struct pvm_switcher_ops switcher_ops = {
	.owns_fault = op_owns_fault,
	.page_alloc = op_page_alloc,
	.page_free = op_page_free,
	.va_to_pa = op_va_to_pa,
	.kick = op_kick,
	.gdt = op_gdt,
};

/* ------------------------------------------------------------------------
 * The machine.
 */

static void init_switcher(void)
{
	struct pvm_switcher_config config = {
		.host_cs = KERNEL_CS,
		.host_ss = KERNEL_DS,
		.user32_cs = USER32_CS,
		.user_ds = USER_DS,
		.user_cs = USER_CS,
		.tls_index = TLS_INDEX,
		.cpunode_sel = CPUNODE_SEL,
		.tss_sel = SWITCHER_TSS_SEL,
		.ldt_sel = SWITCHER_LDT_SEL,
		.meltdown_accepted = true,
		.pcid_first = PCID_FIRST,
		.pcid_count = PCID_COUNT,
		.window_va = image_address(WINDOWS_OFFSET),
		.window_count = 1,
		.ldt_va = image_address(LDTS_OFFSET),
	};
	uint64_t area = image_address(AREAS_OFFSET), offset;
	const char *why;

	pvm_switcher_detect(&config.features);
	/* S10: those that an emulator can do show that they are harmless where they are. */
	config.features.mitigations |= (uint32_t)option_number("mitigations", 0);
	if (pvm_switcher_init(&switcher, &config, &switcher_ops, NULL, areas, 1, &why) != PVM_OK)
		fail("switcher: %s", why);
	for (offset = 0; offset < PVM_SWITCHER_AREA_USED; offset += PVM_PAGE_SIZE)
		memory_map(area + offset, virt_to_phys(page_alloc()), PVM_PTE_W | PVM_PTE_NX);
	if (pvm_switcher_cpu_init(&switcher, (void *)area, 0, &why) != PVM_OK)
		fail("switcher: %s", why);
	test.cpu = areas[0];
	pvm_switcher_load(test.cpu);
	if (pvm_switcher_vm_init(&test.svm, &switcher) != PVM_OK)
		fail("switcher: no memory for a VM");
}

static void put64(uint64_t gpa, uint64_t value)
{
	*(uint64_t *)(test.memory + gpa) = value;
}

/* Six pairs of four-level tables; the last two levels are all one. */
static void build_tables(bool single)
{
	uint64_t leaf = TABLES_GPA, directory = leaf + PVM_PAGE_SIZE, pointers = directory + PVM_PAGE_SIZE;
	uint64_t bits = PVM_PTE_P | PVM_PTE_W | PVM_PTE_U, next = pointers + PVM_PAGE_SIZE;
	uint64_t supervisors = single ? bits & ~PVM_PTE_U : bits;
	unsigned i;

	for (i = 0; i < 512; i++)
		if (i * PVM_PAGE_SIZE < STACK_GPA + 2 * PVM_PAGE_SIZE || i * PVM_PAGE_SIZE == PVCS_GPA)
			put64(leaf + i * 8, i * PVM_PAGE_SIZE | supervisors);
	put64(leaf + USER_GPA / PVM_PAGE_SIZE * 8, USER_GPA | bits);
	put64(directory, leaf | bits);
	put64(pointers, directory | bits);
	for (i = 0; i < 2 * PAIRS; i++, next += PVM_PAGE_SIZE) {
		put64(next, pointers | bits);
		put64(next + 8 * PVM_LEVEL_INDEX(UPPER_BASE, 4), pointers | bits);
		(i & 1 ? test.switch_cr3 : test.cr3)[i / 2] = next;
	}
}

static void put_syscall(uint64_t gpa)
{
	test.memory[gpa] = 0x0f;
	test.memory[gpa + 1] = 0x05;
}

static void init_vm(enum pvm_abi abi)
{
	struct pvm_vm_config config = {
		.abi = abi,
		.host_la57 = cpu_features.la57,
		.host_nx = true,
		.host_pke = cpu_features.pke,
		.host_umip = cpu_features.umip,
		.host_osxsave = cpu_features.xsave,
		.host_maxphyaddr = cpu_features.maxphyaddr,
		.guest_maxphyaddr = cpu_features.maxphyaddr,
		.user32_cs = USER32_CS,
		.user_cs = USER_CS,
		.user_ds = USER_DS,
		.cpunode_sel = CPUNODE_SEL,
		.tls_index = TLS_INDEX,
		.kernel_cs = KERNEL_CS,
		.kernel_ds = KERNEL_DS,
		.range = { IMAGE_SLOT + 1, 509, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE },
		.switcher_slot = switcher.slot,
		.switcher_entry = test.svm.entry,
	};
	const char *why;

	if (abi == PVM_ABI_XEN_PV) {
		config.range.pml4_end = PVM_PTES_PER_TABLE;
		config.guest_cr4 = PVM_CR4_GUEST & ~(uint64_t)PVM_CR4_LA57;
		config.xen = (struct pvm_xen_config){ .vcpus = 1, .pages = SHARED_GPA / PVM_PAGE_SIZE,
						      .shared_info = { SHARED_GPA / PVM_PAGE_SIZE } };
	}
	if (pvm_vm_config_check(&config, &why) != PVM_OK)
		fail("VM: %s", why);
	if (pvm_vm_init(&test.vm, &config, &host_ops, &test) != PVM_OK ||
	    pvm_vcpu_init(&test.vcpu, &test.vm, 0) != PVM_OK ||
	    pvm_switcher_vcpu_init(&test.svcpu, &test.svm, &test.vcpu) != PVM_OK)
		fail("VM: no memory");
}

void test_vm_init(void)
{
	bool single = option_number("single", 0), xen = option_number("xen", 0);

	init_switcher();
	test.memory = memory_take(MEMORY_SIZE);
	if (!test.memory)
		fail("no guest memory");
	build_tables(single);
	put_syscall(USER_SYSCALL);
	put_syscall(RETU_SYSCALL);
	put_syscall(RETS_SYSCALL);
	put_syscall(HYPERCALL);
	init_vm(xen ? PVM_ABI_XEN_PV : single ? PVM_ABI_SINGLE_CR3 : PVM_ABI_DUAL_CR3);
	test.vcpu.cr3 = test.cr3[0];
	if (!single)
		test.vcpu.msr.switch_cr3 = test.switch_cr3[0];
	if (xen)
		return;
	if (pvm_msr_write(&test.vcpu, MSR_PVM_VCPU_STRUCT, PVCS_GPA) != PVM_OK)
		fail("no PVCS");
	test.pvcs = test.vcpu.pvcs;
}

void *test_vm_replace(uint64_t gpa)
{
	pvm_mmu_unmap_gfns(&test.vm, pvm_gfn(gpa / PVM_PAGE_SIZE), 1, PVM_MAY_SLEEP);
	replacement = page_alloc();
	replaced_gfn = gpa / PVM_PAGE_SIZE;
	return replacement;
}

void test_vm_run(struct pvm_switcher_exit *exit)
{
	unsigned kicks = 0;
	pvm_hpa_t root;

	do {
		pvm_switcher_clear_request(&test.svcpu);
		if (pvm_mmu_load(&test.vcpu, &root, PVM_MAY_SLEEP) != PVM_OK)
			fail("no root for CR3 %lx", test.vcpu.cr3);
		pvm_switcher_run(test.cpu, &test.svcpu, root, exit);
		pvm_switcher_host_events(test.cpu, exit);
		if (exit->guest.kind == PVM_EXIT_KICK && ++kicks == KICKS_MAX)
			fail("kick after kick at rip %lx", test.vcpu.rip);
		if (exit->guest.kind == PVM_EXIT_FAILED)
			fail("switcher fault: vector %u, error %x, rip %lx", exit->guest.vector,
			     exit->guest.error_code, exit->address);
	} while (exit->guest.kind == PVM_EXIT_INTERRUPT || exit->guest.kind == PVM_EXIT_KICK);
}

void test_seed(uint64_t seed)
{
	random_state = seed;
	print("seed %lu\n", seed);
}

uint64_t test_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dull;
}

uint64_t test_below(uint64_t limit)
{
	return (test_random() >> 11) % limit;
}
