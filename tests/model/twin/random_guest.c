/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Random guests on two MMUs at once: the engine's shadow MMU, under a machine
 * whose TLBs forget nothing by themselves, and the horrible one. They must agree
 * on every access, within what a TLB may remember.
 *
 * twin-random [--seed=N] [--accesses=N] [--guest=N] [--forget=N]
 *
 * --guest runs one guest of a seed again; --forget loses N per mille of all
 * flushes and then expects to be found out.
 */
#include "horrible_mmu.h"
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLES_PER_LEVEL 6
#define ROOTS		4
#define ACCESSES_PER_GUEST 20000
#define FIRST_TABLE	64	/* frames; below: data */
#define MAP_TABLE	16	/* frames 16..19 map all memory; the guest's own map */
#define MAP_SLOT	3	/* top-level slot (below slot 0 of a 5-level guest) */
#define RECENT		32
#define EPOCH_ACCESSES	3000	/* then everything is flushed, so that the past stays short */

struct guest {
	struct machine machine;
	struct horrible_mmu *twin;
	uint64_t seed;
	unsigned n;			/* the CPU that runs now */
	uint64_t gva;			/* of the access in progress */
	uint64_t accesses, writes, stale;
	uint64_t outcome[OUTCOME_STUCK + 1];
	uint64_t recent[RECENT];	/* addresses that were accessed with success */
	bool calm;			/* seldom touches upper levels, and the host is quiet */
	char log[64][160];		/* the last operations */
	unsigned logged;
};

static void note(struct guest *g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(g->log[g->logged++ % 64], sizeof(g->log[0]), format, args);
	va_end(args);
}

static struct horrible_cpu twin_cpu(struct guest *g);

static void disagree(struct guest *g, const char *what)
{
	struct horrible_cpu cpu = twin_cpu(g);
	unsigned i, first = g->logged > 64 ? g->logged - 64 : 0;

	for (i = first; i < g->logged; i++)
		fprintf(stderr, "  %s\n", g->log[i % 64]);
	horrible_explain(g->twin, g->n, &cpu, g->gva);
	fprintf(stderr, "twin: guest %llu, access %llu: %s\n", (unsigned long long)g->seed,
		(unsigned long long)g->accesses, what);
	exit(1);
}

static uint64_t pick(struct guest *g, uint64_t below)
{
	return machine_random(&g->machine) % below;
}

static bool chance(struct guest *g, unsigned percent)
{
	return machine_chance(&g->machine, percent);
}

static struct pvm_vcpu *vcpu(struct guest *g)
{
	return &g->machine.cpu[g->n].vcpu;
}

static struct horrible_cpu twin_cpu(struct guest *g)
{
	const struct pvm_vcpu *v = vcpu(g);
	struct pvm_linear_range range;

	pvm_linear_range_decode(v->msr.linear_address_range, g->machine.config.la57, &range);
	return (struct horrible_cpu){
		.cr3 = v->cr3,
		.five_levels = v->cr4 & PVM_CR4_LA57,
		.nx = v->efer & PVM_EFER_NXE,
		.pke = v->cr4 & PVM_CR4_PKE,
		.pks = v->cr4 & PVM_CR4_PKS,
		.user_mode = v->user_mode,
		.us = g->machine.config.single_cr3,
		.pkru = v->pkru,
		.maxphyaddr = 40,
		.pml4_start = range.pml4_start,
		.pml4_end = range.pml4_end,
		.pml5_start = range.pml5_start,
		.pml5_end = range.pml5_end,
	};
}

/* The CPU without its own PKRU where the guest has keys off: what the guest's
 * registers say when no CPU is asked. */
static struct horrible_cpu registers_only(struct guest *g)
{
	struct horrible_cpu cpu = twin_cpu(g);

	if (!(cpu.user_mode ? cpu.pke : cpu.pks))
		cpu.pkru = 0;
	return cpu;
}

/* ------------------------------------------------------------------------
 * Random tables.
 */

static uint64_t table_gpa(unsigned level, unsigned i)
{
	return (uint64_t)(FIRST_TABLE + (level - 1) * TABLES_PER_LEVEL + i) * 4096;
}

