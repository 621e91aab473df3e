/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The start of day (firmware/xen_start.h) as the kernel finds it: by its own registers and its own tables. */
#include "guest.h"

#include <string.h>

#include "xen_start.h"

#define BASE	KERNEL
#define START	(1ull << 20)		/* gpa of the kernel */
#define SIZE	(4 * PVM_PAGE_SIZE)
#define P2M	0x8000000000ull
#define NOWHERE	(~0ull)

static struct pvm_vcpu *vcpu = &g.f.vcpu[0];
static uint8_t initrd[5000];
static struct xen_start start;
static char why[256];

static const char *read_kernel(void *source, void *buffer, uint64_t length, uint64_t offset)
{
	(void)source;
	(void)offset;
	memset(buffer, 0x90, length);
	return NULL;
}

static struct elf_file kernel = {
	.path = "kernel", .size = SIZE, .read = read_kernel, .entry = BASE + START, .start = START,
	.xen = { .has_entry = true, .has_virt_base = true, .has_init_p2m = true, .entry = BASE + START + 0x10,
		 .virt_base = BASE, .init_p2m = P2M },
	.segment_count = 1,
	.segments = { { .vaddr = BASE + START, .paddr = START, .file_size = SIZE, .memory_size = SIZE } },
};

static void prepare(void)
{
	memset(initrd, 0x77, sizeof(initrd));
	start = (struct xen_start){
		.memory = g.f.host.memory, .pages = PAGES, .kernel = &kernel, .initrd = initrd,
		.initrd_size = sizeof(initrd), .command_line = "console=hvc0",
		.shared_info = SHARED_GFN << PVM_PAGE_SHIFT, .console_port = 3,
	};
	why[0] = 0;
}

/* A vCPU that has not run with it. */
static void setup(void)
{
	xen_guest_init(1);
	memset(g.f.host.memory, 0xcc, PAGES << PVM_PAGE_SHIFT);
	prepare();
	cr_assert_eq(xen_start_write(&start, why, sizeof(why)), 0, "%s", why);
	pvm_mmu_unmap_gfns(&g.f.vm, pvm_gfn(0), MEMORY / PVM_PAGE_SIZE, PVM_MAY_SLEEP);
	cr_assert_eq(pvm_cr_write(vcpu, 3, start.cr3), PVM_OK);
	vcpu->rip = start.rip;
	vcpu->gpr[PVM_RSP] = start.rsp;
	vcpu->gpr[PVM_RSI] = start.rsi;
}

TestSuite(start, .init = setup, .fini = xen_guest_fini);

/* Where the kernel's tables lead to; NOWHERE. */
static uint64_t walk(uint64_t gva, uint32_t access)
{
	struct pvm_fault_result result;

	return pvm_mmu_translate(vcpu, pvm_gva(gva), access, false, &result) ? result.gpa.v : NOWHERE;
}

static const struct pvm_xen_start_info *start_info(void)
{
	return (void *)(g.f.host.memory + walk(start.rsi, PVM_ACCESS_READ));
}

/* What of the kernel's addresses from its base on is mapped, bytes. */
static uint64_t mapped(void)
{
	uint64_t size = 0;

	while (walk(BASE + size, PVM_ACCESS_READ) != NOWHERE)
		size += PVM_PAGE_SIZE;
	return size;
}

/* spec: XC-001 */
Test(start, registers)
{
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, BASE + START + 0x10, "its note's, not its file's");
	cr_expect_eq(walk(vcpu->rip, PVM_ACCESS_EXEC), START + 0x10);
	cr_expect_not(vcpu->user_mode);
	cr_expect_eq(walk(start.rsp - 8, PVM_ACCESS_WRITE) & 0xfff, 0xff8);
	cr_expect_eq(walk(start.rsp - PVM_PAGE_SIZE, PVM_ACCESS_WRITE) & 0xfff, 0);
	cr_expect_neq(walk(start.rsi, PVM_ACCESS_WRITE), NOWHERE);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
}

/* spec: XC-002 */
Test(start, the_start_info)
{
	const struct pvm_xen_start_info *info = start_info();

	cr_expect_str_eq(info->magic, "xen-3.0-x86_64");
	cr_expect_eq(info->nr_pages, PAGES);
	cr_expect_eq(info->shared_info, SHARED_GFN << PVM_PAGE_SHIFT);
	cr_expect_eq(info->console_mfn << PVM_PAGE_SHIFT, start.console);
	cr_expect_eq(info->console_evtchn, 3);
	cr_expect_eq(info->store_mfn << PVM_PAGE_SHIFT, start.store);
	cr_expect_eq(info->store_evtchn, 0, "there is none");
	cr_expect_eq(info->pt_base, BASE + start.cr3);
	cr_expect_eq(info->nr_pt_frames, 5);
	cr_expect_str_eq(info->cmd_line, "console=hvc0");
}

