/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The model's CPU by itself, on tables written by hand: that it honours what
 * hardware honours, so that what the engine's tables say is what happens.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

#define TABLE_BASE	(1ull << 45)
#define FRAME_BASE	(1ull << 44)
#define TABLES		16
#define FRAMES		1024
#define RIGHTS		(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U)

struct machine {
	uint64_t table[TABLES][512] __attribute__((aligned(4096)));
	unsigned tables;
	uint8_t *frames;
	struct pvm_vm_config config;
	struct model_cpu cpu;
	struct model_fault fault;
	uint64_t value;
};

static uint64_t *table_at(void *owner, uint64_t pa)
{
	struct machine *b = owner;
	uint64_t index = (pa - TABLE_BASE) / PVM_PAGE_SIZE;

	return index < b->tables ? b->table[index] : NULL;
}

static uint8_t *frame_at(void *owner, uint64_t pa)
{
	struct machine *b = owner;

	return pa - FRAME_BASE < FRAMES * PVM_PAGE_SIZE ? b->frames + (pa - FRAME_BASE) : NULL;
}

static uint64_t new_table(struct machine *b)
{
	cr_assert_lt(b->tables, TABLES);
	return TABLE_BASE + PVM_PAGE_SIZE * b->tables++;
}

/* Root is table 0. */
static struct machine *machine(bool la57)
{
	struct machine *b = aligned_alloc(4096, (sizeof(*b) + 4095) & ~4095ul);
	struct model_memory memory = { table_at, frame_at, b };

	memset(b, 0, sizeof(*b));
	b->frames = calloc(FRAMES, PVM_PAGE_SIZE);
	b->config = (struct pvm_vm_config){ .host_la57 = la57, .host_nx = true, .host_pke = true,
					    .host_page1g = true, .host_maxphyaddr = 46 };
	model_cpu_init(&b->cpu, &b->config, &memory);
	new_table(b);
	return b;
}

static void end(struct machine *b)
{
	model_cpu_destroy(&b->cpu);
	free(b->frames);
	free(b);
}

static uint64_t *slot(struct machine *b, uint64_t gva, unsigned level)
{
	uint64_t table = TABLE_BASE;
	unsigned l;

	for (l = b->config.host_la57 ? 5 : 4; l > level; l--) {
		uint64_t *entry = &table_at(b, table)[PVM_LEVEL_INDEX(gva, l)];

		if (!*entry)
			*entry = new_table(b) | RIGHTS;
		table = *entry & PVM_PTE_ADDR_MASK;
	}
	return &table_at(b, table)[PVM_LEVEL_INDEX(gva, level)];
}

static uint64_t *map(struct machine *b, uint64_t gva, unsigned frame, uint64_t flags)
{
	uint64_t *entry = slot(b, gva, 1);

	*entry = (FRAME_BASE + frame * PVM_PAGE_SIZE) | flags;
	return entry;
}

static enum model_result go(struct machine *b, uint64_t gva, enum model_kind kind, uint32_t pkru)
{
	return model_cpu_access(&b->cpu, TABLE_BASE, pkru, gva, kind, kind == MODEL_EXEC ? 1 : 8,
				&b->value, &b->fault);
}

static void faults(struct machine *b, uint64_t gva, enum model_kind kind, uint32_t code)
{
	cr_assert_eq(go(b, gva, kind, 0), MODEL_FAULT);
	cr_assert_eq(b->fault.vector, PVM_VEC_PF);
	cr_assert_eq(b->fault.error_code, code, "code %#x, not %#x", b->fault.error_code, code);
	cr_assert_eq(b->fault.gva, gva);
}

Test(model_cpu, a_mapped_page_is_read_and_written)
{
	struct machine *b = machine(false);

	map(b, 0x1000, 3, RIGHTS);
	b->value = 0x1122334455667788;
	cr_assert_eq(go(b, 0x1010, MODEL_WRITE, 0), MODEL_OK);
	b->value = 0;
	cr_assert_eq(go(b, 0x1010, MODEL_READ, 0), MODEL_OK);
	cr_assert_eq(b->value, 0x1122334455667788);
	cr_assert_eq(b->frames[3 * PVM_PAGE_SIZE + 0x10], 0x88);
	end(b);
}

Test(model_cpu, an_absent_entry_at_each_level_faults_not_present)
{
	unsigned level;

	for (level = 1; level <= 5; level++) {
		struct machine *b = machine(true);

		map(b, 0x1000, 3, RIGHTS);
		*slot(b, 0x1000, level) &= ~PVM_PTE_P;
		faults(b, 0x1000, MODEL_WRITE, PVM_PF_U | PVM_PF_W);
		end(b);
	}
}

