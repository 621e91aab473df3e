/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * As xen_store_tree.h says. Names and values lie one behind the other without gaps: what is taken out
 * moves all behind it, which is at most XEN_STORE_TEXT bytes and XEN_STORE_NODES places.
 */
#include "xen_store_tree.h"

#include <stddef.h>
#include <string.h>

#define ROOT	0
#define NONE	0xffffu		/* of a search */

void xen_store_tree_init(struct xen_store_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
	tree->node[ROOT].used = true;
	tree->nodes = 1;
}

static bool valid_in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '@' || c == '+' || c == ':' || c == '.';
}

bool xen_store_path_valid(const char *path, uint32_t length)
{
	uint32_t i;

	if (!length || length > XEN_STORE_PATH_MAX || path[0] != '/')
		return false;
	if (length == 1)
		return true;
	for (i = 0; i < length; i++) {
		if (path[i] != '/' ? !valid_in_name(path[i]) : i + 1 == length || path[i + 1] == '/')
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------
 * Text.
 */

/* Take @length bytes at @at out. */
static void text_cut(struct xen_store_tree *tree, uint32_t at, uint32_t length)
{
	uint32_t i;

	if (!length)
		return;
	memmove(tree->text + at, tree->text + at + length, tree->text_used - at - length);
	tree->text_used -= length;
	for (i = 0; i < XEN_STORE_NODES; i++) {
		if (tree->node[i].text > at)
			tree->node[i].text -= length;
	}
}

static bool text_fits(const struct xen_store_tree *tree, uint32_t more, bool host)
{
	return tree->text_used + more <= XEN_STORE_TEXT - (host ? 0 : XEN_STORE_HOST_TEXT);
}

static uint32_t text_add(struct xen_store_tree *tree, const void *from, uint32_t length)
{
	uint32_t at = tree->text_used;

	if (length)
		memcpy(tree->text + at, from, length);
	tree->text_used += length;
	return at;
}

/* ------------------------------------------------------------------------
 * Nodes.
 */

static uint32_t find_child(const struct xen_store_tree *tree, uint32_t parent, const char *name,
			   uint32_t length)
{
	uint32_t i;

	for (i = tree->node[parent].child; i; i = tree->node[i].next) {
		const struct xen_store_node *node = &tree->node[i];

		if (node->name_length == length && !memcmp(tree->text + node->text, name, length))
			return i;
	}
	return NONE;
}

static uint32_t name_length(const char *path, uint32_t length)
{
	uint32_t i = 0;

	while (i < length && path[i] != '/')
		i++;
	return i;
}

static uint32_t find(const struct xen_store_tree *tree, const char *path, uint32_t length)
{
	uint32_t at = 1, node = ROOT;

	while (at < length && node != NONE) {
		uint32_t name = name_length(path + at, length - at);

		node = find_child(tree, node, path + at, name);
		at += name + 1;
	}
	return node;
}

static uint32_t add_child(struct xen_store_tree *tree, uint32_t parent, const char *name,
			  uint32_t length, bool host)
{
	uint32_t i = ROOT + 1;
	uint16_t *link = &tree->node[parent].child;

	if (tree->nodes >= XEN_STORE_NODES - (host ? 0 : XEN_STORE_HOST_NODES) ||
	    !text_fits(tree, length, host))
		return NONE;
	while (tree->node[i].used)
		i++;
	tree->node[i] = (struct xen_store_node){
		.parent = (uint16_t)parent,
		.name_length = (uint16_t)length,
		.used = true,
		.text = text_add(tree, name, length),
	};
	tree->nodes++;
	while (*link)		/* in the order in which they came */
		link = &tree->node[*link].next;
	*link = (uint16_t)i;
	return i;
}

static uint32_t find_or_add(struct xen_store_tree *tree, const char *path, uint32_t length, bool host)
{
	uint32_t at = 1, node = ROOT;

	while (at < length && node != NONE) {
		uint32_t name = name_length(path + at, length - at);
		uint32_t child = find_child(tree, node, path + at, name);

		node = child == NONE ? add_child(tree, node, path + at, name, host) : child;
		at += name + 1;
	}
	return node;
}

/* ------------------------------------------------------------------------
 * What is asked for.
 */

enum xen_store_status xen_store_tree_write(struct xen_store_tree *tree, const char *path, uint32_t length,
					   const void *value, uint32_t value_length, bool host)
{
	uint32_t index, value_at;
	struct xen_store_node *node;

	if (value_length > XEN_STORE_VALUE_MAX)
		return XEN_STORE_E2BIG;
	index = find_or_add(tree, path, length, host);
	if (index == NONE)
		return XEN_STORE_ENOSPC;
	node = &tree->node[index];
	value_at = node->text + node->name_length;
	if (value_length == node->value_length) {
		if (value_length)
			memcpy(tree->text + value_at, value, value_length);
		return XEN_STORE_OK;
	}
	/* Name and new value go to the end. */
	if (!text_fits(tree, node->name_length + value_length, host))
		return XEN_STORE_ENOSPC;
	value_at = node->text;
	node->text = text_add(tree, tree->text + value_at, node->name_length);
	text_add(tree, value, value_length);
	index = node->value_length;
	node->value_length = (uint16_t)value_length;
	text_cut(tree, value_at, node->name_length + index);
	return XEN_STORE_OK;
}

enum xen_store_status xen_store_tree_mkdir(struct xen_store_tree *tree, const char *path,
					   uint32_t length, bool host)
{
	return find_or_add(tree, path, length, host) == NONE ? XEN_STORE_ENOSPC : XEN_STORE_OK;
}

static void free_node(struct xen_store_tree *tree, uint32_t index)
{
	struct xen_store_node *node = &tree->node[index];

	text_cut(tree, node->text, (uint32_t)node->name_length + node->value_length);
	*node = (struct xen_store_node){ 0 };
	tree->nodes--;
}

enum xen_store_status xen_store_tree_remove(struct xen_store_tree *tree, const char *path, uint32_t length)
{
	uint32_t top = find(tree, path, length), at, parent;
	uint16_t *link;

	if (top == NONE)
		return XEN_STORE_ENOENT;
	if (top == ROOT)
		return XEN_STORE_EINVAL;
	link = &tree->node[tree->node[top].parent].child;
	while (*link != top)
		link = &tree->node[*link].next;
	*link = tree->node[top].next;
	/* From the leaves on; without recursion, as the depth is the guest's. */
	at = top;
	for (;;) {
		while (tree->node[at].child)
			at = tree->node[at].child;
		parent = tree->node[at].parent;
		if (at == top) {
			free_node(tree, at);
			return XEN_STORE_OK;
		}
		tree->node[parent].child = tree->node[at].next;
		free_node(tree, at);
		at = parent;
	}
}

enum xen_store_status xen_store_tree_read(const struct xen_store_tree *tree, const char *path,
					  uint32_t length, const char **value,
					  uint32_t *value_length)
{
	uint32_t index = find(tree, path, length);

	if (index == NONE)
		return XEN_STORE_ENOENT;
	*value = tree->text + tree->node[index].text + tree->node[index].name_length;
	*value_length = tree->node[index].value_length;
	return XEN_STORE_OK;
}

enum xen_store_status xen_store_tree_list(const struct xen_store_tree *tree, const char *path,
					  uint32_t length, char *to, uint32_t size, uint32_t *written)
{
	uint32_t index = find(tree, path, length), i;

	if (index == NONE)
		return XEN_STORE_ENOENT;
	*written = 0;
	for (i = tree->node[index].child; i; i = tree->node[i].next) {
		const struct xen_store_node *node = &tree->node[i];

		if (size - *written < node->name_length + 1u)
			return XEN_STORE_E2BIG;
		memcpy(to + *written, tree->text + node->text, node->name_length);
		*written += node->name_length;
		to[(*written)++] = '\0';
	}
	return XEN_STORE_OK;
}
