/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The tables of a random guest: few, all linked to each other, and the entries and
 * addresses that reach them. Owns where they lie.
 */
#include "guest.h"

#define MAP_TABLE	16	/* frames 16..19 map all memory; the guest's own map */

uint64_t guest_table_gpa(unsigned level, unsigned i)
{
	return (uint64_t)(FIRST_TABLE + (level - 1) * TABLES_PER_LEVEL + i) * 4096;
}

unsigned guest_index_at(struct guest *g, unsigned level)
{
	static const uint16_t index[6][5] = {
		[1] = { 0, 1, 2, 3, 511 },
		[2] = { 0, 1, 2, 3, 511 },
		[3] = { 0, 0, 1, 1, 511 },
		[4] = { 0, MAP_SLOT, 260, 256, 499 },
		[5] = { 0, 0, 300, 511, 1 },
	};

	return index[level][guest_pick(g, 5)];
}

uint64_t guest_random_gva(struct guest *g)
{
	uint64_t gva = 0;
	unsigned level, top = guest_vcpu(g)->cr4 & PVM_CR4_LA57 ? 5 : 4;

	if (guest_chance(g, 2))
		return machine_random(&g->machine);	/* most likely not even canonical */
	for (level = 1; level <= top; level++)
		gva |= (uint64_t)guest_index_at(g, level) << PVM_LEVEL_SHIFT(level);
	if (guest_chance(g, 1))
		gva = (gva & 0x7fffffffff) | machine_random(&g->machine) << 39;
	else if (gva >> (12 + 9 * top - 1))
		gva |= ~0ull << (12 + 9 * top);
	return gva | (guest_pick(g, 512) * 8);
}

static uint64_t random_frame(struct guest *g)
{
	switch (guest_pick(g, 10)) {
	case 0:
		return guest_pick(g, MACHINE_FRAMES);
	case 1:
	case 2:
		return FIRST_TABLE + guest_pick(g, 5 * TABLES_PER_LEVEL);
	case 3:
		return guest_chance(g, 20) ? MACHINE_FRAMES + guest_pick(g, 100) : guest_pick(g, 16);
	default:
		return guest_pick(g, 16);
	}
}

uint64_t guest_random_entry(struct guest *g, unsigned level)
{
	uint64_t entry = PVM_PTE_P;

	if (guest_chance(g, 5))
		return guest_chance(g, 50) ? 0 : machine_random(&g->machine) & ~PVM_PTE_P;
	if (guest_chance(g, 1))
		return machine_random(&g->machine);
	entry |= guest_chance(g, 85) ? PVM_PTE_W : 0;
	entry |= guest_chance(g, g->machine.config.single_cr3 ? 80 : 50) ? PVM_PTE_U : 0;
	entry |= guest_chance(g, 60) ? PVM_PTE_A : 0;
	entry |= guest_chance(g, 50) ? PVM_PTE_D : 0;
	entry |= guest_chance(g, 5) ? PVM_PTE_NX : 0;
	entry |= guest_chance(g, 8) ? guest_pick(g, 16) << PVM_PTE_PK_SHIFT : 0;
	entry |= guest_chance(g, 10) ? machine_random(&g->machine) & 0x07f0000000000f18 : 0;
	entry |= guest_chance(g, 1) ? 1ull << (40 + guest_pick(g, 12)) : 0;
	if (level >= 4)
		return entry | (guest_chance(g, 1) ? PVM_PTE_PS : 0) |
			guest_table_gpa(level - 1, (unsigned)guest_pick(g, TABLES_PER_LEVEL));
	if (level > 1 && guest_chance(g, 25)) {
		entry |= PVM_PTE_PS | (guest_chance(g, 5) ? PVM_PTE_PAT_LARGE : 0);
		entry |= guest_chance(g, 3) ? 0x6000 : 0;
		return entry | (level == 2 ? guest_pick(g, 6) << 21 : guest_pick(g, 8) == 7 ? 1ull << 30 : 0);
	}
	if (level == 1 || guest_chance(g, 4))
		return entry | random_frame(g) << 12;
	return entry | guest_table_gpa(level - 1, (unsigned)guest_pick(g, TABLES_PER_LEVEL));
}

/* The guest's own map of all memory, as kernels have one: 2 MiB pages. */
static void make_map(struct guest *g)
{
	unsigned i;

	for (i = 0; i < MACHINE_FRAMES / 512; i++)
		guest_poke(g, (MAP_TABLE + 1) * 4096 + i * 8,
		     (uint64_t)i << 21 | PVM_PTE_P | PVM_PTE_W | PVM_PTE_PS);
	guest_poke(g, MAP_TABLE * 4096, (MAP_TABLE + 1) * 4096 | PVM_PTE_P | PVM_PTE_W);
	for (i = 0; i < ROOTS; i++) {
		guest_poke(g, guest_table_gpa(4, i) + MAP_SLOT * 8, MAP_TABLE * 4096 | PVM_PTE_P | PVM_PTE_W);
		guest_poke(g, guest_table_gpa(5, i),
			   guest_table_gpa(4, i) | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	}
}

void guest_make_tables(struct guest *g)
{
	unsigned level, i, k;

	for (level = 1; level <= 5; level++)
		for (i = 0; i < TABLES_PER_LEVEL; i++)
			for (k = 0; k < 20; k++)
				guest_poke(g, guest_table_gpa(level, i) + 8 * guest_index_at(g, level),
				     guest_random_entry(g, level));
	make_map(g);
}

void guest_repair_map(struct guest *g)
{
	unsigned n;

	make_map(g);
	for (n = FIRST_TABLE; n < FIRST_TABLE + 5 * TABLES_PER_LEVEL; n++)
		pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(n), PVM_MAY_SLEEP);
	pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(MAP_TABLE), PVM_MAY_SLEEP);
	pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(MAP_TABLE + 1), PVM_MAY_SLEEP);
}

uint64_t guest_random_cr3(struct guest *g)
{
	unsigned level = guest_vcpu(g)->cr4 & PVM_CR4_LA57 ? 5 : 4;

	if (guest_chance(g, 3))
		return FIRST_TABLE * 4096 + guest_pick(g, 5 * TABLES_PER_LEVEL) * 4096;
	return guest_table_gpa(level, (unsigned)guest_pick(g, ROOTS)) |
		(guest_chance(g, 20) ? guest_pick(g, 4096) : 0);
}
