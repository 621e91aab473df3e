/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_bus.h says. The lock is held for one request of the guest's at a time, and never while
 * anything waits. */
#define _GNU_SOURCE
#include "xen_bus_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../loop.h"
#include "../output.h"

struct monitor_vm *xen_bus_vm(const struct xen_bus *bus)
{
	return bus->vm;
}

const struct xen_grants *xen_bus_grants(const struct xen_bus *bus)
{
	return &bus->grants;
}

uint32_t xen_bus_port(const struct xen_bus *bus)
{
	return bus->port;
}

void xen_bus_begin_work(struct xen_bus *bus)
{
	pthread_rwlock_rdlock(&bus->work);
}

bool xen_bus_try_work(struct xen_bus *bus)
{
	return !pthread_rwlock_tryrdlock(&bus->work);
}

void xen_bus_end_work(struct xen_bus *bus)
{
	pthread_rwlock_unlock(&bus->work);
}

bool xen_bus_rest(struct xen_bus *bus, unsigned seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	return !pthread_rwlock_clockwrlock(&bus->work, CLOCK_MONOTONIC, &until);
}

void xen_bus_go_on(struct xen_bus *bus)
{
	pthread_rwlock_unlock(&bus->work);
}

void xen_bus_raise(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;		/* it is readable already */
}

static void clear_fd(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;		/* nothing there */
}

/* ------------------------------------------------------------------------
 * Nodes.
 */

#define NODE_MAX	128

static void guest_path(const struct xen_device *device, const char *name, char path[NODE_MAX])
{
	snprintf(path, NODE_MAX, XEN_STORE_HOME "/device/%s/%u%s%s", device->ops->kind, device->number,
		 *name ? "/" : "", name);
}

static void host_path(const struct xen_device *device, const char *name, char path[NODE_MAX])
{
	snprintf(path, NODE_MAX, "/local/domain/0/backend/%s/1/%u%s%s", device->ops->kind, device->number,
		 *name ? "/" : "", name);
}

/* The tree has a part that only the host fills: there is room. */
static void write_node(struct xen_device *device,
		       void (*path_of)(const struct xen_device *device, const char *name,
				       char path[NODE_MAX]),
		       const char *name, const char *format, va_list args)
{
	struct xen_bus *bus = device->bus;
	char path[NODE_MAX], value[PATH_MAX];

	path_of(device, name, path);
	vsnprintf(value, sizeof(value), format, args);
	pthread_mutex_lock(&bus->lock);
	xen_store_write(&bus->store, path, value);
	pthread_mutex_unlock(&bus->lock);
	xen_bus_raise(bus->fd);		/* the guest may watch it */
}

void xen_device_write(struct xen_device *device, const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_node(device, host_path, name, format, args);
	va_end(args);
}

void xen_device_write_guest(struct xen_device *device, const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_node(device, guest_path, name, format, args);
	va_end(args);
}

bool xen_device_read(struct xen_device *device, const char *name, uint32_t *number)
{
	char path[NODE_MAX], value[16], *end;
	enum xen_store_status status;
	unsigned long result;

	guest_path(device, name, path);
	pthread_mutex_lock(&device->bus->lock);
	status = xen_store_read(&device->bus->store, path, value, sizeof(value));
	pthread_mutex_unlock(&device->bus->lock);
	if (status != XEN_STORE_OK || value[0] < '0' || value[0] > '9')
		return false;
	result = strtoul(value, &end, 10);
	*number = (uint32_t)result;
	return !*end && result <= UINT32_MAX;
}

/* ------------------------------------------------------------------------
 * The store.
 */

bool xen_bus_ask_power_off(struct xen_bus *bus)
{
	static const char path[] = XEN_STORE_HOME "/control/shutdown";
	bool listens;

	pthread_mutex_lock(&bus->lock);
	listens = xen_store_is_watched(&bus->store, path);
	if (listens)
		xen_store_write(&bus->store, path, "poweroff");
	pthread_mutex_unlock(&bus->lock);
	xen_bus_raise(bus->fd);
	return listens;
}

/* The store's, with the lock: whose side is it? */
static void node_changed(void *host, const struct xen_store_path *path)
{
	struct xen_bus *bus = host;
	struct xen_device *device;
	char side[NODE_MAX];

	for (device = bus->devices; device; device = device->next) {
		size_t length;

		guest_path(device, "", side);
		length = strlen(side) < path->length ? strlen(side) : path->length;
		if (!strncmp(side, path->text, length))
			xen_bus_raise(device->look_fd);
	}
}

