/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Instructions on descriptor-table registers. PVM ignores these registers:
 * they are remembered so that they read back, and nothing else.
 *
 * spec: GDTR, TR, IDT, LDTR; SGDT/SIDT/SLDT/STR/SMSW
 */
#include "hypercall/engine.h"

/* The memory operand of LGDT and SGDT in 64-bit mode. */
struct descriptor_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static enum pvm_action load_table(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
				  struct pvm_dtr *dtr)
{
	struct descriptor_register operand;
	enum pvm_action action;

	if (pvm_insn_read(vcpu, insn->address, &operand, sizeof(operand), &action) != PVM_OK)
		return action;
	if (!pvm_canonical(vcpu, operand.base))
		return pvm_event_gp(vcpu, 0);
	dtr->base = operand.base;
	dtr->limit = operand.limit;
	return pvm_insn_done(vcpu, insn->length);
}

static enum pvm_action store_table(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
				   const struct pvm_dtr *dtr)
{
	const struct descriptor_register operand = { .limit = dtr->limit, .base = dtr->base };
	enum pvm_action action;

	if (pvm_insn_write(vcpu, insn->address, &operand, sizeof(operand), &action) != PVM_OK)
		return action;
	return pvm_insn_done(vcpu, insn->length);
}

static enum pvm_action load_selector(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
				     uint16_t *selector)
{
	uint16_t value = (uint16_t)vcpu->gpr[insn->reg];
	enum pvm_action action;

	if (insn->memory &&
	    pvm_insn_read(vcpu, insn->address, &value, sizeof(value), &action) != PVM_OK)
		return action;
	*selector = value;
	return pvm_insn_done(vcpu, insn->length);
}

static enum pvm_action store_selector(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
				      uint16_t selector)
{
	enum pvm_action action;

	if (!insn->memory)
		pvm_gpr_write(vcpu, insn->reg, selector, insn->size);
	else if (pvm_insn_write(vcpu, insn->address, &selector, sizeof(selector), &action) != PVM_OK)
		return action;
	return pvm_insn_done(vcpu, insn->length);
}

enum pvm_action pvm_insn_descriptor(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	switch (insn->op) {
	case PVM_INSN_LGDT:
		return load_table(vcpu, insn, &vcpu->gdtr);
	case PVM_INSN_LIDT:
		return load_table(vcpu, insn, &vcpu->idtr);
	case PVM_INSN_SGDT:
		return store_table(vcpu, insn, &vcpu->gdtr);
	case PVM_INSN_SIDT:
		return store_table(vcpu, insn, &vcpu->idtr);
	case PVM_INSN_LLDT:
		return load_selector(vcpu, insn, &vcpu->ldtr);
	case PVM_INSN_LTR:
		return load_selector(vcpu, insn, &vcpu->tr);
	case PVM_INSN_SLDT:
		return store_selector(vcpu, insn, vcpu->ldtr);
	default:
		return store_selector(vcpu, insn, vcpu->tr);
	}
}
