/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Signals that come from outside: those of other processes, and the kick. */
#include "stub_text.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static struct machine m;

static void setup(void)
{
	machine_init(&m, 1);
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_signals, .init = setup, .fini = teardown, .timeout = 60);

static struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

GUEST_CODE(code_spin_until, "1: cmpq $0, (%rbx); je 1b; syscall");

/* The guest's, and one below it in a handler: whatever state this CPU has. */
Test(native_signals, two_frames_fit_the_signal_stack)
{
	const struct sigframe_place *place;
	uint64_t size;

	machine_code(&m, code_spin_until);
	cpu()->gpr[PVM_RBX] = CODE;
	machine_run(m.vcpu[0]);
	place = &machine_space(m.vcpu[0])->frame;
	size = STUB_ALTSTACK + STUB_ALTSTACK_SIZE - place->address;
	cr_assert_leq(2 * size, STUB_ALTSTACK_SIZE, "%lu bytes", (unsigned long)size);
}

static void *send_signals(void *argument)
{
	static const int signals[] = { SIGSEGV, SIGSYS, SIGTRAP, SIGILL, SIGFPE, SIGBUS, SIGUSR1 };
	pid_t stub = *(pid_t *)argument;
	unsigned i;

	/* Stopped, it gets them all at once. */
	kill(stub, SIGSTOP);
	for (i = 0; i < 7; i++)
		kill(stub, signals[i]);
	kill(stub, SIGCONT);
	usleep(20000);
	*(volatile uint64_t *)machine_at(&m, DATA) = 1;
	return NULL;
}

/* The guest runs; its stub is stopped, and is kicked when it is. */
static void *stop_and_kick(void *argument)
{
	const volatile uint64_t *runs = machine_at(&m, DATA);
	pid_t stub = *(pid_t *)argument;
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", stub);
	while (!*runs)
		usleep(100);
	kill(stub, SIGSTOP);
	while (state != 'T' && state != 'Z') {
		FILE *file = fopen(path, "r");

		if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
			state = 'T';	/* the kick is then refused: the test fails */
		if (file)
			fclose(file);
	}
	native_executor.kick(m.vcpu[0]);
	return NULL;
}

GUEST_CODE(code_count, "1: incq (%rbx); jmp 1b");

Test(native_signals, a_stub_that_was_stopped_is_kicked_all_the_same)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	pid_t stub;

	machine_code(&m, code_spin_until);
	cpu()->gpr[PVM_RBX] = DATA;
	*(uint64_t *)machine_at(&m, DATA) = 1;
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	*(uint64_t *)machine_at(&m, DATA) = 0;
	machine_code(&m, code_count);
	stub = machine_stub(m.vcpu[0]);
	pthread_create(&thread, NULL, stop_and_kick, &stub);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_kind(exit, PVM_EXIT_KICK);
}

Test(native_signals, what_somebody_sends_is_no_exit)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	pid_t stub;

	machine_code(&m, code_spin_until);
	cpu()->gpr[PVM_RBX] = CODE + 0x800;
	*(uint64_t *)machine_at(&m, CODE + 0x800) = 1;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cpu()->rip = CODE;
	cpu()->gpr[PVM_RBX] = DATA;
	stub = machine_stub(m.vcpu[0]);
	pthread_create(&thread, NULL, send_signals, &stub);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert_eq(machine_stub(m.vcpu[0]), stub);
}

/* To all processes of the VM but the monitor's. */
static void *send_ends(void *argument)
{
	static const int signals[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGTSTP, SIGTTIN,
		SIGTTOU, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGUSR1,
	};
	const struct native_vcpu *native = m.vcpu[0]->executor;
	pid_t stub = *(pid_t *)argument;
	unsigned i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		kill(stub, signals[i]);
		kill(native->pool.nursery.zygote, signals[i]);
	}
	kill(stub, SIGRTMIN);
	kill(native->pool.nursery.zygote, SIGRTMAX);
	usleep(20000);
	*(volatile uint64_t *)machine_at(&m, DATA) = 1;
	return NULL;
}

/* As a service manager's SIGTERM to all of a service, or pkill's: the monitor obeys, and the VM ends in
 * order. */
Test(native_signals, what_ends_processes_ends_no_stub_and_no_zygote)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	char why[256] = "";
	pid_t stub;

	machine_code(&m, code_spin_until);
	cpu()->gpr[PVM_RBX] = CODE + 0x800;
	*(uint64_t *)machine_at(&m, CODE + 0x800) = 1;
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	cpu()->rip = CODE;
	cpu()->gpr[PVM_RBX] = DATA;
	stub = machine_stub(m.vcpu[0]);
	pthread_create(&thread, NULL, send_ends, &stub);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert_eq(machine_stub(m.vcpu[0]), stub);
	cr_assert_not_null(pool_get(&((struct native_vcpu *)m.vcpu[0]->executor)->pool, 1ull << 50, true,
				    PVM_INVALID_ADDR, why, sizeof(why)), "%s", why);
	cr_assert_eq(((struct native_vcpu *)m.vcpu[0]->executor)->pool.alive, 2, "the zygote lives");
}

