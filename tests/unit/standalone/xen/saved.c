/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The devices of a guest that is saved, and goes on with others: their drivers notice nothing. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "xen_blk.h"
#include "xen_card.h"
#include "xen_disk.h"

#define DISK_FRONT	"device/vbd/51712/"
#define DISK_BACK	"/local/domain/0/backend/vbd/1/51712/"
#define CARD_FRONT	"device/vif/0/"
#define CARD_BACK	"/local/domain/0/backend/vif/1/0/"
#define DISK_PORT	5u
#define CARD_PORT	7u
#define RING		GUEST_FREE
#define DATA		(GUEST_FREE + 1)
#define TX		(GUEST_FREE + 2)
#define RX		(GUEST_FREE + 3)
#define OUT		(GUEST_FREE + 4)
#define IN		(GUEST_FREE + 5)

static char path[32], why[256];
static struct xen_disk *disk;
static struct xen_card *card;
static uint8_t bytes[XEN_STORE_RECORD_MAX];
static struct xen_record record;
static uint32_t asked;

static void add_devices(void)
{
	const struct monitor_disk from = { .path = path };
	const struct monitor_net net = { 0 };

	disk = xen_disk_create(bus, 0, &from, why, sizeof(why));
	cr_assert_not_null(disk, "%s", why);
	card = xen_card_create(bus, 0, &net, why, sizeof(why));
	cr_assert_not_null(card, "%s", why);
}

static void remove_devices(void)
{
	xen_disk_destroy(disk);
	xen_card_destroy(card);
}

static void setup(void)
{
	uint8_t sector[4096];
	int fd;

	memset(sector, 0x5a, sizeof(sector));
	strcpy(path, "/tmp/pvm-saved-XXXXXX");
	fd = mkstemp(path);
	cr_assert_eq(write(fd, sector, sizeof(sector)), (ssize_t)sizeof(sector));
	close(fd);
	asked = 0;
	guest_begin();
	add_devices();
	guest_start();
}

static void fini(void)
{
	guest_over();
	remove_devices();
	guest_end();
	unlink(path);
}

TestSuite(xen_saved, .init = setup, .fini = fini, .timeout = 120);

static void write_number(const char *name, uint32_t number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	guest_write(name, text);
}

static void connect_disk(void)
{
	guest_wait(DISK_BACK "state", "2");
	write_number(DISK_FRONT "ring-ref", RING);
	write_number(DISK_FRONT "event-channel", DISK_PORT);
	guest_write(DISK_FRONT "state", "3");
	guest_wait(DISK_BACK "state", "4");
}

static void connect_card(void)
{
	guest_wait(CARD_BACK "state", "2");
	write_number(CARD_FRONT "tx-ring-ref", TX);
	write_number(CARD_FRONT "rx-ring-ref", RX);
	write_number(CARD_FRONT "event-channel", CARD_PORT);
	guest_write(CARD_FRONT "request-rx-copy", "1");
	guest_write(CARD_FRONT "state", "4");
	guest_wait(CARD_BACK "state", "4");
}

static void put_read(void)
{
	struct {
		uint8_t op, count;
		uint16_t handle;
		uint32_t reserved;
		uint64_t id, sector;
		struct { uint32_t ref; uint8_t first, last, reserved[2]; } segment;
	} request = { .count = 1, .id = 40 + asked, .segment = { .ref = DATA, .last = 7 } };
	struct xen_ring_page *ring = guest_page(RING);

	memset(guest_page(DATA), 0, 4096);
	memcpy(ring->entries + asked % 32 * 112, &request, sizeof(request));
	ring->rsp_event = asked + 1;
	__atomic_store_n(&ring->req_prod, ++asked, __ATOMIC_SEQ_CST);
}

static void wait_for_answer(void)
{
	struct xen_ring_page *ring = guest_page(RING);

	while (__atomic_load_n(&ring->rsp_prod, __ATOMIC_SEQ_CST) != asked)
		usleep(100);
	cr_assert_eq(*(uint64_t *)(ring->entries + (asked - 1) % 32 * 112), 40 + asked - 1);
	cr_assert_eq(*(const uint8_t *)guest_page(DATA), 0x5a);
}

static void save(void)
{
	record = (struct xen_record){ .bytes = bytes, .size = sizeof(bytes) };
	guest_save(&record);
	cr_assert_not(record.is_bad);
	record.size = record.at;
	record.at = 0;
}

