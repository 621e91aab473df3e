/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fuzz target: the rings of a Xen PV guest's devices. The input is what the guest writes, at any place of
 * its pages, between the calls of the devices; or what is made of the record of a guest that was saved.
 * Sanitizers see each access outside the guest's memory.
 */
#include "xen_blk.h"
#include "xen_console.h"
#include "xen_net.h"
#include "xen_store.h"

#include <stdlib.h>
#include <string.h>

#include "host.h"

#define PAGES	8u
#define SECTORS	64u

/* Of the heap, one by one, so that what is beside a page is not another. */
static uint8_t *memory;
static struct xen_grant table[PAGES];
static struct xen_grants grants = { .pages = PAGES, .table = table, .count = PAGES };
static struct xen_store store;
static uint8_t packet[XEN_NET_PACKET_MAX];

static void changed(void *host, const struct xen_store_path *path)
{
	(void)host;
	fuzz_require(path->length <= XEN_STORE_PATH_MAX && !path->text[path->length], "a path is one");
}

static bool is_guests(const uint8_t *at, uint64_t bytes)
{
	return at >= memory && at + bytes <= memory + PAGES * 4096;
}

static void run_blk(struct xen_blk *blk)
{
	struct xen_blk_request request;
	uint32_t i;

	while (xen_blk_next(blk, &request)) {
		fuzz_require(request.sector <= SECTORS && request.sectors <= SECTORS - request.sector,
			     "a request is inside the disk");
		for (i = 0; i < request.count; i++)
			fuzz_require(is_guests(request.segment[i].at, request.segment[i].bytes),
				     "a segment is the guest's");
		for (i = 0; i < request.count && request.op == XEN_BLK_READ; i++)
			memset(request.segment[i].at, 0x5a, request.segment[i].bytes);
		xen_blk_answer(blk, &request, XEN_BLK_OKAY);
	}
	xen_ring_publish(&blk->ring);
	xen_ring_ask(&blk->ring);
}

static void run_net(struct xen_net *net, uint32_t length)
{
	uint32_t sent;

	while ((sent = xen_net_next(net, packet)))
		fuzz_require(sent <= XEN_NET_PACKET_MAX, "a packet is not too long");
	xen_net_give(net, packet, length % (XEN_NET_PACKET_MAX + 1));
	xen_ring_publish(&net->tx);
	xen_ring_publish(&net->rx);
	xen_ring_ask(&net->rx);
}

static void run_console(struct xen_console *console)
{
	uint8_t bytes[100];

	fuzz_require(xen_console_take(console, bytes, sizeof(bytes)) <= sizeof(bytes),
		     "as much as was wanted");
	xen_console_give(console, bytes, sizeof(bytes));
}

static void run_store(void)
{
	unsigned i;

	for (i = 0; i < 8 && xen_store_serve(&store) & XEN_STORE_MORE; i++)
		;
	fuzz_require(store.tree.nodes <= XEN_STORE_NODES && store.tree.text_used <= XEN_STORE_TEXT,
		     "the tree is one");
	xen_store_write(&store, "/local/domain/0/state", i % 2 ? "1" : "22");
}

/* What the guest writes: at a place, some bytes of the input. */
static void guest_writes(struct fuzz_input *in)
{
	uint32_t at = fuzz_u16(in) % (PAGES * 4096), count = fuzz_u8(in), i;
	uint8_t *to = memory;
	uint32_t size = PAGES * 4096;

	if (fuzz_u8(in) % 4 == 0) {
		to = (uint8_t *)table;
		size = sizeof(table);
	}
	for (i = 0; i < count && in->left; i++)
		to[(at + i) % size] = fuzz_u8(in);
}

/* Or a request, as a driver would: any bytes, at the next place of a ring. */
static void guest_asks(struct fuzz_input *in, uint32_t page, uint32_t entry_size, uint32_t entries)
{
	struct xen_ring_page *ring = (struct xen_ring_page *)(memory + page * 4096);
	uint8_t *entry = ring->entries + ring->req_prod % entries * entry_size;
	uint32_t i;

	fuzz_bytes(in, entry, entry_size);
	/* References and sectors that are there, more often than chance has them. */
	for (i = 0; i < entry_size && fuzz_u8(in) & 1; i += 4)
		memset(entry + i + 1, 0, 3);
	ring->req_prod++;
}

