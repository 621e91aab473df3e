/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The native executor's own state, per VM and per vCPU. For its files and its
 * tests; the monitor knows nothing but native_executor.
 */
#ifndef NATIVE_NATIVE_H
#define NATIVE_NATIVE_H

#include "../monitor.h"
#include "fill.h"
#include "gate.h"
#include "placement.h"
#include "pool.h"
#include "watchdog.h"

struct native_vm {
	uint64_t lowest;		/* address that a process may map */
	unsigned pkeys;			/* protection keys of each stub */
	bool every_exit;		/* stubs hand nothing over: for tests, which look at each exit */
	bool sysenter;			/* native_has_sysenter() */
	struct watchdog watchdog;
	struct pool_shared pools;
	atomic_bool ptrace_refused, hole_told;	/* said once */

	pthread_mutex_t lock;		/* of what follows; a vCPU in the guest never holds it */
	struct native_vcpu **vcpus;	/* those that flushes must reach */
	unsigned count;
	struct executor_stats stats;	/* of vCPUs that are gone */
};

struct native_vcpu {
	const struct pvm_vcpu *vcpu;
	struct gate gate;
	struct pool pool;
	struct placement placement;
	struct fill_fault fault[2];	/* the last one in supervisor mode, and in user mode */
	uint64_t translations;
	struct {
		uint64_t calls, returns;
	} handed;			/* over, by stubs to each other */
};

static inline struct native_vm *native_vm(const struct monitor_vm *vm)
{
	return vm->executor_vm;
}

/* probe.c */

/* Does SYSENTER enter the host, as on Intel's CPUs, or 32-bit SYSCALL? */
bool native_has_sysenter(void);

int native_probe(struct pvm_vm_config *config, const char *guest, char *why, size_t why_size);

#endif /* NATIVE_NATIVE_H */
