/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* See mmu_calls.h. Counts, and never changes what the MMU does. */
#include "mmu_calls.h"

#include <criterion/criterion.h>
#include <pvm/mmu.h>
#include <string.h>

struct mmu_calls mmu_calls;
struct fixture fix;
struct pvm_vcpu *vcpu;

void __real_pvm_mmu_new_cr3(struct pvm_vcpu *v);
void __wrap_pvm_mmu_new_cr3(struct pvm_vcpu *v);
void __real_pvm_mmu_flush_cr3(struct pvm_vcpu *v, uint64_t cr3);
void __wrap_pvm_mmu_flush_cr3(struct pvm_vcpu *v, uint64_t cr3);
void __real_pvm_mmu_flush_all(struct pvm_vcpu *v);
void __wrap_pvm_mmu_flush_all(struct pvm_vcpu *v);
int __real_pvm_mmu_init(struct pvm_vm *vm);
int __wrap_pvm_mmu_init(struct pvm_vm *vm);
int __real_pvm_mmu_vcpu_init(struct pvm_vcpu *v);
int __wrap_pvm_mmu_vcpu_init(struct pvm_vcpu *v);

void __wrap_pvm_mmu_new_cr3(struct pvm_vcpu *v)
{
	mmu_calls.new_cr3++;
	__real_pvm_mmu_new_cr3(v);
}

void __wrap_pvm_mmu_flush_cr3(struct pvm_vcpu *v, uint64_t cr3)
{
	mmu_calls.flush_cr3++;
	mmu_calls.flushed_cr3 = cr3;
	__real_pvm_mmu_flush_cr3(v, cr3);
}

void __wrap_pvm_mmu_flush_all(struct pvm_vcpu *v)
{
	mmu_calls.flush_all++;
	__real_pvm_mmu_flush_all(v);
}

int __wrap_pvm_mmu_init(struct pvm_vm *vm)
{
	if (mmu_calls.init_result != PVM_OK)
		return mmu_calls.init_result;
	return __real_pvm_mmu_init(vm);
}

int __wrap_pvm_mmu_vcpu_init(struct pvm_vcpu *v)
{
	if (mmu_calls.vcpu_init_result != PVM_OK)
		return mmu_calls.vcpu_init_result;
	return __real_pvm_mmu_vcpu_init(v);
}

void mmu_calls_clear(void)
{
	memset(&mmu_calls, 0, sizeof(mmu_calls));
}

void setup_config(const struct pvm_vm_config *config)
{
	fixture_init_config(&fix, config, 16 << 20, 1);
	vcpu = &fix.vcpu[0];
	mmu_calls_clear();
}

void setup(void)
{
	struct pvm_vm_config config = fixture_config();

	setup_config(&config);
}

void teardown(void)
{
	fixture_fini(&fix);
}
