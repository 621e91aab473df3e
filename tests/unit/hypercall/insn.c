/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Trapped instructions: who may execute them, CPUID, INT n, HLT, CLI, STI,
 * INVLPG and what is not allowed at all.
 */
#include <pvm/hypercall.h>

#include "guest.h"

#define RIP 0x200000ull

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

/* The instruction, as a CPU that refuses it with @vector would report it. */
static enum pvm_action execute(struct pvm_insn insn, uint8_t vector, uint32_t error_code)
{
	if (!insn.length)
		insn.length = 3;
	return pvm_handle_insn(vcpu, &insn, vector, error_code);
}

static enum pvm_action execute_op(enum pvm_insn_op op)
{
	return execute((struct pvm_insn){ .op = op }, PVM_VEC_GP, 0);
}

/* The exception reached the supervisor, with RIP at the instruction. */
static void assert_exception(uint8_t vector, uint32_t error_code)
{
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)vector << 32 | error_code);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RIP);
}

TestSuite(insn, .init = setup, .fini = teardown);

/* spec: C-105 */
Test(insn, synthetic_cpuid_gives_the_guests_cpuid)
{
	uint32_t out[4];

	vcpu->gpr[PVM_RAX] = 0xffffffff00000000 | PVM_CPUID_SIGNATURE;
	vcpu->gpr[PVM_RCX] = ~0ull;
	pvm_cpuid(vcpu, PVM_CPUID_SIGNATURE, 0xffffffff, out);
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SYNTHETIC_CPUID, .length = 10 },
			     PVM_VEC_GP, 0),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], out[0]);
	cr_assert_eq(vcpu->gpr[PVM_RBX], PVM_CPUID_KVM_EBX);
	cr_assert_eq(vcpu->gpr[PVM_RCX], PVM_CPUID_KVM_ECX);
	cr_assert_eq(vcpu->gpr[PVM_RDX], PVM_CPUID_KVM_EDX);
	cr_assert_eq(vcpu->rip, RIP + 10);
}

/* spec: C-108 */
Test(insn, synthetic_cpuid_flushes_nothing)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	f.host.flush_count = 0;
	cr_assert_eq(execute_op(PVM_INSN_SYNTHETIC_CPUID), PVM_ACT_RESUME);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-105 */
Test(insn, cpuid_works_in_user_mode_as_well)
{
	guest_enter_user(&f);
	vcpu->gpr[PVM_RAX] = PVM_CPUID_VENDOR_FEATURES;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SYNTHETIC_CPUID, .length = 10 },
			     PVM_VEC_GP, 0),
		     PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode);
	cr_assert_eq(vcpu->gpr[PVM_RBX], PVM_CPUID_VENDOR_EBX);
	cr_assert_eq(vcpu->rip, USER_RIP + 10);
	vcpu->gpr[PVM_RAX] = PVM_CPUID_VENDOR_FEATURES;
	vcpu->gpr[PVM_RBX] = 0;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_CPUID, .length = 2 }, PVM_VEC_GP, 0),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RBX], PVM_CPUID_VENDOR_EBX);
	cr_assert_eq(vcpu->rip, USER_RIP + 12);
}

Test(insn, rip_of_32_bit_code_wraps_at_4_gib)
{
	guest_enter_user(&f);
	vcpu->seg[PVM_CS] = 0x23;
	vcpu->rip = 0xfffffffe;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_CPUID, .length = 2 }, PVM_VEC_GP, 0),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0);
}

Test(insn, in_user_mode_every_privileged_instruction_is_the_cpus_exception)
{
	enum pvm_insn_op op;

	for (op = PVM_INSN_UNKNOWN; op < PVM_INSN_OPS; op++) {
		if (op == PVM_INSN_SYNTHETIC_CPUID || op == PVM_INSN_CPUID || op == PVM_INSN_INT ||
		    op == PVM_INSN_SYSENTER || op == PVM_INSN_SYSCALL32)
			continue;
		guest_enter_user(&f);
		cr_assert_eq(execute((struct pvm_insn){ .op = op, .size = 4 }, PVM_VEC_GP, 0x18),
			     PVM_ACT_RESUME);
		cr_assert_eq(vcpu->rip, ENTRY, "%s", pvm_insn_name(op));
		cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
		cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0x18);
		cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP, "%s", pvm_insn_name(op));
	}
}

