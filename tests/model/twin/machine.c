/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A VM for the twin, as machine.h says. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void broken(const char *rule)
{
	fprintf(stderr, "twin: %s\n", rule);
	exit(1);
}

static void require(bool holds, const char *rule)
{
	if (!holds)
		broken(rule);
}

/* The host is the first member of the machine. */
static struct machine *machine_of(void *host)
{
	return host;
}

/* splitmix64 */
uint64_t machine_random(struct machine *m)
{
	uint64_t z = (m->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static int page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	struct machine *m = machine_of(host);

	if (sleep == PVM_NO_SLEEP && machine_chance(m, m->config.alloc_failure))
		return PVM_ENOMEM;
	if (m->config.page_limit && m->host.pages_live >= m->config.page_limit)
		return PVM_ENOMEM;
	return test_host_ops.page_alloc(host, sleep, page);
}

/* A large frame: none of it write-protected. */
static bool is_whole(const struct machine *m, uint64_t gfn, uint64_t frames)
{
	uint64_t i;

	for (i = gfn & ~(frames - 1); i < (gfn & ~(frames - 1)) + frames; i++)
		if (m->write_protected[i])
			return false;
	return true;
}

static int gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			struct pvm_frame *frame)
{
	struct machine *m = machine_of(host);
	int rc = test_host_ops.gfn_to_frame(host, gfn, write, sleep, frame);

	if (rc != PVM_OK)
		return rc;
	if (sleep == PVM_NO_SLEEP && machine_chance(m, m->config.frame_block))
		return PVM_EAGAIN;
	if (write)
		m->write_protected[gfn.v] = false;
	frame->writable = !m->write_protected[gfn.v];
	if (frame->max_level > 1 && !is_whole(m, gfn.v, 512))
		frame->max_level = 1;
	return PVM_OK;
}

static void *gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	struct machine *m = machine_of(host);
	bool inside = false;
	unsigned n;

	for (n = 0; n < m->config.cpus; n++)
		inside |= m->cpu[n].vcpu.mmu.inside;
	require(m->host.lock_depth || inside, "gfn_to_va outside the lock");
	return test_host_ops.gfn_to_va(host, gfn, write);
}

static bool flush_covers(const struct pvm_tlb_flush *flush, const struct tlb_entry *entry)
{
	if (flush->scope == PVM_FLUSH_ALL)
		return true;
	if (flush->root.v != PVM_INVALID_ADDR && flush->root.v != entry->root)
		return false;
	return flush->scope == PVM_FLUSH_ROOT ||
		entry->page >> (9 * (flush->level - 1)) == flush->gva.v >> PVM_LEVEL_SHIFT(flush->level);
}

static void tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	struct machine *m = machine_of(host);
	unsigned n, i;

	require(m->host.lock_depth, "tlb_flush outside the lock");
	m->flushes[flush->scope]++;
	if (machine_random(m) % 1000 < m->config.forget)
		return;
	for (n = 0; n < m->config.cpus; n++) {
		struct machine_cpu *cpu = &m->cpu[n];

		if (flush->vcpu && flush->vcpu != &cpu->vcpu)
			continue;
		for (i = 0; i < MACHINE_TLB; i++)
			if (flush_covers(flush, &cpu->tlb[i]))
				cpu->tlb[i].valid = false;
		for (i = 0; i < MACHINE_UPPER; i++)
			if (flush->scope != PVM_FLUSH_ROOT || cpu->upper[i].root == flush->root.v)
				cpu->upper[i].valid = false;
	}
}

static void make_host(struct machine *m)
{
	test_host_init(&m->host, MACHINE_FRAMES * PVM_PAGE_SIZE, broken);
	m->host.max_level = m->config.max_level;
	m->host.ops.page_alloc = page_alloc;
	m->host.ops.gfn_to_frame = gfn_to_frame;
	m->host.ops.gfn_to_va = gfn_to_va;
	m->host.ops.tlb_flush = tlb_flush;
	m->host.ops.trace = NULL;
}

static struct pvm_vm_config vm_config(const struct machine_config *config)
{
	struct pvm_vm_config vm = test_host_config();

	if (config->single_cr3)
		vm.abi = PVM_ABI_SINGLE_CR3;
	vm.host_la57 = config->la57;
	vm.host_page1g = config->page1g;
	vm.range.pml4_end = 500;
	vm.switcher_slot = 510;
	vm.switcher_entry = 0x123000 | PVM_PTE_P | PVM_PTE_W;
	vm.max_shadow_pages = config->max_shadow_pages;
	if (config->la57) {
		vm.range.pml5_start = 280;
		vm.range.pml5_end = 400;
	}
	if (config->shares_slot) {
		vm.guest_cr4 = PVM_CR4_GUEST & ~(uint64_t)PVM_CR4_LA57;
		vm.switcher_slot = 511;
		vm.switcher_pml4_slot = 510;
		vm.switcher_pml4_entry = 0x124000 | PVM_PTE_P | PVM_PTE_W;
	}
	return vm;
}

