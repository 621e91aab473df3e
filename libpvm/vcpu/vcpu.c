/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The life of a VM and of its vCPUs, and the state at power-up.
 *
 * Never allocates: the memory is the caller's, and what the MMU needs comes
 * from the host's operations.
 *
 * spec: PVM modes and states
 */
#include <pvm/mmu.h>

#include "abi/abi.h"
#include "rules.h"
#include "vcpu/ldt.h"

static bool ops_complete(const struct pvm_host_ops *ops)
{
	return ops && ops->page_alloc && ops->page_free && ops->page_va && ops->gfn_to_frame &&
	       ops->gfn_to_va && ops->pin && ops->unpin && ops->tlb_flush && ops->mmu_lock &&
	       ops->mmu_unlock && (ops->event_taken || !ops->events);
}

int pvm_vm_init(struct pvm_vm *vm, const struct pvm_vm_config *config,
		const struct pvm_host_ops *ops, void *host)
{
	const char *why;
	int ret = pvm_vm_config_check(config, &why);

	if (ret != PVM_OK)
		return ret;
	if (!ops_complete(ops))
		return PVM_EINVAL;
	memset(vm, 0, sizeof(*vm));
	vm->config = *config;
	vm->ops = ops;
	vm->abi = pvm_abi_find(config->abi);
	vm->host = host;
	if (vm->abi->vm_init) {
		ret = vm->abi->vm_init(vm);
		if (ret != PVM_OK)
			return ret;
	}
	ret = pvm_mmu_init(vm);
	if (ret != PVM_OK && vm->abi->vm_destroy)
		vm->abi->vm_destroy(vm);
	return ret;
}

void pvm_vm_destroy(struct pvm_vm *vm)
{
	pvm_mmu_destroy(vm);
	if (vm->abi->vm_destroy)
		vm->abi->vm_destroy(vm);
}

static void reset_control(struct pvm_vcpu *vcpu)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	vcpu->cr0 = PVM_CR0_ONES;
	vcpu->cr2 = 0;
	vcpu->cr3 = 0;
	vcpu->cr4 = PVM_CR4_ONES | pvm_cr4_always(vcpu->vm);
	if (config->host_pke)
		vcpu->cr4 |= pvm_cr4_mask(vcpu->vm) & PVM_CR4_PKE;
	vcpu->cr8 = 0;
	vcpu->efer = pvm_efer_of_host(config);

	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = PVM_DR6_FIXED;
	vcpu->dr7 = PVM_DR7_FIXED;
	vcpu->pkru = 0;
}

static void reset_segments(struct pvm_vcpu *vcpu)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	memset(vcpu->seg, 0, sizeof(vcpu->seg));
	vcpu->seg[PVM_CS] = config->kernel_cs;
	vcpu->seg[PVM_SS] = config->kernel_ds;
	vcpu->fs_base = 0;
	vcpu->gs_base = 0;
	memset(vcpu->tls, 0, sizeof(vcpu->tls));
	vcpu->cpunode = vcpu->vm->abi->has_no_tables ? pvm_cpunode_rectify(vcpu->id) : 0;
	vcpu->gdtr = vcpu->idtr = (struct pvm_dtr){
		.base = 0, .limit = vcpu->vm->abi->has_no_tables ? 0 : 0xffff
	};
	vcpu->ldtr = 0;
	vcpu->tr = 0;
}

/* Everything but the MMU's part and the PVCS, which is detached. */
static void reset_state(struct pvm_vcpu *vcpu)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->rip = 0;
	vcpu->rflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	vcpu->user_mode = false;
	vcpu->nmi_masked = false;
	vcpu->nmi_pending = false;
	vcpu->halted = false;
	memset(&vcpu->kept_event, 0, sizeof(vcpu->kept_event));
	vcpu->io_late = false;
	reset_segments(vcpu);
	reset_control(vcpu);

	memset(&vcpu->msr, 0, sizeof(vcpu->msr));
	vcpu->msr.star = pvm_star_reset(config);
	vcpu->msr.pat = PVM_PAT_RESET;
	/* spec: initialized as the widest ranges when the CPU is reset */
	vcpu->msr.linear_address_range = pvm_linear_range_encode(&config->range);
	memset(&vcpu->request, 0, sizeof(vcpu->request));
}

int pvm_vcpu_init(struct pvm_vcpu *vcpu, struct pvm_vm *vm, uint32_t id)
{
	int rc;

	if (id > PVM_VCPU_ID_MAX)
		return PVM_EINVAL;
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->vm = vm;
	vcpu->id = id;
	reset_state(vcpu);
	rc = pvm_mmu_vcpu_init(vcpu);
	if (rc != PVM_OK || !vm->abi->vcpu_init)
		return rc;
	rc = vm->abi->vcpu_init(vcpu);
	if (rc != PVM_OK)
		pvm_mmu_vcpu_destroy(vcpu);
	return rc;
}

void pvm_vcpu_destroy(struct pvm_vcpu *vcpu)
{
	if (vcpu->vm->abi->vcpu_destroy)
		vcpu->vm->abi->vcpu_destroy(vcpu);
	pvm_pvcs_attach(vcpu, 0);
	pvm_ldt_destroy(vcpu);
	pvm_mmu_vcpu_destroy(vcpu);
}

void pvm_vcpu_reset(struct pvm_vcpu *vcpu)
{
	pvm_pvcs_leave(vcpu);		/* S8 */
	if (vcpu->vm->abi->vcpu_reset)
		vcpu->vm->abi->vcpu_reset(vcpu);
	pvm_pvcs_attach(vcpu, 0);
	pvm_ldt_load(vcpu, 0);
	reset_state(vcpu);
	vcpu->state_gen++;
	pvm_mmu_new_cr3(vcpu);
	pvm_mmu_flush_all(vcpu);
}

enum pvm_mode pvm_vcpu_mode(const struct pvm_vcpu *vcpu)
{
	if (!vcpu->user_mode)
		return PVM_MODE_SUPERVISOR;
	if (vcpu->seg[PVM_CS] == vcpu->vm->config.user32_cs || vcpu->seg[PVM_CS] & PVM_SEL_LDT)
		return PVM_MODE_USER32;
	return PVM_MODE_USER64;
}
