/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A guest without a CPU, for the devices of a bus: its memory, its grants, and what its drivers write. */
#ifndef TEST_XEN_GUEST_H
#define TEST_XEN_GUEST_H

#include "xen_bus.h"

#define GUEST_PAGES	64u
#define STORE_PAGE	1u	/* the first that are free: GUEST_FREE */
#define GUEST_FREE	2u

extern struct xen_bus *bus;

void guest_begin(void);
/* Connects the store, and starts the threads: after the devices were made. */
void guest_start(void);
/* The VM is over; the threads have ended when it returns. */
void guest_over(void);
void guest_end(void);

/* While its threads run. Then, after guest_over() and guest_end(), another bus for the same guest, and once
 * it has its devices, what was saved: 0, or -1 with the line. */
void guest_save(struct xen_record *to);
void guest_begin_again(void);
const struct xen_grants *guest_grants(void);
int guest_restore(struct xen_record *from, char *why, size_t why_size);

void *guest_page(uint32_t page);	/* which grant @page grants */
struct xen_grant *guest_grant(uint32_t ref);

/* Through the store's ring. guest_read(): the text lives until the next call; "" for none. */
void guest_write(const char *path, const char *value);
const char *guest_read(const char *path);
/* Until the node is @value; fails after a minute. */
void guest_wait(const char *path, const char *value);

/* Notify @port's other end; wait until the guest has been notified at @port @count times in all. */
void guest_notify(uint32_t port);
void guest_wait_for_events(uint32_t port, uint32_t count);

#endif /* TEST_XEN_GUEST_H */
