/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Networks without a card: what a guest does not reach, whatever it puts into a packet, and a tap device that
 * the host takes away. */
#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct network *network;
static char why[256];

static bool has_room(void *card)
{
	(void)card;
	return true;
}

static void packet_in(void *card, const uint8_t *packet, uint32_t length)
{
	(void)card;
	(void)packet;
	(void)length;
}

/* Returns whether something was there at once. */
static bool turn(int most)
{
	struct pollfd fds[64];
	int timeout = -1, ready;
	unsigned count = network->ops->prepare(network, fds, 64, &timeout);

	ready = poll(fds, count, timeout < 0 || timeout > most ? most : timeout);
	network->ops->serve(network, fds, count);
	return ready > 0;
}

static uint32_t sum(const uint8_t *from, uint32_t length, uint32_t start)
{
	uint32_t i;

	for (i = 0; i < length; i += 2)
		start += (uint32_t)from[i] << 8 | from[i + 1];
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

static void put(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/* The wish for a connection, in 20 bytes. @addresses: @size bytes, for the checksum. */
static void make_tcp(uint8_t *to, uint16_t port, const uint8_t *addresses, uint32_t size)
{
	memset(to, 0, 20);
	put(to, 12345);
	put(to + 2, port);
	to[7] = 1;
	to[12] = 0x50;
	to[13] = 2;		/* SYN */
	to[14] = 0x10;
	put(to + 16, ~sum(to, 20, sum(addresses, size, 6 + 20)));
}

static void connect_to(const char *where, uint16_t port)
{
	uint8_t packet[74] = { 0x52, 0x55, 10, 0, 2, 2, 2, 0x50, 0x56, 0x4d, 0, 1 }, *ip = packet + 14;
	uint32_t i;

	if (strchr(where, ':')) {
		put(packet + 12, 0x86dd);
		ip[0] = 0x60;
		ip[5] = 20;
		ip[6] = 6;
		ip[7] = 64;
		inet_pton(AF_INET6, "fec0::15", ip + 8);
		inet_pton(AF_INET6, where, ip + 24);
		make_tcp(ip + 40, port, ip + 8, 32);
		network->ops->send(network, packet, 74);
	} else {
		put(packet + 12, 0x0800);
		ip[0] = 0x45;
		ip[3] = 40;
		ip[8] = 64;
		ip[9] = 6;
		inet_pton(AF_INET, "10.0.2.15", ip + 12);
		inet_pton(AF_INET, where, ip + 16);
		put(ip + 10, ~sum(ip, 20, 0));
		make_tcp(ip + 20, port, ip + 12, 8);
		network->ops->send(network, packet, 54);
	}
	for (i = 0; i < 3; i++)
		turn(20);
}

static void make(struct monitor_net net)
{
	network = network_user_create(&net, why, sizeof(why));
	cr_assert_not_null(network, "%s", why);
	network->has_room = has_room;
	network->packet_in = packet_in;
}

/* One that listens on 127.0.0.1 or ::1; -1: the host has no such. */
static int listen_on(int family, uint16_t *port)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six;
	socklen_t length = family == AF_INET ? sizeof(four) : sizeof(six);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, address, length) < 0 || listen(fd, 8) < 0 || getsockname(fd, address, &length) < 0) {
		close(fd);
		return -1;
	}
	*port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
	return fd;
}

static bool is_reached(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	if (poll(&poller, 1, 0) <= 0)
		return false;
	close(accept(fd, NULL, NULL));
	return true;
}

Test(xen_network, the_hosts_own_services_are_not_the_guests)
{
	static const char *const four[] = { "10.0.2.2", "127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1",
					    "::ffff:0.0.0.0", "255.255.255.255" };
	static const char *const six[] = { "fec0::2", "::1", "::" };
	uint16_t port = 0, port6 = 0;
	int fd = listen_on(AF_INET, &port), fd6 = listen_on(AF_INET6, &port6);
	uint32_t i;

	cr_assert_geq(fd, 0);
	make((struct monitor_net){ 0 });
	for (i = 0; i < sizeof(four) / sizeof(four[0]); i++) {
		connect_to(four[i], port);
		cr_expect_not(is_reached(fd), "127.0.0.1 by %s", four[i]);
	}
	for (i = 0; fd6 >= 0 && i < sizeof(six) / sizeof(six[0]); i++) {
		connect_to(six[i], port6);
		cr_expect_not(is_reached(fd6), "::1 by %s", six[i]);
	}
	network->ops->destroy(network);
	/* These are packets that arrive, where that is allowed. */
	make((struct monitor_net){ .loopback = true });
	connect_to("10.0.2.2", port);
	cr_expect(is_reached(fd));
	network->ops->destroy(network);
	close(fd);
	if (fd6 >= 0)
		close(fd6);
}

/* The last part of an ICMP packet whose first has not come. It has ended pvm, or worse. */
Test(xen_network, parts_of_packets)
{
	uint8_t packet[114] = { 0x52, 0x55, 10, 0, 2,	 2, 2, 0x50, 0x56, 0x4d,
				0,    1,    8,	0, 0x45, 0, 0, 100,  8,	   0x78 };
	uint8_t *ip = packet + 14;
	uint32_t offset;

	make((struct monitor_net){ 0 });
	ip[8] = 64;
	ip[9] = 1;
	inet_pton(AF_INET, "10.0.2.15", ip + 12);
	inet_pton(AF_INET, "10.0.2.2", ip + 16);
	for (offset = 1; offset < 0x2000; offset += 97) {
		put(ip + 6, offset);
		put(ip + 10, 0);
		put(ip + 10, ~sum(ip, 20, 0));
		network->ops->send(network, packet, sizeof(packet));
	}
	turn(20);
	network->ops->destroy(network);
}

/* libslirp has two lines on standard error for each. */
Test(xen_network, a_guest_fills_no_log)
{
	uint8_t packet[62] = { 0x52, 0x56, 0, 0, 0, 2, 2, 0x50, 0x56, 0x4d, 0, 1, 0x86, 0xdd, 0x60 };
	uint8_t *ip = packet + 14;
	FILE *file = tmpfile();
	int old = dup(STDERR_FILENO);

	make((struct monitor_net){ 0 });
	ip[5] = 8;
	ip[6] = 58;
	ip[7] = 255;
	inet_pton(AF_INET6, "fec0::15", ip + 8);
	inet_pton(AF_INET6, "2001:db8::1", ip + 24);
	ip[40] = 128;
	put(ip + 42, ~sum(ip + 40, 8, sum(ip + 8, 32, 58 + 8)));
	fflush(stderr);
	cr_assert(file && dup2(fileno(file), STDERR_FILENO) >= 0);
	network->ops->send(network, packet, sizeof(packet));
	turn(20);
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
	cr_expect_eq(lseek(fileno(file), 0, SEEK_END), 0, "a line of libslirp's");
	fclose(file);
	network->ops->destroy(network);
}

/* Needs a network of its own, and the program ip. */
Test(xen_network, a_tap_device_that_goes)
{
	if ((unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) ||
	    !(network = network_tap_create("pvm-test", why, sizeof(why))))
		cr_skip("no tap device can be had here");
	network->has_room = has_room;
	network->packet_in = packet_in;
	cr_expect_not(turn(0), "nothing is there");
	if (system("ip link delete pvm-test") != 0)
		cr_skip("no tap device can be deleted here");
	cr_expect(turn(0), "that is told");
	cr_expect_not(turn(0), "once");
	network->ops->destroy(network);
}
