/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Instructions that trap: who may execute them, and what all emulations have
 * in common. Decodes nothing: the backend did.
 *
 * spec: X86 Instructions with changed behavior, PVM Synthetic Instructions
 */
#include "abi/abi.h"
#include "hypercall/engine.h"

static void step_over(struct pvm_vcpu *vcpu, uint8_t length)
{
	vcpu->rip += length;
	if (pvm_vcpu_mode(vcpu) == PVM_MODE_USER32)
		vcpu->rip = (uint32_t)vcpu->rip;
	vcpu->rflags &= ~PVM_RFLAGS_RF;
}

enum pvm_action pvm_insn_done(struct pvm_vcpu *vcpu, uint8_t length)
{
	enum pvm_action action;
	uint64_t rip;

	step_over(vcpu, length);
	if (pvm_likely(!(vcpu->rflags & PVM_RFLAGS_TF)))
		return pvm_event_resume(vcpu);
	if (!vcpu->host_steps)
		return pvm_event_debug(vcpu, PVM_DR6_BS);
	rip = vcpu->rip;
	action = pvm_event_resume(vcpu);
	vcpu->stepped = vcpu->rip == rip;	/* else it is #GP's handler */
	return action;
}

enum pvm_action pvm_insn_fault(struct pvm_vcpu *vcpu, const struct pvm_fault_result *fault,
			       pvm_gva_t gva, bool write)
{
	if (fault->kind == PVM_FAULT_MMIO) {
		vcpu->request.mmio.gva = gva;
		vcpu->request.mmio.gpa = fault->gpa;
		vcpu->request.mmio.write = write;
		return PVM_ACT_MMIO;
	}
	if (fault->kind == PVM_FAULT_WOULD_BLOCK)
		return PVM_ACT_RETRY;
	if (fault->vector == PVM_VEC_PF)
		return pvm_event_pf(vcpu, gva, fault->error_code);
	return pvm_event_deliver(vcpu, fault->vector, fault->error_code);
}

int pvm_insn_read(struct pvm_vcpu *vcpu, uint64_t address, void *buf, size_t len, enum pvm_action *action)
{
	struct pvm_fault_result fault;
	pvm_gva_t gva;

	if (pvm_mmu_read(vcpu, pvm_gva(address), buf, len, PVM_ACCESS_READ, &fault, &gva) == PVM_OK)
		return PVM_OK;
	*action = pvm_insn_fault(vcpu, &fault, gva, false);
	return PVM_EFAULT;
}

int pvm_insn_write(struct pvm_vcpu *vcpu, uint64_t address, const void *buf, size_t len,
		   enum pvm_action *action)
{
	struct pvm_fault_result fault;
	pvm_gva_t gva;

	if (pvm_mmu_write(vcpu, pvm_gva(address), buf, len, &fault, &gva) == PVM_OK)
		return PVM_OK;
	*action = pvm_insn_fault(vcpu, &fault, gva, true);
	return PVM_EFAULT;
}

static enum pvm_action emulate_cpuid(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	uint32_t out[4];

	pvm_cpuid(vcpu, (uint32_t)vcpu->gpr[PVM_RAX], (uint32_t)vcpu->gpr[PVM_RCX], out);
	vcpu->gpr[PVM_RAX] = out[0];
	vcpu->gpr[PVM_RBX] = out[1];
	vcpu->gpr[PVM_RCX] = out[2];
	vcpu->gpr[PVM_RDX] = out[3];
	return pvm_insn_done(vcpu, insn->length);
}

/* INT n. INT 3 and INT 0x80 are traps: RIP is after them. */
static enum pvm_action emulate_int(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	bool (*gate)(const struct pvm_vcpu *vcpu, uint8_t vector) = vcpu->vm->abi->software_gate;
	uint8_t vector = (uint8_t)insn->value;

	if (gate ? !gate(vcpu, vector) : vector != PVM_VEC_BP && vector != PVM_VEC_SYSCALL32)
		return pvm_event_gp(vcpu, (uint32_t)vector << PVM_ERROR_INDEX_SHIFT | PVM_ERROR_IDT);
	step_over(vcpu, insn->length);
	return pvm_event_deliver(vcpu, vector, 0);
}

/* HLT waits for an interrupt if IF is set, else for an NMI; a single-step #DB
 * ends it at once. */