static unsigned index_at(struct guest *g, unsigned level)
{
	static const uint16_t index[6][5] = {
		[1] = { 0, 1, 2, 3, 511 },
		[2] = { 0, 1, 2, 3, 511 },
		[3] = { 0, 0, 1, 1, 511 },
		[4] = { 0, MAP_SLOT, 260, 256, 499 },
		[5] = { 0, 0, 300, 511, 1 },
	};

	return index[level][pick(g, 5)];
}

static uint64_t random_gva(struct guest *g)
{
	uint64_t gva = 0;
	unsigned level, top = vcpu(g)->cr4 & PVM_CR4_LA57 ? 5 : 4;

	if (chance(g, 2))
		return machine_random(&g->machine);	/* most likely not even canonical */
	for (level = 1; level <= top; level++)
		gva |= (uint64_t)index_at(g, level) << PVM_LEVEL_SHIFT(level);
	if (chance(g, 1))
		gva = (gva & 0x7fffffffff) | machine_random(&g->machine) << 39;
	else if (gva >> (12 + 9 * top - 1))
		gva |= ~0ull << (12 + 9 * top);
	return gva | (pick(g, 512) * 8);
}

static uint64_t random_frame(struct guest *g)
{
	switch (pick(g, 10)) {
	case 0:
		return pick(g, MACHINE_FRAMES);
	case 1:
	case 2:
		return FIRST_TABLE + pick(g, 5 * TABLES_PER_LEVEL);
	case 3:
		return chance(g, 20) ? MACHINE_FRAMES + pick(g, 100) : pick(g, 16);
	default:
		return pick(g, 16);
	}
}

static uint64_t random_entry(struct guest *g, unsigned level)
{
	uint64_t entry = PVM_PTE_P;

	if (chance(g, 5))
		return chance(g, 50) ? 0 : machine_random(&g->machine) & ~PVM_PTE_P;
	if (chance(g, 1))
		return machine_random(&g->machine);
	entry |= chance(g, 85) ? PVM_PTE_W : 0;
	entry |= chance(g, g->machine.config.single_cr3 ? 80 : 50) ? PVM_PTE_U : 0;
	entry |= chance(g, 60) ? PVM_PTE_A : 0;
	entry |= chance(g, 50) ? PVM_PTE_D : 0;
	entry |= chance(g, 5) ? PVM_PTE_NX : 0;
	entry |= chance(g, 8) ? pick(g, 16) << PVM_PTE_PK_SHIFT : 0;
	entry |= chance(g, 10) ? machine_random(&g->machine) & 0x07f0000000000f18 : 0;
	entry |= chance(g, 1) ? 1ull << (40 + pick(g, 12)) : 0;
	if (level >= 4)
		return entry | (chance(g, 1) ? PVM_PTE_PS : 0) |
			table_gpa(level - 1, (unsigned)pick(g, TABLES_PER_LEVEL));
	if (level > 1 && chance(g, 25)) {
		entry |= PVM_PTE_PS | (chance(g, 5) ? PVM_PTE_PAT_LARGE : 0);
		entry |= chance(g, 3) ? 0x6000 : 0;
		return entry | (level == 2 ? pick(g, 6) << 21 : pick(g, 8) == 7 ? 1ull << 30 : 0);
	}
	if (level == 1 || chance(g, 4))
		return entry | random_frame(g) << 12;
	return entry | table_gpa(level - 1, (unsigned)pick(g, TABLES_PER_LEVEL));
}

static void poke(struct guest *g, uint64_t gpa, uint64_t value)
{
	*(uint64_t *)(g->machine.host.memory + gpa) = value;
	horrible_look_at(g->twin, gpa);
}

/* The guest's own map of all memory, as kernels have one: 2 MiB pages. */
static void make_map(struct guest *g)
{
	unsigned i;

	for (i = 0; i < MACHINE_FRAMES / 512; i++)
		poke(g, (MAP_TABLE + 1) * 4096 + i * 8,
		     (uint64_t)i << 21 | PVM_PTE_P | PVM_PTE_W | PVM_PTE_PS);
	poke(g, MAP_TABLE * 4096, (MAP_TABLE + 1) * 4096 | PVM_PTE_P | PVM_PTE_W);
	for (i = 0; i < ROOTS; i++) {
		poke(g, table_gpa(4, i) + MAP_SLOT * 8, MAP_TABLE * 4096 | PVM_PTE_P | PVM_PTE_W);
		poke(g, table_gpa(5, i), table_gpa(4, i) | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U);
	}
}

