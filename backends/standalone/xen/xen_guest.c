/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * As xen_guest.h says. A thread serves what the guest prints, as who reads that may be slow; input is the
 * main thread's. The last pages of memory are not the guest's own: its shared_info and its grants.
 */
#define _GNU_SOURCE
#include "xen_guest.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../kernel_image.h"
#include "../loop.h"
#include "../platform.h"
#include "xen_bus.h"
#include "xen_card.h"
#include "xen_console.h"
#include "xen_disk.h"
#include "xen_start.h"

#define GRANT_FRAMES	15	/* 4 network cards take 514 grants each */
#define RESERVED_PAGES	16	/* shared_info and grants */
#define PIECE		256	/* bytes of output at a time */

_Static_assert(1 + GRANT_FRAMES <= RESERVED_PAGES, "they have their places");

struct xen_guest {
	struct monitor_vm *vm;
	struct xen_console console;
	int console_fd;		/* eventfd: the guest has printed, or has read */
	uint32_t console_port;
	pthread_t thread;
	bool has_thread;
	atomic_bool is_ready;	/* it can be told of input */
	bool is_saved;		/* what it has printed since is printed where it goes on; while all rest */
	struct xen_bus *bus;
	struct xen_disk *disks[MONITOR_DISKS_MAX];
	struct xen_card *cards[MONITOR_NETS_MAX];
};

static uint64_t guest_pages(const struct monitor_vm *vm)
{
	return (vm->memory.size >> PVM_PAGE_SHIFT) - RESERVED_PAGES;
}

void xen_guest_configure(const struct monitor_vm *vm, uint32_t vcpus, struct pvm_vm_config *config)
{
	uint64_t pages = guest_pages(vm);

	config->range.pml4_end = PVM_PTES_PER_TABLE;	/* its kernel is in the last slot */
	config->xen = (struct pvm_xen_config){
		.vcpus = vcpus,
		.pages = pages,
		.shared_info = { pages },
		.grants = { pages + 1 },
		.grant_frames = GRANT_FRAMES,
	};
}

/* ------------------------------------------------------------------------
 * The console.
 */

static unsigned take(struct xen_guest *guest, uint8_t *bytes, unsigned size)
{
	unsigned count = 0;

	xen_bus_begin_work(guest->bus);
	if (!guest->is_saved)
		count = xen_console_take(&guest->console, bytes, size);
	xen_bus_end_work(guest->bus);
	return count;
}

/* A slow reader is not waited for within the work: what was taken is printed, whatever happens to the guest.
 */
static void print(struct xen_guest *guest)
{
	struct monitor_vm *vm = guest->vm;
	uint8_t bytes[PIECE];
	unsigned count;

	while ((count = take(guest, bytes, sizeof(bytes))))
		platform_print(vm->platform, bytes, count);
	vm->executor->xen_notify(vm, guest->console_port);
	loop_wake(vm);		/* it may have read, too: there may be room */
}

static void *serve_console(void *arg)
{
	struct xen_guest *guest = arg;
	struct pollfd fds[] = {
		{ .fd = guest->console_fd, .events = POLLIN },
		{ .fd = guest->vm->loop->over_fd, .events = POLLIN },
	};
	uint64_t count;

	xen_bus_wait_for_guest(guest->bus, guest->console_port);
	atomic_store(&guest->is_ready, true);
	loop_wake(guest->vm);
	while (!atomic_load(&guest->vm->over)) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents && read(guest->console_fd, &count, sizeof(count)) < 0 && errno != EAGAIN &&
		    errno != EINTR)
			break;
		print(guest);
	}
	print(guest);		/* its last words */
	return NULL;
}

unsigned xen_guest_input_room(struct xen_guest *guest)
{
	return atomic_load(&guest->is_ready) ? xen_console_room(&guest->console) : 0;
}

unsigned xen_guest_input(struct xen_guest *guest, const uint8_t *bytes, unsigned count)
{
	if (!xen_bus_try_work(guest->bus))
		return 0;
	count = xen_console_give(&guest->console, bytes, count);
	guest->vm->executor->xen_notify(guest->vm, guest->console_port);
	xen_bus_end_work(guest->bus);
	return count;
}

