/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A device's ring and its grants: entries in order, indices of any value, pages that are the guest's
 * and granted. */
#include "xen_grants.h"
#include "xen_ring.h"

#include <criterion/criterion.h>
#include <string.h>

#define ENTRY	112u	/* 32 of them */

static uint8_t pages[3 * 4096] __attribute__((aligned(4096)));
static struct xen_ring_page *page;
static struct xen_ring ring;

static void setup(void)
{
	memset(pages, 0xee, sizeof(pages));
	memset(pages + 4096, 0, 4096);
	page = (struct xen_ring_page *)(pages + 4096);
	xen_ring_init(&ring, page, ENTRY);
}

static void fini(void)
{
	unsigned i;

	for (i = 0; i < 4096; i++)
		cr_assert(pages[i] == 0xee && pages[2 * 4096 + i] == 0xee, "only the ring's page is written");
}

TestSuite(xen_ring, .init = setup, .fini = fini);

static void guest_asks(uint32_t what)
{
	memcpy(page->entries + page->req_prod % 32 * ENTRY, &what, sizeof(what));
	page->req_prod++;
}

Test(xen_ring, entries_are_as_many_as_fit)
{
	cr_expect_eq(ring.entries, 32);
	xen_ring_init(&ring, page, 12);
	cr_expect_eq(ring.entries, 256);
	xen_ring_init(&ring, page, 8);
	cr_expect_eq(ring.entries, 256);
	cr_expect(ring.entries * ring.entry_size <= sizeof(page->entries));
}

Test(xen_ring, requests_in_order_over_the_rings_end)
{
	uint32_t i, got;

	page->req_prod = page->rsp_prod = 0xfffffff0;
	xen_ring_init(&ring, page, ENTRY);
	for (i = 0; i < 32; i++)
		guest_asks(i);
	for (i = 0; i < 32; i++) {
		cr_assert(xen_ring_take(&ring, &got, sizeof(got)));
		cr_assert_eq(got, i);
		xen_ring_answer(&ring, &got, sizeof(got));
	}
	cr_assert_not(xen_ring_take(&ring, &got, sizeof(got)));
}

Test(xen_ring, indices_that_cannot_be)
{
	bool broken;
	uint32_t got;

	page->req_prod = 33;
	cr_expect_eq(xen_ring_waiting(&ring, &broken), 0);
	cr_expect(broken);
	page->req_prod = 0xffffffff;
	cr_expect_not(xen_ring_take(&ring, &got, sizeof(got)));
	page->req_prod = 32;
	cr_expect_eq(xen_ring_waiting(&ring, &broken), 32);
	cr_expect_not(broken);
	/* What is not answered is still in its entry: there is no room for another. */
	cr_assert(xen_ring_take(&ring, &got, sizeof(got)));
	page->req_prod = 33;
	cr_expect_eq(xen_ring_waiting(&ring, &broken), 0);
	cr_expect(broken);
	xen_ring_answer(&ring, &got, sizeof(got));
	cr_expect_eq(xen_ring_waiting(&ring, &broken), 32);
}

Test(xen_ring, the_guest_is_told_when_it_asked)
{
	uint32_t got, i;

	page->rsp_event = 2;
	for (i = 0; i < 3; i++)
		guest_asks(i);
	for (i = 0; i < 3; i++) {
		cr_assert(xen_ring_take(&ring, &got, sizeof(got)));
		xen_ring_answer(&ring, &got, sizeof(got));
		cr_expect_eq(xen_ring_publish(&ring), i == 1, "answer %u", i);
		cr_expect_eq(page->rsp_prod, i + 1);
	}
	cr_expect_not(xen_ring_publish(&ring), "nothing is new");
}

Test(xen_ring, a_device_is_told_of_the_next)
{
	cr_expect_not(xen_ring_ask(&ring));
	cr_expect_eq(page->req_event, 1);
	guest_asks(1);
	cr_expect(xen_ring_ask(&ring), "one that came before it asked");
}

/* ------------------------------------------------------------------------
 * Grants.
 */

static struct xen_grant table[4];
static uint8_t memory[8 * 4096] __attribute__((aligned(4096)));
static const struct xen_grants grants = { .memory = memory, .pages = 8, .table = table, .count = 4 };

Test(xen_grants, only_what_is_granted)
{
	memset(table, 0, sizeof(table));
	cr_expect_null(xen_grants_page(&grants, 1, false), "of no type");
	table[1] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS, .frame = 7 };
	cr_expect_eq(xen_grants_page(&grants, 1, true), memory + 7 * 4096);
	table[1].frame = 8;
	cr_expect_null(xen_grants_page(&grants, 1, false), "beyond the guest's memory");
	table[1].frame = UINT32_MAX;
	cr_expect_null(xen_grants_page(&grants, 1, false));
	table[1] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS, .domain = 2 };
	cr_expect_null(xen_grants_page(&grants, 1, false), "to another");
	table[1] = (struct xen_grant){ .flags = 2 };
	cr_expect_null(xen_grants_page(&grants, 1, false), "a transfer");
	table[1] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS | XEN_GRANT_READONLY };
	cr_expect_eq(xen_grants_page(&grants, 1, false), memory);
	cr_expect_null(xen_grants_page(&grants, 1, true), "not to be written");
	cr_expect_null(xen_grants_page(&grants, 4, false), "beyond the table");
	cr_expect_null(xen_grants_page(&grants, UINT32_MAX, false));
}

Test(xen_grants, a_page_that_stays_in_use_is_marked)
{
	memset(table, 0, sizeof(table));
	cr_expect_null(xen_grants_map(&grants, 2));
	cr_expect_eq(table[2].flags, 0);
	table[2] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS, .frame = 1 };
	cr_expect_eq(xen_grants_map(&grants, 2), memory + 4096);
	cr_expect_eq(table[2].flags, XEN_GRANT_ACCESS | XEN_GRANT_READING | XEN_GRANT_WRITING);
	xen_grants_unmap(&grants, 2);
	cr_expect_eq(table[2].flags, XEN_GRANT_ACCESS);
	xen_grants_unmap(&grants, 4);
	xen_grants_unmap(&grants, UINT32_MAX);
}
