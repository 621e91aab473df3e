/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A xenstore as its guest sees it, by the bytes of the ring, and as it is when the guest asks for what
 * cannot be. */
#include "xen_store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static uint8_t pages[3 * 4096] __attribute__((aligned(4096)));
static struct xen_store_page *page;
static struct xen_store store;
static uint32_t changes;
static char last_change[256];

static void changed(void *host, const struct xen_store_path *path)
{
	cr_assert_eq(host, &changes);
	memcpy(last_change, path->text, path->length + 1);
	changes++;
}

static void setup(void)
{
	memset(pages, 0xee, sizeof(pages));
	memset(pages + 4096, 0, 4096);
	page = (struct xen_store_page *)(pages + 4096);
	xen_store_init(&store, changed, &changes);
	xen_store_connect(&store, page);
}

static void fini(void)
{
	unsigned i;

	for (i = 0; i < 4096; i++)
		cr_assert(pages[i] == 0xee && pages[2 * 4096 + i] == 0xee, "only the ring's page is written");
}

TestSuite(xen_store, .init = setup, .fini = fini);

/* ------------------------------------------------------------------------
 * The guest.
 */

static struct xen_store_message answer;

static void put(const void *from, uint32_t size)
{
	const char *bytes = from;
	uint32_t i;

	for (i = 0; i < size; i++) {
		while (page->req_prod - page->req_cons == XEN_STORE_RING)
			cr_assert(xen_store_serve(&store) & XEN_STORE_NOTIFY, "it reads what is there");
		page->req[page->req_prod++ % XEN_STORE_RING] = bytes[i];
	}
}

/* False: there is not so much to come. */
static bool take(void *to, uint32_t size)
{
	char *bytes = to;
	uint32_t i, tries;

	for (i = 0; i < size; i++) {
		for (tries = 0; page->rsp_prod == page->rsp_cons; tries++) {
			if (tries == 3)
				return false;
			xen_store_serve(&store);
		}
		bytes[i] = page->rsp[page->rsp_cons++ % XEN_STORE_RING];
	}
	return true;
}

static bool next(void)
{
	if (!take(&answer.header, sizeof(answer.header)))
		return false;
	cr_assert(answer.header.length <= XEN_STORE_PAYLOAD);
	cr_assert(take(answer.payload, answer.header.length));
	if (answer.header.length < XEN_STORE_PAYLOAD)
		answer.payload[answer.header.length] = '\0';
	return true;
}

static void request(uint32_t type, uint32_t transaction, const void *payload, uint32_t length)
{
	struct xen_store_header header = { type, 77, transaction, length };

	put(&header, sizeof(header));
	put(payload, length);
	do
		cr_assert(next(), "type %u is answered", type);
	while (answer.header.type == XEN_STORE_WATCH_EVENT);
	cr_assert_eq(answer.header.request, 77);
}

/* @path with its NUL, then @value without. Returns the answer's text. */
static const char *ask(uint32_t type, uint32_t transaction, const char *path, const char *value)
{
	char payload[XEN_STORE_PAYLOAD];
	int length = snprintf(payload, sizeof(payload), "%s%c%s", path, 0, value);

	request(type, transaction, payload, (uint32_t)length);
	return answer.payload;
}

static const char *get(const char *path)
{
	return ask(XEN_STORE_READ, 0, path, "");
}

static uint32_t start(void)
{
	uint32_t id = 0;

	cr_assert_eq(sscanf(ask(XEN_STORE_TRANSACTION_START, 0, "", ""), "%u", &id), 1);
	cr_assert_neq(id, 0);
	return id;
}

#define expect(said, want)	cr_expect_str_eq((said), (want))