Test(model_cpu, write_protection_at_each_level_faults)
{
	unsigned level;

	for (level = 1; level <= 5; level++) {
		struct machine *b = machine(true);

		map(b, 0x1000, 3, RIGHTS);
		*slot(b, 0x1000, level) &= ~PVM_PTE_W;
		cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
		faults(b, 0x1000, MODEL_WRITE, PVM_PF_P | PVM_PF_U | PVM_PF_W);
		end(b);
	}
}

Test(model_cpu, M1_an_entry_without_u_at_any_level_is_out_of_reach)
{
	unsigned level;

	for (level = 1; level <= 4; level++) {
		struct machine *b = machine(false);

		map(b, 0x1000, 3, RIGHTS);
		*slot(b, 0x1000, level) &= ~PVM_PTE_U;
		faults(b, 0x1000, MODEL_READ, PVM_PF_P | PVM_PF_U);
		end(b);
	}
}

Test(model_cpu, nx_at_each_level_stops_fetches_only)
{
	unsigned level;

	for (level = 1; level <= 4; level++) {
		struct machine *b = machine(false);

		map(b, 0x1000, 3, RIGHTS);
		*slot(b, 0x1000, level) |= PVM_PTE_NX;
		cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
		faults(b, 0x1000, MODEL_EXEC, PVM_PF_P | PVM_PF_U | PVM_PF_I);
		end(b);
	}
}

Test(model_cpu, nx_is_reserved_and_fetches_are_unmarked_without_nxe)
{
	struct machine *b = machine(false);

	b->config.host_nx = false;
	map(b, 0x1000, 3, RIGHTS | PVM_PTE_NX);
	faults(b, 0x1000, MODEL_EXEC, PVM_PF_P | PVM_PF_U | PVM_PF_RSVD);
	end(b);
}

Test(model_cpu, reserved_bits_fault_at_each_level)
{
	static const struct {
		unsigned level;
		uint64_t bits;
	} cases[] = {
		{ 1, 1ull << 46 }, { 2, 1ull << 51 }, { 4, PVM_PTE_PS }, { 5, PVM_PTE_PS },
		{ 2, PVM_PTE_PS | 1ull << 13 }, { 3, PVM_PTE_PS | 1ull << 29 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct machine *b = machine(true);

		map(b, 0x1000, 3, RIGHTS);
		*slot(b, 0x1000, cases[i].level) |= cases[i].bits;
		faults(b, 0x1000, MODEL_READ, PVM_PF_P | PVM_PF_U | PVM_PF_RSVD);
		end(b);
	}
}

Test(model_cpu, a_gigabyte_page_is_reserved_where_the_cpu_has_none)
{
	struct machine *b = machine(false);

	*slot(b, 0, 3) = FRAME_BASE | RIGHTS | PVM_PTE_PS;
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
	model_cpu_flush(&b->cpu, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
	b->config.host_page1g = false;
	faults(b, 0x1000, MODEL_READ, PVM_PF_P | PVM_PF_U | PVM_PF_RSVD);
	end(b);
}

Test(model_cpu, large_pages_reach_every_byte_of_theirs)
{
	struct machine *b = machine(false);

	*slot(b, 0x200000, 2) = FRAME_BASE | RIGHTS | PVM_PTE_PS | PVM_PTE_PAT_LARGE;
	b->frames[0x1ff008] = 7;
	cr_assert_eq(go(b, 0x3ff008, MODEL_READ, 0), MODEL_OK);
	cr_assert_eq(b->value, 7);
	end(b);
}

Test(model_cpu, accessed_is_set_at_every_level_and_dirty_by_writes_only)
{
	struct machine *b = machine(false);
	unsigned level;

	map(b, 0x1000, 3, RIGHTS);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
	for (level = 1; level <= 4; level++)
		cr_assert(*slot(b, 0x1000, level) & PVM_PTE_A);
	cr_assert_not(*slot(b, 0x1000, 1) & PVM_PTE_D);
	cr_assert_eq(go(b, 0x1000, MODEL_WRITE, 0), MODEL_OK);
	cr_assert(*slot(b, 0x1000, 1) & PVM_PTE_D);
	cr_assert_not(*slot(b, 0x1000, 2) & PVM_PTE_D);
	end(b);
}

Test(model_cpu, a_refused_access_sets_neither_accessed_nor_dirty_in_the_leaf)
{
	struct machine *b = machine(false);
	uint64_t *leaf = map(b, 0x1000, 3, PVM_PTE_P | PVM_PTE_U);

	faults(b, 0x1000, MODEL_WRITE, PVM_PF_P | PVM_PF_U | PVM_PF_W);
	cr_assert_not(*leaf & (PVM_PTE_A | PVM_PTE_D));
	end(b);
}

Test(model_cpu, keys_refuse_data_but_not_fetches)
{
	struct machine *b = machine(false);
	uint64_t key5 = 5ull << PVM_PTE_PK_SHIFT;

	map(b, 0x1000, 3, RIGHTS | key5);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 1u << 10), MODEL_FAULT);
	cr_assert_eq(b->fault.error_code, PVM_PF_P | PVM_PF_U | PVM_PF_PK);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 2u << 10), MODEL_OK);
	cr_assert_eq(go(b, 0x1000, MODEL_WRITE, 2u << 10), MODEL_FAULT);
	cr_assert_eq(b->fault.error_code, PVM_PF_P | PVM_PF_U | PVM_PF_W | PVM_PF_PK);
	cr_assert_eq(go(b, 0x1000, MODEL_EXEC, 3u << 10), MODEL_OK);
	b->config.host_pke = false;
	cr_assert_eq(go(b, 0x1000, MODEL_WRITE, 3u << 10), MODEL_OK);
	end(b);
}

