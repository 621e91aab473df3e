/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The network cards of a Xen PV guest, eth0 and on, each on a network of its own (network.h). */
#ifndef STANDALONE_XEN_CARD_H
#define STANDALONE_XEN_CARD_H

#include "xen_bus.h"

struct xen_card;

/* Returns NULL with one line in @why. */
struct xen_card *xen_card_create(struct xen_bus *bus, unsigned index,
				 const struct monitor_net *from, char *why, size_t why_size);
void xen_card_destroy(struct xen_card *card);

/* After the run. */
void xen_card_print_stats(const struct xen_card *card, FILE *to);

#endif /* STANDALONE_XEN_CARD_H */