/* spec: C-112 */
Test(insn, what_is_not_allowed_is_the_cpus_exception_in_supervisor_mode_too)
{
	static const enum pvm_insn_op ops[] = {
		PVM_INSN_UNKNOWN, PVM_INSN_SWAPGS, PVM_INSN_SYSRET,
		PVM_INSN_SYSEXIT, PVM_INSN_STAC,   PVM_INSN_CLAC,
	};
	unsigned i;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		vcpu->rip = RIP;
		cr_assert_eq(execute((struct pvm_insn){ .op = ops[i] }, PVM_VEC_UD, 0), PVM_ACT_RESUME);
		assert_exception(PVM_VEC_UD, 0);
		cr_assert_eq(vcpu->gs_base, 0x5000);
	}
}

Test(insn, that_no_cpu_could_have_decoded_is_the_cpus_exception)
{
	static const struct pvm_insn insns[] = {
		{ .op = PVM_INSN_HLT, .length = 16 },
		{ .op = PVM_INSN_MOV_TO_CR, .length = 3, .reg = 16 },
		{ .op = PVM_INSN_MOV_TO_CR, .length = 3, .creg = 16 },
		{ .op = PVM_INSN_OPS, .length = 3 },
	};
	static const struct pvm_insn nothing = { .op = PVM_INSN_HLT };
	unsigned i;

	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		vcpu->rip = RIP;
		cr_assert_eq(execute(insns[i], PVM_VEC_GP, 0), PVM_ACT_RESUME);
		assert_exception(PVM_VEC_GP, 0);
	}
	vcpu->rip = RIP;
	cr_assert_eq(pvm_handle_insn(vcpu, &nothing, PVM_VEC_UD, 0), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_UD, 0);
}

/* spec: C-113 */
Test(insn, sysenter_is_gp)
{
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SYSENTER }, PVM_VEC_UD, 7), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_GP, 0);
}

/* spec: C-079, C-113 */
Test(insn, sysenter_is_gp_in_user_mode_whatever_its_msrs_hold)
{
	guest_enter_user(&f);
	vcpu->msr.sysenter_eip = 0x4000;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SYSENTER }, PVM_VEC_UD, 7), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
	cr_assert_eq(dual_pvcs(vcpu)->event_errcode, 0);
	cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP);
}

/* spec: C-078 */
Test(insn, syscall_of_32_bit_code_is_ud_whatever_cstar_holds)
{
	guest_enter_user(&f);
	vcpu->msr.cstar = 0x4000;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_SYSCALL32 }, PVM_VEC_GP, 0), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_UD);
	cr_assert_eq(vcpu->rip, ENTRY);
}

/* spec: C-114 */
Test(insn, int_n_is_gp_with_the_vector_in_the_error_code)
{
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_INT, .value = 0x21 }, PVM_VEC_GP, 0),
		     PVM_ACT_RESUME);
	assert_exception(PVM_VEC_GP, 0x21 * 8 + 2);
}

/* spec: C-114 */
Test(insn, int_n_is_gp_in_user_mode)
{
	unsigned vector;

	for (vector = 0; vector < 256; vector++) {
		if (vector == 3 || vector == 0x80)
			continue;
		guest_enter_user(&f);
		cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_INT, .value = vector, .length = 2 },
				     PVM_VEC_GP, vector * 8 + 2), PVM_ACT_RESUME);
		cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
		cr_assert_eq(dual_pvcs(vcpu)->event_errcode, vector * 8 + 2);
		cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP);
	}
}

/* spec: C-114 */
Test(insn, int_0x80_and_int_3_are_events_after_the_instruction)
{
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_INT, .value = 0x80, .length = 2 },
			     PVM_VEC_GP, 0x402),
		     PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 512);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, 0x80);
	cr_assert_eq(dual_pvcs(vcpu)->rip, RIP + 2);
	guest_enter_user(&f);
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_INT, .value = 3, .length = 2 },
			     PVM_VEC_GP, 0x1a),
		     PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_BP);
	cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP + 2);
}

Test(insn, hlt_waits_after_the_instruction)
{
	bool delivered;

	cr_assert_eq(execute_op(PVM_INSN_HLT), PVM_ACT_HALT);
	cr_assert(vcpu->halted);
	cr_assert_eq(vcpu->rip, RIP + 3);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF);
	cr_assert_eq(pvm_event_interrupt(vcpu, 0x40, &delivered), PVM_ACT_RESUME);
	cr_assert(delivered);
	cr_assert_not(vcpu->halted);
}

