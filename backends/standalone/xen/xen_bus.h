/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The devices of a Xen PV guest beside its console: the xenstore in which it finds them, and what disks
 * and network cards have in common. Each device has a thread of its own, which looks at the guest's side
 * of it in the store and connects its rings when the guest's driver is ready, gives them back when that
 * closes, and serves them meanwhile. The store has another.
 *
 * Owns the store and its lock. Must not know what a device does.
 */
#ifndef STANDALONE_XEN_BUS_H
#define STANDALONE_XEN_BUS_H

#include <poll.h>

#include "../vm.h"
#include "xen_grants.h"
#include "xen_record.h"
#include "xen_store.h"

struct xen_bus;
struct xen_device;

/* Descriptors that a device may wait for beside its own. */
#define XEN_DEVICE_FDS	1024

enum xen_bus_state {
	XEN_BUS_UNKNOWN, XEN_BUS_INITIALISING, XEN_BUS_INIT_WAIT, XEN_BUS_INITIALISED, XEN_BUS_CONNECTED,
	XEN_BUS_CLOSING, XEN_BUS_CLOSED,
};

/* All but describe() in the device's own thread. */
struct xen_device_ops {
	const char *kind;	/* in the store: "vbd" */
	const char *name;	/* to people: what it is */
	enum xen_bus_state ready;	/* what the guest's driver says when its rings are there */

	/* Write the nodes of the host's side that the guest's driver reads before it is ready. */
	void (*describe)(struct xen_device *device);
	/* Map the guest's rings by the nodes of its side; device->port's events go to device->fd then.
	 * Returns 0, or -1 with a line in @why: the guest's driver is told. */
	int (*connect)(struct xen_device *device, char *why, size_t why_size);
	/* Use nothing of the guest's any more. */
	void (*disconnect)(struct xen_device *device);
	/* Fill in what else to wait for, at most XEN_DEVICE_FDS of @fds, and for how long (@timeout,
	 * ms; -1: no limit). Returns the number of @fds filled in. NULL: nothing. */
	unsigned (*prepare)(struct xen_device *device, struct pollfd *fds, int *timeout);
	/* What of a device is nowhere else, for a guest that is saved; and back, with device->port set.
	 * False: the record is bad. All threads rest. */
	void (*save)(const struct xen_device *device, struct xen_record *to);
	bool (*restore)(struct xen_device *device, struct xen_record *from);
	/* Something has happened: serve the rings, if the device is connected. */
	void (*serve)(struct xen_device *device, const struct pollfd *fds, unsigned count);
};

struct xen_device {
	const struct xen_device_ops *ops;
	struct xen_bus *bus;
	const char *name;	/* to people: which disk, which network */
	uint32_t number;	/* in the store */
	uint32_t port;		/* that the guest's driver has; 0: not connected */
	int fd;			/* eventfd: the guest has notified */
	int look_fd;		/* eventfd: the guest's side has changed in the store */
	uint32_t state;		/* enum xen_bus_state, of the host's side */
	bool has_said;		/* that the guest's driver is none: once, for a guest could fill a log */
	pthread_t thread;
	bool has_thread;
	struct xen_device *next;
};

/* Its port is in what the guest finds at its start, its page comes later: xen_bus_connect(). Returns
 * NULL with a line in @why. */
struct xen_bus *xen_bus_create(struct monitor_vm *vm, char *why, size_t why_size);
uint32_t xen_bus_port(const struct xen_bus *bus);
/* Once it is: @page is that of the store's ring. */
void xen_bus_connect(struct xen_bus *bus, void *page, const struct xen_grants *grants);
void xen_bus_destroy(struct xen_bus *bus);

/* The threads, of the store and of all devices. xen_bus_wait(): when the VM is over. 0, or an errno. */
int xen_bus_start(struct xen_bus *bus);
void xen_bus_wait(struct xen_bus *bus);

/* A device of the bus: both sides' nodes are made. Returns 0, or -1 with a line in @why; device->fd
 * and ->look_fd are -1 or open then as else. */
int xen_bus_add(struct xen_bus *bus, struct xen_device *device, const struct xen_device_ops *ops,
		const char *name, uint32_t number, char *why, size_t why_size);
void xen_bus_remove(struct xen_device *device);

/*
 * For a guest that is saved: no thread touches guest memory, or what xen_bus_save() writes, between
 * xen_bus_rest() and xen_bus_go_on(). A thread that is not the bus's takes part by the first three; none of
 * them twice.
 */
void xen_bus_begin_work(struct xen_bus *bus);
bool xen_bus_try_work(struct xen_bus *bus);	/* false: not now; xen_bus_go_on() does not tell */
void xen_bus_end_work(struct xen_bus *bus);
/* Waits for what is under way; false: that takes longer. */
bool xen_bus_rest(struct xen_bus *bus, unsigned seconds);
void xen_bus_go_on(struct xen_bus *bus);

/* The store and all devices. The second: into a bus with the same devices, in place of xen_bus_connect();
 * 0, or -1 with the end of a line in @why. */
void xen_bus_save(struct xen_bus *bus, struct xen_record *to);
int xen_bus_restore(struct xen_bus *bus, const struct xen_grants *grants, struct xen_record *from, char *why,
		    size_t why_size);
/* A thread that serves @port, as it begins: a guest that was restored is told that something may have
 * happened, once it can be told. */
void xen_bus_wait_for_guest(struct xen_bus *bus, uint32_t port);

/* Ask the guest to power off. False: it does not listen, or not yet. Any thread. */
bool xen_bus_ask_power_off(struct xen_bus *bus);

struct monitor_vm *xen_bus_vm(const struct xen_bus *bus);
const struct xen_grants *xen_bus_grants(const struct xen_bus *bus);

/* Nodes of the host's and of the guest's side of a device. */
void xen_device_write(struct xen_device *device, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same in the guest's, before it runs. */
void xen_device_write_guest(struct xen_device *device, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A number that the guest's driver wrote; false: it is none. */
bool xen_device_read(struct xen_device *device, const char *name, uint32_t *number);

/* For connect(): the guest's port in node @name gets the device's eventfd. 0, or -1 with a line in @why. */
int xen_device_bind(struct xen_device *device, const char *name, char *why, size_t why_size);
/* The guest's driver is to look at its rings. */
void xen_device_notify(struct xen_device *device);

#endif /* STANDALONE_XEN_BUS_H */
