/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * memory SERVANT.elf: guest memory follows what user space does with its own: nothing is lost,
 * nothing stale is seen (M10). Each part first lets the guest touch the pages, so that the module
 * knows them. Wants root, /dev/ram0 as swap, and two NUMA nodes.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES		128
#define LARGE		(2ull << 20)
#define LARGE_PAGES	(LARGE / PAGE)
#define MOVE		2	/* MPOL_MF_MOVE */

static struct client c;

static void *map(void *at, uint64_t size, int flags, int fd)
{
	void *memory = mmap(at, size, PROT_READ | PROT_WRITE, flags | (at ? MAP_FIXED : 0), fd, 0);

	if (memory == MAP_FAILED)
		machine_die("mmap: %s", strerror(errno));
	return memory;
}

/* The guest has the first pages mapped for reading and writing. */
static bool touched(uint64_t value)
{
	return client_writes(&c, 0, PAGES, value, 1) && client_finds(&c, 0, PAGES, value, 1);
}

static void both_see_the_same(void)
{
	check(touched(0x1000) && host_finds(c.region, 0, PAGES, 0x1000, 1), "user space sees what the guest writes");
	host_writes(c.region, 0, PAGES, 0x2000, 3);
	check(client_finds(&c, 0, PAGES, 0x2000, 3), "the guest sees what user space writes");
}

static void dropped(void)
{
	touched(0x3000);
	madvise(c.region, PAGES * PAGE, MADV_DONTNEED);
	check(client_finds(&c, 0, PAGES, 0, 0), "M10: pages that are dropped read as zeroes");
	check(client_writes(&c, 0, PAGES, 0x3100, 1) && host_finds(c.region, 0, PAGES, 0x3100, 1),
	      "M10: and what is written then is seen");
}

