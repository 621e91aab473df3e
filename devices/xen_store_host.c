/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A xenstore as its host uses it: xen_store.h. */
#include "xen_store.h"

#include <string.h>

static struct xen_store_path path_of(const char *text)
{
	struct xen_store_path path = { .length = xen_store_length(text) };

	memcpy(path.text, text, path.length + 1);
	return path;
}

enum xen_store_status xen_store_write(struct xen_store *store, const char *path, const char *value)
{
	struct xen_store_path changed_path = path_of(path);
	enum xen_store_status status = xen_store_tree_write(&store->tree, path, changed_path.length, value,
							    xen_store_length(value), true);

	store->generation++;
	if (status == XEN_STORE_OK)
		xen_store_watch_changed(&store->watches, &changed_path, false);
	return status;
}

bool xen_store_is_watched(const struct xen_store *store, const char *path)
{
	struct xen_store_path watched = path_of(path);

	return xen_store_watch_hears(&store->watches, &watched);
}

enum xen_store_status xen_store_remove(struct xen_store *store, const char *path)
{
	struct xen_store_path changed_path = path_of(path);
	enum xen_store_status status = xen_store_tree_remove(&store->tree, path, changed_path.length);

	store->generation++;
	if (status == XEN_STORE_OK)
		xen_store_watch_changed(&store->watches, &changed_path, true);
	return status;
}

enum xen_store_status xen_store_read(const struct xen_store *store, const char *path, char *value,
				     uint32_t size)
{
	enum xen_store_status status;
	uint32_t length, i;
	const char *text;

	status = xen_store_tree_read(&store->tree, path, xen_store_length(path), &text, &length);
	if (status != XEN_STORE_OK)
		return status;
	if (length >= size)
		return XEN_STORE_E2BIG;
	for (i = 0; i < length; i++) {
		if (!text[i])
			return XEN_STORE_E2BIG;
		value[i] = text[i];
	}
	value[length] = '\0';
	return XEN_STORE_OK;
}