Test(model_cpu, addresses_beyond_the_cpus_width_are_gp)
{
	struct machine *b = machine(false), *b5 = machine(true);

	cr_assert_eq(go(b, 1ull << 47, MODEL_READ, 0), MODEL_FAULT);
	cr_assert_eq(b->fault.vector, PVM_VEC_GP);
	cr_assert_eq(go(b5, 1ull << 47, MODEL_READ, 0), MODEL_FAULT);
	cr_assert_eq(b5->fault.vector, PVM_VEC_PF);
	cr_assert_eq(go(b5, 1ull << 56, MODEL_READ, 0), MODEL_FAULT);
	cr_assert_eq(b5->fault.vector, PVM_VEC_GP);
	end(b);
	end(b5);
}

Test(model_cpu, an_access_across_pages_checks_both_before_it_writes)
{
	struct machine *b = machine(false);

	map(b, 0x1000, 3, RIGHTS);
	map(b, 0x2000, 7, PVM_PTE_P | PVM_PTE_U);
	b->value = ~0ull;
	cr_assert_eq(go(b, 0x1ffc, MODEL_WRITE, 0), MODEL_FAULT);
	cr_assert_eq(b->fault.gva, 0x2000);
	cr_assert_eq(b->frames[3 * PVM_PAGE_SIZE + 0xffc], 0);
	map(b, 0x2000, 7, RIGHTS);
	cr_assert_eq(go(b, 0x1ffc, MODEL_WRITE, 0), MODEL_OK);
	cr_assert_eq(b->frames[3 * PVM_PAGE_SIZE + 0xffc], 0xff);
	cr_assert_eq(b->frames[7 * PVM_PAGE_SIZE + 3], 0xff);
	cr_assert_eq(b->frames[7 * PVM_PAGE_SIZE + 4], 0);
	end(b);
}

/* ------------------------------------------------------------------------
 * What is remembered.
 */

static struct pvm_tlb_flush flush_gva(uint64_t root, uint64_t gva, unsigned level)
{
	return (struct pvm_tlb_flush){ .scope = PVM_FLUSH_GVA, .root = { root }, .gva = { gva },
				       .level = (uint8_t)level };
}

Test(model_tlb, a_translation_stays_until_it_is_flushed)
{
	struct machine *b = machine(false);
	struct pvm_tlb_flush other = flush_gva(TABLE_BASE, 0x2000, 1);
	struct pvm_tlb_flush flush = flush_gva(TABLE_BASE, 0x1000, 1);

	map(b, 0x1000, 3, RIGHTS);
	b->frames[3 * PVM_PAGE_SIZE] = 3;
	b->frames[4 * PVM_PAGE_SIZE] = 4;
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
	map(b, 0x1000, 4, RIGHTS);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
	cr_assert_eq(b->value, 3, "stale, as nothing was flushed");
	model_cpu_flush(&b->cpu, &other);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
	cr_assert_eq(b->value, 3, "another address was flushed");
	model_cpu_flush(&b->cpu, &flush);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
	cr_assert_eq(b->value, 4);
	end(b);
}

Test(model_tlb, a_flush_of_a_root_or_of_all_roots_takes_what_it_names)
{
	struct machine *b = machine(false);
	struct pvm_tlb_flush other = { .scope = PVM_FLUSH_ROOT, .root = { TABLE_BASE + 0x1000 } };
	struct pvm_tlb_flush root = { .scope = PVM_FLUSH_ROOT, .root = { TABLE_BASE } };
	struct pvm_tlb_flush every = flush_gva(PVM_INVALID_ADDR, 0x1000, 1);

	map(b, 0x1000, 3, RIGHTS);
	go(b, 0x1000, MODEL_READ, 0);
	model_cpu_flush(&b->cpu, &other);
	cr_assert(model_cpu_remembers(&b->cpu, TABLE_BASE, 0x1000));
	model_cpu_flush(&b->cpu, &root);
	cr_assert_not(model_cpu_remembers(&b->cpu, TABLE_BASE, 0x1000));
	go(b, 0x1000, MODEL_READ, 0);
	model_cpu_flush(&b->cpu, &every);
	cr_assert_not(model_cpu_remembers(&b->cpu, TABLE_BASE, 0x1000));
	end(b);
}

