/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The network card of a Xen PV guest: two rings, one of packets that the guest sends, in pieces, and one
 * of pages into which packets for it are copied. A packet is an Ethernet frame without its check
 * sequence. The guest writes rings and pages at any time: a packet is a copy, which changes no more.
 *
 * Freestanding: needs memcpy(). One thread at a time.
 */
#ifndef DEVICES_XEN_NET_H
#define DEVICES_XEN_NET_H

#include "xen_grants.h"
#include "xen_ring.h"

#define XEN_NET_PACKET_MAX	65535u	/* bytes */
#define XEN_NET_SLOTS		19u	/* pieces of a packet from the guest, at most */

struct xen_net {
	struct xen_ring tx, rx;		/* from the guest, to it */
	const struct xen_grants *grants;
	uint64_t sent, received;	/* packets, of the guest's, and for it */
	uint64_t dropped;		/* for it, that it had no room for */
};

void xen_net_init(struct xen_net *net, void *tx_page, void *rx_page, const struct xen_grants *grants);

/*
 * The next packet that the guest sends, in @packet of XEN_NET_PACKET_MAX bytes; its IPv4 checksum of TCP
 * or UDP is filled in where the guest leaves that to its card. What is no packet, or not the whole of one, is
 * answered with an error. Returns its length; 0: there is none; publish what was answered, and ask.
 */
uint32_t xen_net_next(struct xen_net *net, uint8_t *packet);

/* Is there room for a packet of @length bytes? */
bool xen_net_has_room(const struct xen_net *net, uint32_t length);

/* A packet for the guest: publish afterwards. False: there was no room, or a page it named was none:
 * it is lost, as packets are. */
bool xen_net_give(struct xen_net *net, const uint8_t *packet, uint32_t length);

/* Its rings, for a guest that is saved; and in place of xen_net_init(). False: the record is bad. */
void xen_net_save(const struct xen_net *net, struct xen_record *to);
bool xen_net_restore(struct xen_net *net, const struct xen_grants *grants, struct xen_record *from);

/* Fill in the checksum of TCP or UDP over IPv4, whose field has the sum of the pseudo-header, in a
 * frame. Anything else stays as it is. */
void xen_net_fill_checksum(uint8_t *packet, uint32_t length);

#endif /* DEVICES_XEN_NET_H */
