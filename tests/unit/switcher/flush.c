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

/* Tag @tag of CPU @cpu is that of @root and svcpu[@owner]. */
static void has_tag(unsigned cpu, unsigned tag, uint64_t root, unsigned owner)
{
	cpus[cpu]->tag_root[tag].v = root;
	cpus[cpu]->tag_vcpu[tag] = svcpu[owner].vcpu;
	cpus[cpu]->tag_vm[tag] = svcpu[owner].vm->id;
}

/* CPU 0 runs svcpu[0] on tag 1, which is ROOT(1)'s; ROOT(2) has tag 2. */
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
	has_tag(0, 1, ROOT(1), 0);
	has_tag(0, 2, ROOT(2), 0);
	cpus[0]->signal = 1 + 1;
	host_activate(0, &svcpu[0], false);
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

/* INVPCID is for the CPU it is executed on; here it would end the test. */
Test(switcher_flush, S13_a_page_of_another_cpu_is_owed)
{
	switcher.config.features.invpcid = true;
	cpus[0]->gdtr.base = 0x1234;
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_GVA, .vcpu = &vcpu[0], .root = { ROOT(2) }, .gva = { 0x5000 },
		.level = 1 });
	cr_assert_eq(cpus[0]->owed, 1u << 2);
	cr_assert_eq(cpus[0]->stats.flushes_owed, 1);
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

/* CPU 0: tags of both vCPUs of the VM, and of another VM. CPU 1: of each vCPU, one. */
#define VCPU0_TAGS	(1u << 1 | 1u << 2)
static void give_tags_to_all(void)
{
	has_tag(0, 3, ROOT(1), 1);
	has_tag(0, 4, ROOT(7), 2);
	has_tag(0, 5, ROOT(1), 2);	/* the same number, once another VM's: void by now */
	has_tag(1, 6, ROOT(1), 0);
	has_tag(1, 7, ROOT(2), 1);
	has_tag(1, 8, ROOT(8), 2);
}

static void owe(uint32_t cpu0, uint32_t cpu1)
{
	cr_expect_eq(cpus[0]->owed, cpu0, "CPU 0 owes %#x, not %#x", cpus[0]->owed, cpu0);
	cr_expect_eq(cpus[1]->owed, cpu1, "CPU 1 owes %#x, not %#x", cpus[1]->owed, cpu1);
}

Test(switcher_flush, M9_one_address_under_every_root_is_owed_by_every_tag_of_the_vm)
{
	give_tags_to_all();
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_GVA, .root = { PVM_INVALID_ADDR }, .gva = { 0x1000 }, .level = 1 });
	cr_assert_eq(kicks[0], 1);
	cr_assert_eq(kicks[1], 0);
	owe(VCPU0_TAGS | 1u << 3, 1u << 6 | 1u << 7);
}

Test(switcher_flush, M9_everything_is_everything_whatever_root_says)
{
	give_tags_to_all();
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL, .root = { ROOT(2) } });
	cr_assert_eq(kicks[0], 1);
	owe(VCPU0_TAGS | 1u << 3, 1u << 6 | 1u << 7);
}

Test(switcher_flush, S7_a_full_flush_of_one_vcpu_is_owed_by_its_own_tags)
{
	give_tags_to_all();
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ALL, .vcpu = &vcpu[1], .root = { PVM_INVALID_ADDR } });
	owe(1u << 3, 1u << 7);
	cr_assert_eq(kicks[0], 0, "another one runs there");
}

Test(switcher_flush, M9_a_root_of_one_vcpu_is_owed_wherever_that_vcpu_was)
{
	give_tags_to_all();
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ROOT, .vcpu = &vcpu[0], .root = { ROOT(1) } });
	owe(1u << 1, 1u << 6);
}

Test(switcher_flush, M10_a_root_of_every_vcpu_is_owed_by_all_of_the_vm_that_have_it)
{
	give_tags_to_all();
	flush_root(ROOT(1));
	owe(1u << 1 | 1u << 3, 1u << 6);
}

Test(switcher_flush, S7_another_vms_full_flush_is_nothing_to_this_one)
{
	give_tags_to_all();
	pvm_switcher_flush(&other_vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ALL, .root = { PVM_INVALID_ADDR } });
	owe(1u << 4 | 1u << 5, 1u << 8);
	cr_assert_eq(kicks[0], 0);
}

/* Nor looked at: it may be freed meanwhile. */
Test(switcher_flush, another_vms_guest_is_not_interrupted)
{
	host_activate(0, &svcpu[2], true);
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
	cr_assert_eq(kicks[0], 0);
	owe(VCPU0_TAGS, 0);
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
	uint64_t before = vm.tags_gen, other = other_vm.tags_gen;

	host_activate(1, &svcpu[2], true);
	cpus[1]->signal = 4;
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ROOT, .root = { ROOT(9) }, .root_dying = true });
	cr_assert_gt(vm.tags_gen, before, "S7: no tag outlives it");
	cr_assert_eq(other_vm.tags_gen, other, "S7: another VM's tags do");
	cr_assert_eq(svcpu[0].request, 1);
	cr_assert_eq(svcpu[1].request, 1, "one that is about to run, too");
	cr_assert_eq(svcpu[2].request, 0);
	cr_assert_eq(kicks[0], 1, "whatever root it has loaded");
	cr_assert_null(cpus[0]->active, "it came back only then");
	cr_assert_eq(kicks[1], 0);
}

Test(switcher_flush, S13_only_a_flush_that_frees_tables_waits_for_the_end_of_the_run)
{
	on_kick = KICK_LEAVES_LATER;
	flush_root(ROOT(1));
	cr_assert_eq(kicks[0], 1);
	cr_assert_eq(cpus[0]->active, &svcpu[0], "the signal is enough");
	cpus[0]->signal = 1 + 1;
	pvm_switcher_flush(&vm, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL,
							 .root = { PVM_INVALID_ADDR } });
	cr_assert_eq(kicks[0], 2);
	cr_assert_null(cpus[0]->active, "M2: no walker has a freed table in reach");
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
