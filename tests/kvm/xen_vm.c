/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_vm.h says. */
#define _GNU_SOURCE
#include "xen_vm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pvm/x86.h>

#define ENTRY_BITS	0x63ull		/* P, W, A, D: the kernel's */

struct pvm_kvm_set_xen xen_vm_sane(uint32_t vcpus)
{
	return (struct pvm_kvm_set_xen){
		.op = PVM_KVM_SET_XEN, .vcpus = vcpus, .pages = XEN_VM_PAGES, .shared_info = XEN_VM_SHARED,
		.grants = XEN_VM_SHARED + 1, .grant_frames = 4,
	};
}

void xen_vm_create(struct xen_vm *x)
{
	struct pvm_kvm_set_abi abi = { .op = PVM_KVM_SET_ABI, .abi = PVM_ABI_XEN_PV };
	struct kvm_enable_cap apics = { .cap = KVM_CAP_SPLIT_IRQCHIP };
	struct kvm_userspace_memory_region slot = { .memory_size = XEN_VM_MEMORY };

	memset(x, 0, sizeof(*x));
	x->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	x->vm = ASK(x->kvm, KVM_CREATE_VM, 0);
	x->memory = mmap(NULL, XEN_VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	slot.userspace_addr = (uintptr_t)x->memory;
	ASK(x->vm, KVM_MEMORY_ENCRYPT_OP, &abi);
	ASK(x->vm, KVM_ENABLE_CAP, &apics);
	ASK(x->vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

void xen_vm_destroy(struct xen_vm *x)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		if (x->run[i])
			munmap(x->run[i], (size_t)ASK(x->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
		if (x->vcpu[i])
			close(x->vcpu[i]);
	}
	close(x->vm);
	close(x->kvm);
	munmap(x->memory, XEN_VM_MEMORY);
}

void xen_vm_load(struct xen_vm *x, const uint8_t *code, size_t size)
{
	uint64_t *tables = (uint64_t *)(x->memory + XEN_VM_TABLES), i;

	memcpy(x->memory + XEN_VM_CODE, code, size);
	for (i = 0; i < 3; i++)
		tables[i * 512] = (XEN_VM_TABLES + (i + 1) * XEN_VM_PAGE) | ENTRY_BITS;
	for (i = 0; i < 512; i++)
		tables[3 * 512 + i] = i * XEN_VM_PAGE | ENTRY_BITS;
}

/* KVM's own. Newer kernels refuse an EFER that it does not have. */
static void set_cpuid(const struct xen_vm *x, unsigned id)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[256];
	} cpuid = { .head.nent = 256 };

	ASK(x->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	ASK(x->vcpu[id], KVM_SET_CPUID2, &cpuid);
}

void xen_vm_begin(struct xen_vm *x, unsigned id)
{
	struct kvm_segment flat = {
		.selector = 0x18, .limit = ~0u, .present = 1, .s = 1, .g = 1, .type = 3, .db = 1,
	};
	struct kvm_regs regs = { .rip = XEN_VM_CODE, .rflags = 2, .rsp = 0x8000 };
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;

	ioctl(x->vcpu[id], KVM_GET_SREGS, &sregs);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	flat.selector = 0x10;
	flat.type = 0xb;
	flat.l = 1;
	flat.db = 0;
	sregs.cs = flat;
	sregs.cr0 = PVM_CR0_PE | PVM_CR0_PG;
	sregs.cr3 = XEN_VM_TABLES;
	sregs.cr4 = PVM_CR4_PAE;
	sregs.efer = PVM_EFER_LME | PVM_EFER_LMA | PVM_EFER_NXE | PVM_EFER_SCE;
	ioctl(x->vcpu[id], KVM_SET_SREGS, &sregs);
	ioctl(x->vcpu[id], KVM_SET_REGS, &regs);
	ioctl(x->vcpu[id], KVM_SET_MP_STATE, &runnable);
}

void xen_vm_add_vcpu(struct xen_vm *x, unsigned id)
{
	x->vcpu[id] = ASK(x->vm, KVM_CREATE_VCPU, id);
	x->run[id] = mmap(NULL, (size_t)ASK(x->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
			  MAP_SHARED, x->vcpu[id], 0);
	set_cpuid(x, id);
	xen_vm_begin(x, id);
}