Test(xen_store, reads_writes_and_lists)
{
	expect(ask(XEN_STORE_WRITE, 0, "device/a/one", "1"), "OK");
	cr_expect_str_eq(last_change, XEN_STORE_HOME "/device/a/one");
	expect(get("device/a/one"), "1");
	expect(get(XEN_STORE_HOME "/device/a/one"), "1");
	expect(ask(XEN_STORE_WRITE, 0, "device/a/one", "longer"), "OK");
	expect(ask(XEN_STORE_WRITE, 0, "device/a/two", "2"), "OK");
	expect(ask(XEN_STORE_MKDIR, 0, "device/a/three", ""), "OK");
	expect(get("device/a/one"), "longer");
	expect(get("device/a/two"), "2");
	expect(get("device/a/three"), "");
	expect(get("device/a/four"), "ENOENT");
	cr_expect_eq(answer.header.type, XEN_STORE_ERROR);
	ask(XEN_STORE_DIRECTORY, 0, "device/a", "");
	cr_expect_eq(answer.header.length, 14);
	cr_expect_arr_eq(answer.payload, "one\0two\0three", 14);
	expect(ask(XEN_STORE_RM, 0, "device/a", ""), "OK");
	expect(get("device/a/two"), "ENOENT");
	expect(ask(XEN_STORE_RM, 0, "device/a", ""), "OK");	/* its parent is there */
	expect(ask(XEN_STORE_RM, 0, "nowhere/a", ""), "ENOENT");
	expect(ask(XEN_STORE_GET_DOMAIN_PATH, 0, "1", ""), XEN_STORE_HOME);
	expect(ask(XEN_STORE_GET_DOMAIN_PATH, 0, "0", ""), "/local/domain/0");
	expect(ask(XEN_STORE_GET_DOMAIN_PATH, 0, "7", ""), "EINVAL");
	expect(ask(XEN_STORE_IS_DOMAIN_INTRODUCED, 0, "7", ""), "F");
}

Test(xen_store, the_guest_writes_its_home_only)
{
	cr_assert_eq(xen_store_write(&store, "/local/domain/0/backend/vbd/1/5/state", "2"), XEN_STORE_OK);
	expect(get("/local/domain/0/backend/vbd/1/5/state"), "2");
	expect(ask(XEN_STORE_WRITE, 0, "/local/domain/0/backend/vbd/1/5/state", "4"), "EACCES");
	expect(ask(XEN_STORE_RM, 0, "/local/domain/0", ""), "EACCES");
	expect(ask(XEN_STORE_RM, 0, "/", ""), "EACCES");
	expect(ask(XEN_STORE_RM, 0, XEN_STORE_HOME, ""), "EACCES");
	expect(ask(XEN_STORE_MKDIR, 0, XEN_STORE_HOME "0/a", ""), "EACCES");
	expect(ask(XEN_STORE_SET_PERMS, 0, "/local", "n1"), "EACCES");
	expect(ask(XEN_STORE_CONTROL, 0, "log", "x"), "EACCES");
	expect(get("/local/domain/0/backend/vbd/1/5/state"), "2");
	ask(XEN_STORE_GET_PERMS, 0, "/local/domain/0", "");
	cr_expect_arr_eq(answer.payload, "n0\0r1", 6);
}

Test(xen_store, words_that_are_none)
{
	static char path[XEN_STORE_PAYLOAD + 1];

	expect(get("a//b"), "EINVAL");
	expect(get("a/"), "EINVAL");
	expect(get(""), "EINVAL");
	expect(get("a b"), "EINVAL");
	expect(get("//"), "EINVAL");
	memset(path, 'x', 300);
	expect(get(path), "EINVAL");
	expect(ask(99, 0, "a", ""), "ENOSYS");
	expect(ask(XEN_STORE_READ, 4, "a", ""), "ENOENT");	/* no such transaction */
	request(XEN_STORE_WRITE, 0, "abc", 3);			/* no NUL, no value */
	expect(answer.payload, "EINVAL");
	request(XEN_STORE_WATCH, 0, "abc", 3);
	expect(answer.payload, "EINVAL");
	request(XEN_STORE_READ, 0, "", 0);
	expect(answer.payload, "EINVAL");
	expect(ask(XEN_STORE_TRANSACTION_END, 0, "T", ""), "ENOENT");
	request(XEN_STORE_WRITE, 0, memset(path, 'v', XEN_STORE_PAYLOAD), XEN_STORE_PAYLOAD);
	expect(answer.payload, "EINVAL");
	/* The longest that there is. */
	memcpy(path, "v", 2);
	request(XEN_STORE_WRITE, 0, path, XEN_STORE_PAYLOAD);
	expect(answer.payload, "OK");
	get("v");
	cr_expect_eq(answer.header.length, XEN_STORE_PAYLOAD - 2);
}

