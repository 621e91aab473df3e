/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A third guest ABI in a core that knows nothing of it: stub/ is listed by a list.h of this
 * folder's own, and driven through the engine's API. What it leaves out must not be missed.
 */
#include <criterion/criterion.h>
#include <pvm/events.h>
#include <pvm/exit.h>
#include <pvm/state.h>
#include <string.h>

#include "abi/abi.h"
#include "abi/switches.h"
#include "fixture.h"
#include "stub/stub.h"
#include "switcher/area.h"

#define ENTRY	0x100000ull
#define SHARED	0x3000ull
#define CODE	0x200000ull

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

/* What the core finds for every number; NULL: what is listed. */
static const struct pvm_abi_ops *instead;

const struct pvm_abi_ops *__wrap_pvm_abi_find(enum pvm_abi abi);
const struct pvm_abi_ops *__real_pvm_abi_find(enum pvm_abi abi);

const struct pvm_abi_ops *__wrap_pvm_abi_find(enum pvm_abi abi)
{
	return instead ? instead : __real_pvm_abi_find(abi);
}

static struct stub_shared *shared(void)
{
	return vcpu->pvcs;
}

static void setup(void)
{
	struct pvm_vm_config config = fixture_config();
	uint64_t table, gva;

	config.abi = PVM_ABI_LOWER_HALF;
	fixture_init_config(&f, &config, 16 << 20, 1);
	table = fixture_new_table(&f);
	for (gva = 0; gva < f.host.memory_size; gva += PVM_LEVEL_SIZE(2))
		fixture_map(&f, table, 4, gva, gva, 2, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	cr_assert_eq(pvm_cr_write(vcpu, 3, table), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, SHARED), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_ENTRY, ENTRY), PVM_OK);
	vcpu->rip = CODE;
}

static void teardown(void)
{
	fixture_fini(&f);
}

TestSuite(stub, .init = setup, .fini = teardown);

static enum pvm_action stopped(enum pvm_exit_kind kind, uint8_t vector)
{
	struct pvm_guest_exit stop = { .kind = kind, .vector = vector };
	pvm_hpa_t root;

	return pvm_handle_exit(vcpu, &stop, &root, PVM_MAY_SLEEP);
}

static enum pvm_action hypercall(uint64_t nr, uint64_t a, uint64_t b)
{
	vcpu->gpr[PVM_RAX] = nr;
	vcpu->gpr[PVM_RBX] = a;
	vcpu->gpr[PVM_R10] = b;
	return stopped(PVM_EXIT_SYSCALL, 0);
}

Test(stub, a_row_of_the_list_is_all_that_a_registration_is)
{
	cr_assert_eq(pvm_abi_find(PVM_ABI_LOWER_HALF), &pvm_abi_stub);
	cr_assert_str_eq(pvm_abi_name(PVM_ABI_LOWER_HALF), "stub");
	cr_assert_str_eq(pvm_abi_name(PVM_ABI_DUAL_CR3), "dual-cr3");
	cr_assert_str_eq(pvm_abi_name(PVM_ABI_SINGLE_CR3), "single-cr3");
	cr_assert_null(pvm_abi_name(PVM_ABI_COUNT));
	cr_assert_eq(f.vm.abi, &pvm_abi_stub);
}

/* What that entry does is ring0.corners.*'s. */
Test(stub, without_direct_switches_every_syscall_is_an_exit)
{
	cr_assert_eq(pvm_abi_switches_find(PVM_ABI_LOWER_HALF)->syscall, pvm_switcher_syscall_out);
	cr_assert_eq(pvm_abi_switches_find(PVM_ABI_DUAL_CR3)->syscall, pvm_switcher_syscall_dual_cr3);
	cr_assert_eq(pvm_abi_switches_find(PVM_ABI_SINGLE_CR3)->syscall, pvm_switcher_syscall_single_cr3);
}

