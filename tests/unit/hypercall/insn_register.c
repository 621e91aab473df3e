/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * MOV to and from CR and DR, LMSW, SMSW, XSETBV, INVPCID.
 */
#include <pvm/hypercall.h>

#include "guest.h"

#define RIP	0x200000ull
#define OPERAND	0x300000ull	/* gva of a memory operand */

static const struct pvm_cpuid_entry cpuid[] = {
	{ .leaf = 0, .eax = 0xd },
	{ .leaf = 1, .ecx = 1 << 26 | 1 << 27 | 1 << 28, .edx = ~0u },
	{ .leaf = 7, .subleaf_matters = true, .ebx = ~0u },
	{ .leaf = 0xd, .subleaf_matters = true, .eax = 0xe7, .ebx = 0xa80, .ecx = 0xa80 },
};

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	struct pvm_vm_config config = fixture_config();

	config.cpuid = cpuid;
	config.cpuid_count = sizeof(cpuid) / sizeof(cpuid[0]);
	guest_boot_config(&f, &config);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void execute(struct pvm_insn insn)
{
	insn.length = 3;
	cr_assert_eq(pvm_handle_insn(vcpu, &insn, PVM_VEC_GP, 0), PVM_ACT_RESUME);
}

static void assert_done(void)
{
	cr_assert_eq(vcpu->rip, RIP + 3);
}

static void assert_exception(uint8_t vector)
{
	cr_assert_eq(vcpu->rip, ENTRY + 256);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]) >> 32, vector);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP] + PVM_FRAME_RIP), RIP);
	vcpu->rip = RIP;
}

TestSuite(insn_register, .init = setup, .fini = teardown);

Test(insn_register, mov_from_cr_reads_the_register)
{
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_FROM_CR, .creg = 3, .reg = PVM_R9 });
	cr_assert_eq(vcpu->gpr[PVM_R9], vcpu->cr3);
	assert_done();
}

Test(insn_register, mov_to_cr_writes_the_register)
{
	vcpu->gpr[PVM_RDI] = 0x1234;
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_CR, .creg = 2, .reg = PVM_RDI });
	cr_assert_eq(vcpu->cr2, 0x1234);
	assert_done();
}

Test(insn_register, mov_to_cr_of_a_bad_value_is_gp)
{
	vcpu->gpr[PVM_RDI] = 0;
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_CR, .creg = 0, .reg = PVM_RDI });
	assert_exception(PVM_VEC_GP);
}

Test(insn_register, mov_of_a_register_that_does_not_exist_is_ud)
{
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_CR, .creg = 1, .reg = PVM_RDI });
	assert_exception(PVM_VEC_UD);
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_FROM_CR, .creg = 5, .reg = PVM_RDI });
	assert_exception(PVM_VEC_UD);
}

Test(insn_register, mov_to_and_from_dr)
{
	vcpu->gpr[PVM_RBX] = 0x300000;
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_DR, .creg = 1, .reg = PVM_RBX });
	cr_assert_eq(vcpu->dr[1], 0x300000);
	assert_done();
	vcpu->rip = RIP;
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_FROM_DR, .creg = 1, .reg = PVM_R15 });
	cr_assert_eq(vcpu->gpr[PVM_R15], 0x300000);
	assert_done();
}

Test(insn_register, mov_to_dr7_of_a_value_above_32_bits_is_gp)
{
	vcpu->gpr[PVM_RBX] = 1ull << 32;
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_DR, .creg = 7, .reg = PVM_RBX });
	assert_exception(PVM_VEC_GP);
}

Test(insn_register, mov_of_dr4_with_cr4_de_is_ud)
{
	cr_assert_eq(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_DE), PVM_OK);
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_FROM_DR, .creg = 4, .reg = PVM_RBX });
	assert_exception(PVM_VEC_UD);
	vcpu->dr7 |= PVM_DR7_GD;
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_DR, .creg = 5, .reg = PVM_RBX });
	assert_exception(PVM_VEC_UD);
	cr_assert(vcpu->dr7 & PVM_DR7_GD, "#UD comes before general detect");
}

