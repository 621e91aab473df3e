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
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCESSES_PER_GUEST 20000

static void check(struct guest *g)
{
	const char *wrong = pvm_mmu_check(&g->machine.vm);
	uint64_t gpa = horrible_unseen_change(g->twin);
	unsigned n;

	if (wrong)
		guest_disagree(g, wrong);
	if (gpa != ~0ull) {
		guest_note(g, "word at %llx", (unsigned long long)gpa);
		guest_disagree(g, "the engine wrote to guest memory unasked");
	}
	if (g->accesses % EPOCH_ACCESSES)
		return;
	horrible_tick(g->twin);
	for (n = 0; n < g->machine.config.cpus; n++) {
		pvm_mmu_flush_all(&g->machine.cpu[n].vcpu);
		horrible_flush_all(g->twin, n);
	}
	guest_note(g, "all flushed");
	horrible_tick(g->twin);
	guest_repair_map(g);
}

static struct machine_config random_config(struct guest *g, unsigned forget)
{
	static const uint32_t limits[4] = { 0, 0, 16, 40 };
	bool la57 = guest_chance(g, 50);

	return (struct machine_config){
		.la57 = la57,
		.shares_slot = la57 && guest_chance(g, 50),
		.page1g = guest_chance(g, 50),
		.cpus = 1 + (unsigned)guest_pick(g, MACHINE_CPUS),
		.max_level = 1 + (uint8_t)guest_pick(g, 2),
		.max_shadow_pages = limits[guest_pick(g, 4)],
		.page_limit = guest_chance(g, 25) ? 70 : 0,
		.alloc_failure = guest_chance(g, 30) ? 30 : 0,
		.frame_block = guest_chance(g, 30) ? 20 : 0,
		.forget = forget,
		.single_cr3 = guest_chance(g, 50),
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
	guest_make_tables(g);
	for (n = 0; n < config.cpus; n++) {
		g->n = n;
		guest_vcpu(g)->efer |= PVM_EFER_NXE;
		guest_vcpu(g)->cr3 = guest_random_cr3(g);
		guest_vcpu(g)->msr.switch_cr3 = guest_random_cr3(g);
	}
	g->calm = guest_chance(g, 50);
	while (g->accesses < accesses) {
		unsigned what = (unsigned)guest_pick(g, g->calm && guest_chance(g, 90) ? 960 : 1000);

		if (what < 740)
			guest_access(g);
		else if (what < 860)
			guest_write_entry(g);
		else if (what < 900)
			guest_ask_engine(g);
		else if (what < 945)
			guest_flush(g);
		else if (what < 975)
			guest_switch_tables(g);
		else if (what < 980)
			guest_change_controls(g);
		else
			guest_host_acts(g);
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
