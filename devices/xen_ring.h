/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The ring of a Xen PV device: one page of guest memory with requests and, in the same entries,
 * responses. The guest writes all of it at any time. The device keeps its own two indices to itself, and
 * copies a request before it looks at it; whatever the guest makes of the page, no access leaves it.
 *
 * Freestanding: needs memcpy(). One thread at a time.
 */
#ifndef DEVICES_XEN_RING_H
#define DEVICES_XEN_RING_H

#include "xen_grants.h"
#include "xen_record.h"

#define XEN_RING_HEADER	64	/* bytes before the first entry */

struct xen_ring_page {
	uint32_t req_prod, req_event;
	uint32_t rsp_prod, rsp_event;
	uint8_t reserved[XEN_RING_HEADER - 16];
	uint8_t entries[4096 - XEN_RING_HEADER];
};

struct xen_ring {
	struct xen_ring_page *page;	/* guest memory */
	uint32_t entry_size;		/* bytes */
	uint32_t entries;		/* a power of two */
	uint32_t taken;			/* requests; runs freely, as all indices here */
	uint32_t answered;		/* responses that are in the ring */
	uint32_t published;		/* and that the guest has been shown */
};

/* @page: aligned to 4 KiB. @entry_size: bytes of the greater of request and response, at most 2,016. The
 * indices go on where the guest's are. */
void xen_ring_init(struct xen_ring *ring, void *page, uint32_t entry_size);

/*
 * How many requests wait. More than the ring has entries: the guest's index is not one, and is as if none
 * waited; @broken, if not NULL, says which.
 */
uint32_t xen_ring_waiting(const struct xen_ring *ring, bool *broken);

/* Copy the next request; @bytes of it, at most an entry. False: none waits. */
bool xen_ring_take(struct xen_ring *ring, void *request, uint32_t bytes);

/* Before the device waits: ask to be told of the next request. True: one has come meanwhile. */
bool xen_ring_ask(struct xen_ring *ring);

/* Answer a request that was taken; no more answers than requests. */
void xen_ring_answer(struct xen_ring *ring, const void *response, uint32_t bytes);

/* Show the guest what was answered. True: it wants to be notified. */
bool xen_ring_publish(struct xen_ring *ring);

/*
 * Its page and its indices, for a guest that is saved: between two requests, when all that was taken is
 * answered. The second is in place of xen_ring_init(); false: the record is bad, and the ring none.
 */
void xen_ring_save(const struct xen_ring *ring, const struct xen_grants *grants, struct xen_record *to);
bool xen_ring_restore(struct xen_ring *ring, uint32_t entry_size, const struct xen_grants *grants,
		      struct xen_record *from);

#endif /* DEVICES_XEN_RING_H */
