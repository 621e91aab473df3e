/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Model-specific registers: those of x86 that the specification mentions, with the rule
 * of each. Those of a guest ABI, wherever its range is, are the ABI's.
 *
 * Reading is a fast path of the engine (PVM_HC_RDMSR): one switch, no tables.
 * Never checks who asks, and never answers for an MSR that is the backend's.
 *
 * spec: X86 MSR, PVM MSRs
 */
#include <pvm/mmu.h>

#include "abi/abi.h"
#include "rules.h"

/*
 * spec: MSR_STAR. x86 forces the RPL of the user selectors to 3 and of the
 * kernel's CS to 0 when it derives them, so those bits may be anything there;
 * it does not force the kernel's SS, so with it the kernel's field has RPL 0.
 */
bool pvm_star_allowed(const struct pvm_vm_config *config, uint64_t star)
{
	uint16_t kernel = (uint16_t)(star >> PVM_STAR_SYSCALL_SHIFT);
	uint16_t user = (uint16_t)(star >> PVM_STAR_SYSRET_SHIFT);

	return (uint16_t)((user + PVM_STAR_SYSRET_SS) | PVM_SEL_RPL) == config->user_ds &&
	       (uint16_t)((user + PVM_STAR_SYSRET_CS64) | PVM_SEL_RPL) == config->user_cs &&
	       (kernel & ~PVM_SEL_RPL) == config->kernel_cs &&
	       (uint16_t)(kernel + PVM_STAR_SYSCALL_SS) == config->kernel_ds;
}

uint64_t pvm_star_reset(const struct pvm_vm_config *config)
{
	return (uint64_t)config->user32_cs << PVM_STAR_SYSRET_SHIFT |
	       (uint64_t)config->kernel_cs << PVM_STAR_SYSCALL_SHIFT;
}