void machine_init(struct machine *m, const struct machine_config *config, uint64_t seed)
{
	struct pvm_vm_config vm = vm_config(config);
	unsigned i;

	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->random = seed;
	make_host(m);
	require(pvm_vm_init(&m->vm, &vm, &m->host.ops, &m->host) == PVM_OK, "pvm_vm_init failed");
	for (i = 0; i < config->cpus; i++)
		require(pvm_vcpu_init(&m->cpu[i].vcpu, &m->vm, i) == PVM_OK, "pvm_vcpu_init failed");
}

void machine_fini(struct machine *m)
{
	unsigned i;

	for (i = 0; i < m->config.cpus; i++)
		pvm_vcpu_destroy(&m->cpu[i].vcpu);
	pvm_vm_destroy(&m->vm);
	test_host_fini(&m->host);
}

/* ------------------------------------------------------------------------
 * The CPU.
 */

static bool entry_allows(const struct pvm_vcpu *vcpu, uint64_t entry, bool write, bool exec,
			 uint32_t *error_code)
{
	unsigned key = (unsigned)((entry & PVM_PTE_PK_MASK) >> PVM_PTE_PK_SHIFT);
	uint32_t rights = vcpu->pkru >> (2 * key);

	*error_code |= PVM_PF_P;
	if (!exec && ((rights & 1) || (write && (rights & 2)))) {
		*error_code |= PVM_PF_PK;
		return false;
	}
	return !(write && !(entry & PVM_PTE_W)) && !(exec && (entry & PVM_PTE_NX));
}

static struct tlb_entry *tlb_slot(struct machine_cpu *cpu, uint64_t root, uint64_t gva)
{
	uint64_t hash = ((gva >> 12) * 0x9e3779b97f4a7c15ull) ^ (root * 0xff51afd7ed558ccdull);

	return &cpu->tlb[(hash >> 40) % MACHINE_TLB];
}

static struct upper_entry *upper_slot(struct machine_cpu *cpu, uint64_t root, uint64_t gva)
{
	uint64_t hash = ((gva >> 21) * 0x9e3779b97f4a7c15ull) ^ (root * 0xff51afd7ed558ccdull);

	return &cpu->upper[(hash >> 40) % MACHINE_UPPER];
}

/* The tables themselves, as hardware reads them; remembers upper levels. */
static bool walk_tables(struct machine *m, struct machine_cpu *cpu, uint64_t root, uint64_t gva,
			struct tlb_entry *found)
{
	struct upper_entry *upper = upper_slot(cpu, root, gva);
	unsigned level = m->config.la57 ? 5 : 4;
	uint64_t table = root, writable = PVM_PTE_W, nx = 0;

	if (upper->valid && upper->root == root && upper->region == gva >> 21) {
		table = upper->table;
		writable = upper->rights & PVM_PTE_W;
		nx = upper->rights & PVM_PTE_NX;
		level = 1;
	}
	for (;; level--) {
		uint64_t *va = test_host_page_va(&m->host, pvm_hpa(table)), entry;

		require(va, table >= TEST_HOST_TABLE_BASE ? "M2: a CPU walks a page that was freed" :
			"M2: a table address outside the engine's pages");
		entry = va[PVM_LEVEL_INDEX(gva, level)];
		if (level == 1)
			*upper = (struct upper_entry){ true, root, gva >> 21, table, writable | nx };
		if (!(entry & PVM_PTE_P) || !(entry & PVM_PTE_U))
			return false;
		writable &= entry;
		nx |= entry & PVM_PTE_NX;
		table = entry & PVM_PTE_ADDR_MASK;
		if (level > 1 && !(entry & PVM_PTE_PS))
			continue;
		*found = (struct tlb_entry){
			.valid = true, .root = root, .page = gva >> 12,
			.entry = (entry & ~(PVM_PTE_W | PVM_PTE_NX)) | writable | nx,
			.pa = table + (gva & (PVM_LEVEL_SIZE(level) - 1) & ~0xfffull) };
		return true;
	}
}

/* A translation from the TLB, else from the tables. */
static bool lookup(struct machine *m, struct machine_cpu *cpu, uint64_t root, uint64_t gva,
		   struct tlb_entry *found)
{
	struct tlb_entry *slot = tlb_slot(cpu, root, gva);

	if (slot->valid && slot->root == root && slot->page == gva >> 12) {
		*found = *slot;
		m->hits++;
		return true;
	}
	if (!walk_tables(m, cpu, root, gva, found))
		return false;
	*slot = *found;
	return true;
}

/* A fault drops what the CPU remembers of the address. */
static void forget(struct machine_cpu *cpu, uint64_t root, uint64_t gva)
{
	struct tlb_entry *slot = tlb_slot(cpu, root, gva);

	if (slot->page == gva >> 12)
		slot->valid = false;
	upper_slot(cpu, root, gva)->valid = false;
}

