/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Control registers: which values they may hold, and what a write to them sets
 * off in the MMU. Also EFER's rule, which belongs to CR4's, and RFLAGS.
 *
 * Never checks who asks: the privilege check is the caller's.
 *
 * A fixed bit with the wrong value is #GP, as for fixed bits in VMX operation
 * (SDM vol. 3, 24.8). A bit that follows the host cannot be set where the host
 * lacks it (#GP), and stays set where the host has it.
 *
 * spec: States or registers on PVM modes
 */
#include <pvm/mmu.h>
#include <pvm/trace.h>

#include "abi/abi.h"
#include "rules.h"

/* Never set while a guest runs, whatever the host has: what CPL 3 could do with them is not
 * the guest's to do, or changes what its code sees. */
#define CR4_NEVER	(PVM_CR4_VME | PVM_CR4_PVI | PVM_CR4_PCE | PVM_CR4_KL | PVM_CR4_UINTR | \
			 PVM_CR4_LASS | PVM_CR4_LAM_SUP)

uint64_t pvm_cr4_of_abi(const struct pvm_vm *vm)
{
	return vm->abi->cr4_fixed ? vm->abi->cr4_fixed(&vm->config) : 0;
}

uint64_t pvm_cr4_always(const struct pvm_vm *vm)
{
	/* Every 64-bit host has these two: the ABI of its own programs needs them. */
	uint64_t bits = PVM_CR4_OSFXSR | PVM_CR4_OSXMMEXCPT;

	if (vm->config.host_umip)
		bits |= PVM_CR4_UMIP;
	if (vm->config.host_osxsave)
		bits |= PVM_CR4_OSXSAVE;
	return bits | pvm_cr4_of_abi(vm);
}

uint64_t pvm_efer_of_host(const struct pvm_vm_config *config)
{
	return PVM_EFER_ONES | (config->host_nx ? PVM_EFER_NXE : 0);
}

static bool cpuid_has_la57(const struct pvm_vcpu *vcpu)
{
	uint32_t out[4];

	pvm_cpuid(vcpu, PVM_CPUID_LEAF_FEATURES, 0, out);
	return out[2] & PVM_CPUID_7_ECX_LA57;
}

uint64_t pvm_cr4_mask(const struct pvm_vm *vm)
{
	uint64_t mask = vm->config.guest_cr4 ? vm->config.guest_cr4 : PVM_CR4_GUEST;

	return (mask & ~vm->abi->cr4_hidden) | PVM_CR4_ONES | pvm_cr4_always(vm);
}

uint64_t pvm_cr4_refused(const struct pvm_vcpu *vcpu, uint64_t cr4)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint64_t always = pvm_cr4_always(vcpu->vm), refused;

	/* VME, PVI, SMAP, SMEP where the ABI has it not, what needs work not done here, and what
	 * the host forbids. */
	refused = cr4 & ~pvm_cr4_mask(vcpu->vm);
	refused |= ~cr4 & PVM_CR4_ONES;
	refused |= cr4 & (PVM_CR4_UMIP | PVM_CR4_OSXSAVE) & ~always;
	/* spec: Protection Keys */
	if (!config->host_pke)
		refused |= cr4 & PVM_CR4_PKE;
	if (!(cr4 & PVM_CR4_PKE))
		refused |= cr4 & PVM_CR4_PKS;
	if ((cr4 & PVM_CR4_LA57) && !cpuid_has_la57(vcpu))
		refused |= PVM_CR4_LA57;
	return refused;
}

bool pvm_cr4_allowed(const struct pvm_vcpu *vcpu, uint64_t cr4)
{
	return !pvm_cr4_refused(vcpu, cr4);
}

uint64_t pvm_vcpu_underlying_cr4(const struct pvm_vcpu *vcpu, uint64_t host_cr4, bool user_mode)
{
	uint64_t own = pvm_cr4_mask(vcpu->vm) & PVM_CR4_TSD;

	host_cr4 &= ~(uint64_t)CR4_NEVER & ~own;
	return user_mode ? host_cr4 | (vcpu->cr4 & own) : host_cr4;
}

