/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* MSRs: x86's and PVM's, each with its rule. */
#include <criterion/criterion.h>

#include "mmu_calls.h"

TestSuite(msr, .init = setup, .fini = teardown);

#define UPPER ((0x1fffe00ull | 300) * (1ull << 39))	/* in fixture_config()'s range */
#define OUTSIDE 0xffffffff81000000ull			/* canonical, in no range */
#define STAR(user, kernel) ((uint64_t)(user) << 48 | (uint64_t)(kernel) << 32)

static uint64_t rdmsr(uint32_t index)
{
	uint64_t value = 0x5a5a;

	ok(pvm_msr_read(vcpu, index, &value));
	return value;
}

static void reads_back(uint32_t index, uint64_t value)
{
	ok(pvm_msr_write(vcpu, index, value));
	cr_assert_eq(rdmsr(index), value, "MSR %#x", index);
}

static void setup_without_keys(void)
{
	struct pvm_vm_config config = fixture_config();

	config.host_pke = false;
	setup_config(&config);
}

/* spec: C-074, C-078, C-079 */
Test(msr, ignored_ones_keep_any_value)
{
	static const uint32_t ignored[] = {
		PVM_MSR_SYSCALL_MASK, PVM_MSR_CSTAR, PVM_MSR_IA32_SYSENTER_CS,
		PVM_MSR_IA32_SYSENTER_ESP, PVM_MSR_IA32_SYSENTER_EIP,
	};
	unsigned i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		cr_assert_eq(rdmsr(ignored[i]), 0);
		reads_back(ignored[i], 0xdeadbeef00000000ull + i);
	}
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		cr_assert_eq(rdmsr(ignored[i]), 0xdeadbeef00000000ull + i);
}

/* spec: C-068 */
Test(msr, bases_are_the_underlying_ones)
{
	reads_back(PVM_MSR_FS_BASE, 0x1000);
	cr_assert_eq(vcpu->fs_base, 0x1000);
	reads_back(PVM_MSR_GS_BASE, 0x2000);
	cr_assert_eq(vcpu->gs_base, 0x2000);
	vcpu->gs_base = 0x3000;		/* WRGSBASE */
	cr_assert_eq(rdmsr(PVM_MSR_GS_BASE), 0x3000);
	reads_back(PVM_MSR_KERNEL_GS_BASE, 0xffff800000000000ull);
	cr_assert_eq(vcpu->gs_base, 0x3000);
}

Test(msr, bases_are_canonical)
{
	gp(pvm_msr_write(vcpu, PVM_MSR_FS_BASE, 0x0000800000000000ull));
	gp(pvm_msr_write(vcpu, PVM_MSR_GS_BASE, 0xffff7fffffffffffull));
	gp(pvm_msr_write(vcpu, PVM_MSR_KERNEL_GS_BASE, 1ull << 63));
	cr_assert_eq(rdmsr(PVM_MSR_GS_BASE), 0);
}

Test(msr, star_after_reset_is_one_that_can_be_written)
{
	cr_assert_eq(rdmsr(PVM_MSR_STAR), STAR(0x23, 0x10));
	reads_back(PVM_MSR_STAR, STAR(0x23, 0x10));
	reads_back(PVM_MSR_STAR, STAR(0x23, 0x10) | 0x12345678);
}

/* spec: C-075 */
Test(msr, star_must_give_the_hosts_user_selectors)
{
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, STAR(0x1b, 0x10)));
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, STAR(0x2b, 0x10)));
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, 0));
	cr_assert_eq(rdmsr(PVM_MSR_STAR), STAR(0x23, 0x10));
}

/* spec: C-076 */
Test(msr, star_must_give_the_present_kernel_selectors)
{
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, STAR(0x23, 0x08)));
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, STAR(0x23, 0x18)));
	/* x86 does not force the RPL of SS: 0x11 would give SS 0x19. */
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, STAR(0x23, 0x11)));
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, STAR(0x23, 0x13)));
}

