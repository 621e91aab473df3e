/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * RDMSR and WRMSR, by hypercall and by instruction, the engine's MSRs and the
 * backend's.
 */
#include <pvm/hypercall.h>

#include "guest.h"

#define X2APIC_ICR	0x830
#define BAD_MSR		0x4b564dff	/* in PVM's block, but none */

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];
static const struct pvm_insn rdmsr = { .op = PVM_INSN_RDMSR, .length = 2 };
static const struct pvm_insn wrmsr = { .op = PVM_INSN_WRMSR, .length = 3 };

static void setup(void)
{
	guest_boot(&f);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static enum pvm_action hc_rdmsr(uint64_t index)
{
	vcpu->gpr[PVM_RAX] = PVM_HC_RDMSR;
	vcpu->gpr[PVM_RBX] = index;
	return pvm_handle_syscall(vcpu);
}

static enum pvm_action hc_wrmsr(uint64_t index, uint64_t value)
{
	vcpu->gpr[PVM_RAX] = PVM_HC_WRMSR;
	vcpu->gpr[PVM_RBX] = index;
	vcpu->gpr[PVM_R10] = value;
	return pvm_handle_syscall(vcpu);
}

static enum pvm_action insn_rdmsr(uint64_t index)
{
	vcpu->gpr[PVM_RCX] = index;
	return pvm_handle_insn(vcpu, &rdmsr, PVM_VEC_GP, 0);
}

static enum pvm_action insn_wrmsr(uint64_t index, uint64_t value)
{
	vcpu->gpr[PVM_RCX] = index;
	vcpu->gpr[PVM_RAX] = 0x5555555500000000 | (uint32_t)value;
	vcpu->gpr[PVM_RDX] = 0x6666666600000000 | value >> 32;
	return pvm_handle_insn(vcpu, &wrmsr, PVM_VEC_GP, 0);
}

static void assert_gp(void)
{
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_GP << 32);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), 0x200000);
}

TestSuite(msr, .init = setup, .fini = teardown);

/* spec: C-228 */
Test(msr, hypercall_reads_the_value_into_rax)
{
	cr_assert_eq(hc_rdmsr(PVM_MSR_KERNEL_GS_BASE), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], KERNEL_GS_BASE);
}

/* spec: C-228 */
Test(msr, hypercall_reads_0_for_an_invalid_index)
{
	cr_assert_eq(hc_rdmsr(BAD_MSR), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
}

Test(msr, hypercall_looks_at_32_bits_of_the_index_as_ecx_has)
{
	cr_assert_eq(hc_rdmsr(0xabcdef0000000000 | PVM_MSR_LSTAR), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], LSTAR);
}

