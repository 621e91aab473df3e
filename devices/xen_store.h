/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The xenstore of one Xen PV guest: a tree in which guest and devices find each other, and the ring in a
 * page by which the guest reads, writes and watches it. The guest is domain 1 and may write below its
 * home, XEN_STORE_HOME; it may read all, for there is nothing of any other's. The devices are domain 0.
 *
 * The guest writes the page at any time. What it asks for is bounded: tree (xen_store_tree.h),
 * XEN_STORE_WATCHES, XEN_STORE_TRANSACTIONS. A ring that makes no sense is not served any more, and the
 * page says so.
 *
 * Freestanding: needs memcpy(), memmove(), memset(), memcmp(). The caller locks.
 */
#ifndef DEVICES_XEN_STORE_H
#define DEVICES_XEN_STORE_H

#include "xen_record.h"
#include "xen_store_tree.h"

#define XEN_STORE_HOME		"/local/domain/1"
#define XEN_STORE_RING		1024	/* bytes each way */
#define XEN_STORE_PAYLOAD	4096	/* bytes, of a message */
#define XEN_STORE_TRANSACTIONS	8
#define XEN_STORE_JOURNAL	32	/* changes of a transaction that watches hear of one by one */

enum xen_store_type {
	XEN_STORE_CONTROL,
	XEN_STORE_DIRECTORY,
	XEN_STORE_READ,
	XEN_STORE_GET_PERMS,
	XEN_STORE_WATCH,
	XEN_STORE_UNWATCH,
	XEN_STORE_TRANSACTION_START,
	XEN_STORE_TRANSACTION_END,
	XEN_STORE_INTRODUCE,
	XEN_STORE_RELEASE,
	XEN_STORE_GET_DOMAIN_PATH,
	XEN_STORE_WRITE,
	XEN_STORE_MKDIR,
	XEN_STORE_RM,
	XEN_STORE_SET_PERMS,
	XEN_STORE_WATCH_EVENT,
	XEN_STORE_ERROR,
	XEN_STORE_IS_DOMAIN_INTRODUCED,
	XEN_STORE_RESUME,
	XEN_STORE_SET_TARGET,
	XEN_STORE_RESET_WATCHES = XEN_STORE_SET_TARGET + 2,
};

struct xen_store_header {
	uint32_t type, request, transaction, length;
};

/* The page that guest and store share. */
struct xen_store_page {
	char req[XEN_STORE_RING], rsp[XEN_STORE_RING];
	uint32_t req_cons, req_prod, rsp_cons, rsp_prod;
	uint32_t features, connection;
	uint32_t error;			/* XEN_STORE_RING_*: why it is not served any more */
};

enum { XEN_STORE_RING_FINE, XEN_STORE_RING_INDEX = 2, XEN_STORE_RING_PROTOCOL = 3 };

struct xen_store_message {
	struct xen_store_header header;
	char payload[XEN_STORE_PAYLOAD];
};

struct xen_store_path {
	uint32_t length;
	char text[XEN_STORE_PATH_MAX + 1];	/* with a NUL */
};

struct xen_store_transaction {
	uint32_t id;		/* 0: not in use */
	uint64_t base;		/* the store's generation when it began */
	uint32_t changes;	/* more than XEN_STORE_JOURNAL: not all are there */
	struct xen_store_path journal[XEN_STORE_JOURNAL];
	struct xen_store_tree tree;
};

#include "xen_store_watch.h"

struct xen_store {
	struct xen_store_page *page;	/* guest memory */
	uint32_t taken, given;		/* bytes: its req_cons and rsp_prod */
	bool broken;

	struct xen_store_tree tree;
	uint64_t generation;		/* counts changes of the tree */
	struct xen_store_watches watches;
	struct xen_store_transaction transaction[XEN_STORE_TRANSACTIONS];
	uint32_t last_id;

	struct xen_store_message in, out;
	uint32_t in_count;		/* bytes of it that are there */
	uint32_t out_count, out_sent;	/* bytes of it; all sent: it is free */

	/* The guest has changed @path, or something below it. */
	void (*changed)(void *host, const struct xen_store_path *path);
	void *host;
};

/* A tree with nothing but the guest's home; no page yet. @host: what changed() is given. */
void xen_store_init(struct xen_store *store, void (*changed)(void *host, const struct xen_store_path *path),
		    void *host);
void xen_store_connect(struct xen_store *store, void *page);

/* What xen_store_serve() has to say. */
#define XEN_STORE_NOTIFY	1u	/* tell the guest */
#define XEN_STORE_MORE		2u	/* call again: there may be more to do, and no event for it */

/* Go on with the ring, by one request at most. Wait for the guest only after an answer without _MORE: a Linux
 * guest notifies of what it adds to a ring that it sees empty, and of what it takes from a full one. */
unsigned xen_store_serve(struct xen_store *store);

/* The host's own use of the tree; serve afterwards. @path: valid, with a NUL. */
enum xen_store_status xen_store_write(struct xen_store *store, const char *path, const char *value);
enum xen_store_status xen_store_remove(struct xen_store *store, const char *path);
/* Does the guest watch @path, or what is above it? */
bool xen_store_is_watched(const struct xen_store *store, const char *path);
/* @value: of @size bytes, gets a NUL. XEN_STORE_E2BIG: it is longer, or has a NUL itself. */
enum xen_store_status xen_store_read(const struct xen_store *store, const char *path, char *value,
				     uint32_t size);

/* More than the bytes of any store. */
#define XEN_STORE_RECORD_MAX	(1u << 20)

/*
 * All of it but the page, for a guest that is saved; and into a store that is initialised and connected.
 * False: the record is bad; the store then is one, but not the guest's.
 */
void xen_store_save(const struct xen_store *store, struct xen_record *to);
bool xen_store_restore(struct xen_store *store, struct xen_record *from);

#endif /* DEVICES_XEN_STORE_H */
