/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The processes: how they end, that none is ever left, and kicks. How many there are: pool.c. */
#include "machine.h"

#include <dirent.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"
#include "placement.h"
#include "watchdog.h"

#define NOT_ALLOWED	77	/* exit status */

static struct machine m;

TestSuite(native_life, .timeout = 60);

GUEST_CODE(code_syscall, "syscall");
GUEST_CODE(code_spin, "1: jmp 1b");

static void run_syscall(void)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
}

/* ------------------------------------------------------------------------
 * Ends.
 */

static unsigned children(void)
{
	unsigned count = 0;
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "r");
	cr_assert(file);
	while (fscanf(file, "%d", &pid) == 1)
		count++;
	fclose(file);
	return count;
}

static unsigned descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

Test(native_life, a_vm_that_is_over_leaves_no_process_and_no_descriptor)
{
	unsigned before_children = children(), before_fds = descriptors(), i;

	for (i = 0; i < 3; i++) {
		machine_init(&m, 2);
		run_syscall();
		machine_user(&m, true);
		run_syscall();
		machine_fini(&m);
	}
	cr_assert_eq(children(), before_children);
	cr_assert_eq(descriptors(), before_fds);
}

struct report {
	pid_t zygote, stub;
};

static void *press_quit(void *argument)
{
	while (!*(volatile bool *)argument)
		kill(0, SIGQUIT);
	return NULL;
}

/* The keys of a terminal, which all of its foreground process group gets. signals.c waits for them. */
Test(native_life, a_terminals_keys_never_reach_a_process_that_starts)
{
	pid_t monitor = fork();
	int status;

	if (monitor == 0) {
		bool over = false;
		pthread_t keys;
		sigset_t all;

		setpgid(0, 0);
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		if (pthread_create(&keys, NULL, press_quit, &over))
			_exit(1);
		machine_init(&m, 1);
		run_syscall();
		machine_fini(&m);
		*(volatile bool *)&over = true;
		pthread_join(keys, NULL);
		_exit(0);
	}
	cr_assert_eq(waitpid(monitor, &status, 0), monitor);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}

/* A monitor in a process of its own, which dies by @signal while its guest runs. */
static void die_by(int signal)
{
	struct report *report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, tries;
	pid_t monitor;

	/* Orphans come to us, so that we see whether any is left. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	monitor = fork();
	if (monitor == 0) {
		const struct native_vcpu *native;

		machine_init(&m, 1);
		run_syscall();
		native = m.vcpu[0]->executor;
		report->zygote = native->pool.nursery.zygote;
		machine_code(&m, code_spin);
		__atomic_store_n(&report->stub, machine_stub(m.vcpu[0]), __ATOMIC_SEQ_CST);
		machine_run(m.vcpu[0]);
		_exit(0);
	}
	while (!__atomic_load_n(&report->stub, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(20000);
	kill(monitor, signal);
	cr_assert_eq(waitpid(monitor, &status, 0), monitor);
	for (tries = 0; tries < 5000; tries++) {
		while (waitpid(-1, &status, WNOHANG) > 0)
			;
		if (kill(report->stub, 0) < 0 && kill(report->zygote, 0) < 0)
			break;
		usleep(1000);
	}
	cr_assert_lt(kill(report->stub, 0), 0, "the stub lives on");
	cr_assert_lt(kill(report->zygote, 0), 0, "the zygote lives on");
	munmap(report, 4096);
}

Test(native_life, nothing_is_left_when_the_monitor_is_killed)
{
	die_by(SIGKILL);
}

Test(native_life, nothing_is_left_when_the_monitor_crashes)
{
	die_by(SIGABRT);
}

Test(native_life, a_monitor_whose_parent_ignores_sigchld_works_too)
{
	signal(SIGCHLD, SIG_IGN);
	machine_init(&m, 1);
	run_syscall();
	machine_fini(&m);
	signal(SIGCHLD, SIG_DFL);
}

/* ------------------------------------------------------------------------
 * Kicks.
 */

Test(native_life, a_kick_before_the_run_is_remembered_once)
{
	struct pvm_guest_exit exit;

	machine_init(&m, 1);
	native_executor.kick(m.vcpu[0]);
	native_executor.kick(m.vcpu[0]);
	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_KICK);
	cr_assert_eq(m.vcpu[0]->pvm.rip, CODE);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	machine_fini(&m);
}

static void *kick_soon(void *argument)
{
	usleep(*(useconds_t *)argument);
	native_executor.kick(m.vcpu[0]);
	return NULL;
}

/* One CPU for the guest and for who kicks it, and all of one priority. */
static void run_in_real_time(void)
{
	struct sched_param priority = { .sched_priority = 1 };
	useconds_t delay = 20000;
	struct pvm_guest_exit exit;
	pthread_t thread;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) || sched_setscheduler(0, SCHED_FIFO, &priority))
		_exit(NOT_ALLOWED);
	machine_init(&m, 1);
	machine_code(&m, code_spin);
	pthread_create(&thread, NULL, kick_soon, &delay);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	machine_fini(&m);
	_exit(exit.kind != PVM_EXIT_KICK);
}

