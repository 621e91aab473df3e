/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A VM of Xen PV on nothing but /dev/kvm's ioctls, of up to two vCPUs: 2 MiB of memory in slot 0, the guest's
 * page tables in it, which map it at its addresses for the kernel. For programs that test kvm-pvm.
 */
#ifndef KVM_XEN_VM_H
#define KVM_XEN_VM_H

#include <pvm/kvm.h>
#include <pvm/vcpu.h>
#include <pvm/xen.h>

#include "machine.h"

#define XEN_VM_PAGE	4096ull
#define XEN_VM_MEMORY	(2ull << 20)
#define XEN_VM_PAGES	(XEN_VM_MEMORY / XEN_VM_PAGE - 8)	/* the guest's own; then the shared_info */
#define XEN_VM_SHARED	XEN_VM_PAGES
#define XEN_VM_CODE	0x1000ull	/* where vCPUs begin */
#define XEN_VM_TABLES	0x10000ull	/* four, each below the one before */

struct xen_vm {
	int kvm, vm, vcpu[2];
	struct kvm_run *run[2];
	uint8_t *memory;
};

/* What PVM_KVM_SET_XEN may say. */
struct pvm_kvm_set_xen xen_vm_sane(uint32_t vcpus);

/* Without vCPUs, and PVM_KVM_SET_XEN is not called. */
void xen_vm_create(struct xen_vm *x);
void xen_vm_destroy(struct xen_vm *x);

/* The page tables, and code at its place. */
void xen_vm_load(struct xen_vm *x, const uint8_t *code, size_t size);

/* With the registers of its first instruction. */
void xen_vm_add_vcpu(struct xen_vm *x, unsigned id);
/* These registers, which may be refused. */
void xen_vm_begin(struct xen_vm *x, unsigned id);

#endif /* KVM_XEN_VM_H */