Test(xen_store, a_transaction_is_seen_whole_or_not_at_all)
{
	uint32_t id = start(), other;

	expect(ask(XEN_STORE_WRITE, id, "a", "1"), "OK");
	expect(ask(XEN_STORE_WRITE, id, "b", "2"), "OK");
	expect(get("a"), "ENOENT");
	expect(ask(XEN_STORE_READ, id, "a", ""), "1");
	cr_expect_eq(changes, 0);
	expect(ask(XEN_STORE_TRANSACTION_END, id, "T", ""), "OK");
	expect(get("a"), "1");
	cr_expect_eq(changes, 2);
	expect(ask(XEN_STORE_READ, id, "a", ""), "ENOENT");	/* it is over */
	/* One that is given up. */
	id = start();
	ask(XEN_STORE_WRITE, id, "a", "9");
	expect(ask(XEN_STORE_TRANSACTION_END, id, "F", ""), "OK");
	expect(get("a"), "1");
	/* And one that another change has overtaken, by the guest or by the host. */
	id = start();
	other = start();
	ask(XEN_STORE_WRITE, id, "a", "3");
	ask(XEN_STORE_WRITE, other, "b", "4");
	expect(ask(XEN_STORE_TRANSACTION_END, other, "T", ""), "OK");
	expect(ask(XEN_STORE_TRANSACTION_END, id, "T", ""), "EAGAIN");
	id = start();
	ask(XEN_STORE_WRITE, id, "a", "3");
	xen_store_write(&store, "/local/domain/0/x", "");
	expect(ask(XEN_STORE_TRANSACTION_END, id, "T", ""), "EAGAIN");
	expect(get("a"), "1");
	expect(get("b"), "4");
}

Test(xen_store, transactions_are_few)
{
	uint32_t i, id = 0;

	for (i = 0; i < XEN_STORE_TRANSACTIONS; i++)
		id = start();
	expect(ask(XEN_STORE_TRANSACTION_START, 0, "", ""), "ENOSPC");
	ask(XEN_STORE_TRANSACTION_END, id, "F", "");
	start();
}

/* The next event's path; its token comes after it. */
static const char *event(void)
{
	if (!next())
		return "none";
	cr_assert_eq(answer.header.type, XEN_STORE_WATCH_EVENT);
	return answer.payload;
}

static const char *token(void)
{
	return answer.payload + strlen(answer.payload) + 1;
}

Test(xen_store, watches)
{
	request(XEN_STORE_WATCH, 0, "device\0T", 9);
	expect(answer.payload, "OK");
	expect(event(), "device");		/* its own path, at once */
	expect(token(), "T");
	expect(event(), "none");
	ask(XEN_STORE_WRITE, 0, "device/a", "1");
	expect(event(), "device/a");
	expect(token(), "T");
	ask(XEN_STORE_WRITE, 0, "devices", "1");
	expect(event(), "none");
	xen_store_write(&store, XEN_STORE_HOME "/device/b", "1");
	expect(event(), "device/b");
	request(XEN_STORE_WATCH, 0, XEN_STORE_HOME "/device/b\0U", sizeof(XEN_STORE_HOME "/device/b") + 2);
	expect(event(), XEN_STORE_HOME "/device/b");
	xen_store_remove(&store, XEN_STORE_HOME "/device");
	expect(event(), "device");
	expect(event(), XEN_STORE_HOME "/device/b");	/* it went with what is above it */
	expect(token(), "U");
	request(XEN_STORE_WATCH, 0, "device\0T", 9);
	expect(answer.payload, "EEXIST");
	request(XEN_STORE_UNWATCH, 0, "device\0V", 9);
	expect(answer.payload, "ENOENT");
	xen_store_write(&store, XEN_STORE_HOME "/device/c", "1");
	request(XEN_STORE_UNWATCH, 0, "device\0T", 9);
	while (answer.header.type == XEN_STORE_WATCH_EVENT)
		next();
	xen_store_write(&store, XEN_STORE_HOME "/device/c", "2");
	expect(event(), "none");
	cr_expect_not(xen_store_is_watched(&store, XEN_STORE_HOME "/control/shutdown"));
	request(XEN_STORE_WATCH, 0, "control\0X", 10);
	cr_expect(xen_store_is_watched(&store, XEN_STORE_HOME "/control/shutdown"));
	expect(event(), "control");
	request(XEN_STORE_WATCH, 0, "@releaseDomain\0W", 17);
	expect(answer.payload, "OK");
	expect(event(), "@releaseDomain");
	expect(ask(XEN_STORE_RESET_WATCHES, 0, "", ""), "OK");
	xen_store_write(&store, XEN_STORE_HOME "/device/b", "2");
	expect(event(), "none");
}

