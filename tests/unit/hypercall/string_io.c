/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * INS and OUTS: one element per action, restartable, faults precise.
 */
#include <pvm/hypercall.h>

#include "guest.h"

#define RIP	0x200000ull
#define BUFFER	0x300000ull

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	vcpu->gpr[PVM_RDX] = 0x60;
	vcpu->gpr[PVM_RSI] = BUFFER;
	vcpu->gpr[PVM_RDI] = BUFFER;
	vcpu->gpr[PVM_RCX] = 3;
	memcpy(f.host.memory + BUFFER, "abcdefgh", 8);
}

static void teardown(void)
{
	fixture_fini(&f);
}

/* As the decoder would give it: the address is that of the next element. */
static enum pvm_action execute(enum pvm_insn_op op, uint8_t size, bool rep, uint8_t address_size)
{
	uint64_t index = vcpu->gpr[op == PVM_INSN_OUTS ? PVM_RSI : PVM_RDI];
	struct pvm_insn insn = {
		.op = op, .length = 2, .size = size, .rep = rep, .address_size = address_size,
		.port_is_dx = true, .memory = true, .address = address_size == 4 ? (uint32_t)index : index,
	};

	return pvm_handle_insn(vcpu, &insn, PVM_VEC_GP, 0);
}

static void assert_exception(uint8_t vector, uint64_t error_code)
{
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)vector << 32 | error_code);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RIP);
}

TestSuite(string_io, .init = setup, .fini = teardown);

Test(string_io, outs_reads_an_element_and_steps)
{
	cr_assert_eq(execute(PVM_INSN_OUTS, 2, false, 8), PVM_ACT_IO);
	cr_assert(vcpu->request.io.write);
	cr_assert_eq(vcpu->request.io.port, 0x60);
	cr_assert_eq(vcpu->request.io.size, 2);
	cr_assert_eq(vcpu->request.io.value, 0x6261);
	cr_assert_eq(pvm_complete_io(vcpu, 0), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RSI], BUFFER + 2);
	cr_assert_eq(vcpu->gpr[PVM_RDI], BUFFER);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 3, "no REP, no count");
	cr_assert_eq(vcpu->rip, RIP + 2);
}

Test(string_io, without_rep_a_count_of_0_means_nothing)
{
	vcpu->gpr[PVM_RCX] = 0;
	cr_assert_eq(execute(PVM_INSN_OUTS, 1, false, 8), PVM_ACT_IO);
	cr_assert_eq(vcpu->request.io.value, 'a');
}

Test(string_io, ins_writes_an_element_and_steps)
{
	cr_assert_eq(execute(PVM_INSN_INS, 4, false, 8), PVM_ACT_IO);
	cr_assert_not(vcpu->request.io.write);
	cr_assert_eq(pvm_complete_io(vcpu, 0x34333231), PVM_ACT_RESUME);
	cr_assert_eq(memcmp(f.host.memory + BUFFER, "1234efgh", 8), 0);
	cr_assert_eq(vcpu->gpr[PVM_RDI], BUFFER + 4);
	cr_assert_eq(vcpu->gpr[PVM_RSI], BUFFER);
	cr_assert_eq(vcpu->rip, RIP + 2);
}

Test(string_io, rep_moves_one_element_per_action_and_stays_until_the_last)
{
	static const char out[] = "abc";
	unsigned i;

	for (i = 0; i < 3; i++) {
		cr_assert_eq(vcpu->rip, RIP);
		cr_assert_eq(execute(PVM_INSN_OUTS, 1, true, 8), PVM_ACT_IO);
		cr_assert_eq(vcpu->request.io.value, (uint32_t)out[i]);
		cr_assert_eq(pvm_complete_io(vcpu, 0), PVM_ACT_RESUME);
		cr_assert_eq(vcpu->gpr[PVM_RCX], 2 - i);
	}
	cr_assert_eq(vcpu->rip, RIP + 2);
	cr_assert_eq(vcpu->gpr[PVM_RSI], BUFFER + 3);
}

Test(string_io, rep_can_be_interrupted_between_elements)
{
	bool delivered;

	cr_assert_eq(execute(PVM_INSN_INS, 1, true, 8), PVM_ACT_IO);
	cr_assert_eq(pvm_complete_io(vcpu, 'x'), PVM_ACT_RESUME);
	cr_assert_eq(pvm_event_interrupt(vcpu, 0x40, &delivered), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->rip, RIP);
	cr_assert_eq(dual_pvcs(vcpu)->rcx, 2);
}