/* Or a message to the store. */
static void guest_tells(struct fuzz_input *in)
{
	static const char *const words[] = { "a",      "a/b", "device/c", "/local/domain/1/a",
					     "/local", "T",   "F",	  "1",
					     "@x" };
	struct xen_store_page *page = (struct xen_store_page *)(memory + 4 * 4096);
	struct xen_store_header header = { .type = fuzz_u8(in) % 24, .transaction = fuzz_u8(in) % 12 };
	char bytes[600];
	uint32_t used = sizeof(header), i;

	for (i = fuzz_u8(in) % 4; i; i--) {
		const char *word = words[fuzz_u8(in) % 9];

		memcpy(bytes + used, word, strlen(word) + 1);
		used += (uint32_t)strlen(word) + 1;
	}
	i = fuzz_u8(in);
	fuzz_bytes(in, bytes + used, i);
	header.length = used + i - (uint32_t)sizeof(header);
	memcpy(bytes, &header, sizeof(header));
	for (i = 0; i < header.length + sizeof(header); i++)
		page->req[page->req_prod++ % XEN_STORE_RING] = bytes[i];
	if (fuzz_u8(in) & 1)
		page->rsp_cons = page->rsp_prod;
}

/* ------------------------------------------------------------------------
 * Records.
 */

static uint8_t record[XEN_STORE_RECORD_MAX];

static uint32_t save_store(void)
{
	struct xen_record to = { .bytes = record, .size = sizeof(record) };

	xen_store_save(&store, &to);
	fuzz_require(!to.is_bad, "a store fits into its record");
	return to.at;
}

/* Whatever was restored is a store: it is served, and can be saved. */
static void restore_store(uint32_t size)
{
	/* Of the heap, so that what is past its end is not ours. */
	uint8_t *bytes = malloc(size ? size : 1);
	struct xen_record from = { .bytes = bytes, .size = size };

	memcpy(bytes, record, size);
	xen_store_init(&store, changed, NULL);
	xen_store_connect(&store, memory + 4 * 4096);
	xen_store_restore(&store, &from);
	free(bytes);
	run_store();
	save_store();
}

static void restore_rings(struct fuzz_input *in)
{
	struct xen_record from = { .bytes = record, .size = 36 };
	struct xen_blk blk;
	struct xen_net net;

	fuzz_bytes(in, record, from.size);
	record[1] = record[2] = record[3] = 0;	/* frames that are there, more often */
	if (xen_blk_restore(&blk, &grants, SECTORS, false, &from))
		run_blk(&blk);
	if (xen_net_restore(&net, &grants, &from))
		run_net(&net, fuzz_u16(in));
}

static void run_records(struct fuzz_input *in)
{
	uint32_t size, i;

	xen_store_write(&store, "/local/domain/1/device/vbd/51712/state", "4");
	xen_store_write(&store, "/local/domain/0/backend/vbd/1/51712/state", "4");
	for (i = fuzz_u8(in) % 8; i; i--) {
		guest_tells(in);
		run_store();
	}
	size = save_store();
	for (i = fuzz_u8(in) % 16; i; i--)
		record[fuzz_u16(in) % size] = fuzz_u8(in);
	restore_store(fuzz_u8(in) & 1 ? size : fuzz_u16(in) % size);
	/* And one that is nothing else. */
	for (size = 0; size < 512 && in->left; size++)
		record[size] = fuzz_u8(in);
	restore_store(size);
	restore_rings(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct xen_console console;
	struct xen_blk blk;
	struct xen_net net;
	uint8_t how = fuzz_u8(&in);
	uint32_t i;

	memory = grants.memory = aligned_alloc(4096, PAGES * 4096);
	memset(memory, 0, PAGES * 4096);
	for (i = 0; i < PAGES; i++)
		table[i] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS, .frame = i };
	xen_blk_init(&blk, memory, &grants, SECTORS, how & 1);
	xen_net_init(&net, memory + 4096, memory + 2 * 4096, &grants);
	xen_console_init(&console, memory + 3 * 4096);
	xen_store_init(&store, changed, NULL);
	xen_store_connect(&store, memory + 4 * 4096);
	if (how & 2)
		run_records(&in);
	while (in.left) {
		if (fuzz_u8(&in) % 4 == 0)
			guest_writes(&in);
		switch (fuzz_u8(&in) % 4) {
		case 0:
			guest_asks(&in, 0, 112, 32);
			run_blk(&blk);
			break;
		case 1:
			guest_asks(&in, 1, 12, 256);
			guest_asks(&in, 2, 8, 256);
			run_net(&net, fuzz_u16(&in));
			break;
		case 2:
			run_console(&console);
			break;
		default:
			guest_tells(&in);
			run_store();
		}
	}
	free(memory);
	return 0;
}