/* spec: C-077 */
Test(msr, star_user_rpl_may_be_anything)
{
	reads_back(PVM_MSR_STAR, STAR(0x20, 0x10));
	reads_back(PVM_MSR_STAR, STAR(0x21, 0x10));
	reads_back(PVM_MSR_STAR, STAR(0x22, 0x10));
	gp(pvm_msr_write(vcpu, PVM_MSR_STAR, STAR(0x24, 0x10)));
}

Test(msr, M7_entry_points_are_legal_addresses)
{
	static const uint32_t entries[] = {
		PVM_MSR_LSTAR, MSR_PVM_EVENT_ENTRY, MSR_PVM_RETU_RIP, MSR_PVM_RETS_RIP,
	};
	unsigned i;

	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		reads_back(entries[i], 0);
		reads_back(entries[i], 0x400000);
		reads_back(entries[i], UPPER);
		gp(pvm_msr_write(vcpu, entries[i], OUTSIDE));
		gp(pvm_msr_write(vcpu, entries[i], 0x0000800000000000ull));
		gp(pvm_msr_write(vcpu, entries[i], 0x8000000000000000ull));
		cr_assert_eq(rdmsr(entries[i]), UPPER);
	}
}

Test(msr, M7_all_three_event_entries_are_legal)
{
	uint64_t end = 0x0000800000000000ull;

	reads_back(MSR_PVM_EVENT_ENTRY, end - 513);
	gp(pvm_msr_write(vcpu, MSR_PVM_EVENT_ENTRY, end - 512));
	gp(pvm_msr_write(vcpu, MSR_PVM_EVENT_ENTRY, end - 1));
	reads_back(MSR_PVM_RETU_RIP, end - 1);
}

Test(msr, supervisor_rsp_takes_any_value)
{
	reads_back(MSR_PVM_SUPERVISOR_RSP, 0xdeadbeefdeadbeefull);
}

Test(msr, redzone_is_a_number_of_bytes_that_fits_a_stack)
{
	reads_back(MSR_PVM_SUPERVISOR_REDZONE, 128);
	reads_back(MSR_PVM_SUPERVISOR_REDZONE, PVM_REDZONE_MAX);
	gp(pvm_msr_write(vcpu, MSR_PVM_SUPERVISOR_REDZONE, PVM_REDZONE_MAX + 1));
	gp(pvm_msr_write(vcpu, MSR_PVM_SUPERVISOR_REDZONE, ~0ull));
	cr_assert_eq(rdmsr(MSR_PVM_SUPERVISOR_REDZONE), PVM_REDZONE_MAX);
}

/* spec: C-145 */
Test(msr, switch_cr3_write_flushes_nothing)
{
	reads_back(MSR_PVM_SWITCH_CR3, 0x6000);
	cr_assert_eq(mmu_calls.new_cr3, 1);
	cr_assert_eq(mmu_calls.flush_cr3, 0);
	cr_assert_eq(mmu_calls.flush_all, 0);
}

Test(msr, switch_cr3_has_the_reserved_bits_of_cr3)
{
	gp(pvm_msr_write(vcpu, MSR_PVM_SWITCH_CR3, 1ull << 40));
	gp(pvm_msr_write(vcpu, MSR_PVM_SWITCH_CR3, 0x6000 | PVM_CR3_NOFLUSH));
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE));
	ok(pvm_msr_write(vcpu, MSR_PVM_SWITCH_CR3, 0x6001 | PVM_CR3_NOFLUSH));
	cr_assert_eq(rdmsr(MSR_PVM_SWITCH_CR3), 0x6001);
}

Test(msr, numbers_of_the_pvm_block_that_are_no_msr_are_refused)
{
	uint64_t value;
	uint32_t index;

	for (index = MSR_PVM_SWITCH_CR3 + 1; index <= PVM_MSR_LAST; index++) {
		gp(pvm_msr_read(vcpu, index, &value));
		gp(pvm_msr_write(vcpu, index, 0));
	}
}

Test(msr, an_unknown_one_is_the_backends)
{
	static const uint32_t foreign[] = {
		0, PVM_MSR_IA32_TSC, PVM_MSR_IA32_APIC_BASE, PVM_MSR_X2APIC_BASE,
		PVM_MSR_IA32_TSC_DEADLINE, PVM_MSR_BASE - 1, PVM_MSR_LAST + 1,
		MSR_PVM_LH_VCPU_STRUCT, 0xffffffff,
	};
	uint64_t value;
	unsigned i;

	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		ud(pvm_msr_read(vcpu, foreign[i], &value));
		ud(pvm_msr_write(vcpu, foreign[i], 0));
	}
}

