/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Debug registers, and what of DR7 reaches the CPU.
 *
 * DR7.GD is kept for the guest; the emulation of MOV DR raises its #DB. Never
 * hands the CPU a breakpoint outside the guest's own addresses (M7).
 *
 * spec: Underlying DR6, Underlying DR7, MSR_PVM_LINEAR_ADDRESS_RANGE
 */
#include "rules.h"

#define DR_COUNT	4

/* The bits of DR6 and DR7 that are neither fixed nor reserved. */
#define DR6_CAUSES	(PVM_DR6_BP_MASK | PVM_DR6_BD | PVM_DR6_BS | PVM_DR6_BT)
#define DR7_WRITABLE	(0xffff03ffull | PVM_DR7_GD)

/* On access to an I/O port, SDM vol. 3, 17.2.4: the upper bit of R/W alone. */
#define DR7_RW_IO(n)	(PVM_DR7_RW(n) & PVM_DR7_RW(n) << 1)

uint64_t pvm_dr6_stored(uint64_t value)
{
	return (value & DR6_CAUSES) | PVM_DR6_FIXED;
}

uint64_t pvm_dr7_stored(uint64_t value)
{
	return (value & DR7_WRITABLE) | PVM_DR7_FIXED;
}

/* DR4 and DR5 are DR6 and DR7, unless CR4.DE. Returns 0..3, 6, 7, or -1: #UD. */
static int resolve(const struct pvm_vcpu *vcpu, unsigned dr)
{
	if (dr > 7)
		return -1;
	if (dr != 4 && dr != 5)
		return (int)dr;
	return vcpu->cr4 & PVM_CR4_DE ? -1 : (int)dr + 2;
}

int pvm_dr_read(struct pvm_vcpu *vcpu, unsigned dr, uint64_t *value)
{
	int number = resolve(vcpu, dr);

	if (number < 0)
		return PVM_ENOENT;
	if (number == 6)
		*value = vcpu->dr6;
	else if (number == 7)
		*value = vcpu->dr7;
	else
		*value = vcpu->dr[pvm_index_clamped((uint64_t)number, DR_COUNT)];
	return PVM_OK;
}

int pvm_dr_write(struct pvm_vcpu *vcpu, unsigned dr, uint64_t value)
{
	int number = resolve(vcpu, dr);

	if (number < 0)
		return PVM_ENOENT;
	vcpu->state_gen++;
	if (number < DR_COUNT) {
		vcpu->dr[pvm_index_clamped((uint64_t)number, DR_COUNT)] = value;
		return PVM_OK;
	}
	if (!pvm_fits_u32(value))
		return PVM_EINVAL;
	if (number == 6)
		vcpu->dr6 = pvm_dr6_stored(value);
	else
		vcpu->dr7 = pvm_dr7_stored(value);
	return PVM_OK;
}

uint64_t pvm_vcpu_underlying_dr7(const struct pvm_vcpu *vcpu)
{
	uint64_t dr7 = pvm_dr7_stored(vcpu->dr7) & ~(uint64_t)PVM_DR7_GD;
	unsigned n;

	for (n = 0; n < DR_COUNT; n++) {
		/* M7; a watched I/O port is none either: IN and OUT trap and are emulated. */
		if (!pvm_legal_address(vcpu, pvm_gva(vcpu->dr[n])) ||
		    (dr7 & PVM_DR7_RW(n)) == DR7_RW_IO(n))
			dr7 &= ~(PVM_DR7_ENABLE(n) | PVM_DR7_RW_LEN(n));
	}
	return dr7;
}
