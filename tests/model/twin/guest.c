/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The state of a random guest, as guest.h says. */
#include "guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void guest_note(struct guest *g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(g->log[g->logged++ % 64], sizeof(g->log[0]), format, args);
	va_end(args);
}

void guest_disagree(struct guest *g, const char *what)
{
	struct horrible_cpu cpu = guest_cpu(g);
	unsigned i, first = g->logged > 64 ? g->logged - 64 : 0;

	for (i = first; i < g->logged; i++)
		fprintf(stderr, "  %s\n", g->log[i % 64]);
	horrible_explain(g->twin, g->n, &cpu, g->gva);
	fprintf(stderr, "twin: guest %llu, access %llu: %s\n", (unsigned long long)g->seed,
		(unsigned long long)g->accesses, what);
	exit(1);
}

struct horrible_cpu guest_cpu(struct guest *g)
{
	const struct pvm_vcpu *v = guest_vcpu(g);
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
struct horrible_cpu guest_registers(struct guest *g)
{
	struct horrible_cpu cpu = guest_cpu(g);

	if (!(cpu.user_mode ? cpu.pke : cpu.pks))
		cpu.pkru = 0;
	return cpu;
}

void guest_poke(struct guest *g, uint64_t gpa, uint64_t value)
{
	*(uint64_t *)(g->machine.host.memory + gpa) = value;
	horrible_look_at(g->twin, gpa);
}