Test(xen_store, events_that_do_not_fit_are_one_of_the_watchs_path)
{
	char name[64];
	uint32_t i, own = 0, all = 0;

	request(XEN_STORE_WATCH, 0, "device\0T", 9);
	expect(event(), "device");
	for (i = 0; i < 3 * XEN_STORE_EVENTS; i++) {
		snprintf(name, sizeof(name), XEN_STORE_HOME "/device/%u", i);
		cr_assert_eq(xen_store_write(&store, name, "1"), XEN_STORE_OK);
	}
	for (;;) {
		const char *path = event();

		if (!strcmp(path, "none"))
			break;
		all++;
		own += !strcmp(path, "device");
	}
	cr_expect_eq(own, 1, "what was missed is told once");
	cr_expect_eq(all, XEN_STORE_EVENTS + 1);
}

Test(xen_store, a_transaction_of_more_changes_than_are_kept)
{
	uint32_t id, i;
	char name[16];

	request(XEN_STORE_WATCH, 0, "device\0T", 9);
	expect(event(), "device");
	id = start();
	for (i = 0; i <= XEN_STORE_JOURNAL; i++) {
		snprintf(name, sizeof(name), "device/%u", i);
		expect(ask(XEN_STORE_WRITE, id, name, "1"), "OK");
	}
	expect(ask(XEN_STORE_TRANSACTION_END, id, "T", ""), "OK");
	expect(event(), "device");
	expect(event(), "none");
	cr_expect_str_eq(last_change, XEN_STORE_HOME, "the host looks at all");
}

Test(xen_store, a_full_tree_is_the_guests_own_loss)
{
	static char value[3000];
	char name[32];
	uint32_t i;

	memset(value, 'v', sizeof(value) - 1);
	for (i = 0;
	     i < 1000 && !strcmp(ask(XEN_STORE_WRITE, 0,
				     (snprintf(name, sizeof(name), "data/%u", i), name), value),
				 "OK");
	     i++)
		;
	expect(answer.payload, "ENOSPC");
	cr_expect_leq(i, XEN_STORE_TEXT / sizeof(value));
	cr_expect_eq(xen_store_write(&store, "/local/domain/0/backend/vbd/1/5/state", "4"), XEN_STORE_OK);
	expect(ask(XEN_STORE_RM, 0, "data", ""), "OK");
	for (i = 0; i < 2000 && !strcmp(ask(XEN_STORE_MKDIR, 0,
					    (snprintf(name, sizeof(name), "data/%u", i), name), ""),
					"OK");
	     i++)
		;
	expect(answer.payload, "ENOSPC");
	cr_expect_lt(i, XEN_STORE_NODES);
	expect(ask(XEN_STORE_DIRECTORY, 0, "data", ""), i > 800 ? "0" : answer.payload);
	cr_expect_eq(xen_store_write(&store, "/local/domain/0/backend/vbd/1/5/error", "no"), XEN_STORE_OK);
	expect(ask(XEN_STORE_RM, 0, "data", ""), "OK");
	cr_expect_leq(store.tree.nodes, 16, "%u", store.tree.nodes);
	for (i = 0; i < XEN_STORE_WATCHES; i++) {
		int length = snprintf(name, sizeof(name), "w%c%u", 0, i);

		request(XEN_STORE_WATCH, 0, name, (uint32_t)length + 1);
		expect(answer.payload, "OK");
	}
	request(XEN_STORE_WATCH, 0, "w\0more", 7);
	expect(answer.payload, "ENOSPC");
}

/* Depth is bounded by a path's length; the removal takes no stack for it. */
Test(xen_store, a_deep_tree)
{
	char path[256] = "d";
	uint32_t i;

	for (i = 0; i < 110; i++)
		strcat(path, "/d");
	expect(ask(XEN_STORE_MKDIR, 0, path, ""), "OK");
	expect(ask(XEN_STORE_RM, 0, "d", ""), "OK");
	expect(get("d/d"), "ENOENT");
}

