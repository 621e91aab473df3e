/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_card.h says. */
#define _GNU_SOURCE
#include "xen_card.h"

#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "xen_net.h"

#define PACKETS_A_TURN	64	/* of the guest's, before the network's turn */

struct xen_card {
	struct xen_device device;
	struct network *network;
	bool is_added;
	bool more;		/* of the guest's packets, after their turn */
	struct xen_net net;
	uint32_t tx_ref, rx_ref;	/* while it is connected */
	uint64_t sent, received, dropped;	/* of earlier connections */
	uint8_t packet[XEN_NET_PACKET_MAX];
};

static struct xen_card *to_card(struct xen_device *device)
{
	return (struct xen_card *)((char *)device - offsetof(struct xen_card, device));
}

/* ------------------------------------------------------------------------
 * Packets.
 */

static bool has_room(void *opaque)
{
	const struct xen_card *card = opaque;

	return card->device.port && xen_net_has_room(&card->net, 1);
}

static void packet_in(void *opaque, const uint8_t *packet, uint32_t length)
{
	struct xen_card *card = opaque;

	if (!card->device.port)
		card->dropped++;
	else
		xen_net_give(&card->net, packet, length);
}

static unsigned prepare(struct xen_device *device, struct pollfd *fds, int *timeout)
{
	struct xen_card *card = to_card(device);
	unsigned count = card->network->ops->prepare(card->network, fds, XEN_DEVICE_FDS, timeout);

	if (card->more)
		*timeout = 0;
	return count;
}

/* The guest's packets, a turn of them. True: there may be more. */
static bool send_packets(struct xen_card *card)
{
	unsigned i;

	for (i = 0; i < PACKETS_A_TURN; i++) {
		uint32_t length = xen_net_next(&card->net, card->packet);

		if (!length)
			return xen_ring_ask(&card->net.tx);
		card->network->ops->send(card->network, card->packet, length);
	}
	return true;
}

static void serve(struct xen_device *device, const struct pollfd *fds, unsigned count)
{
	struct xen_card *card = to_card(device);
	bool notify;

	card->network->ops->serve(card->network, fds, count);
	/* One turn: a guest that sends without end is to receive, and its driver to be looked at. */
	card->more = device->port && send_packets(card);
	if (!device->port)
		return;
	notify = xen_ring_publish(&card->net.tx);
	notify |= xen_ring_publish(&card->net.rx);
	if (notify)
		xen_device_notify(device);
	/* Told when there are pages again. */
	xen_ring_ask(&card->net.rx);
}

/* ------------------------------------------------------------------------
 * The device.
 */

static void describe(struct xen_device *device)
{
	/* Locally administered, and the same at each start. */
	xen_device_write_guest(device, "mac", "02:50:56:4d:00:%02x", device->number + 1);
	xen_device_write_guest(device, "handle", "%u", device->number);
	xen_device_write(device, "mac", "02:50:56:4d:00:%02x", device->number + 1);
	xen_device_write(device, "handle", "%u", device->number);
	xen_device_write(device, "feature-rx-copy", "1");
	xen_device_write(device, "feature-sg", "1");
}

static void unmap(struct xen_card *card)
{
	const struct xen_grants *grants = xen_bus_grants(card->device.bus);

	xen_grants_unmap(grants, card->tx_ref);
	xen_grants_unmap(grants, card->rx_ref);
}

static int connect_card(struct xen_device *device, char *why, size_t why_size)
{
	const struct xen_grants *grants = xen_bus_grants(device->bus);
	struct xen_card *card = to_card(device);
	void *tx = NULL, *rx = NULL;
	uint32_t copies = 0;

	if (!xen_device_read(device, "request-rx-copy", &copies) || copies != 1) {
		snprintf(why, why_size, "it does not take its packets as copies");
		return -1;
	}
	card->tx_ref = card->rx_ref = UINT32_MAX;
	if (xen_device_read(device, "tx-ring-ref", &card->tx_ref))
		tx = xen_grants_map(grants, card->tx_ref);
	if (xen_device_read(device, "rx-ring-ref", &card->rx_ref))
		rx = xen_grants_map(grants, card->rx_ref);
	if (!tx || !rx) {
		snprintf(why, why_size, "its ring-refs grant no pages");
	} else {
		xen_net_init(&card->net, tx, rx, grants);
		if (!xen_device_bind(device, "event-channel", why, why_size))
			return 0;
	}
	unmap(card);
	return -1;
}

static void disconnect_card(struct xen_device *device)
{
	struct xen_card *card = to_card(device);

	card->sent += card->net.sent;
	card->received += card->net.received;
	card->dropped += card->net.dropped;
	unmap(card);
}

static void save_card(const struct xen_device *device, struct xen_record *to)
{
	const struct xen_card *card = to_card((struct xen_device *)device);

	if (!device->port)
		return;
	xen_record_put32(to, card->tx_ref);
	xen_record_put32(to, card->rx_ref);
	xen_net_save(&card->net, to);
}

static bool restore_card(struct xen_device *device, struct xen_record *from)
{
	struct xen_card *card = to_card(device);

	if (!device->port)
		return !from->is_bad;
	card->tx_ref = xen_record_get32(from);
	card->rx_ref = xen_record_get32(from);
	return xen_net_restore(&card->net, xen_bus_grants(device->bus), from);
}

static const struct xen_device_ops card_ops = {
	.kind = "vif",
	.name = "network card",
	.ready = XEN_BUS_CONNECTED,
	.describe = describe,
	.connect = connect_card,
	.disconnect = disconnect_card,
	.save = save_card,
	.restore = restore_card,
	.prepare = prepare,
	.serve = serve,
};

struct xen_card *xen_card_create(struct xen_bus *bus, unsigned index,
				 const struct monitor_net *from, char *why, size_t why_size)
{
	struct xen_card *card = calloc(1, sizeof(*card));

	if (!card) {
		snprintf(why, why_size, "no memory for a network card");
		return NULL;
	}
	card->network = network_create(from, why, why_size);
	if (card->network) {
		card->network->has_room = has_room;
		card->network->packet_in = packet_in;
		card->network->card = card;
		card->is_added = true;
		if (!xen_bus_add(bus, &card->device, &card_ops, from->tap ? from->tap : "user", index, why,
				 why_size))
			return card;
	}
	xen_card_destroy(card);
	return NULL;
}

void xen_card_destroy(struct xen_card *card)
{
	if (!card)
		return;
	if (card->is_added)
		xen_bus_remove(&card->device);
	if (card->network)
		card->network->ops->destroy(card->network);
	free(card);
}

void xen_card_print_stats(const struct xen_card *card, FILE *to)
{
	fprintf(to, "network card %u (%s)\n", card->device.number, card->device.name);
	monitor_print_row(to, "sent", card->sent);
	monitor_print_row(to, "received", card->received);
	monitor_print_row(to, "dropped", card->dropped);
}