/* On any root, whatever the guest has beside it. */
static bool switcher_is_there(struct machine *m, pvm_hpa_t root)
{
	const struct pvm_vm_config *config = &m->vm.config;
	const uint64_t *table = test_host_page_va(&m->host, root);
	uint64_t entry = table[config->switcher_slot];

	if (entry == config->switcher_entry)
		return true;
	/* A CPU joins the rights of all levels. */
	if (!config->switcher_pml4_entry || !(entry & PVM_PTE_P) || !(entry & PVM_PTE_W) ||
	    (entry & PVM_PTE_NX))
		return false;
	table = test_host_page_va(&m->host, pvm_hpa(entry & PVM_PTE_ADDR_MASK));
	return table && table[config->switcher_pml4_slot] == config->switcher_pml4_entry;
}

static int load(struct machine *m, struct pvm_vcpu *vcpu, pvm_hpa_t *root)
{
	int rc = PVM_EAGAIN;

	if (machine_chance(m, 50))
		rc = pvm_mmu_load(vcpu, root, PVM_NO_SLEEP);
	if (rc == PVM_EAGAIN)
		rc = pvm_mmu_load(vcpu, root, PVM_MAY_SLEEP);
	require(rc != PVM_OK || switcher_is_there(m, *root), "S6: the switcher is not in a root");
	return rc;
}

static struct pvm_fault_result fault(struct machine *m, struct pvm_vcpu *vcpu, uint64_t gva,
				     uint32_t error_code)
{
	struct pvm_fault_result result = { .kind = PVM_FAULT_WOULD_BLOCK };

	m->faults++;
	if (machine_chance(m, 50))
		result = pvm_mmu_fault(vcpu, pvm_gva(gva), error_code, PVM_NO_SLEEP);
	if (result.kind == PVM_FAULT_WOULD_BLOCK)
		result = pvm_mmu_fault(vcpu, pvm_gva(gva), error_code, PVM_MAY_SLEEP);
	return result;
}

/* At the width of the host: the CPU refuses others before it looks anywhere. */
static bool canonical(const struct machine *m, uint64_t gva)
{
	unsigned shift = m->config.la57 ? 7 : 16;

	return (uint64_t)((int64_t)(gva << shift) >> shift) == gva;
}

struct machine_result machine_access(struct machine *m, unsigned n, uint64_t gva, bool write,
				     bool exec, void (*faulted)(void *arg), void *arg)
{
	struct machine_cpu *cpu = &m->cpu[n];
	struct machine_result result = { .outcome = OUTCOME_STUCK };
	unsigned tries;

	for (tries = 0; tries < 4; tries++) {
		uint32_t error_code = PVM_PF_U | (write ? PVM_PF_W : 0) | (exec ? PVM_PF_I : 0);
		struct tlb_entry found;
		pvm_hpa_t root;
		int rc = load(m, &cpu->vcpu, &root);

		if (rc != PVM_OK) {
			result.outcome = rc == PVM_EFAULT ? OUTCOME_BAD_CR3 : OUTCOME_ERROR;
			result.fault.error = rc;
			return result;
		}
		if (canonical(m, gva) && lookup(m, cpu, root.v, gva, &found) &&
		    entry_allows(&cpu->vcpu, found.entry, write, exec, &error_code)) {
			result.outcome = OUTCOME_DONE;
			require(found.pa >= TEST_HOST_GUEST_BASE, "M2: a leaf maps what is no guest memory");
			result.gpa = found.pa - TEST_HOST_GUEST_BASE + (gva & 0xfff);
			return result;
		}
		forget(cpu, root.v, gva);
		result.fault = fault(m, &cpu->vcpu, gva, error_code);
		faulted(arg);
		if (result.fault.kind == PVM_FAULT_FIXED)
			continue;
		result.outcome = result.fault.kind == PVM_FAULT_INJECT ? OUTCOME_INJECT :
			result.fault.kind == PVM_FAULT_MMIO ? OUTCOME_MMIO : OUTCOME_ERROR;
		return result;
	}
	return result;
}

/* ------------------------------------------------------------------------
 * The host.
 */

void machine_set_hole(struct machine *m, uint64_t start, uint64_t end)
{
	m->host.hole_start = start;
	m->host.hole_end = end;
	if (start != end)
		pvm_mmu_unmap_gfns(&m->vm, pvm_gfn(start), end - start, PVM_MAY_SLEEP);
}

void machine_write_protect(struct machine *m, uint64_t start, uint64_t end)
{
	uint64_t gfn;

	for (gfn = start; gfn < end; gfn++)
		m->write_protected[gfn] = true;
	pvm_mmu_write_protect_gfns(&m->vm, pvm_gfn(start), end - start, PVM_MAY_SLEEP);
}

bool machine_tlb_reaches(const struct machine *m, uint64_t start, uint64_t end, bool write)
{
	unsigned n, i;

	for (n = 0; n < m->config.cpus; n++) {
		for (i = 0; i < MACHINE_TLB; i++) {
			const struct tlb_entry *entry = &m->cpu[n].tlb[i];
			uint64_t gfn = (entry->pa - TEST_HOST_GUEST_BASE) >> 12;

			if (entry->valid && gfn >= start && gfn < end &&
			    (!write || (entry->entry & PVM_PTE_W)))
				return true;
		}
	}
	return false;
}
