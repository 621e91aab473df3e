/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* MSR_PVM_VCPU_STRUCT: where the PVCS is and the pin on its page. */
#include <criterion/criterion.h>

#include "mmu_calls.h"

TestSuite(pvcs, .init = setup, .fini = teardown);

static uint64_t read_msr(void)
{
	uint64_t value;

	ok(pvm_msr_read(vcpu, MSR_PVM_VCPU_STRUCT, &value));
	return value;
}

Test(pvcs, S8_page_is_pinned_while_attached)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3080));
	cr_assert_eq(fix.host.pins, 1);
	cr_assert_eq((void *)vcpu->pvcs, fix.host.memory + 0x3080);
	cr_assert_eq(read_msr(), 0x3080);
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0));
	cr_assert_eq(fix.host.pins, 0);
	cr_assert_null(vcpu->pvcs);
	cr_assert_eq(read_msr(), 0);
}

Test(pvcs, S8_moving_pins_the_new_page_before_it_lets_the_old_one_go)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x4000));
	cr_assert_eq(fix.host.pins, 1);
	cr_assert_eq((void *)vcpu->pvcs, fix.host.memory + 0x4000);
}

static unsigned unpins;

static void counting_unpin(void *host, pvm_gfn_t gfn, void *va)
{
	struct test_host *h = host;

	(void)gfn, (void)va;
	unpins++;
	h->pins--;
}

Test(pvcs, S8_moving_within_the_page_keeps_the_pin)
{
	fix.host.ops.unpin = counting_unpin;
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3040));
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3f80));
	cr_assert_eq(unpins, 0);
	cr_assert_eq(fix.host.pins, 1);
	cr_assert_eq((void *)vcpu->pvcs, fix.host.memory + 0x3f80);
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	cr_assert_eq((void *)vcpu->pvcs, fix.host.memory + 0x3000);
}

Test(pvcs, S8_reset_and_destroy_let_the_page_go)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	pvm_vcpu_reset(vcpu);
	cr_assert_eq(fix.host.pins, 0);
	cr_assert_null(vcpu->pvcs);
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	/* fixture_fini() asserts that pvm_vcpu_destroy() unpins. */
}

Test(pvcs, address_is_8_byte_aligned)
{
	uint64_t gpa;

	for (gpa = 0x3001; gpa < 0x3008; gpa++)
		gp(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, gpa));
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3008));
}

Test(pvcs, does_not_cross_a_page)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3f80));
	gp(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3f88));
	cr_assert_eq(read_msr(), 0x3f80);
}

Test(pvcs, address_is_physical)
{
	gp(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 1ull << 40));
	gp(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0xffff800000003000ull));
}

Test(pvcs, outside_memory_fails_and_changes_nothing)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	gp(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 1ull << 39));
	cr_assert_eq(read_msr(), 0x3000);
	cr_assert_eq((void *)vcpu->pvcs, fix.host.memory + 0x3000);
	cr_assert_eq(fix.host.pins, 1);
}

Test(pvcs, read_only_memory_is_no_place_for_it)
{
	fix.host.read_only_end = ~0ull;
	gp(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000));
	cr_assert_null(vcpu->pvcs);
}

static int (*real_pin)(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa);
static int pin_error;

static int pin_or_not(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	return pin_error ? pin_error : real_pin(host, gfn, va, pa);
}

static void renew_in_vain(int error, int result)
{
	ok(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3080));
	real_pin = fix.host.ops.pin;
	fix.host.ops.pin = pin_or_not;
	pin_error = error;
	cr_assert_eq(pvm_pvcs_renew(vcpu), result);
	cr_assert_eq(fix.host.pins, 0);
	cr_assert_null(vcpu->pvcs);
}

Test(pvcs, M11_an_address_is_kept_whose_new_memory_cannot_be_pinned_now)
{
	static const int errors[] = { PVM_EAGAIN, PVM_ENOMEM, PVM_EFAULT };
	unsigned i;

	for (i = 0; i < 3; i++) {
		renew_in_vain(errors[i], errors[i]);
		cr_assert_eq(read_msr(), 0x3080);
		cr_assert_eq(pvm_pvcs_renew(vcpu), errors[i]);
		pin_error = PVM_OK;
		ok(pvm_pvcs_renew(vcpu));
		cr_assert_eq((void *)vcpu->pvcs, fix.host.memory + 0x3080);
		cr_assert_eq(fix.host.pins, 1);
		fix.host.ops.pin = real_pin;
	}
}

Test(pvcs, S8_an_address_that_has_no_memory_any_more_is_none)
{
	renew_in_vain(PVM_ENOENT, PVM_EINVAL);
	cr_assert_eq(read_msr(), 0);
	ok(pvm_pvcs_renew(vcpu));
}

/* spec: C-049 */
Test(pvcs, layout)
{
	cr_assert_eq(sizeof(struct pvm_vcpu_struct), 128);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, event_flags), 0);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, event_errcode), 8);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, event_vector), 12);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, cr2), 16);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, user_cs), 64);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, user_ss), 66);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, user_gsbase), 80);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, eflags), 88);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, pkru), 92);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, rip), 96);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, rsp), 104);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, rcx), 112);
	cr_assert_eq(offsetof(struct pvm_vcpu_struct, r11), 120);
}
