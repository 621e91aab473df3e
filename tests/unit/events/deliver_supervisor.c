/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Vector events in supervisor mode: below 32 on the stack, from 32 in the PVCS.
 */
#include "guest.h"

#define RSP	0x207ff5ull	/* not aligned */

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	vcpu->gpr[PVM_RSP] = RSP;
	vcpu->rip = 0x200777;
	vcpu->rflags = PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_CF | PVM_RFLAGS_TF;
	memset(vcpu->pvcs, 0xee, sizeof(struct pvm_vcpu_struct));
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IF;
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void deliver(uint8_t vector, uint32_t error_code)
{
	cr_assert_eq(pvm_event_deliver(vcpu, vector, error_code), PVM_ACT_RESUME);
}

static uint64_t frame(unsigned offset)
{
	return guest_word(&f, vcpu->gpr[PVM_RSP] + offset);
}

TestSuite(deliver_supervisor, .init = setup, .fini = teardown);

/* spec: C-172, C-174, C-182 */
Test(deliver_supervisor, exception_pushes_64_bytes_below_an_aligned_stack)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(vcpu->gpr[PVM_RSP], 0x207ff0 - PVM_FRAME_SIZE);
}

/* spec: C-086, C-173, C-174 */
Test(deliver_supervisor, exception_leaves_the_red_zone_alone)
{
	vcpu->msr.supervisor_redzone = 130;
	memset(f.host.memory + RSP - 130, 0x77, 130);
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(vcpu->gpr[PVM_RSP], ((RSP - 130) & ~0xfull) - PVM_FRAME_SIZE);
	for (unsigned i = 0; i < 130; i++)
		cr_assert_eq(f.host.memory[RSP - 130 + i], 0x77, "byte %u of the red zone", i);
}

/* spec: C-175 */
Test(deliver_supervisor, exception_pushes_r11_and_rcx)
{
	uint64_t r11 = vcpu->gpr[PVM_R11], rcx = vcpu->gpr[PVM_RCX];

	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(frame(PVM_FRAME_R11), r11);
	cr_assert_eq(frame(PVM_FRAME_RCX), rcx);
}

/* spec: C-176 */
Test(deliver_supervisor, exception_pushes_ss_and_the_original_rsp)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(frame(PVM_FRAME_SS), 0x18);
	cr_assert_eq(frame(PVM_FRAME_RSP), RSP);
}

/* spec: C-032, C-177 */
Test(deliver_supervisor, exception_pushes_rflags_with_if_of_the_pvcs_set)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(frame(PVM_FRAME_RFLAGS),
		     PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_CF | PVM_RFLAGS_TF);
}

/* spec: C-030, C-177 */
Test(deliver_supervisor, exception_pushes_rflags_with_if_of_the_pvcs_clear)
{
	dual_pvcs(vcpu)->event_flags = ~(uint64_t)PVM_EVENT_FLAGS_IF;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(frame(PVM_FRAME_RFLAGS), PVM_RFLAGS_FIXED | PVM_RFLAGS_CF | PVM_RFLAGS_TF);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, ~(uint64_t)PVM_EVENT_FLAGS_IF);
}

/* spec: C-178 */
Test(deliver_supervisor, exception_pushes_cs_and_rip)
{
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(frame(PVM_FRAME_CS), 0x10);
	cr_assert_eq(frame(PVM_FRAME_RIP), 0x200777);
}

/* spec: C-179 */
Test(deliver_supervisor, exception_pushes_vector_and_error_code_in_one_word)
{
	deliver(PVM_VEC_GP, 0xabcd1234);
	cr_assert_eq(frame(PVM_FRAME_ERRCODE), (uint64_t)PVM_VEC_GP << 32 | 0xabcd1234);
}

/* spec: C-179 */
Test(deliver_supervisor, exception_without_error_code_pushes_0)
{
	deliver(PVM_VEC_UD, 0x1234);
	cr_assert_eq(frame(PVM_FRAME_ERRCODE), (uint64_t)PVM_VEC_UD << 32);
}

/* spec: C-061, C-180 */
Test(deliver_supervisor, page_fault_puts_cr2_into_the_pvcs)
{
	cr_assert_eq(pvm_event_pf(vcpu, pvm_gva(0xdead000), PVM_PF_W), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->cr2, 0xdead000);
	cr_assert_eq(frame(PVM_FRAME_ERRCODE), (uint64_t)PVM_VEC_PF << 32 | PVM_PF_W);
}

