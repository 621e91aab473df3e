/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The values of --disk and --net. Cuts the texts where their parts end: they are the command line's. */
#include "devices.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "pvm.h"

/* One word of each kind: what is before them is the name, also if it looks like another. */
const char *parse_disk(char *text, struct monitor_disk *disk)
{
	bool has_mode = false;
	char *comma;

	disk->read_only = disk->raw = false;
	while ((comma = strrchr(text, ','))) {
		bool is_mode = !strcmp(comma, ",ro") || !strcmp(comma, ",rw");

		if (is_mode ? has_mode : disk->raw || strcmp(comma, ",raw"))
			break;
		if (is_mode)
			disk->read_only = !strcmp(comma, ",ro");
		else
			disk->raw = true;
		has_mode |= is_mode;
		*comma = '\0';
	}
	disk->path = text;
	return *text ? NULL : "not the name of a file";
}

/* "8022:22" */
static bool parse_forward(char *text, struct monitor_net *net)
{
	char *colon = strchr(text, ':');
	uint32_t from, to;

	if (!colon)
		return false;
	*colon = '\0';
	if (!parse_count(text, &from) || !parse_count(colon + 1, &to) || from > UINT16_MAX ||
	    to > UINT16_MAX) {
		*colon = ':';
		return false;
	}
	net->forward_from = (uint16_t)from;
	net->forward_to = (uint16_t)to;
	return true;
}

const char *parse_net(char *text, struct monitor_net *net)
{
	char *part;

	*net = (struct monitor_net){ 0 };
	if (!strncmp(text, "tap=", 4)) {
		net->tap = text + 4;
		return *net->tap && strlen(net->tap) < IFNAMSIZ ? NULL : "not the name of a tap device";
	}
	part = strchr(text, ',');
	if (part)
		*part++ = '\0';
	if (strcmp(text, "user"))
		return "there are 'user' and 'tap=NAME'";
	while (part) {
		char *next = strchr(part, ',');

		if (next)
			*next++ = '\0';
		if (!strcmp(part, "loopback"))
			net->loopback = true;
		else if (strncmp(part, "forward=", 8) || net->forward_from || !parse_forward(part + 8, net))
			return "behind 'user' there may be one ',forward=PORT:PORT' and ',loopback'";
		part = next;
	}
	return NULL;
}

void print_net(const struct monitor_net *net, char *text, size_t size)
{
	char forward[64] = "";

	if (net->tap) {
		snprintf(text, size, "tap %s", net->tap);
		return;
	}
	if (net->forward_from)
		snprintf(forward, sizeof(forward), ", port %u is the guest's %u", net->forward_from, net->forward_to);
	snprintf(text, size, "user%s%s", forward, net->loopback ? ", with the host's 127.0.0.1" : "");
}
