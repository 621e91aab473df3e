/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * An executor without a CPU: each run() is a function of the test's, so that
 * the monitor around it can be shown step by step.
 */
#ifndef FAKE_EXECUTOR_H
#define FAKE_EXECUTOR_H

#include "vm.h"

struct fake {
	/* What the guest does next; sets the exit. */
	void (*run)(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit);
	bool upper_half;		/* probe() offers a range there */
	bool probe_fails, vm_init_fails;
	int vcpu_init_fails;		/* id of the vCPU, or -1 */
	atomic_uint runs, kicks, vcpus_alive, vms_alive;
};

extern struct fake fake;
extern const struct executor_ops fake_executor;

/* Forget everything; every run() exits with status 0. */
void fake_reset(void);

/* Ways for a run() to end. */
void fake_out(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit, uint16_t port, uint8_t value);
void fake_exception(struct pvm_guest_exit *exit, uint8_t vector, uint32_t error_code);
/* The guest runs on until a kick. */
void fake_wait_for_kick(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit);

#endif /* FAKE_EXECUTOR_H */
