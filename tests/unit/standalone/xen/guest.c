/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As guest.h says. Port 1 is the store's; the others are whatever the test writes into the store. */
#define _GNU_SOURCE
#include "guest.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

#define PORTS	32

struct xen_bus *bus;

static struct monitor_vm vm;
static struct monitor_loop loop;
static uint8_t memory[GUEST_PAGES * 4096] __attribute__((aligned(4096)));
static struct xen_grant table[GUEST_PAGES];
static int port_fd[PORTS];
static atomic_int not_yet;		/* so often it cannot be told */
static uint32_t events[PORTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t notified = PTHREAD_COND_INITIALIZER;

static int fake_port(struct monitor_vm *of, uint32_t port, int fd, char *why, size_t why_size)
{
	cr_assert_eq(of, &vm);
	if (!port)
		port = 1;
	if (port >= PORTS) {
		snprintf(why, why_size, "no port %u", port);
		return -1;
	}
	port_fd[port] = fd;
	return (int)port;
}

static bool fake_notify(struct monitor_vm *of, uint32_t port)
{
	cr_assert_eq(of, &vm);
	if (atomic_load(&not_yet) && atomic_fetch_sub(&not_yet, 1))
		return false;
	pthread_mutex_lock(&lock);
	events[port]++;
	pthread_cond_broadcast(&notified);
	pthread_mutex_unlock(&lock);
	return true;
}

static const struct executor_ops executor = { .name = "fake",
					      .xen_port = fake_port,
					      .xen_notify = fake_notify };

void guest_begin(void)
{
	char why[256];
	uint32_t i;

	memset(memory, 0, sizeof(memory));
	memset(events, 0, sizeof(events));
	for (i = 0; i < GUEST_PAGES; i++)
		table[i] = (struct xen_grant){ .flags = XEN_GRANT_ACCESS, .frame = i };
	loop.over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm = (struct monitor_vm){ .executor = &executor, .loop = &loop };
	bus = xen_bus_create(&vm, why, sizeof(why));
	cr_assert_not_null(bus, "%s", why);
	cr_assert_eq(xen_bus_port(bus), 1);
}

void guest_start(void)
{
	const struct xen_grants grants = {
		.memory = memory, .pages = GUEST_PAGES, .table = table, .count = GUEST_PAGES
	};

	xen_bus_connect(bus, memory + STORE_PAGE * 4096, &grants);
	cr_assert_eq(xen_bus_start(bus), 0);
}

static const struct xen_grants restored_grants = {
	.memory = memory, .pages = GUEST_PAGES, .table = table, .count = GUEST_PAGES
};

const struct xen_grants *guest_grants(void)
{
	return &restored_grants;
}

void guest_save(struct xen_record *to)
{
	cr_assert(xen_bus_rest(bus, 60));
	xen_bus_save(bus, to);
	xen_bus_go_on(bus);
}

void guest_begin_again(void)
{
	char why[256];

	memset(port_fd, 0xff, sizeof(port_fd));
	loop.over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm = (struct monitor_vm){ .executor = &executor, .loop = &loop, .restored = true };
	bus = xen_bus_create(&vm, why, sizeof(why));
	cr_assert_not_null(bus, "%s", why);
	not_yet = 5;
}

int guest_restore(struct xen_record *from, char *why, size_t why_size)
{
	int error = xen_bus_restore(bus, &restored_grants, from, why, why_size);

	if (!error)
		cr_assert_eq(xen_bus_start(bus), 0);
	return error;
}

void guest_over(void)
{
	uint64_t one = 1;

	atomic_store(&vm.over, true);
	cr_assert_eq(write(loop.over_fd, &one, sizeof(one)), sizeof(one));
	xen_bus_wait(bus);
}

void guest_end(void)
{
	xen_bus_destroy(bus);
	close(loop.over_fd);
}

void *guest_page(uint32_t page)
{
	return memory + page * 4096;
}

struct xen_grant *guest_grant(uint32_t ref)
{
	return &table[ref];
}

void guest_notify(uint32_t port)
{
	uint64_t one = 1;

	cr_assert_eq(write(port_fd[port], &one, sizeof(one)), sizeof(one));
}

void guest_wait_for_events(uint32_t port, uint32_t count)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&lock);
	while (events[port] < count)
		cr_assert_eq(pthread_cond_timedwait(&notified, &lock, &until), 0, "port %u: %u events", port,
			     events[port]);
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------------
 * The store.
 */

static uint32_t events_of_store(void)
{
	uint32_t count;

	pthread_mutex_lock(&lock);
	count = events[1];
	pthread_mutex_unlock(&lock);
	return count;
}

static const char *ask(uint32_t type, const char *path, const char *value, bool has_value)
{
	struct xen_store_page *page = guest_page(STORE_PAGE);
	static struct xen_store_message message;
	uint32_t length = (uint32_t)strlen(path) + 1, count, i;
	char *bytes = (char *)&message;

	message.header = (struct xen_store_header){ .type = type };
	memcpy(message.payload, path, length);
	if (has_value) {
		memcpy(message.payload + length, value, strlen(value));
		length += (uint32_t)strlen(value);
	}
	message.header.length = length;
	for (i = 0; i < sizeof(message.header) + length; i++)
		page->req[(page->req_prod + i) % XEN_STORE_RING] = bytes[i];
	__atomic_store_n(&page->req_prod, page->req_prod + i, __ATOMIC_SEQ_CST);
	guest_notify(1);
	for (i = 0; i < sizeof(message.header) || i < sizeof(message.header) + message.header.length;) {
		count = events_of_store();
		if (__atomic_load_n(&page->rsp_prod, __ATOMIC_SEQ_CST) == page->rsp_cons) {
			guest_wait_for_events(1, count + 1);
			continue;
		}
		bytes[i++] = page->rsp[page->rsp_cons % XEN_STORE_RING];
		__atomic_store_n(&page->rsp_cons, page->rsp_cons + 1, __ATOMIC_SEQ_CST);
	}
	message.payload[message.header.length] = '\0';
	return message.header.type == type ? message.payload : "";
}

void guest_write(const char *path, const char *value)
{
	cr_assert_str_eq(ask(XEN_STORE_WRITE, path, value, true), "OK");
}

const char *guest_read(const char *path)
{
	return ask(XEN_STORE_READ, path, "", false);
}

void guest_wait(const char *path, const char *value)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	do {
		if (!strcmp(guest_read(path), value))
			return;
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec + 60);
	cr_assert(false, "%s is \"%s\", not \"%s\"", path, guest_read(path), value);
}