bool pvm_cr3_allowed(const struct pvm_vm_config *config, uint64_t cr3)
{
	return cr3 >> config->guest_maxphyaddr == 0;
}

/* Every bit of CR0 is fixed: a write is right or #GP, and changes nothing. */
static int write_cr0(uint64_t value)
{
	if (!pvm_fits_u32(value))
		return PVM_EINVAL;
	/* The reserved bits of the lower half are ignored. */
	return (value & (PVM_CR0_ONES | PVM_CR0_ZEROS)) == PVM_CR0_ONES ? PVM_OK : PVM_EINVAL;
}

static int write_cr3(struct pvm_vcpu *vcpu, uint64_t value)
{
	bool flush = true;

	if ((vcpu->cr4 & PVM_CR4_PCIDE) && (value & PVM_CR3_NOFLUSH)) {
		flush = false;
		value &= ~PVM_CR3_NOFLUSH;
	}
	if (!pvm_cr3_allowed(&vcpu->vm->config, value))
		return PVM_EINVAL;
	vcpu->cr3 = value;
	pvm_mmu_new_cr3(vcpu);
	if (flush)
		pvm_mmu_flush_cr3(vcpu, value);
	return PVM_OK;
}

static int write_cr4(struct pvm_vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu->cr4, changed, refused = pvm_cr4_refused(vcpu, value), written = value;

	value |= pvm_cr4_always(vcpu->vm);
	changed = old ^ value;
	/* x86: not in IA-32e mode. PVM_HC_LOAD_PGTBL changes it with the tables. */
	refused |= changed & PVM_CR4_LA57;
	if (vcpu->cr3 & PVM_CR3_PCID_MASK)
		refused |= changed & value & PVM_CR4_PCIDE;
	if (refused) {
		pvm_trace_vcpu(vcpu, PVM_TRACE_CR4, written, refused, vcpu->rip, 0);
		return PVM_EINVAL;
	}
	vcpu->cr4 = value;
	if (changed & (PVM_CR4_PKE | PVM_CR4_PKS))
		pvm_mmu_new_cr3(vcpu);
	/* SDM vol. 3, 4.10.4.1: these two invalidate everything. */
	if ((changed & PVM_CR4_PGE) || (changed & old & PVM_CR4_PCIDE))
		pvm_mmu_flush_all(vcpu);
	return PVM_OK;
}

static int write_cr8(struct pvm_vcpu *vcpu, uint64_t value)
{
	if (value & ~(uint64_t)PVM_CR8_TPR)
		return PVM_EINVAL;
	vcpu->cr8 = value;
	return PVM_OK;
}

int pvm_cr_write(struct pvm_vcpu *vcpu, unsigned cr, uint64_t value)
{
	vcpu->state_gen++;
	switch (cr) {
	case 0:
		return write_cr0(value);
	case 2:
		vcpu->cr2 = value;
		return PVM_OK;
	case 3:
		return write_cr3(vcpu, value);
	case 4:
		return write_cr4(vcpu, value);
	case 8:
		return write_cr8(vcpu, value);
	}
	return PVM_ENOENT;
}

int pvm_cr_read(struct pvm_vcpu *vcpu, unsigned cr, uint64_t *value)
{
	switch (cr) {
	case 0:
		*value = vcpu->cr0;
		return PVM_OK;
	case 2:
		*value = vcpu->cr2;
		return PVM_OK;
	case 3:
		*value = vcpu->cr3;
		return PVM_OK;
	case 4:
		*value = vcpu->cr4;
		return PVM_OK;
	case 8:
		*value = vcpu->cr8;
		return PVM_OK;
	}
	return PVM_ENOENT;
}

uint64_t pvm_rflags_sanitize(uint64_t rflags)
{
	return pvm_rflags_sane(rflags);
}

uint64_t pvm_vcpu_rflags(const struct pvm_vcpu *vcpu)
{
	uint64_t rflags = vcpu->rflags & ~(uint64_t)PVM_RFLAGS_IF;

	if (vcpu->user_mode)
		return rflags | PVM_RFLAGS_IF;
	return vcpu->vm->abi->interrupt_flag(vcpu) ? rflags | PVM_RFLAGS_IF : rflags;
}
