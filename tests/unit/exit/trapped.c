/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Instructions that trapped: what the decoder is shown, and the gate of INTO. */
#include "controller.h"

#define CODE 0x300000ull

TestSuite(exit_trapped, .init = controller_boot);

static void trap(uint8_t vector)
{
	stop.kind = PVM_EXIT_EXCEPTION;
	stop.vector = vector;
	stop.error_code = 0;
}

Test(exit_trapped, the_decoder_sees_fifteen_bytes_at_rip)
{
	unsigned i;

	for (i = 0; i < 16; i++)
		f.host.memory[CODE + i] = (uint8_t)(0xa0 + i);
	vcpu->rip = CODE;
	decoded = (struct pvm_insn){ .op = PVM_INSN_CLI, .length = 1 };
	trap(PVM_VEC_GP);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(shown_length, PVM_INSN_MAX_LENGTH);
	cr_assert_arr_eq(shown, f.host.memory + CODE, PVM_INSN_MAX_LENGTH);
	cr_assert(shown_code64);
	cr_assert_eq(vcpu->rip, CODE + 1);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags & PVM_EVENT_FLAGS_IF, 0);
}

Test(exit_trapped, an_instruction_at_the_end_of_what_is_mapped_is_shown_as_far_as_it_goes)
{
	uint64_t end = 0x50000000, page = 0x310000;

	fixture_map(&f, vcpu->cr3, 4, end - 0x1000, page, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	f.host.memory[page + 0xffe] = 0x0f;
	f.host.memory[page + 0xfff] = 0x30;
	vcpu->rip = end - 2;
	decoded = (struct pvm_insn){ .op = PVM_INSN_CLI, .length = 1 };
	trap(PVM_VEC_UD);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(shown_length, 2);
	cr_assert_eq(shown[0], 0x0f);
	cr_assert_eq(shown[1], 0x30);
}

Test(exit_trapped, bytes_that_cannot_be_fetched_leave_the_exception)
{
	vcpu->rip = 0x7000000000;
	trap(PVM_VEC_UD);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(shown_length, 0);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
}

Test(exit_trapped, without_a_decoder_the_exception_is_the_guests)
{
	f.host.ops.decode = NULL;
	vcpu->rip = CODE;
	trap(PVM_VEC_GP);
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + PVM_ENTRY_SUPERVISOR_EXCEPTION);
	cr_assert_eq(decodes, 0);
}

Test(exit_trapped, a_32_bit_syscall_is_decoded_unless_it_is_known)
{
	guest_enter_user(&f);
	stop.kind = PVM_EXIT_SYSCALL32;
	stop.insn = (struct pvm_insn){ .op = PVM_INSN_UNKNOWN };
	decoded = (struct pvm_insn){ .op = PVM_INSN_SYSCALL32, .length = 2 };
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(decodes, 1);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_UD);

	guest_enter_user(&f);
	stop.kind = PVM_EXIT_SYSCALL32;
	stop.insn = (struct pvm_insn){ .op = PVM_INSN_SYSENTER, .length = 2 };
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
	cr_assert_eq(decodes, 1);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
}

static void into(uint8_t byte, bool code64)
{
	guest_enter_user(&f);
	if (!code64)
		vcpu->seg[PVM_CS] = f.vm.config.user32_cs;
	f.host.memory[CODE] = byte;
	vcpu->rip = CODE + 1;
	stop.kind = PVM_EXIT_SOFTWARE;
	stop.vector = PVM_VEC_OF;
	cr_assert_eq(handle(PVM_MAY_SLEEP), PVM_ACT_RESUME);
}

Test(exit_trapped, into_is_overflow_in_32_bit_code)
{
	into(0xce, false);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_OF);
	cr_assert_eq(dual_pvcs(vcpu)->rip, CODE + 1);
}

Test(exit_trapped, int_4_is_a_general_protection_fault_at_the_instruction)
{
	into(4, false);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, PVM_VEC_OF << 3 | PVM_ERROR_IDT);
	cr_assert_eq(dual_pvcs(vcpu)->rip, CODE + 1 - 2);
}

Test(exit_trapped, the_byte_of_into_means_nothing_in_64_bit_code)
{
	into(0xce, true);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
}
