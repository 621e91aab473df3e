/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The decoder: prefixes, opcode, ModRM; of the instructions that the engine
 * emulates and no others (SDM vol. 2, chapter 2 and appendix A). Pure: no state, no
 * memory access but to the bytes given.
 *
 * tests/unit/decode holds it against another decoder, byte by byte.
 */
#include "decode.h"

#include <pvm/xen.h>

#define PREFIX_LOCK	0xf0
#define PREFIX_REPNE	0xf2
#define PREFIX_REP	0xf3
#define PREFIX_OPSIZE	0x66
#define PREFIX_ADSIZE	0x67
#define PREFIX_FS	0x64
#define PREFIX_GS	0x65

#define REX_B		0x1
#define REX_X		0x2
#define REX_R		0x4
#define REX_W		0x8

#define RM_SIB		4	/* ModRM.rm: a SIB byte follows */
#define RM_DISP32	5	/* with mod 0: no base */
#define SIB_NO_INDEX	4

struct decoder {
	const struct pvm_vcpu *vcpu;
	struct pvm_insn *insn;
	const uint8_t *bytes;
	size_t length, at;
	bool code64, truncated;
	bool lock, opsize, adsize;
	uint8_t rep;			/* the last of F2 and F3, or 0 */
	uint8_t segment;		/* PREFIX_FS, PREFIX_GS, or 0 */
	uint8_t rex;
	uint8_t mod, reg, rm;		/* reg and rm with REX's bits */
};

static uint8_t next(struct decoder *d)
{
	if (d->at < d->length)
		return d->bytes[d->at++];
	d->truncated = true;
	return 0;
}

/* @bytes little-endian bytes, sign-extended. */
static uint64_t next_displacement(struct decoder *d, unsigned bytes)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)next(d) << 8 * i;
	return (uint64_t)((int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes));
}

static bool take_prefix(struct decoder *d, uint8_t byte)
{
	switch (byte) {
	case PREFIX_LOCK:
		d->lock = true;
		return true;
	case PREFIX_REPNE:
	case PREFIX_REP:
		d->rep = byte;
		return true;
	case PREFIX_OPSIZE:
		d->opsize = true;
		return true;
	case PREFIX_ADSIZE:
		d->adsize = true;
		return true;
	case PREFIX_FS:
	case PREFIX_GS:
		d->segment = byte;
		return true;
	case 0x26: case 0x2e: case 0x36: case 0x3e:	/* flat; in 64-bit code no override at all */
		if (!d->code64)
			d->segment = 0;
		return true;
	}
	return false;
}

/* Returns the first byte of the opcode. A REX prefix counts only right before it. */
static uint8_t take_prefixes(struct decoder *d)
{
	uint8_t byte = next(d);

	while (!d->truncated) {
		if (d->code64 && (byte & 0xf0) == 0x40)
			d->rex = byte;
		else if (take_prefix(d, byte))
			d->rex = 0;
		else
			break;
		byte = next(d);
	}
	return byte;
}

static void take_modrm(struct decoder *d)
{
	uint8_t byte = next(d);

	d->mod = byte >> 6;
	d->reg = (byte >> 3 & 7) | (d->rex & REX_R ? 8 : 0);
	d->rm = (byte & 7) | (d->rex & REX_B ? 8 : 0);
}

/* Bytes of an operand that is 16, 32 or 64 bits wide. */
static uint8_t operand_size(const struct decoder *d)
{
	if (d->rex & REX_W)
		return 8;
	return d->opsize ? 2 : 4;
}

static uint8_t address_size(const struct decoder *d)
{
	if (d->code64)
		return d->adsize ? 4 : 8;
	return d->adsize ? 2 : 4;
}

/* Only FS and GS have a base here: the others are 0 in 64-bit code and flat in
 * the host's 32-bit segments. */
static uint64_t linear(const struct decoder *d, uint64_t offset, uint8_t segment)
{
	if (d->insn->address_size < 8)
		offset &= (1ull << 8 * d->insn->address_size) - 1;
	if (segment == PREFIX_FS)
		offset += d->vcpu->fs_base;
	else if (segment == PREFIX_GS)
		offset += d->vcpu->gs_base;
	return d->code64 ? offset : (uint32_t)offset;
}

/* The sum of registers and displacement in a ModRM byte with 16-bit addresses. */
static uint64_t offset16(struct decoder *d)
{
	static const uint8_t base[8] = { PVM_RBX, PVM_RBX, PVM_RBP, PVM_RBP,
					 PVM_RSI, PVM_RDI, PVM_RBP, PVM_RBX };
	const uint64_t *gpr = d->vcpu->gpr;
	uint64_t offset;

	if (d->mod == 0 && d->rm == 6)
		return next_displacement(d, 2);
	offset = gpr[base[d->rm]];
	if (d->rm < 4)
		offset += gpr[d->rm & 1 ? PVM_RDI : PVM_RSI];
	return d->mod ? offset + next_displacement(d, d->mod == 1 ? 1 : 2) : offset;
}

