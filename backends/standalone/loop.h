/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The VM's main thread: waits for the end of the VM, the APIC timers, the
 * timeout, signals and console input. Owns how and why the VM ended.
 */
#ifndef STANDALONE_LOOP_H
#define STANDALONE_LOOP_H

#include "signals.h"
#include "vm.h"

struct monitor_loop {
	pthread_mutex_t lock;
	pthread_cond_t came_out;	/* of the guest, for who pauses the vCPUs */
	pthread_cond_t resumed;		/* not paused any more */
	struct monitor_result result;	/* under lock, until the VM is over */
	int wake_fd;			/* eventfd: look again */
	int over_fd;			/* eventfd: readable once the VM is over, and never read */
	int timer_fd;			/* timerfd: the APICs' next expiry */
	int timeout_fd;			/* timerfd */
	struct signals signals;
	uint64_t timeout;		/* nanoseconds; 0: none */
	bool input_ended;
	atomic_uint paused;		/* by so many: no vCPU is to enter the guest (pause.c) */
};

/* Makes vm->loop. Blocks the signals it waits for, for threads made from here on. */
int loop_create(struct monitor_vm *vm, uint64_t timeout, bool signals, char *why, size_t why_size);
void loop_destroy(struct monitor_vm *vm);

/* Until the VM is over. Signals have their usual effect again then, and the terminal is as it
 * was: what is left to be done may block. */
void loop_run(struct monitor_vm *vm);

/* Main thread, before loop_run(): signals and keys that have come have their effect now. False: the VM is
 * over. */
bool loop_look(struct monitor_vm *vm);

/* Any thread: the main thread looks again (there is room for console input). */
void loop_wake(struct monitor_vm *vm);

/* Any thread: call local_apic_bus_tick() at @time (ns, APIC_NEVER: never). */
void loop_set_timer(struct monitor_vm *vm, uint64_t time);

/* As monitor_vm_stop(), from a vCPU, with a formatted line. */
void loop_end(struct monitor_vm *vm, const struct monitor_vcpu *vcpu, enum monitor_end end,
	      int status, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif /* STANDALONE_LOOP_H */
