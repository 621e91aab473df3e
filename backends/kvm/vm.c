// SPDX-License-Identifier: GPL-2.0
/*
 * A VM: what its CPU is like, and the engine's part of it, made when the first vCPU comes, as
 * the guest ABI may be chosen until then.
 */
#include <linux/mm.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>

#include "kvm_pvm.h"

#define SUPERVISOR_CS	0x10	/* emulated selectors of the guest's supervisor mode */
#define SUPERVISOR_SS	0x18
#define GUEST_MAXPHYADDR 46	/* what the guest's CPUID says at most */

static int make_engine(struct pvm_kvm *vm)
{
	const struct pvm_switcher_config *switcher = &pvm_kvm_switcher.config;
	struct pvm_vm_config config = {
		.abi = vm->abi,
		.host_la57 = switcher->features.la57,
		.host_nx = boot_cpu_has(X86_FEATURE_NX),
		.host_pke = switcher->features.pke,
		.host_umip = __read_cr4() & X86_CR4_UMIP,
		.host_osxsave = __read_cr4() & X86_CR4_OSXSAVE,
		.host_page1g = boot_cpu_has(X86_FEATURE_GBPAGES),
		.host_maxphyaddr = boot_cpu_data.x86_phys_bits,
		.guest_maxphyaddr = min_t(int, boot_cpu_data.x86_phys_bits, GUEST_MAXPHYADDR),
		.user32_cs = switcher->user32_cs,
		.user_ds = switcher->user_ds,
		.user_cs = switcher->user_cs,
		.cpunode_sel = switcher->cpunode_sel,
		.tls_index = switcher->tls_index,
		.kernel_cs = SUPERVISOR_CS,
		.kernel_ds = SUPERVISOR_SS,
		/* The upper half above the switcher's slot; with 5 levels that is one of the last table. */
		.range = { .pml4_start = PVM_KVM_SLOT + 1, .pml4_end = 510,
			   .pml5_start = PVM_RANGE_INDEX_NONE, .pml5_end = PVM_RANGE_INDEX_NONE },
		.cpuid = vm->cpuid,
		.switcher_slot = pvm_kvm_switcher.slot,
		.switcher_pml4_slot = pvm_kvm_switcher.pml4_slot,
		.guest_cr4 = PVM_CR4_GUEST & ~(u64)PVM_CR4_LA57,
	};
	const char *why = NULL;
	int error;

	error = pvm_switcher_vm_init(&vm->switcher, &pvm_kvm_switcher);
	if (error)
		return error;
	if (pvm_kvm_is_xen(vm))
		error = pvm_kvm_xen_configure(vm, &config);
	if (error)
		goto no_engine;
	config.switcher_entry = vm->switcher.entry;
	config.switcher_pml4_entry = vm->switcher.pml4_entry;
	if (pvm_vm_config_check(&config, &why)) {
		pr_err_ratelimited("this host cannot run guests: %s\n", why);
		error = -EINVAL;
	} else {
		error = pvm_vm_init(&vm->pvm, &config, &pvm_kvm_host_ops, vm);
	}
	if (!error) {
		error = pvm_kvm_alias_get(vm->kvm.mm);
		if (error)
			pvm_vm_destroy(&vm->pvm);
	}
	if (!error)
		return 0;
no_engine:
	pvm_kvm_xen_destroy(vm);
	pvm_switcher_vm_destroy(&vm->switcher);
	return error;
}

/* vcpu_precreate: the first one makes the engine. */
int pvm_kvm_precreate(struct kvm *kvm)
{
	struct pvm_kvm *vm = to_pvm_kvm(kvm);
	int error = 0;

	mutex_lock(&vm->lock);
	if (!vm->is_made) {
		error = make_engine(vm);
		if (!error) {
			smp_store_release(&vm->is_made, true);
			pvm_kvm_stats_init(vm);
		}
	}
	if (!error)
		error = pvm_kvm_notifier_precreate(kvm);
	mutex_unlock(&vm->lock);
	return error;
}

static bool is_offered(u32 abi)
{
	return abi < PVM_ABI_COUNT && pvm_abi_name(abi);
}

/* What user space learns from /dev/kvm without a VM: <pvm/kvm.h>. */
bool pvm_kvm_feature_msr(u32 index, u64 *value)
{
	int abi;

	if (index != PVM_KVM_MSR_ABIS)
		return false;
	*value = PVM_KVM_ABIS_SIGNATURE;
	for (abi = 0; abi < PVM_ABI_COUNT; abi++)
		if (is_offered(abi))
			*value |= 1ull << abi;
	return true;
}

