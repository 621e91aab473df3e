/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Xen PV: its table of operations, the life of what it keeps for a VM and for a vCPU, and its
 * CPUID leaves. xen_pv.h says which file has what.
 *
 * The root tables of kernel and user mode are CR3 and MSR_PVM_SWITCH_CR3, as with dual CR3; user
 * mode's has what the guest's entries give to it.
 */
#include "abi/xen_pv/xen_pv.h"

enum { EAX, EBX, ECX, EDX };

#define CPUID_BASE	PVM_CPUID_HYPERVISOR_FIRST
#define CPUID_VERSION	(CPUID_BASE + 1)
#define CPUID_CALLS	(CPUID_BASE + 2)
#define CPUID_TIME	(CPUID_BASE + 3)
#define CPUID_PV	(CPUID_BASE + 5)

/* Not for this guest: what its kernel runs without, because it is not at ring 0, and what of PVM's own is
 * no part of the interface. */
#define CR4_HIDDEN	(PVM_CR4_PSE | PVM_CR4_PGE | PVM_CR4_PCE | PVM_CR4_UMIP | PVM_CR4_LA57 | \
			 PVM_CR4_PCIDE | PVM_CR4_PKE | PVM_CR4_PKS)

static int page_alloc(struct pvm_vm *vm, struct pvm_host_page *page)
{
	return vm->ops->page_alloc(vm->host, PVM_MAY_SLEEP, page);
}

static void free_vm(struct pvm_vm *vm)
{
	struct xen_vm *xen = xen_vm(vm);
	struct pvm_host_page own = xen->own;
	unsigned i;

	for (i = 0; i < XEN_PORT_PAGES; i++)
		if (xen->ports[i].va)
			vm->ops->page_free(vm->host, xen->ports[i]);
	vm->abi_data = NULL;
	vm->ops->page_free(vm->host, own);
}

static int init_vm(struct pvm_vm *vm)
{
	const struct pvm_host_ops *ops = vm->ops;
	struct pvm_host_page own;
	struct xen_vm *xen;
	unsigned i;

	if (!ops->clock || !ops->set_timer || !ops->kick)
		return PVM_EINVAL;
	/* S9: what guests' arguments are judged by. */
	if (!vm->config.xen.vcpus || vm->config.xen.vcpus > PVM_XEN_VCPUS_MAX ||
	    vm->config.xen.grant_frames > PVM_XEN_GRANT_FRAMES_MAX)
		return PVM_EINVAL;
	if (page_alloc(vm, &own) != PVM_OK)
		return PVM_ENOMEM;
	xen = vm->abi_data = own.va;
	xen->own = own;
	for (i = 0; i < XEN_PORT_PAGES; i++) {
		if (page_alloc(vm, &xen->ports[i]) != PVM_OK) {
			xen->ports[i].va = NULL;
			free_vm(vm);
			return PVM_ENOMEM;
		}
	}
	return PVM_OK;
}

static void destroy_vm(struct pvm_vm *vm)
{
	struct xen_vm *xen = xen_vm(vm);

	if (xen->shared)
		vm->ops->unpin(vm->host, vm->config.xen.shared_info, xen->shared_page);
	free_vm(vm);
}

/* The first vCPU is up from the beginning; the host gives it its registers. */
static void reset_vcpu(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	struct pvm_host_page own = xen->own;

	__atomic_store_n(&xen->info, NULL, __ATOMIC_SEQ_CST);
	memset(xen, 0, offsetof(struct xen_vcpu, tellers));
	xen->own = own;
	xen->deadline[XEN_DEADLINE_TIMER] = xen->deadline[XEN_DEADLINE_POLL] = PVM_NO_DEADLINE;
	xen->life = vcpu->id ? XEN_FRESH : XEN_UP;
}