/* Each byte is a memory type: 0, 1, 4, 5, 6 or 7. SDM vol. 3, 12.12.2 */
bool pvm_pat_allowed(uint64_t pat)
{
	unsigned i;

	for (i = 0; i < 8; i++) {
		uint8_t type = (uint8_t)(pat >> (8 * i));

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

/* EFER never changes. LMA is read-only; NXE follows the host: it stays where
 * the host has it, and cannot come where the host has not. */
static int write_efer(const struct pvm_vm_config *config, uint64_t value)
{
	uint64_t efer = pvm_efer_of_host(config);

	value |= efer & (PVM_EFER_LMA | PVM_EFER_NXE);
	return value == efer ? PVM_OK : PVM_EINVAL;
}

/* What a value is judged by: the registers beside it, or for a host that restores it the widest that they
 * may hold. */
static unsigned address_bits(const struct pvm_vcpu *vcpu)
{
	return vcpu->restores ? pvm_host_address_bits(&vcpu->vm->config) : pvm_guest_address_bits(vcpu);
}

static uint64_t legal_range(const struct pvm_vcpu *vcpu)
{
	return vcpu->restores ? pvm_linear_range_encode(&vcpu->vm->config.range) :
				vcpu->msr.linear_address_range;
}

static int write_base(const struct pvm_vcpu *vcpu, uint64_t *base, uint64_t value)
{
	if (!pvm_canonical_in(value, address_bits(vcpu)))
		return PVM_EINVAL;
	*base = value;
	return PVM_OK;
}

int pvm_msr_write_entry(const struct pvm_vcpu *vcpu, uint64_t *entry, uint64_t value, uint64_t size)
{
	uint64_t range = legal_range(vcpu);
	unsigned bits = address_bits(vcpu);

	if (!pvm_legal_in(value, range, bits) || !pvm_legal_in(value + size, range, bits))
		return PVM_EINVAL;
	*entry = value;
	return PVM_OK;
}

static int write_u32(uint64_t *msr, uint64_t value)
{
	if (!pvm_fits_u32(value))
		return PVM_EINVAL;
	*msr = value;
	return PVM_OK;
}

static int write_star(struct pvm_vcpu *vcpu, uint64_t value)
{
	if (!pvm_star_allowed(&vcpu->vm->config, value))
		return PVM_EINVAL;
	vcpu->msr.star = value;
	return PVM_OK;
}

static int write_pat(struct pvm_vcpu *vcpu, uint64_t value)
{
	if (!pvm_pat_allowed(value))
		return PVM_EINVAL;
	vcpu->msr.pat = value;
	return PVM_OK;
}

/* Takes effect in the underlying PKRU at the next entry to supervisor mode. */
static int write_pkrs(struct pvm_vcpu *vcpu, uint64_t value)
{
	if (!vcpu->vm->config.host_pke)
		return PVM_EINVAL;
	return write_u32(&vcpu->msr.pkrs, value);
}

static int write_x86(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct pvm_msrs *msr = &vcpu->msr;

	switch (index) {
	case PVM_MSR_EFER:
		return write_efer(&vcpu->vm->config, value);
	case PVM_MSR_STAR:
		return write_star(vcpu, value);
	case PVM_MSR_LSTAR:
		return pvm_msr_write_entry(vcpu, &msr->lstar, value, 0);
	case PVM_MSR_FS_BASE:
		return write_base(vcpu, &vcpu->fs_base, value);
	case PVM_MSR_GS_BASE:
		return write_base(vcpu, &vcpu->gs_base, value);
	case PVM_MSR_KERNEL_GS_BASE:
		return write_base(vcpu, &msr->kernel_gs_base, value);
	case PVM_MSR_TSC_AUX:
		return write_u32(&msr->tsc_aux, value);
	case PVM_MSR_IA32_PAT:
		return write_pat(vcpu, value);
	case PVM_MSR_IA32_PKRS:
		return write_pkrs(vcpu, value);
	case PVM_MSR_IA32_XSS:		/* spec: CPUID leaf: not enabled */
		return PVM_EINVAL;
	}
	return PVM_ENOENT;
}

/* spec: MSR_SYSCALL_MASK, MSR_CSTAR, MSR_IA32_SYSENTER_*: no effect. They keep
 * what was written, as a guest that reads back expects. */
static uint64_t *ignored_msr(struct pvm_vcpu *vcpu, uint32_t index)
{
	struct pvm_msrs *msr = &vcpu->msr;

	switch (index) {
	case PVM_MSR_SYSCALL_MASK:
		return &msr->syscall_mask;
	case PVM_MSR_CSTAR:
		return &msr->cstar;
	case PVM_MSR_IA32_SYSENTER_CS:
		return &msr->sysenter_cs;
	case PVM_MSR_IA32_SYSENTER_ESP:
		return &msr->sysenter_esp;
	case PVM_MSR_IA32_SYSENTER_EIP:
		return &msr->sysenter_eip;
	}
	return NULL;
}

static bool is_abis(const struct pvm_abi_ops *abi, uint32_t index)
{
	return index - abi->msr_base < abi->msr_count;
}

bool pvm_msr_range_is_free(const struct pvm_abi_ops *abi)
{
	static const uint32_t x86[] = {
		PVM_MSR_TSC_AUX, PVM_MSR_IA32_SYSENTER_CS, PVM_MSR_IA32_SYSENTER_ESP,
		PVM_MSR_IA32_SYSENTER_EIP, PVM_MSR_IA32_PAT, PVM_MSR_IA32_PKRS, PVM_MSR_IA32_XSS,
		PVM_MSR_EFER, PVM_MSR_STAR, PVM_MSR_LSTAR, PVM_MSR_CSTAR, PVM_MSR_SYSCALL_MASK,
		PVM_MSR_FS_BASE, PVM_MSR_GS_BASE, PVM_MSR_KERNEL_GS_BASE,
	};
	unsigned i;

	for (i = 0; i < sizeof(x86) / sizeof(x86[0]); i++)
		if (is_abis(abi, x86[i]))
			return false;
	return true;
}

int pvm_msr_write(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	const struct pvm_abi_ops *abi = vcpu->vm->abi;
	uint64_t *ignored;
	int rc;

	if (is_abis(abi, index)) {
		vcpu->state_gen++;
		return abi->msr_write(vcpu, index, value);
	}
	ignored = ignored_msr(vcpu, index);
	if (ignored) {
		vcpu->state_gen++;
		*ignored = value;
		return PVM_OK;
	}
	rc = write_x86(vcpu, index, value);
	/* One of the backend's, as an interrupt controller's, changes nothing here. */
	if (rc != PVM_ENOENT)
		vcpu->state_gen++;
	return rc;
}

/* Events check entry points again (M7). */
int pvm_msr_restore(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	int rc;

	vcpu->restores = true;
	rc = pvm_msr_write(vcpu, index, value);
	vcpu->restores = false;
	return rc;
}

/* NULL: not an MSR that is a plain word of the vCPU. */
static inline const uint64_t *msr_word(const struct pvm_vcpu *vcpu, uint32_t index)
{
	const struct pvm_msrs *msr = &vcpu->msr;

	switch (index) {
	case PVM_MSR_EFER:			return &vcpu->efer;
	case PVM_MSR_STAR:			return &msr->star;
	case PVM_MSR_LSTAR:			return &msr->lstar;
	case PVM_MSR_CSTAR:			return &msr->cstar;
	case PVM_MSR_SYSCALL_MASK:		return &msr->syscall_mask;
	case PVM_MSR_FS_BASE:			return &vcpu->fs_base;
	case PVM_MSR_GS_BASE:			return &vcpu->gs_base;
	case PVM_MSR_KERNEL_GS_BASE:		return &msr->kernel_gs_base;
	case PVM_MSR_TSC_AUX:			return &msr->tsc_aux;
	case PVM_MSR_IA32_SYSENTER_CS:		return &msr->sysenter_cs;
	case PVM_MSR_IA32_SYSENTER_ESP:		return &msr->sysenter_esp;
	case PVM_MSR_IA32_SYSENTER_EIP:		return &msr->sysenter_eip;
	case PVM_MSR_IA32_PAT:			return &msr->pat;
	}
	return NULL;
}

static PVM_NOINLINE int read_other(const struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	const struct pvm_abi_ops *abi = vcpu->vm->abi;

	if (is_abis(abi, index))
		return abi->msr_read(vcpu, index, value);
	if (index == PVM_MSR_IA32_XSS)
		return PVM_EINVAL;
	if (index == PVM_MSR_IA32_PKRS && vcpu->vm->config.host_pke) {
		*value = vcpu->msr.pkrs;
		return PVM_OK;
	}
	return index == PVM_MSR_IA32_PKRS ? PVM_EINVAL : PVM_ENOENT;
}

int pvm_msr_read(struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	const uint64_t *word = msr_word(vcpu, index);

	if (pvm_unlikely(!word))
		return read_other(vcpu, index, value);
	*value = *word;
	return PVM_OK;
}