/* ------------------------------------------------------------------------
 * A signal at every instruction between the monitor's go and the guest's first.
 * A breakpoint stops the stub there; what is pending then, it gets there.
 */

#define XSTATE_XMM0	160
#define XSTATE_BV	512
#define XSTATE_SSE	2u
#define PLACES_MAX	200
#define PLACES_MIN	30

GUEST_CODE(code_show64, "movq %xmm0, %rax; syscall");
GUEST_CODE(code_show32, ".code32; movd %xmm0, %eax; int $0x80; .code64");

static struct pvm_guest_exit run_exit;

static void *run_thread(void *unused)
{
	(void)unused;
	run_exit = machine_run_once(m.vcpu[0]);
	return NULL;
}

static void wait_for_stop(pid_t stub)
{
	int status = 0;

	cr_assert_eq(waitpid(stub, &status, __WALL), stub);
	cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "status %#x", (unsigned)status);
}

static void set_breakpoint(pid_t stub, uint64_t address, uint64_t dr7)
{
	size_t dr = offsetof(struct user, u_debugreg);

	cr_assert_eq(ptrace(PTRACE_POKEUSER, stub, dr, address), 0);
	cr_assert_eq(ptrace(PTRACE_POKEUSER, stub, dr + 8 * 7, dr7), 0);
}

static uint64_t rip_of(pid_t stub)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, stub, offsetof(struct user, regs.rip), NULL);
}

/* Run until the stub is at @place. */
static pthread_t run_to(pid_t stub, uint64_t place)
{
	pthread_t thread;

	cpu()->rip = CODE;
	cr_assert_eq(ptrace(PTRACE_SEIZE, stub, NULL, NULL), 0);
	cr_assert_eq(ptrace(PTRACE_INTERRUPT, stub, NULL, NULL), 0);
	wait_for_stop(stub);
	set_breakpoint(stub, place, PVM_DR7_ENABLE(0));
	cr_assert_eq(ptrace(PTRACE_CONT, stub, NULL, NULL), 0);
	pthread_create(&thread, NULL, run_thread, NULL);
	wait_for_stop(stub);
	cr_assert_eq(rip_of(stub), place);
	set_breakpoint(stub, 0, 0);
	return thread;
}

/* The way from the go to the guest. */
static unsigned learn_places(pid_t stub, uint64_t places[PLACES_MAX])
{
	unsigned count = 0;
	pthread_t thread;

	read_stub_text(&m);
	places[0] = STUB_TEXT + (uint64_t)find(insn_syscall, 2, SYSCALL_WAIT) + 2;
	thread = run_to(stub, places[0]);
	while (places[count] >= STUB_REGION) {
		cr_assert_lt(++count, PLACES_MAX);
		cr_assert_eq(ptrace(PTRACE_SINGLESTEP, stub, NULL, NULL), 0);
		wait_for_stop(stub);
		places[count] = rip_of(stub);
	}
	/* ptrace loses count of who has set TF where it steps over a POPF. */
	ptrace(PTRACE_DETACH, stub, NULL, NULL);
	pthread_join(thread, NULL);
	cpu()->rflags &= ~(uint64_t)PVM_RFLAGS_TF;
	cr_assert_gt(count, PLACES_MIN);
	return count;
}

/* XMM0 is new for each run. */
static uint64_t set_xmm0(unsigned n)
{
	uint64_t value = 0x12340000 + n;
	uint8_t *x = m.vcpu[0]->xstate;

	cr_assert_gt(m.vcpu[0]->xstate_size, XSTATE_BV);
	memset(x + XSTATE_XMM0, 0, 16);
	memcpy(x + XSTATE_XMM0, &value, sizeof(value));
	x[XSTATE_BV] |= XSTATE_SSE;
	return value;
}

static void signal_at_every_place(bool code64, bool is_kick)
{
	uint64_t places[PLACES_MAX], value;
	pthread_t thread;
	unsigned i, count;
	pid_t stub;

	machine_user(&m, code64);
	if (code64)
		machine_code(&m, code_show64);
	else
		machine_code(&m, code_show32);
	machine_run(m.vcpu[0]);		/* no fault is left */
	stub = machine_stub(m.vcpu[0]);
	count = learn_places(stub, places);
	for (i = 0; i < count; i++) {
		value = set_xmm0(i);
		thread = run_to(stub, places[i]);
		if (is_kick)
			native_executor.kick(m.vcpu[0]);
		else
			cr_assert_eq(kill(stub, SIGFPE), 0);
		ptrace(PTRACE_DETACH, stub, NULL, NULL);
		pthread_join(thread, NULL);
		if (is_kick) {
			assert_kind(run_exit, PVM_EXIT_KICK);
			run_exit = machine_run(m.vcpu[0]);
		}
		assert_kind(run_exit, code64 ? PVM_EXIT_SYSCALL : PVM_EXIT_SOFTWARE);
		cr_assert_eq(cpu()->gpr[PVM_RAX], value, "%#lx after a signal at %#lx",
			     (unsigned long)cpu()->gpr[PVM_RAX], (unsigned long)places[i]);
		cr_assert_eq(machine_stub(m.vcpu[0]), stub, "the stub was lost");
	}
}

