/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The decoder: every instruction that the engine emulates, in the encodings
 * that compilers and kernels use, and bytes that are no instruction.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"

#include <pvm/xen.h>

#define RIP 0x400000ull

static struct pvm_vcpu vcpu;

static void setup(void)
{
	unsigned i;

	memset(&vcpu, 0, sizeof(vcpu));
	for (i = 0; i < PVM_GPR_COUNT; i++)
		vcpu.gpr[i] = 0x1000 * (i + 1);
	vcpu.rip = RIP;
	vcpu.fs_base = 0xf0000000;
	vcpu.gs_base = 0x7000000000;
}

/* Decode bytes that end where memory ends: a read after them is seen by ASan. */
static struct pvm_insn decode(bool code64, const char *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	struct pvm_insn insn;

	memset(&insn, 0xa5, sizeof(insn));
	memcpy(copy, bytes, length);
	decode_insn(&vcpu, code64, copy, length, &insn);
	free(copy);
	return insn;
}

#define DECODE64(bytes) decode(true, bytes, sizeof(bytes) - 1)
#define DECODE32(bytes) decode(false, bytes, sizeof(bytes) - 1)

TestSuite(decoder, .init = setup);

/* spec: C-105, C-106 */
Test(decoder, synthetic_cpuid_is_one_instruction_of_ten_bytes)
{
	struct pvm_insn insn = DECODE64("\x0f\x01\x3c\x25\x50\x56\x4d\xff\x0f\xa2\x90\x90\x90\x90\x90");

	cr_assert_eq(insn.op, PVM_INSN_SYNTHETIC_CPUID);
	cr_assert_eq(insn.length, PVM_SYNTHETIC_CPUID_LEN);
}

/* spec: XC-085 */
Test(decoder, xens_cpuid_is_one_instruction_of_seven_bytes)
{
	struct pvm_insn insn = DECODE64("\x0f\x0b\x78\x65\x6e\x0f\xa2\x90");

	cr_assert_eq(insn.op, PVM_INSN_XEN_CPUID);
	cr_assert_eq(insn.length, PVM_XEN_CPUID_LENGTH);
	insn = DECODE64("\x0f\x0b\x78\x65\x6e\x0f\xa3\x90");
	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
	insn = DECODE32("\x0f\x0b\x78\x65\x6e\x0f\xa2\x90");
	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
}

Test(decoder, synthetic_cpuid_cut_short_is_the_invlpg_it_begins_with)
{
	struct pvm_insn insn = DECODE64("\x0f\x01\x3c\x25\x50\x56\x4d\xff\x0f");

	cr_assert_eq(insn.op, PVM_INSN_INVLPG);
	cr_assert_eq(insn.length, 8);
	cr_assert_eq(insn.address, PVM_SYNTHETIC_CPUID_ADDR);
}

Test(decoder, synthetic_cpuid_is_64_bit_code_only)
{
	struct pvm_insn insn = DECODE32("\x0f\x01\x3c\x25\x50\x56\x4d\xff\x0f\xa2");

	cr_assert_eq(insn.op, PVM_INSN_INVLPG);
	cr_assert_eq(insn.address, 0xff4d5650);
}

Test(decoder, instructions_without_operands_are_known_by_name)
{
	static const struct {
		const char *bytes;
		uint8_t length;
		enum pvm_insn_op op;
	} cases[] = {
		{ "\x0f\xa2", 2, PVM_INSN_CPUID },
		{ "\x0f\x32", 2, PVM_INSN_RDMSR },
		{ "\x0f\x30", 2, PVM_INSN_WRMSR },
		{ "\xf4", 1, PVM_INSN_HLT },
		{ "\xfa", 1, PVM_INSN_CLI },
		{ "\xfb", 1, PVM_INSN_STI },
		{ "\x0f\x06", 2, PVM_INSN_CLTS },
		{ "\x0f\x09", 2, PVM_INSN_WBINVD },
		{ "\xf3\x0f\x09", 3, PVM_INSN_WBINVD },
		{ "\x0f\x08", 2, PVM_INSN_WBINVD },
		{ "\x0f\x01\xd1", 3, PVM_INSN_XSETBV },
		{ "\x0f\x33", 2, PVM_INSN_RDPMC },
		{ "\x0f\x01\xf8", 3, PVM_INSN_SWAPGS },
		{ "\x48\x0f\x07", 3, PVM_INSN_SYSRET },
		{ "\x0f\x07", 2, PVM_INSN_SYSRET },
		{ "\x0f\x35", 2, PVM_INSN_SYSEXIT },
		{ "\x0f\x34", 2, PVM_INSN_SYSENTER },
		{ "\x0f\x01\xcb", 3, PVM_INSN_STAC },
		{ "\x0f\x01\xca", 3, PVM_INSN_CLAC },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pvm_insn insn = decode(true, cases[i].bytes, cases[i].length);

		cr_assert_eq(insn.op, cases[i].op, "case %zu: %s", i, pvm_insn_name(insn.op));
		cr_assert_eq(insn.length, cases[i].length, "case %zu", i);
		cr_assert_not(insn.memory, "case %zu", i);
	}
}

