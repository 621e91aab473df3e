/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The debug-exit port: a guest writes a value, and the machine is over with
 * that value, modulo 256, as its status.
 *
 * Freestanding; knows nothing of how a host ends a machine.
 */
#ifndef DEVICES_DEBUG_EXIT_H
#define DEVICES_DEBUG_EXIT_H

#include <stdint.h>

#define DEBUG_EXIT_PORT	0xf4

struct debug_exit {
	/* Called within debug_exit_write(). @status: 0..255. */
	void (*exit)(void *host, uint8_t status);
	void *host;
};

/* OUT of 1, 2 or 4 bytes to the port. */
void debug_exit_write(struct debug_exit *port, uint32_t value);

/* IN from the port: all ones, so that a probe finds nothing to read. */
uint32_t debug_exit_read(const struct debug_exit *port);

#endif /* DEVICES_DEBUG_EXIT_H */
