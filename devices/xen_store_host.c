/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A xenstore as its host uses it: xen_store.h. */
#include "xen_store.h"

#include <string.h>

static uint32_t length_of(const char *text)
{
	uint32_t length = 0;

	while (text[length])
		length++;
	return length;
}

enum xen_store_status xen_store_write(struct xen_store *store, const char *path, const char *value)
{
	struct xen_store_path changed_path = { .length = length_of(path) };
	enum xen_store_status status = xen_store_tree_write(&store->tree, path, changed_path.length, value,
							    length_of(value), true);

	memcpy(changed_path.text, path, changed_path.length + 1);
	store->generation++;
	if (status == XEN_STORE_OK)
		xen_store_watch_changed(&store->watches, &changed_path, false);
	return status;
}

bool xen_store_is_watched(const struct xen_store *store, const char *path)
{
	struct xen_store_path watched = { .length = length_of(path) };

	memcpy(watched.text, path, watched.length + 1);
	return xen_store_watch_hears(&store->watches, &watched);
}

enum xen_store_status xen_store_remove(struct xen_store *store, const char *path)
{
	struct xen_store_path changed_path = { .length = length_of(path) };
	enum xen_store_status status = xen_store_tree_remove(&store->tree, path, changed_path.length);

	memcpy(changed_path.text, path, changed_path.length + 1);
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

	status = xen_store_tree_read(&store->tree, path, length_of(path), &text, &length);
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