/* spec: C-120 */
Test(msr, xss_is_not_enabled)
{
	uint64_t value;

	gp(pvm_msr_read(vcpu, PVM_MSR_IA32_XSS, &value));
	gp(pvm_msr_write(vcpu, PVM_MSR_IA32_XSS, 0));
}

/* spec: C-080 */
Test(msr, pkrs_holds_32_bits)
{
	reads_back(PVM_MSR_IA32_PKRS, 0x55555554);
	gp(pvm_msr_write(vcpu, PVM_MSR_IA32_PKRS, 1ull << 32));
	cr_assert_eq(rdmsr(PVM_MSR_IA32_PKRS), 0x55555554);
	cr_assert_eq(vcpu->pkru, 0, "the underlying PKRU follows at the next entry");
}

/* spec: C-118 */
Test(msr, pkrs_is_none_without_the_hosts_protection_keys, .init = setup_without_keys)
{
	uint64_t value;

	gp(pvm_msr_read(vcpu, PVM_MSR_IA32_PKRS, &value));
	gp(pvm_msr_write(vcpu, PVM_MSR_IA32_PKRS, 0));
}

Test(msr, pat_holds_memory_types)
{
	unsigned i, type;

	cr_assert_eq(rdmsr(PVM_MSR_IA32_PAT), 0x0007040600070406ull);
	for (i = 0; i < 8; i++) {
		for (type = 0; type < 8; type++) {
			uint64_t pat = (uint64_t)type << (8 * i);

			if (type == 2 || type == 3)
				gp(pvm_msr_write(vcpu, PVM_MSR_IA32_PAT, pat));
			else
				reads_back(PVM_MSR_IA32_PAT, pat);
		}
		gp(pvm_msr_write(vcpu, PVM_MSR_IA32_PAT, 8ull << (8 * i)));
	}
}

Test(msr, tsc_aux_holds_32_bits)
{
	reads_back(PVM_MSR_TSC_AUX, 0xffffffff);
	gp(pvm_msr_write(vcpu, PVM_MSR_TSC_AUX, 1ull << 32));
}

Test(msr, each_of_pvms_has_its_own_value)
{
	reads_back(MSR_PVM_VCPU_STRUCT, 0x3000);
	reads_back(MSR_PVM_SUPERVISOR_RSP, 0x11000);
	reads_back(MSR_PVM_SUPERVISOR_REDZONE, 0x12);
	reads_back(MSR_PVM_EVENT_ENTRY, 0x13000);
	reads_back(MSR_PVM_RETU_RIP, 0x14000);
	reads_back(MSR_PVM_RETS_RIP, 0x15000);
	reads_back(MSR_PVM_SWITCH_CR3, 0x16000);
	reads_back(PVM_MSR_LSTAR, 0x17000);
	cr_assert_eq(rdmsr(MSR_PVM_VCPU_STRUCT), 0x3000);
	cr_assert_eq(rdmsr(MSR_PVM_SUPERVISOR_RSP), 0x11000);
	cr_assert_eq(rdmsr(MSR_PVM_SUPERVISOR_REDZONE), 0x12);
	cr_assert_eq(rdmsr(MSR_PVM_EVENT_ENTRY), 0x13000);
	cr_assert_eq(rdmsr(MSR_PVM_RETU_RIP), 0x14000);
	cr_assert_eq(rdmsr(MSR_PVM_RETS_RIP), 0x15000);
	cr_assert_eq(rdmsr(MSR_PVM_SWITCH_CR3), 0x16000);
	cr_assert_eq(vcpu->msr.supervisor_rsp, 0x11000);
	cr_assert_eq(vcpu->msr.event_entry, 0x13000);
	cr_assert_eq(vcpu->msr.retu_rip, 0x14000);
	cr_assert_eq(vcpu->msr.rets_rip, 0x15000);
	cr_assert_eq(vcpu->msr.switch_cr3, 0x16000);
}
