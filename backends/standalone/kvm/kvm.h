/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The kvm executor's own state, per VM and per vCPU. For its files; the monitor knows nothing
 * but kvm_executor.
 *
 * It owns the descriptors of a VM of /dev/kvm, and the way between KVM's structures and the
 * monitor's. The engine, the local APICs and their timers are kvm-pvm.ko's, in the kernel; devices,
 * console, timeouts and signals are the monitor's as with every executor. It must never trust an
 * address or a size from struct kvm_run's union for more than the guest may have anyway.
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include <linux/kvm.h>

#include "../monitor.h"

#define KVM_EXITS	64	/* exit reasons that are counted, each by its number */
#define KVM_CPUID_MAX	256

struct kvm_vcpu {
	int fd;				/* or -1 */
	struct kvm_run *run;		/* shared with the kernel; NULL: not mapped */
	size_t run_size;
	pthread_t thread;		/* while the monitor's vCPU is live */
	bool io_pending;		/* the kernel completes an IN or OUT at the next KVM_RUN */
	uint64_t exits[KVM_EXITS];
	uint64_t interrupted;		/* KVM_RUN came back for a signal */
};

struct kvm_vm {
	int device, fd;			/* or -1 */
	struct kvm_vcpu *vcpus;
	uint32_t count;
};

static inline struct kvm_vm *kvm_vm(const struct monitor_vm *vm)
{
	return vm->executor_vm;
}

static inline struct kvm_vcpu *kvm_vcpu(const struct monitor_vcpu *vcpu)
{
	return &kvm_vm(vcpu->vm)->vcpus[vcpu->pvm.id];
}

/* probe.c */
int kvm_probe(struct pvm_vm_config *config, const char *guest, char *why, size_t why_size);
bool kvm_available(char *why, size_t why_size);

/**
 * kvm_registers_put - the registers at a vCPU's first instruction, from vcpu->pvm to KVM.
 * Returns 0, or -1 with one line in @why.
 */
int kvm_registers_put(struct monitor_vcpu *vcpu, char *why, size_t why_size);

/**
 * kvm_registers_get - all of a vCPU that does not run, from KVM to vcpu->pvm.
 * Returns NULL, or what cannot be read or is not possible; vcpu->pvm is then as it was.
 */
const char *kvm_registers_get(struct monitor_vcpu *vcpu);

/* Only its mode and rip, for a trace. */
void kvm_registers_place(struct monitor_vcpu *vcpu);

/* state.c */
extern const struct executor_saving_ops kvm_saving;

/* exits.c: KVM_RUN has come back with an exit to user space; ends the VM where it must. */
void kvm_exit_handle(struct monitor_vcpu *vcpu);
const char *kvm_exit_name(uint32_t reason);

/* stats.c */
void kvm_print_stats(struct monitor_vm *vm, FILE *to);

#endif /* KVM_KVM_H */