Test(native_life, N3_a_real_time_guest_leaves_its_cpu_to_who_kicks_it)
{
	pid_t monitor = fork();
	int status, tries;

	if (monitor == 0)
		run_in_real_time();
	for (tries = 0; tries < 200 && waitpid(monitor, &status, WNOHANG) == 0; tries++)
		usleep(100000);
	if (tries == 200) {
		kill(monitor, SIGKILL);
		cr_assert_fail("it was never kicked");
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED)
		cr_skip_test("SCHED_FIFO is not allowed");
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}

Test(native_life, a_kick_ends_a_run_whenever_it_comes)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	useconds_t delay;

	machine_init(&m, 1);
	machine_code(&m, code_spin);
	for (delay = 0; delay < 2000; delay += 37) {
		pthread_create(&thread, NULL, kick_soon, &delay);
		exit = machine_run(m.vcpu[0]);
		pthread_join(thread, NULL);
		assert_kind(exit, PVM_EXIT_KICK);
		cr_assert_eq(m.vcpu[0]->pvm.rip, CODE);
	}
	machine_fini(&m);
}

GUEST_CODE(code_count, "1: incq %rbx; syscall; jmp 1b");

static atomic_bool stop_kicking;
static atomic_ullong runs;

/* Once per run, another moment each time: @argument steps, over some 20 ns each. */
static void *kick_each_run(void *argument)
{
	uint64_t steps = *(const uint64_t *)argument, seen = 0, now;
	volatile uint64_t i;

	while (!atomic_load(&stop_kicking)) {
		now = atomic_load(&runs);
		if (now == seen)
			continue;
		seen = now;
		for (i = 0; i < seen % steps * 20; i++)
			;
		native_executor.kick(m.vcpu[0]);
	}
	return NULL;
}

/* Whenever a kick hits the stub, in its own code or in the guest's, nothing is
 * executed twice and nothing is lost. */
Test(native_life, kicks_at_any_instruction_neither_repeat_nor_lose_what_the_guest_does)
{
	uint64_t calls = 0, kicked = 0, steps = 3000;
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned i;

	machine_init(&m, 1);
	machine_code(&m, code_count);
	m.vcpu[0]->pvm.gpr[PVM_RBX] = 0;
	pthread_create(&thread, NULL, kick_each_run, &steps);
	for (i = 0; i < 20000; i++) {
		atomic_fetch_add(&runs, 1);
		exit = machine_run(m.vcpu[0]);
		if (exit.kind == PVM_EXIT_KICK) {
			kicked++;
			continue;
		}
		assert_kind(exit, PVM_EXIT_SYSCALL);
		cr_assert_eq(m.vcpu[0]->pvm.gpr[PVM_RBX], ++calls);
		cr_assert_eq(m.vcpu[0]->pvm.gpr[PVM_RCX], CODE + 5);
	}
	atomic_store(&stop_kicking, true);
	pthread_join(thread, NULL);
	cr_assert_gt(calls, 0);
	cr_assert_gt(kicked, 0);
	machine_fini(&m);
}

/* One kick per run, and a guest that does not end by itself: none is lost. */
Test(native_life, no_kick_is_lost_at_any_moment_of_the_entry)
{
	struct pvm_guest_exit exit;
	uint64_t steps = 500;
	pthread_t thread;
	unsigned i;

	machine_init(&m, 1);
	machine_code(&m, code_spin);
	pthread_create(&thread, NULL, kick_each_run, &steps);
	for (i = 0; i < 3000; i++) {
		atomic_fetch_add(&runs, 1);
		exit = machine_run(m.vcpu[0]);
		assert_kind(exit, PVM_EXIT_KICK);
	}
	atomic_store(&stop_kicking, true);
	pthread_join(thread, NULL);
	machine_fini(&m);
}

/* ------------------------------------------------------------------------
 * Placement.
 */

static pid_t start_child(bool ends)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!ends)
			pause();
		_exit(0);
	}
	cr_assert_gt(child, 0);
	return child;
}

/* The number of a mapper is free once its stub has died; here another process has it. */
Test(native_life, the_mapper_of_a_stub_that_has_died_is_not_placed)
{
	struct space peer = SPACE_NONE, space = SPACE_NONE;
	struct placement placement = { .cpu = -1 };
	cpu_set_t before, after;
	siginfo_t info;

	peer.pid = start_child(true);
	peer.pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	peer.mapper = start_child(false);
	cr_assert_geq(peer.pidfd, 0);
	cr_assert_eq(waitid(P_PIDFD, (id_t)peer.pidfd, &info, WEXITED | WNOWAIT), 0);
	cr_assert_eq(sched_getaffinity(peer.mapper, sizeof(before), &before), 0);
	if (CPU_COUNT(&before) < 2)
		cr_skip_test("there is one CPU");
	space.cpu = sched_getcpu();
	placement_follow(&placement, &space, &peer);
	cr_assert_eq(sched_getaffinity(peer.mapper, sizeof(after), &after), 0);
	cr_expect(CPU_EQUAL(&before, &after), "another process was bound to a CPU");
	kill(peer.mapper, SIGKILL);
	space_destroy(&peer);
}

