/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* How many stubs there are: who has which, which is recycled, and what a host that has too little gives. */
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static struct machine m;

TestSuite(native_pool, .timeout = 60);

GUEST_CODE(code_syscall, "syscall");

static void run_syscall(void)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
}

/* Another root table that maps the code. */
static uint64_t another_cr3(void)
{
	uint64_t cr3 = m.next_table;

	memset(machine_at(&m, cr3), 0, PVM_PAGE_SIZE);
	m.next_table += PVM_PAGE_SIZE;
	machine_map(&m, cr3, CODE, CODE, 1, RWX);
	return cr3;
}

Test(native_pool, each_root_has_a_stub_of_its_own_and_keeps_it)
{
	uint64_t cr3[3];
	pid_t stub[3];
	unsigned i;

	machine_init(&m, 1);
	for (i = 0; i < 3; i++) {
		cr3[i] = another_cr3();
		cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
		run_syscall();
		stub[i] = machine_stub(m.vcpu[0]);
		cr_assert_gt(stub[i], 0);
		cr_assert(i == 0 || stub[i] != stub[i - 1]);
	}
	for (i = 0; i < 3; i++) {
		cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
		run_syscall();
		cr_assert_eq(machine_stub(m.vcpu[0]), stub[i]);
	}
	machine_fini(&m);
}

#define STUBS 24

/* For good. */
static void limit_stubs(struct native_vcpu *native, unsigned stubs)
{
	native->pool.limit = stubs;
	native->pool.retry_at = UINT64_MAX;
}

Test(native_pool, more_roots_than_stubs_take_turns)
{
	struct native_vcpu *native;
	struct executor_stats stats;
	unsigned i, round;
	uint64_t cr3[STUBS + 5];

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	limit_stubs(native, STUBS);
	for (i = 0; i < STUBS + 5; i++)
		cr3[i] = another_cr3();
	for (round = 0; round < 2; round++) {
		for (i = 0; i < STUBS + 5; i++) {
			cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
			run_syscall();
		}
	}
	native_executor.stats(&m.vm, &stats);
	cr_assert_eq(stats.processes_peak, STUBS);
	cr_assert_eq(stats.processes, STUBS);
	cr_assert_gt(stats.translations, 2 * STUBS);
	machine_fini(&m);
}

/* A guest with many processes: none is emptied to make room. */
Test(native_pool, as_many_roots_as_a_busy_guest_has_keep_their_stubs)
{
	struct executor_stats stats;
	uint64_t cr3[100];
	pid_t stub[100];
	unsigned i, round;

	machine_init(&m, 1);
	for (i = 0; i < 100; i++)
		cr3[i] = another_cr3();
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 100; i++) {
			cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
			run_syscall();
			if (round == 0)
				stub[i] = machine_stub(m.vcpu[0]);
			cr_assert_eq(machine_stub(m.vcpu[0]), stub[i]);
		}
	}
	native_executor.stats(&m.vm, &stats);
	cr_assert_eq(stats.processes, 100);
	machine_fini(&m);
}

GUEST_CODE(code_touch_page, "movq (%rbx), %rax; syscall");

Test(native_pool, of_the_oldest_the_cheapest_is_emptied)
{
	struct native_vcpu *native;
	uint64_t cr3[7];
	pid_t costly;
	unsigned i, page;

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	limit_stubs(native, 6);
	for (i = 0; i < 7; i++)
		cr3[i] = another_cr3();
	for (page = 0; page < 64; page++)
		machine_map(&m, cr3[0], DATA + page * 0x20000, DATA + page * PVM_PAGE_SIZE, 1, RWX);
	cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[0]), PVM_OK);
	for (page = 0; page < 64; page++) {
		machine_code(&m, code_touch_page);
		m.vcpu[0]->pvm.gpr[PVM_RBX] = DATA + page * 0x20000;
		assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	}
	costly = machine_stub(m.vcpu[0]);
	for (i = 1; i < 7; i++) {
		cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
		run_syscall();
	}
	cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[0]), PVM_OK);
	run_syscall();
	cr_assert_eq(machine_stub(m.vcpu[0]), costly, "the one with 64 pages was emptied");
	machine_fini(&m);
}

