/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fuzz target: the shadow MMU under any tables and any sequence of faults,
 * stores to tables, flushes, control changes, and a host that takes memory
 * back and runs out of pages. pvm_mmu_check() judges.
 */
#include <string.h>

#include "host.h"

#define OPERATIONS 64
#define CHECK_EVERY 8

/* Mostly memory that is mapped one to one, the tables among it. */
static pvm_gva_t address(struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);

	if (choice < 0xa0)
		return pvm_gva((uint64_t)(choice % (FUZZ_MEMORY >> PVM_PAGE_SHIFT)) << PVM_PAGE_SHIFT |
			       (fuzz_u8(in) & 0x1f) << 3);
	if (choice < 0xf0)
		return pvm_gva(FUZZ_TABLES + choice % 6 * PVM_PAGE_SIZE + (fuzz_u8(in) & 0x1f) * 8);
	return pvm_gva(fuzz_value(in));
}

static enum pvm_sleep sleep_of(struct fuzz_input *in)
{
	return fuzz_u8(in) & 1 ? PVM_MAY_SLEEP : PVM_NO_SLEEP;
}

static struct pvm_fault_result fault(struct fuzz_host *h, struct fuzz_input *in, pvm_gva_t gva,
				     uint32_t error_code)
{
	struct pvm_fault_result result = pvm_mmu_fault(&h->vcpu, gva, error_code, sleep_of(in));

	if (result.kind == PVM_FAULT_FIXED)
		fuzz_require(result.gpa.v < FUZZ_MEMORY, "M2: what is fixed is in guest memory");
	if (result.kind == PVM_FAULT_FIXED || result.kind == PVM_FAULT_MMIO)
		fuzz_require(pvm_legal_address(&h->vcpu, gva), "M7: no translation outside the legal ranges");
	if (result.kind == PVM_FAULT_INJECT && result.vector == PVM_VEC_PF)
		fuzz_require(!(result.error_code & PVM_PF_U) == !h->vcpu.user_mode,
			     "U is set iff in user mode");
	if (result.kind == PVM_FAULT_ERROR)
		fuzz_require(h->host.allocs_left == 0 && result.error == PVM_ENOMEM,
			     "M11: an error only where memory ran out");
	return result;
}

/* What a guest instruction would do: fault until the shadow tables allow it. */
static void store(struct fuzz_host *h, struct fuzz_input *in)
{
	pvm_gva_t gva = address(in);
	uint64_t value = fuzz_u8(in) & 1 ? fuzz_u64(in) :
		(uint64_t)(fuzz_u8(in) % 33) << PVM_PAGE_SHIFT | (fuzz_u8(in) & 0xe7);
	struct pvm_shadow_leaf leaf;
	unsigned tries = 0;
	pvm_hpa_t root;

	gva.v &= ~7ull;
	do {
		/* A table that this very access shadows loses its protection at the next. */
		fuzz_require(tries++ < 3, "what is fixed for writing can be written");
		if (fault(h, in, gva, PVM_PF_W).kind != PVM_FAULT_FIXED ||
		    pvm_mmu_load(&h->vcpu, &root, PVM_NO_SLEEP) != PVM_OK)
			return;
	} while (!pvm_mmu_shadow_walk(&h->vm, root, gva, &leaf) || !(leaf.entry & PVM_PTE_W));
	memcpy(h->host.memory + (leaf.pa.v & (FUZZ_MEMORY - PVM_PAGE_SIZE)) + (gva.v & 0xff8), &value, 8);
}

static void access_memory(struct fuzz_host *h, struct fuzz_input *in)
{
	struct pvm_fault_result result;
	uint8_t buf[96], choice = fuzz_u8(in);
	pvm_gva_t gva = address(in), where;
	size_t len = fuzz_u8(in) % sizeof(buf);

	fuzz_bytes(in, buf, len);
	if (choice & 1)
		pvm_mmu_write(&h->vcpu, gva, buf, len, &result, &where);
	else if (choice & 2)
		pvm_mmu_read(&h->vcpu, gva, buf, len, choice & 4 ? PVM_ACCESS_EXEC : PVM_ACCESS_READ,
			     &result, &where);
	else
		pvm_mmu_translate(&h->vcpu, gva, choice & (PVM_ACCESS_WRITE | PVM_ACCESS_EXEC),
				  choice & 8, &result);
}

