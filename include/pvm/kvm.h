/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a VMM says to kvm-pvm.ko beyond /dev/kvm's own interface: KVM_MEMORY_ENCRYPT_OP on a VM, with
 * one of these structures, each of which begins with its number. On a VM of another module it
 * fails with ENOTTY or EINVAL.
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
 * Which guest ABI the VM has: before its first vCPU. Without it: PVM_ABI_DUAL_CR3. Errors: EINVAL
 * (an ABI that is not built, bits in reserved), EBUSY (there is a vCPU), EFAULT.
 */
#define PVM_KVM_SET_ABI		0x50564d01u

struct pvm_kvm_set_abi {
	uint32_t op;		/* PVM_KVM_SET_ABI */
	uint32_t abi;		/* enum pvm_abi */
	uint64_t reserved[3];	/* 0 */
};

#endif /* PVM_KVM_H */
