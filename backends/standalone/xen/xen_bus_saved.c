/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* xen_bus.h: the store and the devices of a guest that is saved, and of one that goes on. All threads rest,
 * or have not begun. */
#include <pvm/xen.h>

#include "xen_bus_internal.h"

static void save_device(const struct xen_device *device, struct xen_record *to)
{
	xen_record_put32(to, device->port);
	xen_record_put32(to, device->state);
	xen_record_put32(to, device->has_said);
	device->ops->save(device, to);
}

void xen_bus_save(struct xen_bus *bus, struct xen_record *to)
{
	const struct xen_device *device;

	xen_record_put32(to, bus->port);
	xen_record_put32(to, xen_grants_frame(&bus->grants, bus->store.page));
	pthread_mutex_lock(&bus->lock);
	xen_store_save(&bus->store, to);
	pthread_mutex_unlock(&bus->lock);
	for (device = bus->devices; device; device = device->next)
		save_device(device, to);
}

/* Its rings are as they were; what came meanwhile is looked for when its thread begins. */
static int restore_device(struct xen_device *device, struct xen_record *from, char *why, size_t why_size)
{
	struct monitor_vm *vm = device->bus->vm;

	device->port = xen_record_most(from, PVM_XEN_PORTS_MAX - 1);
	device->state = xen_record_most(from, XEN_BUS_CLOSED);
	device->has_said = xen_record_most(from, 1);
	if (!device->ops->restore(device, from) || from->is_bad) {
		snprintf(why, why_size, "damaged: its %s %s", device->ops->name, device->name);
		device->port = 0;
		return -1;
	}
	xen_bus_raise(device->look_fd);
	xen_bus_raise(device->fd);
	return device->port ? vm->executor->xen_port(vm, device->port, device->fd, why, why_size) : 0;
}

int xen_bus_restore(struct xen_bus *bus, const struct xen_grants *grants, struct xen_record *from, char *why,
		    size_t why_size)
{
	uint32_t port = xen_record_most(from, PVM_XEN_PORTS_MAX - 1);
	void *page = xen_grants_at(grants, xen_record_get32(from));
	struct xen_device *device;

	if (page)
		xen_bus_connect(bus, page, grants);
	if (!page || !port || !xen_store_restore(&bus->store, from)) {
		snprintf(why, why_size, "damaged: its xenstore");
		return -1;
	}
	bus->port = port;
	if (bus->vm->executor->xen_port(bus->vm, port, bus->fd, why, why_size) < 0)
		return -1;
	xen_bus_raise(bus->fd);
	for (device = bus->devices; device; device = device->next) {
		if (restore_device(device, from, why, why_size) < 0)
			return -1;
	}
	return 0;
}
