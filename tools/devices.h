/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The devices of a kernel, as they are named on the command line. */
#ifndef TOOLS_DEVICES_H
#define TOOLS_DEVICES_H

#include <stddef.h>

#include "vm.h"

/**
 * parse_disk - "FILE", with ",ro" or ",rw" and ",raw" in any order.
 * parse_net - "tap=NAME", or "user" with ",forward=PORT:PORT" and ",loopback".
 * @text: is cut, and must outlive the result. Both return NULL, or what is wrong with it.
 */
const char *parse_disk(char *text, struct monitor_disk *disk);
const char *parse_net(char *text, struct monitor_net *net);

/* What the network is, for a person. */
void print_net(const struct monitor_net *net, char *text, size_t size);

#endif /* TOOLS_DEVICES_H */
