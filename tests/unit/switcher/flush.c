/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pvm_switcher_flush() and pvm_switcher_kick(): who is interrupted and what is owed.
 * One thread: the order of loads and stores is tests/proof/'s.
 */
#include <criterion/criterion.h>

#include "host.h"

#define ROOT(n)		(((uint64_t)(n) + 1) << 12)

static struct pvm_vcpu vcpu[3];
static struct pvm_switcher_vm vm, other_vm;
static struct pvm_switcher_vcpu svcpu[3];	/* two of vm, one of other_vm */

/* CPU 0 runs svcpu[0] on tag 1, which is ROOT(1); ROOT(2) has tag 2. */
static void start_with(bool pcid)
{
	struct pvm_switcher_config config = host_config();

	config.features.pcid = pcid;
	host_init(&config);
	cr_assert_eq(pvm_switcher_vm_init(&vm, &switcher), PVM_OK);
	cr_assert_eq(pvm_switcher_vm_init(&other_vm, &switcher), PVM_OK);
	for (unsigned i = 0; i < 3; i++) {
		vcpu[i].id = i;
		vcpu[i].vm = &host_vm;
		cr_assert_eq(pvm_switcher_vcpu_init(&svcpu[i], i < 2 ? &vm : &other_vm, &vcpu[i]), PVM_OK);
	}
	cpus[0]->tag_root[1].v = ROOT(1);
	cpus[0]->tag_root[2].v = ROOT(2);
	cpus[0]->signal = 1 + 1;
	cpus[0]->active = &svcpu[0];
	svcpu[0].cpu = cpus[0];
	cpus[0]->runs = 5;
}

static void start(void)
{
	start_with(true);
}

TestSuite(switcher_flush, .init = start, .timeout = 20);

static void flush_root(uint64_t root)
{
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ROOT, .root = { root } });
}

Test(switcher_flush, S13_the_root_in_use_is_worth_an_interrupt)
{
	flush_root(ROOT(1));
	cr_assert_eq(kicks[0], 1);
	cr_assert_eq(cpus[0]->owed, 1u << 1);
	cr_assert_eq(cpus[0]->stats.flush_kicks, 1);
	cr_assert_eq(cpus[0]->stats.flushes_owed, 0);
	cr_assert_eq(cpus[0]->signal, HOST_SIGNAL, "it came back only then");
	cr_assert_eq(kicks[1], 0);
}

Test(switcher_flush, S13_another_root_is_owed_without_one)
{
	flush_root(ROOT(2));
	cr_assert_eq(kicks[0], 0);
	cr_assert_eq(cpus[0]->owed, 1u << 2);
	cr_assert_eq(cpus[0]->stats.flushes_owed, 1);
	cr_assert_eq(cpus[0]->stats.flush_kicks, 0);
}

Test(switcher_flush, S13_a_cpu_in_the_host_owes)
{
	cpus[0]->signal = HOST_SIGNAL;
	cpus[0]->active = NULL;
	flush_root(ROOT(1));
	cr_assert_eq(kicks[0], 0);
	cr_assert_eq(cpus[0]->owed, 1u << 1);
}

Test(switcher_flush, a_root_without_a_tag_is_owed_by_nobody)
{
	flush_root(ROOT(3));
	cr_assert_eq(kicks[0], 0);
	cr_assert_eq(cpus[0]->owed, 0);
	cr_assert_eq(cpus[0]->stats.flushes_owed, 0);
}

Test(switcher_flush, M9_one_address_under_every_root_is_owed_by_every_tag)
{
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_GVA, .root = { PVM_INVALID_ADDR }, .gva = { 0x1000 }, .level = 1 });
	cr_assert_eq(kicks[0], 1);
	cr_assert_eq(cpus[0]->owed, (1u << PVM_SWITCHER_TAGS) - 1);
	cr_assert_eq(cpus[1]->owed, (1u << PVM_SWITCHER_TAGS) - 1);
	cr_assert_eq(kicks[1], 0);
}

Test(switcher_flush, M9_everything_is_everything_whatever_root_says)
{
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL, .root = { ROOT(2) } });
	cr_assert_eq(kicks[0], 1);
	cr_assert_eq(cpus[0]->owed, (1u << PVM_SWITCHER_TAGS) - 1);
}

Test(switcher_flush, another_vms_guest_is_not_interrupted)
{
	cpus[0]->active = &svcpu[2];
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
	cr_assert_eq(kicks[0], 0);
	cr_assert_eq(cpus[0]->owed, (1u << PVM_SWITCHER_TAGS) - 1, "its tags may be ours");
}

Test(switcher_flush, a_flush_for_one_vcpu_leaves_the_others_alone)
{
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ALL, .vcpu = &vcpu[1] };

	pvm_switcher_flush(&vm, &flush);
	cr_assert_eq(kicks[0], 0);
	flush.vcpu = &vcpu[0];
	pvm_switcher_flush(&vm, &flush);
	cr_assert_eq(kicks[0], 1);
}

Test(switcher_flush, a_cpu_that_has_begun_another_run_is_not_waited_for)
{
	on_kick = KICK_RUNS_AGAIN;
	flush_root(ROOT(1));
	cr_assert_eq(kicks[0], 1);
	cr_assert_eq(cpus[0]->signal, 2, "the same root again, which it flushed");
}

Test(switcher_flush, without_pcids_nothing_is_owed_but_who_runs_is_interrupted)
{
	start_with(false);
	flush_root(ROOT(1));
	cr_assert_eq(kicks[0], 1);
	flush_root(ROOT(2));
	cr_assert_eq(kicks[0], 1);
	cr_assert_eq(cpus[0]->owed, 0);
}

Test(switcher_flush, S6_a_dying_root_gets_every_vcpu_of_the_vm_out)
{
	uint64_t before = switcher.generation;

	cpus[1]->active = &svcpu[2];
	cpus[1]->signal = 4;
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ROOT, .root = { ROOT(9) }, .root_dying = true });
	cr_assert_gt(switcher.generation, before, "S7: no tag outlives it");
	cr_assert_eq(svcpu[0].request, 1);
	cr_assert_eq(svcpu[1].request, 1, "one that is about to run, too");
	cr_assert_eq(svcpu[2].request, 0);
	cr_assert_eq(kicks[0], 1, "whatever root it has loaded");
	cr_assert_null(cpus[0]->active, "it came back only then");
	cr_assert_eq(kicks[1], 0);
}

Test(switcher_flush, a_kick_reaches_the_cpu_that_runs_the_vcpu_and_no_other)
{
	pvm_switcher_kick(&svcpu[1]);
	cr_assert_eq(svcpu[1].request, 1);
	cr_assert_eq(kicks[0], 0);
	svcpu[1].cpu = cpus[0];		/* it ran there once */
	pvm_switcher_kick(&svcpu[1]);
	cr_assert_eq(kicks[0], 0);
	pvm_switcher_kick(&svcpu[0]);
	cr_assert_eq(svcpu[0].request, 1);
	cr_assert_eq(kicks[0], 1);
}
