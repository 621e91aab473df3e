/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The debug-exit port. Must hand on the status and do nothing else. */
#include "debug_exit.h"

void debug_exit_write(struct debug_exit *port, uint32_t value)
{
	port->exit(port->host, (uint8_t)value);
}

uint32_t debug_exit_read(const struct debug_exit *port)
{
	(void)port;
	return UINT32_MAX;
}
