/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_net.h says. */
#include "xen_net.h"

#include <string.h>

#define PAGE		4096u

/* Flags of a request to send, and of a response that tells of a packet. */
#define TX_CSUM_BLANK	1u
#define TX_MORE		4u
#define TX_EXTRA	8u
#define RX_MORE		4u
#define EXTRA_MORE	1u

struct tx_request {
	uint32_t ref;
	uint16_t offset, flags, id, size;
};

/* In place of a request, behind the first of a packet. */
struct tx_extra {
	uint8_t type, flags;
	uint8_t rest[10];
};

struct tx_response {
	uint16_t id;
	int16_t status;
};

struct rx_request {
	uint16_t id, reserved;
	uint32_t ref;
};

struct rx_response {
	uint16_t id, offset, flags;
	int16_t status;		/* bytes, or an error */
};

/* Without gaps, as xen_blk.c's. */
_Static_assert(sizeof(struct tx_response) == 2 + 2 && sizeof(struct rx_response) == 3 * 2 + 2, "a gap");

enum { STATUS_NULL = 1, STATUS_OKAY = 0, STATUS_ERROR = -1 };

void xen_net_init(struct xen_net *net, void *tx_page, void *rx_page, const struct xen_grants *grants)
{
	*net = (struct xen_net){ .grants = grants };
	xen_ring_init(&net->tx, tx_page, sizeof(struct tx_request));
	xen_ring_init(&net->rx, rx_page, sizeof(struct rx_request));
}

void xen_net_save(const struct xen_net *net, struct xen_record *to)
{
	xen_ring_save(&net->tx, net->grants, to);
	xen_ring_save(&net->rx, net->grants, to);
}

bool xen_net_restore(struct xen_net *net, const struct xen_grants *grants, struct xen_record *from)
{
	*net = (struct xen_net){ .grants = grants };
	return xen_ring_restore(&net->tx, sizeof(struct tx_request), grants, from) &&
	       xen_ring_restore(&net->rx, sizeof(struct rx_request), grants, from);
}

/* ------------------------------------------------------------------------
 * Checksums.
 */

#define ETHER		14
#define ETHER_IPV4	0x0800
#define IP_HEADER	20
#define IP_TCP		6
#define IP_UDP		17

