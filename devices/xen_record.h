/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a Xen PV device keeps of its own, as bytes, for a guest that is saved: fields one after the other,
 * numbers with the lowest byte first. What is read is not trusted: no field is read past the end, and after
 * one that is not there or not possible the record is bad, which the reader asks once, at its end.
 *
 * Freestanding: needs memcpy() and memset().
 */
#ifndef DEVICES_XEN_RECORD_H
#define DEVICES_XEN_RECORD_H

#include <stdbool.h>
#include <stdint.h>

struct xen_record {
	uint8_t *bytes;
	uint32_t size;		/* of them */
	uint32_t at;		/* the next field */
	bool is_bad;		/* written: it did not fit; read: it makes no sense */
};

void xen_record_put32(struct xen_record *to, uint32_t value);
void xen_record_put64(struct xen_record *to, uint64_t value);
void xen_record_put(struct xen_record *to, const void *bytes, uint32_t length);

/* 0 in a record that is bad. xen_record_most(): a number that is at most @most. */
uint32_t xen_record_get32(struct xen_record *from);
uint32_t xen_record_most(struct xen_record *from, uint32_t most);
uint64_t xen_record_get64(struct xen_record *from);
/* @length bytes into @to, or zeros. */
void xen_record_get(struct xen_record *from, void *to, uint32_t length);

/* Was all of it read, and all of it right? */
bool xen_record_is_whole(const struct xen_record *from);

#endif /* DEVICES_XEN_RECORD_H */
