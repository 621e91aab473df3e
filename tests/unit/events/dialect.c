/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The table of dialects against the structure of the ABI.
 */
#include <criterion/criterion.h>

#include "events/dialect.h"

/* spec: C-049 */
Test(dialect, dual_cr3_has_every_pvcs_field_where_the_abi_has_it)
{
	const struct pvm_dialect *d = &pvm_dialect_dual_cr3;

	cr_assert_eq(d->event_flags, offsetof(struct pvm_vcpu_struct, event_flags));
	cr_assert_eq(d->event_errcode, offsetof(struct pvm_vcpu_struct, event_errcode));
	cr_assert_eq(d->event_vector, offsetof(struct pvm_vcpu_struct, event_vector));
	cr_assert_eq(d->cr2, offsetof(struct pvm_vcpu_struct, cr2));
	cr_assert_eq(d->user_cs, offsetof(struct pvm_vcpu_struct, user_cs));
	cr_assert_eq(d->user_ss, offsetof(struct pvm_vcpu_struct, user_ss));
	cr_assert_eq(d->user_gsbase, offsetof(struct pvm_vcpu_struct, user_gsbase));
	cr_assert_eq(d->eflags, offsetof(struct pvm_vcpu_struct, eflags));
	cr_assert_eq(d->pkru, offsetof(struct pvm_vcpu_struct, pkru));
	cr_assert_eq(d->rip, offsetof(struct pvm_vcpu_struct, rip));
	cr_assert_eq(d->rsp, offsetof(struct pvm_vcpu_struct, rsp));
	cr_assert_eq(d->rcx, offsetof(struct pvm_vcpu_struct, rcx));
	cr_assert_eq(d->r11, offsetof(struct pvm_vcpu_struct, r11));
}

/* spec: C-082, C-083, C-084 */
Test(dialect, dual_cr3_has_three_entry_points_and_a_stack_frame)
{
	const struct pvm_dialect *d = &pvm_dialect_dual_cr3;

	cr_assert_eq(d->entry_user, 0);
	cr_assert_eq(d->entry_exception, 256);
	cr_assert_eq(d->entry_interrupt, 512);
	cr_assert(d->switches_cr3 && d->switches_rsp && d->stack_frame);
}
