/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Linear addresses: which are canonical, which are the guest's at all, and
 * MSR_PVM_LINEAR_ADDRESS_RANGE, which says so for the upper half.
 *
 * Pure functions. Never looks at page tables.
 */
#include "rules.h"

bool pvm_canonical_in(uint64_t addr, unsigned bits)
{
	unsigned unused = 64 - bits;

	return (uint64_t)((int64_t)(addr << unused) >> unused) == addr;
}

unsigned pvm_host_address_bits(const struct pvm_vm_config *config)
{
	return config->host_la57 ? 57 : 48;
}

unsigned pvm_guest_address_bits(const struct pvm_vcpu *vcpu)
{
	return vcpu->cr4 & PVM_CR4_LA57 ? 57 : 48;
}

bool pvm_canonical(const struct pvm_vcpu *vcpu, uint64_t addr)
{
	return pvm_canonical_in(addr, pvm_guest_address_bits(vcpu));
}

uint64_t pvm_semi_canonical(const struct pvm_vcpu *vcpu, uint64_t addr)
{
	return pvm_sign_extend_host(vcpu, addr);
}

static uint64_t index_at(uint64_t msr, unsigned shift)
{
	return msr >> shift & PVM_RANGE_INDEX_MASK;
}

/* Is @addr in [start, end), both counted in units of 1 << @shift from the
 * bottom of the topmost 512 units? */
static bool in_units(uint64_t addr, unsigned shift, uint64_t start, uint64_t end)
{
	uint64_t bottom = ~0ull >> shift & ~(uint64_t)PVM_RANGE_INDEX_MASK;
	uint64_t unit = addr >> shift;

	return unit >= bottom + start && unit < bottom + end;
}

/* An end that no MSR may have is the end of the address space; see pvm_linear_range_encode(). */
static uint64_t end_at(uint64_t msr, unsigned start_shift, unsigned end_shift)
{
	uint64_t end = index_at(msr, end_shift);

	return end == PVM_RANGE_INDEX_NONE && index_at(msr, start_shift) != PVM_RANGE_INDEX_NONE ?
	       PVM_PTES_PER_TABLE : end;
}

bool pvm_legal_in(uint64_t addr, uint64_t msr, unsigned bits)
{
	if (!pvm_canonical_in(addr, bits))
		return false;
	if (!(addr >> 63))
		return true;
	return in_units(addr, PVM_LEVEL_SHIFT(4), index_at(msr, PVM_RANGE_PML4_START_SHIFT),
			end_at(msr, PVM_RANGE_PML4_START_SHIFT, PVM_RANGE_PML4_END_SHIFT)) ||
	       in_units(addr, PVM_LEVEL_SHIFT(5), index_at(msr, PVM_RANGE_PML5_START_SHIFT),
			index_at(msr, PVM_RANGE_PML5_END_SHIFT));
}

bool pvm_legal_address(const struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	return pvm_legal_in(gva.v, vcpu->msr.linear_address_range, pvm_guest_address_bits(vcpu));
}

uint64_t pvm_linear_range_encode(const struct pvm_linear_range *range)
{
	/* 512 takes the place of 511, which is not the end of any range of an MSR's. */
	uint64_t end = range->pml4_end == PVM_PTES_PER_TABLE ? PVM_RANGE_INDEX_NONE : range->pml4_end;

	return PVM_RANGE_FIXED_BITS | (uint64_t)range->pml4_start << PVM_RANGE_PML4_START_SHIFT |
	       end << PVM_RANGE_PML4_END_SHIFT |
	       (uint64_t)range->pml5_start << PVM_RANGE_PML5_START_SHIFT |
	       (uint64_t)range->pml5_end << PVM_RANGE_PML5_END_SHIFT;
}

static bool is_none(uint16_t start, uint16_t end)
{
	return start == PVM_RANGE_INDEX_NONE && end == PVM_RANGE_INDEX_NONE;
}

static bool is_range(uint16_t start, uint16_t end)
{
	return start >= PVM_PTES_PER_TABLE / 2 && start < end && end < PVM_RANGE_INDEX_NONE;
}

int pvm_linear_range_decode(uint64_t msr, bool la57, struct pvm_linear_range *range)
{
	struct pvm_linear_range r = {
		.pml4_start = (uint16_t)index_at(msr, PVM_RANGE_PML4_START_SHIFT),
		.pml4_end = (uint16_t)index_at(msr, PVM_RANGE_PML4_END_SHIFT),
		.pml5_start = (uint16_t)index_at(msr, PVM_RANGE_PML5_START_SHIFT),
		.pml5_end = (uint16_t)index_at(msr, PVM_RANGE_PML5_END_SHIFT),
	};

	if ((msr & PVM_RANGE_FIXED_BITS) != PVM_RANGE_FIXED_BITS)
		return PVM_EINVAL;
	if (!is_range(r.pml4_start, r.pml4_end) && !is_none(r.pml4_start, r.pml4_end))
		return PVM_EINVAL;
	if (!is_none(r.pml5_start, r.pml5_end) && !(la57 && is_range(r.pml5_start, r.pml5_end)))
		return PVM_EINVAL;
	*range = r;
	return PVM_OK;
}

/*
 * No PML5 range at all is within every one: a guest that comes from a 4-level
 * host has none. No PML4 range is a value only where the host has none to give.
 */
bool pvm_linear_range_within(const struct pvm_linear_range *range,
			     const struct pvm_linear_range *widest)
{
	if (is_none(range->pml4_start, range->pml4_end) !=
	    is_none(widest->pml4_start, widest->pml4_end))
		return false;
	if (range->pml4_start < widest->pml4_start || range->pml4_end > widest->pml4_end)
		return false;
	return is_none(range->pml5_start, range->pml5_end) ||
	       (range->pml5_start >= widest->pml5_start && range->pml5_end <= widest->pml5_end);
}

bool pvm_linear_range_allowed(const struct pvm_vm_config *config, uint64_t msr)
{
	struct pvm_linear_range range;

	return msr == pvm_linear_range_encode(&config->range) ||
	       (pvm_linear_range_decode(msr, config->host_la57, &range) == PVM_OK &&
		pvm_linear_range_within(&range, &config->range));
}
