/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * slots SERVANT.elf: memory slots that come, go, move and are read-only, and the log of what the
 * guest writes, also while other vCPUs write.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PAGES		128
#define SLOT_SIZE	(PAGES * PAGE)
#define OTHER_SLOT	2
#define LOGGED		KVM_MEM_LOG_DIRTY_PAGES

static struct client c;

static int slot(unsigned number, unsigned flags, uint64_t page, uint64_t pages, uint8_t *memory)
{
	return machine_slot(&c.m, number, flags, REGION + page * PAGE, pages * PAGE, memory);
}

/* To page 512. KVM of 6.12 and later moves no slot in a VM whose pages are tracked, which is how the module
 * hears of slots that go, where it can: then the VMM has to do it in two steps, as QEMU does always. */
static bool moved(uint8_t *memory)
{
	int error = slot(REGION_SLOT, 0, 512, PAGES, memory);
	struct utsname host;

	uname(&host);
	if (!error || !strncmp(host.release, "6.1.", 4))
		return !error;
	return error == EINVAL && client_finds(&c, 0, PAGES, 0x3000, 1) &&
		!slot(REGION_SLOT, 0, 0, 0, memory) && !slot(REGION_SLOT, 0, 512, PAGES, memory);
}

static void coming_and_going(void)
{
	uint8_t *other = client_region_memory();

	client_writes(&c, 0, PAGES, 0x1000, 1);
	check(!slot(REGION_SLOT, 0, 0, 0, c.region), "a slot goes");
	check(client_order(&c, ORDER_CHECK, 5, 1, 0x1005, 0) == MMIO && c.mmio_gpa == REGION + 5 * PAGE &&
	      !c.mmio_write, "M10: and the guest reads no memory there");
	check(client_again(&c) == DONE, "what user space answers is what it reads");
	check(client_order(&c, ORDER_WRITE, 6, 1, 1, 0) == MMIO && c.mmio_write && client_again(&c) == DONE,
	      "M10: nor does it write memory there");
	check(host_finds(c.region, 0, PAGES, 0x1000, 1), "which is as it was");
	check(!slot(REGION_SLOT, 0, 0, PAGES, c.region) && client_finds(&c, 0, PAGES, 0x1000, 1),
	      "the slot comes back with its memory");
	host_writes(other, 0, PAGES, 0x2000, 7);
	check(!slot(REGION_SLOT, 0, 0, 0, c.region) && !slot(REGION_SLOT, 0, 0, PAGES, other) &&
	      client_finds(&c, 0, PAGES, 0x2000, 7), "M10: other memory in the slot is seen");
	check(client_writes(&c, 0, PAGES, 0x3000, 1) && host_finds(other, 0, PAGES, 0x3000, 1) &&
	      host_finds(c.region, 0, PAGES, 0x1000, 1), "M10: and written, the first is not");
	check(moved(other) && client_finds(&c, 512, PAGES, 0x3000, 1), "the slot moves, with its memory");
	check(client_order(&c, ORDER_CHECK, 0, 1, 0, 0) == MMIO && client_again(&c) == DONE,
	      "M10: and there is none where it was");
	check(!slot(OTHER_SLOT, 0, 0, PAGES, c.region) && client_finds(&c, 0, PAGES, 0x1000, 1),
	      "another slot takes its place");
	check(slot(3, 0, PAGES / 2, PAGES, other) == EEXIST, "slots that overlap are refused");
	check(machine_slot(&c.m, 3, 0, REGION + 1, PAGE, other) == EINVAL, "and addresses within a page");
	check(machine_slot(&c.m, 3, 0, 0ull - 2 * PAGE, 4 * PAGE, other) == EINVAL, "and a slot that wraps around");
	check(client_finds(&c, 0, PAGES, 0x1000, 1) && client_finds(&c, 512, PAGES, 0x3000, 1),
	      "and the guest goes on");
	check(!slot(OTHER_SLOT, 0, 0, 0, c.region) && !slot(REGION_SLOT, 0, 0, 0, other), "all of them go");
}

