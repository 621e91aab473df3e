/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What guest code finds in its address space beside what its tables map. */
#include "machine.h"

#include <stdio.h>

#include "stub/protocol.h"

static struct machine m;

static void setup(void)
{
	machine_init(&m, 1);
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_isolation, .init = setup, .fini = teardown);

/* S6: the process that runs guest code has the guest's memory file mapped, at
 * addresses that the guest's tables map, and the stub's own few pages at the
 * top. Nothing of the monitor, no heap, no stack, no vdso within reach. */
Test(native_isolation, S6_a_stub_maps_nothing_but_guest_memory_and_itself)
{
	unsigned guest = 0, stub = 0;
	char path[64], line[512];
	FILE *maps;

	machine_code(&m, 0x0f, 0x05);
	assert_kind(machine_run(m.vcpu[0]), GUEST_EXIT_SYSCALL);
	snprintf(path, sizeof(path), "/proc/%d/maps", machine_stub(m.vcpu[0]));
	maps = fopen(path, "re");
	cr_assert_not_null(maps, "%s", path);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		cr_assert_eq(sscanf(line, "%lx-%lx", &start, &end), 2, "%s", line);
		if (start >= STUB_REGION) {
			stub++;
			cr_assert(strstr(line, "/memfd:pvm-stub") || strstr(line, "[vsyscall]"), "%s", line);
		} else {
			guest++;
			cr_assert(strstr(line, "/memfd:pvm-guest"), "%s", line);
			cr_assert(start == CODE && end == CODE + PVM_PAGE_SIZE, "never asked for: %s", line);
		}
	}
	fclose(maps);
	cr_assert_eq(guest, 1);
	cr_assert_geq(stub, 3);
}