/* The same with wider ones. */
static uint64_t offset_of(struct decoder *d)
{
	const uint64_t *gpr = d->vcpu->gpr;
	uint8_t base = d->rm;
	uint64_t offset = 0;

	if (d->insn->address_size == 2)
		return offset16(d);
	if ((d->rm & 7) == RM_SIB) {
		uint8_t sib = next(d);
		uint8_t index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);

		base = (sib & 7) | (d->rex & REX_B ? 8 : 0);
		if (index != SIB_NO_INDEX)
			offset = gpr[index] << (sib >> 6);
	} else if (d->mod == 0 && (d->rm & 7) == RM_DISP32 && d->code64) {
		offset = next_displacement(d, 4);
		return offset + d->vcpu->rip + d->at;	/* no immediate follows */
	}
	if (d->mod == 0 && (base & 7) == RM_DISP32)
		return offset + next_displacement(d, 4);
	offset += gpr[base];
	return d->mod ? offset + next_displacement(d, d->mod == 1 ? 1 : 4) : offset;
}

/* ModRM's r/m operand, a general register or memory. */
static void take_rm(struct decoder *d)
{
	d->insn->memory = d->mod != 3;
	if (d->insn->memory)
		d->insn->address = linear(d, offset_of(d), d->segment);
	else
		d->insn->reg = d->rm;
}

/* ------------------------------------------------------------------------
 * Opcodes. Each returns what it is; UNKNOWN for what the engine has no use for.
 */

/* Ports are at most 32 bits wide. */
static uint8_t port_size(const struct decoder *d, uint8_t opcode)
{
	if (!(opcode & 1))
		return 1;
	return operand_size(d) == 2 ? 2 : 4;
}

static enum pvm_insn_op port_io(struct decoder *d, uint8_t opcode)
{
	d->insn->size = port_size(d, opcode);
	d->insn->port_is_dx = opcode & 8;
	if (!d->insn->port_is_dx)
		d->insn->port = next(d);
	return opcode & 2 ? PVM_INSN_OUT : PVM_INSN_IN;
}

static enum pvm_insn_op string_io(struct decoder *d, uint8_t opcode)
{
	bool out = opcode & 2;

	d->insn->size = port_size(d, opcode);
	d->insn->port_is_dx = true;
	d->insn->rep = d->rep;
	d->insn->memory = true;
	d->insn->address = linear(d, d->vcpu->gpr[out ? PVM_RSI : PVM_RDI], out ? d->segment : 0);
	return out ? PVM_INSN_OUTS : PVM_INSN_INS;
}

/* 0F 00 */
static enum pvm_insn_op group6(struct decoder *d)
{
	static const enum pvm_insn_op ops[8] = { PVM_INSN_SLDT, PVM_INSN_STR, PVM_INSN_LLDT, PVM_INSN_LTR };
	enum pvm_insn_op op;

	take_modrm(d);
	op = ops[d->reg & 7];
	take_rm(d);
	if (op == PVM_INSN_SLDT || op == PVM_INSN_STR)
		d->insn->size = d->insn->memory ? 2 : operand_size(d);
	return op;
}

/* 0F 01 */
static enum pvm_insn_op group7(struct decoder *d)
{
	static const enum pvm_insn_op ops[8] = { PVM_INSN_SGDT, PVM_INSN_SIDT, PVM_INSN_LGDT, PVM_INSN_LIDT,
						 PVM_INSN_SMSW, PVM_INSN_UNKNOWN, PVM_INSN_LMSW,
						 PVM_INSN_INVLPG };
	enum pvm_insn_op op;

	take_modrm(d);
	op = ops[d->reg & 7];
	if (d->mod == 3 && op != PVM_INSN_SMSW && op != PVM_INSN_LMSW) {
		bool plain = !d->opsize && !d->rep;

		switch (d->bytes[d->at - 1]) {
		case 0xca:
			return plain ? PVM_INSN_CLAC : PVM_INSN_UNKNOWN;
		case 0xcb:
			return plain ? PVM_INSN_STAC : PVM_INSN_UNKNOWN;
		case 0xd1:
			return plain ? PVM_INSN_XSETBV : PVM_INSN_UNKNOWN;
		case 0xf8:
			return d->code64 ? PVM_INSN_SWAPGS : PVM_INSN_UNKNOWN;
		}
		return PVM_INSN_UNKNOWN;
	}
	take_rm(d);
	if (op == PVM_INSN_SMSW)
		d->insn->size = d->insn->memory ? 2 : operand_size(d);
	return op;
}

