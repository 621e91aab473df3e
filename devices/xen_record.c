/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_record.h says. */
#include "xen_record.h"

#include <string.h>

/* The next @length bytes; NULL: they are not there. */
static uint8_t *next(struct xen_record *record, uint32_t length)
{
	uint8_t *at = record->bytes + record->at;

	if (record->is_bad || length > record->size - record->at) {
		record->is_bad = true;
		return NULL;
	}
	record->at += length;
	return at;
}

static void put_number(struct xen_record *to, uint64_t value, uint32_t bytes)
{
	uint8_t *at = next(to, bytes);
	uint32_t i;

	for (i = 0; at && i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_number(struct xen_record *from, uint32_t bytes)
{
	const uint8_t *at = next(from, bytes);
	uint64_t value = 0;
	uint32_t i;

	for (i = 0; at && i < bytes; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

void xen_record_put32(struct xen_record *to, uint32_t value)
{
	put_number(to, value, sizeof(value));
}

void xen_record_put64(struct xen_record *to, uint64_t value)
{
	put_number(to, value, sizeof(value));
}

void xen_record_put(struct xen_record *to, const void *bytes, uint32_t length)
{
	uint8_t *at = next(to, length);

	if (at && length)
		memcpy(at, bytes, length);
}

uint32_t xen_record_get32(struct xen_record *from)
{
	return (uint32_t)get_number(from, sizeof(uint32_t));
}

uint32_t xen_record_most(struct xen_record *from, uint32_t most)
{
	uint32_t value = xen_record_get32(from);

	if (value <= most)
		return value;
	from->is_bad = true;
	return 0;
}

uint64_t xen_record_get64(struct xen_record *from)
{
	return get_number(from, sizeof(uint64_t));
}

void xen_record_get(struct xen_record *from, void *to, uint32_t length)
{
	const uint8_t *at = next(from, length);

	if (!length)
		return;
	if (at)
		memcpy(to, at, length);
	else
		memset(to, 0, length);
}

bool xen_record_is_whole(const struct xen_record *from)
{
	return !from->is_bad && from->at == from->size;
}