/* spec: C-229 */
Test(msr, hypercall_writes_and_returns_0)
{
	cr_assert_eq(hc_wrmsr(PVM_MSR_LSTAR, 0x112233), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
	cr_assert_eq(vcpu->msr.lstar, 0x112233);
	cr_assert_eq(vcpu->gpr[PVM_R10], 0x112233);
}

/* spec: C-145 */
Test(msr, hypercall_write_of_switch_cr3_flushes_nothing)
{
	cr_assert_eq(hc_wrmsr(MSR_PVM_SWITCH_CR3, 0x901000), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->msr.switch_cr3, 0x901000);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-229 */
Test(msr, hypercall_write_of_a_bad_value_returns_einval)
{
	cr_assert_eq(hc_wrmsr(PVM_MSR_LSTAR, 0x800000000000), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint64_t)-22);
	cr_assert_eq(vcpu->msr.lstar, LSTAR);
	cr_assert_eq(hc_wrmsr(BAD_MSR, 0), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(vcpu->rip, 0x200000);
}

/* spec: C-229 */
Test(msr, hypercall_write_of_a_pvcs_outside_memory_returns_einval_and_keeps_the_old_one)
{
	cr_assert_eq(hc_wrmsr(MSR_PVM_VCPU_STRUCT, 0x40000000), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(vcpu->msr.vcpu_struct, 0x3000);
}

Test(msr, hypercall_read_of_the_backends_msr_is_completed_later)
{
	vcpu->gpr[PVM_R10] = 0x77;
	cr_assert_eq(hc_rdmsr(X2APIC_ICR), PVM_ACT_RDMSR);
	cr_assert_eq(vcpu->request.msr.index, X2APIC_ICR);
	cr_assert(vcpu->request.msr.by_hypercall);
	cr_assert_eq(pvm_complete_rdmsr(vcpu, true, 0x123456789a), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0x123456789a);
	cr_assert_eq(vcpu->gpr[PVM_R10], 0x77);
	cr_assert_eq(vcpu->rip, 0x200000);
}

/* spec: C-228 */
Test(msr, hypercall_read_that_the_backend_refuses_is_0)
{
	cr_assert_eq(hc_rdmsr(X2APIC_ICR), PVM_ACT_RDMSR);
	cr_assert_eq(pvm_complete_rdmsr(vcpu, false, 5), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
	cr_assert_eq(vcpu->rip, 0x200000);
}

/* spec: C-229 */
Test(msr, hypercall_write_of_the_backends_msr_is_completed_later)
{
	cr_assert_eq(hc_wrmsr(X2APIC_ICR, 0x123456789a), PVM_ACT_WRMSR);
	cr_assert_eq(vcpu->request.msr.index, X2APIC_ICR);
	cr_assert_eq(vcpu->request.msr.value, 0x123456789a);
	cr_assert(vcpu->request.msr.by_hypercall);
	cr_assert_eq(pvm_complete_wrmsr(vcpu, true), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
	cr_assert_eq(hc_wrmsr(X2APIC_ICR, 1), PVM_ACT_WRMSR);
	cr_assert_eq(pvm_complete_wrmsr(vcpu, false), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(vcpu->rip, 0x200000);
}

Test(msr, instruction_reads_into_edx_and_eax)
{
	vcpu->gpr[PVM_RAX] = vcpu->gpr[PVM_RDX] = ~0ull;
	cr_assert_eq(insn_rdmsr(0xffffffff00000000 | PVM_MSR_KERNEL_GS_BASE), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint32_t)KERNEL_GS_BASE);
	cr_assert_eq(vcpu->gpr[PVM_RDX], KERNEL_GS_BASE >> 32);
	cr_assert_eq(vcpu->rip, 0x200002);
}

Test(msr, instruction_read_of_an_invalid_index_is_gp)
{
	cr_assert_eq(insn_rdmsr(BAD_MSR), PVM_ACT_RESUME);
	assert_gp();
}

Test(msr, instruction_read_of_the_backends_msr_is_completed_later)
{
	cr_assert_eq(insn_rdmsr(X2APIC_ICR), PVM_ACT_RDMSR);
	cr_assert_eq(vcpu->request.msr.index, X2APIC_ICR);
	cr_assert_not(vcpu->request.msr.by_hypercall);
	cr_assert_eq(vcpu->rip, 0x200000, "not before it is complete");
	cr_assert_eq(pvm_complete_rdmsr(vcpu, true, 0x0000001200000034), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0x34);
	cr_assert_eq(vcpu->gpr[PVM_RDX], 0x12);
	cr_assert_eq(vcpu->rip, 0x200002);
}

Test(msr, instruction_read_that_the_backend_refuses_is_gp)
{
	cr_assert_eq(insn_rdmsr(X2APIC_ICR), PVM_ACT_RDMSR);
	cr_assert_eq(pvm_complete_rdmsr(vcpu, false, 0), PVM_ACT_RESUME);
	assert_gp();
}

Test(msr, instruction_writes_edx_and_eax)
{
	cr_assert_eq(insn_wrmsr(PVM_MSR_KERNEL_GS_BASE, 0x7f0012345678), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->msr.kernel_gs_base, 0x7f0012345678);
	cr_assert_eq(vcpu->rip, 0x200003);
}

/* spec: C-145 */
Test(msr, instruction_write_of_switch_cr3_flushes_nothing)
{
	cr_assert_eq(insn_wrmsr(MSR_PVM_SWITCH_CR3, 0x901000), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->msr.switch_cr3, 0x901000);
	cr_assert_eq(f.host.flush_count, 0);
}

Test(msr, instruction_write_of_a_bad_value_is_gp)
{
	cr_assert_eq(insn_wrmsr(PVM_MSR_LSTAR, 0x800000000000), PVM_ACT_RESUME);
	assert_gp();
	cr_assert_eq(vcpu->msr.lstar, LSTAR);
}

Test(msr, instruction_write_of_the_backends_msr_is_completed_later)
{
	cr_assert_eq(insn_wrmsr(X2APIC_ICR, 0x0000000200004040), PVM_ACT_WRMSR);
	cr_assert_eq(vcpu->request.msr.index, X2APIC_ICR);
	cr_assert_eq(vcpu->request.msr.value, 0x0000000200004040);
	cr_assert_eq(vcpu->rip, 0x200000);
	cr_assert_eq(pvm_complete_wrmsr(vcpu, true), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0x200003);
}

Test(msr, instruction_write_that_the_backend_refuses_is_gp)
{
	cr_assert_eq(insn_wrmsr(X2APIC_ICR, 0), PVM_ACT_WRMSR);
	cr_assert_eq(pvm_complete_wrmsr(vcpu, false), PVM_ACT_RESUME);
	assert_gp();
}

static unsigned written;

/* A host that takes ICR at once, and refuses to say of any value but one. */
static bool take_icr(void *host, struct pvm_vcpu *of, uint32_t index, uint64_t value)
{
	cr_assert_eq(host, f.vm.host);
	cr_assert_eq(of, vcpu);
	if (index != X2APIC_ICR || value != 0x0000000200004040)
		return false;
	written++;
	return true;
}

Test(msr, a_host_may_take_a_write_at_once)
{
	static struct pvm_host_ops ops;

	ops = *f.vm.ops;
	ops.wrmsr = take_icr;
	f.vm.ops = &ops;
	written = 0;
	cr_assert_eq(hc_wrmsr(X2APIC_ICR, 0x0000000200004040), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
	cr_assert_eq(vcpu->rip, 0x200000);
	cr_assert_eq(insn_wrmsr(X2APIC_ICR, 0x0000000200004040), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, 0x200003);
	cr_assert_eq(written, 2);
	cr_assert_eq(hc_wrmsr(X2APIC_ICR, 1), PVM_ACT_WRMSR, "it did not take this one");
	cr_assert_eq(vcpu->request.msr.value, 1);
	cr_assert_eq(hc_wrmsr(PVM_MSR_LSTAR, 0x800000000000), PVM_ACT_RESUME, "the engine's are not asked for");
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(written, 2);
}

Test(msr, in_user_mode_the_instructions_are_gp)
{
	guest_enter_user(&f);
	cr_assert_eq(insn_rdmsr(PVM_MSR_LSTAR), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(dual_pvcs(vcpu)->event_vector, PVM_VEC_GP);
	cr_assert_eq(dual_pvcs(vcpu)->rip, USER_RIP);
	guest_enter_user(&f);
	cr_assert_eq(insn_wrmsr(PVM_MSR_LSTAR, 1), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(vcpu->msr.lstar, LSTAR);
}

/* One access, and forget it. */
static void assert_traced(uint32_t index, uint64_t value, bool write)
{
	const struct pvm_trace_record *record = fixture_find_record(&f, PVM_TRACE_MSR);

	cr_assert_not_null(record);
	cr_assert_eq(record->a, index);
	cr_assert_eq(record->b, value);
	cr_assert_eq(record->c, write);
	f.host.record_count = 0;
}

Test(msr, writes_that_the_backend_refuses_are_not_traced)
{
	hc_wrmsr(X2APIC_ICR, 7);
	pvm_complete_wrmsr(vcpu, false);
	cr_assert_null(fixture_find_record(&f, PVM_TRACE_MSR));
	hc_wrmsr(X2APIC_ICR, 7);
	pvm_complete_wrmsr(vcpu, true);
	assert_traced(X2APIC_ICR, 7, true);
}

Test(msr, accesses_are_traced)
{
	hc_wrmsr(PVM_MSR_LSTAR, 0x112233);
	assert_traced(PVM_MSR_LSTAR, 0x112233, true);
	insn_wrmsr(PVM_MSR_LSTAR, 0x445566);
	assert_traced(PVM_MSR_LSTAR, 0x445566, true);
	insn_rdmsr(X2APIC_ICR);
	pvm_complete_rdmsr(vcpu, true, 9);
	assert_traced(X2APIC_ICR, 9, false);
}