Test(native_pool, M11_a_host_without_more_processes_makes_do_with_those_there_are)
{
	struct native_vcpu *native;
	unsigned i;
	uint64_t cr3[4];

	machine_init(&m, 1);
	for (i = 0; i < 4; i++)
		cr3[i] = another_cr3();
	cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[0]), PVM_OK);
	run_syscall();
	/* No zygote, no new stubs. */
	native = m.vcpu[0]->executor;
	kill(native->pool.nursery.zygote, SIGKILL);
	for (i = 0; i < 4; i++) {
		cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
		run_syscall();
	}
	cr_assert_eq(native->pool.alive, 1);
	machine_fini(&m);
}

/* A host that has refused a process is asked again after a while, and then again after a longer one. */
Test(native_pool, a_pool_grows_again_when_the_host_can)
{
	struct native_vcpu *native;
	uint64_t cr3[3];
	unsigned i, asked = 0;

	machine_init(&m, 1);
	for (i = 0; i < 3; i++)
		cr3[i] = another_cr3();
	native = m.vcpu[0]->executor;
	native->pool.limit = 2;		/* as after a refusal */
	native->pool.retry_at = POOL_PATIENCE;
	for (i = 0; i < POOL_PATIENCE + 8 && native->pool.alive < 3; i++, asked++) {
		cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i % 3]), PVM_OK);
		run_syscall();
	}
	cr_assert_eq(native->pool.alive, 3);
	cr_assert_geq(asked, POOL_PATIENCE / 2);
	machine_fini(&m);
}

/* A program's stub has its place beside its kernel's, whatever else is free: or they hand nothing over. */
Test(native_pool, stubs_of_a_kernel_and_its_program_are_a_pair)
{
	struct native_vcpu *native;
	struct space *kernels, *programs;
	char why[256] = "";

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	pool_get(&native->pool, 0x1000, false, PVM_INVALID_ADDR, why, sizeof(why)); /* a root of its start */
	kernels = pool_get(&native->pool, 0x2000, false, PVM_INVALID_ADDR, why, sizeof(why));
	programs = pool_get(&native->pool, 0x3000, true, 0x2000, why, sizeof(why));
	cr_assert_not_null(programs, "%s", why);
	cr_assert_eq(pool_peer(&native->pool, programs), kernels);
	machine_fini(&m);
}

/* Also where there are more roots than stubs: a pair is recycled as a pair. */
Test(native_pool, pairs_are_recycled_as_pairs)
{
	struct native_vcpu *native;
	struct space *kernels, *programs;
	char why[256] = "";
	unsigned i;

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	limit_stubs(native, 6);
	for (i = 1; i < 30; i++) {
		kernels = pool_get(&native->pool, 0x2000 * i, false, 0x2000 * i + 0x1000, why, sizeof(why));
		cr_assert_not_null(kernels, "%s", why);
		programs = pool_get(&native->pool, 0x2000 * i + 0x1000, true, 0x2000 * i, why, sizeof(why));
		cr_assert_not_null(programs, "%s", why);
		cr_expect_eq(pool_peer(&native->pool, programs), kernels, "pair %u", i);
	}
	machine_fini(&m);
}

/* ------------------------------------------------------------------------
 * What is mapped costs the host page tables.
 */

#define BUDGET	(2ull << 20)

/* As a guest touches pages 2 MiB apart. */
static void map_far(struct native_vcpu *native, struct space *space, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		space_commands_begin(space);
		space_command_map(space, 0x100000000 + i * (2ull << 20), 4096, 1, 0, true, 0);
		pool_charge(&native->pool, space);
		cr_assert_eq(space_prepare(space), 0);
	}
}

static uint64_t cost_of(const struct native_vcpu *native)
{
	return native->pool.shared->cost;
}

static struct space *stub_of(struct native_vcpu *native, uint64_t cr3)
{
	char why[256] = "";
	struct space *space = pool_get(&native->pool, cr3, false, PVM_INVALID_ADDR, why, sizeof(why));

	cr_assert_not_null(space, "%s", why);
	return space;
}

