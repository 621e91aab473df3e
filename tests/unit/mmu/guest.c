/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The guest of the MMU tests; see guest.h. */
#include "guest.h"

void guest_init_config(struct guest *g, const struct pvm_vm_config *config, unsigned vcpus,
		       unsigned levels)
{
	unsigned i;

	memset(g, 0, sizeof(*g));
	fixture_init_config(&g->f, config, 16 << 20, vcpus);
	g->vm = &g->f.vm;
	g->vcpu = &g->f.vcpu[0];
	g->levels = levels;
	g->cr3 = fixture_new_table(&g->f);
	g->user_cr3 = fixture_new_table(&g->f);
	for (i = 0; i < vcpus; i++) {
		struct pvm_vcpu *vcpu = &g->f.vcpu[i];

		vcpu->cr3 = g->cr3;
		vcpu->msr.switch_cr3 = g->user_cr3;
		vcpu->efer |= PVM_EFER_NXE;
		vcpu->cr4 |= PVM_CR4_PKE | PVM_CR4_PKS | (levels == 5 ? PVM_CR4_LA57 : 0);
	}
}

void guest_init(struct guest *g)
{
	struct pvm_vm_config config = fixture_config();

	guest_init_config(g, &config, 1, 4);
}

void guest_fini(struct guest *g)
{
	check_ok(g);
	fixture_fini(&g->f);
}

void guest_map(struct guest *g, uint64_t gva, uint64_t gpa, unsigned level, uint64_t flags)
{
	fixture_map(&g->f, g->cr3, g->levels, gva, gpa, level, flags);
}

uint64_t *guest_entry(struct guest *g, uint64_t gva, unsigned level)
{
	return fixture_entry(&g->f, g->cr3, g->levels, gva, level);
}

void guest_map_tables(struct guest *g)
{
	uint64_t gpa, end = g->f.next_table + 8 * PVM_PAGE_SIZE;

	for (gpa = g->f.host.memory_size / 2; gpa < end; gpa += PVM_PAGE_SIZE)
		guest_map(g, TABLES + gpa, gpa, 1, RW);
}

uint64_t guest_table_of(struct guest *g, uint64_t gva, unsigned level)
{
	return (uint64_t)((uint8_t *)guest_entry(g, gva, level) - g->f.host.memory) & ~(PVM_PAGE_SIZE - 1);
}

uint64_t guest_entry_gva(struct guest *g, uint64_t gva, unsigned level)
{
	return TABLES + (uint64_t)((uint8_t *)guest_entry(g, gva, level) - g->f.host.memory);
}

struct pvm_fault_result guest_fault(struct guest *g, uint64_t gva, uint32_t error_code)
{
	return pvm_mmu_fault(g->vcpu, pvm_gva(gva), error_code | PVM_PF_U, PVM_MAY_SLEEP);
}

static pvm_hpa_t load(struct guest *g, unsigned cpu)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(&g->f.vcpu[cpu], &root, PVM_MAY_SLEEP), PVM_OK);
	return root;
}

bool guest_walk(struct guest *g, unsigned cpu, uint64_t gva, struct pvm_shadow_leaf *leaf)
{
	return pvm_mmu_shadow_walk(g->vm, load(g, cpu), pvm_gva(gva), leaf);
}

static bool allows(struct guest *g, uint64_t gva, uint32_t access)
{
	struct pvm_shadow_leaf leaf;

	return guest_walk(g, 0, gva, &leaf) &&
		!((access & PVM_ACCESS_WRITE) && !(leaf.entry & PVM_PTE_W)) &&
		!((access & PVM_ACCESS_EXEC) && (leaf.entry & PVM_PTE_NX));
}

void guest_touch(struct guest *g, uint64_t gva, uint32_t access)
{
	unsigned tries;

	for (tries = 0; tries < 4 && !allows(g, gva, access); tries++)
		cr_assert_eq(guest_fault(g, gva, access).kind, PVM_FAULT_FIXED);
	cr_assert(allows(g, gva, access), "%#lx stays out of reach", (unsigned long)gva);
}

uint64_t guest_reaches(struct guest *g, uint64_t gva)
{
	struct pvm_shadow_leaf leaf;

	return guest_walk(g, 0, gva, &leaf) ? leaf.pa.v - TEST_HOST_GUEST_BASE : ~0ull;
}

bool guest_can_write(struct guest *g, uint64_t gva)
{
	return allows(g, gva, PVM_ACCESS_WRITE);
}

void guest_store(struct guest *g, uint64_t gva, uint64_t value)
{
	guest_touch(g, gva, PVM_ACCESS_WRITE);
	*(uint64_t *)(g->f.host.memory + guest_reaches(g, gva) + (gva & 0xfff)) = value;
}

struct pvm_fault_result guest_translate(struct guest *g, uint64_t gva, uint32_t access)
{
	struct pvm_fault_result result;
	bool allowed = pvm_mmu_translate(g->vcpu, pvm_gva(gva), access, true, &result);

	cr_assert_eq(allowed, result.kind == PVM_FAULT_FIXED);
	return result;
}

void guest_forget_flushes(struct guest *g)
{
	g->f.host.flush_count = 0;
}

unsigned guest_flushes(const struct guest *g, enum pvm_flush_scope scope)
{
	unsigned i, count = 0;

	for (i = 0; i < g->f.host.flush_count; i++)
		count += g->f.host.flushes[i].scope == scope;
	return count;
}
