/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The disks of a Xen PV guest, xvda to xvdp: a file or a block device each, as it is, without a format.
 * What the guest has flushed is on the host's disk, whatever ends pvm.
 */
#ifndef STANDALONE_XEN_DISK_H
#define STANDALONE_XEN_DISK_H

#include "xen_bus.h"

#define XEN_DISK_TIME	32	/* bytes of a text */

struct xen_disk;

/* Returns NULL with one line in @why: no file, no permission, no whole sector, in use by another. */
struct xen_disk *xen_disk_create(struct xen_bus *bus, unsigned index,
				 const struct monitor_disk *from, char *why, size_t why_size);
void xen_disk_destroy(struct xen_disk *disk);

uint64_t xen_disk_bytes(const struct xen_disk *disk);
/* By what it can be found again: what the user named, from the root folder on, with its symbolic links. NULL
 * with one line in @why: it cannot be any more. */
const char *xen_disk_name(const struct xen_disk *disk, char *why, size_t why_size);
/* When that was written last, as text of at most XEN_DISK_TIME bytes: another one after each write. "": it is
 * a block device, which does not know. */
void xen_disk_written(const struct xen_disk *disk, char *text);
/* What was written is on the host's disk, with the time of it. While all threads rest. 0, or -1 with one line
 * in @why. */
int xen_disk_flush(struct xen_disk *disk, char *why, size_t why_size);

/* After the run. */
void xen_disk_print_stats(const struct xen_disk *disk, FILE *to);

#endif /* STANDALONE_XEN_DISK_H */
