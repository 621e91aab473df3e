/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The decoder's twin: Zydis' view of an instruction, cut down to what the engine
 * emulates. Pure: no state, no memory access but to the bytes given.
 */
#include "reference.h"

#include <Zydis/Zydis.h>
#include <pvm/xen.h>
#include <string.h>

#define PREFIX_REPNE	0xf2
#define PREFIX_REP	0xf3

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static enum pvm_insn_op control_move(const struct decoded *d)
{
	bool to = d->operand[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
	bool from = to && d->operand[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
	ZydisRegisterClass dst = to ? ZydisRegisterGetClass(d->operand[0].reg.value) : ZYDIS_REGCLASS_INVALID;
	ZydisRegisterClass src =
		from ? ZydisRegisterGetClass(d->operand[1].reg.value) : ZYDIS_REGCLASS_INVALID;

	if (dst == ZYDIS_REGCLASS_CONTROL)
		return PVM_INSN_MOV_TO_CR;
	if (src == ZYDIS_REGCLASS_CONTROL)
		return PVM_INSN_MOV_FROM_CR;
	if (dst == ZYDIS_REGCLASS_DEBUG)
		return PVM_INSN_MOV_TO_DR;
	if (src == ZYDIS_REGCLASS_DEBUG)
		return PVM_INSN_MOV_FROM_DR;
	return PVM_INSN_UNKNOWN;
}

static enum pvm_insn_op op_of(const struct decoded *d, bool code64)
{
	static const struct {
		ZydisMnemonic mnemonic;
		enum pvm_insn_op op;
	} ops[] = {
		{ ZYDIS_MNEMONIC_CPUID, PVM_INSN_CPUID },
		{ ZYDIS_MNEMONIC_RDMSR, PVM_INSN_RDMSR },
		{ ZYDIS_MNEMONIC_WRMSR, PVM_INSN_WRMSR },
		{ ZYDIS_MNEMONIC_IN, PVM_INSN_IN },
		{ ZYDIS_MNEMONIC_OUT, PVM_INSN_OUT },
		{ ZYDIS_MNEMONIC_INSB, PVM_INSN_INS },
		{ ZYDIS_MNEMONIC_INSW, PVM_INSN_INS },
		{ ZYDIS_MNEMONIC_INSD, PVM_INSN_INS },
		{ ZYDIS_MNEMONIC_OUTSB, PVM_INSN_OUTS },
		{ ZYDIS_MNEMONIC_OUTSW, PVM_INSN_OUTS },
		{ ZYDIS_MNEMONIC_OUTSD, PVM_INSN_OUTS },
		{ ZYDIS_MNEMONIC_HLT, PVM_INSN_HLT },
		{ ZYDIS_MNEMONIC_CLI, PVM_INSN_CLI },
		{ ZYDIS_MNEMONIC_STI, PVM_INSN_STI },
		{ ZYDIS_MNEMONIC_INVLPG, PVM_INSN_INVLPG },
		{ ZYDIS_MNEMONIC_INVPCID, PVM_INSN_INVPCID },
		{ ZYDIS_MNEMONIC_CLTS, PVM_INSN_CLTS },
		{ ZYDIS_MNEMONIC_LMSW, PVM_INSN_LMSW },
		{ ZYDIS_MNEMONIC_LGDT, PVM_INSN_LGDT },
		{ ZYDIS_MNEMONIC_LIDT, PVM_INSN_LIDT },
		{ ZYDIS_MNEMONIC_LLDT, PVM_INSN_LLDT },
		{ ZYDIS_MNEMONIC_LTR, PVM_INSN_LTR },
		{ ZYDIS_MNEMONIC_SGDT, PVM_INSN_SGDT },
		{ ZYDIS_MNEMONIC_SIDT, PVM_INSN_SIDT },
		{ ZYDIS_MNEMONIC_SLDT, PVM_INSN_SLDT },
		{ ZYDIS_MNEMONIC_STR, PVM_INSN_STR },
		{ ZYDIS_MNEMONIC_SMSW, PVM_INSN_SMSW },
		{ ZYDIS_MNEMONIC_INT, PVM_INSN_INT },
		{ ZYDIS_MNEMONIC_WBINVD, PVM_INSN_WBINVD },
		{ ZYDIS_MNEMONIC_INVD, PVM_INSN_WBINVD },
		{ ZYDIS_MNEMONIC_XSETBV, PVM_INSN_XSETBV },
		{ ZYDIS_MNEMONIC_RDPMC, PVM_INSN_RDPMC },
		{ ZYDIS_MNEMONIC_SWAPGS, PVM_INSN_SWAPGS },
		{ ZYDIS_MNEMONIC_SYSRET, PVM_INSN_SYSRET },
		{ ZYDIS_MNEMONIC_SYSEXIT, PVM_INSN_SYSEXIT },
		{ ZYDIS_MNEMONIC_SYSENTER, PVM_INSN_SYSENTER },
		{ ZYDIS_MNEMONIC_STAC, PVM_INSN_STAC },
		{ ZYDIS_MNEMONIC_CLAC, PVM_INSN_CLAC },
	};
	size_t i;

	if (d->insn.mnemonic == ZYDIS_MNEMONIC_MOV)
		return control_move(d);
	if (d->insn.mnemonic == ZYDIS_MNEMONIC_SYSCALL)
		return code64 ? PVM_INSN_UNKNOWN : PVM_INSN_SYSCALL32;
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (ops[i].mnemonic == d->insn.mnemonic)
			return ops[i].op;
	return PVM_INSN_UNKNOWN;
}

/* The part of a general register that an address uses; 0 for none. */
static uint64_t address_register(const struct pvm_vcpu *vcpu, ZydisRegister reg, uint64_t next_rip)
{
	if (reg == ZYDIS_REGISTER_NONE)
		return 0;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return next_rip;
	return vcpu->gpr[ZydisRegisterGetId(reg)];
}

/* Only FS and GS have a base here: the others are 0 in 64-bit code and flat in
 * the host's 32-bit segments. */
static uint64_t segment_base(const struct pvm_vcpu *vcpu, ZydisRegister segment)
{
	if (segment == ZYDIS_REGISTER_FS)
		return vcpu->fs_base;
	if (segment == ZYDIS_REGISTER_GS)
		return vcpu->gs_base;
	return 0;
}

static uint64_t linear_address(const struct pvm_vcpu *vcpu, bool code64, const struct decoded *d,
			       const ZydisDecodedOperandMem *mem)
{
	uint64_t next_rip = vcpu->rip + d->insn.length;
	uint64_t offset = address_register(vcpu, mem->base, next_rip) +
			  address_register(vcpu, mem->index, next_rip) * mem->scale +
			  (uint64_t)mem->disp.value;

	if (d->insn.address_width < 64)
		offset &= (1ull << d->insn.address_width) - 1;
	offset += segment_base(vcpu, mem->segment);
	return code64 ? offset : (uint32_t)offset;
}

/* Operands, in the order that Zydis gives them. */
static void take_operand(const struct pvm_vcpu *vcpu, bool code64, const struct decoded *d,
			 const ZydisDecodedOperand *operand, struct pvm_insn *insn)
{
	ZydisRegisterClass class;

	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		class = ZydisRegisterGetClass(operand->reg.value);
		if (class == ZYDIS_REGCLASS_CONTROL || class == ZYDIS_REGCLASS_DEBUG)
			insn->creg = (uint8_t)ZydisRegisterGetId(operand->reg.value);
		else if (operand->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			insn->reg = (uint8_t)ZydisRegisterGetId(operand->reg.value);
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		insn->memory = true;
		insn->address = linear_address(vcpu, code64, d, &operand->mem);
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		insn->value = operand->imm.value.u;
		break;
	default:
		break;
	}
}

/* IN and OUT: the size is the accumulator's, the port is DX or the immediate. */
static void take_port(const struct decoded *d, struct pvm_insn *insn)
{
	const ZydisDecodedOperand *data = &d->operand[insn->op == PVM_INSN_IN ? 0 : 1];
	const ZydisDecodedOperand *port = &d->operand[insn->op == PVM_INSN_IN ? 1 : 0];

	insn->size = (uint8_t)(data->size / 8);
	insn->port_is_dx = port->type == ZYDIS_OPERAND_TYPE_REGISTER;
	insn->port = insn->port_is_dx ? 0 : (uint16_t)insn->value;
	insn->reg = 0;
}

static void take_string(const struct decoded *d, struct pvm_insn *insn)
{
	uint8_t i;

	insn->size = insn->op == PVM_INSN_INS ? (uint8_t)(d->operand[0].size / 8)
					      : (uint8_t)(d->operand[1].size / 8);
	insn->port_is_dx = true;
	for (i = 0; i < d->insn.raw.prefix_count; i++)
		if (d->insn.raw.prefixes[i].value == PREFIX_REP ||
		    d->insn.raw.prefixes[i].value == PREFIX_REPNE)
			insn->rep = true;
}

static const uint8_t xen_cpuid[] = { PVM_XEN_CPUID_BYTES };

static bool synthetic_cpuid(bool code64, const uint8_t *bytes, size_t length)
{
	static const uint8_t synthetic[] = { PVM_SYNTHETIC_CPUID_BYTES };

	return code64 && length >= sizeof(synthetic) && memcmp(bytes, synthetic, sizeof(synthetic)) == 0;
}

void reference_decode_insn(const struct pvm_vcpu *vcpu, bool code64, const uint8_t *bytes, size_t length,
			   struct pvm_insn *insn)
{
	struct decoded d;
	ZydisDecoder decoder;
	uint8_t i;

	memset(insn, 0, sizeof(*insn));
	if (code64 && length >= sizeof(xen_cpuid) && !memcmp(bytes, xen_cpuid, sizeof(xen_cpuid))) {
		insn->op = PVM_INSN_XEN_CPUID;
		insn->length = sizeof(xen_cpuid);
		return;
	}
	if (synthetic_cpuid(code64, bytes, length)) {
		insn->op = PVM_INSN_SYNTHETIC_CPUID;
		insn->length = PVM_SYNTHETIC_CPUID_LEN;
		return;
	}
	if (length > PVM_INSN_MAX_LENGTH)
		length = PVM_INSN_MAX_LENGTH;
	if (code64)
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	else
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &d.insn, d.operand)))
		return;

	insn->length = d.insn.length;
	insn->op = op_of(&d, code64);
	if (insn->op == PVM_INSN_UNKNOWN)
		return;
	insn->address_size = (uint8_t)(d.insn.address_width / 8);
	insn->size = (uint8_t)(d.insn.operand_width / 8);
	for (i = 0; i < d.insn.operand_count; i++)
		take_operand(vcpu, code64, &d, &d.operand[i], insn);
	if (insn->op == PVM_INSN_IN || insn->op == PVM_INSN_OUT)
		take_port(&d, insn);
	else if (insn->op == PVM_INSN_INS || insn->op == PVM_INSN_OUTS)
		take_string(&d, insn);
	else if (insn->op == PVM_INSN_SLDT || insn->op == PVM_INSN_STR || insn->op == PVM_INSN_SMSW)
		insn->size = (uint8_t)(d.operand[0].size / 8);
}
