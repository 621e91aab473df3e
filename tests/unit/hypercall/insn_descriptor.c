/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Descriptor-table instructions: remembered, and nothing else.
 */
#include <pvm/hypercall.h>

#include "guest.h"

#define RIP	0x200000ull
#define OPERAND	0x300ffcull	/* gva of a memory operand that crosses a page */
#define NOWHERE	0x40000000ull

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static enum pvm_action execute(struct pvm_insn insn)
{
	insn.length = 3;
	vcpu->rip = RIP;
	return pvm_handle_insn(vcpu, &insn, PVM_VEC_GP, 0);
}

static void memory(enum pvm_insn_op op, uint64_t address)
{
	cr_assert_eq(execute((struct pvm_insn){ .op = op, .memory = true, .address = address }),
		     PVM_ACT_RESUME);
}

static void put_operand(uint16_t limit, uint64_t base)
{
	memcpy(f.host.memory + OPERAND, &limit, 2);
	memcpy(f.host.memory + OPERAND + 2, &base, 8);
}

static void assert_exception(uint8_t vector)
{
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]) >> 32, vector);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RIP);
}

TestSuite(insn_descriptor, .init = setup, .fini = teardown);

/* spec: C-036 */
Test(insn_descriptor, lgdt_is_remembered_and_sgdt_reads_it_back)
{
	put_operand(0x1234, 0xffff800000005678);
	memory(PVM_INSN_LGDT, OPERAND);
	cr_assert_eq(vcpu->gdtr.limit, 0x1234);
	cr_assert_eq(vcpu->gdtr.base, 0xffff800000005678);
	cr_assert_eq(vcpu->rip, RIP + 3);
	memset(f.host.memory + OPERAND, 0x55, 16);
	memory(PVM_INSN_SGDT, OPERAND);
	cr_assert_eq(guest_word(&f, OPERAND) & 0xffff, 0x1234);
	cr_assert_eq(guest_word(&f, OPERAND + 2), 0xffff800000005678);
	cr_assert_eq(f.host.memory[OPERAND + 10], 0x55, "ten bytes, not more");
	cr_assert_eq(vcpu->rip, RIP + 3);
}

/* spec: C-039 */
Test(insn_descriptor, lidt_is_remembered_and_sidt_reads_it_back)
{
	put_operand(0xfff, 0x5000);
	memory(PVM_INSN_LIDT, OPERAND);
	cr_assert_eq(vcpu->idtr.limit, 0xfff);
	cr_assert_eq(vcpu->idtr.base, 0x5000);
	put_operand(0, 0);
	memory(PVM_INSN_SIDT, OPERAND);
	cr_assert_eq(guest_word(&f, OPERAND + 2), 0x5000);
	cr_assert_eq(vcpu->gdtr.base, 0);
}

/* spec: C-036, C-037, C-039 */
Test(insn_descriptor, a_loaded_table_takes_no_effect)
{
	put_operand(0xffff, 0x300000);
	memory(PVM_INSN_LGDT, OPERAND);
	memory(PVM_INSN_LIDT, OPERAND);
	cr_assert_not(pvm_data_selector_valid(vcpu, 0x8));
	cr_assert(pvm_data_selector_valid(vcpu, 0x2b));
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
}

Test(insn_descriptor, lgdt_of_a_base_that_is_not_canonical_is_gp)
{
	uint16_t limit = vcpu->gdtr.limit;

	put_operand(0x1234, 0x800000000000);
	memory(PVM_INSN_LGDT, OPERAND);
	assert_exception(PVM_VEC_GP);
	cr_assert_eq(vcpu->gdtr.limit, limit);
	cr_assert_eq(vcpu->gdtr.base, 0);
}

Test(insn_descriptor, an_unmapped_operand_is_a_page_fault)
{
	memory(PVM_INSN_LIDT, NOWHERE);
	assert_exception(PVM_VEC_PF);
	cr_assert_eq(vcpu->cr2, NOWHERE);
	memory(PVM_INSN_SGDT, NOWHERE);
	assert_exception(PVM_VEC_PF);
	cr_assert_eq((uint32_t)guest_word(&f, vcpu->gpr[PVM_RSP]), PVM_PF_W);
	memory(PVM_INSN_LLDT, NOWHERE);
	assert_exception(PVM_VEC_PF);
	memory(PVM_INSN_STR, NOWHERE);
	assert_exception(PVM_VEC_PF);
}

Test(insn_descriptor, an_operand_address_that_is_not_canonical_is_gp)
{
	memory(PVM_INSN_LGDT, 0x800000000000);
	assert_exception(PVM_VEC_GP);
}

/* spec: C-040 */
Test(insn_descriptor, lldt_is_remembered_and_sldt_reads_it_back)
{
	vcpu->gpr[PVM_RBX] = 0xabcd0028;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_LLDT, .reg = PVM_RBX }), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->ldtr, 0x28);
	vcpu->gpr[PVM_RDX] = ~0ull;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SLDT, .reg = PVM_RDX, .size = 2 }),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RDX], 0xffffffffffff0028);
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SLDT, .reg = PVM_RDX, .size = 4 }),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RDX], 0x28);
}

/* spec: C-038 */
Test(insn_descriptor, ltr_is_remembered_and_str_reads_it_back)
{
	f.host.memory[OPERAND] = 0x40;
	f.host.memory[OPERAND + 1] = 1;
	memory(PVM_INSN_LTR, OPERAND);
	cr_assert_eq(vcpu->tr, 0x140);
	memset(f.host.memory + OPERAND, 0x55, 8);
	memory(PVM_INSN_STR, OPERAND);
	cr_assert_eq(guest_word(&f, OPERAND), 0x5555555555550140);
	vcpu->gpr[PVM_RDX] = ~0ull;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_STR, .reg = PVM_RDX, .size = 8 }),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RDX], 0x140);
}

Test(insn_descriptor, an_operand_that_is_no_memory_is_the_backends)
{
	f.host.hole_start = 0x300;
	f.host.hole_end = 0x302;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_LGDT, .memory = true, .address = 0x300010 }),
		     PVM_ACT_MMIO);
	cr_assert_eq(vcpu->request.mmio.gva.v, 0x300010);
	cr_assert_eq(vcpu->request.mmio.gpa.v, 0x300010);
	cr_assert_not(vcpu->request.mmio.write);
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SGDT, .memory = true, .address = 0x300010 }),
		     PVM_ACT_MMIO);
	cr_assert(vcpu->request.mmio.write);
	cr_assert_eq(vcpu->rip, RIP);
}
