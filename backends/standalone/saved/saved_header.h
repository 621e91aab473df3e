/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The header of a saved guest's file, for its writer and its reader alone. */
#ifndef SAVED_HEADER_H
#define SAVED_HEADER_H

#include <stdint.h>

struct saved_header {
	char magic[8];
	uint32_t version, length;
};

_Static_assert(sizeof(struct saved_header) == 16, "the header is as saved_file.h has it");

#endif /* SAVED_HEADER_H */
