/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What hypercalls and instructions are called. */
#include <criterion/criterion.h>
#include <pvm/hypercall.h>
#include <string.h>

Test(names, every_pvm_hypercall_has_a_name)
{
	cr_assert_str_eq(pvm_hypercall_name(PVM_ABI_DUAL_CR3, PVM_HC_LOAD_PGTBL), "LOAD_PGTBL");
	cr_assert_str_eq(pvm_hypercall_name(PVM_ABI_DUAL_CR3, PVM_HC_IRQ_HLT), "IRQ_HLT");
	cr_assert_str_eq(pvm_hypercall_name(PVM_ABI_DUAL_CR3, PVM_HC_LOAD_TLS), "LOAD_TLS");
	for (uint64_t nr = PVM_HC_LOAD_PGTBL; nr <= PVM_HC_LOAD_TLS; nr++)
		cr_assert_not_null(pvm_hypercall_name(PVM_ABI_DUAL_CR3, nr));
}

Test(names, other_numbers_have_none)
{
	cr_assert_null(pvm_hypercall_name(PVM_ABI_DUAL_CR3, PVM_HC_LOAD_TLS + 1));
	cr_assert_null(pvm_hypercall_name(PVM_ABI_DUAL_CR3, PVM_HC_BASE - 1));
	cr_assert_null(pvm_hypercall_name(PVM_ABI_DUAL_CR3, 0));
	cr_assert_null(pvm_hypercall_name(PVM_ABI_DUAL_CR3, PVM_HC_BASE | 1ull << 32));
}

Test(names, every_instruction_has_its_own)
{
	unsigned i, j;

	for (i = 0; i < PVM_INSN_OPS; i++) {
		cr_assert_not_null(pvm_insn_name(i), "%u", i);
		for (j = 0; j < i; j++)
			cr_assert_str_neq(pvm_insn_name(i), pvm_insn_name(j));
	}
	cr_assert_str_eq(pvm_insn_name(PVM_INSN_WRMSR), "WRMSR");
	cr_assert_str_eq(pvm_insn_name(PVM_INSN_OPS), "no instruction");
	cr_assert_str_eq(pvm_insn_name((enum pvm_insn_op)~0u), "no instruction");
}
