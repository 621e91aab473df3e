/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * As xen_store.h says. A transaction works on a copy of the tree, which becomes the tree at its end if
 * that has not changed meanwhile; the guest tries again, else.
 */
#include "xen_store.h"

#include <string.h>

#define HOME_LENGTH	(sizeof(XEN_STORE_HOME) - 1)
#define HOST_HOME	"/local/domain/0"

static const char *const status_name[] = {
	[XEN_STORE_EINVAL] = "EINVAL", [XEN_STORE_EACCES] = "EACCES", [XEN_STORE_EEXIST] = "EEXIST",
	[XEN_STORE_ENOENT] = "ENOENT", [XEN_STORE_ENOMEM] = "ENOMEM", [XEN_STORE_ENOSPC] = "ENOSPC",
	[XEN_STORE_ENOSYS] = "ENOSYS", [XEN_STORE_EAGAIN] = "EAGAIN", [XEN_STORE_E2BIG] = "E2BIG",
};

/* ------------------------------------------------------------------------
 * The ring: bytes in, bytes out.
 */

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void give_up(struct xen_store *store, uint32_t why)
{
	store->broken = true;
	__atomic_store_n(&store->page->error, why, __ATOMIC_RELEASE);
}

/* Bytes of the ring into @to, @size at most. */
static uint32_t pull(struct xen_store *store, char *to, uint32_t size)
{
	uint32_t there = __atomic_load_n(&store->page->req_prod, __ATOMIC_ACQUIRE) - store->taken, i;

	if (there > XEN_STORE_RING) {
		give_up(store, XEN_STORE_RING_INDEX);
		return 0;
	}
	size = lesser(size, there);
	for (i = 0; i < size; i++)
		to[i] = __atomic_load_n(&store->page->req[store->taken++ % XEN_STORE_RING], __ATOMIC_RELAXED);
	__atomic_store_n(&store->page->req_cons, store->taken, __ATOMIC_RELEASE);
	/* Linux notifies only where it sees all taken: what it has added meanwhile is looked for after
	 * this. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return size;
}

static uint32_t push(struct xen_store *store, const char *from, uint32_t size)
{
	uint32_t used = store->given - __atomic_load_n(&store->page->rsp_cons, __ATOMIC_ACQUIRE), i;

	if (used > XEN_STORE_RING) {
		give_up(store, XEN_STORE_RING_INDEX);
		return 0;
	}
	size = lesser(size, XEN_STORE_RING - used);
	for (i = 0; i < size; i++)
		store->page->rsp[store->given++ % XEN_STORE_RING] = from[i];
	__atomic_store_n(&store->page->rsp_prod, store->given, __ATOMIC_RELEASE);
	/* And only where it sees a full ring: the room that it has made meanwhile, too. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return size;
}

/* ------------------------------------------------------------------------
 * Answers.
 */

static void send(struct xen_store *store, uint32_t type, uint32_t length)
{
	store->out.header = (struct xen_store_header){
		.type = type,
		.request = type == XEN_STORE_WATCH_EVENT ? 0 : store->in.header.request,
		.transaction = type == XEN_STORE_WATCH_EVENT ? 0 : store->in.header.transaction,
		.length = length,
	};
	store->out_count = (uint32_t)sizeof(store->out.header) + length;
	store->out_sent = 0;
}

/* With its NUL. */
static void send_text(struct xen_store *store, uint32_t type, const char *text)
{
	uint32_t length = xen_store_length(text) + 1;

	memcpy(store->out.payload, text, length);
	send(store, type, length);
}

static void finish(struct xen_store *store, enum xen_store_status status)
{
	if (status == XEN_STORE_OK)
		send_text(store, store->in.header.type, "OK");
	else
		send_text(store, XEN_STORE_ERROR, status_name[status]);
}

/* ------------------------------------------------------------------------
 * What a request names.
 */

/* The part of the payload from @at on to its next NUL, or its end. */
static uint32_t part_length(const struct xen_store *store, uint32_t at)
{
	uint32_t length = 0;

	while (at + length < store->in.header.length && store->in.payload[at + length])
		length++;
	return length;
}

/* The absolute path of the @length bytes at @text. */
static enum xen_store_status make_path(const char *text, uint32_t length,
				       struct xen_store_path *path, bool *relative)
{
	*relative = length && text[0] != '/' && text[0] != '@';
	path->length = 0;
	if (length > XEN_STORE_PATH_MAX || length + HOME_LENGTH + 1 > XEN_STORE_PATH_MAX)
		return XEN_STORE_EINVAL;
	if (*relative) {
		memcpy(path->text, XEN_STORE_HOME "/", HOME_LENGTH + 1);
		path->length = HOME_LENGTH + 1;
	}
	memcpy(path->text + path->length, text, length);
	path->length += length;
	path->text[path->length] = '\0';
	return xen_store_path_valid(path->text, path->length) ? XEN_STORE_OK : XEN_STORE_EINVAL;
}

static bool is_in_home(const struct xen_store_path *path)
{
	return path->length > HOME_LENGTH && !memcmp(path->text, XEN_STORE_HOME "/", HOME_LENGTH + 1);
}

static struct xen_store_transaction *find_transaction(struct xen_store *store, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < XEN_STORE_TRANSACTIONS; i++) {
		if (store->transaction[i].id == id)
			return &store->transaction[i];
	}
	return NULL;
}