Test(native_pool, N6_page_tables_of_stubs_have_a_budget)
{
	struct native_vcpu *native;
	struct space *space;
	unsigned i;

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	native->pool.shared->budget = BUDGET;
	for (i = 1; i < 20; i++) {
		space = stub_of(native, 0x1000 * i);
		map_far(native, space, 100);
		cr_expect_leq(cost_of(native), 2 * BUDGET);
	}
	cr_expect_geq(native->pool.alive, 2, "as many as the budget is for are kept");
	cr_expect_lt(native->pool.alive, 19);
	map_far(native, space, 2000);	/* one alone */
	cr_expect_leq(cost_of(native), 2 * BUDGET);
	cr_expect_eq(native->pool.cost, cost_of(native));
	for (i = 0; i < native->pool.count; i++)
		pool_discard(&native->pool, &native->pool.spaces[i]);
	cr_expect_eq(cost_of(native), 0, "what has ended costs nothing");
	machine_fini(&m);
}

/* A guest that stays within a few MiB costs little, however often it maps. */
Test(native_pool, pages_beside_each_other_share_a_table)
{
	struct native_vcpu *native;
	struct space *space;
	unsigned i;

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	space = stub_of(native, 0x1000);
	space_commands_begin(space);
	for (i = 0; i < 512; i++) {
		space->control->count = 0;
		space_command_map(space, 0x100000000 + i * 4096, 4096, 1, 0, true, 0);
	}
	cr_expect_leq(space->cost, 512 * 256 + 2 * 4096);
	space->control->count = 0;
	machine_fini(&m);
}

/* Lines of the host's list of what a process has mapped. */
static unsigned entries_of(const struct space *space)
{
	char path[64];
	unsigned count = 0;
	FILE *maps;
	int c;

	snprintf(path, sizeof(path), "/proc/%d/maps", space->pid);
	maps = fopen(path, "r");
	cr_assert_not_null(maps);
	while ((c = getc(maps)) != EOF)
		count += c == '\n';
	fclose(maps);
	return count;
}

/* Every second page of a run is forgotten: what is left of one entry are eight. */
Test(native_pool, N6_holes_in_a_mapping_cost_the_entries_that_they_make)
{
	struct native_vcpu *native;
	struct space *space;
	unsigned before, i;
	uint64_t cost;

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	space = stub_of(native, 0x1000);
	space_commands_begin(space);
	space_command_map(space, 0x100000000, 16 * PVM_PAGE_SIZE, 1, 0, true, 0);
	pool_charge(&native->pool, space);
	cr_assert_eq(space_prepare(space), 0);
	before = entries_of(space);
	cost = cost_of(native);
	for (i = 1; i < 16; i += 2)
		space_forget(space, 0x100000000 + i * PVM_PAGE_SIZE, PVM_PAGE_SIZE);
	space_commands_begin(space);
	pool_charge(&native->pool, space);
	cr_assert_eq(space_prepare(space), 0);
	cr_expect_geq(entries_of(space), before + 7);
	cr_expect_geq(cost_of(native), cost + (entries_of(space) - before) * 256);
	space->forget_all = true;
	space_commands_begin(space);
	pool_charge(&native->pool, space);
	cr_expect_eq(cost_of(native), 0, "who forgets all has no holes");
	space->control->count = 0;
	machine_fini(&m);
}

#define CLEAN	0x40000000ull	/* pages that have not been written */

GUEST_CODE(code_read_all, "1: movq (%rbx), %rax; addq $4096, %rbx; decl %edx; jnz 1b; syscall");
GUEST_CODE(code_write_odd, "1: addq $4096, %rbx; movq %rbx, (%rbx); addq $4096, %rbx; decl %edx; jnz 1b; syscall");