/* 0F 20 .. 0F 23: always a register, whatever ModRM.mod says. */
static enum pvm_insn_op control_move(struct decoder *d, uint8_t opcode)
{
	static const enum pvm_insn_op ops[4] = { PVM_INSN_MOV_FROM_CR, PVM_INSN_MOV_FROM_DR,
						 PVM_INSN_MOV_TO_CR, PVM_INSN_MOV_TO_DR };
	uint8_t creg;

	take_modrm(d);
	creg = d->reg;
	if (opcode & 1 ? creg > 7 : creg == 1 || (creg > 4 && creg != 8))
		return PVM_INSN_UNKNOWN;
	d->insn->creg = creg;
	d->insn->reg = d->rm;
	return ops[opcode & 3];
}

/* 66 0F 38 82 */
static enum pvm_insn_op three_byte(struct decoder *d)
{
	if (next(d) != 0x82 || !d->opsize || d->rep)
		return PVM_INSN_UNKNOWN;
	take_modrm(d);
	if (d->mod == 3)
		return PVM_INSN_UNKNOWN;
	take_rm(d);
	d->insn->reg = d->reg;
	return PVM_INSN_INVPCID;
}

static enum pvm_insn_op two_byte(struct decoder *d)
{
	uint8_t opcode = next(d);

	switch (opcode) {
	case 0x00:
		return group6(d);
	case 0x01:
		return group7(d);
	case 0x05:
		return d->code64 ? PVM_INSN_UNKNOWN : PVM_INSN_SYSCALL32;
	case 0x06:
		return PVM_INSN_CLTS;
	case 0x07:
		return PVM_INSN_SYSRET;
	case 0x08:
	case 0x09:
		return PVM_INSN_WBINVD;
	case 0x20: case 0x21: case 0x22: case 0x23:
		return control_move(d, opcode);
	case 0x30:
		return PVM_INSN_WRMSR;
	case 0x32:
		return PVM_INSN_RDMSR;
	case 0x33:
		return PVM_INSN_RDPMC;
	case 0x34:
		return PVM_INSN_SYSENTER;
	case 0x35:
		return PVM_INSN_SYSEXIT;
	case 0x38:
		return three_byte(d);
	case 0xa2:
		return PVM_INSN_CPUID;
	}
	return PVM_INSN_UNKNOWN;
}

static enum pvm_insn_op one_byte(struct decoder *d, uint8_t opcode)
{
	switch (opcode) {
	case 0x0f:
		return two_byte(d);
	case 0x6c: case 0x6d: case 0x6e: case 0x6f:
		return string_io(d, opcode);
	case 0xcd:
		d->insn->value = next(d);
		return PVM_INSN_INT;
	case 0xe4: case 0xe5: case 0xe6: case 0xe7:
	case 0xec: case 0xed: case 0xee: case 0xef:
		return port_io(d, opcode);
	case 0xf4:
		return PVM_INSN_HLT;
	case 0xfa:
		return PVM_INSN_CLI;
	case 0xfb:
		return PVM_INSN_STI;
	}
	return PVM_INSN_UNKNOWN;
}

/* A guest's ways to ask for CPUID where it does not trap: bytes that together are one instruction. */
static bool synthetic_cpuid(const uint8_t *bytes, size_t length, struct pvm_insn *insn)
{
	static const uint8_t pvm[] = { PVM_SYNTHETIC_CPUID_BYTES }, xen[] = { PVM_XEN_CPUID_BYTES };

	if (length >= sizeof(pvm) && __builtin_memcmp(bytes, pvm, sizeof(pvm)) == 0)
		*insn = (struct pvm_insn){ .op = PVM_INSN_SYNTHETIC_CPUID, .length = sizeof(pvm) };
	else if (length >= sizeof(xen) && __builtin_memcmp(bytes, xen, sizeof(xen)) == 0)
		*insn = (struct pvm_insn){ .op = PVM_INSN_XEN_CPUID, .length = sizeof(xen) };
	else
		return false;
	return true;
}

void decode_insn(const struct pvm_vcpu *vcpu, bool code64, const uint8_t *bytes, size_t length,
		 struct pvm_insn *insn)
{
	struct decoder d = {
		.vcpu = vcpu, .insn = insn, .bytes = bytes, .code64 = code64,
		.length = length < PVM_INSN_MAX_LENGTH ? length : PVM_INSN_MAX_LENGTH,
	};
	uint8_t opcode;

	*insn = (struct pvm_insn){ 0 };
	if (code64 && synthetic_cpuid(bytes, length, insn))
		return;
	opcode = take_prefixes(&d);
	insn->address_size = address_size(&d);
	insn->size = operand_size(&d);
	insn->op = one_byte(&d, opcode);
	insn->length = (uint8_t)d.at;
	/* None of these may be locked. */
	if (insn->op == PVM_INSN_UNKNOWN || d.lock || d.truncated)
		*insn = (struct pvm_insn){ .op = PVM_INSN_UNKNOWN };
}
