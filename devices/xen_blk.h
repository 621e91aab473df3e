/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The block device of a Xen PV guest: requests come from a ring, are checked, and are handed out as an
 * operation on stretches of guest memory; who carries it out answers. Nothing that the guest writes after
 * a request was handed out changes it.
 *
 * Freestanding: needs memcpy(). One thread at a time.
 */
#ifndef DEVICES_XEN_BLK_H
#define DEVICES_XEN_BLK_H

#include "xen_grants.h"
#include "xen_ring.h"

#define XEN_BLK_SECTOR		512
#define XEN_BLK_SEGMENTS	11	/* pages of a plain request */
#define XEN_BLK_INDIRECT	64	/* of an indirect one, at most */

enum xen_blk_op {
	XEN_BLK_READ = 0,
	XEN_BLK_WRITE = 1,
	XEN_BLK_FLUSH = 3,
	XEN_BLK_DISCARD = 5,
	XEN_BLK_OP_INDIRECT = 6,	/* never handed out */
};

enum xen_blk_status {
	XEN_BLK_OKAY = 0,
	XEN_BLK_ERROR = -1,
	XEN_BLK_UNSUPPORTED = -2,
	/* Of a flush that failed: Linux takes _ERROR for a disk that has none, and its caller for told that
	 * all is well. Any other number is an I/O error to it. It does not flush again after either. */
	XEN_BLK_FLUSH_ERROR = -3,
};

struct xen_blk_request {
	enum xen_blk_op op;
	uint64_t id;			/* the guest's */
	/* Inside the disk; of a flush both 0, or of data to be written after it. */
	uint64_t sector, sectors;
	uint32_t count;			/* of segments */
	struct {
		uint8_t *at;
		uint32_t bytes;		/* a multiple of a sector */
	} segment[XEN_BLK_INDIRECT];
};

struct xen_blk {
	struct xen_ring ring;
	const struct xen_grants *grants;
	uint64_t sectors;		/* of the disk */
	bool read_only;
};

/* @page: the ring's. */
void xen_blk_init(struct xen_blk *blk, void *page, const struct xen_grants *grants,
		  uint64_t sectors, bool read_only);

/* The next request, to be answered. One that is not one is answered here. False: there is none;
 * publish what was answered, and ask. */
bool xen_blk_next(struct xen_blk *blk, struct xen_blk_request *request);
void xen_blk_answer(struct xen_blk *blk, const struct xen_blk_request *request, enum xen_blk_status status);

/* Its ring, for a guest that is saved; and in place of xen_blk_init(). False: the record is bad. */
void xen_blk_save(const struct xen_blk *blk, struct xen_record *to);
bool xen_blk_restore(struct xen_blk *blk, const struct xen_grants *grants, uint64_t sectors, bool read_only,
		     struct xen_record *from);

#endif /* DEVICES_XEN_BLK_H */