Test(xen_store, a_ring_that_makes_no_sense_is_left_alone)
{
	struct xen_store_header header = { XEN_STORE_READ, 1, 0, XEN_STORE_PAYLOAD + 1 };

	page->req_prod = page->req_cons + XEN_STORE_RING + 1;
	cr_expect(xen_store_serve(&store) & XEN_STORE_NOTIFY);
	cr_expect_eq(page->error, XEN_STORE_RING_INDEX);
	page->req_prod = page->req_cons;
	cr_expect_eq(xen_store_serve(&store), 0);
	setup();
	put(&header, sizeof(header));
	xen_store_serve(&store);
	cr_expect_eq(page->error, XEN_STORE_RING_PROTOCOL);
	setup();
	page->rsp_cons = 1;		/* of an answer that there was not */
	header.length = 0;
	put(&header, sizeof(header));
	xen_store_serve(&store);
	cr_expect_eq(page->error, XEN_STORE_RING_INDEX);
}

/*
 * A Linux guest notifies of what it adds to a ring that it sees empty, and of what it takes from one that
 * it sees full: each step that took or gave something is followed by another look, though a message is
 * not whole.
 */
Test(xen_store, after_each_step_another_look)
{
	struct xen_store_header header = { XEN_STORE_WRITE, 1, 0, 6 };
	char value[900] = "";
	uint32_t i;

	put(&header, sizeof(header));
	cr_expect(xen_store_serve(&store) & XEN_STORE_MORE, "a header");
	cr_expect_eq(xen_store_serve(&store), 0);
	put("a", 2);
	cr_expect(xen_store_serve(&store) & XEN_STORE_MORE, "a part");
	cr_expect_eq(xen_store_serve(&store), 0);
	put("text", 4);
	cr_expect(xen_store_serve(&store) & XEN_STORE_MORE, "the rest");
	cr_assert(next());
	/* Answers that the ring is too small for. */
	memset(value, 'v', sizeof(value) - 1);
	expect(ask(XEN_STORE_WRITE, 0, "a", value), "OK");
	header = (struct xen_store_header){ XEN_STORE_READ, 2, 0, 2 };
	for (i = 0; i < 2; i++) {
		put(&header, sizeof(header));
		put("a", 2);
	}
	while (page->rsp_prod - page->rsp_cons < XEN_STORE_RING)
		cr_assert(xen_store_serve(&store) & XEN_STORE_MORE, "there may be room again");
	cr_expect_eq(xen_store_serve(&store), 0);
	page->rsp_cons += 10;
	cr_expect(xen_store_serve(&store) & XEN_STORE_MORE, "10 bytes more");
	cr_expect_eq(xen_store_serve(&store), 0);
}

Test(xen_store, what_the_host_reads)
{
	char value[8];

	expect(ask(XEN_STORE_WRITE, 0, "device/n", "1234567"), "OK");
	cr_expect_eq(xen_store_read(&store, XEN_STORE_HOME "/device/n", value, sizeof(value)), XEN_STORE_OK);
	cr_expect_str_eq(value, "1234567");
	expect(ask(XEN_STORE_WRITE, 0, "device/n", "12345678"), "OK");
	cr_expect_eq(xen_store_read(&store, XEN_STORE_HOME "/device/n", value, sizeof(value)),
		     XEN_STORE_E2BIG);
	request(XEN_STORE_WRITE, 0, "device/n\0a\0b", 12);
	cr_expect_eq(xen_store_read(&store, XEN_STORE_HOME "/device/n", value, sizeof(value)),
		     XEN_STORE_E2BIG);
	cr_expect_eq(xen_store_read(&store, XEN_STORE_HOME "/device/m", value, sizeof(value)),
		     XEN_STORE_ENOENT);
}

/* Any bytes at all: no answer is missing while the ring is whole, and the tree stays one. */
Test(xen_store, random_requests)
{
	static const char *const words[] = { "a", "a/b", "a/b/c", "",	"/",   "/local",
					     "T", "F",	 "1",	  "@x", "a//", "device" };
	uint64_t seed = 20261128;
	uint32_t i;

	printf("seed %llu\n", (unsigned long long)seed);
	for (i = 0; i < 20000; i++) {
		uint32_t type, transaction;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		type = (uint32_t)(seed >> 33) % 24;
		transaction = (seed >> 40) % 4 ? 0 : (uint32_t)(seed >> 42) % 12;
		ask(type, transaction, words[(seed >> 47) % 12], words[(seed >> 52) % 12]);
		cr_assert_leq(store.tree.nodes, XEN_STORE_NODES);
		cr_assert_leq(store.tree.text_used, XEN_STORE_TEXT);
	}
	cr_assert_eq(page->error, 0);
}
