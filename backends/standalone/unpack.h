/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Compressed data in memory, whole, by the libraries that everybody uses. */
#ifndef STANDALONE_UNPACK_H
#define STANDALONE_UNPACK_H

#include <stddef.h>
#include <stdint.h>

struct unpack_format {
	const char *name;
	uint8_t magic[6];
	size_t magic_size;
	/* To @to, of @to_size bytes. Returns how many came, or -1: damaged, or more than that. */
	int64_t (*unpack)(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size);
};

/* By its first bytes; NULL: none that is known. */
const struct unpack_format *unpack_find(const uint8_t *from, size_t from_size);

#endif /* STANDALONE_UNPACK_H */
