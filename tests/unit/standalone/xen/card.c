/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Network cards: networks that cannot be had, and a packet there and one back by the user-mode network. */
#define _GNU_SOURCE
#include "xen_card.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "network.h"
#include "xen_net.h"

#define FRONT	"device/vif/0/"
#define BACK	"/local/domain/0/backend/vif/1/0/"
#define PORT	7u
#define TX	GUEST_FREE
#define RX	(GUEST_FREE + 1)
#define OUT	(GUEST_FREE + 2)
#define IN	(GUEST_FREE + 3)

static struct xen_card *card;
static char why[256];

/* The library's, but for a test that has a network of its own. */
static struct network *other;
static atomic_int turns;

struct network *network_create(const struct monitor_net *from, char *to, size_t size)
{
	if (other)
		return other;
	return from->tap ? network_tap_create(from->tap, to, size) : network_user_create(from, to, size);
}

TestSuite(xen_card, .init = guest_begin, .fini = guest_end);

Test(xen_card, networks_that_cannot_be_had)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct monitor_net net = { .tap = "a/b" };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* No such device, or no /dev/net/tun: either is named. */
	cr_expect_null(xen_card_create(bus, 0, &net, why, sizeof(why)));
	cr_expect(strstr(why, "network tap a/b: "), "%s", why);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	net = (struct monitor_net){ .forward_from = ntohs(address.sin_port), .forward_to = 22 };
	cr_expect_null(xen_card_create(bus, 0, &net, why, sizeof(why)));
	cr_expect(strstr(why, "127.0.0.1: Address already in use"), "%s", why);
	close(fd);
}

static void connect_driver(const char *copies)
{
	char number[16];

	guest_wait(BACK "state", "2");
	snprintf(number, sizeof(number), "%u", TX);
	guest_write(FRONT "tx-ring-ref", number);
	snprintf(number, sizeof(number), "%u", RX);
	guest_write(FRONT "rx-ring-ref", number);
	snprintf(number, sizeof(number), "%u", PORT);
	guest_write(FRONT "event-channel", number);
	guest_write(FRONT "request-rx-copy", copies);
	guest_write(FRONT "state", "4");
}

static void start(void)
{
	struct monitor_net net = { 0 };

	card = xen_card_create(bus, 0, &net, why, sizeof(why));
	cr_assert_not_null(card, "%s", why);
	guest_start();
}

Test(xen_card, a_question_and_its_answer)
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
	const uint8_t *answer = guest_page(IN);

	start();
	cr_expect_str_eq(guest_read(FRONT "mac"), "02:50:56:4d:00:01");
	connect_driver("1");
	guest_wait(BACK "state", "4");
	memcpy(guest_page(OUT), question, sizeof(question));
	memcpy(tx_ring->entries, &tx, sizeof(tx));
	memcpy(rx_ring->entries, &rx, sizeof(rx));
	rx_ring->rsp_event = 1;
	__atomic_store_n(&rx_ring->req_prod, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&tx_ring->req_prod, 1, __ATOMIC_SEQ_CST);
	guest_notify(PORT);
	guest_wait_for_events(PORT, 1);
	cr_expect_eq(__atomic_load_n(&rx_ring->rsp_prod, __ATOMIC_SEQ_CST), 1);
	cr_expect(answer[12] == 8 && answer[13] == 6 && answer[21] == 2 && answer[31] == 2, "an ARP reply");
	guest_write(FRONT "state", "5");
	guest_wait(BACK "state", "5");
	cr_expect_not(guest_grant(TX)->flags & XEN_GRANT_WRITING);
	cr_expect_not(guest_grant(RX)->flags & XEN_GRANT_WRITING);
	guest_over();
	xen_card_destroy(card);
}

Test(xen_card, drivers_that_are_none)
{
	start();
	connect_driver("0");
	guest_wait(BACK "state", "5");
	cr_expect_str_eq(guest_read(BACK "error"), "it does not take its packets as copies");
	guest_write(FRONT "state", "1");
	guest_grant(RX)->domain = 3;
	connect_driver("1");
	guest_wait(BACK "state", "5");
	cr_expect_str_eq(guest_read(BACK "error"), "its ring-refs grant no pages");
	cr_expect_not(guest_grant(TX)->flags & XEN_GRANT_WRITING);
	guest_over();
	xen_card_destroy(card);
}

/* A network for which the guest has another packet at each that it sends. */
static void send_another(struct network *network, const uint8_t *packet, uint32_t length)
{
	struct xen_ring_page *ring = guest_page(TX);

	(void)network;
	(void)packet;
	(void)length;
	__atomic_fetch_add(&ring->req_prod, 1, __ATOMIC_SEQ_CST);
}

static unsigned wait_for_nothing(struct network *network, struct pollfd *fds, unsigned max, int *timeout)
{
	(void)network;
	(void)fds;
	(void)max;
	(void)timeout;
	return 0;
}

static void take_nothing(struct network *network, const struct pollfd *fds, unsigned count)
{
	(void)network;
	(void)fds;
	(void)count;
	atomic_fetch_add(&turns, 1);
}

static void keep(struct network *network)
{
	(void)network;
}

/* It is still looked at, and its network served. */
Test(xen_card, a_guest_that_sends_without_end, .timeout = 60)
{
	static const struct network_ops ops = {
		.prepare = wait_for_nothing, .serve = take_nothing, .send = send_another, .destroy = keep
	};
	static struct network endless = { .ops = &ops };
	struct {
		uint32_t ref;
		uint16_t offset, flags, id, size;
	} tx = { .ref = OUT, .size = 60 };
	struct xen_ring_page *ring = guest_page(TX);
	int before;
	uint32_t i;

	other = &endless;
	start();
	connect_driver("1");
	guest_wait(BACK "state", "4");
	for (i = 0; i < 256; i++)
		memcpy(ring->entries + i * sizeof(tx), &tx, sizeof(tx));
	before = atomic_load(&turns);
	__atomic_store_n(&ring->req_prod, 1, __ATOMIC_SEQ_CST);
	guest_notify(PORT);
	while (atomic_load(&turns) < before + 10)
		sched_yield();
	guest_write(FRONT "state", "5");
	guest_wait(BACK "state", "5");
	guest_over();
	xen_card_destroy(card);
}
