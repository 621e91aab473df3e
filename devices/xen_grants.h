/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Grants of a Xen PV guest, version 1: a table in its memory in which it names, by a reference, the pages
 * that a device may use. The guest writes the table at any time. A device that has a page of it may be
 * reading what the guest has since taken back, which harms the guest alone: every page is the guest's,
 * inside its memory.
 *
 * Freestanding. Any thread.
 */
#ifndef DEVICES_XEN_GRANTS_H
#define DEVICES_XEN_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

struct xen_grant {
	uint16_t flags;		/* XEN_GRANT_* */
	uint16_t domain;	/* to whom */
	uint32_t frame;
};

#define XEN_GRANT_TYPE		3u
#define XEN_GRANT_ACCESS	1u	/* the only type that devices use */
#define XEN_GRANT_READONLY	(1u << 2)
#define XEN_GRANT_READING	(1u << 3)	/* the device's: it is in use */
#define XEN_GRANT_WRITING	(1u << 4)

struct xen_grants {
	uint8_t *memory;		/* guest memory, gpa 0 first */
	uint64_t pages;			/* of it that may be granted */
	struct xen_grant *table;	/* guest memory */
	uint32_t count;			/* entries of the table */
};

/* The page that @ref grants to domain 0, for writing if @writable; NULL: it does not. */
void *xen_grants_page(const struct xen_grants *grants, uint32_t ref, bool writable);

/* The same for a page that stays in use: the guest sees that, until the second takes the mark off. */
void *xen_grants_map(const struct xen_grants *grants, uint32_t ref);
void xen_grants_unmap(const struct xen_grants *grants, uint32_t ref);

/* For what stays in use while a guest is saved: the number of a page of its memory, and a page of it by its
 * number; NULL: it has no such page. */
uint32_t xen_grants_frame(const struct xen_grants *grants, const void *page);
void *xen_grants_at(const struct xen_grants *grants, uint32_t frame);

#endif /* DEVICES_XEN_GRANTS_H */
