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
 * The rest of PVM_ABI_XEN_PV: what its guest is told, before the first vCPU. KVM_CREATE_VCPU's ids are below
 * vcpus, and all of them are made before one runs (KVM_RUN: EINVAL). A local APIC in the kernel
 * (KVM_CAP_SPLIT_IRQCHIP or KVM_CREATE_IRQCHIP) is for halts alone. Every vCPU begins in 64-bit mode on a
 * page table of the guest's, and KVM_MP_STATE_RUNNABLE; of the first one the other registers count, too.
 * The guest's end is KVM_EXIT_SYSTEM_EVENT, with an enum pvm_xen_shutdown in data[0].
 *
 * Errors: EINVAL (more than there can be), EBUSY (there is a vCPU), EFAULT. Frames that are not memory when
 * the first vCPU comes are an EINVAL there.
 */
#define PVM_KVM_SET_XEN		0x50564d02u

struct pvm_kvm_set_xen {
	uint32_t op;			/* PVM_KVM_SET_XEN */
	uint32_t vcpus;			/* 1..128 */
	uint64_t pages;			/* of memory, from gfn 0 on */
	uint64_t shared_info, grants;	/* gfns of memory above that */
	uint32_t grant_frames;		/* 0..64, one after the other */
	uint32_t reserved;		/* 0 */
};

/*
 * An event channel between the guest and user space: a new port, or one that the guest has allocated for
 * its host. Returns the port. When the guest notifies it, 1 is added to the eventfd. A VM has at
 * most 256 eventfds in its life. Errors: EBADF and EINVAL (no eventfd; no such port or vCPU, not such a
 * VM, or no vCPU yet), ENOSPC, EFAULT.
 */
#define PVM_KVM_XEN_PORT	0x50564d03u

struct pvm_kvm_xen_port {
	uint32_t op;		/* PVM_KVM_XEN_PORT */
	int32_t fd;		/* an eventfd */
	uint32_t port;		/* that the guest has allocated; 0: a new one */
	uint32_t vcpu;		/* whom a new one tells at first */
	uint64_t reserved;	/* 0 */
};

/*
 * Notify the guest at a port of that kind. The dirty log learns of what that writes when the vCPU that is
 * told has run again. Errors: EINVAL (it is none; the slot of the shared_info is gone), EAGAIN (no vCPU has
 * run), EFAULT.
 */
#define PVM_KVM_XEN_NOTIFY	0x50564d04u

struct pvm_kvm_xen_notify {
	uint32_t op;		/* PVM_KVM_XEN_NOTIFY */
	uint32_t port;
};

/*
 * What such a VM has beyond memory and what KVM's own ioctls give of a vCPU: for snapshots.
 * <pvm/xen_state.h> has the structures and the order of a restore. No vCPU may be in KVM_RUN; saving
 * changes nothing. To be saved of a vCPU by KVM's ioctls: REGS, SREGS, XCRS, XSAVE, DEBUGREGS, VCPU_EVENTS,
 * and of its MSRs KERNEL_GS_BASE, TSC_AUX, PVM_KVM_MSR_TLS0 and its two next, and PVM_KVM_MSR_EVENT.
 *
 * Errors: EINVAL (not such a VM, or no vCPU yet; no such @what or vCPU; another size; a state that is
 * refused, and the kernel's log names the field), EBUSY (a vCPU is in an ioctl; to restore: one has run
 * already), EAGAIN (what the vCPU was about to do is not done: let it run on a little, and save then),
 * EFAULT, ENOMEM.
 */
#define PVM_KVM_XEN_SAVE	0x50564d05u
#define PVM_KVM_XEN_RESTORE	0x50564d06u

enum {
	PVM_KVM_XEN_STATE_VM,		/* struct pvm_xen_vm_state */
	PVM_KVM_XEN_STATE_VCPU,		/* struct pvm_xen_vcpu_state, of vCPU @index */
	PVM_KVM_XEN_STATE_TABLES,	/* pinned: a bit for each frame from @index on, a multiple of 64 */
};

#define PVM_KVM_XEN_TABLES_MAX	4096u	/* bytes of bits at a time, in words of 8 */

struct pvm_kvm_xen_state {
	uint32_t op;		/* PVM_KVM_XEN_SAVE or PVM_KVM_XEN_RESTORE */
	uint32_t what;
	uint64_t index;		/* 0 where it has no meaning */
	uint64_t data;		/* address of the structure, or of the words */
	uint64_t size;		/* its size, bytes */
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
