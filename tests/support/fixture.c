/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host for unit tests, as fixture.h says. Runs no guest. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_PAGES 16384
/* After each engine page comes a page whose first bytes nobody may change. */
#define ARENA_STRIDE (2 * PVM_PAGE_SIZE)
#define GUARD_SIZE 256
#define GUARD_BYTE 0x5a

static uint8_t *arena_page(const struct fixture *f, uint32_t index)
{
	return f->arena + (size_t)index * ARENA_STRIDE;
}

static void check_guard(const struct fixture *f, uint32_t index)
{
	const uint8_t *guard = arena_page(f, index) + PVM_PAGE_SIZE;
	unsigned i;

	for (i = 0; i < GUARD_SIZE; i++)
		cr_assert_eq(guard[i], GUARD_BYTE, "engine page %u: written %u bytes after its end",
			     index, i);
}

static int host_page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	struct fixture *f = host;
	uint32_t index;

	(void)sleep;
	cr_assert_eq(f->lock_depth, 0, "page_alloc under the MMU lock");
	if (f->allocs_left == 0)
		return PVM_ENOMEM;
	if (f->arena_free_count)
		index = f->arena_free[--f->arena_free_count];
	else if (f->arena_used < f->arena_pages)
		index = f->arena_used++;
	else
		return PVM_ENOMEM;
	if (f->allocs_left > 0)
		f->allocs_left--;
	f->arena_live++;
	page->va = arena_page(f, index);
	page->pa = pvm_hpa(FIXTURE_TABLE_BASE + (uint64_t)index * ARENA_STRIDE);
	memset(page->va, 0, PVM_PAGE_SIZE);
	memset((uint8_t *)page->va + PVM_PAGE_SIZE, GUARD_BYTE, GUARD_SIZE);
	return PVM_OK;
}

static void host_page_free(void *host, struct pvm_host_page page)
{
	struct fixture *f = host;
	uint32_t index = (uint32_t)((page.pa.v - FIXTURE_TABLE_BASE) / ARENA_STRIDE);

	cr_assert_lt(index, f->arena_used, "page_free of a page that was never given out");
	cr_assert_eq(page.va, arena_page(f, index));
	check_guard(f, index);
	memset(page.va, 0xa5, PVM_PAGE_SIZE);
	f->arena_free[f->arena_free_count++] = index;
	f->arena_live--;
}

static void *host_page_va(void *host, pvm_hpa_t pa)
{
	struct fixture *f = host;

	cr_assert(pa.v >= FIXTURE_TABLE_BASE &&
		  pa.v < FIXTURE_TABLE_BASE + (uint64_t)f->arena_used * ARENA_STRIDE,
		  "page_va of %#lx, which is no engine page", (unsigned long)pa.v);
	return f->arena + (pa.v - FIXTURE_TABLE_BASE);
}

static bool is_memory(const struct fixture *f, uint64_t gfn)
{
	return gfn < f->memory_size >> PVM_PAGE_SHIFT && !(gfn >= f->hole_start && gfn < f->hole_end);
}

static int host_gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			     struct pvm_frame *frame)
{
	struct fixture *f = host;
	unsigned level;

	(void)write;
	if (!is_memory(f, gfn.v))
		return PVM_ENOENT;
	if (f->frames_would_block && sleep == PVM_NO_SLEEP)
		return PVM_EAGAIN;
	frame->pa = pvm_hpa(FIXTURE_HPA_BASE + (gfn.v << PVM_PAGE_SHIFT));
	frame->writable = !f->memory_read_only;
	frame->max_level = 1;
	for (level = 2; level <= f->max_level; level++) {
		uint64_t pages = PVM_LEVEL_SIZE(level) >> PVM_PAGE_SHIFT;
		uint64_t first = gfn.v & ~(pages - 1);

		if (first + pages > f->memory_size >> PVM_PAGE_SHIFT)
			break;
		if (f->hole_start < first + pages && f->hole_end > first)
			break;
		frame->max_level = (uint8_t)level;
	}
	return PVM_OK;
}

static void *host_gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	struct fixture *f = host;

	if (!is_memory(f, gfn.v) || (write && f->memory_read_only))
		return NULL;
	return f->memory + (gfn.v << PVM_PAGE_SHIFT);
}

static int host_pin(void *host, pvm_gfn_t gfn, void **va)
{
	struct fixture *f = host;

	*va = host_gfn_to_va(host, gfn, true);
	if (!*va)
		return PVM_EFAULT;
	f->pins++;
	return PVM_OK;
}

static void host_unpin(void *host, pvm_gfn_t gfn)
{
	struct fixture *f = host;

	(void)gfn;
	cr_assert_gt(f->pins, 0, "unpin without pin");
	f->pins--;
}

