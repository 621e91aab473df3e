/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A network of the process's own, by libslirp: 10.0.2.0/24 and fec0::/64, the host at 10.0.2.2, names at
 * 10.0.2.3, the guest at 10.0.2.15 by DHCP. What the guest sends goes out as the process's own
 * connections.
 */
#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* libslirp's clock and its host's name servers are of the process, and each card has a thread. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

struct timer {
	SlirpTimerCb callback;
	void *opaque;
	int64_t expires;	/* ms; -1: it does not run */
	struct timer *next;
};

struct user_network {
	struct network network;
	Slirp *slirp;
	struct timer *timers;
	struct pollfd *fds;	/* while it says what to wait for */
	unsigned count, max;
	bool loopback;		/* the guest may reach the host's */
	const struct pollfd *ready;	/* and what came of it */
};

static struct user_network *to_user(struct network *network)
{
	return (struct user_network *)network;
}

/* ------------------------------------------------------------------------
 * What libslirp calls.
 */

/* It may give packets up whenever it likes; what there is no room for is lost. */
static ssize_t packet_for_guest(const void *packet, size_t length, void *opaque)
{
	struct user_network *user = opaque;

	user->network.packet_in(user->network.card, packet, (uint32_t)length);
	return (ssize_t)length;
}

static void guest_error(const char *message, void *opaque)
{
	(void)message;		/* a guest could fill a disk with them */
	(void)opaque;
}

