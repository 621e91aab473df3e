/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The accesses of a random guest, and the judge that compares the machine's answer with
 * that of the horrible MMU. Owns what counts as a disagreement.
 */
#include "guest.h"

/* The engine may have set accessed and dirty bits on the way, and nothing else. */
static void see_entries(struct guest *g, const uint64_t *entry, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		uint64_t before = horrible_last_seen(g->twin, entry[i]);
		uint64_t now = *(uint64_t *)(g->machine.host.memory + entry[i]);

		if ((before & ~now) || (now & ~before & ~(PVM_PTE_A | PVM_PTE_D)))
			guest_disagree(g, "the engine changed an entry by more than A and D");
		if ((now & ~before & PVM_PTE_D) && entry[i] != entry[count - 1])
			guest_disagree(g, "the engine set D above the leaf");
		horrible_look_at(g->twin, entry[i]);
	}
}

static void see_bits(void *arg)
{
	struct guest *g = arg;
	struct horrible_cpu cpu = guest_cpu(g);
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
		registers = guest_registers(g);
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
	struct horrible_cpu cpu = guest_cpu(g);
	struct horrible_access access = { .gva = gva, .write = write, .exec = exec };
	struct machine_result result;
	const char *wrong;

	horrible_tick(g->twin);
	g->gva = gva;
	g->accesses++;
	result = machine_access(&g->machine, g->n, gva, write, exec, see_bits, g);
	guest_note(g, "cpu %u %s cr3 %llx %s %llx -> %u gpa %llx code %x, value %llx", g->n,
	     cpu.user_mode ? "user" : "supervisor", (unsigned long long)cpu.cr3,
	     write ? "write" : exec ? "exec" : "read", (unsigned long long)gva, result.outcome,
	     (unsigned long long)result.gpa, result.fault.error_code, (unsigned long long)value);
	wrong = judge(g, &result, &cpu, access);
	if (wrong)
		guest_disagree(g, wrong);
	g->outcome[result.outcome]++;
	if (write && result.outcome == OUTCOME_DONE) {
		horrible_tick(g->twin);
		guest_poke(g, result.gpa & ~7ull, value);
	}
	return result.outcome;
}

void guest_access(struct guest *g)
{
	unsigned kind = (unsigned)guest_pick(g, 10);
	uint64_t gva = guest_chance(g, 60) ? g->recent[guest_pick(g, RECENT)] : guest_random_gva(g);

	if (access_at(g, gva, kind < 4, kind == 4, guest_pick(g, 100)) == OUTCOME_DONE)
		g->recent[guest_pick(g, RECENT)] = gva;
}

/* An entry to write: of any table, or on the way to an address in use. */
static uint64_t random_entry_gpa(struct guest *g, unsigned *level)
{
	struct horrible_cpu cpu = guest_cpu(g);
	unsigned count = 0, i;
	uint64_t entry[5];

	if (guest_chance(g, 60))
		count = horrible_entries(g->twin, &cpu, g->recent[guest_pick(g, RECENT)], entry);
	if (count) {
		i = guest_chance(g, g->calm ? 97 : 60) ? count - 1 : (unsigned)guest_pick(g, count);
		*level = (cpu.five_levels ? 5 : 4) - i;
		return entry[i];
	}
	*level = guest_chance(g, g->calm ? 97 : 50) ? 1 : 1 + (unsigned)guest_pick(g, 5);
	return guest_table_gpa(*level, (unsigned)guest_pick(g, TABLES_PER_LEVEL)) +
		8 * guest_index_at(g, *level);
}

/* The guest writes one of its own entries, through whatever maps the table. */
void guest_write_entry(struct guest *g)
{
	unsigned level;
	uint64_t gpa = random_entry_gpa(g, &level), value = guest_random_entry(g, level);
	struct pvm_fault_result fault;
	pvm_gva_t where;

	g->writes++;
	if (guest_chance(g, 20)) {	/* by the engine, as a part of an event */
		struct horrible_cpu cpu = guest_registers(g);
		struct horrible_access access = {
			.gva = ((uint64_t)MAP_SLOT << 39) + gpa, .write = true };
		struct horrible_answer answer = horrible_walk(g->twin, &cpu, access);
		uint64_t entry[5];
		unsigned count = horrible_entries(g->twin, &cpu, access.gva, entry);

		horrible_tick(g->twin);
		guest_note(g, "engine writes %llx = %llx", (unsigned long long)gpa, (unsigned long long)value);
		if (pvm_mmu_write(guest_vcpu(g), pvm_gva(access.gva), &value, 8, &fault, &where) == PVM_OK) {
			if (!answer.allowed)
				guest_disagree(g, "pvm_mmu_write wrote what the tables forbid");
			horrible_look_at(g->twin, answer.gpa);
			see_entries(g, entry, count);
		}
		return;
	}
	if (guest_chance(g, 90) &&
	    access_at(g, ((uint64_t)MAP_SLOT << 39) + gpa, true, false, value) == OUTCOME_DONE)
		return;
	if (gpa / 4096 >= g->machine.host.hole_start && gpa / 4096 < g->machine.host.hole_end)
		return;
	horrible_tick(g->twin);
	guest_note(g, "device writes %llx = %llx", (unsigned long long)gpa, (unsigned long long)value);
	guest_poke(g, gpa, value);
	pvm_mmu_host_wrote(&g->machine.vm, pvm_gfn(gpa >> 12), PVM_MAY_SLEEP);
}

/* pvm_mmu_translate() and pvm_mmu_read() see today's tables, no older ones. */
void guest_ask_engine(struct guest *g)
{
	struct horrible_cpu cpu = guest_registers(g);
	unsigned kind = (unsigned)guest_pick(g, 3);
	struct horrible_access access = {
		.gva = guest_random_gva(g), .write = kind == 1, .exec = kind == 2 };
	uint32_t bits = kind == 1 ? PVM_ACCESS_WRITE : kind == 2 ? PVM_ACCESS_EXEC : PVM_ACCESS_READ;
	struct pvm_fault_result result;
	struct horrible_answer answer;

	horrible_tick(g->twin);
	g->gva = access.gva;
	answer = horrible_walk(g->twin, &cpu, access);
	if (pvm_mmu_translate(guest_vcpu(g), pvm_gva(access.gva), bits, guest_chance(g, 30), &result) !=
	    answer.allowed)
		guest_disagree(g, "pvm_mmu_translate: another answer");
	if (answer.allowed ? result.gpa.v != answer.gpa :
	    (result.vector == PVM_VEC_GP) != answer.gp || result.error_code != answer.error_code)
		guest_disagree(g, "pvm_mmu_translate: another address or error code");
	see_bits(g);
}