Test(decoder, int_n_has_its_vector)
{
	struct pvm_insn insn = DECODE64("\xcd\x80");

	cr_assert_eq(insn.op, PVM_INSN_INT);
	cr_assert_eq(insn.value, 0x80);
	cr_assert_eq(insn.length, 2);
}

Test(decoder, in_has_size_and_port)
{
	struct pvm_insn insn = DECODE64("\xec");	/* in al, dx */

	cr_assert_eq(insn.op, PVM_INSN_IN);
	cr_assert_eq(insn.size, 1);
	cr_assert(insn.port_is_dx);
	insn = DECODE64("\xe5\x60");			/* in eax, 0x60 */
	cr_assert_eq(insn.op, PVM_INSN_IN);
	cr_assert_eq(insn.size, 4);
	cr_assert_not(insn.port_is_dx);
	cr_assert_eq(insn.port, 0x60);
	insn = DECODE64("\x48\xed");			/* REX.W changes nothing: eax, dx */
	cr_assert_eq(insn.size, 4);
	cr_assert(insn.port_is_dx);
}

Test(decoder, out_has_size_and_port)
{
	struct pvm_insn insn = DECODE64("\x66\xe7\xf4");	/* out 0xf4, ax */

	cr_assert_eq(insn.op, PVM_INSN_OUT);
	cr_assert_eq(insn.size, 2);
	cr_assert_eq(insn.port, 0xf4);
	cr_assert_not(insn.port_is_dx);
	cr_assert_eq(insn.length, 3);
	insn = DECODE64("\xee");				/* out dx, al */
	cr_assert_eq(insn.size, 1);
	cr_assert(insn.port_is_dx);
}

Test(decoder, string_io_has_element_address_and_repeat)
{
	struct pvm_insn insn = DECODE64("\xf3\x6e");	/* rep outsb */

	cr_assert_eq(insn.op, PVM_INSN_OUTS);
	cr_assert_eq(insn.size, 1);
	cr_assert_eq(insn.address_size, 8);
	cr_assert(insn.rep);
	cr_assert(insn.port_is_dx);
	cr_assert_eq(insn.address, vcpu.gpr[PVM_RSI]);
	insn = DECODE64("\x66\xf2\x6d");		/* repne insw: a repeat as well */
	cr_assert_eq(insn.op, PVM_INSN_INS);
	cr_assert_eq(insn.size, 2);
	cr_assert(insn.rep);
	cr_assert_eq(insn.address, vcpu.gpr[PVM_RDI]);
	insn = DECODE64("\x64\x6f");			/* outs dx, dword fs:[rsi] */
	cr_assert_eq(insn.size, 4);
	cr_assert_not(insn.rep);
	cr_assert_eq(insn.address, vcpu.fs_base + vcpu.gpr[PVM_RSI]);
}

Test(decoder, string_io_with_32_bit_addresses_uses_the_low_half_of_the_index)
{
	struct pvm_insn insn;

	vcpu.gpr[PVM_RDI] = 0xffffffff00002000;
	insn = DECODE64("\x67\x6c");			/* insb, a32 */
	cr_assert_eq(insn.op, PVM_INSN_INS);
	cr_assert_eq(insn.address_size, 4);
	cr_assert_eq(insn.address, 0x2000);
}

