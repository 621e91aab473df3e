/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A network card's packets: pieces put together, checksums filled in, nothing outside the guest's pages. */
#include "xen_net.h"

#include <criterion/criterion.h>
#include <string.h>

static struct xen_grant table[64];
static uint8_t memory[64 * 4096] __attribute__((aligned(4096)));
static const struct xen_grants grants = { .memory = memory, .pages = 64, .table = table, .count = 64 };
static uint8_t tx_page[4096] __attribute__((aligned(4096))), rx_page[4096] __attribute__((aligned(4096)));
static struct xen_ring_page *tx = (struct xen_ring_page *)tx_page, *rx = (struct xen_ring_page *)rx_page;
static struct xen_net net;
static uint8_t packet[XEN_NET_PACKET_MAX];

enum { CSUM_BLANK = 1, MORE = 4, EXTRA = 8 };

struct request {
	uint32_t ref;
	uint16_t offset, flags, id, size;
};

static void setup(void)
{
	uint32_t i;

	memset(tx_page, 0, sizeof(tx_page));
	memset(rx_page, 0, sizeof(rx_page));
	memset(memory, 0, sizeof(memory));
	for (i = 0; i < 64; i++)
		table[i] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS, .frame = i };
	xen_net_init(&net, tx_page, rx_page, &grants);
}

TestSuite(xen_net, .init = setup);

static void send(struct request request)
{
	memcpy(tx->entries + tx->req_prod % 256 * 12, &request, sizeof(request));
	tx->req_prod++;
}

static int tx_status(uint32_t answer)
{
	int16_t status;

	memcpy(&status, tx->entries + answer % 256 * 12 + 2, sizeof(status));
	return status;
}

Test(xen_net, a_packet_of_three_pieces)
{
	memset(memory + 1 * 4096 + 10, 'a', 20);
	memset(memory + 2 * 4096, 'b', 30);
	memset(memory + 3 * 4096 + 4091, 'c', 5);
	send((struct request){ .ref = 1, .offset = 10, .flags = MORE, .id = 4, .size = 55 });
	send((struct request){ .ref = 2, .flags = MORE, .id = 5, .size = 30 });
	send((struct request){ .ref = 3, .offset = 4091, .id = 6, .size = 5 });
	cr_assert_eq(xen_net_next(&net, packet), 55);
	cr_expect(packet[19] == 'a' && packet[20] == 'b' && packet[49] == 'b' && packet[50] == 'c');
	cr_expect(net.tx.answered == 3 && !tx_status(0) && !tx_status(2));
	cr_expect_eq(xen_net_next(&net, packet), 0);
	cr_expect_eq(net.sent, 1);
}

static bool is_refused(struct request request)
{
	uint32_t answered = net.tx.answered;

	send(request);
	return !xen_net_next(&net, packet) && net.tx.answered == answered + 1 && tx_status(answered) == -1;
}

Test(xen_net, what_is_no_packet)
{
	struct request request = { .ref = 1, .size = 60 };
	uint32_t i;

	cr_expect(is_refused((struct request){ .ref = 64, .size = 60 }), "no grant");
	cr_expect(is_refused((struct request){ .ref = 1, .offset = 4090, .size = 60 }),
		  "over the page's end");
	cr_expect(is_refused((struct request){ .ref = 1, .offset = 0xffff, .size = 60 }), "outside the page");
	cr_expect(is_refused((struct request){ .ref = 1, .size = 4097 }), "longer than a page");
	cr_expect(is_refused((struct request){ .ref = 1, .size = 0 }), "of nothing");
	/* Pieces longer than the packet. */
	send((struct request){ .ref = 1, .flags = MORE, .size = 60 });
	send((struct request){ .ref = 2, .size = 61 });
	cr_expect_eq(xen_net_next(&net, packet), 0);
	/* More pieces than there can be: each is answered. */
	for (i = 0; i < 40; i++)
		send((struct request){ .ref = 1, .flags = i < 39 ? MORE : 0, .size = 40 });
	cr_expect_eq(xen_net_next(&net, packet), 0);
	cr_expect_eq(net.tx.answered, tx->req_prod);
	/* And after all that, one that is. */
	send(request);
	cr_expect_eq(xen_net_next(&net, packet), 60);
}

Test(xen_net, an_extra_that_this_card_does_not_offer)
{
	send((struct request){ .ref = 1, .flags = EXTRA, .size = 60 });
	send((struct request){ .ref = 1 });	/* type 1, no more */
	cr_expect_eq(xen_net_next(&net, packet), 0);
	cr_expect_eq(net.tx.answered, 2);
	cr_expect_eq(tx_status(0), -1);
	cr_expect_eq(tx_status(1), 1, "no answer of its own");
}

static void give_page(uint16_t id, uint32_t ref)
{
	struct { uint16_t id, pad; uint32_t ref; } request = { id, 0, ref };

	memcpy(rx->entries + rx->req_prod % 256 * 8, &request, sizeof(request));
	rx->req_prod++;
}