static void make_tables(struct guest *g)
{
	unsigned level, i, k;

	for (level = 1; level <= 5; level++)
		for (i = 0; i < TABLES_PER_LEVEL; i++)
			for (k = 0; k < 20; k++)
				poke(g, table_gpa(level, i) + 8 * index_at(g, level),
				     random_entry(g, level));
	make_map(g);
}

/* ------------------------------------------------------------------------
 * Accesses.
 */

/* The engine may have set accessed and dirty bits on the way, and nothing else. */
static void see_entries(struct guest *g, const uint64_t *entry, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		uint64_t before = horrible_last_seen(g->twin, entry[i]);
		uint64_t now = *(uint64_t *)(g->machine.host.memory + entry[i]);

		if ((before & ~now) || (now & ~before & ~(PVM_PTE_A | PVM_PTE_D)))
			disagree(g, "the engine changed an entry by more than A and D");
		if ((now & ~before & PVM_PTE_D) && entry[i] != entry[count - 1])
			disagree(g, "the engine set D above the leaf");
		horrible_look_at(g->twin, entry[i]);
	}
}

static void see_bits(void *arg)
{
	struct guest *g = arg;
	struct horrible_cpu cpu = twin_cpu(g);
	uint64_t entry[5];

	see_entries(g, entry, horrible_entries(g->twin, &cpu, g->gva, entry));
}

static const char *judge(struct guest *g, const struct machine_result *result,
			 const struct horrible_cpu *cpu, struct horrible_access access)
{
	struct horrible_answer answer = horrible_walk(g->twin, cpu, access);
	const struct machine *m = &g->machine;
	uint64_t gfn = result->gpa >> 12;
	struct horrible_cpu registers;

	switch (result->outcome) {
	case OUTCOME_DONE:
		if (gfn >= MACHINE_FRAMES || (gfn >= m->host.hole_start && gfn < m->host.hole_end))
			return "M10: access to memory that the host has taken";
		if (access.write && m->write_protected[gfn])
			return "M10: write to memory that the host has write-protected";
		if (answer.allowed && answer.gpa == result->gpa)
			break;
		g->stale++;
		return horrible_may(g->twin, g->n, cpu, access, result->gpa) ? NULL :
			"M9: a translation that no TLB may hold any more";
	case OUTCOME_INJECT:
		if (answer.allowed)
			return "a fault that the guest's tables do not give";
		if ((result->fault.vector == PVM_VEC_GP) != answer.gp)
			return "the wrong exception";
		if (!answer.gp && result->fault.error_code != answer.error_code)
			return "the wrong error code";
		return NULL;
	case OUTCOME_MMIO:
		registers = registers_only(g);
		answer = horrible_walk(g->twin, &registers, access);
		if (!answer.allowed || answer.gpa != result->fault.gpa.v)
			return "MMIO that the guest's tables do not give";
		gfn = answer.gpa >> 12;
		if (gfn < MACHINE_FRAMES && !(gfn >= m->host.hole_start && gfn < m->host.hole_end))
			return "MMIO where memory is";
		return NULL;
	case OUTCOME_BAD_CR3:
		gfn = (cpu->cr3 & PVM_CR3_ADDR_MASK) >> 12;
		return gfn >= m->host.hole_start && gfn < m->host.hole_end ? NULL : "CR3 is in memory";
	case OUTCOME_ERROR:
		return "the engine failed";
	case OUTCOME_STUCK:
		return "the same fault again and again";
	}
	/* Today's translation: its bits must be set, or have been when it was cached. */
	return horrible_may(g->twin, g->n, cpu, access, result->gpa) ? NULL :
		"an access through entries without their A or D bits";
}

static enum outcome access_at(struct guest *g, uint64_t gva, bool write, bool exec, uint64_t value)
{
	struct horrible_cpu cpu = twin_cpu(g);
	struct horrible_access access = { .gva = gva, .write = write, .exec = exec };
	struct machine_result result;
	const char *wrong;