/* ------------------------------------------------------------------------
 * Life.
 */

int xen_guest_start(struct xen_guest *guest)
{
	int error = pthread_create(&guest->thread, NULL, serve_console, guest);

	guest->has_thread = !error;
	return error ? error : xen_bus_start(guest->bus);
}

void xen_guest_wait(struct xen_guest *guest)
{
	if (guest->has_thread)
		pthread_join(guest->thread, NULL);
	guest->has_thread = false;
	xen_bus_wait(guest->bus);
}

/* The registers of the first instruction. The other vCPUs get theirs from the guest; until then they need a
 * page table. */
static int set_registers(struct monitor_vm *vm, const struct xen_start *start, char *why, size_t why_size)
{
	struct pvm_vcpu *first = &vm->vcpus[0]->pvm;
	uint32_t i;

	for (i = 0; i < vm->vcpu_count; i++) {
		if (pvm_cr_write(&vm->vcpus[i]->pvm, 3, start->cr3) != PVM_OK) {
			snprintf(why, why_size, "the engine refuses the guest's page tables");
			return -1;
		}
		vm->vcpus[i]->pvm.rip = start->rip;
	}
	first->gpr[PVM_RSP] = start->rsp;
	first->gpr[PVM_RSI] = start->rsi;
	return 0;
}

static struct xen_grants grants_of(const struct monitor_vm *vm)
{
	uint64_t table = pvm_gfn_to_gpa(vm->pvm.config.xen.grants).v;

	return (struct xen_grants){
		.memory = vm->memory.va,
		.pages = guest_pages(vm),
		.table = (struct xen_grant *)(vm->memory.va + table),
		.count = GRANT_FRAMES * PVM_PAGE_SIZE / sizeof(struct xen_grant),
	};
}

static int load(struct monitor_vm *vm, const struct elf_file *kernel,
		const struct monitor_options *options, char *why, size_t why_size)
{
	struct xen_grants grants;
	struct xen_start start = {
		.memory = vm->memory.va,
		.pages = guest_pages(vm),
		.kernel = kernel,
		.command_line = options->command_line,
		.shared_info = pvm_gfn_to_gpa(vm->pvm.config.xen.shared_info).v,
		.console_port = vm->xen->console_port,
		.store_port = xen_bus_port(vm->xen->bus),
	};
	uint8_t *bytes = NULL;
	int error;

	if (options->initrd) {
		bytes = kernel_image_read_file(options->initrd, &start.initrd_size, why, why_size);
		if (!bytes)
			return -1;
		start.initrd = bytes;
	}
	error = xen_start_write(&start, why, why_size);
	free(bytes);
	if (error)
		return -1;
	xen_console_init(&vm->xen->console, vm->memory.va + start.console);
	grants = grants_of(vm);
	xen_bus_connect(vm->xen->bus, vm->memory.va + start.store, &grants);
	return set_registers(vm, &start, why, why_size);
}

static int add_devices(struct xen_guest *guest, const struct monitor_options *options, char *why,
		       size_t why_size)
{
	unsigned i;

	for (i = 0; i < options->disk_count; i++) {
		guest->disks[i] = xen_disk_create(guest->bus, i, &options->disks[i], why, why_size);
		if (!guest->disks[i])
			return -1;
	}
	for (i = 0; i < options->net_count; i++) {
		guest->cards[i] = xen_card_create(guest->bus, i, &options->nets[i], why, why_size);
		if (!guest->cards[i])
			return -1;
	}
	return 0;
}

/* All but what is in guest memory. */
static int make_guest(struct monitor_vm *vm, const struct monitor_options *options, char *why,
		      size_t why_size)
{
	struct xen_guest *guest = calloc(1, sizeof(*guest));
	int port = 0;

	if (!guest) {
		snprintf(why, why_size, "no memory for the guest's devices");
		return -1;
	}
	vm->xen = guest;
	guest->vm = vm;
	guest->console_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (guest->console_fd < 0) {
		snprintf(why, why_size, "no eventfd for the guest's console: %s", strerror(errno));
		return -1;
	}
	if (!vm->restored)
		port = vm->executor->xen_port(vm, 0, guest->console_fd, why, why_size);
	if (port < 0)
		return -1;
	guest->console_port = (uint32_t)port;
	guest->bus = xen_bus_create(vm, why, why_size);
	return guest->bus ? add_devices(guest, options, why, why_size) : -1;
}