/* ------------------------------------------------------------------------
 * Changes.
 */

static void changed(struct xen_store *store, struct xen_store_transaction *transaction,
		    const struct xen_store_path *path, bool removed)
{
	if (!transaction) {
		store->generation++;
		xen_store_watch_changed(&store->watches, path, removed);
		store->changed(store->host, path);
		return;
	}
	/* A removal is of more than its path. */
	if (removed)
		transaction->changes = XEN_STORE_JOURNAL;
	if (transaction->changes++ < XEN_STORE_JOURNAL)
		transaction->journal[transaction->changes - 1] = *path;
	else
		transaction->changes = XEN_STORE_JOURNAL + 1;
}

static enum xen_store_status start_transaction(struct xen_store *store)
{
	struct xen_store_transaction *transaction = find_transaction(store, 0);

	if (!transaction)
		return XEN_STORE_ENOSPC;
	do {
		store->last_id++;
	} while (!store->last_id || find_transaction(store, store->last_id));
	transaction->id = store->last_id;
	transaction->base = store->generation;
	transaction->changes = 0;
	memcpy(&transaction->tree, &store->tree, sizeof(store->tree));
	return XEN_STORE_OK;
}

static enum xen_store_status commit(struct xen_store *store, struct xen_store_transaction *transaction)
{
	static const struct xen_store_path home = { HOME_LENGTH, XEN_STORE_HOME };
	uint32_t i;

	if (!transaction->changes)
		return XEN_STORE_OK;
	if (transaction->base != store->generation)
		return XEN_STORE_EAGAIN;
	memcpy(&store->tree, &transaction->tree, sizeof(store->tree));
	store->generation++;
	if (transaction->changes > XEN_STORE_JOURNAL) {
		xen_store_watch_changed_all(&store->watches);
		store->changed(store->host, &home);
		return XEN_STORE_OK;
	}
	for (i = 0; i < transaction->changes; i++) {
		xen_store_watch_changed(&store->watches, &transaction->journal[i], false);
		store->changed(store->host, &transaction->journal[i]);
	}
	return XEN_STORE_OK;
}

static enum xen_store_status end_transaction(struct xen_store *store)
{
	struct xen_store_transaction *transaction = find_transaction(store, store->in.header.transaction);
	char what = store->in.header.length ? store->in.payload[0] : '\0';
	enum xen_store_status status = XEN_STORE_OK;

	if (!store->in.header.transaction || !transaction)
		return XEN_STORE_ENOENT;
	if (what != 'T' && what != 'F')
		return XEN_STORE_EINVAL;
	if (what == 'T')
		status = commit(store, transaction);
	transaction->id = 0;
	return status;
}

/* ------------------------------------------------------------------------
 * Requests.
 */

static void get(struct xen_store *store, const struct xen_store_tree *tree, const struct xen_store_path *path)
{
	uint32_t type = store->in.header.type, length = 0;
	enum xen_store_status status;
	const char *value;

	if (type == XEN_STORE_DIRECTORY) {
		status = xen_store_tree_list(tree, path->text, path->length, store->out.payload,
					     XEN_STORE_PAYLOAD, &length);
	} else {
		status = xen_store_tree_read(tree, path->text, path->length, &value, &length);
		if (status == XEN_STORE_OK && type == XEN_STORE_GET_PERMS) {
			/* Its own, or the host's, which it may read. */
			value = is_in_home(path) ? "n1" : "n0\0r1";
			length = is_in_home(path) ? 3 : 6;
		}
		if (status == XEN_STORE_OK)
			memcpy(store->out.payload, value, length);
	}
	if (status == XEN_STORE_OK)
		send(store, type, length);
	else
		finish(store, status);
}