static void flush(struct fuzz_host *h, struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 4) {
	case 0:
		pvm_mmu_flush_all(&h->vcpu);
		break;
	case 1:
		pvm_mmu_flush_current(&h->vcpu);
		break;
	case 2:
		pvm_mmu_flush_cr3(&h->vcpu, fuzz_value(in));
		break;
	default:
		pvm_mmu_invlpg(&h->vcpu, address(in));
	}
}

static void change_registers(struct fuzz_host *h, struct fuzz_input *in)
{
	struct pvm_vcpu *vcpu = &h->vcpu;
	uint64_t cr3 = vcpu->cr3;

	switch (fuzz_u8(in) % 6) {
	case 0:
		pvm_cr_write(vcpu, 3, FUZZ_TABLES + fuzz_u8(in) % 8 * PVM_PAGE_SIZE);
		break;
	case 1:
		pvm_cr_write(vcpu, 4, vcpu->cr4 ^ (1ull << fuzz_u8(in) % 25));
		break;
	case 2:
		vcpu->efer ^= PVM_EFER_NXE;
		break;
	case 3:
		pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, fuzz_value(in));
		break;
	case 4:
		vcpu->pkru = fuzz_u32(in);
		break;
	default:
		vcpu->cr3 = vcpu->msr.switch_cr3;
		vcpu->msr.switch_cr3 = cr3;
		vcpu->user_mode = !vcpu->user_mode;
	}
}

static void host_acts(struct fuzz_host *h, struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);
	uint64_t gfn = fuzz_u8(in) % (FUZZ_MEMORY >> PVM_PAGE_SHIFT), at;

	switch (choice % 5) {
	case 0:
		pvm_mmu_unmap_gfns(&h->vm, pvm_gfn(gfn), fuzz_value(in), PVM_MAY_SLEEP);
		break;
	case 1:
		pvm_mmu_write_protect_gfns(&h->vm, pvm_gfn(gfn), fuzz_u8(in), PVM_MAY_SLEEP);
		break;
	case 2:
		at = gfn << PVM_PAGE_SHIFT | (fuzz_u8(in) & 0x1f) << 3;
		fuzz_bytes(in, h->host.memory + at, 8);
		pvm_mmu_host_wrote(&h->vm, pvm_gfn(gfn), PVM_MAY_SLEEP);
		break;
	case 3:
		pvm_mmu_shrink(&h->vm, fuzz_u8(in) % 16, PVM_MAY_SLEEP);
		break;
	default:
		h->host.allocs_left = choice & 0x80 ? -1 : fuzz_u8(in) % 8;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fuzz_host h;
	unsigned i;

	fuzz_host_init(&h, &in);
	fuzz_vcpu(&h, &in);
	for (i = 0; i < OPERATIONS && in.left; i++) {
		const char *wrong;
		uint8_t what = fuzz_u8(&in) % 16;

		if (what < 5)
			fault(&h, &in, address(&in), fuzz_u8(&in) & (PVM_PF_W | PVM_PF_I | PVM_PF_PK));
		else if (what < 10)
			store(&h, &in);
		else if (what < 11)
			access_memory(&h, &in);
		else if (what < 13)
			flush(&h, &in);
		else if (what < 14)
			change_registers(&h, &in);
		else
			host_acts(&h, &in);
		wrong = i % CHECK_EVERY && in.left ? NULL : pvm_mmu_check(&h.vm);
		fuzz_require(!wrong, wrong);
		fuzz_require(h.host.lock_depth == 0, "the MMU lock is not held");
	}
	fuzz_host_fini(&h);
	return 0;
}