/* spec: C-016 */
Test(insn_register, mov_of_a_debug_register_under_general_detect_is_db)
{
	uint64_t dr0 = vcpu->dr[0];

	vcpu->dr7 |= PVM_DR7_GD;
	vcpu->gpr[PVM_RBX] = 0x777;
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_DR, .creg = 0, .reg = PVM_RBX });
	assert_exception(PVM_VEC_DB);
	cr_assert_eq(vcpu->dr[0], dr0);
	cr_assert_eq(vcpu->dr6, PVM_DR6_FIXED | PVM_DR6_BD);
	cr_assert_not(vcpu->dr7 & PVM_DR7_GD, "so that the handler can use them");
	execute((struct pvm_insn){ .op = PVM_INSN_MOV_TO_DR, .creg = 0, .reg = PVM_RBX });
	cr_assert_eq(vcpu->dr[0], 0x777);
}

Test(insn_register, lmsw_can_only_confirm_what_cr0_is)
{
	uint64_t cr0 = vcpu->cr0;

	vcpu->gpr[PVM_RBX] = PVM_CR0_MP;	/* PE cannot be cleared by LMSW */
	execute((struct pvm_insn){ .op = PVM_INSN_LMSW, .reg = PVM_RBX, .size = 2 });
	assert_done();
	cr_assert_eq(vcpu->cr0, cr0);
	vcpu->rip = RIP;
	vcpu->gpr[PVM_RBX] = PVM_CR0_MP | PVM_CR0_TS;
	execute((struct pvm_insn){ .op = PVM_INSN_LMSW, .reg = PVM_RBX, .size = 2 });
	assert_exception(PVM_VEC_GP);
	cr_assert_eq(vcpu->cr0, cr0);
}

Test(insn_register, lmsw_reads_its_operand_from_memory)
{
	f.host.memory[OPERAND] = PVM_CR0_MP | PVM_CR0_EM;
	vcpu->gpr[0] = PVM_CR0_MP;
	execute((struct pvm_insn){ .op = PVM_INSN_LMSW, .memory = true, .address = OPERAND });
	assert_exception(PVM_VEC_GP);
	execute((struct pvm_insn){ .op = PVM_INSN_LMSW, .memory = true, .address = 0x40000000 });
	assert_exception(PVM_VEC_PF);
	cr_assert_eq(vcpu->cr2, 0x40000000);
}

/* spec: C-110 */
Test(insn_register, smsw_stores_cr0_by_operand_size)
{
	vcpu->gpr[PVM_RBX] = ~0ull;
	execute((struct pvm_insn){ .op = PVM_INSN_SMSW, .reg = PVM_RBX, .size = 2 });
	cr_assert_eq(vcpu->gpr[PVM_RBX], 0xffffffffffff0000 | (vcpu->cr0 & 0xffff));
	vcpu->gpr[PVM_RBX] = ~0ull;
	execute((struct pvm_insn){ .op = PVM_INSN_SMSW, .reg = PVM_RBX, .size = 4 });
	cr_assert_eq(vcpu->gpr[PVM_RBX], (uint32_t)vcpu->cr0);
	vcpu->gpr[PVM_RBX] = ~0ull;
	execute((struct pvm_insn){ .op = PVM_INSN_SMSW, .reg = PVM_RBX, .size = 8 });
	cr_assert_eq(vcpu->gpr[PVM_RBX], vcpu->cr0);
	memset(f.host.memory + OPERAND, 0xff, 8);
	execute((struct pvm_insn){ .op = PVM_INSN_SMSW, .memory = true, .address = OPERAND, .size = 2 });
	cr_assert_eq(guest_word(&f, OPERAND), 0xffffffffffff0000 | (vcpu->cr0 & 0xffff));
	vcpu->rip = RIP;
	execute((struct pvm_insn){ .op = PVM_INSN_SMSW, .memory = true, .address = 0x40000000, .size = 2 });
	assert_exception(PVM_VEC_PF);
}

static void xsetbv(uint64_t index, uint64_t value)
{
	vcpu->rip = RIP;
	vcpu->gpr[PVM_RCX] = index;
	vcpu->gpr[PVM_RAX] = 0x7777777700000000 | (uint32_t)value;
	vcpu->gpr[PVM_RDX] = 0x8888888800000000 | value >> 32;
	execute((struct pvm_insn){ .op = PVM_INSN_XSETBV });
}

Test(insn_register, xsetbv_takes_what_the_cpu_would_take)
{
	static const uint64_t good[] = { 1, 3, 7, 0xe7 };
	unsigned i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		xsetbv(0, good[i]);
		assert_done();
	}
}

