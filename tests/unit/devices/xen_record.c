/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What devices are saved as: records, and in them rings, consoles and a xenstore that goes on where it was.
 */
#include "xen_blk.h"
#include "xen_console.h"
#include "xen_net.h"
#include "xen_store.h"

#include <criterion/criterion.h>
#include <string.h>

#define PAGES	4u
#define ENTRY	112u

static uint8_t memory[PAGES * 4096] __attribute__((aligned(4096)));
static struct xen_grants grants;
static uint8_t bytes[XEN_STORE_RECORD_MAX], other[XEN_STORE_RECORD_MAX];
static struct xen_store store, restored;
static uint32_t changes;

static void changed(void *host, const struct xen_store_path *path)
{
	(void)host;
	(void)path;
	changes++;
}

static struct xen_store_page *page(void)
{
	return (struct xen_store_page *)(memory + 4096);
}

static void setup(void)
{
	memset(memory, 0, sizeof(memory));
	grants = (struct xen_grants){ .memory = memory, .pages = PAGES };
	xen_store_init(&store, changed, NULL);
	xen_store_connect(&store, page());
	changes = 0;
}

TestSuite(xen_record, .init = setup);

static struct xen_record writer(void)
{
	return (struct xen_record){ .bytes = bytes, .size = sizeof(bytes) };
}

static struct xen_record reader(const struct xen_record *written)
{
	cr_assert_not(written->is_bad);
	return (struct xen_record){ .bytes = written->bytes, .size = written->at };
}

Test(xen_record, what_is_written_is_read)
{
	struct xen_record to = writer(), from;
	char text[4] = "";

	xen_record_put32(&to, 0x01020304);
	xen_record_put64(&to, 0x1122334455667788ull);
	xen_record_put(&to, "abc", 3);
	cr_expect_eq(to.at, 15);
	cr_expect(bytes[0] == 4 && bytes[3] == 1 && bytes[4] == 0x88, "the lowest byte comes first");
	from = reader(&to);
	cr_expect_eq(xen_record_get32(&from), 0x01020304);
	cr_expect_eq(xen_record_get64(&from), 0x1122334455667788ull);
	cr_expect_not(xen_record_is_whole(&from), "there is more");
	xen_record_get(&from, text, 3);
	cr_expect_str_eq(text, "abc");
	cr_expect(xen_record_is_whole(&from));
}

Test(xen_record, nothing_is_read_past_the_end)
{
	struct xen_record from = { .bytes = bytes, .size = 7 };
	uint8_t text[4] = { 1, 1, 1, 1 };

	memset(bytes, 0xff, 16);
	cr_expect_eq(xen_record_get32(&from), UINT32_MAX);
	cr_expect_eq(xen_record_get32(&from), 0);
	cr_expect(from.is_bad);
	xen_record_get(&from, text, 2);
	cr_expect(text[0] == 0 && text[1] == 0 && text[2] == 1, "zeros, and no more of them");
	cr_expect_not(xen_record_is_whole(&from));
	from = (struct xen_record){ .bytes = bytes, .size = 7 };
	cr_expect_eq(xen_record_most(&from, 5), 0);
	cr_expect(from.is_bad);
}

Test(xen_record, nothing_is_written_past_the_end)
{
	struct xen_record to = { .bytes = bytes, .size = 6 };

	memset(bytes, 0xee, 16);
	xen_record_put32(&to, 1);
	xen_record_put32(&to, 2);
	cr_expect(to.is_bad && to.at == 4 && bytes[4] == 0xee);
	xen_record_put(&to, "a", 1);
	cr_expect_eq(bytes[4], 0xee, "a record with a gap is none");
}

/* ------------------------------------------------------------------------
 * Rings.
 */

Test(xen_record, a_ring_goes_on_where_it_was)
{
	struct xen_ring_page *ring_page = (struct xen_ring_page *)(memory + 2 * 4096);
	struct xen_record to = writer(), from;
	struct xen_ring ring, again = { 0 };
	uint32_t request = 7, got = 0;

	ring_page->req_prod = ring_page->rsp_prod = 0xfffffffe;
	xen_ring_init(&ring, ring_page, ENTRY);
	ring_page->req_prod += 3;
	cr_assert(xen_ring_take(&ring, &got, sizeof(got)));
	xen_ring_answer(&ring, &request, sizeof(request));
	xen_ring_save(&ring, &grants, &to);
	from = reader(&to);
	cr_assert(xen_ring_restore(&again, ENTRY, &grants, &from));
	cr_expect(xen_record_is_whole(&from));
	cr_expect_eq(again.page, ring_page);
	cr_expect_eq(memcmp(&again, &ring, sizeof(ring)), 0);
	cr_expect_eq(xen_ring_waiting(&again, NULL), 2);
	cr_expect(xen_ring_publish(&again) || ring_page->rsp_prod == 0xffffffff);
}