/* Read first, so that all are one mapping; then every second one gets the right to be written. */
Test(native_pool, N6_rights_amid_a_mapping_cost_the_entries_that_they_make)
{
	struct space *space;
	unsigned before, i;
	uint64_t cost;

	machine_init(&m, 1);
	for (i = 0; i < 16; i++)
		machine_map(&m, m.supervisor_cr3, CLEAN + i * PVM_PAGE_SIZE, 0x600000 + i * PVM_PAGE_SIZE, 1,
			    RWX);
	machine_code(&m, code_read_all);
	m.vcpu[0]->pvm.gpr[PVM_RBX] = CLEAN;
	m.vcpu[0]->pvm.gpr[PVM_RDX] = 16;
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	space = machine_space(m.vcpu[0]);
	cost = space->cost;
	before = entries_of(space);
	machine_code(&m, code_write_odd);
	m.vcpu[0]->pvm.gpr[PVM_RBX] = CLEAN;
	m.vcpu[0]->pvm.gpr[PVM_RDX] = 7;
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	cr_assert_eq(machine_space(m.vcpu[0]), space);
	cr_expect_geq(entries_of(space), before + 14);
	cr_expect_geq(space->cost, cost + (entries_of(space) - before) * 256);
	machine_fini(&m);
}

/* No vCPU grows while another has no stub, and each has its own before its guest runs. */
Test(native_pool, N5_a_vcpu_leaves_the_others_their_first_stub)
{
	struct native_vcpu *first, *second;
	uint64_t cr3[3];
	unsigned i;

	machine_init(&m, 2);
	first = m.vcpu[0]->executor;
	second = m.vcpu[1]->executor;
	cr_assert_eq(first->pool.alive, 1);
	cr_assert_eq(second->pool.alive, 1);
	for (i = 0; i < 3; i++)
		cr3[i] = another_cr3();
	pool_discard(&second->pool, &second->pool.spaces[0]);
	for (i = 0; i < 3; i++) {
		cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
		run_syscall();
	}
	cr_assert_eq(first->pool.alive, 1);
	cr_assert_eq(machine_run(m.vcpu[1]).kind, PVM_EXIT_SYSCALL);
	cr_assert_eq(second->pool.alive, 1);
	for (i = 0; i < 3; i++) {
		cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3[i]), PVM_OK);
		run_syscall();
	}
	cr_assert_eq(first->pool.alive, 3);
	machine_fini(&m);
}

/* So many more than there are now. */
static void leave_descriptors(unsigned more)
{
	struct rlimit limit;
	int lowest = dup(0);

	cr_assert_geq(lowest, 0);
	close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)lowest + more;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void run_on(unsigned vcpu, uint64_t cr3)
{
	machine_put(&m, m.vcpu[vcpu], CODE, code_syscall, (size_t)(code_syscall_end - code_syscall));
	cr_assert_eq(pvm_cr_write(&m.vcpu[vcpu]->pvm, 3, cr3), PVM_OK);
	assert_kind(machine_run(m.vcpu[vcpu]), PVM_EXIT_SYSCALL);
}

/* One vCPU has taken all that the host gives, before the other one wants more than its first. */
Test(native_pool, N5_what_the_host_gives_is_shared)
{
	struct native_vcpu *first, *second;
	uint64_t cr3[12], created, least;
	unsigned i;

	machine_init(&m, 2);
	first = m.vcpu[0]->executor;
	second = m.vcpu[1]->executor;
	leave_descriptors(40);
	for (i = 0; i < 12; i++)
		cr3[i] = another_cr3();
	for (i = 0; i < 12; i++)
		run_on(0, cr3[i]);
	cr_assert_geq(first->pool.alive, 6);
	cr_assert_lt(first->pool.alive, 12);
	least = (first->pool.alive + second->pool.alive) / 2 - 1;
	for (i = 0; i < 48; i++) {
		run_on(1, cr3[i % 12]);
		run_on(0, cr3[i % 2]);
	}
	cr_expect_geq(second->pool.alive, least, "%lu", (unsigned long)second->pool.alive);
	cr_expect_geq(first->pool.alive, least, "%lu", (unsigned long)first->pool.alive);
	created = first->pool.created + second->pool.created;
	for (i = 0; i < 24; i++) {
		run_on(1, cr3[i % 2]);
		run_on(0, cr3[i % 2]);
	}
	cr_expect_eq(first->pool.created + second->pool.created, created, "who has enough takes none");
	machine_fini(&m);
}

static void *raise_limit_soon(void *unused)
{
	struct rlimit limit;

	(void)unused;
	usleep(100000);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur += 100;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return NULL;
}