Test(insn_register, xsetbv_of_anything_else_is_gp)
{
	static const uint64_t bad[] = {
		0, 2, 5, 0x27, 0x67, 0xe3, 0xf, 0x1f, 0x60007, 1ull << 63 | 1, 0x107,
	};
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		xsetbv(0, bad[i]);
		assert_exception(PVM_VEC_GP);
	}
	xsetbv(1, 1);
	assert_exception(PVM_VEC_GP);
}

Test(insn_register, xsetbv_without_osxsave_is_ud)
{
	vcpu->cr4 &= ~(uint64_t)PVM_CR4_OSXSAVE;
	xsetbv(0, 1);
	assert_exception(PVM_VEC_UD);
}

/* INVPCID with both roots alive. */
static void invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
	const uint64_t descriptor[2] = { pcid, address };
	pvm_hpa_t root;

	memcpy(f.host.memory + OPERAND, descriptor, sizeof(descriptor));
	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	f.host.flush_count = 0;
	vcpu->rip = RIP;
	vcpu->gpr[PVM_RSI] = type;
	execute((struct pvm_insn){
		.op = PVM_INSN_INVPCID, .reg = PVM_RSI, .memory = true, .address = OPERAND });
}

static enum pvm_flush_scope flushed(void)
{
	assert_done();
	cr_assert_geq(f.host.flush_count, 1);
	return f.host.flushes[0].scope;
}

Test(insn_register, invpcid_flushes_what_its_type_says)
{
	invpcid(PVM_INVPCID_ADDRESS, 0, 0x345678);
	cr_assert_eq(flushed(), PVM_FLUSH_GVA);
	cr_assert_eq(f.host.flushes[0].gva.v >> 12, 0x345);
	invpcid(PVM_INVPCID_CONTEXT, 0, 0);
	cr_assert_eq(flushed(), PVM_FLUSH_ROOT);
	invpcid(PVM_INVPCID_ALL_GLOBAL, 0, 0);
	cr_assert_eq(flushed(), PVM_FLUSH_ALL);
	invpcid(PVM_INVPCID_ALL, 0, 0);
	cr_assert_eq(flushed(), PVM_FLUSH_ALL);
}

Test(insn_register, invpcid_ignores_what_its_type_does_not_use)
{
	invpcid(PVM_INVPCID_ALL_GLOBAL, 5, 0x800000000000);
	cr_assert_eq(flushed(), PVM_FLUSH_ALL);
	invpcid(PVM_INVPCID_CONTEXT, 0, 0x800000000000);
	cr_assert_eq(flushed(), PVM_FLUSH_ROOT);
}

Test(insn_register, M9_invpcid_of_another_pcid_flushes_every_table_it_could_be)
{
	cr_assert_eq(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE), PVM_OK);
	invpcid(PVM_INVPCID_ADDRESS, 5, 0x345678);
	cr_assert_eq(flushed(), PVM_FLUSH_ALL);
	invpcid(PVM_INVPCID_CONTEXT, 5, 0);
	cr_assert_eq(flushed(), PVM_FLUSH_ALL);
	invpcid(PVM_INVPCID_CONTEXT, vcpu->cr3 & 0xfff, 0);
	cr_assert_eq(flushed(), PVM_FLUSH_ROOT);
}

Test(insn_register, invpcid_of_a_bad_descriptor_is_gp)
{
	invpcid(4, 0, 0);
	assert_exception(PVM_VEC_GP);
	invpcid(PVM_INVPCID_ALL, 0x1000, 0);
	assert_exception(PVM_VEC_GP);
	invpcid(PVM_INVPCID_CONTEXT, 1, 0);	/* PCIDs are off */
	assert_exception(PVM_VEC_GP);
	invpcid(PVM_INVPCID_ADDRESS, 0, 0x800000000000);
	assert_exception(PVM_VEC_GP);
	cr_assert_eq(f.host.flush_count, 0);
}

Test(insn_register, invpcid_of_an_unmapped_descriptor_is_a_page_fault)
{
	vcpu->gpr[PVM_RSI] = PVM_INVPCID_ALL;
	execute((struct pvm_insn){
		.op = PVM_INSN_INVPCID, .reg = PVM_RSI, .memory = true, .address = 0x40000ff8 });
	assert_exception(PVM_VEC_PF);
	cr_assert_eq(vcpu->cr2, 0x40000ff8);
}
