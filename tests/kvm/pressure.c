/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pressure SERVANT.elf: the module's own pages have a limit and are given back, the host learns which
 * pages of the guest are in use, and a full control group ends no guest.
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
#define USED_PAGES	64
#define CGROUP		"/tmp/cgroup"
#define GROUP		CGROUP "/guest"
#define MARGIN		(1ul << 20)	/* what a full group leaves beside the guest's memory */
#define MORE_PAGES	16

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

/* This process's own control group. */
static void enter_group(void)
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

/* New memory for the region, in the group. */
static void renew_region(int advice)
{
	munmap(c.region, REGION_SIZE);
	if (mmap(c.region, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) != c.region)
		machine_die("mmap: %s", strerror(errno));
	madvise(c.region, REGION_SIZE, advice);
}

static void reclaim(const char *size)
{
	int fd = open(GROUP "/memory.reclaim", O_WRONLY | O_CLOEXEC);

	/* EAGAIN: not as much as was asked for. */
	if (fd < 0 || (write(fd, size, strlen(size)) < 0 && errno != EAGAIN))
		machine_die("memory.reclaim: %s", strerror(errno));
	close(fd);
}

/* How many of these pages of the region are in swap? */
static unsigned long swapped(uint64_t page, uint64_t count)
{
	uint64_t entry[REGION_PAGES];
	unsigned long swapped = 0, i;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, entry, count * sizeof(entry[0]),
			    (off_t)(((uintptr_t)c.region / PAGE + page) * sizeof(entry[0]))) !=
			    (ssize_t)(count * sizeof(entry[0])))
		machine_die("pagemap: %s", strerror(errno));
	close(fd);
	for (i = 0; i < count; i++)
		swapped += entry[i] >> 62 & 1;
	return swapped;
}

/* All pages are old for Linux, and the first ones' turn it is; but those the guest, and nothing else, uses
 * before each step of reclaim. */
static unsigned long age_once(unsigned long *others)
{
	unsigned long used = 0, round;

	renew_region(MADV_NOHUGEPAGE);	/* a small page that is used keeps no others */
	host_writes(c.region, 0, REGION_PAGES, 0x1000, 1);
	if (madvise(c.region, REGION_SIZE, MADV_COLD))
		machine_die("MADV_COLD: %s", strerror(errno));
	for (round = 0; round < 32; round++) {
		client_finds(&c, 0, USED_PAGES, 0x1000, 1);
		reclaim("128K");
		used += swapped(0, USED_PAGES);
	}
	*others = swapped(USED_PAGES, REGION_PAGES - USED_PAGES);
	return used;
}

/* Which pages go is Linux's to say in the end, and sometimes, on a busy machine, it is not by their
 * age. Where the engine does not tell it, it never is. */
static void aged(void)
{
	unsigned long used = USED_PAGES, others = 0, tries;

	for (tries = 0; tries < 4 && used >= USED_PAGES / 2; tries++)
		used = age_once(&others);
	check(others >= 4 * USED_PAGES, "pages that the guest does not use are reclaimed: %lu", others);
	check(used < USED_PAGES / 2, "those that it uses stay: %lu went", used);
	check(client_finds(&c, 0, REGION_PAGES, 0x1000, 1), "all come back as they were");
}

static unsigned long lost_in_use(int advice)
{
	unsigned long round;

	renew_region(advice);
	client_hammer(&c);
	for (round = 0; round < 8; round++) {
		client_wait_for_lap(&c);
		reclaim("1M");
	}
	client_wait_for_lap(&c);
	return client_hammer_ends(&c);
}

static void reclaimed_in_use(const char *servant)
{
	check(!lost_in_use(MADV_NOHUGEPAGE), "M10: nothing is lost when pages in use are reclaimed");
	client_destroy(&c);
	client_create(&c, servant, 2);
	/* Linux 7.3 takes such a page as a whole, and brings it back writable and clean. */
	check(!lost_in_use(MADV_HUGEPAGE), "nor when they are parts of large pages");
}

/* A number in a file of the group; after @name, where it has several. */
static unsigned long group_number(const char *file, const char *name)
{
	char path[64], line[64];
	unsigned long number = 0;
	bool found = false;
	FILE *stream;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	stream = fopen(path, "re");
	while (stream && !found && fgets(line, sizeof(line), stream))
		if (!strncmp(line, name, strlen(name)))
			found = sscanf(line + strlen(name), "%lu", &number) == 1;
	if (!found)
		machine_die("%s: no %s", path, name);
	fclose(stream);
	return number;
}

/* All memory of the guest is there, and stays: of the group's limit the rest is for the module's pages. */
static void fill_group(void)
{
	char limit[32];
	uint64_t i;

	for (i = 0; i < c.m.memory_size; i += PAGE)
		__atomic_fetch_or(c.m.memory + i, 0, __ATOMIC_RELAXED);
	host_writes(c.region, 0, REGION_PAGES, 0x5117, 0);
	machine_put(GROUP "/memory.swap.max", "0");
	snprintf(limit, sizeof(limit), "%lu", group_number("memory.current", "") + MARGIN);
	machine_put(GROUP "/memory.max", limit);
}

/* Memory of this process, which is in the group. */
static bool takes_more(uint64_t pages)
{
	uint8_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return memory != MAP_FAILED && !munmap(memory, pages * PAGE);
}

/* Where the group is full, Linux kills its largest process for an allocation that insists. */
static void confined(const char *servant)
{
	unsigned long before;

	client_destroy(&c);
	client_create(&c, servant, 2);
	fill_group();
	before = group_number("memory.events", "max ");
	check(spreads(TABLES) && spreads(TABLES), "a guest in a full group goes on with the pages that it has");
	check(takes_more(MORE_PAGES), "and leaves some to others in it");
	check(group_number("memory.events", "max ") > before, "the group was full");
	check(client_finds(&c, 0, REGION_PAGES, 0x5117, 0), "the guest's memory is as it was");
	check(!group_number("memory.events", "oom_kill "), "and no process was killed");
	machine_put(GROUP "/memory.max", "max");
	machine_put(GROUP "/memory.swap.max", "max");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		machine_die("usage: pressure SERVANT.elf");
	client_create(&c, argv[1], 2);
	limited();
	shrunk();
	enter_group();
	aged();
	reclaimed_in_use(argv[1]);
	confined(argv[1]);
	client_destroy(&c);
	return check_finish();
}
