/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_blk.h says. A request's layouts are those of 64-bit guests. */
#include "xen_blk.h"

#include <string.h>

#define PAGE		4096u
#define PAGE_SECTORS	(PAGE / XEN_BLK_SECTOR)
#define INDIRECT_PAGES	8
#define SEGMENTS_A_PAGE	(PAGE / sizeof(struct segment))

struct segment {
	uint32_t ref;
	uint8_t first, last;		/* sectors of the page, both included */
	uint8_t reserved[2];
};

/* Discard, from byte 8 on: id, sector, then how many. */
struct request {
	uint8_t op;
	uint8_t count;			/* of segments; _INDIRECT: the operation */
	uint16_t handle;		/* _INDIRECT: of segments */
	uint32_t reserved;
	uint64_t id;
	uint64_t sector;
	union {
		struct segment segment[XEN_BLK_SEGMENTS];
		uint64_t sectors;
		struct {
			uint16_t handle, reserved;
			uint32_t ref[INDIRECT_PAGES];
		} indirect;
	};
};

/* No gaps: what is in them is ours, and the ring is the guest's. */
struct response {
	uint64_t id;
	uint8_t op, reserved;
	int16_t status;
	uint32_t reserved_too;
};

_Static_assert(sizeof(struct request) == 112, "the ring's entries are as the interface has them");
_Static_assert(sizeof(struct response) == 8 + 2 + 2 + 4, "the ring's entries are as the interface has them");

void xen_blk_init(struct xen_blk *blk, void *page, const struct xen_grants *grants,
		  uint64_t sectors, bool read_only)
{
	*blk = (struct xen_blk){ .grants = grants, .sectors = sectors, .read_only = read_only };
	xen_ring_init(&blk->ring, page, sizeof(struct request));
}

void xen_blk_answer(struct xen_blk *blk, const struct xen_blk_request *request, enum xen_blk_status status)
{
	struct response response = { .id = request->id,
				     .op = (uint8_t)request->op,
				     .status = (int16_t)status };

	xen_ring_answer(&blk->ring, &response, sizeof(response));
}

static bool add_segment(const struct xen_blk *blk, struct xen_blk_request *to, const struct segment *from)
{
	struct segment segment;
	uint8_t *page;

	memcpy(&segment, from, sizeof(segment));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* M6: of a page of the guest's, it is read once */
	if (segment.first > segment.last || segment.last >= PAGE_SECTORS)
		return false;
	/* What is read from the disk is written to the page. */
	page = xen_grants_page(blk->grants, segment.ref, to->op == XEN_BLK_READ);
	if (!page)
		return false;
	to->segment[to->count].at = page + segment.first * XEN_BLK_SECTOR;
	to->segment[to->count].bytes = (segment.last - segment.first + 1u) * XEN_BLK_SECTOR;
	to->sectors += segment.last - segment.first + 1u;
	to->count++;
	return true;
}

static bool add_plain(const struct xen_blk *blk, struct xen_blk_request *to, const struct request *from)
{
	uint32_t i;

	if (from->count > XEN_BLK_SEGMENTS)
		return false;
	for (i = 0; i < from->count; i++) {
		if (!add_segment(blk, to, &from->segment[i]))
			return false;
	}
	return true;
}

static bool add_indirect(const struct xen_blk *blk, struct xen_blk_request *to, const struct request *from)
{
	const struct segment *page = NULL;
	uint32_t i;

	/* A flush has no pages to be listed. */
	if (!from->handle || from->handle > XEN_BLK_INDIRECT || to->op > XEN_BLK_WRITE)
		return false;
	for (i = 0; i < from->handle; i++) {
		if (i % SEGMENTS_A_PAGE == 0)
			page = xen_grants_page(blk->grants, from->indirect.ref[i / SEGMENTS_A_PAGE], false);
		if (!page || !add_segment(blk, to, &page[i % SEGMENTS_A_PAGE]))
			return false;
	}
	return true;
}

/* Is the range of sectors one of the disk's? */
static bool is_inside(const struct xen_blk *blk, const struct xen_blk_request *request)
{
	return request->sector <= blk->sectors && request->sectors <= blk->sectors - request->sector;
}

static enum xen_blk_status check(const struct xen_blk *blk, struct xen_blk_request *to,
				 const struct request *from)
{
	to->op = from->op;
	switch (from->op) {
	case XEN_BLK_READ:
	case XEN_BLK_WRITE:
	case XEN_BLK_FLUSH:
		if (!add_plain(blk, to, from))
			return XEN_BLK_ERROR;
		break;
	case XEN_BLK_DISCARD:
		to->sectors = from->sectors;
		break;
	case XEN_BLK_OP_INDIRECT:
		to->op = from->count;
		if (!add_indirect(blk, to, from))
			return XEN_BLK_ERROR;
		break;
	default:
		return XEN_BLK_UNSUPPORTED;
	}
	/* A flush without data names no place. */
	if (to->op == XEN_BLK_FLUSH && !to->sectors)
		to->sector = 0;
	if ((to->op != XEN_BLK_FLUSH && !to->sectors) || !is_inside(blk, to))
		return XEN_BLK_ERROR;
	return blk->read_only && to->op != XEN_BLK_READ && to->sectors ? XEN_BLK_ERROR : XEN_BLK_OKAY;
}

bool xen_blk_next(struct xen_blk *blk, struct xen_blk_request *request)
{
	enum xen_blk_status status;
	struct request from;

	while (xen_ring_take(&blk->ring, &from, sizeof(from))) {
		request->id = from.id;
		request->sector = from.sector;
		request->sectors = 0;
		request->count = 0;
		status = check(blk, request, &from);
		if (status == XEN_BLK_OKAY)
			return true;
		xen_blk_answer(blk, request, status);
	}
	return false;
}

void xen_blk_save(const struct xen_blk *blk, struct xen_record *to)
{
	xen_ring_save(&blk->ring, blk->grants, to);
}

bool xen_blk_restore(struct xen_blk *blk, const struct xen_grants *grants, uint64_t sectors, bool read_only,
		     struct xen_record *from)
{
	*blk = (struct xen_blk){ .grants = grants, .sectors = sectors, .read_only = read_only };
	return xen_ring_restore(&blk->ring, sizeof(struct request), grants, from);
}
