/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where the packets of a guest's network card go, and come from: a tap device of the host's, or a
 * user-mode network (libslirp), which needs no privilege. A packet is an Ethernet frame. One thread.
 */
#ifndef STANDALONE_NETWORK_H
#define STANDALONE_NETWORK_H

#include <poll.h>

#include "../vm.h"

struct network;

struct network_ops {
	/* Fill in what to wait for, at most @max of @fds, and for how long (@timeout, ms; -1: no limit).
	 * Returns the number of @fds filled in. */
	unsigned (*prepare)(struct network *network, struct pollfd *fds, unsigned max, int *timeout);
	/* After that. Gives network->packet_in() what has come, while has_room(). */
	void (*serve)(struct network *network, const struct pollfd *fds, unsigned count);
	/* A packet of the guest's. */
	void (*send)(struct network *network, const uint8_t *packet, uint32_t length);
	void (*destroy)(struct network *network);
};

struct network {
	const struct network_ops *ops;
	/* The card's: is there room for a packet of one page? And a packet, of at most
	 * XEN_NET_PACKET_MAX bytes. */
	bool (*has_room)(void *card);
	void (*packet_in)(void *card, const uint8_t *packet, uint32_t length);
	void *card;
};

/* @from's network. Returns NULL with one line in @why. The callbacks are set by the caller, then. */
struct network *network_create(const struct monitor_net *from, char *why, size_t why_size);

/* network_tap.c, network_user.c */
struct network *network_tap_create(const char *name, char *why, size_t why_size);
struct network *network_user_create(const struct monitor_net *from, char *why, size_t why_size);

#endif /* STANDALONE_NETWORK_H */