static int64_t clock_ns(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void *timer_new(SlirpTimerCb callback, void *timer_opaque, void *opaque)
{
	struct timer *timer = calloc(1, sizeof(*timer));
	struct user_network *user = opaque;

	if (!timer)
		abort();	/* it takes no other answer */
	*timer = (struct timer){
		.callback = callback, .opaque = timer_opaque, .expires = -1, .next = user->timers
	};
	user->timers = timer;
	return timer;
}

static void timer_free(void *which, void *opaque)
{
	struct user_network *user = opaque;
	struct timer **link = &user->timers, *timer = which;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	free(timer);
}

static void timer_mod(void *which, int64_t expires, void *opaque)
{
	(void)opaque;
	((struct timer *)which)->expires = expires;
}

static void ignore_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

/* Only its own thread calls it. */
static void notify(void *opaque)
{
	(void)opaque;
}

static void drop_line(const char *domain, int level, const char *message, void *data)
{
	(void)domain;
	(void)level;
	(void)message;
	(void)data;
}

/* What libslirp says by glib is of single packets: as guest_error(). glib is there where it is, its
 * headers may not be. */
static void silence_library(void)
{
	unsigned (*set)(const char *domain, int levels,
			void (*to)(const char *domain, int level, const char *message, void *data),
			void *data);
	void *found = dlsym(RTLD_DEFAULT, "g_log_set_handler");

	if (!found)
		return;
	memcpy(&set, &found, sizeof(set));
	set("Slirp", ~3, drop_line, NULL);	/* every level, none of the two flags */
}

static const SlirpCb callbacks = {
	.send_packet = packet_for_guest,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = ignore_fd,
	.unregister_poll_fd = ignore_fd,
	.notify = notify,
};

static const struct { int slirp; short poll; } event_bits[] = {
	{ SLIRP_POLL_IN, POLLIN }, { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};

#define EVENT_BITS	(sizeof(event_bits) / sizeof(event_bits[0]))

static int add_fd(int fd, int events, void *opaque)
{
	struct user_network *user = opaque;
	short bits = 0;
	unsigned i;

	if (user->count == user->max)
		return -1;	/* its turn comes when others are gone */
	for (i = 0; i < EVENT_BITS; i++) {
		if (events & event_bits[i].slirp)
			bits |= event_bits[i].poll;
	}
	user->fds[user->count] = (struct pollfd){ .fd = fd, .events = bits };
	return (int)user->count++;
}

static int ready_events(int index, void *opaque)
{
	struct user_network *user = opaque;
	int events = 0;
	unsigned i;

	if (index < 0 || (unsigned)index >= user->count)
		return 0;
	for (i = 0; i < EVENT_BITS; i++) {
		if (user->ready[index].revents & event_bits[i].poll)
			events |= event_bits[i].slirp;
	}
	return events;
}

/* ------------------------------------------------------------------------
 * What the card calls.
 */

static int64_t now_ms(void)
{
	return clock_ns(NULL) / 1000000;
}

static unsigned prepare(struct network *network, struct pollfd *fds, unsigned max, int *timeout)
{
	struct user_network *user = to_user(network);
	uint32_t wait = UINT32_MAX;
	struct timer *timer;
	int64_t now;

	user->fds = fds;
	user->max = max;
	user->count = 0;
	pthread_mutex_lock(&library);
	slirp_pollfds_fill(user->slirp, &wait, add_fd, user);
	pthread_mutex_unlock(&library);
	now = now_ms();
	for (timer = user->timers; timer; timer = timer->next) {
		if (timer->expires >= 0 && timer->expires - now < wait)
			wait = timer->expires > now ? (uint32_t)(timer->expires - now) : 0;
	}
	*timeout = wait > INT32_MAX ? -1 : (int)wait;
	return user->count;
}

static void serve(struct network *network, const struct pollfd *fds, unsigned count)
{
	struct user_network *user = to_user(network);
	struct timer *timer;
	int64_t now = now_ms();

	user->ready = fds;
	user->count = count;
	pthread_mutex_lock(&library);
	slirp_pollfds_poll(user->slirp, 0, ready_events, user);
	for (timer = user->timers; timer;) {
		struct timer *next = timer->next;

		if (timer->expires >= 0 && timer->expires <= now) {
			timer->expires = -1;
			timer->callback(timer->opaque);
		}
		timer = next;
	}
	pthread_mutex_unlock(&library);
}

#define ETHER		14u
#define IPV4_TO		(ETHER + 16)
#define IPV6_TO		(ETHER + 24)

/*
 * Is it for this host alone, whatever network it is on: 127.0.0.0/8, ::1, and all that connect() takes for
 * them? libslirp refuses 10.0.2.2 and its like, but connects to these as they are.
 */
static bool is_for_loopback(const uint8_t *packet, uint32_t length)
{
	static const uint8_t zeros[10];
	const uint8_t *to = packet + IPV6_TO;

	if (length >= IPV4_TO + 4 && packet[12] == 0x08 && packet[13] == 0x00)
		return packet[IPV4_TO] == 127 || packet[IPV4_TO] == 0;
	if (length < IPV6_TO + 16 || packet[12] != 0x86 || packet[13] != 0xdd)
		return false;
	/* ::/96, and IPv4 addresses as IPv6 ones. */
	return !memcmp(to, zeros, sizeof(zeros)) && to[10] == to[11] && (to[10] == 0 || to[10] == 0xff);
}

/*
 * A part of an IPv4 packet? libslirp's ip_reass(), as Debian 12 has it built, writes to memory that is
 * not its own when a packet's last part comes first. No part gets there, then.
 */
static bool is_fragment(const uint8_t *packet, uint32_t length)
{
	return length >= IPV4_TO && packet[12] == 0x08 && packet[13] == 0x00 &&
	       ((packet[ETHER + 6] & 0x3f) || packet[ETHER + 7]);
}

static void send_packet(struct network *network, const uint8_t *packet, uint32_t length)
{
	if (is_fragment(packet, length))
		return;
	if (!to_user(network)->loopback && is_for_loopback(packet, length))
		return;
	pthread_mutex_lock(&library);
	slirp_input(to_user(network)->slirp, packet, (int)length);
	pthread_mutex_unlock(&library);
}

static void destroy(struct network *network)
{
	struct user_network *user = to_user(network);

	if (user->slirp)
		slirp_cleanup(user->slirp);
	while (user->timers)
		timer_free(user->timers, user);
	free(user);
}

static const struct network_ops user_ops = {
	.prepare = prepare,
	.serve = serve,
	.send = send_packet,
	.destroy = destroy,
};

static struct in_addr address(uint32_t last)
{
	return (struct in_addr){ htonl(0x0a000200u | last) };	/* 10.0.2.0 */
}

struct network *network_user_create(const struct monitor_net *from, char *why, size_t why_size)
{
	SlirpConfig config = {
		.version = 1,
		.in_enabled = true,
		.vnetwork = address(0),
		.vnetmask = { htonl(0xffffff00u) },
		.vhost = address(2),
		.vdhcp_start = address(15),
		.vnameserver = address(3),
		.in6_enabled = true,
		.vprefix_len = 64,
		.vhostname = "pvm",
		.disable_host_loopback = !from->loopback,
	};
	struct user_network *user = calloc(1, sizeof(*user));
	struct in_addr host = { htonl(INADDR_LOOPBACK) };

	if (!user) {
		snprintf(why, why_size, "no memory for a user-mode network");
		return NULL;
	}
	inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &config.vhost6);
	inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
	user->network.ops = &user_ops;
	user->loopback = from->loopback;
	silence_library();
	user->slirp = slirp_new(&config, &callbacks, user);
	if (!user->slirp) {
		snprintf(why, why_size, "libslirp makes no user-mode network");
	} else if (from->forward_from && slirp_add_hostfwd(user->slirp, 0, host, from->forward_from,
							   address(15), from->forward_to) < 0) {
		snprintf(why, why_size, "network user: port %u of 127.0.0.1: %s",
			 from->forward_from, strerror(errno));
	} else {
		return &user->network;
	}
	destroy(&user->network);
	return NULL;
}
