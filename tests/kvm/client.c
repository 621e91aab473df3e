/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The servant, driven: orders by its port, vCPUs in threads, and what both sides see of the region. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY		(64ull << 20)
#define SERIAL		0x3f8
#define SERIAL_STATUS	(SERIAL + 5)
#define SERIAL_EMPTY	0x60

uint8_t *client_region_memory(void)
{
	void *memory = mmap(NULL, REGION_SIZE + (2 << 20), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		machine_die("the region's memory: %s", strerror(errno));
	/* Aligned for large pages. */
	return (uint8_t *)(((uintptr_t)memory + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
}

/* The console of a check that failed in the guest's library. */
static bool serial(const struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (run->io.port < SERIAL || run->io.port > SERIAL + 7)
		return false;
	if (run->io.direction == KVM_EXIT_IO_IN)
		*data = run->io.port == SERIAL_STATUS ? SERIAL_EMPTY : 0;
	else if (run->io.port == SERIAL)
		fputc(*data, stderr);
	return true;
}

static enum client_end ended(struct client *c, const struct kvm_run *run)
{
	const uint8_t *data = (const uint8_t *)run + run->io.data_offset;
	uint32_t address;

	if (run->exit_reason == KVM_EXIT_MMIO) {
		c->mmio_gpa = run->mmio.phys_addr;
		c->mmio_write = run->mmio.is_write;
		return MMIO;
	}
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == SERVANT_PORT) {
		memcpy(&address, data, sizeof(address));
		c->box = (struct servant_box *)(c->m.memory + address);
		return DONE;
	}
	machine_die("exit reason %u, port 0x%x, suberror %u", run->exit_reason, run->io.port,
		    run->internal.suberror);
}

enum client_end client_again(struct client *c)
{
	struct kvm_run *run = c->m.run[0];

	for (;;) {
		if (ioctl(c->m.vcpu[0], KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			if (errno == EFAULT)
				return FAULT;
			machine_die("KVM_RUN: %s", strerror(errno));
		}
		if (run->exit_reason != KVM_EXIT_IO || !serial(run))
			return ended(c, run);
	}
}

enum client_end client_order(struct client *c, enum servant_order order, uint64_t page, uint64_t count,
			     uint64_t value, uint64_t step)
{
	c->box->order = order;
	c->box->gpa = REGION + page * PAGE;
	c->box->count = count;
	c->box->value = value;
	c->box->step = step;
	return client_again(c);
}

enum client_end client_order_at(struct client *c, enum servant_order order, uint64_t number, uint64_t count,
				uint64_t value)
{
	c->box->order = order;
	c->box->gpa = number;
	c->box->count = count;
	c->box->value = value;
	return client_again(c);
}

bool client_writes(struct client *c, uint64_t page, uint64_t count, uint64_t value, uint64_t step)
{
	return client_order(c, ORDER_WRITE, page, count, value, step) == DONE;
}

bool client_finds(struct client *c, uint64_t page, uint64_t count, uint64_t value, uint64_t step)
{
	return client_order(c, ORDER_CHECK, page, count, value, step) == DONE && !c->box->result;
}

void host_writes(uint8_t *region, uint64_t page, uint64_t count, uint64_t value, uint64_t step)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		*(volatile uint64_t *)(region + (page + i) * PAGE) = value + i * step;
}

bool host_finds(const uint8_t *region, uint64_t page, uint64_t count, uint64_t value, uint64_t step)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		if (*(const volatile uint64_t *)(region + (page + i) * PAGE) != value + i * step)
			return false;
	return true;
}

/* ------------------------------------------------------------------------
 * The other vCPUs.
 */

static void *run_hammerer(void *arg)
{
	const struct hammerer *h = arg;
	struct client *c = h->c;

	machine_wait_for_start(&c->m, h->vcpu);
	while (!__atomic_load_n(&c->stopping, __ATOMIC_RELAXED)) {
		if (ioctl(c->m.vcpu[h->vcpu], KVM_RUN, 0) >= 0)
			machine_die("vCPU %u: exit reason %u", h->vcpu, c->m.run[h->vcpu]->exit_reason);
		if (errno == EFAULT)
			__atomic_fetch_add(&c->faults, 1, __ATOMIC_RELAXED);
		else if (errno != EINTR && errno != EAGAIN)
			machine_die("vCPU %u: KVM_RUN: %s", h->vcpu, strerror(errno));
	}
	return NULL;
}

unsigned client_hammer(struct client *c)
{
	unsigned i;

	for (i = 1; i < c->m.vcpus; i++) {
		c->hammerer[i].c = c;
		c->hammerer[i].vcpu = i;
		if (pthread_create(&c->hammerer[i].thread, NULL, run_hammerer, &c->hammerer[i]))
			machine_die("no thread");
	}
	if (client_order(c, ORDER_START, 0, 0, 0, 0) != DONE)
		machine_die("the servant cannot start its CPUs");
	return (unsigned)c->box->result - 1;
}

void client_wait_for_lap(struct client *c)
{
	unsigned long long before;
	unsigned i;

	for (i = 1; i < c->m.vcpus; i++) {
		volatile unsigned long long *added = &c->box->added[i][HAMMER_PAGES - 1];

		for (before = *added; *added < before + 2;)
			usleep(100);
	}
}

unsigned long client_hammer_ends(struct client *c)
{
	unsigned long lost;
	unsigned i, p;

	if (client_order(c, ORDER_STOP, 0, 0, 0, 0) != DONE)
		machine_die("the servant cannot stop its CPUs");
	lost = c->box->result;
	__atomic_store_n(&c->stopping, true, __ATOMIC_RELAXED);
	for (i = 1; i < c->m.vcpus; i++) {
		c->m.run[i]->immediate_exit = 1;	/* before the signal, which may come too early */
		pthread_kill(c->hammerer[i].thread, SIGUSR1);
		pthread_join(c->hammerer[i].thread, NULL);
		for (p = 0; p < HAMMER_PAGES; p++) {
			uint64_t word;

			memcpy(&word, c->region + p * PAGE + HAMMER_WORD * i * sizeof(word), sizeof(word));
			lost += word != c->box->added[i][p];
		}
	}
	return lost;
}

static void interrupted(int signal)
{
	(void)signal;
}

void client_create(struct client *c, const char *servant, unsigned vcpus)
{
	struct sigaction action = { .sa_handler = interrupted };
	int error;

	memset(c, 0, sizeof(*c));
	sigaction(SIGUSR1, &action, NULL);
	machine_create(&c->m, servant, MEMORY, vcpus);
	c->region = client_region_memory();
	error = machine_slot(&c->m, REGION_SLOT, 0, REGION, REGION_SIZE, c->region);
	if (error)
		machine_die("the region's slot: %s", strerror(error));
	if (client_again(c) != DONE)
		machine_die("the servant does not start");
}

void client_destroy(struct client *c)
{
	machine_destroy(&c->m);
	munmap(c->region, REGION_SIZE);
}