static void *wait_for_post(void *semaphore)
{
	sem_wait(semaphore);
	return NULL;
}

/* A run that goes on with the CPUs that @unbound has now. */
static cpu_set_t placed(struct placement *placement, struct space *space, pthread_t unbound)
{
	cpu_set_t cpus;

	placement_bind(placement, space, false, unbound);	/* bound */
	placement_bind(placement, space, true, unbound);	/* loose */
	cr_assert_eq(sched_getaffinity(space->pid, sizeof(cpus), &cpus), 0);
	cr_expect(CPU_EQUAL(&cpus, &placement->allowed));
	cr_assert_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	return cpus;
}

Test(native_life, taskset_counts_while_a_vm_runs)
{
	struct space space = SPACE_NONE;
	struct placement placement = { .cpu = -1 };
	cpu_set_t all, one, cpus;
	pthread_t unbound;
	sem_t end;

	cr_assert_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2)
		cr_skip_test("there is one CPU");
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sem_init(&end, 0, 0);
	cr_assert_eq(pthread_create(&unbound, NULL, wait_for_post, &end), 0);
	space.pid = space.mapper = start_child(false);
	space.pidfd = (int)syscall(SYS_pidfd_open, space.pid, 0);
	cpus = placed(&placement, &space, unbound);
	cr_expect(CPU_EQUAL(&cpus, &all));
	pthread_setaffinity_np(unbound, sizeof(one), &one);
	cpus = placed(&placement, &space, unbound);
	cr_expect(CPU_EQUAL(&cpus, &one), "less is not followed");
	pthread_setaffinity_np(unbound, sizeof(all), &all);
	cpus = placed(&placement, &space, unbound);
	cr_expect(CPU_EQUAL(&cpus, &all), "more is not followed");
	sem_post(&end);
	pthread_join(unbound, NULL);
	space_destroy(&space);
}

/* Until it may use @cpus; this test's limit of time is the end of it. */
static void wait_for_cpus(pid_t pid, const cpu_set_t *cpus)
{
	cpu_set_t now;

	do {
		sched_yield();
		cr_assert_eq(sched_getaffinity(pid, sizeof(now), &now), 0);
	} while (!CPU_EQUAL(&now, cpus));
}

/* A guest that computes, and makes no exit. */
Test(native_life, taskset_counts_for_a_guest_that_computes)
{
	struct space space = SPACE_NONE;
	struct watchdog watchdog;
	struct gate gate;
	cpu_set_t all, one;

	cr_assert_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2)
		cr_skip_test("there is one CPU");
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	space.pid = start_child(false);
	space.pidfd = (int)syscall(SYS_pidfd_open, space.pid, 0);
	cr_assert_eq(sched_setaffinity(space.pid, sizeof(one), &one), 0);
	cr_assert_eq(watchdog_start(&watchdog), 0);
	gate_init(&gate, &watchdog);
	cr_assert(watchdog_add(&watchdog, &gate));
	cr_assert_eq(gate_enter(&gate, &space, NULL), GATE_ENTERED);
	wait_for_cpus(space.pid, &all);
	pthread_setaffinity_np(watchdog.thread, sizeof(one), &one);
	wait_for_cpus(space.pid, &one);
	gate_leave(&gate);
	watchdog_remove(&watchdog, &gate);
	watchdog_stop(&watchdog);
	gate_destroy(&gate);
	space_destroy(&space);
}

/* ------------------------------------------------------------------------
 * Memory that the host has not.
 */
#define LOST	(MACHINE_MEMORY - PVM_PAGE_SIZE)

GUEST_CODE(code_touch, "incb (%rbx); syscall");

static struct pvm_guest_exit touch_what_the_host_lost(bool user)
{
	struct pvm_guest_exit exit;

	machine_init_shrinkable(&m, 1);
	machine_map(&m, m.supervisor_cr3, DATA, LOST, 1, RWX);
	machine_map(&m, m.user_cr3, DATA, LOST, 1, RWX);
	if (user)
		machine_user(&m, true);
	machine_code(&m, code_touch);
	m.vcpu[0]->pvm.gpr[PVM_RBX] = DATA;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	machine_lose(&m, LOST);
	machine_code(&m, code_touch);
	exit = machine_run(m.vcpu[0]);
	machine_fini(&m);
	return exit;
}

Test(native_life, memory_that_the_host_lost_ends_the_vm_with_its_address)
{
	struct pvm_guest_exit exit;
	unsigned user;

	for (user = 0; user < 2; user++) {
		exit = touch_what_the_host_lost(user);
		assert_kind(exit, PVM_EXIT_FAILED);
		cr_assert_str_eq(exit.message, "the host lost the guest memory at gpa 0x3fff000");
	}
}
