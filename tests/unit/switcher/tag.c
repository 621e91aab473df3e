/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_switcher_set_roots(): which tag a root gets, and when it owes a flush. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "host.h"

#define ROOT(n)		(((uint64_t)(n) + 1) << 12)
#define NOFLUSH		(1ull << 63)

static struct fixture fixture;
static struct pvm_switcher_vm vm;
static struct pvm_switcher_vcpu svcpu, sibling;
static struct pvm_vcpu sibling_vcpu;
static struct pvm_switcher_cpu *cpu;

static void start_with(bool pcid)
{
	struct pvm_switcher_config config = host_config();

	config.features.pcid = pcid;
	host_init(&config);
	fixture_init(&fixture);
	host_agree(&fixture.vm.config);
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	cr_assert_eq(pvm_switcher_vcpu_init(&svcpu, &vm, &fixture.vcpu[0]), PVM_OK);
	cpu = cpus[0];
}

static void start(void)
{
	start_with(true);
}

static void stop(void)
{
	fixture_fini(&fixture);
}

TestSuite(switcher_tag, .init = start, .fini = stop);

static void set_roots(uint64_t supervisor, uint64_t user)
{
	fixture.vcpu[0].cr3 = supervisor;
	fixture.vcpu[0].msr.switch_cr3 = user;
	pvm_switcher_set_roots(cpu, &svcpu, (pvm_hpa_t[2]){ { supervisor }, { user } });
}

static unsigned tag(unsigned mode)
{
	return (unsigned)cpu->own_roots.signal[mode] - 1;
}

Test(switcher_tag, S7_a_new_tag_owes_a_flush_and_an_old_one_does_not)
{
	set_roots(ROOT(1), ROOT(2));
	cr_assert_neq(tag(0), tag(1));
	cr_assert_eq(cpu->owed, 1u << tag(0) | 1u << tag(1));
	cpu->owed = 0;
	set_roots(ROOT(1), ROOT(2));
	cr_assert_eq(cpu->owed, 0);
}

Test(switcher_tag, S7_pcids_are_those_the_host_gave_and_no_two_roots_share_one)
{
	set_roots(ROOT(1), ROOT(2));
	for (unsigned mode = 0; mode < 2; mode++) {
		uint64_t cr3 = cpu->own_roots.cr3[mode];

		cr_assert_eq(cr3 & NOFLUSH, NOFLUSH);
		cr_assert_eq(cr3 & PVM_CR3_ADDR_MASK, ROOT(1 + mode));
		cr_assert_eq(cr3 & PVM_CR3_PCID_MASK, switcher.config.pcid_first + tag(mode));
		cr_assert_lt(tag(mode), PVM_SWITCHER_TAGS);
		cr_assert_eq(cpu->own_roots.tag_bit[mode], 1u << tag(mode));
	}
}

Test(switcher_tag, without_pcids_cr3_is_the_root_and_nothing_is_owed)
{
	start_with(false);
	set_roots(ROOT(1), ROOT(2));
	cr_assert_eq(cpu->own_roots.cr3[0], ROOT(1));
	cr_assert_eq(cpu->own_roots.cr3[1], ROOT(2));
	cr_assert_eq(cpu->owed, 0);
	cr_assert_neq(cpu->own_roots.signal[0], cpu->own_roots.signal[1]);
	cr_assert_neq(cpu->own_roots.signal[0], HOST_SIGNAL);
}

Test(switcher_tag, S7_voided_tags_owe_again)
{
	set_roots(ROOT(1), ROOT(2));
	cpu->owed = 0;
	pvm_switcher_void_tags(cpu);
	set_roots(ROOT(1), ROOT(2));
	cr_assert_eq(cpu->owed, 1u << tag(0) | 1u << tag(1));
}

