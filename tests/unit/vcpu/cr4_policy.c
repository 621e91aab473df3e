/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_vm_config::guest_cr4, and CR4 as the CPU has it while a guest runs. */
#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"

static struct fixture f;
static struct pvm_vcpu *vcpu;

/* A CPU that has everything. */
static const struct pvm_cpuid_entry cpuid[] = {
	{ .leaf = 0, .eax = 0xd },
	{ .leaf = 1, .ecx = ~0u, .edx = ~0u },
	{ .leaf = 7, .ebx = ~0u, .ecx = ~0u, .edx = ~0u },
};

/* A VM whose guest may have @mask. */
static void start_with(uint64_t mask)
{
	struct pvm_vm_config config = fixture_config();

	config.guest_cr4 = mask;
	config.cpuid = cpuid;
	config.cpuid_count = sizeof(cpuid) / sizeof(cpuid[0]);
	fixture_init_config(&f, &config, 16 << 20, 1);
	vcpu = &f.vcpu[0];
}

static void stop(void)
{
	fixture_fini(&f);
}

TestSuite(cr4_policy, .fini = stop);

static void refused(uint64_t value, uint64_t bits)
{
	const struct pvm_trace_record *record;
	uint64_t before = vcpu->cr4;

	f.host.record_count = 0;
	vcpu->rip = 0x1234;
	cr_assert_eq(pvm_cr_write(vcpu, 4, value), PVM_EINVAL, "%#lx", value);
	cr_assert_eq(vcpu->cr4, before);
	record = fixture_find_record(&f, PVM_TRACE_CR4);
	cr_assert_not_null(record);
	cr_assert_eq(record->a, value);
	cr_assert_eq(record->b, bits, "%#lx instead of %#lx", record->b, bits);
	cr_assert_eq(record->c, 0x1234);
}

Test(cr4_policy, without_a_mask_everything_of_PVM_CR4_GUEST_is_allowed)
{
	start_with(0);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t value = vcpu->cr4 | 1ull << bit;

		if (1ull << bit == PVM_CR4_LA57)	/* changes with the tables only */
			refused(value, PVM_CR4_LA57);
		else if (PVM_CR4_GUEST >> bit & 1)
			cr_assert_eq(pvm_cr_write(vcpu, 4, value), PVM_OK, "bit %u", bit);
		else
			refused(value, 1ull << bit);
	}
}

Test(cr4_policy, a_bit_outside_the_mask_is_refused_and_named)
{
	start_with(PVM_CR4_GUEST & ~(PVM_CR4_TSD | PVM_CR4_DE));
	refused(vcpu->cr4 | PVM_CR4_TSD, PVM_CR4_TSD);
	refused(vcpu->cr4 | PVM_CR4_DE | PVM_CR4_TSD | PVM_CR4_SMEP,
		PVM_CR4_DE | PVM_CR4_TSD | PVM_CR4_SMEP);
	cr_assert_eq(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PGE), PVM_OK);
}

Test(cr4_policy, what_is_always_set_need_not_be_in_the_mask)
{
	start_with(PVM_CR4_PGE);
	cr_assert_eq(pvm_cr_write(vcpu, 4, vcpu->cr4), PVM_OK);
	cr_assert_eq(vcpu->cr4 & PVM_CR4_PKE, 0, "it starts without");
	refused(vcpu->cr4 | PVM_CR4_PKE, PVM_CR4_PKE);
	refused(vcpu->cr4 & ~PVM_CR4_PAE, PVM_CR4_PAE);
}

Test(cr4_policy, CPUID_offers_nothing_that_the_mask_forbids)
{
	uint32_t out[4];

	start_with(PVM_CR4_PGE);
	pvm_cpuid(vcpu, 1, 0, out);
	cr_assert_eq(out[2] & PVM_CPUID_1_ECX_PCID, 0);
	pvm_cpuid(vcpu, 7, 0, out);
	cr_assert_eq(out[2] & (PVM_CPUID_7_ECX_PKU | PVM_CPUID_7_ECX_PKS | PVM_CPUID_7_ECX_LA57 |
			       PVM_CPUID_7_ECX_OSPKE), 0);
	fixture_fini(&f);
	start_with(0);
	pvm_cpuid(vcpu, 1, 0, out);
	cr_assert(out[2] & PVM_CPUID_1_ECX_PCID);
	pvm_cpuid(vcpu, 7, 0, out);
	cr_assert(out[2] & PVM_CPUID_7_ECX_PKS);
	cr_assert(out[2] & PVM_CPUID_7_ECX_PKU);
}

Test(cr4_policy, a_mask_of_more_than_any_guest_may_have_is_refused)
{
	struct pvm_vm_config config = fixture_config();
	const char *why;

	start_with(0);
	for (unsigned bit = 0; bit < 64; bit++) {
		config.guest_cr4 = 1ull << bit;
		cr_assert_eq(pvm_vm_config_check(&config, &why) == PVM_OK, PVM_CR4_GUEST >> bit & 1,
			     "bit %u", bit);
	}
	cr_assert_not_null(strstr(why, "guest_cr4"));
}

#define NEVER	(PVM_CR4_VME | PVM_CR4_PVI | PVM_CR4_PCE | PVM_CR4_KL | PVM_CR4_UINTR | PVM_CR4_LASS | \
		 PVM_CR4_LAM_SUP)

Test(cr4_policy, only_TSD_is_the_guests_and_only_in_user_mode)
{
	start_with(0);
	cr_assert_eq(pvm_vcpu_underlying_cr4(vcpu, ~0ull, false), ~(NEVER | PVM_CR4_TSD));
	cr_assert_eq(pvm_vcpu_underlying_cr4(vcpu, ~0ull, true), ~(NEVER | PVM_CR4_TSD));
	vcpu->cr4 = ~0ull;
	cr_assert_eq(pvm_vcpu_underlying_cr4(vcpu, 0, true), PVM_CR4_TSD);
	cr_assert_eq(pvm_vcpu_underlying_cr4(vcpu, 0, false), 0);
	cr_assert_eq(pvm_vcpu_underlying_cr4(vcpu, ~0ull, true), ~NEVER);
}

Test(cr4_policy, a_TSD_that_the_guest_may_not_have_is_the_hosts)
{
	start_with(PVM_CR4_PGE);
	vcpu->cr4 |= PVM_CR4_TSD;
	cr_assert_eq(pvm_vcpu_underlying_cr4(vcpu, 0, true), 0);
	cr_assert_eq(pvm_vcpu_underlying_cr4(vcpu, PVM_CR4_TSD, false), PVM_CR4_TSD);
}

Test(cr4_policy, bits_have_names)
{
	start_with(0);
	cr_assert_str_eq(pvm_cr4_bit_name(0), "VME");
	cr_assert_str_eq(pvm_cr4_bit_name(20), "SMEP");
	cr_assert_str_eq(pvm_cr4_bit_name(27), "LASS");
	cr_assert_str_eq(pvm_cr4_bit_name(32), "FRED");
	cr_assert_str_eq(pvm_cr4_bit_name(15), "reserved");
	cr_assert_str_eq(pvm_cr4_bit_name(33), "reserved");
	cr_assert_str_eq(pvm_cr4_bit_name(63), "reserved");
}
