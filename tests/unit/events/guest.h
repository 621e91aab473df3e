/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A booted guest for event and hypercall tests: the fixture's, with a value of its
 * own in every register, so that a test sees where each of them went.
 */
#ifndef TESTS_EVENTS_GUEST_H
#define TESTS_EVENTS_GUEST_H

#include <criterion/criterion.h>
#include <pvm/events.h>
#include <pvm/mmu.h>
#include <string.h>

#include "fixture.h"

#define ENTRY		0x100000ull	/* MSR_PVM_EVENT_ENTRY */
#define LSTAR		0x110000ull
#define RETU_RIP	0x120000ull
#define RETS_RIP	0x120010ull
#define SUPERVISOR_RSP	0x208000ull
#define KERNEL_GS_BASE	0xffff800000001000ull	/* canonical, upper half */

#define USER_RIP	0x400123ull
#define USER_RSP	0x7ffffffde008ull
#define USER_GS_BASE	0x7f0012345678ull
#define USER_RFLAGS	(PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_ZF | PVM_RFLAGS_AC)
#define USER_PKRU	0x55555554u
#define ENTRY_RFLAGS	(PVM_RFLAGS_FIXED | PVM_RFLAGS_IF)

/* In supervisor mode, IF set, RSP SUPERVISOR_RSP, every register distinct. */
void guest_boot(struct fixture *f);
/* The same with changes to the configuration. */
void guest_boot_config(struct fixture *f, const struct pvm_vm_config *config);
/* The same in a VM of single CR3. */
void guest_boot_single_cr3(struct fixture *f);

/* Then in user mode by EVENT_RETURN_USER, with the USER_* values above; the
 * PVCS is filled with 0xee after it, event_flags 0. */
void guest_enter_user(struct fixture *f);

/* The word at @gva of the guest's memory (identity-mapped). */
uint64_t guest_word(const struct fixture *f, uint64_t gva);

/* A copy of everything that a refused instruction must leave alone. */
struct guest_snapshot {
	uint64_t gpr[PVM_GPR_COUNT];
	uint64_t rip, rflags, cr3, switch_cr3, gs_base, supervisor_rsp;
	struct pvm_vcpu_struct pvcs;
};
struct guest_snapshot guest_snapshot(const struct pvm_vcpu *vcpu);
void guest_assert_unchanged(const struct pvm_vcpu *vcpu, const struct guest_snapshot *before);

#endif /* TESTS_EVENTS_GUEST_H */