/* spec: XC-003 */
Test(start, what_is_mapped)
{
	const struct pvm_xen_start_info *info = start_info();
	uint64_t size = mapped(), at;

	cr_expect_eq(size % (4ull << 20), 0, "%#lx", size);
	cr_expect_geq(size - (start.rsp - BASE), 512ull << 10);
	for (at = 0; at < size; at += PVM_PAGE_SIZE) {
		bool table = at - start.cr3 < info->nr_pt_frames * PVM_PAGE_SIZE;

		cr_assert_eq(walk(BASE + at, PVM_ACCESS_READ), at);
		cr_assert_not_null(fixture_entry(&g.f, start.cr3, 4, BASE + at, 1), "a page of 4 KiB");
		cr_assert_eq(walk(BASE + at, PVM_ACCESS_WRITE), table ? NOWHERE : at);
	}
}

/* spec: XC-004 */
Test(start, the_initial_ram_disk_is_not_mapped)
{
	const struct pvm_xen_start_info *info = start_info();
	uint64_t at = info->mod_start << PVM_PAGE_SHIFT;

	cr_expect_eq(info->flags, 1u << 3);
	cr_expect_eq(info->mod_len, sizeof(initrd));
	cr_expect_arr_eq(g.f.host.memory + at, initrd, sizeof(initrd));
	cr_expect_geq(at, mapped());
}

/* spec: XC-005 */
Test(start, the_list_of_frames)
{
	const struct pvm_xen_start_info *info = start_info();
	uint64_t n, first = info->first_p2m_pfn << PVM_PAGE_SHIFT;

	cr_expect_eq(info->mfn_list, P2M);
	for (n = 0; n < PAGES; n++) {
		uint64_t at = walk(P2M + n * sizeof(uint64_t), PVM_ACCESS_WRITE);

		cr_assert_eq(at, first + n * sizeof(uint64_t), "its frames are the first of these");
		cr_assert_eq(*(uint64_t *)(g.f.host.memory + at), n);
	}
	cr_expect_eq(first + (info->nr_p2m_frames << PVM_PAGE_SHIFT), start.used);
	cr_expect_eq(*fixture_entry(&g.f, start.cr3, 4, P2M, 4) & PVM_PTE_ADDR_MASK,
		     first + (PAGES * sizeof(uint64_t) + PVM_PAGE_SIZE - 1) / PVM_PAGE_SIZE * PVM_PAGE_SIZE,
		     "and then its tables");
}

static void assert_refused(const struct elf_file *bad, const char *line)
{
	prepare();
	start.kernel = bad;
	cr_assert_eq(xen_start_write(&start, why, sizeof(why)), -1, "%s", line);
	cr_expect_not_null(strstr(why, line), "%s", why);
	cr_expect_null(strchr(why, '\n'));
}

/* spec: XC-007 */
Test(start, kernels_that_are_refused)
{
	struct elf_file bad = kernel;

	bad.xen.has_entry = false;
	assert_refused(&bad, "built without XEN_PV");
	bad = kernel;
	bad.xen.virt_base = BASE + PVM_PAGE_SIZE;
	assert_refused(&bad, "its base");
	bad = kernel;
	bad.xen.entry = BASE - 1;
	assert_refused(&bad, "its entry point");
	bad = kernel;
	bad.xen.init_p2m = BASE;
	assert_refused(&bad, "the list of its frames");
}

/* spec: XC-007 */
Test(start, what_does_not_fit_is_refused)
{
	char line[PVM_XEN_CMDLINE + 1];

	memset(line, 'a', sizeof(line));
	line[PVM_XEN_CMDLINE] = 0;
	prepare();
	start.command_line = line;
	cr_assert_eq(xen_start_write(&start, why, sizeof(why)), -1);
	cr_expect_not_null(strstr(why, "1023 characters"), "%s", why);
	line[PVM_XEN_CMDLINE - 1] = 0;
	cr_expect_eq(xen_start_write(&start, why, sizeof(why)), 0, "%s", why);
	prepare();
	start.pages = 600;
	cr_assert_eq(xen_start_write(&start, why, sizeof(why)), -1);
	cr_expect_not_null(strstr(why, "MiB of memory"), "%s", why);
}