	horrible_tick(g->twin);
	g->gva = gva;
	g->accesses++;
	result = machine_access(&g->machine, g->n, gva, write, exec, see_bits, g);
	note(g, "cpu %u %s cr3 %llx %s %llx -> %u gpa %llx code %x, value %llx", g->n,
	     cpu.user_mode ? "user" : "supervisor", (unsigned long long)cpu.cr3,
	     write ? "write" : exec ? "exec" : "read", (unsigned long long)gva, result.outcome,
	     (unsigned long long)result.gpa, result.fault.error_code, (unsigned long long)value);
	wrong = judge(g, &result, &cpu, access);
	if (wrong)
		disagree(g, wrong);
	g->outcome[result.outcome]++;
	if (write && result.outcome == OUTCOME_DONE) {
		horrible_tick(g->twin);
		poke(g, result.gpa & ~7ull, value);
	}
	return result.outcome;
}

static void random_access(struct guest *g)
{
	unsigned kind = (unsigned)pick(g, 10);
	uint64_t gva = chance(g, 60) ? g->recent[pick(g, RECENT)] : random_gva(g);

	if (access_at(g, gva, kind < 4, kind == 4, pick(g, 100)) == OUTCOME_DONE)
		g->recent[pick(g, RECENT)] = gva;
}

/* An entry to write: of any table, or on the way to an address in use. */
static uint64_t random_entry_gpa(struct guest *g, unsigned *level)
{
	struct horrible_cpu cpu = twin_cpu(g);
	unsigned count = 0, i;
	uint64_t entry[5];

	if (chance(g, 60))
		count = horrible_entries(g->twin, &cpu, g->recent[pick(g, RECENT)], entry);
	if (count) {
		i = chance(g, g->calm ? 97 : 60) ? count - 1 : (unsigned)pick(g, count);
		*level = (cpu.five_levels ? 5 : 4) - i;
		return entry[i];
	}
	*level = chance(g, g->calm ? 97 : 50) ? 1 : 1 + (unsigned)pick(g, 5);
	return table_gpa(*level, (unsigned)pick(g, TABLES_PER_LEVEL)) + 8 * index_at(g, *level);
}

/* The guest writes one of its own entries, through whatever maps the table. */
static void write_entry(struct guest *g)
{
	unsigned level;
	uint64_t gpa = random_entry_gpa(g, &level), value = random_entry(g, level);
	struct pvm_fault_result fault;
	pvm_gva_t where;

	g->writes++;
	if (chance(g, 20)) {	/* by the engine, as a part of an event */
		struct horrible_cpu cpu = registers_only(g);
		struct horrible_access access = {
			.gva = ((uint64_t)MAP_SLOT << 39) + gpa, .write = true };
		struct horrible_answer answer = horrible_walk(g->twin, &cpu, access);
		uint64_t entry[5];
		unsigned count = horrible_entries(g->twin, &cpu, access.gva, entry);

		horrible_tick(g->twin);
		note(g, "engine writes %llx = %llx", (unsigned long long)gpa, (unsigned long long)value);
		if (pvm_mmu_write(vcpu(g), pvm_gva(access.gva), &value, 8, &fault, &where) == PVM_OK) {
			if (!answer.allowed)
				disagree(g, "pvm_mmu_write wrote what the tables forbid");
			horrible_look_at(g->twin, answer.gpa);
			see_entries(g, entry, count);
		}
		return;
	}
	if (chance(g, 90) &&
	    access_at(g, ((uint64_t)MAP_SLOT << 39) + gpa, true, false, value) == OUTCOME_DONE)
		return;
	if (gpa / 4096 >= g->machine.host.hole_start && gpa / 4096 < g->machine.host.hole_end)
		return;
	horrible_tick(g->twin);
	note(g, "device writes %llx = %llx", (unsigned long long)gpa, (unsigned long long)value);
	poke(g, gpa, value);
	pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(gpa >> 12));
}

