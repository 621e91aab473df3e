/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The start of day of a Xen PV kernel; see xen_start.h. All addresses that a kernel's file gives are
 * bad input: what does not lie in one GiB from its base on is refused.
 */
#include "xen_start.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <pvm/x86.h>

#define MAGIC		"xen-3.0-x86_64"
#define BOUNDARY	(4ull << 20)	/* where the mapped part ends */
#define SPARE		(512ull << 10)	/* and how much of it is free at least */
#define MAPPED_MAX	(1ull << 30)
#define HYPERCALL_SIZE	32		/* bytes of each in a hypercall page */
#define ENTRIES_PER_PAGE (PVM_PAGE_SIZE / sizeof(uint64_t))
/* A and D are set already: a shadow of these entries is whole at once. */
#define TABLE_BITS	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U | PVM_PTE_A | PVM_PTE_D)
#define PAGE_BITS	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_A | PVM_PTE_D)

struct layout {
	struct xen_start *start;
	char *why;
	size_t why_size;
	uint64_t next;			/* gpa of the next free page */
};

__attribute__((format(printf, 2, 3)))
static int refuse(const struct layout *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->why, l->why_size, format, args);
	va_end(args);
	return -1;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) & ~(unit - 1);
}

static uint64_t memory_size(const struct layout *l)
{
	return l->start->pages << PVM_PAGE_SHIFT;
}

/* @pages zeroed pages at *@gpa. */
static int take(struct layout *l, uint64_t pages, uint64_t *gpa)
{
	if (pages > l->start->pages || l->next > memory_size(l) - (pages << PVM_PAGE_SHIFT))
		return refuse(l, "%s: %llu MiB of memory are too few for it and what it finds at its start",
			      l->start->kernel->path, (unsigned long long)memory_size(l) >> 20);
	*gpa = l->next;
	l->next += pages << PVM_PAGE_SHIFT;
	memset(l->start->memory + *gpa, 0, pages << PVM_PAGE_SHIFT);
	return 0;
}

static uint64_t *entry_at(const struct layout *l, uint64_t table, uint64_t index)
{
	return (uint64_t *)(l->start->memory + table) + index;
}

/* ------------------------------------------------------------------------
 * The kernel.
 */

static uint64_t end_of_kernel(const struct elf_file *kernel)
{
	uint64_t end = 0;
	unsigned i;

	for (i = 0; i < kernel->segment_count; i++) {
		const struct elf_file_segment *segment = &kernel->segments[i];

		if (segment->paddr + segment->memory_size > end)
			end = segment->paddr + segment->memory_size;
	}
	return round_up(end, PVM_PAGE_SIZE);
}

int xen_start_check(const struct elf_file *kernel, char *why, size_t why_size)
{
	const struct layout unlaid = { .why = why, .why_size = why_size }, *l = &unlaid;
	uint64_t base = kernel->xen.virt_base;
	unsigned i;

	if (!kernel->xen.has_entry || !kernel->xen.has_virt_base)
		return refuse(l, "%s: a kernel that cannot be a Xen PV guest: it is built without XEN_PV",
			      kernel->path);
	if (base & (MAPPED_MAX - 1) || base >> 47 != 0x1ffff)
		return refuse(l, "%s: its base 0x%llx is not a whole GiB of the upper half", kernel->path,
			      (unsigned long long)base);
	if (kernel->xen.entry - base >= MAPPED_MAX)
		return refuse(l, "%s: its entry point 0x%llx is not in the GiB from 0x%llx on", kernel->path,
			      (unsigned long long)kernel->xen.entry, (unsigned long long)base);
	if (!kernel->xen.has_init_p2m || kernel->xen.init_p2m & (PVM_LEVEL_SIZE(4) - 1) ||
	    kernel->xen.init_p2m >> 47)
		return refuse(l, "%s: does not say where it wants the list of its frames", kernel->path);
	for (i = 0; i < kernel->segment_count; i++)
		if (kernel->segments[i].paddr + kernel->segments[i].memory_size > MAPPED_MAX)
			return refuse(l, "%s: segment %u ends beyond 1 GiB", kernel->path, i);
	if (kernel->xen.hypercall_page &&
	    (kernel->xen.hypercall_page & (PVM_PAGE_SIZE - 1) ||
	     kernel->xen.hypercall_page - base >= end_of_kernel(kernel)))
		return refuse(l, "%s: its hypercall page 0x%llx is not below its end", kernel->path,
			      (unsigned long long)kernel->xen.hypercall_page);
	return 0;
}

