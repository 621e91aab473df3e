/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The machine around the vCPUs: which device answers which port and MSR, and
 * the devices' way to the host.
 */
#ifndef STANDALONE_PLATFORM_H
#define STANDALONE_PLATFORM_H

#include "console.h"
#include "debug_exit.h"
#include "local_apic.h"
#include "serial16550.h"
#include "vm.h"

#define SERIAL_PORT	0x3f8

/* What a key before it makes of 'x'. */
#define PLATFORM_ESCAPE	0x01	/* Ctrl-A; twice: once for the guest */

/* Of a terminal, while its guest reads nothing; what is beyond that is dropped, as PLATFORM_ESCAPE must be
 * seen. */
#define PLATFORM_HELD	(64u << 10)

struct platform {
	struct monitor_vm *vm;
	struct console console;
	pthread_mutex_t print_lock;	/* its output, in order; held while a reader is waited for */
	pthread_mutex_t serial_lock;	/* within that; the main thread's too: not held in a wait */
	struct serial16550 serial;
	int printed;			/* what a write to it has sent; -1: nothing */
	struct debug_exit debug_exit;
	uint8_t held[PLATFORM_HELD];	/* a ring: input that there was no room for */
	unsigned held_first, held_count;
	bool escapes, escaped;		/* PLATFORM_ESCAPE means something; it was the last byte */
	pthread_mutex_t apic_lock;
	struct local_apic_bus apics;
	struct local_apic *apic;	/* one per vCPU; NULL: they are the executor's */
};

/* Makes vm->platform and, where the engine is the monitor's, every vcpu->apic. 0, or -1 with one
 * line in @why. */
int platform_create(struct monitor_vm *vm, const struct monitor_options *options, char *why, size_t why_size);
void platform_destroy(struct monitor_vm *vm);

/* A guest's IN and OUT of 1, 2 or 4 bytes. Ports without a device read as all ones. */
uint32_t platform_in(struct monitor_vcpu *vcpu, uint16_t port, uint8_t size);
void platform_out(struct monitor_vcpu *vcpu, uint16_t port, uint8_t size, uint32_t value);

/* MSRs that are not the engine's. False: #GP. */
bool platform_rdmsr(struct monitor_vcpu *vcpu, uint32_t index, uint64_t *value);
bool platform_wrmsr(struct monitor_vcpu *vcpu, uint32_t index, uint64_t value);

/* What the guest has printed. Any thread, one at a time. */
void platform_print(struct platform *platform, const uint8_t *bytes, unsigned count);

/* Its own devices, for a guest that is saved while no vCPU runs; and before one runs. False: the record is
 * bad. */
void platform_save(const struct platform *platform, struct xen_record *to);
bool platform_restore(struct platform *platform, struct xen_record *from);

/* Gives the guest what is held, also after the end of the input. May more console input be taken? / Take
 * some; false at its end. Main thread. */
bool platform_wants_input(struct platform *platform);
bool platform_input(struct platform *platform);

#endif /* STANDALONE_PLATFORM_H */