Test(model_tlb, a_flush_of_a_large_page_takes_the_small_ones_inside_and_the_other_way_round)
{
	struct machine *b = machine(false);
	struct pvm_tlb_flush large = flush_gva(TABLE_BASE, 0x200000, 2);
	struct pvm_tlb_flush small = flush_gva(TABLE_BASE, 0x405000, 1);

	map(b, 0x201000, 3, RIGHTS);
	*slot(b, 0x400000, 2) = FRAME_BASE | RIGHTS | PVM_PTE_PS;
	go(b, 0x201000, MODEL_READ, 0);
	go(b, 0x400000, MODEL_READ, 0);
	model_cpu_flush(&b->cpu, &large);
	cr_assert_not(model_cpu_remembers(&b->cpu, TABLE_BASE, 0x201000));
	cr_assert(model_cpu_remembers(&b->cpu, TABLE_BASE, 0x400000));
	model_cpu_flush(&b->cpu, &small);
	cr_assert_not(model_cpu_remembers(&b->cpu, TABLE_BASE, 0x400000));
	end(b);
}

Test(model_tlb, a_non_leaf_entry_is_remembered_until_a_flush)
{
	struct machine *b = machine(false);
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ALL };
	uint64_t old_table, *pd;

	map(b, 0x1000, 3, RIGHTS);
	map(b, 0x2000, 4, RIGHTS);
	go(b, 0x1000, MODEL_READ, 0);
	pd = slot(b, 0, 2);
	old_table = *pd;
	*pd = 0;
	cr_assert_eq(go(b, 0x2000, MODEL_READ, 0), MODEL_OK, "through the remembered entry");
	model_cpu_flush(&b->cpu, &flush);
	cr_assert_eq(go(b, 0x2000, MODEL_READ, 0), MODEL_FAULT);
	*pd = old_table;
	end(b);
}

Test(model_tlb, a_page_fault_forgets_its_own_address)
{
	struct machine *b = machine(false);
	uint64_t *leaf = map(b, 0x1000, 3, PVM_PTE_P | PVM_PTE_U);

	go(b, 0x1000, MODEL_READ, 0);
	*leaf |= PVM_PTE_W;
	cr_assert_eq(go(b, 0x1000, MODEL_WRITE, 0), MODEL_FAULT, "the remembered rights refuse");
	cr_assert_eq(go(b, 0x1000, MODEL_WRITE, 0), MODEL_OK);
	end(b);
}

Test(model_tlb, a_set_that_is_full_gives_up_its_oldest_entry)
{
	struct machine *b = machine(false);
	uint64_t stride = MODEL_TLB_SETS * PVM_PAGE_SIZE;
	unsigned i;

	for (i = 0; i <= MODEL_TLB_WAYS; i++)
		*slot(b, i * stride, 1) = FRAME_BASE | RIGHTS;
	for (i = 0; i <= MODEL_TLB_WAYS; i++)
		cr_assert_eq(go(b, i * stride, MODEL_READ, 0), MODEL_OK);
	cr_assert_not(model_cpu_remembers(&b->cpu, TABLE_BASE, 0));
	for (i = 1; i <= MODEL_TLB_WAYS; i++)
		cr_assert(model_cpu_remembers(&b->cpu, TABLE_BASE, i * stride));
	end(b);
}

Test(model_tlb, a_dead_root_is_not_entered_again_before_it_is_loaded)
{
	struct machine *b = machine(false);
	struct pvm_tlb_flush dying = { .scope = PVM_FLUSH_ROOT, .root = { TABLE_BASE },
				       .root_dying = true };

	map(b, 0x1000, 3, RIGHTS);
	model_cpu_flush(&b->cpu, &dying);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_RELOAD);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_OK);
	end(b);
}

Test(model_cpu, M2_an_entry_that_leaves_guest_memory_is_reported)
{
	struct machine *b = machine(false);

	map(b, 0x1000, FRAMES, RIGHTS);
	cr_assert_eq(go(b, 0x1000, MODEL_READ, 0), MODEL_BROKEN);
	*slot(b, 0x2000, 2) = (TABLE_BASE + TABLES * PVM_PAGE_SIZE) | RIGHTS;
	model_cpu_flush(&b->cpu, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
	cr_assert_eq(go(b, 0x2000, MODEL_READ, 0), MODEL_BROKEN);
	end(b);
}