/* RLIMIT_NPROC counts what other programs of the user's start and end, too. */
Test(native_pool, N5_a_vcpu_whose_only_stub_cannot_be_replaced_at_once_waits_for_the_host)
{
	struct native_vcpu *native;
	pthread_t thread;

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	pool_discard(&native->pool, &native->pool.spaces[0]);
	leave_descriptors(0);
	pthread_create(&thread, NULL, raise_limit_soon, NULL);
	run_syscall();
	pthread_join(thread, NULL);
	machine_fini(&m);
}

Test(native_pool, M11_a_vcpu_without_any_stub_fails_with_one_line)
{
	struct native_vcpu *native;
	struct pvm_guest_exit exit;

	machine_init(&m, 1);
	native = m.vcpu[0]->executor;
	pool_discard(&native->pool, &native->pool.spaces[0]);
	kill(native->pool.nursery.zygote, SIGKILL);
	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_FAILED);
	cr_assert(strstr(exit.message, "no new stub process"), "%s", exit.message);
	machine_fini(&m);
}

GUEST_CODE(code_touch, "1: movq (%rbx), %rax; addq $8192, %rbx; decq %rcx; jnz 1b; syscall");

/* vm.max_map_count: a TLB may forget, but the guest goes on. */
Test(native_pool, M11_more_mappings_than_the_host_allows_start_over_with_none)
{
	struct pvm_guest_exit exit;
	struct rlimit limit = { 96 << 20, RLIM_INFINITY }, old;
	struct native_vcpu *native;
	uint64_t created;
	unsigned tries;

	machine_init(&m, 1);
	run_syscall();
	native = m.vcpu[0]->executor;
	created = native->pool.created;
	/* So little address space that the stub is refused a mapping soon. */
	prlimit(machine_stub(m.vcpu[0]), RLIMIT_AS, NULL, &old);
	limit.rlim_max = old.rlim_max;
	limit.rlim_cur = 100 * PVM_PAGE_SIZE;
	cr_assert_eq(prlimit(machine_stub(m.vcpu[0]), RLIMIT_AS, &limit, NULL), 0);
	machine_code(&m, code_touch);
	m.vcpu[0]->pvm.gpr[PVM_RBX] = 0x400000;
	m.vcpu[0]->pvm.gpr[PVM_RCX] = 300;
	for (tries = 0; tries < 5; tries++) {
		exit = machine_run(m.vcpu[0]);
		if (exit.kind == PVM_EXIT_SYSCALL)
			break;
	}
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert_eq(m.vcpu[0]->pvm.gpr[PVM_RBX], 0x400000 + 300 * 8192);
	cr_assert_gt(native->pool.created, created);
	machine_fini(&m);
}

Test(native_pool, a_host_that_refuses_the_first_mapping_is_an_error_that_says_so)
{
	struct rlimit limit;
	struct native_vcpu *native;
	struct pvm_guest_exit exit;
	uint64_t cr3;

	machine_init(&m, 1);
	run_syscall();		/* the zygote is up */
	native = m.vcpu[0]->executor;
	cr3 = another_cr3();
	/* The zygote's limit is what every new stub starts with. */
	prlimit(native->pool.nursery.zygote, RLIMIT_AS, NULL, &limit);
	/* Its own pages, its peer's, its text, and too little more. */
	limit.rlim_cur = STUB_SLOT_SIZE + STUB_HANDED_SIZE + STUB_SHARED_SIZE + 16 * PVM_PAGE_SIZE;
	cr_assert_eq(prlimit(native->pool.nursery.zygote, RLIMIT_AS, &limit, NULL), 0);
	machine_map(&m, cr3, 0x40000000, 16 << 20, 2, RWX);
	cr_assert_eq(pvm_cr_write(&m.vcpu[0]->pvm, 3, cr3), PVM_OK);
	m.vcpu[0]->pvm.rip = 0x40000000;
	memset(machine_at(&m, 16 << 20), 0x90, 4096);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_FAILED);
	cr_assert(strstr(exit.message, "refuses to map guest address 0x40000000"), "%s", exit.message);
	machine_fini(&m);
}
