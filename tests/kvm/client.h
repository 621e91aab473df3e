/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A machine with the servant in it, driven order by order. Slot 1 is the servant's region.
 */
#ifndef KVM_CLIENT_H
#define KVM_CLIENT_H

#include <pthread.h>

#include "machine.h"
#include "servant.h"

#define REGION_SLOT	1
#define PAGE		4096ull

/* How the last order ended. */
enum client_end {
	DONE,
	MMIO,		/* the guest touched what is no memory, or wrote what is read-only */
	FAULT,		/* KVM_RUN: EFAULT */
};

struct client {
	struct machine m;
	struct servant_box *box;
	uint8_t *region;	/* what slot 1 has; private anonymous memory at first */
	uint64_t mmio_gpa;	/* of the last MMIO */
	bool mmio_write;
	struct hammerer {
		struct client *c;
		unsigned vcpu;
		pthread_t thread;
	} hammerer[MACHINE_VCPUS];
	bool stopping;		/* the threads of the other vCPUs shall end */
	unsigned long faults;	/* EFAULTs that they went on after */
};

/* @servant: the ELF file. Returns with the servant waiting for an order. */
void client_create(struct client *c, const char *servant, unsigned vcpus);
void client_destroy(struct client *c);

/* Memory for the region, zeroed. */
uint8_t *client_region_memory(void);

/* One order, until it is done or cannot go on; client_again() tries the latter again. */
enum client_end client_order(struct client *c, enum servant_order order, uint64_t page, uint64_t count,
			     uint64_t value, uint64_t step);
enum client_end client_again(struct client *c);
/* The same with any number instead of a page of the region. */
enum client_end client_order_at(struct client *c, enum servant_order order, uint64_t number, uint64_t count,
				uint64_t value);

/* The guest writes, or finds, value, value + step, ... in the first words of pages of the region. */
bool client_writes(struct client *c, uint64_t page, uint64_t count, uint64_t value, uint64_t step);
bool client_finds(struct client *c, uint64_t page, uint64_t count, uint64_t value, uint64_t step);

/* The same for this program, in the region's memory. */
void host_writes(uint8_t *region, uint64_t page, uint64_t count, uint64_t value, uint64_t step);
bool host_finds(const uint8_t *region, uint64_t page, uint64_t count, uint64_t value, uint64_t step);

/* The other vCPUs hammer, in threads of their own; how many there are, and, at the end, how many
 * words were lost: by the guest's count, or in the memory that this program sees. */
unsigned client_hammer(struct client *c);
/* Each of them adds to all pages once more from here. */
void client_wait_for_lap(struct client *c);
unsigned long client_hammer_ends(struct client *c);

#endif /* KVM_CLIENT_H */
