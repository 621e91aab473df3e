/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A /dev/kvm of the test's own, behind the calls of the kvm executor's device.c: PVM's or
 * another's, whole or lacking something; KVM_RUN is a function of the test's.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_VCPUS 4
#define FAKE_PORTS 16
#define FAKE_XEN_STATES 3	/* PVM_KVM_XEN_STATE_* */

struct fake_xen_state {
	uint8_t bytes[64 << 10];
};

struct fake_kernel {
	int open_errno;			/* 0: /dev/kvm can be opened */
	int version;			/* of the API */
	bool is_pvm;			/* kvm-pvm.ko */
	bool ignores_msrs;		/* kvm.ignore_msrs: unknown MSRs read as 0 */
	uint32_t abis;
	unsigned long fails;		/* this request fails ... */
	int fails_errno;		/* ... so */
	/* KVM_RUN of a vCPU. Returns 0, or an errno. */
	int (*run)(unsigned vcpu, struct kvm_run *run);

	uint64_t xcr0;
	unsigned saves_fail;		/* so many vCPUs cannot be saved yet: EAGAIN */

	/* What it has seen. */
	bool has_run;			/* a vCPU: it can be told of events */
	unsigned notified;
	int port_fd[FAKE_PORTS];	/* whom it notifies */
	struct fake_xen_state xen_state[FAKE_XEN_STATES];
	struct kvm_xsave xsave[FAKE_VCPUS];
	unsigned opened, vms, vcpus;
	int descriptors;		/* open now */
	uint32_t abi;			/* PVM_KVM_SET_ABI */
	struct kvm_userspace_memory_region memory;
	struct kvm_regs regs[FAKE_VCPUS];
	struct kvm_sregs sregs[FAKE_VCPUS];
	uint64_t switch_cr3[FAKE_VCPUS];
	uint32_t timing_khz;		/* of the timing leaf, as KVM_SET_CPUID2 had it */
};

extern struct fake_kernel fake_kernel;

/* PVM's, whole, and a guest that writes 0 to the debug-exit port. */
void fake_kernel_install(void);

/* For run(): what KVM_RUN leaves. */
void fake_port(struct kvm_run *run, uint16_t port, bool write, uint8_t value);
/* For run(): until a kick; EINTR. */
int fake_until_kick(unsigned vcpu, struct kvm_run *run);

#endif /* FAKE_KERNEL_H */
