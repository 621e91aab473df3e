/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_store_watch.h says. */
#include "xen_store.h"

#include <string.h>

#define HOME_LENGTH	(sizeof(XEN_STORE_HOME) - 1)

static struct xen_store_watch *find(struct xen_store_watches *watches, const struct xen_store_path *path,
				    const char *token, uint32_t token_length)
{
	uint32_t i;

	for (i = 0; i < XEN_STORE_WATCHES; i++) {
		struct xen_store_watch *watch = &watches->watch[i];

		if (watch->used && watch->path_length == path->length &&
		    watch->token_length == token_length &&
		    !memcmp(watch->path, path->text, path->length) &&
		    !memcmp(watch->token, token, token_length))
			return watch;
	}
	return NULL;
}

/* For an event that there is no room for. */
static void miss(struct xen_store_watches *watches, struct xen_store_watch *watch)
{
	watch->missed = true;
	watches->any_missed = true;
}

enum xen_store_status xen_store_watch_add(struct xen_store_watches *watches,
					  const struct xen_store_path *path, bool relative,
					  const char *token, uint32_t token_length)
{
	struct xen_store_watch *watch = watches->watch;

	if (token_length > XEN_STORE_TOKEN_MAX)
		return XEN_STORE_E2BIG;
	if (find(watches, path, token, token_length))
		return XEN_STORE_EEXIST;
	while (watch < watches->watch + XEN_STORE_WATCHES && watch->used)
		watch++;
	if (watch == watches->watch + XEN_STORE_WATCHES)
		return XEN_STORE_ENOSPC;
	*watch = (struct xen_store_watch){
		.used = true,
		.relative = relative,
		.path_length = path->length,
		.token_length = token_length,
	};
	memcpy(watch->path, path->text, path->length);
	memcpy(watch->token, token, token_length);
	miss(watches, watch);		/* each is told of its own path at once */
	return XEN_STORE_OK;
}

/* Its events stay in the ring, without a watch. */
static void remove_watch(struct xen_store_watches *watches, struct xen_store_watch *watch)
{
	uint32_t index = (uint32_t)(watch - watches->watch), i;

	watch->used = watch->missed = false;
	for (i = 0; i < watches->count; i++) {
		struct xen_store_event *event = &watches->event[(watches->first + i) % XEN_STORE_EVENTS];

		if (event->watch == index)
			event->watch = XEN_STORE_WATCHES;
	}
}

enum xen_store_status xen_store_watch_remove(struct xen_store_watches *watches,
					     const struct xen_store_path *path, const char *token,
					     uint32_t token_length)
{
	struct xen_store_watch *watch = find(watches, path, token, token_length);

	if (!watch)
		return XEN_STORE_ENOENT;
	remove_watch(watches, watch);
	return XEN_STORE_OK;
}

void xen_store_watch_remove_all(struct xen_store_watches *watches)
{
	uint32_t i;

	for (i = 0; i < XEN_STORE_WATCHES; i++) {
		if (watches->watch[i].used)
			remove_watch(watches, &watches->watch[i]);
	}
}

/* Is @path the same as @above, or below it? */
static bool is_below(const char *path, uint32_t length, const char *above, uint32_t above_length)
{
	return length >= above_length && !memcmp(path, above, above_length) &&
	       (length == above_length || path[above_length] == '/' || above_length == 1);
}

void xen_store_watch_changed(struct xen_store_watches *watches, const struct xen_store_path *path,
			     bool removed)
{
	uint32_t i;

	for (i = 0; i < XEN_STORE_WATCHES; i++) {
		struct xen_store_watch *watch = &watches->watch[i];
		struct xen_store_event *event;

		if (!watch->used)
			continue;
		if (!is_below(path->text, path->length, watch->path, watch->path_length)) {
			if (removed && is_below(watch->path, watch->path_length, path->text, path->length))
				miss(watches, watch);
			continue;
		}
		if (watch->missed || watches->count == XEN_STORE_EVENTS) {
			miss(watches, watch);
			continue;
		}
		event = &watches->event[(watches->first + watches->count++) % XEN_STORE_EVENTS];
		event->watch = i;
		event->path_length = path->length;
		memcpy(event->path, path->text, path->length);
	}
}

bool xen_store_watch_hears(const struct xen_store_watches *watches, const struct xen_store_path *path)
{
	uint32_t i;

	for (i = 0; i < XEN_STORE_WATCHES; i++) {
		const struct xen_store_watch *watch = &watches->watch[i];

		if (watch->used && is_below(path->text, path->length, watch->path, watch->path_length))
			return true;
	}
	return false;
}

void xen_store_watch_changed_all(struct xen_store_watches *watches)
{
	uint32_t i;

	for (i = 0; i < XEN_STORE_WATCHES; i++) {
		if (watches->watch[i].used)
			miss(watches, &watches->watch[i]);
	}
}

static uint32_t put(const struct xen_store_watch *watch, const char *path, uint32_t length, char *to)
{
	uint32_t skip = 0;

	/* What is above the home is told as it is. */
	if (watch->relative && length > HOME_LENGTH)
		skip = HOME_LENGTH + 1;
	length -= skip;
	memcpy(to, path + skip, length);
	to[length++] = '\0';
	memcpy(to + length, watch->token, watch->token_length);
	length += watch->token_length;
	to[length++] = '\0';
	return length;
}

uint32_t xen_store_watch_next(struct xen_store_watches *watches, char *to)
{
	uint32_t i;

	while (watches->count) {
		const struct xen_store_event *event = &watches->event[watches->first];

		watches->first = (watches->first + 1) % XEN_STORE_EVENTS;
		watches->count--;
		if (event->watch < XEN_STORE_WATCHES)
			return put(&watches->watch[event->watch], event->path, event->path_length, to);
	}
	for (i = 0; watches->any_missed && i < XEN_STORE_WATCHES; i++) {
		struct xen_store_watch *watch = &watches->watch[i];

		if (watch->missed) {
			watch->missed = false;
			return put(watch, watch->path, watch->path_length, to);
		}
	}
	watches->any_missed = false;
	return 0;
}
