/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A tap device that the host has, or that is made for as long as the VM lives. */
#define _GNU_SOURCE
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../output.h"
#include "xen_net.h"

#define PACKETS_A_TURN	64	/* then the guest's are looked at */

struct tap {
	struct network network;
	const char *name;
	int fd;
	bool is_gone;		/* the host has deleted the device */
	uint8_t packet[XEN_NET_PACKET_MAX];
};

static struct tap *to_tap(struct network *network)
{
	return (struct tap *)network;
}

static unsigned prepare(struct network *network, struct pollfd *fds, unsigned max, int *timeout)
{
	(void)max;
	(void)timeout;
	if (to_tap(network)->is_gone)
		return 0;
	/* What the guest has no room for waits in the host's queue. */
	fds[0] = (struct pollfd){ .fd = to_tap(network)->fd,
				  .events = network->has_room(network->card) ? POLLIN : 0 };
	return 1;
}

static void serve(struct network *network, const struct pollfd *fds, unsigned count)
{
	struct tap *tap = to_tap(network);
	unsigned i;

	/* It stays so: poll() with it would return at once. */
	if (count && fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		tap->is_gone = true;
		output_say("pvm: network tap %s: the host has none any more; nor has the guest\n", tap->name);
		return;
	}
	for (i = 0; i < PACKETS_A_TURN && network->has_room(network->card); i++) {
		ssize_t length = read(tap->fd, tap->packet, sizeof(tap->packet));

		if (length <= 0)
			break;
		network->packet_in(network->card, tap->packet, (uint32_t)length);
	}
}

/* A full queue, or a device that is down: a network loses packets. */
static void send_packet(struct network *network, const uint8_t *packet, uint32_t length)
{
	if (write(to_tap(network)->fd, packet, length) < 0)
		return;
}

static void destroy(struct network *network)
{
	close(to_tap(network)->fd);
	free(network);
}

static const struct network_ops tap_ops = {
	.prepare = prepare,
	.serve = serve,
	.send = send_packet,
	.destroy = destroy,
};

struct network *network_tap_create(const char *name, char *why, size_t why_size)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap) {
		snprintf(why, why_size, "no memory for the network %s", name);
		return NULL;
	}
	tap->network.ops = &tap_ops;
	tap->name = name;
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	tap->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap->fd < 0) {
		snprintf(why, why_size, "network tap %s: /dev/net/tun: %s", name, strerror(errno));
	} else if (ioctl(tap->fd, TUNSETIFF, &request) < 0) {
		snprintf(why, why_size, "network tap %s: %s", name,
			 errno == EBUSY ? "in use by another" : strerror(errno));
		close(tap->fd);
	} else {
		return &tap->network;
	}
	free(tap);
	return NULL;
}