static int init_vcpu(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_host_page own;

	if (vcpu->id >= PVM_XEN_VCPUS_MAX || vcpu->id >= vm->config.xen.vcpus || xen_vm(vm)->vcpu[vcpu->id])
		return PVM_EINVAL;
	if (page_alloc(vm, &own) != PVM_OK)
		return PVM_ENOMEM;
	vcpu->abi_data = own.va;
	xen_vcpu(vcpu)->own = own;
	reset_vcpu(vcpu);
	__atomic_store_n(&xen_vm(vm)->vcpu[vcpu->id], vcpu, __ATOMIC_RELEASE);
	return PVM_OK;
}

static void destroy_vcpu(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;

	__atomic_store_n(&xen_vm(vm)->vcpu[vcpu->id], NULL, __ATOMIC_RELEASE);
	vm->ops->page_free(vm->host, xen_vcpu(vcpu)->own);
	vcpu->abi_data = NULL;
}

static bool interrupt_flag(const struct pvm_vcpu *vcpu)
{
	return !xen_masked(vcpu);
}

/* INT n: the guest's own gate says who may. */
static bool software_gate(const struct pvm_vcpu *vcpu, uint8_t vector)
{
	const struct xen_vcpu *xen = xen_vcpu(vcpu);

	return xen->trap[vector] && (!vcpu->user_mode || (xen->trap_flags[vector] & PVM_XEN_TRAP_DPL) == 3);
}

static uint64_t other_cr3(const struct pvm_vcpu *vcpu)
{
	return vcpu->msr.switch_cr3;
}

static void cpuid(const struct pvm_vm_config *config, uint32_t leaf, uint32_t highest, uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
	switch (leaf) {
	case CPUID_BASE:
		out[EAX] = highest;
		out[EBX] = 0x566e6558;	/* "XenV" */
		out[ECX] = 0x65584d4d;	/* "MMXe" */
		out[EDX] = 0x4d4d566e;	/* "nVMM" */
		break;
	case CPUID_VERSION:
		out[EAX] = PVM_XEN_VERSION;
		break;
	/* TSC mode 0: it ticks, but is no clock. A restored guest has another host's. */
	case CPUID_TIME:
		break;
	case CPUID_PV:
		out[EBX] = config->guest_maxphyaddr;
		break;
	case CPUID_CALLS:	/* no pages with calls to fill by MSR */
		break;
	}
}

const struct pvm_abi_ops pvm_abi_xen_pv = {
	.name = "xen-pv",
	.vm_init = init_vm,
	.vm_destroy = destroy_vm,
	.vcpu_init = init_vcpu,
	.vcpu_destroy = destroy_vcpu,
	.vcpu_reset = reset_vcpu,
	.entry = pvm_xen_entry,
	.syscall = pvm_xen_syscall,
	.user_syscall = pvm_xen_user_syscall,
	.return_user = pvm_xen_iret,
	.return_supervisor = pvm_xen_iret,
	.hypercalls = pvm_xen_rows,
	.hypercall_count = PVM_XEN_HYPERCALLS,
	.hypercall_mask = XEN_ROWS - 1,
	.hypercall_numbers = PVM_XEN_HYPERCALLS,
	.deliver = pvm_xen_deliver,
	.interrupt_flag = interrupt_flag,
	.software_gate = software_gate,
	.pvcs_size = sizeof(struct pvm_xen_vcpu_info),
	.pvcs_align = sizeof(uint64_t),
	.cpuid = cpuid,
	.cpuid_highest = CPUID_PV,
	.has_no_tables = true,
	.has_xen_cpuid = true,
	.cr4_hidden = CR4_HIDDEN,
	.pvcs_leaves = pvm_xen_leave_info,
	.pvcs_moved = pvm_xen_show_info,
	.no_ports = true,
	.has_ldt = true,
	.last_slot = true,
	.writes_tables = true,
	.flushes_are_seen = true,
	.other_cr3 = other_cr3,
	.root_role = { { .word = 0 }, { .us = 1, .user_root = 1, .user_path = 1 } },
};
