/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A tree of named values, as a xenstore has it: a plain stretch of memory without pointers, so that a
 * copy is a snapshot. A path is absolute: "/local/domain/1/device". Bounded: XEN_STORE_NODES and
 * XEN_STORE_TEXT, of which a part is kept for the host (XEN_STORE_HOST_*), so that a guest that fills the
 * tree does not take its devices along.
 *
 * Freestanding: needs memcpy(), memmove() and memcmp(). The caller locks.
 */
#ifndef DEVICES_XEN_STORE_TREE_H
#define DEVICES_XEN_STORE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#define XEN_STORE_NODES		1024
#define XEN_STORE_TEXT		(64u << 10)	/* bytes of names and values */
#define XEN_STORE_HOST_NODES	64		/* of these, that only the host may use */
#define XEN_STORE_HOST_TEXT	(8u << 10)
#define XEN_STORE_PATH_MAX	255		/* bytes */
#define XEN_STORE_VALUE_MAX	4096		/* bytes */

/* The answers. All but _OK are errors of the request, named as a xenstore names them. */
enum xen_store_status {
	XEN_STORE_OK,
	XEN_STORE_EINVAL,
	XEN_STORE_EACCES,
	XEN_STORE_EEXIST,
	XEN_STORE_ENOENT,
	XEN_STORE_ENOMEM,
	XEN_STORE_ENOSPC,
	XEN_STORE_ENOSYS,
	XEN_STORE_EAGAIN,
	XEN_STORE_E2BIG,
};

struct xen_store_node {
	uint16_t parent, next, child;	/* indices; 0, the root's, stands for none */
	uint16_t name_length, value_length;
	bool used;
	uint32_t text;			/* where its name, and then its value, are */
};

struct xen_store_tree {
	struct xen_store_node node[XEN_STORE_NODES];	/* the root is node 0 */
	uint32_t nodes;					/* used */
	uint32_t text_used;
	char text[XEN_STORE_TEXT];
};

static inline uint32_t xen_store_length(const char *text)
{
	uint32_t length = 0;

	while (text[length])
		length++;
	return length;
}

void xen_store_tree_init(struct xen_store_tree *tree);

/* Is it one: absolute, of at most XEN_STORE_PATH_MAX bytes, without empty names or others than
 * letters, digits, and "-/_@+:."? The root is one. */
bool xen_store_path_valid(const char *path, uint32_t length);

/*
 * All of these take a valid path. XEN_STORE_ENOENT where it is not there; XEN_STORE_ENOSPC where the tree
 * is full (the tree is then as it was, but for parents); @host: the host's part may be used.
 */
enum xen_store_status xen_store_tree_write(struct xen_store_tree *tree, const char *path, uint32_t length,
					   const void *value, uint32_t value_length, bool host);
/* An existing node keeps its value. */
enum xen_store_status xen_store_tree_mkdir(struct xen_store_tree *tree, const char *path,
					   uint32_t length, bool host);
/* With all below it. The root, XEN_STORE_EINVAL. */
enum xen_store_status xen_store_tree_remove(struct xen_store_tree *tree, const char *path, uint32_t length);
/* @value lives until the tree's next change. */
enum xen_store_status xen_store_tree_read(const struct xen_store_tree *tree, const char *path,
					  uint32_t length, const char **value,
					  uint32_t *value_length);
/* The names below, each with a NUL behind it. XEN_STORE_E2BIG: @size bytes do not hold them. */
enum xen_store_status xen_store_tree_list(const struct xen_store_tree *tree, const char *path,
					  uint32_t length, char *to, uint32_t size,
					  uint32_t *written);

#endif /* DEVICES_XEN_STORE_TREE_H */