Test(string_io, rep_with_a_count_of_0_does_nothing)
{
	vcpu->gpr[PVM_RCX] = 0;
	cr_assert_eq(execute(PVM_INSN_INS, 1, true, 8), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, RIP + 2);
	cr_assert_eq(vcpu->gpr[PVM_RDI], BUFFER);
	vcpu->gpr[PVM_RCX] = 1ull << 32;		/* 0 in 32 bits */
	vcpu->rip = RIP;
	cr_assert_eq(execute(PVM_INSN_INS, 1, true, 4), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, RIP + 2);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 1ull << 32);
}

Test(string_io, direction_flag_steps_down)
{
	vcpu->rflags |= PVM_RFLAGS_DF;
	cr_assert_eq(execute(PVM_INSN_OUTS, 4, false, 8), PVM_ACT_IO);
	cr_assert_eq(pvm_complete_io(vcpu, 0), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RSI], BUFFER - 4);
}

Test(string_io, with_32_bit_addresses_index_and_count_are_32_bits)
{
	vcpu->gpr[PVM_RDI] = 0xffffffff00000000 | BUFFER;
	vcpu->gpr[PVM_RCX] = 0xffffffff00000002;
	cr_assert_eq(execute(PVM_INSN_INS, 1, true, 4), PVM_ACT_IO);
	cr_assert_eq(pvm_complete_io(vcpu, 'x'), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RDI], BUFFER + 1);
	cr_assert_eq(vcpu->gpr[PVM_RCX], 1);
	cr_assert_eq(f.host.memory[BUFFER], 'x');
}

Test(string_io, outs_from_nowhere_is_a_page_fault_with_nothing_done)
{
	vcpu->gpr[PVM_RSI] = 0x40000000;
	cr_assert_eq(execute(PVM_INSN_OUTS, 1, true, 8), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_PF, 0);
	cr_assert_eq(vcpu->cr2, 0x40000000);
	cr_assert_eq(vcpu->gpr[PVM_RSI], 0x40000000);
}

Test(string_io, ins_to_nowhere_is_a_page_fault_before_the_port_is_read)
{
	vcpu->gpr[PVM_RDI] = 0x40000000;
	cr_assert_eq(execute(PVM_INSN_INS, 1, true, 8), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_PF, PVM_PF_W);
	cr_assert_eq(vcpu->cr2, 0x40000000);
}

Test(string_io, ins_across_the_end_of_memory_faults_at_the_second_page)
{
	*fixture_entry(&f, vcpu->cr3, 4, 0x400000, 2) = 0;
	vcpu->gpr[PVM_RDI] = 0x3ffffe;
	cr_assert_eq(execute(PVM_INSN_INS, 4, false, 8), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_PF, PVM_PF_W);
	cr_assert_eq(vcpu->cr2 >> 12, 0x400);
}

Test(string_io, ins_whose_page_goes_while_the_port_is_read_faults_and_can_be_repeated)
{
	vcpu->gpr[PVM_RDI] = 0x500000;
	cr_assert_eq(execute(PVM_INSN_INS, 1, true, 8), PVM_ACT_IO);
	*fixture_entry(&f, vcpu->cr3, 4, 0x500000, 2) &= ~PVM_PTE_W;
	cr_assert_eq(pvm_complete_io(vcpu, 'x'), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_PF, PVM_PF_W | PVM_PF_P);
	cr_assert_eq(vcpu->cr2, 0x500000);
	cr_assert_eq(vcpu->gpr[PVM_RDI], 0x500000);
	cr_assert_eq(vcpu->gpr[PVM_RCX], vcpu->rip, "as every entry");
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RCX), 3);
}

Test(string_io, with_an_impossible_size_is_ud)
{
	cr_assert_eq(execute(PVM_INSN_OUTS, 8, false, 8), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_UD, 0);
	vcpu->rip = RIP;
	cr_assert_eq(execute(PVM_INSN_INS, 1, false, 2), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_UD, 0);
}

Test(string_io, rep_under_single_step_traps_after_each_element)
{
	vcpu->rflags |= PVM_RFLAGS_TF;
	cr_assert_eq(execute(PVM_INSN_OUTS, 1, true, 8), PVM_ACT_IO);
	cr_assert_eq(pvm_complete_io(vcpu, 0), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_DB, 0);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RCX), 2);
}