/* pvm_mmu_translate() and pvm_mmu_read() see today's tables, no older ones. */
static void ask_engine(struct guest *g)
{
	struct horrible_cpu cpu = registers_only(g);
	unsigned kind = (unsigned)pick(g, 3);
	struct horrible_access access = {
		.gva = random_gva(g), .write = kind == 1, .exec = kind == 2 };
	uint32_t bits = kind == 1 ? PVM_ACCESS_WRITE : kind == 2 ? PVM_ACCESS_EXEC : PVM_ACCESS_READ;
	struct pvm_fault_result result;
	struct horrible_answer answer;

	horrible_tick(g->twin);
	g->gva = access.gva;
	answer = horrible_walk(g->twin, &cpu, access);
	if (pvm_mmu_translate(vcpu(g), pvm_gva(access.gva), bits, chance(g, 30), &result) !=
	    answer.allowed)
		disagree(g, "pvm_mmu_translate: another answer");
	if (answer.allowed ? result.gpa.v != answer.gpa :
	    (result.vector == PVM_VEC_GP) != answer.gp || result.error_code != answer.error_code)
		disagree(g, "pvm_mmu_translate: another address or error code");
	see_bits(g);
}

/* ------------------------------------------------------------------------
 * Everything else that happens to an MMU.
 */

static uint64_t random_cr3(struct guest *g)
{
	unsigned level = vcpu(g)->cr4 & PVM_CR4_LA57 ? 5 : 4;

	if (chance(g, 3))
		return FIRST_TABLE * 4096 + pick(g, 5 * TABLES_PER_LEVEL) * 4096;
	return table_gpa(level, (unsigned)pick(g, ROOTS)) | (chance(g, 20) ? pick(g, 4096) : 0);
}

/* The root table of the mode that the CPU is not in. */
static uint64_t other_cr3(struct guest *g)
{
	return g->machine.config.single_cr3 ? vcpu(g)->cr3 : vcpu(g)->msr.switch_cr3;
}

static void flush(struct guest *g)
{
	struct horrible_cpu cpu = twin_cpu(g);
	struct pvm_vcpu *v = vcpu(g);
	uint64_t gva;

	horrible_tick(g->twin);
	switch (pick(g, 8)) {
	case 0:
		note(g, "cpu %u flush all", g->n);
		pvm_mmu_flush_all(v);
		horrible_flush_all(g->twin, g->n);
		return;
	case 1:
	case 2:
		note(g, "cpu %u flush current", g->n);
		pvm_mmu_flush_current(v);
		horrible_flush_tag(g->twin, g->n, v->cr3);
		horrible_flush_tag(g->twin, g->n, other_cr3(g));
		return;
	case 3:
		gva = random_cr3(g);
		note(g, "cpu %u flush cr3 %llx", g->n, (unsigned long long)gva);
		pvm_mmu_flush_cr3(v, gva);
		horrible_flush_tag(g->twin, g->n, gva);
		return;
	default:
		gva = random_gva(g);
		note(g, "cpu %u invlpg %llx", g->n, (unsigned long long)gva);
		pvm_mmu_invlpg(v, pvm_gva(gva));
		horrible_invlpg(g->twin, g->n, &cpu, v->cr3, gva);
		horrible_invlpg(g->twin, g->n, &cpu, other_cr3(g), gva);
	}
}

static void switch_tables(struct guest *g)
{
	struct pvm_vcpu *v = vcpu(g);
	uint64_t old = v->cr3;

	horrible_tick(g->twin);
	switch (pick(g, 4)) {
	case 0:
		v->cr3 = random_cr3(g);
		pvm_mmu_new_cr3(v);
		if (chance(g, 50)) {
			pvm_mmu_flush_cr3(v, v->cr3);
			horrible_flush_tag(g->twin, g->n, v->cr3);
		}
		break;
	case 1:
		if (g->machine.config.single_cr3)
			break;
		v->msr.switch_cr3 = random_cr3(g);
		pvm_mmu_new_cr3(v);
		break;
	default:
		v->user_mode = !v->user_mode;
		if (g->machine.config.single_cr3)
			break;
		v->cr3 = v->msr.switch_cr3;
		v->msr.switch_cr3 = old;
	}
	note(g, "cpu %u cr3 %llx switch %llx user %d", g->n, (unsigned long long)v->cr3,
	     (unsigned long long)v->msr.switch_cr3, v->user_mode);
}

