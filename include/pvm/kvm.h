/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a VMM and kvm-pvm.ko say to each other beyond /dev/kvm's own interface: a feature MSR by which
 * /dev/kvm is known to be PVM's; KVM_MEMORY_ENCRYPT_OP on a VM, with a structure that begins with its
 * number, and fails with ENOTTY or EINVAL on a VM of another module; and what a triple fault was.
 *
 * Shared by backends/kvm/ and user space. Numbers and layouts are for good.
 */
#ifndef PVM_KVM_H
#define PVM_KVM_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/*
 * A feature MSR: KVM_GET_MSRS on /dev/kvm itself, which makes no VM. Its upper half is the signature, its
 * lower half has a bit for each guest ABI that is built, 1 << enum pvm_abi. Other modules of KVM do not
 * know it: KVM_GET_MSRS reads no MSR then, or a 0 (kvm.ignore_msrs).
 */
#define PVM_KVM_MSR_ABIS	0x50564d00u
#define PVM_KVM_ABIS_SIGNATURE	0x50564d6100000000ull
#define PVM_KVM_ABIS_MASK	0x00000000ffffffffull

/*
 * What of a vCPU no other ioctl has: by KVM_GET_MSRS and KVM_SET_MSRS on it, for snapshots. The guest
 * does not know them. The three TLS descriptors of LOAD_TLS, 8 bytes each; PVM_KVM_VCPU_NMI_PENDING; and
 * pvm_vcpu_state::event, an exception or NMI that waits for memory.
 */
#define PVM_KVM_MSR_TLS0	0x50564d10u
#define PVM_KVM_TLS_COUNT	3u
#define PVM_KVM_MSR_VCPU	0x50564d13u
#define PVM_KVM_MSR_EVENT	0x50564d14u
#define PVM_KVM_VCPU_NMI_PENDING 1ull	/* an NMI waits within the engine */

/*
 * Which guest ABI the VM has: before its first vCPU. Without it: PVM_ABI_DUAL_CR3. Errors: EINVAL
 * (an ABI that is not built, bits in reserved), EBUSY (there is a vCPU), EFAULT.
 */
#define PVM_KVM_SET_ABI		0x50564d01u

struct pvm_kvm_set_abi {
	uint32_t op;		/* PVM_KVM_SET_ABI */
	uint32_t abi;		/* enum pvm_abi */
	uint64_t reserved[3];	/* 0 */
};

/*
 * KVM_EXIT_SHUTDOWN: why there was a triple fault. At the place of struct kvm_run's `internal`, where
 * KVM itself writes nothing for this exit; what has another signature is not one.
 */
#define PVM_KVM_SHUTDOWN_SIGNATURE 0x50564d73u

struct pvm_kvm_shutdown {
	uint32_t signature;	/* PVM_KVM_SHUTDOWN_SIGNATURE */
	uint32_t reason;	/* enum pvm_shutdown */
	uint32_t vector;	/* of the event that could not be delivered; 0xff: none */
	uint32_t reserved;	/* 0 */
	uint64_t address;	/* what was out of place: an entry, a stack, a CR3 */
};

#endif /* PVM_KVM_H */