static void serve_store(struct xen_bus *bus)
{
	unsigned what;

	do {
		xen_bus_begin_work(bus);
		what = 0;
		if (!atomic_load(&bus->vm->over)) {
			pthread_mutex_lock(&bus->lock);
			what = xen_store_serve(&bus->store);
			pthread_mutex_unlock(&bus->lock);
		}
		if (what & XEN_STORE_NOTIFY)
			bus->vm->executor->xen_notify(bus->vm, bus->port);
		xen_bus_end_work(bus);
	} while (what & XEN_STORE_MORE);
}

void xen_bus_wait_for_guest(struct xen_bus *bus, uint32_t port)
{
	struct pollfd over = { .fd = bus->vm->loop->over_fd, .events = POLLIN };

	while (bus->vm->restored && port && !atomic_load(&bus->vm->over) &&
	       !bus->vm->executor->xen_notify(bus->vm, port))
		poll(&over, 1, 1);
}

static void *run_store(void *arg)
{
	struct xen_bus *bus = arg;
	struct pollfd fds[] = {
		{ .fd = bus->fd, .events = POLLIN },
		{ .fd = bus->vm->loop->over_fd, .events = POLLIN },
	};

	xen_bus_wait_for_guest(bus, bus->port);
	while (!atomic_load(&bus->vm->over)) {
		if (poll(fds, 2, -1) < 0)
			continue;
		clear_fd(bus->fd);
		serve_store(bus);
	}
	return NULL;
}

/* ------------------------------------------------------------------------
 * A device and its driver in the guest.
 */

void xen_device_notify(struct xen_device *device)
{
	device->bus->vm->executor->xen_notify(device->bus->vm, device->port);
}

int xen_device_bind(struct xen_device *device, const char *name, char *why, size_t why_size)
{
	struct monitor_vm *vm = device->bus->vm;
	uint32_t port;

	if (!xen_device_read(device, name, &port) || !port) {
		snprintf(why, why_size, "its %s is no port", name);
		return -1;
	}
	if (vm->executor->xen_port(vm, port, device->fd, why, why_size) < 0)
		return -1;
	device->port = port;
	return 0;
}

static void set_state(struct xen_device *device, enum xen_bus_state state)
{
	if (device->state == state)
		return;
	device->state = state;
	xen_device_write(device, "state", "%u", state);
}

static void disconnect(struct xen_device *device)
{
	if (device->port)
		device->ops->disconnect(device);
	device->port = 0;
}

static void connect_driver(struct xen_device *device)
{
	char why[256];

	if (!device->ops->connect(device, why, sizeof(why))) {
		set_state(device, XEN_BUS_CONNECTED);
		return;
	}
	disconnect(device);
	xen_device_write(device, "error", "%s", why);
	set_state(device, XEN_BUS_CLOSING);
	if (!device->has_said)
		output_say("pvm: %s %s: the guest's driver cannot be connected: %s\n", device->ops->name,
			   device->name, why);
	device->has_said = true;
}

static void look_at_driver(struct xen_device *device)
{
	uint32_t state;

	/* A guest that takes its side of the device away has closed it. */
	if (!xen_device_read(device, "state", &state))
		state = XEN_BUS_CLOSED;
	switch (state) {
	case XEN_BUS_INITIALISING:
		disconnect(device);
		set_state(device, XEN_BUS_INIT_WAIT);
		break;
	case XEN_BUS_INITIALISED:
	case XEN_BUS_CONNECTED:
		if (device->state == XEN_BUS_INIT_WAIT && state >= device->ops->ready)
			connect_driver(device);
		break;
	case XEN_BUS_CLOSING:
		disconnect(device);
		set_state(device, XEN_BUS_CLOSING);
		break;
	case XEN_BUS_CLOSED:
		disconnect(device);
		set_state(device, XEN_BUS_CLOSED);
		break;
	default:
		break;
	}
}

/* False: the VM is over. */
static bool do_work(struct xen_device *device, struct pollfd *fds, unsigned more)
{
	bool goes_on;

	xen_bus_begin_work(device->bus);
	goes_on = !atomic_load(&device->bus->vm->over);
	if (goes_on && fds[1].revents) {
		clear_fd(device->look_fd);
		look_at_driver(device);
	}
	if (goes_on) {
		clear_fd(device->fd);
		device->ops->serve(device, fds + 3, more);
	}
	xen_bus_end_work(device->bus);
	return goes_on;
}