/* As pvm_switcher_run() does before the vCPU is entered. */
static void set_roots_of(struct pvm_switcher_vcpu *who, uint64_t supervisor, uint64_t user)
{
	who->vcpu->cr3 = supervisor;
	who->vcpu->msr.switch_cr3 = user;
	cpu->tags_gen = who->vm->tags_gen;
	pvm_switcher_set_roots(cpu, who, (pvm_hpa_t[2]){ { supervisor }, { user } });
}

static void add_sibling(struct pvm_switcher_vm *of)
{
	sibling_vcpu = fixture.vcpu[0];
	sibling_vcpu.id = 1;
	cr_assert_eq(pvm_switcher_vcpu_init(&sibling, of, &sibling_vcpu), PVM_OK);
}

Test(switcher_tag, S7_two_vcpus_have_tags_of_their_own_for_one_root)
{
	unsigned first;

	add_sibling(&vm);
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	first = tag(0);
	cpu->owed = 0;
	set_roots_of(&sibling, ROOT(1), ROOT(2));
	cr_assert_neq(tag(0), first);
	cr_assert_eq(cpu->owed, 1u << tag(0) | 1u << tag(1));
	cpu->owed = 0;
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	cr_assert_eq(tag(0), first);
	cr_assert_eq(cpu->owed, 0, "what it had is still there");
}

Test(switcher_tag, S7_a_vms_dead_root_leaves_other_vms_tags_alone)
{
	struct pvm_switcher_vm other;
	unsigned own;

	cr_assert_eq(pvm_switcher_vm_init(&other, &switcher), PVM_OK);
	add_sibling(&other);
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	set_roots_of(&sibling, ROOT(3), ROOT(4));
	own = tag(0);
	cpu->owed = 0;
	pvm_switcher_void_tags_of(&vm);
	set_roots_of(&sibling, ROOT(3), ROOT(4));
	cr_assert_eq(tag(0), own);
	cr_assert_eq(cpu->owed, 0);
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	cr_assert_eq(cpu->owed, 1u << tag(0) | 1u << tag(1), "its own owe");
}

/* A VM that is gone, and one whose vCPU and roots lie where that one's were. */
Test(switcher_tag, S7_the_same_addresses_in_another_vm_are_not_the_same_tag)
{
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	cpu->owed = 0;
	pvm_switcher_vm_destroy(&vm);
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	cr_assert_eq(pvm_switcher_vcpu_init(&svcpu, &vm, &fixture.vcpu[0]), PVM_OK);
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	cr_assert_eq(cpu->owed, 1u << tag(0) | 1u << tag(1));
}

/* Every pair that the guest can load without us: its tags are its roots' own. */
static void pairs_are_whole(void)
{
	for (int i = -1; i < PVM_SWITCHER_PUBLISHED; i++) {
		const struct pvm_switcher_roots *roots = i < 0 ? &cpu->own_roots : &cpu->published[i];

		for (unsigned mode = 0; mode < 2; mode++) {
			unsigned has = (unsigned)roots->signal[mode] - 1;

			cr_assert_eq(cpu->tag_root[has].v, roots->cr3[mode] & PVM_CR3_ADDR_MASK,
				     "pair %d: tag %u is another root's", i, has);
		}
	}
}

Test(switcher_tag, S7_no_tag_changes_hands_without_owing)
{
	uint64_t root_of[PVM_SWITCHER_TAGS] = { 0 };

	srand(7);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned n = (unsigned)rand() % 12;

		set_roots(ROOT(2 * n), ROOT(2 * n + 1));
		pairs_are_whole();
		for (unsigned i = 0; i < PVM_SWITCHER_TAGS; i++) {
			if (cpu->tag_root[i].v == PVM_INVALID_ADDR || cpu->tag_root[i].v == root_of[i])
				continue;
			cr_assert(cpu->owed >> i & 1, "step %u: tag %u", step, i);
			root_of[i] = cpu->tag_root[i].v;
			for (unsigned k = 0; k < i; k++)
				cr_assert_neq(cpu->tag_root[k].v, root_of[i], "one root, two tags");
		}
		cpu->owed = 0;
	}
}