Test(insn, hlt_with_if_clear_waits_for_an_nmi)
{
	bool delivered;

	dual_pvcs(vcpu)->event_flags = 0;
	cr_assert_eq(execute_op(PVM_INSN_HLT), PVM_ACT_HALT);
	cr_assert_eq(pvm_event_interrupt(vcpu, 0x40, &delivered), PVM_ACT_HALT);
	cr_assert_not(delivered);
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_assert_not(vcpu->halted);
}

Test(insn, hlt_under_single_step_is_a_debug_exception_and_no_halt)
{
	vcpu->rflags |= PVM_RFLAGS_TF;
	cr_assert_eq(execute_op(PVM_INSN_HLT), PVM_ACT_RESUME);
	cr_assert_not(vcpu->halted);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_DB << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RIP + 3);
}

Test(insn, S1_hlt_after_the_end_of_the_lower_half_is_gp_and_no_halt)
{
	vcpu->rip = 0x7ffffffffffd;
	cr_assert_eq(execute_op(PVM_INSN_HLT), PVM_ACT_RESUME);
	cr_assert_not(vcpu->halted);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_GP << 32);
}

/* spec: C-032 */
Test(insn, cli_and_sti_change_if_in_the_pvcs)
{
	cr_assert_eq(execute_op(PVM_INSN_CLI), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0);
	cr_assert_eq(vcpu->rip, RIP + 3);
	cr_assert_eq(execute_op(PVM_INSN_STI), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF);
	cr_assert_eq(vcpu->rip, RIP + 6);
	cr_assert_eq(vcpu->rflags, ENTRY_RFLAGS);
}

Test(insn, invlpg_flushes_the_address_under_both_tables)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	f.host.flush_count = 0;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_INVLPG, .memory = true, .address = 0x345678 },
			     PVM_VEC_GP, 0), PVM_ACT_RESUME);
	cr_assert_geq(f.host.flush_count, 1);
	cr_assert_eq(f.host.flushes[0].scope, PVM_FLUSH_GVA);
	cr_assert_eq(f.host.flushes[0].gva.v >> 12, 0x345);
	cr_assert_eq(vcpu->rip, RIP + 3);
}

/* spec: C-108 */
Test(insn, M7_invlpg_outside_the_legal_ranges_does_nothing)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	f.host.flush_count = 0;
	cr_assert_eq(execute((struct pvm_insn){ .op = PVM_INSN_INVLPG,
						.memory = true,
						.address = PVM_SYNTHETIC_CPUID_ADDR },
			     PVM_VEC_GP, 0),
		     PVM_ACT_RESUME);
	cr_assert_eq(f.host.flush_count, 0);
	cr_assert_eq(vcpu->rip, RIP + 3);
}

Test(insn, clts_and_wbinvd_do_nothing)
{
	struct guest_snapshot before = guest_snapshot(vcpu);
	uint64_t cr0 = vcpu->cr0;

	cr_assert_eq(execute_op(PVM_INSN_CLTS), PVM_ACT_RESUME);
	cr_assert_eq(execute_op(PVM_INSN_WBINVD), PVM_ACT_RESUME);
	before.rip += 6;
	guest_assert_unchanged(vcpu, &before);
	cr_assert_eq(vcpu->cr0, cr0);
}

Test(insn, rdpmc_is_gp)
{
	cr_assert_eq(execute_op(PVM_INSN_RDPMC), PVM_ACT_RESUME);
	assert_exception(PVM_VEC_GP, 0);
}

Test(insn, single_step_sees_an_emulated_instruction)
{
	vcpu->rflags |= PVM_RFLAGS_TF;
	cr_assert_eq(execute_op(PVM_INSN_CLI), PVM_ACT_RESUME);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_DB << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RIP + 3);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | PVM_DR6_BS);
}

Test(insn, resume_flag_ends_with_an_emulated_instruction)
{
	vcpu->rflags |= PVM_RFLAGS_RF;
	cr_assert_eq(execute_op(PVM_INSN_CLI), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rflags, ENTRY_RFLAGS);
}

Test(insn, S1_after_the_end_of_the_lower_half_is_gp)
{
	vcpu->rip = 0x7ffffffffffd;
	cr_assert_eq(execute_op(PVM_INSN_CLI), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_GP << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), 0x800000000000);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, 0, "CLI was executed");
}

Test(insn, is_traced)
{
	execute_op(PVM_INSN_CLI);
	cr_assert_eq(fixture_find_record(&f, PVM_TRACE_INSN)->a, PVM_INSN_CLI);
	cr_assert_eq(fixture_find_record(&f, PVM_TRACE_INSN)->b, RIP);
}