static void *run_device(void *arg)
{
	struct xen_device *device = arg;
	struct pollfd fds[3 + XEN_DEVICE_FDS] = {
		{ .fd = device->bus->vm->loop->over_fd, .events = POLLIN },
		{ .fd = device->look_fd, .events = POLLIN },
		{ .fd = device->fd, .events = POLLIN },
	};

	xen_bus_wait_for_guest(device->bus, device->port ? device->port : device->bus->port);
	while (!atomic_load(&device->bus->vm->over)) {
		unsigned more = 0;
		int timeout = -1;

		if (device->ops->prepare)
			more = device->ops->prepare(device, fds + 3, &timeout);
		if (poll(fds, 3 + more, timeout) < 0)
			continue;
		if (!do_work(device, fds, more))
			break;
	}
	disconnect(device);
	return NULL;
}

/* ------------------------------------------------------------------------
 * Life.
 */

/* Who lets none work comes before those that work again and again. */
static void make_locks(struct xen_bus *bus)
{
	pthread_rwlockattr_t kind;

	pthread_mutex_init(&bus->lock, NULL);
	pthread_rwlockattr_init(&kind);
	pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&bus->work, &kind);
	pthread_rwlockattr_destroy(&kind);
}

struct xen_bus *xen_bus_create(struct monitor_vm *vm, char *why, size_t why_size)
{
	struct xen_bus *bus = calloc(1, sizeof(*bus));
	int port = 0;

	if (!bus) {
		snprintf(why, why_size, "no memory for the guest's xenstore");
		return NULL;
	}
	bus->vm = vm;
	make_locks(bus);
	xen_store_init(&bus->store, node_changed, bus);
	xen_store_write(&bus->store, XEN_STORE_HOME "/domid", "1");
	xen_store_write(&bus->store, XEN_STORE_HOME "/name", "pvm");
	bus->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bus->fd < 0) {
		snprintf(why, why_size, "no eventfd for the guest's xenstore: %s", strerror(errno));
	} else {
		/* A guest that is restored has its port; xen_bus_restore(). */
		if (!vm->restored)
			port = vm->executor->xen_port(vm, 0, bus->fd, why, why_size);
		bus->port = (uint32_t)port;
		if (port >= 0)
			return bus;
	}
	xen_bus_destroy(bus);
	return NULL;
}

void xen_bus_connect(struct xen_bus *bus, void *page, const struct xen_grants *grants)
{
	bus->grants = *grants;
	xen_store_connect(&bus->store, page);
}

void xen_bus_destroy(struct xen_bus *bus)
{
	if (!bus)
		return;
	if (bus->fd >= 0)
		close(bus->fd);
	pthread_mutex_destroy(&bus->lock);
	pthread_rwlock_destroy(&bus->work);
	free(bus);
}

int xen_bus_add(struct xen_bus *bus, struct xen_device *device, const struct xen_device_ops *ops,
		const char *name, uint32_t number, char *why, size_t why_size)
{
	char path[NODE_MAX];

	*device = (struct xen_device){
		.ops = ops, .bus = bus, .name = name, .number = number, .next = bus->devices
	};
	device->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	device->look_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->fd < 0 || device->look_fd < 0) {
		snprintf(why, why_size, "no eventfd for a %s: %s", ops->name, strerror(errno));
		return -1;
	}
	bus->devices = device;
	host_path(device, "", path);
	xen_device_write_guest(device, "backend", "%s", path);
	xen_device_write_guest(device, "backend-id", "0");
	guest_path(device, "", path);
	xen_device_write(device, "frontend", "%s", path);
	xen_device_write(device, "frontend-id", "1");
	xen_device_write(device, "online", "1");
	ops->describe(device);
	xen_device_write_guest(device, "state", "%u", XEN_BUS_INITIALISING);
	set_state(device, XEN_BUS_INIT_WAIT);
	return 0;
}

void xen_bus_remove(struct xen_device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	if (device->look_fd >= 0)
		close(device->look_fd);
	device->fd = device->look_fd = -1;
}

int xen_bus_start(struct xen_bus *bus)
{
	int error = pthread_create(&bus->thread, NULL, run_store, bus);
	struct xen_device *device;

	bus->has_thread = !error;
	for (device = bus->devices; device && !error; device = device->next) {
		error = pthread_create(&device->thread, NULL, run_device, device);
		device->has_thread = !error;
	}
	return error;
}

void xen_bus_wait(struct xen_bus *bus)
{
	struct xen_device *device;

	for (device = bus->devices; device; device = device->next) {
		if (device->has_thread)
			pthread_join(device->thread, NULL);
		device->has_thread = false;
	}
	if (bus->has_thread)
		pthread_join(bus->thread, NULL);
	bus->has_thread = false;
}