Test(stub, msrs_of_its_own_range_are_its_own)
{
	static const uint32_t hosts[] = {
		STUB_MSR_SHARED - 1, STUB_MSR_HOSTS, STUB_MSR_SHARED + STUB_MSR_COUNT,
		PVM_MSR_BASE, MSR_PVM_VCPU_STRUCT, PVM_MSR_LAST,
	};
	uint64_t value;
	unsigned i;

	cr_assert_eq(pvm_msr_read(vcpu, STUB_MSR_SHARED, &value), PVM_OK);
	cr_assert_eq(value, SHARED);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_ENTRY, ENTRY + 0x40), PVM_OK);
	cr_assert_eq(pvm_msr_read(vcpu, STUB_MSR_ENTRY, &value), PVM_OK);
	cr_assert_eq(value, ENTRY + 0x40);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_ENTRY, 1ull << 62), PVM_EINVAL);
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		cr_assert_eq(pvm_msr_read(vcpu, hosts[i], &value), PVM_ENOENT, "%x", hosts[i]);
		cr_assert_eq(pvm_msr_write(vcpu, hosts[i], 0), PVM_ENOENT, "%x", hosts[i]);
	}
	cr_assert_eq(pvm_msr_write(vcpu, PVM_MSR_LSTAR, ENTRY), PVM_OK, "x86's are not asked for");
}

Test(stub, the_shared_structure_has_its_size_and_its_alignment)
{
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, 0x3fc0), PVM_OK, "the last 64 bytes of a page");
	cr_assert_eq(vcpu->pvcs, f.host.memory + 0x3fc0);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, 0x3020), PVM_EINVAL);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, 0x3008), PVM_EINVAL);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, 0), PVM_OK);
	cr_assert_null(vcpu->pvcs);
}

Test(stub, hypercalls_are_found_by_its_numbers)
{
	cr_assert_eq(hypercall(STUB_HC_ADD, 30, 12), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 42);
	cr_assert_eq(hypercall(STUB_HC_BASE + 1, 0, 0), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], STUB_NO_FUNCTION);
	cr_assert_eq(hypercall(PVM_HC_TLB_FLUSH, 1, 2), PVM_ACT_HYPERCALL);
	cr_assert_eq(vcpu->request.hypercall.nr, PVM_HC_TLB_FLUSH);
	cr_assert_eq(vcpu->request.hypercall.arg[1], 2);
}

Test(stub, its_hypercalls_have_names_and_classes)
{
	cr_assert_str_eq(pvm_hypercall_name(PVM_ABI_LOWER_HALF, STUB_HC_HALT), "HALT");
	cr_assert_null(pvm_hypercall_name(PVM_ABI_LOWER_HALF, STUB_HC_BASE + 1));
	cr_assert_null(pvm_hypercall_name(PVM_ABI_LOWER_HALF, PVM_HC_TLB_FLUSH));
	vcpu->gpr[PVM_RAX] = STUB_HC_BASE + STUB_HC_NUMBERS - 1;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_PVM_HYPERCALL);
	vcpu->gpr[PVM_RAX]++;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_OTHER_HYPERCALL);
	vcpu->user_mode = true;
	cr_assert_eq(pvm_syscall_classify(vcpu), PVM_SYSCALL_USER);
}

Test(stub, an_exception_is_delivered_its_way)
{
	cr_assert_eq(stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->rip, ENTRY);
	cr_assert_eq(shared()->rip, CODE);
	cr_assert_eq(shared()->vector, PVM_VEC_DE);
}

Test(stub, what_it_cannot_deliver_ends_the_vm_with_its_reason)
{
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, 0), PVM_OK);
	cr_assert_eq(stopped(PVM_EXIT_EXCEPTION, PVM_VEC_DE), PVM_ACT_SHUTDOWN);
	cr_assert_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_NO_PVCS);
	cr_assert_eq(vcpu->request.shutdown.vector, PVM_VEC_DE);
}

