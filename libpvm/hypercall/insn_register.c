/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Instructions on control, debug and extended control registers, and INVPCID.
 * The registers' own rules are vcpu/'s.
 */
#include "hypercall/engine.h"

/* What LMSW can write; it can set PE, not clear it. */
#define CR0_LMSW	(PVM_CR0_PE | PVM_CR0_MP | PVM_CR0_EM | PVM_CR0_TS)

/* The memory operand of INVPCID. */
struct invpcid_descriptor {
	uint64_t pcid;		/* bits 12..63 must be 0 */
	uint64_t address;
};

/* The exception for what pvm_cr_*() and pvm_dr_*() refuse. */
static enum pvm_action refused(struct pvm_vcpu *vcpu, int err)
{
	return err == PVM_ENOENT ? pvm_event_ud(vcpu) : pvm_event_gp(vcpu, 0);
}

static enum pvm_action finish(struct pvm_vcpu *vcpu, const struct pvm_insn *insn, int err)
{
	if (err != PVM_OK)
		return refused(vcpu, err);
	return pvm_insn_done(vcpu, insn->length);
}

/* DR7.GD: #DB with DR6.BD before any access; #UD for DR4 and DR5 comes first. */
static bool general_detect(struct pvm_vcpu *vcpu, unsigned dr)
{
	uint64_t ignored;

	return (vcpu->dr7 & PVM_DR7_GD) && pvm_dr_read(vcpu, dr, &ignored) == PVM_OK;
}

static enum pvm_action debug_register(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	if (general_detect(vcpu, insn->creg))
		return pvm_event_debug(vcpu, PVM_DR6_BD);
	if (insn->op == PVM_INSN_MOV_TO_DR)
		return finish(vcpu, insn, pvm_dr_write(vcpu, insn->creg, vcpu->gpr[insn->reg]));
	return finish(vcpu, insn, pvm_dr_read(vcpu, insn->creg, &vcpu->gpr[insn->reg]));
}

static enum pvm_action lmsw(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	uint16_t msw = (uint16_t)vcpu->gpr[insn->reg];
	enum pvm_action action;
	uint64_t cr0;

	if (insn->memory &&
	    pvm_insn_read(vcpu, insn->address, &msw, sizeof(msw), &action) != PVM_OK)
		return action;
	cr0 = (vcpu->cr0 & ~(CR0_LMSW & ~PVM_CR0_PE)) | (msw & CR0_LMSW);
	return finish(vcpu, insn, pvm_cr_write(vcpu, 0, cr0));
}

static enum pvm_action smsw(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	uint16_t msw = (uint16_t)vcpu->cr0;
	enum pvm_action action;

	if (!insn->memory)
		pvm_gpr_write(vcpu, insn->reg, vcpu->cr0, insn->size);
	else if (pvm_insn_write(vcpu, insn->address, &msw, sizeof(msw), &action) != PVM_OK)
		return action;
	return pvm_insn_done(vcpu, insn->length);
}

static bool xcr0_valid(const struct pvm_vcpu *vcpu, uint64_t xcr0)
{
	uint32_t out[4];

	pvm_cpuid(vcpu, PVM_CPUID_LEAF_XSTATE, 0, out);
	if (xcr0 & ~((uint64_t)out[3] << 32 | out[0]))
		return false;
	if (!(xcr0 & PVM_XCR0_X87) || ((xcr0 & PVM_XCR0_AVX) && !(xcr0 & PVM_XCR0_SSE)))
		return false;
	/* The three of AVX-512 come together, and with AVX. */
	return !(xcr0 & PVM_XCR0_AVX512) ||
	       ((xcr0 & PVM_XCR0_AVX512) == PVM_XCR0_AVX512 && (xcr0 & PVM_XCR0_AVX));
}

/*
 * XCR0 is the host's, and XGETBV shows that in every mode: like CR4.OSXSAVE it
 * cannot be the guest's own. A value that the CPU would take, of the features
 * that the guest's CPUID offers, is accepted without effect; any other is #GP.
 */
static enum pvm_action xsetbv(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	uint64_t xcr0 = vcpu->gpr[PVM_RDX] << 32 | (uint32_t)vcpu->gpr[PVM_RAX];

	if (!(vcpu->cr4 & PVM_CR4_OSXSAVE))
		return pvm_event_ud(vcpu);
	if ((uint32_t)vcpu->gpr[PVM_RCX] != 0 || !xcr0_valid(vcpu, xcr0))
		return pvm_event_gp(vcpu, 0);
	return pvm_insn_done(vcpu, insn->length);
}

enum pvm_action pvm_insn_register(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	switch (insn->op) {
	case PVM_INSN_MOV_TO_CR:
		return finish(vcpu, insn, pvm_cr_write(vcpu, insn->creg, vcpu->gpr[insn->reg]));
	case PVM_INSN_MOV_FROM_CR:
		return finish(vcpu, insn, pvm_cr_read(vcpu, insn->creg, &vcpu->gpr[insn->reg]));
	case PVM_INSN_MOV_TO_DR:
	case PVM_INSN_MOV_FROM_DR:
		return debug_register(vcpu, insn);
	case PVM_INSN_LMSW:
		return lmsw(vcpu, insn);
	case PVM_INSN_SMSW:
		return smsw(vcpu, insn);
	default:
		return xsetbv(vcpu, insn);
	}
}

static bool invpcid_valid(const struct pvm_vcpu *vcpu, uint64_t type,
			  const struct invpcid_descriptor *descriptor)
{
	if (type > PVM_INVPCID_ALL || descriptor->pcid & ~PVM_CR3_PCID_MASK)
		return false;
	if (type >= PVM_INVPCID_ALL_GLOBAL)
		return true;
	if (descriptor->pcid && !(vcpu->cr4 & PVM_CR4_PCIDE))
		return false;
	return type != PVM_INVPCID_ADDRESS || pvm_canonical(vcpu, descriptor->address);
}

/* TLB entries are tagged by root table, not by PCID: a PCID that is not the
 * current one may be any table's. */
enum pvm_action pvm_insn_invpcid(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	uint64_t type = vcpu->gpr[insn->reg];
	struct invpcid_descriptor descriptor;
	enum pvm_action action;
	bool current;

	if (pvm_insn_read(vcpu, insn->address, &descriptor, sizeof(descriptor), &action) != PVM_OK)
		return action;
	if (!invpcid_valid(vcpu, type, &descriptor))
		return pvm_event_gp(vcpu, 0);

	current = !(vcpu->cr4 & PVM_CR4_PCIDE) || descriptor.pcid == (vcpu->cr3 & PVM_CR3_PCID_MASK);
	if (type >= PVM_INVPCID_ALL_GLOBAL || !current)
		pvm_mmu_flush_all(vcpu);
	else if (type == PVM_INVPCID_CONTEXT)
		pvm_mmu_flush_current(vcpu);
	else
		pvm_mmu_invlpg(vcpu, pvm_gva(descriptor.address));
	return pvm_insn_done(vcpu, insn->length);
}
