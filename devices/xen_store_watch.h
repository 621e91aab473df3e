/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The watches of a xenstore's guest, and the events that it has not been told of. A watch at a path hears
 * of changes there and below, and of its removal with what is above. Events that do not fit are not lost:
 * their watch then hears of its own path, which says "something here".
 */
#ifndef DEVICES_XEN_STORE_WATCH_H
#define DEVICES_XEN_STORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define XEN_STORE_WATCHES	128
#define XEN_STORE_TOKEN_MAX	64	/* bytes */
#define XEN_STORE_EVENTS	64	/* that wait */

struct xen_store_path;

struct xen_store_watch {
	bool used;
	bool relative;			/* to the guest's home: so are its events */
	bool missed;			/* events: it is told of its own path */
	uint32_t path_length, token_length;
	char path[256];			/* absolute, or a name with @ */
	char token[XEN_STORE_TOKEN_MAX];
};

struct xen_store_event {
	uint32_t watch;
	uint32_t path_length;
	char path[256];
};

struct xen_store_watches {
	struct xen_store_watch watch[XEN_STORE_WATCHES];
	struct xen_store_event event[XEN_STORE_EVENTS];
	uint32_t first, count;		/* of the events, a ring */
	bool any_missed;
};

/* XEN_STORE_EEXIST: there is one with that path and token. XEN_STORE_E2BIG: a long token.
 * XEN_STORE_ENOSPC. */
enum xen_store_status xen_store_watch_add(struct xen_store_watches *watches,
					  const struct xen_store_path *path, bool relative,
					  const char *token, uint32_t token_length);
/* With its events. XEN_STORE_ENOENT. */
enum xen_store_status xen_store_watch_remove(struct xen_store_watches *watches,
					     const struct xen_store_path *path, const char *token,
					     uint32_t token_length);
void xen_store_watch_remove_all(struct xen_store_watches *watches);

/* @path has changed; @removed: with all below it. */
void xen_store_watch_changed(struct xen_store_watches *watches, const struct xen_store_path *path,
			     bool removed);
/* Does a watch hear of changes of @path? */
bool xen_store_watch_hears(const struct xen_store_watches *watches, const struct xen_store_path *path);
/* Everything may have. */
void xen_store_watch_changed_all(struct xen_store_watches *watches);

/* The next event: its path and then its token, each with a NUL, at most 512 bytes in @to. Returns
 * their length; 0: none. */
uint32_t xen_store_watch_next(struct xen_store_watches *watches, char *to);

#endif /* DEVICES_XEN_STORE_WATCH_H */
