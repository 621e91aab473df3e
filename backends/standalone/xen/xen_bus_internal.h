/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A bus, for the files that are it: xen_bus.c and xen_bus_saved.c. */
#ifndef STANDALONE_XEN_BUS_INTERNAL_H
#define STANDALONE_XEN_BUS_INTERNAL_H

#include "xen_bus.h"

struct xen_bus {
	struct monitor_vm *vm;
	struct xen_grants grants;
	pthread_mutex_t lock;		/* of the store */
	pthread_rwlock_t work;		/* held by each thread that works, and by who lets none */
	struct xen_store store;
	int fd;				/* eventfd: the guest's end of the store's port */
	uint32_t port;
	pthread_t thread;
	bool has_thread;
	struct xen_device *devices;	/* all are there before the guest runs */
};

/* An eventfd is readable then. */
void xen_bus_raise(int fd);

#endif /* STANDALONE_XEN_BUS_INTERNAL_H */