static uint32_t word(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

void xen_net_fill_checksum(uint8_t *packet, uint32_t length)
{
	uint32_t header, place, sum = 0, i, end;
	uint8_t *ip = packet + ETHER, *field;

	if (length < ETHER + IP_HEADER || word(packet + ETHER - 2) != ETHER_IPV4 || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 15u) * 4;
	end = word(ip + 2);		/* of the datagram: a short frame is padded */
	place = ip[9] == IP_TCP ? 16 : 6;
	if ((ip[9] != IP_TCP && ip[9] != IP_UDP) || header < IP_HEADER || end > length - ETHER ||
	    end < header + place + 2)
		return;
	field = ip + header + place;
	for (i = header; i + 1 < end; i += 2)
		sum += word(ip + i);
	if (i < end)
		sum += (uint32_t)ip[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	if (!sum && ip[9] == IP_UDP)	/* 0 says that there is none */
		sum = 0xffff;
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
}

/* ------------------------------------------------------------------------
 * From the guest.
 */

static void answer_tx(struct xen_net *net, uint16_t id, int status)
{
	struct tx_response response = { .id = id, .status = (int16_t)status };

	xen_ring_answer(&net->tx, &response, sizeof(response));
}

/* The requests of one packet, taken from the ring. */
struct pieces {
	struct tx_request request[XEN_NET_SLOTS];
	uint32_t count;
	uint32_t extras;	/* entries that are not requests: they are answered, too */
	bool is_bad;
};

static bool take_extras(struct xen_net *net, struct pieces *pieces)
{
	struct tx_extra extra;

	do {
		if (!xen_ring_take(&net->tx, &extra, sizeof(extra)))
			return false;
		pieces->extras++;
	} while (extra.flags & EXTRA_MORE);
	/* They are about what this card does not offer. */
	pieces->is_bad = true;
	return true;
}

/* False: the guest has not written all of it. A Linux guest publishes whole packets only. */
static bool take_pieces(struct xen_net *net, struct pieces *pieces)
{
	struct tx_request request;

	do {
		if (!xen_ring_take(&net->tx, &request, sizeof(request)))
			return false;
		if (pieces->count == XEN_NET_SLOTS) {
			pieces->is_bad = true;
			answer_tx(net, request.id, STATUS_ERROR);
			continue;
		}
		pieces->request[pieces->count++] = request;
		if (pieces->count == 1 && (request.flags & TX_EXTRA) && !take_extras(net, pieces))
			return false;
	} while (request.flags & TX_MORE);
	return true;
}

/* The first request's size is that of the packet, the others' are their own. Returns the packet's; 0:
 * it is none. */
static uint32_t copy_pieces(const struct xen_net *net, const struct pieces *pieces, uint8_t *packet)
{
	uint32_t length = pieces->request[0].size, rest = length, at = 0, i;

	for (i = 1; i < pieces->count; i++) {
		if (pieces->request[i].size > rest)
			return 0;
		rest -= pieces->request[i].size;
	}
	for (i = 0; i < pieces->count; i++) {
		const struct tx_request *request = &pieces->request[i];
		uint32_t bytes = i ? request->size : rest;
		const uint8_t *page = xen_grants_page(net->grants, request->ref, false);

		if (!page || request->offset > PAGE || bytes > PAGE - request->offset)
			return 0;
		memcpy(packet + at, page + request->offset, bytes);
		at += bytes;
	}
	return length;
}

static void answer_pieces(struct xen_net *net, const struct pieces *pieces, int status)
{
	uint32_t i;

	for (i = 0; i < pieces->count; i++)
		answer_tx(net, pieces->request[i].id, status);
	for (i = 0; i < pieces->extras; i++)
		answer_tx(net, 0, STATUS_NULL);
}

uint32_t xen_net_next(struct xen_net *net, uint8_t *packet)
{
	while (xen_ring_waiting(&net->tx, NULL)) {
		struct pieces pieces = { 0 };
		uint32_t length = 0;

		if (take_pieces(net, &pieces) && !pieces.is_bad)
			length = copy_pieces(net, &pieces, packet);
		answer_pieces(net, &pieces, length ? STATUS_OKAY : STATUS_ERROR);
		if (length < ETHER)
			continue;
		if (pieces.request[0].flags & TX_CSUM_BLANK)
			xen_net_fill_checksum(packet, length);
		net->sent++;
		return length;
	}
	return 0;
}

/* ------------------------------------------------------------------------
 * To the guest.
 */

static uint32_t slots(uint32_t length)
{
	return (length + PAGE - 1) / PAGE;
}

bool xen_net_has_room(const struct xen_net *net, uint32_t length)
{
	return xen_ring_waiting(&net->rx, NULL) >= slots(length);
}

bool xen_net_give(struct xen_net *net, const uint8_t *packet, uint32_t length)
{
	uint32_t count = slots(length), at = 0, i;
	bool whole = true;

	if (!length || !xen_net_has_room(net, length)) {
		net->dropped++;
		return false;
	}
	for (i = 0; i < count; i++) {
		uint32_t bytes = length - at < PAGE ? length - at : PAGE;
		struct rx_response response = { 0 };
		struct rx_request request;
		uint8_t *page;

		if (!xen_ring_take(&net->rx, &request, sizeof(request)))
			break;
		page = xen_grants_page(net->grants, request.ref, true);
		if (page)
			memcpy(page, packet + at, bytes);
		whole = whole && page;
		response.id = request.id;
		response.flags = i + 1 < count ? RX_MORE : 0;
		response.status = page ? (int16_t)bytes : STATUS_ERROR;
		xen_ring_answer(&net->rx, &response, sizeof(response));
		at += bytes;
	}
	if (whole)
		net->received++;
	else
		net->dropped++;
	return whole;
}