/*
 * Kernels from before December 2024 make their hypercalls by a call into a page of their own, 32 bytes for
 * each number. A call changes RAX only. iret does not come back: its frame begins with RAX, R11 and RCX.
 */
static void put_hypercall_page(const struct layout *l)
{
	static const uint8_t call[] = {
		0x51, 0x41, 0x53,		/* push %rcx, %r11 */
		0xb8, 0, 0, 0, 0, 0x0f, 0x05,	/* mov $NUMBER, %eax; syscall */
		0x41, 0x5b, 0x59, 0xc3,		/* pop %r11, %rcx; ret */
	};
	static const uint8_t iret[] = {
		0x51, 0x41, 0x53, 0x50,		/* push %rcx, %r11, %rax */
		0xb8, PVM_XEN_IRET, 0, 0, 0, 0x0f, 0x05,
	};
	const struct elf_file *kernel = l->start->kernel;
	uint8_t *page;
	unsigned i;

	if (!kernel->xen.hypercall_page)
		return;
	page = l->start->memory + (kernel->xen.hypercall_page - kernel->xen.virt_base);
	for (i = 0; i < PVM_PAGE_SIZE / HYPERCALL_SIZE; i++) {
		memcpy(page + i * HYPERCALL_SIZE, call, sizeof(call));
		page[i * HYPERCALL_SIZE + 4] = (uint8_t)i;
	}
	memcpy(page + PVM_XEN_IRET * HYPERCALL_SIZE, iret, sizeof(iret));
}

static int load_kernel(struct layout *l)
{
	struct xen_start *start = l->start;

	if (xen_start_check(l->start->kernel, l->why, l->why_size))
		return -1;
	l->next = end_of_kernel(start->kernel);
	if (l->next > memory_size(l))
		return refuse(l, "%s: ends at 0x%llx, beyond %llu MiB of memory", start->kernel->path,
			      (unsigned long long)l->next, (unsigned long long)memory_size(l) >> 20);
	if (elf_file_load(start->kernel, start->memory, memory_size(l), l->why, l->why_size))
		return -1;
	put_hypercall_page(l);
	return 0;
}

/* ------------------------------------------------------------------------
 * Its page tables.
 */

/* How much is mapped, with so many tables of level 1 in it. */
static uint64_t mapped_end(uint64_t first, uint64_t leaves)
{
	/* Root, two levels, the leaves' tables, the stack. */
	return round_up(first + (3 + leaves + 1) * PVM_PAGE_SIZE + SPARE, BOUNDARY);
}

static uint64_t count_leaf_tables(uint64_t first)
{
	uint64_t leaves = 1;

	while (mapped_end(first, leaves) > leaves * PVM_LEVEL_SIZE(2))
		leaves++;
	return leaves;
}

static int make_tables(struct layout *l, uint64_t *tables, uint64_t *count)
{
	struct xen_start *start = l->start;
	uint64_t base = start->kernel->xen.virt_base, leaves = count_leaf_tables(l->next);
	uint64_t end = mapped_end(l->next, leaves), at, read_only;

	if (end > MAPPED_MAX)
		return refuse(l, "%s: does not fit into 1 GiB", start->kernel->path);
	if (end > memory_size(l))
		return refuse(l, "%s: needs %llu MiB of memory to start", start->kernel->path,
			      (unsigned long long)end >> 20);
	*count = 3 + leaves;
	if (take(l, *count, tables))
		return -1;
	*entry_at(l, *tables, PVM_LEVEL_INDEX(base, 4)) = (*tables + PVM_PAGE_SIZE) | TABLE_BITS;
	*entry_at(l, *tables + PVM_PAGE_SIZE, PVM_LEVEL_INDEX(base, 3)) =
		(*tables + 2 * PVM_PAGE_SIZE) | TABLE_BITS;
	for (at = 0; at < leaves; at++)
		*entry_at(l, *tables + 2 * PVM_PAGE_SIZE, at) =
			(*tables + (3 + at) * PVM_PAGE_SIZE) | TABLE_BITS;
	for (at = 0; at < end; at += PVM_PAGE_SIZE) {
		read_only =
			at >= *tables && at < *tables + *count * PVM_PAGE_SIZE ? PVM_PTE_W | PVM_PTE_D : 0;
		*entry_at(l, *tables + 3 * PVM_PAGE_SIZE, at >> PVM_PAGE_SHIFT) =
			at | (PAGE_BITS & ~read_only);
	}
	return 0;
}