/* A large page of user space's that the slot ends in. */
static void middle_of_a_page(void)
{
	uint8_t *memory = client_region_memory();
	volatile uint64_t *behind = (volatile uint64_t *)(memory + 300 * PAGE);
	enum client_end end;

	madvise(memory, 2 << 20, MADV_HUGEPAGE);
	memset(memory, 0, 2 << 20);
	c.box->large = 1;
	check(!slot(REGION_SLOT, 0, 0, 256, memory) && client_writes(&c, 0, 8, 1, 1),
	      "a slot ends in the middle of a large page");
	end = client_order(&c, ORDER_WRITE, 300, 1, 0x4141, 0);
	check(end == MMIO && !*behind && client_again(&c) == DONE,
	      "M2: what lies behind it is not the guest's: 0x%llx", (unsigned long long)*behind);
	c.box->large = 0;
	check(!slot(REGION_SLOT, 0, 0, 0, memory), "it goes");
}

static void read_only(void)
{
	host_writes(c.region, 0, PAGES, 0x4000, 1);
	check(!slot(REGION_SLOT, KVM_MEM_READONLY, 0, PAGES, c.region) &&
	      client_finds(&c, 0, PAGES, 0x4000, 1), "a read-only slot is read");
	check(client_order(&c, ORDER_WRITE, 9, 1, 0xbad, 0) == MMIO && c.mmio_write &&
	      c.mmio_gpa == REGION + 9 * PAGE, "a write to it is MMIO");
	check(client_again(&c) == DONE && host_finds(c.region, 0, PAGES, 0x4000, 1), "and changes nothing");
	check(client_finds(&c, 0, PAGES, 0x4000, 1), "for the guest either");
	host_writes(c.region, 0, PAGES, 0x4100, 1);
	check(client_finds(&c, 0, PAGES, 0x4100, 1), "user space changes it, and the guest sees that");
	check(!slot(REGION_SLOT, 0, 0, 0, c.region) && !slot(REGION_SLOT, 0, 0, PAGES, c.region) &&
	      client_writes(&c, 0, PAGES, 0x4200, 1) && host_finds(c.region, 0, PAGES, 0x4200, 1),
	      "a slot instead of it can be written");
}

/* ------------------------------------------------------------------------
 * The log.
 */

struct log {
	uint64_t bits[PAGES / 64];
};

static struct log get_log(void)
{
	struct log log;
	struct kvm_dirty_log ask = { .slot = REGION_SLOT, .dirty_bitmap = &log };

	memset(&log, 0, sizeof(log));
	ASK(c.m.vm, KVM_GET_DIRTY_LOG, &ask);
	return log;
}

static void clear_log(uint64_t first, uint32_t count, struct log log)
{
	struct kvm_clear_dirty_log ask = {
		.slot = REGION_SLOT, .first_page = first, .num_pages = count,
		.dirty_bitmap = &log.bits[first / 64],
	};

	ASK(c.m.vm, KVM_CLEAR_DIRTY_LOG, &ask);
}

/* The log has the pages from @first on, and no other. */
static bool log_is(struct log log, uint64_t first, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if ((log.bits[i / 64] >> i % 64 & 1) != (i >= first && i < first + count))
			return false;
	return true;
}

static void logged(void)
{
	client_writes(&c, 0, PAGES, 0x5000, 1);
	check(!slot(REGION_SLOT, LOGGED, 0, PAGES, c.region), "a slot is logged from here on");
	get_log();
	check(client_finds(&c, 0, PAGES, 0x5000, 1) && log_is(get_log(), 0, 0), "what is read is not in the log");
	check(client_writes(&c, 10, 20, 0x5100, 1) && log_is(get_log(), 10, 20), "what is written is");
	check(log_is(get_log(), 0, 0), "once");
	check(client_writes(&c, 10, 20, 0x5200, 1) && client_writes(&c, 10, 20, 0x5300, 1) &&
	      log_is(get_log(), 10, 20), "and again when it is written again");
	check(client_writes(&c, PAGES - 1, 1, 1, 0) && log_is(get_log(), PAGES - 1, 1), "to the last page");
	check(!slot(REGION_SLOT, 0, 0, PAGES, c.region) && client_writes(&c, 0, PAGES, 0x5400, 1),
	      "logging ends");
	check(!slot(REGION_SLOT, LOGGED, 0, PAGES, c.region) && client_writes(&c, 3, 4, 0x5500, 1) &&
	      log_is(get_log(), 3, 4), "and begins anew, with what is written then");
	check(!slot(REGION_SLOT, 0, 0, PAGES, c.region), "it ends");
}