/* What is not there can be removed where its parent is. */
static enum xen_store_status remove_node(struct xen_store_tree *tree,
					 const struct xen_store_path *path, bool *was_there)
{
	enum xen_store_status status = xen_store_tree_remove(tree, path->text, path->length);
	uint32_t parent = path->length, length;
	const char *value;

	*was_there = status == XEN_STORE_OK;
	if (status != XEN_STORE_ENOENT)
		return status;
	while (parent > 1 && path->text[parent - 1] != '/')
		parent--;
	return xen_store_tree_read(tree, path->text, parent > 1 ? parent - 1 : 1, &value, &length);
}

/* @at: where in the payload the value is. */
static enum xen_store_status set(struct xen_store *store, struct xen_store_transaction *transaction,
				 const struct xen_store_path *path, uint32_t at)
{
	struct xen_store_tree *tree = transaction ? &transaction->tree : &store->tree;
	enum xen_store_status status;
	uint32_t length = 0;
	const char *value;
	bool was_there = true;

	if (!is_in_home(path))
		return XEN_STORE_EACCES;
	switch (store->in.header.type) {
	case XEN_STORE_WRITE:
		if (at > store->in.header.length)	/* no NUL behind the path */
			return XEN_STORE_EINVAL;
		status = xen_store_tree_write(tree, path->text, path->length, store->in.payload + at,
					      store->in.header.length - at, false);
		break;
	case XEN_STORE_MKDIR:
		status = xen_store_tree_mkdir(tree, path->text, path->length, false);
		break;
	case XEN_STORE_SET_PERMS:	/* they are what they are */
		return xen_store_tree_read(tree, path->text, path->length, &value, &length);
	default:
		status = remove_node(tree, path, &was_there);
	}
	if (status == XEN_STORE_OK && was_there)
		changed(store, transaction, path, store->in.header.type == XEN_STORE_RM);
	return status;
}

static enum xen_store_status watch(struct xen_store *store, struct xen_store_path *path,
				   bool relative, uint32_t at)
{
	const char *token = store->in.payload + at;
	uint32_t length = at < store->in.header.length ? part_length(store, at) : 0;

	if (at > store->in.header.length)
		return XEN_STORE_EINVAL;
	if (store->in.header.type == XEN_STORE_WATCH)
		return xen_store_watch_add(&store->watches, path, relative, token, length);
	return xen_store_watch_remove(&store->watches, path, token, length);
}

/* Requests whose payload begins with a path. */
static void serve_path(struct xen_store *store, struct xen_store_transaction *transaction)
{
	uint32_t length = part_length(store, 0);
	struct xen_store_path path;
	bool relative, special = length && store->in.payload[0] == '@';
	enum xen_store_status status = make_path(store->in.payload, length, &path, &relative);

	switch (store->in.header.type) {
	case XEN_STORE_WATCH:
	case XEN_STORE_UNWATCH:
		/* "@releaseDomain" and its like: nothing here ever happens to others. */
		if (special && path.length)
			status = XEN_STORE_OK;
		finish(store, status == XEN_STORE_OK ? watch(store, &path, relative, length + 1) : status);
		return;
	case XEN_STORE_DIRECTORY:
	case XEN_STORE_READ:
	case XEN_STORE_GET_PERMS:
		if (status == XEN_STORE_OK)
			get(store, transaction ? &transaction->tree : &store->tree, &path);
		else
			finish(store, status);
		return;
	default:
		finish(store, status == XEN_STORE_OK ? set(store, transaction, &path, length + 1) : status);
	}
}

static void send_number(struct xen_store *store, uint32_t number)
{
	char text[12], *at = text + sizeof(text);

	*--at = '\0';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	send_text(store, store->in.header.type, at);
}

/* A domain by its number: the guest or the host. NULL: another. */
static const char *home_of(const struct xen_store *store)
{
	if (part_length(store, 0) != 1)
		return NULL;
	switch (store->in.payload[0]) {
	case '0':
		return HOST_HOME;
	case '1':
		return XEN_STORE_HOME;
	default:
		return NULL;
	}
}