static void remapped(void)
{
	uint8_t *other = map(NULL, PAGES * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	touched(0x4000);
	host_writes(other, 0, PAGES, 0x4100, 5);
	if (mremap(other, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, c.region) != c.region)
		machine_die("mremap: %s", strerror(errno));
	check(client_finds(&c, 0, PAGES, 0x4100, 5), "M10: other memory at the same address is seen");
	check(client_writes(&c, 0, PAGES, 0x4200, 1) && host_finds(c.region, 0, PAGES, 0x4200, 1),
	      "M10: and written");
}

/* The child has the pages as they were, however the guest writes them. */
static void forked(void)
{
	int go[2], status = -1;
	char byte = 0;
	pid_t child;

	touched(0x5000);
	if (pipe(go))
		machine_die("pipe: %s", strerror(errno));
	child = fork();
	if (!child) {
		while (read(go[0], &byte, 1) < 0)
			;
		_exit(!host_finds(c.region, 0, PAGES, 0x5000, 1));
	}
	check(client_writes(&c, 0, PAGES, 0x5100, 1), "after a fork the guest writes on");
	if (child < 0 || write(go[1], &byte, 1) != 1 || waitpid(child, &status, 0) != child)
		machine_die("no child");
	check(status == 0, "M10: the child's memory is as it was");
	check(client_finds(&c, 0, PAGES, 0x5100, 1) && host_finds(c.region, 0, PAGES, 0x5100, 1),
	      "M10: and the parent's as the guest wrote it");
	close(go[0]);
	close(go[1]);
}

static void protected(void)
{
	enum client_end end;

	touched(0x6000);
	mprotect(c.region, PAGES * PAGE, PROT_READ);
	check(client_finds(&c, 0, PAGES, 0x6000, 1), "write-protected memory can be read");
	end = client_order(&c, ORDER_WRITE, 0, PAGES, 0x6100, 1);
	check(end == FAULT && host_finds(c.region, 0, PAGES, 0x6000, 1), "M10: but not written: KVM_RUN says EFAULT");
	mprotect(c.region, PAGES * PAGE, PROT_READ | PROT_WRITE);
	check(client_again(&c) == DONE && host_finds(c.region, 0, PAGES, 0x6100, 1),
	      "and once it may be written the guest goes on where it was");
	mprotect(c.region, PAGES * PAGE, PROT_NONE);
	end = client_order(&c, ORDER_CHECK, 0, PAGES, 0x6100, 1);
	check(end == FAULT, "M10: memory without access cannot be read");
	mprotect(c.region, PAGES * PAGE, PROT_READ | PROT_WRITE);
	check(client_again(&c) == DONE && !c.box->result, "and nothing is lost of it");
	munmap(c.region, PAGES * PAGE);
	end = client_order(&c, ORDER_CHECK, 0, PAGES, 0, 0);
	check(end == FAULT, "M10: memory that is not there cannot be read");
	map(c.region, PAGES * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	check(client_again(&c) == DONE && !c.box->result, "and new memory is new");
}

static unsigned resident(void)
{
	static unsigned char vec[PAGES];
	unsigned i, count = 0;

	if (mincore(c.region, PAGES * PAGE, vec))
		machine_die("mincore: %s", strerror(errno));
	for (i = 0; i < PAGES; i++)
		count += vec[i] & 1;
	return count;
}

/* Some kernels leave a page that was used since they looked last; so ask again. */
static void page_out(void)
{
	unsigned i;

	for (i = 0; i < 4 && resident(); i++)
		if (madvise(c.region, PAGES * PAGE, MADV_PAGEOUT))
			machine_die("MADV_PAGEOUT: %s", strerror(errno));
}

/* Memory that takes the frames which became free. */
static void use_memory(uint64_t size)
{
	uint8_t *other = map(NULL, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);

	memset(other, 0xa5, size);
	munmap(other, size);
}

static void swapped(void)
{
	unsigned round, before = 0;
	bool seen = true, written = true;

	for (round = 0; round < 4; round++) {
		written &= touched(0x7000 + 0x100 * round);
		page_out();
		before += PAGES - resident();
		use_memory(64 << 20);
		seen &= client_finds(&c, 0, PAGES, 0x7000 + 0x100 * round, 1);
		written &= client_writes(&c, 0, PAGES, 0x8000 + round, 2) &&
			host_finds(c.region, 0, PAGES, 0x8000 + round, 2);
	}
	check(before >= PAGES, "pages of the guest are swapped out: %u", before);
	check(seen, "M10: they come back as they were");
	check(written, "M10: and what the guest writes then is seen");
}

static void migrated(void)
{
	static void *page[PAGES];
	static int node[PAGES], status[PAGES];
	unsigned round, i, moved = 0;
	bool right = true;

	for (i = 0; i < PAGES; i++)
		page[i] = c.region + i * PAGE;
	for (round = 0; round < 4; round++) {
		right &= touched(0x9000 + 0x100 * round);
		for (i = 0; i < PAGES; i++)
			node[i] = round % 2;
		if (syscall(SYS_move_pages, 0, (unsigned long)PAGES, page, node, status, MOVE) < 0)
			machine_die("move_pages: %s", strerror(errno));
		for (i = 0; i < PAGES; i++)
			moved += status[i] == (int)(round % 2);
		use_memory(32 << 20);
		right &= client_finds(&c, 0, PAGES, 0x9000 + 0x100 * round, 1) &&
			client_writes(&c, 0, PAGES, 0x9080 + 0x100 * round, 1) &&
			host_finds(c.region, 0, PAGES, 0x9080 + 0x100 * round, 1);
	}
	check(moved > 3 * PAGES, "pages of the guest move to another node");
	check(right, "M10: with what is in them, and the guest follows");
}

static unsigned long get(const char *file)
{
	char text[32] = "";
	int fd = open(file, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		machine_die("%s: %s", file, strerror(errno));
	close(fd);
	return strtoul(text, NULL, 10);
}

#define KSM "/sys/kernel/mm/ksm/"

/* Same pages become one, and apart again when they are written. */
static void merged(void)
{
	unsigned long scans = get(KSM "full_scans");
	bool right;

	client_writes(&c, 0, PAGES, 0xa000, 0);
	madvise(c.region, PAGES * PAGE, MADV_MERGEABLE);
	machine_put(KSM "sleep_millisecs", "0");
	machine_put(KSM "pages_to_scan", "10000");
	machine_put(KSM "run", "1");
	while (get(KSM "pages_sharing") < PAGES / 2 && get(KSM "full_scans") < scans + 10)
		usleep(1000);
	check(get(KSM "pages_sharing") >= PAGES / 2, "same pages are merged");
	right = client_finds(&c, 0, PAGES, 0xa000, 0) && client_writes(&c, 0, PAGES / 2, 0xa100, 1) &&
		client_finds(&c, PAGES / 2, PAGES / 2, 0xa000, 0) &&
		host_finds(c.region, 0, PAGES / 2, 0xa100, 1) &&
		host_finds(c.region, PAGES / 2, PAGES / 2, 0xa000, 0);
	check(right, "M10: what the guest writes to one of them is in no other");
	machine_put(KSM "run", "2");
	madvise(c.region, PAGES * PAGE, MADV_UNMERGEABLE);
	check(client_finds(&c, 0, PAGES / 2, 0xa100, 1), "and unmerging loses nothing");
}

/* The log of the region has the pages that the guest writes meanwhile, and no other. */
static bool logged_alone(uint64_t first, uint64_t count)
{
	static uint64_t bits[REGION_PAGES / 64];
	struct kvm_dirty_log log = { .slot = REGION_SLOT, .dirty_bitmap = bits };
	uint64_t i;
	bool right;

	right = !machine_slot(&c.m, REGION_SLOT, KVM_MEM_LOG_DIRTY_PAGES, REGION, REGION_SIZE, c.region) &&
		client_writes(&c, first, count, 1, 1);
	ASK(c.m.vm, KVM_GET_DIRTY_LOG, &log);
	for (i = 0; i < REGION_PAGES; i++)
		right &= (bits[i / 64] >> i % 64 & 1) == (i >= first && i < first + count);
	return !machine_slot(&c.m, REGION_SLOT, 0, REGION, REGION_SIZE, c.region) && right;
}

/* The host may split a large page of its own at any time. */
static bool host_has_it_large(void)
{
	unsigned long from, to, kib = 0;
	char line[256];
	bool here = false;
	FILE *smaps = fopen("/proc/self/smaps", "r");

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (unsigned long)c.region && (unsigned long)c.region < to;
		if (here && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	}
	if (smaps)
		fclose(smaps);
	return kib >= LARGE / 1024;
}

/* How many leaves it takes to write it once a log of it has ended. */
static long leaves_after_a_log(void)
{
	unsigned long leaves;

	check(logged_alone(20, 3), "what is written of it is logged page by page");
	client_finds(&c, 0, 1, 0, 0);	/* the host notices at an exit that there is no log any more */
	leaves = machine_stat(&c.m, "leaves");
	client_writes(&c, 0, LARGE_PAGES, 0xbc00, 1);
	return (long)(machine_stat(&c.m, "leaves") - leaves);
}

/* Small pages become a large one, and small again. */
static void collapsed(void)
{
	unsigned long fills;
	long leaves;
	int error;

	map(c.region, LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	client_writes(&c, 0, LARGE_PAGES, 0xb000, 1);
	error = madvise(c.region, LARGE, 25 /* MADV_COLLAPSE */) ? errno : 0;
	check(!error, "512 pages of the guest become a large one");
	use_memory(64 << 20);
	check(client_finds(&c, 0, LARGE_PAGES, 0xb000, 1) && client_writes(&c, 0, LARGE_PAGES, 0xb800, 3) &&
	      host_finds(c.region, 0, LARGE_PAGES, 0xb800, 3), "M10: with what is in them");
	c.box->large = 1;
	fills = machine_stat(&c.m, "fills");
	check(client_finds(&c, 0, LARGE_PAGES, 0xb800, 3) && client_writes(&c, 0, LARGE_PAGES, 0xbc00, 1),
	      "the guest maps it as one, too");
	fills = machine_stat(&c.m, "fills") - fills;
	check(fills < LARGE_PAGES / 8, "and so does the host: %lu fills", fills);
	leaves = leaves_after_a_log();
	check(leaves < (long)LARGE_PAGES / 8 || !host_has_it_large(),
	      "and without a log it is one again: %ld leaves more", leaves);
	madvise(c.region + 7 * PAGE, PAGE, MADV_DONTNEED);
	check(client_finds(&c, 7, 1, 0, 0) && client_finds(&c, 8, 100, 0xbc08, 1) &&
	      client_writes(&c, 7, 1, 7, 0) && host_finds(c.region, 7, 1, 7, 0), "M10: a page of it that is dropped is seen by itself");
	mprotect(c.region + 9 * PAGE, PAGE, PROT_READ);
	check(client_order(&c, ORDER_WRITE, 9, 1, 1, 0) == FAULT && host_finds(c.region, 9, 1, 0xbc09, 0),
	      "M10: and one that is protected");
	mprotect(c.region + 9 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	check(client_again(&c) == DONE && host_finds(c.region, 9, 1, 1, 0), "until it is not");
	c.box->large = 0;
}

static void shared(void)
{
	int fd = (int)syscall(SYS_memfd_create, "guest", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		machine_die("memfd: %s", strerror(errno));
	map(c.region, PAGES * PAGE, MAP_SHARED, fd);
	check(touched(0xc000), "memory of a file is the guest's");
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGES * PAGE))
		machine_die("fallocate: %s", strerror(errno));
	check(client_finds(&c, 0, PAGES, 0, 0), "M10: a hole in it reads as zeroes");
	check(client_writes(&c, 0, PAGES, 0xc100, 1) && host_finds(c.region, 0, PAGES, 0xc100, 1),
	      "M10: and is filled by the guest");
	close(fd);
	map(c.region, PAGES * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* Other vCPUs work on in memory that is swapped, moved, forked and protected under them. */
static void storm(void)
{
	static void *page[HAMMER_PAGES];
	static int node[HAMMER_PAGES], status[HAMMER_PAGES];
	unsigned i, round, cpus = client_hammer(&c);
	unsigned long lost;
	uint64_t added = 0;

	for (i = 0; i < HAMMER_PAGES; i++)
		page[i] = c.region + i * PAGE;
	for (round = 0; round < 40; round++) {
		switch (round % 4) {
		case 0:
			madvise(c.region, HAMMER_PAGES * PAGE, MADV_PAGEOUT);
			break;
		case 1:
			for (i = 0; i < HAMMER_PAGES; i++)
				node[i] = round / 4 % 2;
			syscall(SYS_move_pages, 0, (unsigned long)HAMMER_PAGES, page, node, status, MOVE);
			break;
		case 2:
			if (!fork())
				_exit(0);
			while (wait(NULL) > 0)
				;
			break;
		case 3:
			mprotect(c.region, HAMMER_PAGES * PAGE, PROT_READ);
			sched_yield();
			mprotect(c.region, HAMMER_PAGES * PAGE, PROT_READ | PROT_WRITE);
			break;
		}
		client_wait_for_lap(&c);
	}
	lost = client_hammer_ends(&c);
	for (i = 1; i <= cpus; i++)
		added += c.box->added[i][0];
	check(cpus == c.m.vcpus - 1 && added >= 40 * cpus, "other vCPUs write all the while");
	check(!lost, "M10: and lose nothing (%lu words)", lost);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		machine_die("usage: memory SERVANT.elf");
	client_create(&c, argv[1], 3);
	both_see_the_same();
	dropped();
	remapped();
	forked();
	protected();
	swapped();
	migrated();
	merged();
	collapsed();
	shared();
	storm();
	client_destroy(&c);
	return check_finish();
}
