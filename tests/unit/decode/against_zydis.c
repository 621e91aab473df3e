/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Our decoder and Zydis must see the same in any bytes: all opcodes after all pairs of
 * prefixes, those of the two-byte map with every ModRM byte, and random bytes.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "decode.h"
#include "reference.h"

static struct pvm_vcpu vcpu;
static unsigned known;		/* compared, and not PVM_INSN_UNKNOWN: without any, nothing was tested */

static uint64_t random_state = 0x9e3779b97f4a7c15;	/* the seed */

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void setup(void)
{
	unsigned i;

	for (i = 0; i < PVM_GPR_COUNT; i++)
		vcpu.gpr[i] = random64();
	vcpu.rip = 0x7ffffff0;
	vcpu.fs_base = random64();
	vcpu.gs_base = random64();
}

TestSuite(decoder_against_zydis, .init = setup);

static bool has_sized_operand(enum pvm_insn_op op)
{
	switch (op) {
	case PVM_INSN_IN:
	case PVM_INSN_OUT:
	case PVM_INSN_INS:
	case PVM_INSN_OUTS:
	case PVM_INSN_SLDT:
	case PVM_INSN_STR:
	case PVM_INSN_SMSW:
		return true;
	default:
		return false;
	}
}

/*
 * Zydis 4.0 takes R13D for the base where a SIB byte with 32-bit addresses and REX.B
 * says that there is none (SDM vol. 2, table 2-3): its address says nothing then.
 */
static bool address_counts(const struct pvm_insn *insn, const uint8_t *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < insn->length && i < length; i++)
		if ((bytes[i] & 0xf1) == 0x41)
			return insn->address_size != 4;
	return true;
}

/* Whatever the engine looks at. */
static bool same(const struct pvm_insn *a, const struct pvm_insn *b, const uint8_t *bytes, size_t length)
{
	if (a->op != b->op)
		return false;
	if (a->op == PVM_INSN_UNKNOWN)
		return a->length == 0;
	return a->length == b->length && a->reg == b->reg && a->creg == b->creg &&
	       a->address_size == b->address_size && a->rep == b->rep &&
	       a->port_is_dx == b->port_is_dx && a->memory == b->memory && a->port == b->port &&
	       (a->address == b->address || !address_counts(a, bytes, length)) &&
	       (a->op != PVM_INSN_INT || a->value == b->value) &&
	       (!has_sized_operand(a->op) || a->size == b->size);
}

static void compare(bool code64, const uint8_t *bytes, size_t length)
{
	struct pvm_insn ours, theirs;
	char text[3 * PVM_INSN_MAX_LENGTH + 1] = "";
	size_t i;

	decode_insn(&vcpu, code64, bytes, length, &ours);
	reference_decode_insn(&vcpu, code64, bytes, length, &theirs);
	known += theirs.op != PVM_INSN_UNKNOWN;
	if (same(&ours, &theirs, bytes, length))
		return;
	for (i = 0; i < length && i < PVM_INSN_MAX_LENGTH; i++)
		sprintf(text + 3 * i, " %02x", bytes[i]);
	cr_assert_fail("%d-bit%s: ours %s length %u address %llx reg %u creg %u size %u, "
		       "Zydis %s length %u address %llx reg %u creg %u size %u", code64 ? 64 : 32, text,
		       pvm_insn_name(ours.op), ours.length, (unsigned long long)ours.address, ours.reg,
		       ours.creg, ours.size, pvm_insn_name(theirs.op), theirs.length,
		       (unsigned long long)theirs.address, theirs.reg, theirs.creg, theirs.size);
}

static const uint8_t prefixes[] = { 0x90, 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x65, 0x40, 0x41,
				    0x42, 0x44, 0x48, 0x4f };

/* @pair: two of the prefixes; 0x90 stands for none. Returns how many bytes. */
static size_t put_prefixes(uint8_t *bytes, unsigned pair)
{
	const uint8_t chosen[2] = { prefixes[pair / sizeof(prefixes)], prefixes[pair % sizeof(prefixes)] };
	size_t length = 0, i;

	for (i = 0; i < 2; i++)
		if (chosen[i] != 0x90)
			bytes[length++] = chosen[i];
	return length;
}

/* Every opcode byte of a map (whose first bytes are @map), every @step'th ModRM byte. */
static void sweep(const uint8_t *map, size_t map_length, unsigned step)
{
	uint8_t bytes[PVM_INSN_MAX_LENGTH];
	unsigned pair, opcode, modrm, i;

	for (pair = 0; pair < sizeof(prefixes) * sizeof(prefixes); pair++)
		for (opcode = 0; opcode < 256; opcode++)
			for (modrm = 0; modrm < 256; modrm += step) {
				size_t at = put_prefixes(bytes, pair);

				for (i = 0; i < map_length; i++)
					bytes[at++] = map[i];
				bytes[at++] = (uint8_t)opcode;
				bytes[at++] = (uint8_t)modrm;
				while (at < sizeof(bytes))
					bytes[at++] = (uint8_t)random64();
				compare(true, bytes, sizeof(bytes));
				compare(false, bytes, sizeof(bytes));
			}
}

Test(decoder_against_zydis, one_byte_opcodes)
{
	sweep(NULL, 0, 17);
	cr_assert_gt(known, 0);
}

Test(decoder_against_zydis, two_byte_opcodes)
{
	sweep((const uint8_t[]){ 0x0f }, 1, 1);
	cr_assert_gt(known, 0);
}

Test(decoder_against_zydis, the_three_byte_map_of_invpcid)
{
	sweep((const uint8_t[]){ 0x0f, 0x38 }, 2, 17);
	cr_assert_gt(known, 0);
}

/* Opcodes that we know, with random prefixes, operands and ends. */
Test(decoder_against_zydis, random_bytes_of_every_length)
{
	static const uint8_t likely[] = { 0x0f, 0x00, 0x01, 0x20, 0x22, 0x38, 0x82, 0x6c, 0xe4, 0xec, 0xcd,
					  0x66, 0x67, 0xf0, 0xf3, 0x64, 0x48, 0x41 };
	uint8_t bytes[PVM_INSN_MAX_LENGTH + 1];
	unsigned round, i;

	for (round = 0; round < 500000; round++) {
		size_t length = random64() % (sizeof(bytes) + 1);

		for (i = 0; i < length; i++) {
			uint64_t r = random64();

			bytes[i] = r & 0x300 ? likely[(r >> 16) % sizeof(likely)] : (uint8_t)r;
		}
		compare(round & 1, bytes, length);
	}
	cr_assert_gt(known, 0);
}