static int set_abi(struct pvm_kvm *vm, const struct pvm_kvm_set_abi *set)
{
	int error = 0;

	if (set->reserved[0] | set->reserved[1] | set->reserved[2] || !is_offered(set->abi))
		return -EINVAL;
	mutex_lock(&vm->lock);
	if (vm->is_made)
		error = -EBUSY;
	else
		vm->abi = set->abi;
	mutex_unlock(&vm->lock);
	return error;
}

/* The size of an operation's structure; 0: there is no such operation. */
static size_t size_of(u32 op)
{
	switch (op) {
	case PVM_KVM_SET_ABI:
		return sizeof(struct pvm_kvm_set_abi);
	case PVM_KVM_SET_XEN:
		return sizeof(struct pvm_kvm_set_xen);
	case PVM_KVM_XEN_PORT:
		return sizeof(struct pvm_kvm_xen_port);
	case PVM_KVM_XEN_NOTIFY:
		return sizeof(struct pvm_kvm_xen_notify);
	case PVM_KVM_XEN_SAVE:
	case PVM_KVM_XEN_RESTORE:
		return sizeof(struct pvm_kvm_xen_state);
	}
	return 0;
}

int pvm_kvm_private_op(struct kvm *kvm, void __user *argument)
{
	struct pvm_kvm *vm = to_pvm_kvm(kvm);
	union {
		u32 op;
		struct pvm_kvm_set_abi set_abi;
		struct pvm_kvm_set_xen set_xen;
		struct pvm_kvm_xen_port port;
		struct pvm_kvm_xen_notify notify;
		struct pvm_kvm_xen_state state;
	} request;
	size_t size;
	u32 op;

	if (copy_from_user(&op, argument, sizeof(op)))
		return -EFAULT;
	size = size_of(op);
	if (!size)
		return -EINVAL;
	if (copy_from_user(&request, argument, size))
		return -EFAULT;
	request.op = op;	/* which another thread may have changed */
	switch (op) {
	case PVM_KVM_SET_ABI:
		return set_abi(vm, &request.set_abi);
	case PVM_KVM_SET_XEN:
		return pvm_kvm_xen_set(vm, &request.set_xen);
	case PVM_KVM_XEN_PORT:
		return pvm_kvm_xen_port(vm, &request.port);
	case PVM_KVM_XEN_SAVE:
	case PVM_KVM_XEN_RESTORE:
		return pvm_kvm_xen_state(vm, &request.state);
	}
	return pvm_kvm_xen_tell(vm, &request.notify);
}

int pvm_kvm_vm_init(struct kvm *kvm)
{
	struct pvm_kvm *vm = to_pvm_kvm(kvm);

	mutex_init(&vm->lock);
	vm->abi = PVM_ABI_DUAL_CR3;
	pvm_kvm_memory_init(vm);
	return pvm_kvm_notifier_init(vm);
}

void pvm_kvm_vm_destroy(struct kvm *kvm)
{
	struct pvm_kvm *vm = to_pvm_kvm(kvm);
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)		/* some kernels free them later */
		pvm_kvm_vcpu_free(vcpu);
	pvm_kvm_notifier_destroy(vm);
	vm->memory.is_going = true;
	if (vm->is_made) {
		vm->is_made = false;
		pvm_kvm_alias_put(vm->kvm.mm);
		pvm_vm_destroy(&vm->pvm);
		pvm_switcher_vm_destroy(&vm->switcher);
		pvm_kvm_xen_destroy(vm);
	}
	pvm_kvm_memory_destroy(vm);
}

static u32 cpuid_ebx_of(u32 leaf, u32 subleaf)
{
	u32 eax, ebx, ecx, edx;

	cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx);
	return ebx;
}

/* What user space says of the first vCPU's CPU is the VM's; the engine filters it, and knows
 * which vCPU asks. */
void pvm_kvm_after_set_cpuid(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm *vm = to_pvm_kvm(vcpu->kvm);
	unsigned int i, count = min(vcpu->arch.cpuid_nent, PVM_KVM_CPUID_MAX);

	if (vcpu->vcpu_id)
		return;
	for (i = 0; i < count; i++) {
		const struct kvm_cpuid_entry2 *entry = &vcpu->arch.cpuid_entries[i];

		vm->cpuid[i] = (struct pvm_cpuid_entry){
			.leaf = entry->function, .subleaf = entry->index,
			.subleaf_matters = entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = entry->eax, .ebx = entry->ebx, .ecx = entry->ecx, .edx = entry->edx,
		};
		/* Sizes for the XCR0 that the guest has: see set_xsave_state(). */
		if (entry->function == 0xd && entry->index <= 1)
			vm->cpuid[i].ebx = cpuid_ebx_of(entry->function, entry->index);
	}
	if (vm->is_made)
		vm->pvm.config.cpuid_count = count;
}
