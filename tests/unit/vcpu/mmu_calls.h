/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the vCPU asked of the MMU: each call is counted and passed on to the
 * real one (the linker's --wrap). Also a way to make the MMU fail.
 */
#ifndef TESTS_VCPU_MMU_CALLS_H
#define TESTS_VCPU_MMU_CALLS_H

#include <fixture.h>

struct mmu_calls {
	unsigned new_cr3, flush_cr3, flush_all;
	uint64_t flushed_cr3;		/* of the last pvm_mmu_flush_cr3() */
	int init_result, vcpu_init_result;	/* not PVM_OK: returned instead of calling */
};

extern struct mmu_calls mmu_calls;

/* Forget what was counted. */
void mmu_calls_clear(void);

/* One vCPU on fixture_config(), for TestSuite(.init, .fini). */
extern struct fixture fix;
extern struct pvm_vcpu *vcpu;
void setup(void);
void teardown(void);
/* The same with a configuration of the test's. */
void setup_config(const struct pvm_vm_config *config);

/* Assertions with less ink. */
#define ok(expr)	cr_assert_eq(expr, PVM_OK)
#define gp(expr)	cr_assert_eq(expr, PVM_EINVAL)
#define ud(expr)	cr_assert_eq(expr, PVM_ENOENT)

#endif /* TESTS_VCPU_MMU_CALLS_H */
