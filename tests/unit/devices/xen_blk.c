/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A block device's requests: what is handed out is inside the disk and inside pages that the guest has
 * granted. */
#include "xen_blk.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECTORS	1000u

static struct xen_grant table[128];
static uint8_t memory[128 * 4096] __attribute__((aligned(4096)));
static const struct xen_grants grants = { .memory = memory, .pages = 128, .table = table, .count = 128 };
static uint8_t page[4096] __attribute__((aligned(4096)));
static struct xen_ring_page *ring = (struct xen_ring_page *)page;
static struct xen_blk blk;
static struct xen_blk_request got;

/* As the interface has it, by offsets. */
struct __attribute__((packed)) raw {
	uint8_t op, count;
	uint16_t handle;
	uint32_t pad;
	uint64_t id, sector;
	uint8_t rest[88];
};

struct __attribute__((packed)) raw_segment {
	uint32_t ref;
	uint8_t first, last;
	uint16_t pad;
};

static void setup(void)
{
	uint32_t i;

	memset(page, 0, sizeof(page));
	for (i = 0; i < 128; i++)
		table[i] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS, .frame = i };
	xen_blk_init(&blk, page, &grants, SECTORS, false);
}

TestSuite(xen_blk, .init = setup);

static void ask(struct raw raw)
{
	memcpy(ring->entries + ring->req_prod % 32 * 112, &raw, sizeof(raw));
	ring->req_prod++;
}

static struct raw with_segment(uint8_t op, uint64_t sector, uint32_t ref, uint8_t first, uint8_t last)
{
	struct raw raw = { .op = op, .count = 1, .id = 7, .sector = sector };
	struct raw_segment segment = { .ref = ref, .first = first, .last = last };

	memcpy(raw.rest, &segment, sizeof(segment));
	return raw;
}

/* The last answer's status. */
static int status(void)
{
	const uint8_t *entry = ring->entries + (blk.ring.answered - 1) % 32 * 112;
	int16_t result;

	memcpy(&result, entry + 10, sizeof(result));
	return result;
}

static bool refused(struct raw raw)
{
	uint32_t answered = blk.ring.answered;

	ask(raw);
	return !xen_blk_next(&blk, &got) && blk.ring.answered == answered + 1 && status() == XEN_BLK_ERROR;
}

Test(xen_blk, a_read)
{
	ask(with_segment(XEN_BLK_READ, 10, 3, 2, 4));
	cr_assert(xen_blk_next(&blk, &got));
	cr_expect(got.op == XEN_BLK_READ && got.sector == 10 && got.sectors == 3 && got.count == 1);
	cr_expect_eq(got.segment[0].at, memory + 3 * 4096 + 1024);
	cr_expect_eq(got.segment[0].bytes, 1536);
	xen_blk_answer(&blk, &got, XEN_BLK_OKAY);
	cr_expect_eq(ring->entries[8], XEN_BLK_READ);
	cr_expect_eq(ring->entries[0], 7, "the guest's id");
	cr_expect_eq(status(), XEN_BLK_OKAY);
}

/* What callers before have left on the stack. */
static __attribute__((noinline)) void leave_something(void)
{
	volatile uint8_t left[2048];
	size_t i;

	for (i = 0; i < sizeof(left); i++)
		left[i] = 0xa5;
}

Test(xen_blk, an_answer_has_nothing_else_of_ours)
{
	ask(with_segment(XEN_BLK_READ, 10, 3, 2, 4));
	cr_assert(xen_blk_next(&blk, &got));
	leave_something();
	xen_blk_answer(&blk, &got, XEN_BLK_OKAY);
	cr_expect(!ring->entries[9] && !memcmp(ring->entries + 12, (uint8_t[4]){ 0 }, 4));
}

Test(xen_blk, what_is_no_request)
{
	struct raw raw;

	cr_expect(refused(with_segment(XEN_BLK_READ, SECTORS, 3, 0, 0)), "behind the disk");
	cr_expect(refused(with_segment(XEN_BLK_READ, SECTORS - 1, 3, 0, 1)), "over its end");
	cr_expect(refused(with_segment(XEN_BLK_READ, UINT64_MAX, 3, 0, 1)), "so that it wraps");
	cr_expect(refused(with_segment(XEN_BLK_READ, 0, 3, 0, 8)), "over the page's end");
	cr_expect(refused(with_segment(XEN_BLK_READ, 0, 3, 5, 4)), "backwards");
	cr_expect(refused(with_segment(XEN_BLK_READ, 0, 128, 0, 0)), "no grant");
	table[3].flags |= XEN_GRANT_READONLY;
	cr_expect(refused(with_segment(XEN_BLK_READ, 0, 3, 0, 0)), "into a page that may not be written");
	raw = with_segment(XEN_BLK_READ, 0, 3, 0, 0);
	raw.count = 12;
	cr_expect(refused(raw), "more segments than there can be");
	raw.count = 0;
	cr_expect(refused(raw), "none");
	ask((struct raw){ .op = 2 });
	cr_expect_not(xen_blk_next(&blk, &got));
	cr_expect_eq(status(), XEN_BLK_UNSUPPORTED, "barriers are not offered");
}