/* One that is never given out is flushes that need not be. */
Test(switcher_tag, every_tag_is_given_out_before_one_changes_hands)
{
	for (unsigned n = 0; n < PVM_SWITCHER_TAGS; n += 2)
		set_roots(ROOT(n), ROOT(n + 1));
	for (unsigned i = 0; i < PVM_SWITCHER_TAGS; i++)
		cr_assert_neq(cpu->tag_root[i].v, PVM_INVALID_ADDR, "tag %u has no owner", i);
	for (unsigned n = 0; n < PVM_SWITCHER_TAGS; n++) {
		unsigned has = 0;

		for (unsigned i = 0; i < PVM_SWITCHER_TAGS; i++)
			has += cpu->tag_root[i].v == ROOT(n);
		cr_assert_eq(has, 1, "root %u has %u tags", n, has);
	}
}

Test(switcher_tag, published_pairs_are_found_by_what_the_guest_loads)
{
	for (unsigned n = 0; n < PVM_SWITCHER_PUBLISHED + 1; n++)
		set_roots(ROOT(2 * n), ROOT(2 * n + 1));
	for (unsigned i = 0; i < PVM_SWITCHER_PUBLISHED; i++) {
		const struct pvm_switcher_roots *roots = &cpu->published[i];

		cr_assert_eq(roots->cr3[0] & PVM_CR3_ADDR_MASK, roots->guest_cr3);
		cr_assert_eq(roots->cr3[1] & PVM_CR3_ADDR_MASK, roots->guest_switch_cr3);
		cr_assert_neq(roots->guest_cr3, ROOT(0), "the oldest has made room");
	}
}

/* Is a pair of supervisor root @root published? */
static bool is_published(uint64_t root)
{
	for (unsigned i = 0; i < PVM_SWITCHER_PUBLISHED; i++)
		if (cpu->published[i].guest_cr3 == root)
			return true;
	return false;
}

Test(switcher_tag, S6_a_root_of_an_older_generation_is_not_published)
{
	set_roots(ROOT(0), ROOT(1));
	set_roots(ROOT(2), ROOT(3));
	cr_assert(is_published(ROOT(0)));
	cpu->tags_gen++;
	set_roots(ROOT(2), ROOT(3));
	cr_assert_not(is_published(ROOT(0)));
}

Test(switcher_tag, S7_roots_are_set_anew_after_a_flush_of_the_vm)
{
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	svcpu.root[0].v = ROOT(1);
	svcpu.root[1].v = ROOT(2);
	cr_assert(pvm_switcher_roots_are(cpu, &svcpu, vm.tags_gen));
	cr_assert_not(pvm_switcher_roots_are(cpu, &svcpu, vm.tags_gen + 1));
}

Test(switcher_tag, roots_are_set_anew_when_the_vcpu_has_others)
{
	set_roots_of(&svcpu, ROOT(1), ROOT(2));
	for (unsigned mode = 0; mode < 2; mode++) {
		svcpu.root[mode].v = ROOT(1 + mode);
		svcpu.root[!mode].v = ROOT(5);
		cr_assert_not(pvm_switcher_roots_are(cpu, &svcpu, vm.tags_gen));
	}
	svcpu.root[0].v = ROOT(1);
	svcpu.root[1].v = ROOT(2);
	cpu->roots = (uint64_t)(uintptr_t)&cpu->published[0];	/* LOAD_PGTBL came between */
	cr_assert_not(pvm_switcher_roots_are(cpu, &svcpu, vm.tags_gen));
}

Test(switcher_tag, a_root_of_another_role_is_not_published)
{
	set_roots(ROOT(0), ROOT(1));
	fixture.vcpu[0].efer ^= PVM_EFER_NXE;
	set_roots(ROOT(2), ROOT(3));
	cr_assert_not(is_published(ROOT(0)));
}

