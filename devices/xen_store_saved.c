/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A xenstore as a record, for a guest that is saved, and back. A tree is written from its root on, each node
 * with its depth, its name and its value, and built anew from that by the same functions that a guest's
 * requests use: no index of a record is believed.
 */
#include "xen_store.h"

#include <string.h>

#define HOME_LENGTH	(sizeof(XEN_STORE_HOME) - 1)
#define DEPTH_MAX	(XEN_STORE_PATH_MAX / 2)
#define HEADER		((uint32_t)sizeof(struct xen_store_header))

/* ------------------------------------------------------------------------
 * Trees.
 */

/* The next node in the order of a walk that goes down first; 0: there is none. @depth: of @at, and then of
 * it. */
static uint32_t next_node(const struct xen_store_tree *tree, uint32_t at, uint32_t *depth)
{
	if (tree->node[at].child) {
		(*depth)++;
		return tree->node[at].child;
	}
	while (at && !tree->node[at].next) {
		at = tree->node[at].parent;
		(*depth)--;
	}
	return at ? tree->node[at].next : 0;
}

static void save_tree(const struct xen_store_tree *tree, struct xen_record *to)
{
	uint32_t at = 0, depth = 0;

	xen_record_put32(to, tree->nodes - 1);
	while ((at = next_node(tree, at, &depth))) {
		const struct xen_store_node *node = &tree->node[at];

		xen_record_put32(to, depth);
		xen_record_put32(to, node->name_length);
		xen_record_put32(to, node->value_length);
		xen_record_put(to, tree->text + node->text, (uint32_t)node->name_length + node->value_length);
	}
}

/* Where a tree's reader is: a path, and where the path of each depth on the way ends in it. The path is last:
 * a sanitizer sees what is written after it. */
struct place {
	uint32_t end[DEPTH_MAX + 1];
	uint32_t depth;
	char path[XEN_STORE_PATH_MAX + 1];
};

/* A name below the place's node of the depth above @depth. */
static bool go_to(struct place *place, uint32_t depth, const char *name, uint32_t length)
{
	uint32_t above, i;

	if (!depth || depth > place->depth + 1 || !length)
		return false;
	above = place->end[depth - 1];
	if (above + 1 >= XEN_STORE_PATH_MAX || length > XEN_STORE_PATH_MAX - 1 - above)
		return false;
	for (i = 0; i < length; i++) {
		if (name[i] == '/')
			return false;
	}
	place->path[above] = '/';
	memcpy(place->path + above + 1, name, length);
	place->end[depth] = above + 1 + length;
	place->depth = depth;
	return xen_store_path_valid(place->path, place->end[depth]);
}

static bool restore_node(struct xen_store_tree *tree, struct place *place, struct xen_record *from)
{
	char name[XEN_STORE_PATH_MAX], value[XEN_STORE_VALUE_MAX];
	uint32_t depth = xen_record_most(from, DEPTH_MAX), length, value_length;
	const char *there;

	length = xen_record_most(from, sizeof(name));
	value_length = xen_record_most(from, sizeof(value));
	xen_record_get(from, name, length);
	xen_record_get(from, value, value_length);
	if (from->is_bad || !go_to(place, depth, name, length))
		return false;
	length = place->end[depth];
	if (xen_store_tree_read(tree, place->path, length, &there, &depth) != XEN_STORE_ENOENT)
		return false;
	return xen_store_tree_write(tree, place->path, length, value, value_length, true) == XEN_STORE_OK;
}

static void restore_tree(struct xen_store_tree *tree, struct xen_record *from)
{
	uint32_t nodes = xen_record_most(from, XEN_STORE_NODES - 1), i;
	struct place place = { .depth = 0 };

	xen_store_tree_init(tree);
	for (i = 0; i < nodes && !from->is_bad; i++) {
		if (!restore_node(tree, &place, from))
			from->is_bad = true;
	}
}

/* ------------------------------------------------------------------------
 * Paths and watches.
 */

static void save_path(const char *text, uint32_t length, struct xen_record *to)
{
	xen_record_put32(to, length);
	xen_record_put(to, text, length);
}

/* A path, or where @names may be, a name with @. */
static void restore_path(char *text, uint32_t *length, bool names, struct xen_record *from)
{
	*length = xen_record_most(from, XEN_STORE_PATH_MAX);
	xen_record_get(from, text, *length);
	if (!xen_store_path_valid(text, *length) && !(names && *length && text[0] == '@'))
		from->is_bad = true;
}

static void save_watches(const struct xen_store_watches *watches, struct xen_record *to)
{
	uint32_t i;

	for (i = 0; i < XEN_STORE_WATCHES; i++) {
		const struct xen_store_watch *watch = &watches->watch[i];

		xen_record_put32(to, watch->used | (uint32_t)watch->relative << 1 |
					     (uint32_t)watch->missed << 2);
		if (!watch->used)
			continue;
		save_path(watch->path, watch->path_length, to);
		save_path(watch->token, watch->token_length, to);
	}
	xen_record_put32(to, watches->count);
	for (i = 0; i < watches->count; i++) {
		const struct xen_store_event *event =
			&watches->event[(watches->first + i) % XEN_STORE_EVENTS];

		xen_record_put32(to, event->watch);
		save_path(event->path, event->path_length, to);
	}
}

