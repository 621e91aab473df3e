/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The console's rings: bytes in order, and indices of any value. */
#include "xen_console.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define OUT	2048u
#define IN	1024u

static struct pvm_xen_console *ring;	/* at the end of a page, so that what is beyond it is not its own */
static uint8_t pages[3 * 4096] __attribute__((aligned(4096)));
static struct xen_console console;

static void setup(void)
{
	memset(pages, 0xee, sizeof(pages));
	memset(pages + 4096, 0, 4096);
	ring = (struct pvm_xen_console *)(pages + 4096);
	xen_console_init(&console, ring);
}

static void fini(void)
{
	unsigned i;

	for (i = 0; i < 4096; i++)
		cr_assert(pages[i] == 0xee && pages[2 * 4096 + i] == 0xee, "only the ring's page is written");
}

TestSuite(xen_console, .init = setup, .fini = fini);

/* As the guest prints. */
static void guest_prints(const char *text)
{
	for (; *text; text++)
		ring->out[ring->out_prod++ % OUT] = *text;
}

/* spec: XC-092 */
Test(xen_console, output_in_pieces_over_the_rings_end)
{
	uint8_t got[16];

	ring->out_prod = ring->out_cons = console.taken = 0xfffffffa;	/* indices run over, too */
	guest_prints("0123456789abc");
	cr_assert_eq(xen_console_take(&console, got, 8), 8);
	cr_expect_arr_eq(got, "01234567", 8);
	cr_expect_eq(ring->out_cons, 2, "the guest has room again");
	cr_assert_eq(xen_console_take(&console, got, sizeof(got)), 5);
	cr_expect_arr_eq(got, "89abc", 5);
	cr_assert_eq(xen_console_take(&console, got, sizeof(got)), 0);
}

/* spec: XC-092 */
Test(xen_console, input_as_far_as_there_is_room)
{
	uint8_t many[IN + 10];
	unsigned i;

	for (i = 0; i < sizeof(many); i++)
		many[i] = (uint8_t)i;
	cr_assert_eq(xen_console_room(&console), IN);
	cr_assert_eq(xen_console_give(&console, many, sizeof(many)), IN);
	cr_expect_eq(ring->in_prod, IN);
	cr_expect_arr_eq(ring->in, many, IN);
	cr_assert_eq(xen_console_room(&console), 0);
	cr_assert_eq(xen_console_give(&console, many, 1), 0);
	ring->in_cons = 3;		/* the guest has read */
	cr_assert_eq(xen_console_room(&console), 3);
	cr_assert_eq(xen_console_give(&console, many + 5, 10), 3);
	cr_expect_arr_eq(ring->in, many + 5, 3);
}

/* The guest writes its own indices, and ours, at any time. */
/* spec: XC-092 */
Test(xen_console, indices_that_cannot_be)
{
	uint8_t got[256];
	unsigned i, n, all = 0;

	ring->out_prod = 0x80000000;
	while ((n = xen_console_take(&console, got, sizeof(got))))
		all += n;
	cr_expect_eq(all, OUT, "no more than the ring has");
	ring->out_cons = 12345;
	cr_expect_eq(xen_console_take(&console, got, sizeof(got)), 0, "ours is our own");
	ring->in_cons = 1;
	cr_expect_eq(xen_console_room(&console), 0, "more read than there was");
	srand(1);
	for (i = 0; i < 100000; i++) {
		ring->out_prod = (uint32_t)rand() << 1;
		ring->in_cons = i % 3 ? (uint32_t)rand() << 1 : ring->in_prod;
		cr_assert_leq(xen_console_take(&console, got, sizeof(got)), sizeof(got));
		cr_assert_leq(xen_console_give(&console, got, sizeof(got)), sizeof(got));
		cr_assert_leq(xen_console_room(&console), IN);
	}
}