static void host_tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	struct fixture *f = host;

	if (f->flush_count < FIXTURE_MAX_FLUSHES)
		f->flushes[f->flush_count++] = *flush;
}

static void host_lock(void *host)
{
	struct fixture *f = host;

	cr_assert_eq(f->lock_depth, 0, "the MMU lock is not recursive");
	f->lock_depth++;
}

static void host_unlock(void *host)
{
	struct fixture *f = host;

	cr_assert_eq(f->lock_depth, 1, "unlock without lock");
	f->lock_depth--;
}

static void host_trace(void *host, const struct pvm_trace_record *record)
{
	struct fixture *f = host;

	if (f->record_count < FIXTURE_MAX_RECORDS)
		f->records[f->record_count++] = *record;
}

struct pvm_vm_config fixture_config(void)
{
	return (struct pvm_vm_config){
		.abi = PVM_ABI_DUAL_CR3,
		.host_nx = true,
		.host_pke = true,
		.host_umip = true,
		.host_osxsave = true,
		.host_page1g = true,
		.host_maxphyaddr = 46,
		.guest_maxphyaddr = 40,
		.user32_cs = 0x23,
		.user_ds = 0x2b,
		.user_cs = 0x33,
		.cpunode_sel = 0x7b,
		.tls_index = 12,
		.kernel_cs = 0x10,
		.kernel_ds = 0x18,
		.range = { 256, 510, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE },
		.pvm_features = 0,
	};
}

void fixture_init_config(struct fixture *f, const struct pvm_vm_config *config, uint64_t memory_size,
			 unsigned vcpus)
{
	unsigned i;

	memset(f, 0, sizeof(*f));
	f->ops = (struct pvm_host_ops){
		.page_alloc = host_page_alloc,
		.page_free = host_page_free,
		.page_va = host_page_va,
		.gfn_to_frame = host_gfn_to_frame,
		.gfn_to_va = host_gfn_to_va,
		.pin = host_pin,
		.unpin = host_unpin,
		.tlb_flush = host_tlb_flush,
		.mmu_lock = host_lock,
		.mmu_unlock = host_unlock,
		.trace = host_trace,
	};
	f->memory_size = memory_size;
	f->memory = aligned_alloc(PVM_PAGE_SIZE, memory_size);
	f->arena_pages = ARENA_PAGES;
	f->arena = aligned_alloc(PVM_PAGE_SIZE, (size_t)ARENA_PAGES * ARENA_STRIDE);
	f->arena_free = calloc(ARENA_PAGES, sizeof(*f->arena_free));
	cr_assert(f->memory && f->arena && f->arena_free);
	memset(f->memory, 0, memory_size);
	f->allocs_left = -1;
	f->max_level = 1;
	f->next_table = memory_size / 2;
	f->vcpus = vcpus;
	cr_assert_eq(pvm_vm_init(&f->vm, config, &f->ops, f), PVM_OK);
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
	cr_assert_eq(f->arena_live, 0, "%u engine pages leaked", f->arena_live);
	cr_assert_eq(f->pins, 0, "%u pinned frames leaked", f->pins);
	cr_assert_eq(f->lock_depth, 0);
	free(f->memory);
	free(f->arena);
	free(f->arena_free);
}

uint64_t fixture_new_table(struct fixture *f)
{
	uint64_t gpa = f->next_table;

	cr_assert_lt(gpa, f->memory_size, "the fixture ran out of guest table pages");
	f->next_table += PVM_PAGE_SIZE;
	memset(f->memory + gpa, 0, PVM_PAGE_SIZE);
	return gpa;
}

uint64_t *fixture_entry(struct fixture *f, uint64_t cr3, unsigned levels, uint64_t gva, unsigned level)
{
	uint64_t table = cr3 & PVM_CR3_ADDR_MASK;
	unsigned l;

	for (l = levels; l > level; l--) {
		uint64_t entry = ((uint64_t *)(f->memory + table))[PVM_LEVEL_INDEX(gva, l)];

		if (!(entry & PVM_PTE_P) || (l <= 3 && (entry & PVM_PTE_PS)))
			return NULL;
		table = entry & PVM_PTE_ADDR_MASK;
	}
	return (uint64_t *)(f->memory + table) + PVM_LEVEL_INDEX(gva, level);
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

	for (gva = 0; gva < f->memory_size; gva += PVM_LEVEL_SIZE(2)) {
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
	vcpu->pvcs->event_flags = PVM_EVENT_FLAGS_IF;
}

const struct pvm_trace_record *fixture_find_record(const struct fixture *f, enum pvm_trace_kind kind)
{
	unsigned i;

	for (i = 0; i < f->record_count; i++)
		if (f->records[i].kind == kind)
			return &f->records[i];
	return NULL;
}