/* ------------------------------------------------------------------------
 * The list of frames.
 */

/* Tables of a level for so many of the level below. */
static uint64_t tables_for(uint64_t below)
{
	return (below + ENTRIES_PER_PAGE - 1) / ENTRIES_PER_PAGE;
}

static void link_tables(const struct layout *l, uint64_t tables, uint64_t below, uint64_t count,
			uint64_t bits)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		*entry_at(l, tables, i) = (below + i * PVM_PAGE_SIZE) | bits;
}

/* Frame n is machine frame n. In one top-level entry of its own. */
static int make_p2m(struct layout *l, uint64_t root, struct pvm_xen_start_info *info)
{
	uint64_t list, level1, level2, level3, i, pages = l->start->pages;
	uint64_t list_pages = tables_for(pages), first = l->next;
	uint64_t count1 = tables_for(list_pages), count2 = tables_for(count1);
	uint64_t where = l->start->kernel->xen.init_p2m;

	if (take(l, list_pages, &list) || take(l, 1, &level3) || take(l, count2, &level2) ||
	    take(l, count1, &level1))
		return -1;
	for (i = 0; i < pages; i++)
		*entry_at(l, list, i) = i;
	*entry_at(l, root, PVM_LEVEL_INDEX(where, 4)) = level3 | TABLE_BITS;
	link_tables(l, level3, level2, count2, TABLE_BITS);
	link_tables(l, level2, level1, count1, TABLE_BITS);
	link_tables(l, level1, list, list_pages, PAGE_BITS);
	info->mfn_list = where;
	info->first_p2m_pfn = first >> PVM_PAGE_SHIFT;
	info->nr_p2m_frames = (l->next - first) >> PVM_PAGE_SHIFT;
	return 0;
}

/* ------------------------------------------------------------------------
 * The rest.
 */

static int put_command_line(const struct layout *l, struct pvm_xen_start_info *info)
{
	const char *line = l->start->command_line ? l->start->command_line : "";
	size_t i;

	for (i = 0; line[i]; i++) {
		if (i == sizeof(info->cmd_line) - 1)
			return refuse(l, "the command line has more than %zu characters", sizeof(info->cmd_line) - 1);
		info->cmd_line[i] = line[i];
	}
	return 0;
}

static int put_initrd(struct layout *l, struct pvm_xen_start_info *info)
{
	struct xen_start *start = l->start;
	uint64_t at;

	if (!start->initrd)
		return 0;
	if (take(l, (start->initrd_size + PVM_PAGE_SIZE - 1) >> PVM_PAGE_SHIFT, &at))
		return -1;
	memcpy(start->memory + at, start->initrd, start->initrd_size);
	info->mod_start = at >> PVM_PAGE_SHIFT;
	info->mod_len = start->initrd_size;
	info->flags |= PVM_XEN_SIF_MOD_START_PFN;
	return 0;
}

int xen_start_write(struct xen_start *start, char *why, size_t why_size)
{
	struct layout l = { .start = start, .why = why, .why_size = why_size };
	struct pvm_xen_start_info *info;
	uint64_t info_gpa, tables = 0, table_count = 0, stack;

	if (load_kernel(&l) || take(&l, 1, &info_gpa) || take(&l, 1, &start->store) ||
	    take(&l, 1, &start->console))
		return -1;
	info = (struct pvm_xen_start_info *)(start->memory + info_gpa);
	memcpy(info->magic, MAGIC, sizeof(MAGIC));
	info->nr_pages = start->pages;
	info->shared_info = start->shared_info;
	info->store_mfn = start->store >> PVM_PAGE_SHIFT;
	info->store_evtchn = start->store_port;
	info->console_mfn = start->console >> PVM_PAGE_SHIFT;
	info->console_evtchn = start->console_port;
	if (put_command_line(&l, info) || make_tables(&l, &tables, &table_count) || take(&l, 1, &stack))
		return -1;
	info->pt_base = start->kernel->xen.virt_base + tables;
	info->nr_pt_frames = table_count;
	/* What follows is beyond what is mapped, so that the kernel may use the spare part. */
	l.next = mapped_end(tables, table_count - 3);
	if (put_initrd(&l, info) || make_p2m(&l, tables, info))
		return -1;
	start->rip = start->kernel->xen.entry;
	start->rsi = start->kernel->xen.virt_base + info_gpa;
	start->rsp = start->kernel->xen.virt_base + stack + PVM_PAGE_SIZE;
	start->cr3 = tables;
	start->used = l.next;
	return 0;
}
