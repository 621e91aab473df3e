/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Guest memory: its size, its seals, where it is, and that nothing else sees it. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

static struct guest_memory memory;
static char why[256];

Test(memory, is_zeroed_and_rounded_up_to_pages)
{
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, (2 << 20) + 1, why, sizeof(why)), 0);
	cr_assert_eq(memory.size, (2 << 20) + 4096);
	cr_assert_eq(memory.va[memory.size - 1], 0);
	guest_memory_destroy(&memory);
}

Test(memory, its_size_is_sealed)
{
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, 2 << 20, why, sizeof(why)), 0);
	cr_assert_eq(ftruncate(memory.fd, 4096), -1);
	cr_assert_eq(ftruncate(memory.fd, 4 << 20), -1);
	cr_assert_eq(fcntl(memory.fd, F_ADD_SEALS, F_SEAL_WRITE), -1, "nobody else can add seals");
	guest_memory_destroy(&memory);
}

Test(memory, is_not_in_core_dumps)
{
	char line[256], wanted[32];
	bool found = false, here = false;
	FILE *smaps;

	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, 2 << 20, why, sizeof(why)), 0);
	snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)memory.va);
	smaps = fopen("/proc/self/smaps", "re");
	cr_assert_not_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (strchr(line, '-') && strstr(line, "pvm-guest"))
			here = !strncmp(line, wanted, strlen(wanted));
		if (here && !strncmp(line, "VmFlags:", 8))
			found = found || strstr(line, " dd");
	}
	fclose(smaps);
	cr_assert(found, "no VmFlags dd on guest memory");
	guest_memory_destroy(&memory);
}

Test(memory, private_memory_can_be_in_the_hosts_large_pages)
{
	char line[256], wanted[32];
	bool here = false, large = false, kept = false, dumped = true;
	FILE *smaps;

	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_PRIVATE, (6 << 20) + 1, why, sizeof(why)), 0);
	cr_assert_eq(memory.size, (6 << 20) + 4096);
	cr_assert_eq(memory.fd, -1);
	cr_assert_eq((uintptr_t)memory.va % (2 << 20), 0, "at %p", (void *)memory.va);
	memory.va[memory.size - 1] = 1;
	snprintf(wanted, sizeof(wanted), "%lx-%lx ", (unsigned long)memory.va,
		 (unsigned long)(memory.va + memory.size));
	smaps = fopen("/proc/self/smaps", "re");
	cr_assert_not_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, wanted, strlen(wanted)))
			here = true;
		if (here && !strncmp(line, "VmFlags:", 8)) {
			large = strstr(line, " hg");
			kept = strstr(line, " dc");
			dumped = !strstr(line, " dd");
			break;
		}
	}
	fclose(smaps);
	cr_assert(here, "what is around it was not given back");
	cr_assert(large || access("/sys/kernel/mm/transparent_hugepage", F_OK), "%s", line);
	cr_assert(kept && !dumped, "%s", line);
	guest_memory_destroy(&memory);
}

Test(memory, too_small_and_too_large_are_refused_with_a_line)
{
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, GUEST_MEMORY_MIN - 1,
					 why, sizeof(why)), -1);
	cr_assert(strstr(why, "guest memory"));
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, GUEST_MEMORY_MAX + 1,
					 why, sizeof(why)), -1);
	cr_assert_eq(memory.fd, -1);
}

Test(memory, a_range_is_memory_only_as_a_whole)
{
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, 2 << 20, why, sizeof(why)), 0);
	cr_assert_eq(guest_memory_at(&memory, 4096, 1), memory.va + 4096);
	cr_assert_not_null(guest_memory_at(&memory, (2 << 20) - 1, 1));
	cr_assert_null(guest_memory_at(&memory, (2 << 20) - 1, 2));
	cr_assert_null(guest_memory_at(&memory, 2 << 20, 1));
	cr_assert_null(guest_memory_at(&memory, ~0ull, 2));
	cr_assert_null(guest_memory_at(&memory, 4096, ~0ull));
	guest_memory_destroy(&memory);
}