Test(xen_blk, a_disk_that_is_only_read)
{
	struct raw discard = { .op = XEN_BLK_DISCARD };

	discard.rest[0] = 1;
	xen_blk_init(&blk, page, &grants, SECTORS, true);
	cr_expect(refused(with_segment(XEN_BLK_WRITE, 0, 3, 0, 0)));
	cr_expect(refused(with_segment(XEN_BLK_FLUSH, 0, 3, 0, 0)), "with data");
	cr_expect(refused(discard));
	ask((struct raw){ .op = XEN_BLK_FLUSH });
	cr_expect(xen_blk_next(&blk, &got), "a flush is harmless");
}

Test(xen_blk, flush_and_discard)
{
	struct raw discard = { .op = XEN_BLK_DISCARD, .sector = 8 };
	uint64_t sectors = SECTORS - 8;

	ask((struct raw){ .op = XEN_BLK_FLUSH, .sector = UINT64_MAX });
	cr_assert(xen_blk_next(&blk, &got));
	cr_expect(got.op == XEN_BLK_FLUSH && !got.count && !got.sector && !got.sectors);
	memcpy(discard.rest, &sectors, sizeof(sectors));
	ask(discard);
	cr_assert(xen_blk_next(&blk, &got));
	cr_expect(got.op == XEN_BLK_DISCARD && got.sector == 8 && got.sectors == SECTORS - 8 && !got.count);
	xen_blk_answer(&blk, &got, XEN_BLK_OKAY);
	xen_blk_answer(&blk, &got, XEN_BLK_OKAY);
	sectors++;
	memcpy(discard.rest, &sectors, sizeof(sectors));
	cr_expect(refused(discard), "over the disk's end");
	sectors = UINT64_MAX - 4;
	memcpy(discard.rest, &sectors, sizeof(sectors));
	cr_expect(refused(discard), "so that it wraps");
}

/* An indirect request: its segments are in a page of their own. */
static struct raw indirect(uint8_t op, uint16_t count, uint32_t ref)
{
	struct raw raw = { .op = XEN_BLK_OP_INDIRECT, .count = op, .handle = count, .id = 9, .sector = 1 };

	memcpy(raw.rest + 4, &ref, sizeof(ref));
	return raw;
}

Test(xen_blk, segments_in_a_page_of_their_own)
{
	struct raw_segment *segment = (struct raw_segment *)(memory + 100 * 4096);
	uint32_t i;

	for (i = 0; i < 512; i++)
		segment[i] = (struct raw_segment){ .ref = i, .last = 7 };
	ask(indirect(XEN_BLK_WRITE, XEN_BLK_INDIRECT, 100));
	cr_assert(xen_blk_next(&blk, &got));
	cr_expect(got.op == XEN_BLK_WRITE && got.count == XEN_BLK_INDIRECT &&
		  got.sectors == XEN_BLK_INDIRECT * 8);
	cr_expect_eq(got.segment[63].at, memory + 63 * 4096);
	xen_blk_answer(&blk, &got, XEN_BLK_OKAY);
	cr_expect_eq(ring->entries[8], XEN_BLK_WRITE, "Linux wants the operation itself in the answer");
	cr_expect(refused(indirect(XEN_BLK_WRITE, XEN_BLK_INDIRECT + 1, 100)), "too many");
	cr_expect(refused(indirect(XEN_BLK_WRITE, 0, 100)), "none");
	cr_expect(refused(indirect(XEN_BLK_WRITE, 1, 200)), "no page of segments");
	cr_expect(refused(indirect(XEN_BLK_DISCARD, 1, 100)), "of an operation that has no segments");
	cr_expect(refused(indirect(XEN_BLK_FLUSH, 1, 100)));
	segment[5].ref = 128;
	cr_expect(refused(indirect(XEN_BLK_WRITE, 6, 100)), "one is not granted");
}
