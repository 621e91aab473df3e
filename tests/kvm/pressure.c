/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pressure SERVANT.elf: the module's own pages have a limit and are given back, and the host learns
 * which pages of the guest are in use.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLES		2500	/* more shadow pages than the limit lets be */
#define LIMIT		1024	/* of a VM of this size */
#define CGROUP		"/tmp/cgroup"
#define GROUP		CGROUP "/guest"

static struct client c;

static bool spreads(unsigned count)
{
	return client_order(&c, ORDER_SPREAD, 0, count, 0x5117, 0) == DONE && !c.box->result;
}

static void limited(void)
{
	ASK(c.m.vm, KVM_SET_NR_MMU_PAGES, 64);
	host_writes(c.region, 0, 1, 0x5117, 0);
	check(spreads(TABLES), "a guest uses more tables than may be shadowed at once");
	check(machine_stat(&c.m, "memory_pages") <= LIMIT, "which does not take more than the limit");
	check(spreads(TABLES), "and uses them again");
	check(machine_stat(&c.m, "memory_pages") <= LIMIT, "the limit holds");
}

static void shrunk(void)
{
	unsigned long before = machine_stat(&c.m, "memory_pages"), after;

	machine_put("/proc/sys/vm/drop_caches", "2");
	after = machine_stat(&c.m, "memory_pages");
	check(after < before / 2 && machine_stat(&c.m, "memory_pages_shrunk") > 0,
	      "when memory is short, pages are given back");
	check(spreads(TABLES), "and made again");
}

static unsigned long swapped_in(void)
{
	unsigned long value = 0;
	char line[128];
	FILE *file = fopen("/proc/vmstat", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "pswpin %lu", &value) == 1)
			break;
	if (file)
		fclose(file);
	return value;
}

static void join_cgroup(void)
{
	char pid[16];

	mkdir(CGROUP, 0755);
	if (mount("cgroup2", CGROUP, "cgroup2", 0, NULL) && errno != EBUSY)
		machine_die("cgroup2: %s", strerror(errno));
	machine_put(CGROUP "/cgroup.subtree_control", "+memory");
	mkdir(GROUP, 0755);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	machine_put(GROUP "/cgroup.procs", pid);
}

/* Some pages are used all the while, by the guest only; of the others, the host takes many. With @advice
 * for the region. Returns how many words were lost, and @back: how many pages came back from swap. */
static unsigned long reclaim(int advice, unsigned long *back)
{
	unsigned long before, round;

	munmap(c.region, REGION_SIZE);
	if (mmap(c.region, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) != c.region)
		machine_die("mmap: %s", strerror(errno));
	madvise(c.region, REGION_SIZE, advice);
	client_hammer(&c);	/* first: by age, theirs are the pages to go */
	client_wait_for_lap(&c);
	client_writes(&c, HAMMER_PAGES, REGION_PAGES - HAMMER_PAGES, 0x1000, 1);
	before = swapped_in();
	for (round = 0; round < 8; round++) {
		int file = open(GROUP "/memory.reclaim", O_WRONLY | O_CLOEXEC);

		/* EAGAIN: not as much as was asked for. */
		if (file < 0 || (write(file, "1M", 2) < 0 && errno != EAGAIN))
			machine_die("memory.reclaim: %s", strerror(errno));
		close(file);
		client_wait_for_lap(&c);
	}
	*back = swapped_in() - before;
	return client_hammer_ends(&c);
}

static void aged(const char *servant)
{
	unsigned long back;

	join_cgroup();
	check(!reclaim(MADV_NOHUGEPAGE, &back), "M10: nothing is lost when pages are reclaimed");
	check(back < HAMMER_PAGES / 2, "pages that the guest uses stay: %lu came back from swap", back);
	client_destroy(&c);
	client_create(&c, servant, 2);
	/* Linux 7.3 takes such a page as a whole, and brings it back writable and clean. */
	check(!reclaim(MADV_HUGEPAGE, &back), "nor when they are parts of large pages");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		machine_die("usage: pressure SERVANT.elf");
	client_create(&c, argv[1], 2);
	limited();
	shrunk();
	aged(argv[1]);
	client_destroy(&c);
	return check_finish();
}