Test(switcher_tag, in_user_mode_the_pair_is_the_same_pair)
{
	fixture.vcpu[0].user_mode = true;
	set_roots(ROOT(1), ROOT(2));	/* cr3 is the user's now */
	cr_assert_eq(cpu->own_roots.guest_cr3, ROOT(2));
	cr_assert_eq(cpu->own_roots.guest_switch_cr3, ROOT(1));
}

Test(switcher_tag, a_missing_root_has_no_tag_and_publishes_nothing)
{
	set_roots(ROOT(1), PVM_INVALID_ADDR);
	cr_assert_eq(cpu->owed, 1u << tag(0));
	cr_assert_eq(cpu->own_roots.signal[1], 0);
	cr_assert_eq(svcpu.published_count, 0);
}

/* What entry.S finds on a CPU for a pair that was loaded before. */
static const struct pvm_switcher_roots *shown(uint64_t supervisor, uint64_t user)
{
	unsigned i;

	for (i = 0; i < PVM_SWITCHER_PUBLISHED; i++)
		if (cpu->published[i].guest_cr3 == supervisor && cpu->published[i].guest_switch_cr3 == user)
			return &cpu->published[i];
	return NULL;
}

/* The last four pairs are published, and each with the tags that its roots have now. */
static void check_shown(unsigned last)
{
	unsigned n, mode;

	cr_assert_null(shown(ROOT(10 * (last - 4)), ROOT(10 * (last - 4) + 1)));
	for (n = last - 3; n <= last; n++) {
		const struct pvm_switcher_roots *pair = shown(ROOT(10 * n), ROOT(10 * n + 1));

		cr_assert_not_null(pair);
		for (mode = 0; mode < 2; mode++) {
			unsigned its = (unsigned)pair->signal[mode] - 1;

			cr_assert_eq(cpu->tag_root[its].v, ROOT(10 * n + mode), "pair %u", n);
			cr_assert_eq(cpu->tag_gen[its], cpu->tags_gen);
			cr_assert_eq(cpu->tag_vcpu[its], svcpu.vcpu);
			cr_assert_eq(pair->tag_bit[mode], 1u << its);
			cr_assert(cpu->live_tags >> its & 1, "no other root gets it");
		}
	}
}

static void load_pairs(unsigned first, unsigned last)
{
	for (; first <= last; first++)
		set_roots_of(&svcpu, ROOT(10 * first), ROOT(10 * first + 1));
}

Test(switcher_tag, S7_what_is_published_keeps_its_tags_while_others_come_and_go)
{
	unsigned last;

	load_pairs(1, 4);
	for (last = 5; last < 40; last++) {
		load_pairs(last, last);
		check_shown(last);
	}
}

Test(switcher_tag, S7_another_vcpu_or_cpu_in_between_leaves_nothing_of_its_own)
{
	add_sibling(&vm);
	load_pairs(1, 8);
	set_roots_of(&sibling, ROOT(500), ROOT(501));
	load_pairs(9, 9);
	check_shown(9);
	cpu = cpus[1];
	load_pairs(10, 11);
	cpu = cpus[0];
	load_pairs(12, 12);
	check_shown(12);
	pvm_switcher_void_tags_of(&vm);
	load_pairs(13, 17);
	check_shown(17);
}

Test(switcher_tag, S7_a_pair_without_a_root_leaves_no_older_list_behind)
{
	load_pairs(1, 8);
	cpu = cpus[1];
	load_pairs(9, 9);
	cpu = cpus[0];
	cpu->tags_gen = vm.tags_gen;
	pvm_switcher_set_roots(cpu, &svcpu, (pvm_hpa_t[2]){ { ROOT(700) }, { PVM_INVALID_ADDR } });
	load_pairs(10, 10);
	check_shown(10);
}
