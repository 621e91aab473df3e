/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A VM of unit tests, as fixture.h says. Runs no guest. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

static void fail_test(const char *rule)
{
	cr_assert_fail("%s", rule);
}

struct pvm_vm_config fixture_config(void)
{
	return test_host_config();
}

void fixture_init_config(struct fixture *f, const struct pvm_vm_config *config, uint64_t memory_size,
			 unsigned vcpus)
{
	unsigned i;

	memset(f, 0, sizeof(*f));
	test_host_init(&f->host, memory_size, fail_test);
	f->next_table = memory_size / 2;
	f->vcpus = vcpus;
	cr_assert_eq(pvm_vm_init(&f->vm, config, &f->host.ops, &f->host), PVM_OK);
	for (i = 0; i < vcpus; i++)
		cr_assert_eq(pvm_vcpu_init(&f->vcpu[i], &f->vm, i), PVM_OK);
}

void fixture_init(struct fixture *f)
{
	struct pvm_vm_config config = fixture_config();

	fixture_init_config(f, &config, 16 << 20, 1);
}

void fixture_fini(struct fixture *f)
{
	unsigned i;

	for (i = 0; i < f->vcpus; i++)
		pvm_vcpu_destroy(&f->vcpu[i]);
	pvm_vm_destroy(&f->vm);
	test_host_fini(&f->host);
}

uint64_t fixture_new_table(struct fixture *f)
{
	uint64_t gpa = f->next_table;

	cr_assert_lt(gpa, f->host.memory_size, "the fixture ran out of guest table pages");
	f->next_table += PVM_PAGE_SIZE;
	memset(f->host.memory + gpa, 0, PVM_PAGE_SIZE);
	return gpa;
}

uint64_t *fixture_entry(struct fixture *f, uint64_t cr3, unsigned levels, uint64_t gva, unsigned level)
{
	uint64_t table = cr3 & PVM_CR3_ADDR_MASK;
	unsigned l;

	for (l = levels; l > level; l--) {
		uint64_t entry = ((uint64_t *)(f->host.memory + table))[PVM_LEVEL_INDEX(gva, l)];

		if (!(entry & PVM_PTE_P) || (l <= 3 && (entry & PVM_PTE_PS)))
			return NULL;
		table = entry & PVM_PTE_ADDR_MASK;
	}
	return (uint64_t *)(f->host.memory + table) + PVM_LEVEL_INDEX(gva, level);
}

void fixture_map(struct fixture *f, uint64_t cr3, unsigned levels, uint64_t gva, uint64_t gpa,
		 unsigned level, uint64_t flags)
{
	unsigned l;

	for (l = levels; l > level; l--) {
		uint64_t *entry = fixture_entry(f, cr3, levels, gva, l);

		cr_assert_not_null(entry);
		if (!(*entry & PVM_PTE_P))
			*entry = fixture_new_table(f) | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
	}
	*fixture_entry(f, cr3, levels, gva, level) =
		gpa | flags | (level > 1 ? PVM_PTE_PS : 0);
}

void fixture_boot(struct fixture *f, struct pvm_vcpu *vcpu)
{
	uint64_t supervisor = fixture_new_table(f), user = fixture_new_table(f);
	uint64_t gva;

	for (gva = 0; gva < f->host.memory_size; gva += PVM_LEVEL_SIZE(2)) {
		fixture_map(f, supervisor, 4, gva, gva, 2, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
		fixture_map(f, user, 4, gva, gva, 2, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	}
	cr_assert_eq(pvm_cr_write(vcpu, 3, supervisor), PVM_OK);
	if (f->vm.config.abi == PVM_ABI_DUAL_CR3)
		cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_SWITCH_CR3, user), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_EVENT_ENTRY, 0x100000), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, PVM_MSR_LSTAR, 0x110000), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_RETU_RIP, 0x120000), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_RETS_RIP, 0x120010), PVM_OK);
	vcpu->gpr[PVM_RSP] = 0x208000;
	vcpu->rip = 0x200000;
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IF;
}

const struct pvm_trace_record *fixture_find_record(const struct fixture *f, enum pvm_trace_kind kind)
{
	unsigned i;

	for (i = 0; i < f->host.record_count; i++)
		if (f->host.records[i].kind == kind)
			return &f->host.records[i];
	return NULL;
}