Test(decoder, moves_to_and_from_control_registers)
{
	struct pvm_insn insn = DECODE64("\x0f\x22\xdf");	/* mov cr3, rdi */

	cr_assert_eq(insn.op, PVM_INSN_MOV_TO_CR);
	cr_assert_eq(insn.creg, 3);
	cr_assert_eq(insn.reg, PVM_RDI);
	insn = DECODE64("\x45\x0f\x20\xc1");			/* mov r9, cr8 */
	cr_assert_eq(insn.op, PVM_INSN_MOV_FROM_CR);
	cr_assert_eq(insn.creg, 8);
	cr_assert_eq(insn.reg, PVM_R9);
}

Test(decoder, moves_to_and_from_debug_registers)
{
	struct pvm_insn insn = DECODE64("\x41\x0f\x23\xf9");	/* mov dr7, r9 */

	cr_assert_eq(insn.op, PVM_INSN_MOV_TO_DR);
	cr_assert_eq(insn.creg, 7);
	cr_assert_eq(insn.reg, PVM_R9);
	insn = DECODE64("\x0f\x21\xf3");			/* mov rbx, dr6 */
	cr_assert_eq(insn.op, PVM_INSN_MOV_FROM_DR);
	cr_assert_eq(insn.creg, 6);
	cr_assert_eq(insn.reg, PVM_RBX);
}

Test(decoder, memory_operands_have_their_linear_address)
{
	struct pvm_insn insn = DECODE64("\x65\x0f\x01\x7c\x8b\x08");	/* invlpg gs:[rbx+rcx*4+8] */

	cr_assert_eq(insn.op, PVM_INSN_INVLPG);
	cr_assert(insn.memory);
	cr_assert_eq(insn.address, vcpu.gs_base + vcpu.gpr[PVM_RBX] + 4 * vcpu.gpr[PVM_RCX] + 8);
	insn = DECODE64("\x0f\x01\x3d\x10\x00\x00\x00");		/* invlpg [rip+0x10] */
	cr_assert_eq(insn.address, RIP + 7 + 0x10);
	insn = DECODE64("\x0f\x01\x7d\xf8");				/* invlpg [rbp-8] */
	cr_assert_eq(insn.address, vcpu.gpr[PVM_RBP] - 8);
	insn = DECODE64("\x67\x0f\x01\x7d\xf8");			/* invlpg [ebp-8] */
	cr_assert_eq(insn.address, (uint32_t)(vcpu.gpr[PVM_RBP] - 8));
}

Test(decoder, addresses_in_32_bit_code_are_32_bits_wide)
{
	struct pvm_insn insn;

	vcpu.gpr[PVM_RBX] = 0xffffffff;
	insn = DECODE32("\x65\x0f\x01\x7b\x08");	/* invlpg gs:[ebx+8] */
	cr_assert_eq(insn.op, PVM_INSN_INVLPG);
	cr_assert_eq(insn.address, (uint32_t)(vcpu.gs_base + 7));
	cr_assert_eq(insn.address_size, 4);
}

Test(decoder, invpcid_has_type_register_and_descriptor)
{
	struct pvm_insn insn = DECODE64("\x66\x0f\x38\x82\x0b");	/* invpcid rcx, [rbx] */

	cr_assert_eq(insn.op, PVM_INSN_INVPCID);
	cr_assert_eq(insn.reg, PVM_RCX);
	cr_assert_eq(insn.address, vcpu.gpr[PVM_RBX]);
}