static enum pvm_action emulate_hlt(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	if (vcpu->rflags & PVM_RFLAGS_TF)
		return pvm_insn_done(vcpu, insn->length);
	step_over(vcpu, insn->length);
	if (!pvm_rip_runnable(vcpu, vcpu->rip))		/* S1 */
		return pvm_event_resume(vcpu);
	vcpu->halted = true;
	return PVM_ACT_HALT;
}

static enum pvm_action emulate_if(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	pvm_event_set_if(vcpu, insn->op == PVM_INSN_STI);
	return pvm_insn_done(vcpu, insn->length);
}

static enum pvm_action emulate_invlpg(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	pvm_mmu_invlpg(vcpu, pvm_gva(insn->address));
	return pvm_insn_done(vcpu, insn->length);
}

static enum pvm_action emulate_supervisor(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
					  uint8_t vector, uint32_t error_code)
{
	switch (insn->op) {
	case PVM_INSN_RDMSR:
		return pvm_insn_rdmsr(vcpu, insn);
	case PVM_INSN_WRMSR:
		return pvm_insn_wrmsr(vcpu, insn);
	case PVM_INSN_IN:
	case PVM_INSN_OUT:
		return pvm_insn_io(vcpu, insn);
	case PVM_INSN_INS:
	case PVM_INSN_OUTS:
		return pvm_insn_string_io(vcpu, insn);
	case PVM_INSN_HLT:
		return emulate_hlt(vcpu, insn);
	case PVM_INSN_CLI:
	case PVM_INSN_STI:
		return emulate_if(vcpu, insn);
	case PVM_INSN_INVLPG:
		return emulate_invlpg(vcpu, insn);
	case PVM_INSN_INVPCID:
		return pvm_insn_invpcid(vcpu, insn);
	case PVM_INSN_MOV_TO_CR:
	case PVM_INSN_MOV_FROM_CR:
	case PVM_INSN_MOV_TO_DR:
	case PVM_INSN_MOV_FROM_DR:
	case PVM_INSN_LMSW:
	case PVM_INSN_SMSW:
	case PVM_INSN_XSETBV:
		return pvm_insn_register(vcpu, insn);
	case PVM_INSN_LGDT:
	case PVM_INSN_LIDT:
	case PVM_INSN_LLDT:
	case PVM_INSN_LTR:
	case PVM_INSN_SGDT:
	case PVM_INSN_SIDT:
	case PVM_INSN_SLDT:
	case PVM_INSN_STR:
		return pvm_insn_descriptor(vcpu, insn);
	case PVM_INSN_CLTS:	/* CR0.TS is always 0 */
	case PVM_INSN_WBINVD:
		return pvm_insn_done(vcpu, insn->length);
	case PVM_INSN_RDPMC:	/* no performance counters: every index is out of range */
		return pvm_event_gp(vcpu, 0);
	default:		/* not allowed (SWAPGS, ..), or nothing we know */
		return pvm_event_deliver(vcpu, vector, error_code);
	}
}

/* Could a CPU have decoded this? A backend that got it wrong harms no one. */
static bool insn_is_sane(const struct pvm_insn *insn)
{
	return insn->length >= 1 && insn->length <= PVM_INSN_MAX_LENGTH &&
	       insn->reg < PVM_GPR_COUNT && insn->creg < 16;
}

enum pvm_action pvm_handle_insn(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
				uint8_t vector, uint32_t error_code)
{
	if (!insn_is_sane(insn))
		return pvm_event_deliver(vcpu, vector, error_code);

	pvm_trace_vcpu(vcpu, PVM_TRACE_INSN, insn->op, vcpu->rip, 0, 0);
	switch (insn->op) {
	case PVM_INSN_SYNTHETIC_CPUID:	/* its INVLPG does nothing: no legal address */
	case PVM_INSN_CPUID:
		return emulate_cpuid(vcpu, insn);
	case PVM_INSN_XEN_CPUID:
		if (vcpu->vm->abi->has_xen_cpuid)
			return emulate_cpuid(vcpu, insn);
		return pvm_event_deliver(vcpu, vector, error_code);
	case PVM_INSN_INT:
		return emulate_int(vcpu, insn);
	case PVM_INSN_SYSENTER:
		return pvm_event_gp(vcpu, 0);
	case PVM_INSN_SYSCALL32:	/* MSR_CSTAR is ignored: there is no such instruction */
		return pvm_event_ud(vcpu);
	default:
		break;
	}
	if (vcpu->user_mode)
		return pvm_event_deliver(vcpu, vector, error_code);
	return emulate_supervisor(vcpu, insn, vector, error_code);
}