/* The guest is not told that one waits, and its flag is not set for it. */
Test(stub, an_interrupt_waits_for_the_guests_own_flag)
{
	bool delivered;

	cr_assert_eq(hypercall(STUB_HC_HALT, 0, 0), PVM_ACT_HALT);
	cr_assert_eq(pvm_event_interrupt(vcpu, 64, &delivered), PVM_ACT_HALT);
	cr_assert_not(delivered);
	pvm_event_set_if(vcpu, true);
	pvm_event_irq_window(vcpu);
	cr_assert_eq(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF, 0);
	shared()->interrupts = 1;
	cr_assert_eq(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF, PVM_RFLAGS_IF);
	cr_assert_eq(pvm_event_interrupt(vcpu, 64, &delivered), PVM_ACT_RESUME);
	cr_assert(delivered);
	cr_assert_eq(shared()->vector, 64);
}

static void assert_no_such_way(enum pvm_action action)
{
	cr_assert_eq(action, PVM_ACT_ERROR);
	cr_assert_eq(vcpu->request.error.code, PVM_ENOSYS);
	cr_assert_eq(vcpu->rip, CODE);
	vcpu->request.error.code = 0;
}

Test(stub, ways_that_it_does_not_have_are_errors_of_the_caller)
{
	assert_no_such_way(pvm_event_user_syscall(vcpu));
	assert_no_such_way(pvm_event_return_user(vcpu));
	assert_no_such_way(pvm_event_return_supervisor(vcpu));
}

