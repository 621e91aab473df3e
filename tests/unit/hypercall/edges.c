/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Instructions at the edge: operands that end at a page's end, and error codes. */
#include <pvm/hypercall.h>

#include "guest.h"

#define RIP	0x200000ull
#define LAST	0x80000000ull	/* a page of its own; the next one is not there */
#define CODE	0x300000ull	/* gpa of it */

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	guest_boot(&f);
	fixture_map(&f, vcpu->cr3, 4, LAST, CODE, 1, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static enum pvm_action ins(uint64_t address, uint8_t size)
{
	struct pvm_insn insn = {
		.op = PVM_INSN_INS, .length = 2, .size = size, .address_size = 8, .port_is_dx = true,
		.memory = true, .address = address,
	};

	vcpu->rip = RIP;
	vcpu->gpr[PVM_RDI] = address;
	return pvm_handle_insn(vcpu, &insn, PVM_VEC_GP, 0);
}

TestSuite(insn_edges, .init = setup, .fini = teardown);

/* What a port gives is gone once read. */
Test(insn_edges, ins_that_crosses_a_page_by_one_byte_faults_before_the_port_is_read)
{
	static const uint8_t sizes[] = { 2, 4 };
	unsigned i;

	for (i = 0; i < 2; i++) {
		cr_assert_eq(ins(LAST + PVM_PAGE_SIZE - sizes[i] + 1, sizes[i]), PVM_ACT_RESUME);
		cr_assert_eq(vcpu->rip, ENTRY + 256, "%u bytes", sizes[i]);
		cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_PF << 32 | PVM_PF_W);
	}
}

Test(insn_edges, ins_that_ends_with_its_page_reads_the_port)
{
	static const uint8_t sizes[] = { 1, 2, 4 };
	unsigned i;

	for (i = 0; i < 3; i++)
		cr_assert_eq(ins(LAST + PVM_PAGE_SIZE - sizes[i], sizes[i]), PVM_ACT_IO, "%u bytes", sizes[i]);
}

Test(insn_edges, the_error_code_of_xsetbv_is_0)
{
	struct pvm_insn insn = { .op = PVM_INSN_XSETBV, .length = 3 };

	vcpu->cr4 |= PVM_CR4_OSXSAVE;
	vcpu->gpr[PVM_RCX] = 1;		/* no such register */
	cr_assert_eq(pvm_handle_insn(vcpu, &insn, PVM_VEC_GP, 0), PVM_ACT_RESUME);
	cr_assert_eq(guest_word(&f, vcpu->gpr[PVM_RSP]), (uint64_t)PVM_VEC_GP << 32);
}
