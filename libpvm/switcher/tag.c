/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Tags: which roots of a CPU keep their translations while another root is loaded,
 * and what to load into CR3 for each. With PCIDs a tag is a PCID that the host gave
 * us; without, every CR3 write flushes and a tag only names the root for the signal.
 *
 * S7: a tag belongs to one root and one vCPU at a time. When it changes hands, or when a
 * root of its VM has died, its translations are owed a flush before their next use. What
 * happens in a VM never costs another VM's tags anything, and a flush for one vCPU not
 * those of another one.
 */
#include <pvm/mmu.h>

#include "abi/abi.h"
#include "switcher/area.h"

#define CR3_NOFLUSH	(1ull << 63)

void pvm_switcher_void_tags(struct pvm_switcher_cpu *cpu)
{
	unsigned i;

	cpu->shown = NULL;
	for (i = 0; i < PVM_SWITCHER_TAGS; i++) {
		__atomic_store_n(&cpu->tag_root[i].v, PVM_INVALID_ADDR, __ATOMIC_RELAXED);
		__atomic_store_n(&cpu->tag_vm[i], 0, __ATOMIC_RELAXED);
	}
}

/* A number that no VM has had: it also tells the tags of a VM that is gone from those of
 * another one whose vCPUs and roots have come to lie at the same addresses. */
void pvm_switcher_void_tags_of(struct pvm_switcher_vm *vm)
{
	uint64_t gen = __atomic_add_fetch(&vm->switcher->tags_gen, 1, __ATOMIC_SEQ_CST);

	__atomic_store_n(&vm->tags_gen, gen, __ATOMIC_SEQ_CST);
}

/* A tag that has none of the roots in use. There are more tags than such roots. */
static unsigned free_tag(struct pvm_switcher_cpu *cpu)
{
	unsigned tag;

	do {
		tag = cpu->next_tag++ % PVM_SWITCHER_TAGS;
	} while (cpu->live_tags >> tag & 1);
	return tag;
}

static bool is_tag_of(const struct pvm_switcher_cpu *cpu, unsigned tag,
		      const struct pvm_switcher_vcpu *svcpu)
{
	return cpu->tag_vcpu[tag] == svcpu->vcpu && cpu->tag_gen[tag] == cpu->tags_gen;
}

static unsigned tag_of(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vcpu *svcpu,
		       pvm_hpa_t root)
{
	unsigned tag;

	/* The root first: mostly it alone says no. */
	for (tag = 0; tag < PVM_SWITCHER_TAGS; tag++)
		if (cpu->tag_root[tag].v == root.v && is_tag_of(cpu, tag, svcpu))
			return tag;
	tag = free_tag(cpu);
	/* Seen by a flush before the signal says that the root is loaded; stored before
	 * the flush is owed, so that no bit of it is taken for one that is paid. A flush
	 * that sees one of them old has come before all of that. */
	cpu->tag_gen[tag] = cpu->tags_gen;
	__atomic_store_n(&cpu->tag_vm[tag], svcpu->vm->id, __ATOMIC_SEQ_CST);
	__atomic_store_n(&cpu->tag_vcpu[tag], svcpu->vcpu, __ATOMIC_SEQ_CST);
	__atomic_store_n(&cpu->tag_root[tag].v, root.v, __ATOMIC_SEQ_CST);
	if (cpu->switcher->config.features.pcid)
		__atomic_fetch_or(&cpu->owed, 1u << tag, __ATOMIC_SEQ_CST);	/* S7 */
	return tag;
}

static void set_pair(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vcpu *svcpu,
		     struct pvm_switcher_roots *roots, const pvm_hpa_t root[2], uint64_t cr3,
		     uint64_t switch_cr3)
{
	const struct pvm_switcher_config *config = &cpu->switcher->config;
	unsigned i, tag;

	roots->guest_cr3 = cr3;
	roots->guest_switch_cr3 = switch_cr3;
	for (i = 0; i < 2; i++) {
		roots->cr3[i] = roots->signal[i] = roots->tag_bit[i] = 0;
		if (root[i].v == PVM_INVALID_ADDR)
			continue;	/* PVM_INHIBIT_ROOT */
		tag = tag_of(cpu, svcpu, root[i]);
		cpu->live_tags |= 1u << tag;
		roots->cr3[i] = root[i].v;
		if (config->features.pcid)
			roots->cr3[i] |= (config->pcid_first + tag) | CR3_NOFLUSH;
		roots->signal[i] = tag + 1;
		roots->tag_bit[i] = 1u << tag;
	}
}

