/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The start of day of a Xen PV kernel of one empty segment: its page for hypercalls. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "xen_start.h"

#define BASE	0xffffffff80000000ull
#define START	(16ull << 20)
#define SIZE	(4 * 4096ull)
#define PAGE_AT	(START + 2 * 4096)
#define MEMORY	(64ull << 20)

static const char *read_nothing(void *source, void *buffer, uint64_t length, uint64_t offset)
{
	(void)source;
	(void)offset;
	memset(buffer, 0, length);
	return NULL;
}

static struct elf_file kernel(uint64_t hypercall_page)
{
	return (struct elf_file){
		.path = "kernel", .read = read_nothing, .entry = BASE + START, .start = START,
		.xen = { .has_entry = true, .has_virt_base = true, .has_init_p2m = true,
			 .entry = BASE + START, .virt_base = BASE, .init_p2m = 0x8000000000,
			 .hypercall_page = hypercall_page },
		.segment_count = 1,
		.segments = { { .vaddr = BASE + START, .paddr = START, .memory_size = SIZE } },
	};
}

static const uint8_t *started(const struct elf_file *elf)
{
	uint8_t *memory = calloc(1, MEMORY);
	struct xen_start start = { .memory = memory, .pages = MEMORY / 4096 - 8, .kernel = elf,
				   .shared_info = MEMORY - 4096 };
	char why[256] = "";

	cr_assert_eq(xen_start_write(&start, why, sizeof(why)), 0, "%s", why);
	cr_assert_eq(start.rip, BASE + START);
	return memory;
}

/* spec: XC-006 */
Test(xen_start, each_hypercall_has_its_place_in_the_page)
{
	/* push %rcx, %r11; mov $17, %eax; syscall; pop %r11, %rcx; ret */
	static const uint8_t call[] = {
		0x51, 0x41, 0x53, 0xb8, 17, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3,
	};
	/* push %rcx, %r11, %rax; mov $23, %eax; syscall */
	static const uint8_t iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05 };
	struct elf_file elf = kernel(BASE + PAGE_AT);
	const uint8_t *memory = started(&elf);

	cr_assert_eq(memcmp(memory + PAGE_AT + 17 * 32, call, sizeof(call)), 0);
	cr_assert_eq(memory[PAGE_AT + 127 * 32 + 4], 127);
	cr_assert_eq(memcmp(memory + PAGE_AT + 23 * 32, iret, sizeof(iret)), 0);
	cr_assert_eq(memory[PAGE_AT - 1], 0);
	cr_assert_eq(memory[PAGE_AT + 4096], 0);
	free((void *)memory);
}

/* spec: XC-006 */
Test(xen_start, a_kernel_without_such_a_page_keeps_its_memory)
{
	struct elf_file elf = kernel(0);
	const uint8_t *memory = started(&elf);
	uint64_t i;

	for (i = 0; i < SIZE; i++)
		cr_assert_eq(memory[START + i], 0, "at %#llx", (unsigned long long)i);
	free((void *)memory);
}

/* spec: XC-007 */
Test(xen_start, a_page_for_hypercalls_that_is_none_of_the_kernels_is_refused)
{
	static const uint64_t wrong[] = {
		BASE + PAGE_AT + 8, BASE + START + SIZE, BASE - 4096, BASE + (1ull << 30), PAGE_AT, ~0xfffull,
	};
	char why[256];
	unsigned i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct elf_file elf = kernel(wrong[i]);

		why[0] = 0;
		cr_expect_eq(xen_start_check(&elf, why, sizeof(why)), -1, "%u", i);
		cr_expect(strstr(why, "its hypercall page"), "%s", why);
	}
}