static void rx_answer(uint32_t index, uint16_t *id, uint16_t *flags, int16_t *status)
{
	const uint8_t *entry = rx->entries + index % 256 * 8;

	memcpy(id, entry, 2);
	memcpy(flags, entry + 4, 2);
	memcpy(status, entry + 6, 2);
}

Test(xen_net, a_packet_over_two_pages)
{
	uint16_t id, flags;
	int16_t status;

	memset(packet, 'x', 5000);
	cr_expect_not(xen_net_give(&net, packet, 60), "no page, no packet");
	give_page(8, 20);
	cr_expect_not(xen_net_give(&net, packet, 5000), "too few");
	cr_expect(xen_net_has_room(&net, 4096));
	give_page(9, 30);
	cr_assert(xen_net_give(&net, packet, 5000));
	rx_answer(0, &id, &flags, &status);
	cr_expect(id == 8 && flags == MORE && status == 4096);
	rx_answer(1, &id, &flags, &status);
	cr_expect(id == 9 && flags == 0 && status == 904);
	cr_expect(memory[20 * 4096 + 4095] == 'x' && memory[30 * 4096 + 903] == 'x' &&
		  memory[30 * 4096 + 904] == 0);
	cr_expect(net.received == 1 && net.dropped == 2);
	table[40].flags |= XEN_GRANT_READONLY;
	give_page(10, 40);
	cr_expect_not(xen_net_give(&net, packet, 60));
	rx_answer(2, &id, &flags, &status);
	cr_expect(id == 10 && status == -1 && memory[40 * 4096] == 0, "a page that may not be written");
}

/* ------------------------------------------------------------------------
 * Checksums, by the sum over the whole: with a right one it is all ones.
 */

static uint32_t fold(const uint8_t *from, uint32_t length, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i < length; i++)
		sum += i % 2 ? from[i] : (uint32_t)from[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Ethernet, IPv4 with @header bytes, then @length bytes of @protocol; its field has the
 * pseudo-header's sum. */
static uint32_t make_frame(uint32_t header, uint8_t protocol, uint32_t length)
{
	uint8_t *ip = packet + 14, pseudo[12] = { 10, 0, 2, 15, 10, 0, 2, 2, 0, protocol };
	uint32_t field = header + (protocol == 6 ? 16 : 6), sum, i;

	memset(packet, 0, 14 + header);
	packet[12] = 8;
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[2] = (uint8_t)((header + length) >> 8);
	ip[3] = (uint8_t)(header + length);
	ip[9] = protocol;
	memcpy(ip + 12, pseudo, 8);
	for (i = 0; i < length; i++)
		ip[header + i] = (uint8_t)(i * 37 + 1);
	pseudo[10] = (uint8_t)(length >> 8);
	pseudo[11] = (uint8_t)length;
	sum = fold(pseudo, 12, 0);
	ip[field] = (uint8_t)(sum >> 8);
	ip[field + 1] = (uint8_t)sum;
	return 14 + header + length;
}

static uint32_t sum_of(uint32_t header, uint8_t protocol, uint32_t length)
{
	uint8_t pseudo[12] = {
		10, 0, 2, 15, 10, 0, 2, 2, 0, protocol, (uint8_t)(length >> 8), (uint8_t)length
	};

	return fold(packet + 14 + header, length, fold(pseudo, 12, 0));
}

Test(xen_net, checksums)
{
	static const struct { uint32_t header; uint8_t protocol; uint32_t length; } frames[] = {
		{ 20, 6, 20 }, { 20, 6, 21 }, { 20, 17, 8 }, { 24, 17, 1001 }, { 60, 6, 1400 },
	};
	uint32_t i, length;

	for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		length = make_frame(frames[i].header, frames[i].protocol, frames[i].length);
		xen_net_fill_checksum(packet, length);
		cr_expect_eq(sum_of(frames[i].header, frames[i].protocol, frames[i].length), 0xffff,
			     "frame %u", i);
	}
}

Test(xen_net, what_has_no_checksum_stays)
{
	static uint8_t before[2048];
	uint32_t length = make_frame(20, 6, 20), i;

	/* Each cut short by a byte more, in front of which nothing may be written or read. */
	for (i = 0; i < 14 + 20 + 18; i++) {
		memcpy(before, packet, sizeof(before));
		xen_net_fill_checksum(packet, i);
		cr_expect_arr_eq(packet, before, sizeof(before), "%u bytes", i);
	}
	packet[13] = 6;			/* not IPv4 */
	memcpy(before, packet, sizeof(before));
	xen_net_fill_checksum(packet, length);
	cr_expect_arr_eq(packet, before, sizeof(before));
	length = make_frame(20, 1, 20);	/* ICMP */
	memcpy(before, packet, sizeof(before));
	xen_net_fill_checksum(packet, length);
	cr_expect_arr_eq(packet, before, sizeof(before));
	length = make_frame(20, 6, 20);
	packet[14] = 0x41;		/* a header of 4 bytes */
	memcpy(before, packet, sizeof(before));
	xen_net_fill_checksum(packet, length);
	cr_expect_arr_eq(packet, before, sizeof(before));
}