static void change_controls(struct guest *g)
{
	struct pvm_vcpu *v = vcpu(g);
	struct pvm_linear_range range = g->machine.vm.config.range;

	horrible_tick(g->twin);
	switch (pick(g, 6)) {
	case 0:
		/* With single CR3 it is on as long as SMEP is. */
		v->efer ^= g->machine.config.single_cr3 ? 0 : PVM_EFER_NXE;
		break;
	case 1:
		v->cr4 ^= PVM_CR4_PKE;
		v->cr4 &= v->cr4 & PVM_CR4_PKE ? ~0ul : ~PVM_CR4_PKS;
		break;
	case 2:
		v->cr4 ^= v->cr4 & PVM_CR4_PKE ? PVM_CR4_PKS : 0;
		break;
	case 3:
		if (g->machine.config.la57) {
			v->cr4 ^= PVM_CR4_LA57;
			v->cr3 = random_cr3(g);
			v->msr.switch_cr3 = random_cr3(g);
			pvm_mmu_new_cr3(v);
		}
		break;
	case 4:
		if (chance(g, 50)) {
			range.pml4_start = 258;
			range.pml4_end = chance(g, 50) ? 300 : 500;
		}
		v->msr.linear_address_range = pvm_linear_range_encode(&range);
		break;
	default:
		v->pkru = chance(g, 70) ? 0 : (uint32_t)machine_random(&g->machine) & 0xfffffffc;
	}
	note(g, "cpu %u efer %llx cr4 %llx pkru %x range %llx", g->n, (unsigned long long)v->efer,
	     (unsigned long long)v->cr4, v->pkru, (unsigned long long)v->msr.linear_address_range);
}

static void host_acts(struct guest *g)
{
	uint64_t start = chance(g, 80) ? pick(g, 16) : pick(g, MACHINE_FRAMES - 600);
	uint64_t end = start + 1 + (chance(g, 90) ? pick(g, 3) : pick(g, 600));

	horrible_tick(g->twin);
	switch (pick(g, 8)) {
	case 0:
		note(g, "unmap %llx..%llx", (unsigned long long)start, (unsigned long long)end);
		horrible_set_hole(g->twin, start, end);
		machine_set_hole(&g->machine, start, end);
		if (machine_tlb_reaches(&g->machine, start, end, false))
			disagree(g, "M10: a TLB reaches memory that the host has taken");
		break;
	case 1:
	case 2:
		note(g, "memory is whole");
		horrible_set_hole(g->twin, 0, 0);
		machine_set_hole(&g->machine, 0, 0);
		break;
	case 3:
		note(g, "write-protect %llx..%llx", (unsigned long long)start, (unsigned long long)end);
		machine_write_protect(&g->machine, start, end);
		if (machine_tlb_reaches(&g->machine, start, end, true))
			disagree(g, "M10: a TLB can write to memory that the host has write-protected");
		break;
	case 4:
		note(g, "shrink");
		pvm_mmu_shrink(&g->machine.vm, (uint32_t)pick(g, 40));
		break;
	default:
		g->n = (unsigned)pick(g, g->machine.config.cpus);
		note(g, "cpu %u runs", g->n);
	}
}

static void check(struct guest *g)
{
	const char *wrong = pvm_mmu_check(&g->machine.vm);
	uint64_t gpa = horrible_unseen_change(g->twin);
	unsigned n;

	if (wrong)
		disagree(g, wrong);
	if (gpa != ~0ull) {
		note(g, "word at %llx", (unsigned long long)gpa);
		disagree(g, "the engine wrote to guest memory unasked");
	}
	if (g->accesses % EPOCH_ACCESSES)
		return;
	horrible_tick(g->twin);
	for (n = 0; n < g->machine.config.cpus; n++) {
		pvm_mmu_flush_all(&g->machine.cpu[n].vcpu);
		horrible_flush_all(g->twin, n);
	}
	note(g, "all flushed");
	horrible_tick(g->twin);
	make_map(g);
	for (n = FIRST_TABLE; n < FIRST_TABLE + 5 * TABLES_PER_LEVEL; n++)
		pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(n));
	pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(MAP_TABLE));
	pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(MAP_TABLE + 1));
}

static struct machine_config random_config(struct guest *g, unsigned forget)
{
	static const uint32_t limits[4] = { 0, 0, 16, 40 };