Test(native_signals, one_at_any_instruction_of_the_way_to_64_bit_code_changes_nothing)
{
	signal_at_every_place(true, false);
}

Test(native_signals, one_at_any_instruction_of_the_way_to_32_bit_code_changes_nothing)
{
	signal_at_every_place(false, false);
}

Test(native_signals, a_kick_at_any_instruction_of_the_way_to_64_bit_code_is_a_kick)
{
	signal_at_every_place(true, true);
}

Test(native_signals, a_kick_at_any_instruction_of_the_way_to_32_bit_code_is_a_kick)
{
	signal_at_every_place(false, true);
}

/* A program without key 0 is entered by a tracer, which sees all signals; these have come while the
 * stub waited. */
Test(native_signals, N5_what_comes_to_a_program_without_key_0_is_no_exit)
{
	static const int signals[] = {
		SIGCONT, SIGWINCH, SIGCHLD, SIGURG, SIGTSTP, SIGTTIN, SIGTTOU, SIGTRAP,
	};
	struct pvm_guest_exit exit;
	uint64_t value;
	unsigned i;

	if (!m.config.host_pke)
		cr_skip_test("this CPU has no protection keys");
	machine_user(&m, true);
	machine_code(&m, code_show64);
	cpu()->pkru = 1;
	machine_run(m.vcpu[0]);		/* no fault is left */
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		value = set_xmm0(i);
		cpu()->rip = CODE;
		cpu()->pkru = 1;
		cr_assert_eq(kill(machine_stub(m.vcpu[0]), signals[i]), 0);
		exit = machine_run(m.vcpu[0]);
		assert_kind(exit, PVM_EXIT_SYSCALL);
		cr_assert_eq(cpu()->gpr[PVM_RAX], value, "signal %d", signals[i]);
		cr_assert_eq(cpu()->pkru, 1, "signal %d", signals[i]);
	}
}

/* ------------------------------------------------------------------------
 * Signals to a process that is about to be a stub.
 */

#define BIRTHS		3000
#define BIRTH_STEPS	300
#define BIRTH_STEP	400	/* times round a loop: less than a microsecond */

static atomic_bool all_are_born;

/* One to each child that is younger than the zygote, each time a little later. */
static void *signal_newborns(void *argument)
{
	pid_t last = *(const pid_t *)argument, child;
	char path[64], text[512];
	unsigned births = 0;
	volatile unsigned i;
	const char *at;
	ssize_t n;
	int file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = open(path, O_RDONLY);
	while (!atomic_load(&all_are_born)) {
		n = pread(file, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = 0;
		at = strrchr(text, ' ');
		while (at && at > text && at[-1] != ' ')
			at--;
		child = at ? (pid_t)strtol(at, NULL, 10) : 0;
		if (child <= last)
			continue;
		last = child;
		for (i = births++ % BIRTH_STEPS * BIRTH_STEP; i; i--)
			;
		kill(child, SIGUSR1);
	}
	close(file);
	return NULL;
}

/* Seccomp's mode of the thread that will run the guest. */
static unsigned filter_of(pid_t stub)
{
	unsigned mode = 0;
	char line[128];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", stub);
	file = fopen(line, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Seccomp: %u", &mode) == 1)
			break;
	if (file)
		fclose(file);
	return mode;
}

/* What stops then has no filter yet: its monitor would take it for a stub that is ready. */
Test(native_signals, N1_one_that_comes_while_a_stub_is_made_does_not_have_it_run_without_a_filter)
{
	int go[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	struct nursery nursery;
	struct space space;
	unsigned i, born = 0;
	pthread_t thread;
	char why[256];

	cr_assert_eq(nursery_open(&nursery, m.vm.memory.fd, 2, 0, why, sizeof(why)), 0, "%s", why);
	pthread_create(&thread, NULL, signal_newborns, &nursery.zygote);
	for (i = 0; i < BIRTHS; i++) {
		if (space_create(&space, &nursery, 0, go[0], go[1], why, sizeof(why)))
			continue;	/* it has died, of the signal */
		born++;
		cr_assert_eq(filter_of(space.pid), SECCOMP_MODE_FILTER, "stub %u has no filter", i);
		space_destroy(&space);
	}
	atomic_store(&all_are_born, true);
	pthread_join(thread, NULL);
	nursery_close(&nursery);
	close(go[0]);
	close(go[1]);
	cr_assert_gt(born, 0);
}