/* The log is read in one step, and cleared in others. */
static void cleared_by_hand(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args[0] = 1 };
	struct log log;

	ASK(c.m.vm, KVM_ENABLE_CAP, &cap);
	check(!slot(REGION_SLOT, LOGGED, 0, PAGES, c.region), "a slot is logged, and cleared by hand");
	client_writes(&c, 0, PAGES, 0x6000, 1);
	check(log_is(get_log(), 0, PAGES) && log_is(get_log(), 0, PAGES), "reading the log changes nothing");
	memset(&log, 0xff, sizeof(log));
	clear_log(64, 64, log);
	check(log_is(get_log(), 0, 64), "a part is cleared");
	check(client_writes(&c, 100, 5, 0x6100, 1), "and written again");
	log = get_log();
	check(log.bits[0] == ~0ull && log.bits[1] == 0x1full << 36, "which is seen");
	check(!slot(REGION_SLOT, 0, 0, PAGES, c.region), "it ends");
	cap.args[0] = 0;
	ASK(c.m.vm, KVM_ENABLE_CAP, &cap);
}

/* Slots change while other vCPUs write. */
static void storm(void)
{
	unsigned round;
	bool made = true, seen = true;
	uint8_t *other = client_region_memory();
	unsigned long lost;

	client_hammer(&c);
	for (round = 0; round < 20; round++) {
		made &= !slot(OTHER_SLOT, round & 1 ? KVM_MEM_READONLY : 0, 512, PAGES, other);
		made &= !slot(REGION_SLOT, LOGGED, 0, PAGES, c.region);
		get_log();
		client_wait_for_lap(&c);
		seen &= get_log().bits[0] == (HAMMER_PAGES == 64 ? ~0ull : 0);
		client_wait_for_lap(&c);
		seen &= get_log().bits[0] == (HAMMER_PAGES == 64 ? ~0ull : 0);
		made &= !slot(REGION_SLOT, 0, 0, PAGES, c.region);
		made &= !slot(OTHER_SLOT, 0, 512, 0, other);
	}
	lost = client_hammer_ends(&c);
	check(made, "slots come, go and are logged while vCPUs run");
	check(seen, "the log misses no page of theirs");
	check(!lost, "M10: and nothing is lost (%lu words)", lost);
}

/* Memory that was at many places has left nothing there: neither in the engine, which has a limit, nor
 * in what is known of frames. */
#define PLACES		600ull
#define PLACE_SIZE	(1ull << 30)	/* an index has a page for each, at least */
#define ENGINE_LIMIT	1024ul		/* pages, the least there is */

static void wandering(void)
{
	uint8_t *memory = client_region_memory();
	unsigned long frame_pages = machine_stat(&c.m, "frame_pages");
	volatile uint64_t *word = (volatile uint64_t *)memory;
	bool used = true, made = true;
	uint64_t i, gpa;

	ASK(c.m.vm, KVM_SET_NR_MMU_PAGES, 64);
	for (i = 1; i <= PLACES && used; i++) {
		gpa = (i + 2) * PLACE_SIZE;
		*word = i;
		made &= !machine_slot(&c.m, OTHER_SLOT, 0, gpa, SLOT_SIZE, memory);
		used = client_order_at(&c, ORDER_FAR, gpa, 0, ~i) == DONE && c.box->result == i &&
			*word == ~i;
		made &= !machine_slot(&c.m, OTHER_SLOT, 0, gpa, 0, memory);
	}
	check(made && used, "M11: a slot is at %llu places one after the other, and used at each (the last: %llu)",
	      PLACES, (unsigned long long)i - 1);
	check(machine_stat(&c.m, "memory_pages") < ENGINE_LIMIT - PLACES, "the engine has no pages for where it was");
	check(machine_stat(&c.m, "frame_pages") <= frame_pages + 8,
	      "nor has the list of frames (%lu, before: %lu)", machine_stat(&c.m, "frame_pages"), frame_pages);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		machine_die("usage: slots SERVANT.elf");
	client_create(&c, argv[1], 3);
	coming_and_going();
	middle_of_a_page();
	read_only();
	logged();
	cleared_by_hand();
	storm();
	wandering();
	client_destroy(&c);
	return check_finish();
}