	return (struct machine_config){
		.la57 = chance(g, 50),
		.page1g = chance(g, 50),
		.cpus = 1 + (unsigned)pick(g, MACHINE_CPUS),
		.max_level = 1 + (uint8_t)pick(g, 2),
		.max_shadow_pages = limits[pick(g, 4)],
		.page_limit = chance(g, 25) ? 70 : 0,
		.alloc_failure = chance(g, 30) ? 30 : 0,
		.frame_block = chance(g, 30) ? 20 : 0,
		.forget = forget,
		.single_cr3 = chance(g, 50),
	};
}

static void run_guest(struct guest *g, uint64_t seed, uint64_t accesses, unsigned forget)
{
	struct machine_config config;
	unsigned n;

	memset(g, 0, sizeof(*g));
	g->seed = seed;
	g->machine.random = seed;
	config = random_config(g, forget);
	machine_init(&g->machine, &config, seed);
	g->twin = horrible_new(g->machine.host.memory, MACHINE_FRAMES * PVM_PAGE_SIZE, config.cpus);
	make_tables(g);
	for (n = 0; n < config.cpus; n++) {
		g->n = n;
		vcpu(g)->efer |= PVM_EFER_NXE;
		vcpu(g)->cr3 = random_cr3(g);
		vcpu(g)->msr.switch_cr3 = random_cr3(g);
	}
	g->calm = chance(g, 50);
	while (g->accesses < accesses) {
		unsigned what = (unsigned)pick(g, g->calm && chance(g, 90) ? 960 : 1000);

		if (what < 740)
			random_access(g);
		else if (what < 860)
			write_entry(g);
		else if (what < 900)
			ask_engine(g);
		else if (what < 945)
			flush(g);
		else if (what < 975)
			switch_tables(g);
		else if (what < 980)
			change_controls(g);
		else
			host_acts(g);
		if (g->accesses % 1000 == 0)
			check(g);
	}
	check(g);
	horrible_free(g->twin);
	machine_fini(&g->machine);
}

static bool option(const char *argument, const char *name, uint64_t *value)
{
	size_t length = strlen(name);
	char *end;

	if (strncmp(argument, name, length) != 0)
		return false;
	*value = strtoull(argument + length, &end, 0);
	return *end == '\0' && end != argument + length;
}

int main(int argc, char **argv)
{
	static struct guest guest;
	uint64_t seed = 1, accesses = 1000000, single = 0, forget = 0, total = 0, stale = 0, number = 0;
	uint64_t outcome[OUTCOME_STUCK + 1] = { 0 }, flushes[3] = { 0 };
	int i;

	for (i = 1; i < argc; i++) {
		if (option(argv[i], "--seed=", &seed) || option(argv[i], "--accesses=", &accesses) ||
		    option(argv[i], "--guest=", &single) || option(argv[i], "--forget=", &forget))
			continue;
		fprintf(stderr, "usage: %s [--seed=N] [--accesses=N] [--guest=N] [--forget=N]\n",
			argv[0]);
		return 2;
	}
	printf("twin: seed %llu, %llu accesses\n", (unsigned long long)seed,
	       (unsigned long long)accesses);
	fflush(stdout);
	while (total < accesses) {
		run_guest(&guest, single ? single : seed * 1000003 + number, ACCESSES_PER_GUEST,
			  (unsigned)forget);
		number++;
		total += guest.accesses;
		stale += guest.stale;
		for (i = 0; i <= OUTCOME_STUCK; i++)
			outcome[i] += guest.outcome[i];
		for (i = 0; i < 3; i++)
			flushes[i] += guest.machine.flushes[i];
		if (single)
			break;
	}
	printf("twin: %llu guests, %llu accesses: %llu done (%llu by older translations), %llu faults, "
	       "%llu MMIO; flushes: %llu address, %llu root, %llu all\n",
	       (unsigned long long)number, (unsigned long long)total,
	       (unsigned long long)outcome[OUTCOME_DONE], (unsigned long long)stale,
	       (unsigned long long)outcome[OUTCOME_INJECT], (unsigned long long)outcome[OUTCOME_MMIO],
	       (unsigned long long)flushes[0], (unsigned long long)flushes[1],
	       (unsigned long long)flushes[2]);
	return 0;
}
