/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The console of a Xen PV guest: a page with two rings of bytes, which the guest writes at any time. The
 * device keeps its own two indices to itself; whatever the guest makes of the others, no access leaves the
 * rings, and no call takes longer than a whole ring.
 *
 * Freestanding. The guest's output and its input may be served by two threads.
 */
#ifndef DEVICES_XEN_CONSOLE_H
#define DEVICES_XEN_CONSOLE_H

#include <pvm/xen.h>

#include "xen_record.h"

struct xen_console {
	struct pvm_xen_console *ring;	/* guest memory */
	uint32_t taken;			/* of what the guest has printed: its out_cons */
	uint32_t given;			/* of the input: its in_prod */
};

void xen_console_init(struct xen_console *console, void *page);

/* What the guest has printed, at most @size bytes of it. 0: nothing more now. Tell the guest afterwards. */
unsigned xen_console_take(struct xen_console *console, uint8_t *to, unsigned size);

/* How many bytes of input there is room for. */
unsigned xen_console_room(const struct xen_console *console);

/* Input, as much of it as there is room for; returns how much. Tell the guest afterwards. */
unsigned xen_console_give(struct xen_console *console, const uint8_t *from, unsigned size);

/* Its two indices, for a guest that is saved; and after xen_console_init(). */
void xen_console_save(const struct xen_console *console, struct xen_record *to);
void xen_console_restore(struct xen_console *console, struct xen_record *from);

#endif /* DEVICES_XEN_CONSOLE_H */