int xen_guest_create(struct monitor_vm *vm, const struct elf_file *kernel,
		     const struct monitor_options *options, char *why, size_t why_size)
{
	if (make_guest(vm, options, why, why_size))
		return -1;
	return load(vm, kernel, options, why, why_size);
}

int xen_guest_create_empty(struct monitor_vm *vm, const struct monitor_options *options, char *why,
			   size_t why_size)
{
	return make_guest(vm, options, why, why_size);
}

/* ------------------------------------------------------------------------
 * Saved, and restored.
 */

bool xen_guest_rest(struct xen_guest *guest, unsigned seconds)
{
	return xen_bus_rest(guest->bus, seconds);
}

void xen_guest_go_on(struct xen_guest *guest, bool is_saved)
{
	guest->is_saved = is_saved;
	xen_bus_go_on(guest->bus);
	loop_wake(guest->vm);	/* input was not taken meanwhile */
}

int xen_guest_flush(struct xen_guest *guest, char *why, size_t why_size)
{
	unsigned i;

	for (i = 0; i < MONITOR_DISKS_MAX && guest->disks[i]; i++) {
		if (xen_disk_flush(guest->disks[i], why, why_size))
			return -1;
	}
	return 0;
}

struct xen_disk *xen_guest_disk(const struct xen_guest *guest, unsigned index)
{
	return guest->disks[index];
}

void xen_guest_save(struct xen_guest *guest, struct xen_record *to)
{
	xen_record_put32(to, guest->console_port);
	xen_record_put32(to, xen_grants_frame(xen_bus_grants(guest->bus), guest->console.ring));
	xen_console_save(&guest->console, to);
	xen_bus_save(guest->bus, to);
}

int xen_guest_restore(struct monitor_vm *vm, struct xen_record *from, char *why, size_t why_size)
{
	struct xen_guest *guest = vm->xen;
	struct xen_grants grants = grants_of(vm);
	void *page;
	uint64_t one = 1;

	guest->console_port = xen_record_most(from, PVM_XEN_PORTS_MAX - 1);
	page = xen_grants_at(&grants, xen_record_get32(from));
	if (!page || !guest->console_port) {
		snprintf(why, why_size, "damaged: its console");
		return -1;
	}
	xen_console_init(&guest->console, page);
	xen_console_restore(&guest->console, from);
	if (vm->executor->xen_port(vm, guest->console_port, guest->console_fd, why, why_size) < 0 ||
	    xen_bus_restore(guest->bus, &grants, from, why, why_size))
		return -1;
	if (!xen_record_is_whole(from) || write(guest->console_fd, &one, sizeof(one)) < 0) {
		snprintf(why, why_size, "damaged: its devices");
		return -1;
	}
	return 0;
}

void xen_guest_destroy(struct monitor_vm *vm)
{
	struct xen_guest *guest = vm->xen;
	unsigned i;

	if (!guest)
		return;
	for (i = 0; i < MONITOR_DISKS_MAX; i++)
		xen_disk_destroy(guest->disks[i]);
	for (i = 0; i < MONITOR_NETS_MAX; i++)
		xen_card_destroy(guest->cards[i]);
	xen_bus_destroy(guest->bus);
	if (guest->console_fd >= 0)
		close(guest->console_fd);
	free(guest);
	vm->xen = NULL;
}

bool xen_guest_ask_power_off(struct xen_guest *guest)
{
	return xen_bus_ask_power_off(guest->bus);
}

void xen_guest_print_stats(const struct xen_guest *guest, FILE *to)
{
	unsigned i;

	for (i = 0; i < MONITOR_DISKS_MAX && guest->disks[i]; i++)
		xen_disk_print_stats(guest->disks[i], to);
	for (i = 0; i < MONITOR_NETS_MAX && guest->cards[i]; i++)
		xen_card_print_stats(guest->cards[i], to);
}