static void end_the_first(void)
{
	guest_over();
	remove_devices();
	guest_end();
}

static void go_on(void)
{
	save();
	end_the_first();
	guest_begin_again();
	add_devices();
	cr_assert_eq(guest_restore(&record, why, sizeof(why)), 0, "%s", why);
	cr_assert(xen_record_is_whole(&record));
}

Test(xen_saved, a_disk_goes_on)
{
	connect_disk();
	put_read();
	guest_notify(DISK_PORT);
	wait_for_answer();
	go_on();
	put_read();
	guest_notify(DISK_PORT);
	wait_for_answer();
	cr_expect_str_eq(guest_read(DISK_BACK "state"), "4");
	/* And its driver can be unloaded. */
	guest_write(DISK_FRONT "state", "5");
	guest_wait(DISK_BACK "state", "5");
}

/* What the guest asked for as it was saved, and of which the event is lost with the first host. */
Test(xen_saved, what_was_asked_for_is_looked_for)
{
	connect_disk();
	save();
	end_the_first();
	put_read();
	guest_begin_again();
	add_devices();
	cr_assert_eq(guest_restore(&record, why, sizeof(why)), 0, "%s", why);
	wait_for_answer();
	/* It is told, also if it was too early at first. */
	guest_wait_for_events(DISK_PORT, 1);
}

Test(xen_saved, a_card_goes_on)
{
	/* Who has 10.0.2.2? */
	static const uint8_t question[60] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0x50, 0x56, 0x4d, 0,    1,    8, 6,
		0,    1,    8,	  0,	6,    4,    0, 1,    2,	   0x50, 0x56, 0x4d, 0, 1,
		10,   0,    2,	  15,	0,    0,    0, 0,    0,	   0,	 10,   0,    2, 2,
	};
	struct {
		uint32_t ref;
		uint16_t offset, flags, id, size;
	} tx = { .ref = OUT, .size = sizeof(question) };
	struct { uint16_t id, pad; uint32_t ref; } rx = { .id = 3, .ref = IN };
	struct xen_ring_page *tx_ring = guest_page(TX), *rx_ring = guest_page(RX);

	connect_card();
	memcpy(rx_ring->entries, &rx, sizeof(rx));
	__atomic_store_n(&rx_ring->req_prod, 1, __ATOMIC_SEQ_CST);
	go_on();
	memcpy(guest_page(OUT), question, sizeof(question));
	memcpy(tx_ring->entries, &tx, sizeof(tx));
	__atomic_store_n(&tx_ring->req_prod, 1, __ATOMIC_SEQ_CST);
	guest_notify(CARD_PORT);
	while (__atomic_load_n(&rx_ring->rsp_prod, __ATOMIC_SEQ_CST) != 1)
		usleep(100);
	cr_expect_eq(((const uint8_t *)guest_page(IN))[21], 2, "an ARP reply");
	guest_write(CARD_FRONT "state", "5");
	guest_wait(CARD_BACK "state", "5");
	cr_expect_not(guest_grant(RX)->flags & XEN_GRANT_WRITING);
}

Test(xen_saved, a_driver_that_is_not_there_yet_comes_later)
{
	go_on();
	connect_disk();
	put_read();
	guest_notify(DISK_PORT);
	wait_for_answer();
}

/* The record is not believed: it is refused, or a guest has other devices than it thinks. */
Test(xen_saved, each_part_cut_off)
{
	struct xen_record cut;
	uint32_t size;

	connect_disk();
	connect_card();
	save();
	end_the_first();
	for (size = 0; size < record.size; size++) {
		guest_begin_again();
		add_devices();
		cut = (struct xen_record){ .bytes = bytes, .size = size };
		cr_assert_eq(xen_bus_restore(bus, guest_grants(), &cut, why, sizeof(why)), -1, "%u bytes",
			     size);
		cr_assert_eq(strncmp(why, "damaged: ", 9), 0, "%s", why);
		end_the_first();
	}
	guest_begin_again();
	add_devices();
	cr_assert_eq(guest_restore(&record, why, sizeof(why)), 0, "%s", why);
}

Test(xen_saved, a_device_that_works_without_end_is_not_waited_for)
{
	cr_assert(xen_bus_try_work(bus));
	cr_expect_not(xen_bus_rest(bus, 0));
	xen_bus_end_work(bus);
	cr_expect(xen_bus_rest(bus, 60));
	cr_expect_not(xen_bus_try_work(bus));
	xen_bus_go_on(bus);
}