Test(xen_record, rings_that_are_none)
{
	static const uint32_t rows[][3] = {
		{ PAGES, 0, 0 }, { UINT32_MAX, 0, 0 }, { 1, 33, 0 }, { 1, 0, 1 }
	};
	struct xen_ring ring;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xen_record to = writer(), from;
		unsigned field;

		for (field = 0; field < 3; field++)
			xen_record_put32(&to, rows[i][field]);
		from = reader(&to);
		cr_expect_not(xen_ring_restore(&ring, ENTRY, &grants, &from), "row %zu", i);
		cr_expect(from.is_bad);
	}
}

Test(xen_record, devices_have_their_rings)
{
	struct xen_record to = writer(), from;
	struct xen_console console, second;
	struct xen_blk blk, again;
	struct xen_net net, other_net;

	xen_blk_init(&blk, memory, &grants, 64, true);
	xen_net_init(&net, memory + 2 * 4096, memory + 3 * 4096, &grants);
	xen_console_init(&console, memory);
	console.taken = 5;
	console.given = 9;
	net.rx.taken = net.rx.answered = 3;
	xen_blk_save(&blk, &to);
	xen_net_save(&net, &to);
	xen_console_save(&console, &to);
	from = reader(&to);
	cr_assert(xen_blk_restore(&again, &grants, 64, true, &from));
	cr_expect_eq(memcmp(&again.ring, &blk.ring, sizeof(blk.ring)), 0);
	cr_expect(again.read_only && again.sectors == 64);
	cr_assert(xen_net_restore(&other_net, &grants, &from));
	cr_expect_eq(memcmp(&other_net.rx, &net.rx, sizeof(net.rx)), 0);
	cr_expect_eq(memcmp(&other_net.tx, &net.tx, sizeof(net.tx)), 0);
	xen_console_init(&second, memory);
	xen_console_restore(&second, &from);
	cr_expect(second.taken == 5 && second.given == 9 && xen_record_is_whole(&from));
}

/* ------------------------------------------------------------------------
 * The store.
 */

static void tell(const void *from, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		page()->req[page()->req_prod++ % XEN_STORE_RING] = ((const char *)from)[i];
}

static void request(struct xen_store *of, uint32_t type, uint32_t transaction, const char *payload,
		    uint32_t length)
{
	struct xen_store_header header = { type, 77, transaction, length };
	unsigned i;

	tell(&header, sizeof(header));
	tell(payload, length);
	for (i = 0; i < 8; i++)
		xen_store_serve(of);
}

/* The last answer of the ring. */
static const char *answer(struct xen_store_header *header)
{
	static char text[XEN_STORE_RING];
	uint32_t i;

	for (i = 0; i < sizeof(*header); i++)
		((char *)header)[i] = page()->rsp[page()->rsp_cons++ % XEN_STORE_RING];
	cr_assert_leq(header->length, sizeof(text) - 1);
	for (i = 0; i < header->length; i++)
		text[i] = page()->rsp[page()->rsp_cons++ % XEN_STORE_RING];
	text[i] = '\0';
	return text;
}

static void forget_answers(void)
{
	page()->rsp_cons = page()->rsp_prod;
}

/* Everything that a store can have. */
static void fill(void)
{
	static const char half[] = "\2\0\0\0\7\0\0\0\0\0\0\0\5\0\0\0dev";

	xen_store_write(&store, "/local/domain/1/device/vbd/51712/state", "4");
	xen_store_write(&store, "/local/domain/1/device/vbd/51712/ring-ref", "8");
	xen_store_write(&store, "/local/domain/0/backend/vbd/1/51712/state", "4");
	xen_store_write(&store, "/a", "");
	request(&store, XEN_STORE_WATCH, 0, "device\0token", 13);
	request(&store, XEN_STORE_WATCH, 0, "@releaseDomain\0other", 21);
	request(&store, XEN_STORE_TRANSACTION_START, 0, "", 1);
	forget_answers();
	request(&store, XEN_STORE_WRITE, store.last_id, "device/x\0value", 14);
	request(&store, XEN_STORE_RM, store.last_id, "device/vbd", 11);
	forget_answers();
	/* A guest that reads nothing: an answer that is half sent, and events that wait. */
	page()->rsp_cons = page()->rsp_prod - XEN_STORE_RING + 10;
	xen_store_write(&store, "/local/domain/1/device/y", "1");
	xen_store_write(&store, "/local/domain/1/device/z", "2");
	tell(half, sizeof(half) - 1);
	xen_store_serve(&store);
	xen_store_serve(&store);
	cr_assert(store.out_sent && store.out_sent < store.out_count && store.watches.count);
}

static struct xen_record save_store(void)
{
	struct xen_record to = writer();

	xen_store_save(&store, &to);
	return reader(&to);
}

static bool restore_store(struct xen_record from)
{
	xen_store_init(&restored, changed, NULL);
	xen_store_connect(&restored, page());
	return xen_store_restore(&restored, &from) && xen_record_is_whole(&from);
}