static void restore_watch(struct xen_store_watch *watch, struct xen_record *from)
{
	uint32_t bits = xen_record_most(from, 7);

	if (!(bits & 1))
		return;
	watch->used = true;
	watch->relative = bits >> 1 & 1;
	watch->missed = bits >> 2 & 1;
	restore_path(watch->path, &watch->path_length, true, from);
	watch->token_length = xen_record_most(from, XEN_STORE_TOKEN_MAX);
	xen_record_get(from, watch->token, watch->token_length);
	if (watch->relative && (watch->path_length <= HOME_LENGTH ||
				memcmp(watch->path, XEN_STORE_HOME "/", HOME_LENGTH + 1)))
		from->is_bad = true;
}

static void restore_watches(struct xen_store_watches *watches, struct xen_record *from)
{
	uint32_t i;

	memset(watches, 0, sizeof(*watches));
	for (i = 0; i < XEN_STORE_WATCHES; i++)
		restore_watch(&watches->watch[i], from);
	watches->count = xen_record_most(from, XEN_STORE_EVENTS);
	for (i = 0; i < watches->count; i++) {
		struct xen_store_event *event = &watches->event[i];

		/* One past the last: of a watch that is gone. */
		event->watch = xen_record_most(from, XEN_STORE_WATCHES);
		restore_path(event->path, &event->path_length, false, from);
		if (event->watch < XEN_STORE_WATCHES && !watches->watch[event->watch].used)
			from->is_bad = true;
	}
	watches->any_missed = true;	/* it is looked for once */
}

/* ------------------------------------------------------------------------
 * Transactions.
 */

/* A journal of which not all is there is not used. */
static uint32_t journal_length(const struct xen_store_transaction *transaction)
{
	return transaction->changes > XEN_STORE_JOURNAL ? 0 : transaction->changes;
}

static void save_transaction(const struct xen_store_transaction *transaction, struct xen_record *to)
{
	uint32_t i;

	xen_record_put32(to, transaction->id);
	if (!transaction->id)
		return;
	xen_record_put64(to, transaction->base);
	xen_record_put32(to, transaction->changes);
	for (i = 0; i < journal_length(transaction); i++)
		save_path(transaction->journal[i].text, transaction->journal[i].length, to);
	save_tree(&transaction->tree, to);
}

static void restore_transaction(struct xen_store *store, struct xen_store_transaction *transaction,
				struct xen_record *from)
{
	uint32_t id = xen_record_get32(from), i;

	for (i = 0; i < XEN_STORE_TRANSACTIONS; i++) {
		if (id && store->transaction[i].id == id)
			from->is_bad = true;
	}
	if (!id)
		return;
	transaction->id = id;
	transaction->base = xen_record_get64(from);
	transaction->changes = xen_record_most(from, XEN_STORE_JOURNAL + 1);
	for (i = 0; i < journal_length(transaction); i++)
		restore_path(transaction->journal[i].text, &transaction->journal[i].length, false, from);
	restore_tree(&transaction->tree, from);
}

/* ------------------------------------------------------------------------
 * The store.
 */

void xen_store_save(const struct xen_store *store, struct xen_record *to)
{
	uint32_t i;

	xen_record_put32(to, store->taken);
	xen_record_put32(to, store->given);
	xen_record_put32(to, store->broken);
	xen_record_put64(to, store->generation);
	xen_record_put32(to, store->last_id);
	save_tree(&store->tree, to);
	save_watches(&store->watches, to);
	for (i = 0; i < XEN_STORE_TRANSACTIONS; i++)
		save_transaction(&store->transaction[i], to);
	/* Of a ring that is not served any more it has no end. */
	save_path((const char *)&store->in, store->broken ? 0 : store->in_count, to);
	save_path((const char *)&store->out + store->out_sent, store->out_count - store->out_sent, to);
}

/* What has come of a request: less than all of it, which would have been served. */
static void restore_request(struct xen_store *store, struct xen_record *from)
{
	store->in_count = xen_record_most(from, sizeof(store->in));
	xen_record_get(from, &store->in, store->in_count);
	if (store->in_count >= HEADER && (store->in.header.length > XEN_STORE_PAYLOAD ||
					  store->in_count >= HEADER + store->in.header.length))
		from->is_bad = true;
}

bool xen_store_restore(struct xen_store *store, struct xen_record *from)
{
	uint32_t i;

	store->taken = xen_record_get32(from);
	store->given = xen_record_get32(from);
	store->broken = xen_record_most(from, 1);
	store->generation = xen_record_get64(from);
	store->last_id = xen_record_get32(from);
	restore_tree(&store->tree, from);
	restore_watches(&store->watches, from);
	for (i = 0; i < XEN_STORE_TRANSACTIONS; i++)
		store->transaction[i].id = 0;
	for (i = 0; i < XEN_STORE_TRANSACTIONS; i++)
		restore_transaction(store, &store->transaction[i], from);
	restore_request(store, from);
	store->out_sent = 0;
	store->out_count = xen_record_most(from, sizeof(store->out));
	xen_record_get(from, &store->out, store->out_count);
	return !from->is_bad;
}
