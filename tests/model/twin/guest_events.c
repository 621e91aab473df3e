/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What happens to the MMU of a random guest beside accesses: flushes, other tables, other
 * control registers, and a host that takes memory away.
 */
#include "guest.h"

/* The root table of the mode that the CPU is not in. */
static uint64_t other_cr3(struct guest *g)
{
	return g->machine.config.single_cr3 ? guest_vcpu(g)->cr3 : guest_vcpu(g)->msr.switch_cr3;
}

void guest_flush(struct guest *g)
{
	struct horrible_cpu cpu = guest_cpu(g);
	struct pvm_vcpu *v = guest_vcpu(g);
	uint64_t gva;

	horrible_tick(g->twin);
	switch (guest_pick(g, 8)) {
	case 0:
		guest_note(g, "cpu %u flush all", g->n);
		pvm_mmu_flush_all(v);
		horrible_flush_all(g->twin, g->n);
		return;
	case 1:
	case 2:
		guest_note(g, "cpu %u flush current", g->n);
		pvm_mmu_flush_current(v);
		horrible_flush_tag(g->twin, g->n, v->cr3);
		horrible_flush_tag(g->twin, g->n, other_cr3(g));
		return;
	case 3:
		gva = guest_random_cr3(g);
		guest_note(g, "cpu %u flush cr3 %llx", g->n, (unsigned long long)gva);
		pvm_mmu_flush_cr3(v, gva);
		horrible_flush_tag(g->twin, g->n, gva);
		return;
	default:
		gva = guest_random_gva(g);
		guest_note(g, "cpu %u invlpg %llx", g->n, (unsigned long long)gva);
		pvm_mmu_invlpg(v, pvm_gva(gva));
		horrible_invlpg(g->twin, g->n, &cpu, v->cr3, gva);
		horrible_invlpg(g->twin, g->n, &cpu, other_cr3(g), gva);
	}
}

void guest_switch_tables(struct guest *g)
{
	struct pvm_vcpu *v = guest_vcpu(g);
	uint64_t old = v->cr3;

	horrible_tick(g->twin);
	switch (guest_pick(g, 4)) {
	case 0:
		v->cr3 = guest_random_cr3(g);
		pvm_mmu_new_cr3(v);
		if (guest_chance(g, 50)) {
			pvm_mmu_flush_cr3(v, v->cr3);
			horrible_flush_tag(g->twin, g->n, v->cr3);
		}
		break;
	case 1:
		if (g->machine.config.single_cr3)
			break;
		v->msr.switch_cr3 = guest_random_cr3(g);
		pvm_mmu_new_cr3(v);
		break;
	default:
		v->user_mode = !v->user_mode;
		if (g->machine.config.single_cr3)
			break;
		v->cr3 = v->msr.switch_cr3;
		v->msr.switch_cr3 = old;
	}
	guest_note(g, "cpu %u cr3 %llx switch %llx user %d", g->n, (unsigned long long)v->cr3,
	     (unsigned long long)v->msr.switch_cr3, v->user_mode);
}

void guest_change_controls(struct guest *g)
{
	struct pvm_vcpu *v = guest_vcpu(g);
	struct pvm_linear_range range = g->machine.vm.config.range;

	horrible_tick(g->twin);
	switch (guest_pick(g, 6)) {
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
		if (g->machine.config.la57 && !g->machine.config.shares_slot) {
			v->cr4 ^= PVM_CR4_LA57;
			v->cr3 = guest_random_cr3(g);
			v->msr.switch_cr3 = guest_random_cr3(g);
			pvm_mmu_new_cr3(v);
		}
		break;
	case 4:
		if (guest_chance(g, 50)) {
			range.pml4_start = 258;
			range.pml4_end = guest_chance(g, 50) ? 300 : 500;
		}
		v->msr.linear_address_range = pvm_linear_range_encode(&range);
		break;
	default:
		v->pkru = guest_chance(g, 70) ? 0 : (uint32_t)machine_random(&g->machine) & 0xfffffffc;
	}
	guest_note(g, "cpu %u efer %llx cr4 %llx pkru %x range %llx", g->n, (unsigned long long)v->efer,
	     (unsigned long long)v->cr4, v->pkru, (unsigned long long)v->msr.linear_address_range);
}

void guest_host_acts(struct guest *g)
{
	uint64_t start = guest_chance(g, 80) ? guest_pick(g, 16) : guest_pick(g, MACHINE_FRAMES - 600);
	uint64_t end = start + 1 + (guest_chance(g, 90) ? guest_pick(g, 3) : guest_pick(g, 600));

	horrible_tick(g->twin);
	switch (guest_pick(g, 8)) {
	case 0:
		guest_note(g, "unmap %llx..%llx", (unsigned long long)start, (unsigned long long)end);
		horrible_set_hole(g->twin, start, end);
		machine_set_hole(&g->machine, start, end);
		if (machine_tlb_reaches(&g->machine, start, end, false))
			guest_disagree(g, "M10: a TLB reaches memory that the host has taken");
		break;
	case 1:
	case 2:
		guest_note(g, "memory is whole");
		horrible_set_hole(g->twin, 0, 0);
		machine_set_hole(&g->machine, 0, 0);
		break;
	case 3:
		guest_note(g, "write-protect %llx..%llx", (unsigned long long)start, (unsigned long long)end);
		machine_write_protect(&g->machine, start, end);
		if (machine_tlb_reaches(&g->machine, start, end, true))
			guest_disagree(g, "M10: a TLB can write to memory that the host has write-protected");
		break;
	case 4:
		guest_note(g, "shrink");
		pvm_mmu_shrink(&g->machine.vm, (uint32_t)guest_pick(g, 40), PVM_MAY_SLEEP);
		break;
	default:
		g->n = (unsigned)guest_pick(g, g->machine.config.cpus);
		guest_note(g, "cpu %u runs", g->n);
	}
}