Test(decoder, descriptor_table_instructions_have_their_operand)
{
	static const struct {
		const char *bytes;
		uint8_t length;
		enum pvm_insn_op op;
		bool memory;
		uint8_t reg, size;
	} cases[] = {
		{ "\x0f\x01\x11", 3, PVM_INSN_LGDT, true, 0, 0 },	/* [rcx] */
		{ "\x0f\x01\x19", 3, PVM_INSN_LIDT, true, 0, 0 },
		{ "\x0f\x01\x01", 3, PVM_INSN_SGDT, true, 0, 0 },
		{ "\x0f\x01\x09", 3, PVM_INSN_SIDT, true, 0, 0 },
		{ "\x0f\x00\x11", 3, PVM_INSN_LLDT, true, 0, 0 },
		{ "\x0f\x00\xd3", 3, PVM_INSN_LLDT, false, PVM_RBX, 0 },
		{ "\x0f\x00\xda", 3, PVM_INSN_LTR, false, PVM_RDX, 0 },
		{ "\x0f\x00\xc7", 3, PVM_INSN_SLDT, false, PVM_RDI, 4 },
		{ "\x48\x0f\x00\xc7", 4, PVM_INSN_SLDT, false, PVM_RDI, 8 },
		{ "\x66\x0f\x00\xcf", 4, PVM_INSN_STR, false, PVM_RDI, 2 },
		{ "\x0f\x00\x09", 3, PVM_INSN_STR, true, 0, 2 },
		{ "\x49\x0f\x01\xe2", 4, PVM_INSN_SMSW, false, PVM_R10, 8 },
		{ "\x0f\x01\x21", 3, PVM_INSN_SMSW, true, 0, 2 },
		{ "\x0f\x01\xf3", 3, PVM_INSN_LMSW, false, PVM_RBX, 0 },
		{ "\x0f\x01\x31", 3, PVM_INSN_LMSW, true, 0, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pvm_insn insn = decode(true, cases[i].bytes, cases[i].length);

		cr_assert_eq(insn.op, cases[i].op, "case %zu: %s", i, pvm_insn_name(insn.op));
		cr_assert_eq(insn.memory, cases[i].memory, "case %zu", i);
		if (cases[i].memory)
			cr_assert_eq(insn.address, vcpu.gpr[PVM_RCX], "case %zu", i);
		else
			cr_assert_eq(insn.reg, cases[i].reg, "case %zu", i);
		if (cases[i].size)
			cr_assert_eq(insn.size, cases[i].size, "case %zu: %u", i, insn.size);
	}
}

Test(decoder, syscall_is_an_instruction_to_emulate_in_32_bit_code_only)
{
	cr_assert_eq(DECODE32("\x0f\x05").op, PVM_INSN_SYSCALL32);
	cr_assert_eq(DECODE64("\x0f\x05").op, PVM_INSN_UNKNOWN);
	cr_assert_eq(DECODE32("\x0f\x34").op, PVM_INSN_SYSENTER);
}

Test(decoder, instructions_the_engine_has_no_use_for_are_unknown)
{
	struct pvm_insn insn = DECODE64("\x48\xcf");	/* iretq */

	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
	cr_assert_eq(insn.length, 0);
	insn = DECODE64("\x88\xf8");			/* mov al, bh */
	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
	insn = DECODE64("\x48\x89\x03");		/* mov [rbx], rax */
	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
	insn = DECODE64("\x48\x8b\x03");		/* mov rax, [rbx] */
	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
}

Test(decoder, truncated_bytes_are_unknown)
{
	static const char invlpg[] = "\x65\x0f\x01\xbc\x8b\x08\x00\x00\x00";
	size_t length;

	for (length = 0; length < sizeof(invlpg) - 1; length++) {
		struct pvm_insn insn = decode(true, invlpg, length);

		cr_assert_eq(insn.op, PVM_INSN_UNKNOWN, "%zu bytes", length);
		cr_assert_eq(insn.length, 0, "%zu bytes", length);
	}
	cr_assert_eq(decode(true, invlpg, length).op, PVM_INSN_INVLPG);
}

Test(decoder, invalid_bytes_are_unknown)
{
	struct pvm_insn insn = DECODE64("\xf0\x0f\x20\xd8\x90\x90");	/* lock mov rax, cr3 */

	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
	cr_assert_eq(insn.length, 0);
	insn = DECODE64("\x06");			/* push es: not in 64-bit code */
	cr_assert_eq(insn.op, PVM_INSN_UNKNOWN);
}

Test(decoder, bytes_after_the_fifteenth_are_not_part_of_an_instruction)
{
	/* Fourteen prefixes and a one-byte opcode are the longest there is. */
	cr_assert_eq(DECODE64("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xf4").op, PVM_INSN_HLT);
	cr_assert_eq(DECODE64("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xf4").op,
		     PVM_INSN_UNKNOWN);
}
