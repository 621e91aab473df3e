/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Which network it is. */
#include "network.h"

struct network *network_create(const struct monitor_net *from, char *why, size_t why_size)
{
	if (from->tap)
		return network_tap_create(from->tap, why, why_size);
	return network_user_create(from, why, why_size);
}