/* Returns where in the list it is. */
static uint32_t publish(struct pvm_switcher_vcpu *svcpu, const pvm_hpa_t root[2], uint64_t cr3,
			uint64_t switch_cr3)
{
	struct pvm_switcher_pgtbl *pgtbl = svcpu->published;
	uint32_t i;

	for (i = 0; i < svcpu->published_count; i++)
		if (pgtbl[i].cr3 == cr3 && pgtbl[i].switch_cr3 == switch_cr3)
			break;
	if (i == PVM_SWITCHER_PUBLISHED)
		i = svcpu->published_next++ % PVM_SWITCHER_PUBLISHED;
	else if (i == svcpu->published_count)
		svcpu->published_count++;
	pgtbl[i] = (struct pvm_switcher_pgtbl){ cr3, switch_cr3, { root[0], root[1] } };
	return i;
}

/* The tags of the pairs that are published in the area. */
static uint32_t published_tags(const struct pvm_switcher_cpu *cpu)
{
	uint64_t tags = 0;
	uint32_t i;

	for (i = 0; i < PVM_SWITCHER_PUBLISHED; i++)
		tags |= cpu->published[i].tag_bit[0] | cpu->published[i].tag_bit[1];
	return (uint32_t)tags;
}

/* Every pair of the list, into an area that had another vCPU's or an older list. */
static void show_published(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vcpu *svcpu)
{
	uint32_t i;

	for (i = 0; i < PVM_SWITCHER_PUBLISHED; i++) {
		const struct pvm_switcher_pgtbl *pgtbl =
			&svcpu->published[i < svcpu->published_count ? i : 0];

		set_pair(cpu, svcpu, &cpu->published[i], pgtbl->root, pgtbl->cr3,
			 pgtbl->switch_cr3);
	}
}

void pvm_switcher_set_roots(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
			const pvm_hpa_t root[2])
{
	const struct pvm_vcpu *vcpu = svcpu->vcpu;
	uint64_t other = vcpu->vm->abi->other_cr3(vcpu);
	uint64_t cr3 = vcpu->user_mode ? other : vcpu->cr3;
	uint64_t switch_cr3 = vcpu->user_mode ? vcpu->cr3 : other;
	uint64_t role = pvm_mmu_root_role(vcpu);
	bool shown;
	uint32_t i;

	/* Roots published for another generation may be dead, those for another role
	 * would show other translations. */
	if (svcpu->tags_gen != cpu->tags_gen || svcpu->role != role)
		svcpu->published_count = 0;
	/* The area has the list already, as it is: only one pair changes. */
	shown = cpu->shown == svcpu && svcpu->shown_on == cpu &&
		svcpu->published_count == PVM_SWITCHER_PUBLISHED;
	svcpu->shown_on = shown ? cpu : NULL;
	svcpu->tags_gen = cpu->tags_gen;
	svcpu->role = role;
	cpu->live_tags = shown ? published_tags(cpu) : 0;
	set_pair(cpu, svcpu, &cpu->own_roots, root, cr3, switch_cr3);
	cpu->roots = cpu->own_roots_seen;
	cpu->own_root[0] = root[0];
	cpu->own_root[1] = root[1];
	if (root[0].v == PVM_INVALID_ADDR || root[1].v == PVM_INVALID_ADDR)
		return;		/* PVM_INHIBIT_ROOT: what is published is not looked at */
	i = publish(svcpu, root, cr3, switch_cr3);
	if (shown)
		cpu->published[i] = cpu->own_roots;
	else
		show_published(cpu, svcpu);
	svcpu->shown_on = cpu;
	cpu->shown = svcpu;
}