/* spec: C-059, C-060, C-180 */
Test(deliver_supervisor, exception_leaves_the_rest_of_the_pvcs_alone)
{
	struct pvm_vcpu_struct before;

	vcpu->cr2 = 0x1234;
	dual_pvcs(vcpu)->event_flags = 0;
	before = *dual_pvcs(vcpu);
	deliver(PVM_VEC_GP, 1);
	cr_assert_eq(memcmp(&before, vcpu->pvcs, sizeof(before)), 0);
}

/* spec: C-083, C-181, C-183, C-184, C-186 */
Test(deliver_supervisor, exception_enters_at_256_with_clean_registers)
{
	uint64_t cr3 = vcpu->cr3;

	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(vcpu->gpr[PVM_RCX], ENTRY + 256);
	cr_assert_eq(vcpu->gpr[PVM_R11], ENTRY_RFLAGS);
	cr_assert_eq(vcpu->rflags, ENTRY_RFLAGS);
	cr_assert_eq(vcpu->seg[PVM_CS], 0x10);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x18);
	cr_assert_eq(vcpu->cr3, cr3);
	cr_assert_eq(vcpu->gs_base, 0x5000);
	cr_assert_not(vcpu->user_mode);
}

/* spec: C-185 */
Test(deliver_supervisor, exception_clears_if_and_nothing_else_in_the_flags)
{
	dual_pvcs(vcpu)->event_flags = ~0ull;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, ~(uint64_t)PVM_EVENT_FLAGS_IF);
}

Test(deliver_supervisor, S11_pkru_stays_the_supervisors)
{
	vcpu->pkru = 0x1234;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(vcpu->pkru, 0x1234);
	deliver(0x40, 0);
	cr_assert_eq(vcpu->pkru, 0x1234);
	cr_assert_eq(dual_pvcs(vcpu)->pkru, 0xeeeeeeee);
}

Test(deliver_supervisor, frame_may_cross_a_page)
{
	vcpu->gpr[PVM_RSP] = 0x207020;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(vcpu->gpr[PVM_RSP], 0x206fe0);
	cr_assert_eq(frame(PVM_FRAME_RSP), 0x207020);
	cr_assert_eq(frame(PVM_FRAME_RIP), 0x200777);
}

/* spec: C-160 */
Test(deliver_supervisor, an_unmapped_stack_is_a_double_fault_and_so_a_shutdown)
{
	struct guest_snapshot before;

	vcpu->gpr[PVM_RSP] = 0x40000020;
	before = guest_snapshot(vcpu);
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_DOUBLE_FAULT);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_UD);
	cr_assert_eq(vcpu->request.shutdown.address, 0x3fffffe0);
	guest_assert_unchanged(vcpu, &before);
}

/* spec: C-160 */
Test(deliver_supervisor, a_stack_that_wraps_below_0_is_a_shutdown)
{
	vcpu->gpr[PVM_RSP] = 8;
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_DOUBLE_FAULT);
}

/* spec: C-160 */
Test(deliver_supervisor, double_fault_is_a_triple_fault)
{
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_DF, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_DOUBLE_FAULT);
}

/* spec: C-034, C-177 */
Test(deliver_supervisor, exception_without_a_pvcs_pushes_if_clear)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	deliver(PVM_VEC_GP, 5);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(frame(PVM_FRAME_RFLAGS), PVM_RFLAGS_FIXED | PVM_RFLAGS_CF | PVM_RFLAGS_TF);
}

Test(deliver_supervisor, page_fault_without_a_pvcs_is_a_shutdown)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	cr_assert_eq(pvm_event_pf(vcpu, pvm_gva(1), 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_NO_PVCS);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_PF);
}

Test(deliver_supervisor, M7_exception_entry_that_leaves_the_legal_ranges_is_a_shutdown)
{
	vcpu->msr.event_entry = 0x7fffffffff80;		/* legal, but not with 256 added */
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
	cr_assert_eq(vcpu->request.shutdown.address, 0x800000000080);
	cr_assert_eq(guest_word(&f, 0x207fe8), 0, "nothing was pushed");
}

/* spec: C-066, C-187 */
Test(deliver_supervisor, interrupt_saves_five_registers_in_the_pvcs)
{
	uint64_t r11 = vcpu->gpr[PVM_R11], rcx = vcpu->gpr[PVM_RCX];

	deliver(0x40, 0);
	cr_assert_eq(dual_pvcs(vcpu)->rsp, RSP);
	cr_assert_eq(dual_pvcs(vcpu)->eflags,
		     PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_CF | PVM_RFLAGS_TF);
	cr_assert_eq(dual_pvcs(vcpu)->rip, 0x200777);
	cr_assert_eq(dual_pvcs(vcpu)->rcx, rcx);
	cr_assert_eq(dual_pvcs(vcpu)->r11, r11);
}