static void serve_request(struct xen_store *store)
{
	const struct xen_store_header *header = &store->in.header;
	struct xen_store_transaction *transaction = NULL;
	enum xen_store_status status;

	if (header->transaction) {
		transaction = find_transaction(store, header->transaction);
		if (!transaction) {
			finish(store, XEN_STORE_ENOENT);
			return;
		}
	}
	switch (header->type) {
	case XEN_STORE_DIRECTORY:
	case XEN_STORE_READ:
	case XEN_STORE_GET_PERMS:
	case XEN_STORE_WATCH:
	case XEN_STORE_UNWATCH:
	case XEN_STORE_WRITE:
	case XEN_STORE_MKDIR:
	case XEN_STORE_RM:
	case XEN_STORE_SET_PERMS:
		serve_path(store, transaction);
		return;
	case XEN_STORE_TRANSACTION_START:
		status = transaction ? XEN_STORE_EINVAL : start_transaction(store);
		if (status == XEN_STORE_OK)
			send_number(store, store->last_id);
		else
			finish(store, status);
		return;
	case XEN_STORE_TRANSACTION_END:
		finish(store, end_transaction(store));
		return;
	case XEN_STORE_GET_DOMAIN_PATH:
		if (home_of(store))
			send_text(store, header->type, home_of(store));
		else
			finish(store, XEN_STORE_EINVAL);
		return;
	case XEN_STORE_IS_DOMAIN_INTRODUCED:
		send_text(store, header->type, home_of(store) ? "T" : "F");
		return;
	case XEN_STORE_RESET_WATCHES:
		xen_store_watch_remove_all(&store->watches);
		finish(store, XEN_STORE_OK);
		return;
	case XEN_STORE_CONTROL:
	case XEN_STORE_INTRODUCE:
	case XEN_STORE_RELEASE:
	case XEN_STORE_RESUME:
	case XEN_STORE_SET_TARGET:
		finish(store, XEN_STORE_EACCES);
		return;
	default:
		finish(store, XEN_STORE_ENOSYS);
	}
}

/* ------------------------------------------------------------------------
 * Outside.
 */

void xen_store_init(struct xen_store *store,
		    void (*told)(void *host, const struct xen_store_path *path), void *host)
{
	memset(store, 0, sizeof(*store));
	xen_store_tree_init(&store->tree);
	store->changed = told;
	store->host = host;
	xen_store_tree_mkdir(&store->tree, XEN_STORE_HOME, HOME_LENGTH, true);
}

void xen_store_connect(struct xen_store *store, void *page)
{
	store->page = page;
	store->taken = __atomic_load_n(&store->page->req_cons, __ATOMIC_RELAXED);
	store->given = __atomic_load_n(&store->page->rsp_prod, __ATOMIC_RELAXED);
}

/* Bytes of the request, up to its end. True: some came. */
static bool receive(struct xen_store *store)
{
	uint32_t header = sizeof(store->in.header), before = store->in_count;

	if (store->in_count < header)
		store->in_count += pull(store, (char *)&store->in.header + store->in_count,
					header - store->in_count);
	if (store->in_count < header)
		return store->in_count != before;
	if (store->in.header.length > XEN_STORE_PAYLOAD) {
		give_up(store, XEN_STORE_RING_PROTOCOL);
		return true;
	}
	store->in_count += pull(store, store->in.payload + store->in_count - header,
				header + store->in.header.length - store->in_count);
	return store->in_count != before;
}

unsigned xen_store_serve(struct xen_store *store)
{
	unsigned result = 0;
	uint32_t sent;

	if (store->broken || !store->page)
		return 0;
	if (store->out_sent == store->out_count) {
		uint32_t event = xen_store_watch_next(&store->watches, store->out.payload);

		if (event)
			send(store, XEN_STORE_WATCH_EVENT, event);
	}
	if (store->out_sent == store->out_count) {
		if (receive(store))
			result |= XEN_STORE_NOTIFY | XEN_STORE_MORE;
		if (!store->broken && store->in_count >= sizeof(store->in.header) &&
		    store->in_count == sizeof(store->in.header) + store->in.header.length) {
			serve_request(store);
			store->in_count = 0;
		}
	}
	if (store->broken)
		return XEN_STORE_NOTIFY;
	if (store->out_sent < store->out_count) {
		sent = push(store, (const char *)&store->out + store->out_sent,
			    store->out_count - store->out_sent);
		store->out_sent += sent;
		if (sent)
			result |= XEN_STORE_NOTIFY | XEN_STORE_MORE;
	}
	return result;
}