Test(xen_record, a_store_is_what_it_was)
{
	struct xen_record from, to = { .bytes = other, .size = sizeof(other) };

	fill();
	from = save_store();
	cr_assert(restore_store(from));
	xen_store_save(&restored, &to);
	cr_expect_eq(to.at, from.size);
	cr_expect_eq(memcmp(other, bytes, from.size), 0, "saved once more it is the same");
	cr_expect_eq(restored.tree.nodes, store.tree.nodes);
	cr_expect_eq(restored.tree.text_used, store.tree.text_used);
}

Test(xen_record, its_guest_goes_on)
{
	struct xen_store_header header;
	uint32_t id;
	unsigned i;

	fill();
	id = store.last_id;
	cr_assert(restore_store(save_store()));
	/* The rest of what was half sent, the events, and the request that was half there. */
	page()->rsp_cons = page()->rsp_prod - 10;
	memset(&store, 0, sizeof(store));
	forget_answers();
	tell("ice", 0);
	for (i = 0; i < 8; i++) {
		xen_store_serve(&restored);
		forget_answers();
	}
	tell("ice", 2);
	for (i = 0; i < 4; i++)
		xen_store_serve(&restored);
	answer(&header);
	cr_expect_eq(header.request, 7, "the request that was half there is answered");
	forget_answers();
	request(&restored, XEN_STORE_READ, id, "device/x", 9);
	cr_expect_str_eq(answer(&header), "value");
	forget_answers();
	request(&restored, XEN_STORE_TRANSACTION_END, id, "T", 2);
	cr_expect_str_eq(answer(&header), "EAGAIN");
	cr_expect_eq(header.type, XEN_STORE_ERROR);
	forget_answers();
	request(&restored, XEN_STORE_WATCH, 0, "device\0token", 13);
	cr_expect_str_eq(answer(&header), "EEXIST", "the watch is there");
}

static void put_node(struct xen_record *to, uint32_t depth, uint32_t length)
{
	uint32_t i;

	xen_record_put32(to, depth);
	xen_record_put32(to, length);
	xen_record_put32(to, 0);
	for (i = 0; i < length; i++)
		xen_record_put(to, "n", 1);
}

/* Where it is written all the same, the build with sanitizers sees it. */
Test(xen_record, a_node_below_the_longest_path_is_none)
{
	struct xen_record to = writer();

	xen_record_put32(&to, 2);
	put_node(&to, 1, XEN_STORE_PATH_MAX - 1);
	put_node(&to, 2, XEN_STORE_PATH_MAX);
	cr_expect_not(restore_store(reader(&to)));
}

Test(xen_record, a_store_that_is_not_served_any_more_stays_so)
{
	struct xen_store_header header = { .length = XEN_STORE_PAYLOAD + 1 };

	tell(&header, sizeof(header));
	xen_store_serve(&store);
	cr_assert(store.broken);
	cr_assert(restore_store(save_store()));
	cr_expect(restored.broken);
}

Test(xen_record, a_store_cut_at_every_length_is_none)
{
	struct xen_record whole;
	uint32_t size;

	fill();
	whole = save_store();
	for (size = 0; size < whole.size; size++) {
		struct xen_record cut = { .bytes = bytes, .size = size };

		cr_assert_not(restore_store(cut), "%u bytes", size);
	}
}

/* Whatever it is then, it is a store: it can be saved, and served. */
Test(xen_record, a_store_with_any_byte_garbled)
{
	static const uint8_t masks[] = { 0xff, 0x80, 0x01 };
	struct xen_record whole;
	uint32_t at;
	size_t i;

	fill();
	whole = save_store();
	for (at = 0; at < whole.size; at++) {
		for (i = 0; i < sizeof(masks); i++) {
			struct xen_record to = { .bytes = other, .size = sizeof(other) };

			bytes[at] ^= masks[i];
			restore_store(whole);
			bytes[at] ^= masks[i];
			xen_store_save(&restored, &to);
			cr_assert_not(to.is_bad);
			xen_store_serve(&restored);
		}
	}
}

Test(xen_record, trees_that_are_none)
{
	static const struct {
		uint32_t depth;
		const char *name;
	} rows[] = { { 0, "a" },     { 2, "a" },   { 1, "" },	{ 1, "a/b" },
		     { 1, "local" }, { 1, "a b" }, { 200, "a" } };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xen_record to = writer();
		uint32_t length = (uint32_t)strlen(rows[i].name);

		xen_record_put(&to, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
		xen_record_put32(&to, 2);
		xen_record_put32(&to, 1);
		xen_record_put32(&to, 5);
		xen_record_put32(&to, 0);
		xen_record_put(&to, "local", 5);
		xen_record_put32(&to, rows[i].depth);
		xen_record_put32(&to, length);
		xen_record_put32(&to, 0);
		xen_record_put(&to, rows[i].name, length);
		xen_record_put(&to, other, 4096);
		cr_expect_not(restore_store(reader(&to)), "row %zu", i);
	}
}
