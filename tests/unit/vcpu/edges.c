/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Values at the edge: the last hypervisor leaf, subleaf 0, flags of a snapshot, used memory. */
#include <criterion/criterion.h>
#include <pvm/state.h>
#include <string.h>

#include "mmu_calls.h"

TestSuite(vcpu_edges, .init = setup, .fini = teardown);

static uint32_t cpuid_eax(const struct pvm_cpuid_entry *table, unsigned count, uint32_t leaf)
{
	uint32_t out[4];

	vcpu->vm->config.cpuid = table;
	vcpu->vm->config.cpuid_count = count;
	pvm_cpuid(vcpu, leaf, 0, out);
	return out[0];
}

Test(vcpu_edges, the_last_hypervisor_leaf_of_the_monitor_counts_and_the_next_does_not)
{
	static const struct pvm_cpuid_entry last = { PVM_CPUID_HYPERVISOR_LAST, 0, false, 1, 2, 3, 4 };
	static const struct pvm_cpuid_entry next = { PVM_CPUID_HYPERVISOR_LAST + 1, 0, false, 1, 2, 3, 4 };

	cr_assert_eq(cpuid_eax(&last, 1, PVM_CPUID_SIGNATURE), PVM_CPUID_HYPERVISOR_LAST);
	cr_assert_eq(cpuid_eax(&last, 1, PVM_CPUID_HYPERVISOR_LAST), 1);
	cr_assert_eq(cpuid_eax(&next, 1, PVM_CPUID_SIGNATURE), PVM_CPUID_VENDOR_FEATURES);
}

Test(vcpu_edges, the_maximum_is_that_of_subleaf_0)
{
	static const struct pvm_cpuid_entry table[] = {
		{ 0, 1, true, 9, 0, 0, 0 },
		{ 0, 0, true, 5, 0, 0, 0 },
		{ 0x80000000, 1, true, 0x80000009, 0, 0, 0 },
		{ 0x80000000, 0, true, 0x80000005, 0, 0, 0 },
	};

	cr_assert_eq(cpuid_eax(table, 4, 0), 5);
	cr_assert_eq(cpuid_eax(table, 4, 0x80000000), 0x80000005);
}

/* Each of them is 0 or 1; 2 is named. */
Test(vcpu_edges, flags_of_a_snapshot_are_0_or_1)
{
	const char *field;
	struct pvm_vcpu_state good, bad;

	pvm_vcpu_save(vcpu, &good);
	ok(pvm_vcpu_restore(vcpu, &good, &field));
#define TWO_IS_REFUSED(name)							\
	do {									\
		bad = good;							\
		bad.name = 1;							\
		ok(pvm_vcpu_restore(vcpu, &bad, &field));			\
		bad.name = 2;							\
		gp(pvm_vcpu_restore(vcpu, &bad, &field));			\
		cr_assert_str_eq(field, #name);					\
	} while (0)
	TWO_IS_REFUSED(nmi_masked);
	TWO_IS_REFUSED(nmi_pending);
	TWO_IS_REFUSED(halted);
	bad = good;
	bad.user_mode = 2;
	gp(pvm_vcpu_restore(vcpu, &bad, &field));
	cr_assert_str_eq(field, "user_mode");
}

/* The switcher loads what it keeps of a vCPU anew when this count has changed. */
Test(vcpu_edges, whatever_is_written_is_counted_as_a_change)
{
	uint64_t before = vcpu->state_gen, value;

	ok(pvm_dr_write(vcpu, 0, 0x1000));
	cr_assert_neq(vcpu->state_gen, before);
	before = vcpu->state_gen;
	ok(pvm_dr_write(vcpu, 7, 0x401));
	cr_assert_neq(vcpu->state_gen, before);
	before = vcpu->state_gen;
	ok(pvm_cr_write(vcpu, 3, vcpu->cr3));
	cr_assert_neq(vcpu->state_gen, before);
	before = vcpu->state_gen;
	ok(pvm_msr_write(vcpu, PVM_MSR_LSTAR, 0x2000));
	cr_assert_neq(vcpu->state_gen, before);
	before = vcpu->state_gen;
	ok(pvm_dr_read(vcpu, 7, &value));
	cr_assert_eq(vcpu->state_gen, before, "a read changes nothing");
}

Test(vcpu_edges, a_vm_that_could_not_be_made_points_at_nothing)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_vm vm;

	memset(&vm, 0xa5, sizeof(vm));
	mmu_calls.init_result = PVM_ENOMEM;
	cr_assert_eq(pvm_vm_init(&vm, &config, &fix.host.ops, &fix.host), PVM_ENOMEM);
	cr_assert_null(vm.mmu);
}
