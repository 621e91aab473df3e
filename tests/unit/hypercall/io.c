/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * IN and OUT.
 */
#include <pvm/hypercall.h>

#include "guest.h"

#define RIP 0x200000ull

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	vcpu->gpr[PVM_RAX] = 0x1122334455667788;
	vcpu->gpr[PVM_RDX] = 0xffffffffffff03f8;
}

static void teardown(void)
{
	fixture_fini(&f);
}

static enum pvm_action execute(struct pvm_insn insn)
{
	insn.length = 2;
	return pvm_handle_insn(vcpu, &insn, PVM_VEC_GP, 0);
}

TestSuite(io, .init = setup, .fini = teardown);

/* spec: C-009 */
Test(io, out_hands_port_size_and_value_to_the_backend)
{
	cr_assert_eq(
		execute((struct pvm_insn){ .op = PVM_INSN_OUT, .size = 1, .port_is_dx = true }),
		PVM_ACT_IO);
	cr_assert(vcpu->request.io.write);
	cr_assert_eq(vcpu->request.io.port, 0x3f8);
	cr_assert_eq(vcpu->request.io.size, 1);
	cr_assert_eq(vcpu->request.io.value, 0x88);
	cr_assert_eq(vcpu->rip, RIP, "not before it is complete");
	cr_assert_eq(pvm_complete_io(vcpu, 0x99), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, RIP + 2);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0x1122334455667788);
}

Test(io, out_takes_as_many_bytes_of_the_accumulator_as_its_size)
{
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_OUT, .size = 2, .port = 0xf4 }), PVM_ACT_IO);
	cr_assert_eq(vcpu->request.io.value, 0x7788);
	cr_assert_eq(vcpu->request.io.port, 0xf4);
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_OUT, .size = 4, .port = 0xf4 }), PVM_ACT_IO);
	cr_assert_eq(vcpu->request.io.value, 0x55667788);
}

Test(io, in_changes_as_many_bytes_of_the_accumulator_as_its_size)
{
	static const struct { uint8_t size; uint64_t rax; } cases[] = {
		{ 1, 0x11223344556677ef }, { 2, 0x112233445566beef }, { 4, 0xdeadbeef },
	};
	unsigned i;

	for (i = 0; i < 3; i++) {
		vcpu->gpr[PVM_RAX] = 0x1122334455667788;
		vcpu->rip = RIP;
		cr_assert_eq(execute((struct pvm_insn){
				     .op = PVM_INSN_IN, .size = cases[i].size, .port = 0x60 }),
			     PVM_ACT_IO);
		cr_assert_not(vcpu->request.io.write);
		cr_assert_eq(vcpu->request.io.port, 0x60);
		cr_assert_eq(pvm_complete_io(vcpu, 0xdeadbeef), PVM_ACT_RESUME);
		cr_assert_eq(vcpu->gpr[PVM_RAX], cases[i].rax);
		cr_assert_eq(vcpu->rip, RIP + 2);
	}
}

Test(io, in_after_a_string_instruction_goes_to_the_accumulator)
{
	vcpu->request.io.string = true;	/* what INS left */
	execute((struct pvm_insn){ .op = PVM_INSN_IN, .size = 1, .port_is_dx = true });
	cr_assert_eq(pvm_complete_io(vcpu, 0x99), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0x1122334455667799);
	cr_assert_eq(vcpu->rip, RIP + 2);
}

Test(io, with_an_impossible_size_is_ud)
{
	static const uint8_t sizes[] = { 0, 3, 5, 8, 255 };
	unsigned i;

	for (i = 0; i < sizeof(sizes); i++) {
		vcpu->rip = RIP;
		cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_OUT, .size = sizes[i] }),
			     PVM_ACT_RESUME);
		cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_UD << 32);
	}
}

/* spec: C-009 */
Test(io, in_user_mode_is_gp)
{
	guest_enter_user(&f);
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_OUT, .size = 1, .port = 0xf4 }),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
}

Test(io, under_single_step_ends_in_a_debug_exception)
{
	vcpu->rflags |= PVM_RFLAGS_TF;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_IN, .size = 1, .port = 1 }), PVM_ACT_IO);
	cr_assert_eq(pvm_complete_io(vcpu, 0), PVM_ACT_RESUME);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_DB << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RIP + 2);
}