/* spec: C-030, C-187 */
Test(deliver_supervisor, int_0x80_with_if_clear_saves_if_clear)
{
	dual_pvcs(vcpu)->event_flags = 0;
	deliver(PVM_VEC_SYSCALL32, 0);
	cr_assert_eq(dual_pvcs(vcpu)->eflags, PVM_RFLAGS_FIXED | PVM_RFLAGS_CF | PVM_RFLAGS_TF);
}

/* spec: C-059, C-188 */
Test(deliver_supervisor, interrupt_vector_goes_to_the_pvcs)
{
	deliver(0xfe, 0x55);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0xfe);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0xeeeeeeee);
}

/* spec: C-187 */
Test(deliver_supervisor, interrupt_pushes_nothing_and_saves_nothing_else)
{
	uint8_t *stack = f.host.memory + 0x200000;
	static uint8_t before[0x8000];

	memset(stack, 0x5a, sizeof(before));
	memcpy(before, stack, sizeof(before));
	deliver(0x40, 0);
	cr_assert_eq(memcmp(before, stack, sizeof(before)), 0);
	cr_assert_eq(dual_pvcs(vcpu)->user_cs, 0xeeee);
	cr_assert_eq(dual_pvcs(vcpu)->user_ss, 0xeeee);
	cr_assert_eq(dual_pvcs(vcpu)->user_gsbase, 0xeeeeeeeeeeeeeeee);
	cr_assert_eq(dual_pvcs(vcpu)->pkru, 0xeeeeeeee);
	cr_assert_eq(dual_pvcs(vcpu)->cr2, 0xeeeeeeeeeeeeeeee);
}

/* spec: C-086, C-190 */
Test(deliver_supervisor, interrupt_stack_is_below_the_redzone_and_16_byte_aligned)
{
	vcpu->msr.supervisor_redzone = 128;
	deliver(0x40, 0);
	cr_assert_eq(vcpu->gpr[PVM_RSP], (RSP - 128) & ~0xfull);
}

/* spec: C-084, C-189, C-191, C-192, C-194 */
Test(deliver_supervisor, interrupt_enters_at_512_with_clean_registers)
{
	deliver(32, 0);
	cr_assert_eq(vcpu->rip, ENTRY + 512);
	cr_assert_eq(vcpu->gpr[PVM_RCX], ENTRY + 512);
	cr_assert_eq(vcpu->gpr[PVM_R11], ENTRY_RFLAGS);
	cr_assert_eq(vcpu->rflags, ENTRY_RFLAGS);
	cr_assert_eq(vcpu->seg[PVM_CS], 0x10);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x18);
	cr_assert_not(vcpu->user_mode);
}

/* spec: C-083, C-084 */
Test(deliver_supervisor, vector_31_is_an_exception_and_32_is_not)
{
	deliver(31, 0);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	deliver(32, 0);
	cr_assert_eq(vcpu->rip, ENTRY + 512);
}

/* spec: C-193 */
Test(deliver_supervisor, interrupt_clears_if_and_nothing_else_in_the_flags)
{
	dual_pvcs(vcpu)->event_flags = ~0ull;
	deliver(0x40, 0);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, ~(uint64_t)PVM_EVENT_FLAGS_IF);
}

Test(deliver_supervisor, M7_interrupt_entry_that_leaves_the_legal_ranges_is_a_shutdown)
{
	vcpu->msr.event_entry = 0x7ffffffffe80;		/* legal with 256 added, not with 512 */
	cr_assert_eq(pvm_event_deliver(vcpu, 0x40, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
	cr_assert_eq(vcpu->request.shutdown.address, 0x800000000080);
}

Test(deliver_supervisor, interrupt_without_a_pvcs_is_a_shutdown)
{
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	cr_assert_eq(pvm_event_deliver(vcpu, 0x80, 0), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_NO_PVCS);
	cr_assert_eq(vcpu->request.shutdown.vector, 0x80);
}

Test(deliver_supervisor, is_traced_as_from_supervisor_mode)
{
	f.host.record_count = 0;
	deliver(PVM_VEC_UD, 0);
	cr_assert_eq(fixture_find_record(&f, PVM_TRACE_EVENT)->c, 0);
	cr_assert_eq(fixture_find_record(&f, PVM_TRACE_EVENT)->d, 0x200777);
}