/* The registers of an entry, at an address that is none: a hit there is the guest's. */
Test(stub, no_debug_hit_is_deferred_to_an_entry)
{
	vcpu->gpr[PVM_RCX] = vcpu->rip;
	vcpu->gpr[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	vcpu->dr[0] = SHARED;
	vcpu->dr7 = PVM_DR7_FIXED | 1 | PVM_DR7_RW(0);
	cr_assert_eq(pvm_event_debug(vcpu, PVM_DR6_FIXED | 1), PVM_ACT_RESUME);
	cr_assert_eq(shared()->vector, PVM_VEC_DB);
}

Test(stub, it_has_no_cpuid_leaves_and_no_bits_of_cr4)
{
	uint32_t out[4] = { 1, 1, 1, 1 };

	pvm_cpuid(vcpu, PVM_CPUID_HYPERVISOR_FIRST, 0, out);
	cr_assert_eq(out[0] | out[1] | out[2] | out[3], 0);
	pvm_cpuid(vcpu, 7, 0, out);
	cr_assert_eq(vcpu->cr4 & PVM_CR4_SMEP, 0);
}

Test(stub, a_snapshot_goes_through_the_core_alone)
{
	struct pvm_vcpu_state state;
	const char *field;

	pvm_vcpu_save(vcpu, &state);
	pvm_vcpu_reset(vcpu);
	cr_assert_eq(pvm_vcpu_restore(vcpu, &state, &field), PVM_OK);
	cr_assert_eq(vcpu->msr.event_entry, ENTRY);
	cr_assert_eq(vcpu->pvcs, f.host.memory + SHARED);
	state.vcpu_struct = SHARED + 8;
	cr_assert_eq(pvm_vcpu_restore(vcpu, &state, &field), PVM_EINVAL);
	cr_assert_str_eq(field, "vcpu_struct");
}

/* ------------------------------------------------------------------------
 * Tables that leave out more.
 */

/* Is it refused? NULL, or the reason. */
static const char *refusal(const struct pvm_abi_ops *ops)
{
	struct pvm_vm_config config = fixture_config();
	const char *why;
	int ret;

	config.abi = PVM_ABI_LOWER_HALF;
	instead = ops;
	ret = pvm_vm_config_check(&config, &why);
	instead = NULL;
	cr_assert_eq(ret, why ? PVM_ENOSYS : PVM_OK);
	return why;
}

static int check(const struct pvm_abi_ops *ops)
{
	const char *why = refusal(ops);

	if (why)
		cr_assert_str_eq(why, "abi: this guest ABI lacks an operation");
	return why ? PVM_ENOSYS : PVM_OK;
}

#define WITHOUT(field) \
	do { \
		struct pvm_abi_ops without = pvm_abi_stub; \
		without.field = 0; \
		cr_expect_eq(check(&without), PVM_ENOSYS, #field); \
	} while (0)

Test(stub_table, S9_an_operation_that_must_be_there_is_missed)
{
	struct pvm_abi_ops ops = pvm_abi_stub;

	cr_assert_eq(check(&ops), PVM_OK);
	WITHOUT(name);
	WITHOUT(syscall);
	WITHOUT(deliver);
	WITHOUT(interrupt_flag);
	WITHOUT(other_cr3);
	WITHOUT(hypercalls);
	WITHOUT(msr_read);
	WITHOUT(msr_write);
	ops.cpuid_highest = PVM_CPUID_HYPERVISOR_FIRST;
	cr_expect_eq(check(&ops), PVM_ENOSYS, "cpuid");
}

/* Reads would be x86's, and writes the ABI's. */
Test(stub_table, S9_a_range_of_msrs_is_free_of_x86s)
{
	static const uint32_t x86[] = {
		0x174, 0x175, 0x176, 0x277, 0x6e1, 0xda0, 0xc0000080, 0xc0000081, 0xc0000082,
		0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
	};
	struct pvm_abi_ops ops = pvm_abi_stub;
	const char *why;
	unsigned i;

	for (i = 0; i < sizeof(x86) / sizeof(x86[0]); i++) {
		ops.msr_base = x86[i] - 1;
		ops.msr_count = 2;
		why = refusal(&ops);
		cr_assert_not_null(why, "%x", x86[i]);
		cr_expect_not_null(strstr(why, "MSR"), "%s", why);
		ops.msr_base = x86[i];
		ops.msr_count = 0;
		cr_expect_null(refusal(&ops), "an empty range: %x", x86[i]);
	}
}

Test(stub_table, S9_a_shared_structure_is_within_a_page)
{
	static const struct {
		uint32_t size, align;
		bool good;
	} tried[] = {
		{ 0, 0, true }, { 64, 64, true }, { 4096, 4096, true }, { 4096, 1, true },
		{ 4097, 64, false }, { 64, 0, false }, { 64, 48, false }, { 64, 8192, false },
	};
	struct pvm_abi_ops ops = pvm_abi_stub;
	unsigned i;

	for (i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		ops.pvcs_size = tried[i].size;
		ops.pvcs_align = tried[i].align;
		cr_expect_eq(!refusal(&ops), tried[i].good, "%u, %u", ops.pvcs_size, ops.pvcs_align);
	}
}

/* S10: a number that is not below the count may be used ahead of the test for that. */
Test(stub_table, a_mask_that_does_not_cover_the_table)
{
	struct pvm_abi_ops ops = pvm_abi_stub;

	cr_assert_eq(check(&ops), PVM_OK);
	ops.hypercall_mask = ops.hypercall_count - 2;
	cr_assert_neq(check(&ops), PVM_OK);
}

Test(stub_table, what_counts_nothing_needs_no_operation)
{
	struct pvm_abi_ops ops = pvm_abi_stub;

	ops.hypercalls = NULL;
	ops.hypercall_count = 0;
	ops.msr_read = NULL;
	ops.msr_write = NULL;
	ops.msr_count = 0;
	cr_assert_eq(check(&ops), PVM_OK);
}

Test(stub_table, without_a_shared_structure_none_is_attached, .init = setup, .fini = teardown)
{
	struct pvm_abi_ops ops = pvm_abi_stub;

	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, 0), PVM_OK);
	ops.pvcs_size = ops.pvcs_align = 0;
	f.vm.abi = &ops;
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, SHARED), PVM_EINVAL);
	cr_assert_eq(pvm_msr_write(vcpu, STUB_MSR_SHARED, 0), PVM_OK);
	cr_assert_null(vcpu->pvcs);
	f.vm.abi = &pvm_abi_stub;
}
