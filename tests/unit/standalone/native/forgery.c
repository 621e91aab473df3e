/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest that plays the stub's own game: stops that it makes up, and returns
 * from signals that never were.
 */
#include "stub_text.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pvm/mmu.h>

static struct machine m;

static void setup(void)
{
	machine_init(&m, 1);
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_forgery, .init = setup, .fini = teardown, .timeout = 60);

static struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

GUEST_CODE(code_syscall, "syscall");
GUEST_CODE(code_jump, "jmp *%rbx");

static void check_alive(void)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_syscall);
	cpu()->gpr[PVM_RSP] = STACK;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
}

/* ------------------------------------------------------------------------
 * Forged stops: the guest fills the frame itself and says stop.
 */

/* Copies rcx bytes from rsi to rdi, sets the reason, jumps to rbx. */
GUEST_CODE(code_forge, "cld; rep movsb; movl %eax, (%rdx); jmp *%rbx");

/* Where the stub says stop: movl $1, %eax; movl $STUB_FD_STOP, %edi. */
static const uint8_t insn_stop[] = { 0xb8, 1, 0, 0, 0, 0xbf, STUB_FD_STOP };

static void forge(const struct sigframe *frame, uint32_t reason)
{
	const struct space *space = machine_space(m.vcpu[0]);

	memcpy(machine_at(&m, DATA), frame, sizeof(*frame));
	machine_code(&m, code_forge);
	cpu()->gpr[PVM_RSI] = DATA;
	cpu()->gpr[PVM_RDI] = space->frame.address;
	cpu()->gpr[PVM_RCX] = sizeof(*frame);
	cpu()->gpr[PVM_RAX] = reason;
	cpu()->gpr[PVM_RDX] = STUB_SHARED + RECORD_REASON;
	cpu()->gpr[PVM_RBX] = STUB_TEXT + (uint64_t)find(insn_stop, sizeof(insn_stop), 0);
}

static struct sigframe honest_frame(void)
{
	struct sigframe frame;

	check_alive();
	read_stub_text(&m);
	cr_assert_geq(find(insn_stop, sizeof(insn_stop), 0), 0);
	machine_user(&m, true);
	check_alive();
	frame = *machine_space(m.vcpu[0])->frame.frame;
	frame.rip = CODE;
	return frame;
}

Test(native_forgery, a_forged_exit_shows_no_vector_that_a_guest_can_not_raise)
{
	struct sigframe frame = honest_frame();
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGILL, SIGSYS };
	struct pvm_guest_exit exit;
	unsigned s, vector;

	for (s = 0; s < 6; s++) {
		for (vector = 0; vector < 260; vector++) {
			frame.info.number = signals[s];
			frame.info.code = 0x80;
			frame.vector = vector;
			frame.error_code = ~0ull;
			/* Where it is no exit, the guest goes on here. */
			frame.rip = CODE + 0x100;
			memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
			forge(&frame, STOP_SIGNAL);
			exit = machine_run(m.vcpu[0]);
			if (exit.kind == PVM_EXIT_SYSCALL)
				continue;
			cr_assert_eq(exit.kind, PVM_EXIT_EXCEPTION);
			cr_assert(exit.vector != PVM_VEC_NMI && exit.vector != PVM_VEC_DF &&
				  exit.vector != PVM_VEC_MC && exit.vector != PVM_VEC_TS &&
				  exit.vector != PVM_VEC_CP && exit.vector < PVM_VEC_EXCEPTIONS,
				  "vector %u", exit.vector);
			/* Neither EXT nor what an error code has not; #AC's is 0. */
			cr_assert(exit.vector == PVM_VEC_PF || !(exit.error_code & ~0xfffeu),
				  "vector %u, error code %#x", exit.vector, exit.error_code);
			cr_assert(exit.vector != PVM_VEC_AC || !exit.error_code);
		}
	}
}

Test(native_forgery, a_forged_sigbus_of_memory_that_is_there_ends_nothing)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;

	frame.info.number = SIGBUS;
	frame.info.code = 2;	/* BUS_ADRERR */
	frame.info.address = DATA;
	frame.vector = PVM_VEC_PF;
	frame.rip = CODE + 0x100;
	memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
	forge(&frame, STOP_SIGNAL);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
}

static void *kick_later(void *argument)
{
	(void)argument;
	usleep(100000);
	native_executor.kick(m.vcpu[0]);
	return NULL;
}

GUEST_CODE(code_touch, "movq $0, (%rsi); syscall");
GUEST_CODE(code_kicked,
	   "cmpq $0, (%rsi); jne 1f; movq $1, (%rsi); movl %eax, (%rdx); jmp *%rbx; 1: syscall");

/* What the stub says when a kick comes before the guest has run. It is no reason to
 * map anything anew: the guest could map nothing meanwhile. */
Test(native_forgery, a_kick_before_the_guest_runs_costs_no_mapping)
{
	struct pvm_guest_exit exit;

	honest_frame();
	machine_code(&m, code_touch);
	cpu()->gpr[PVM_RSI] = DATA;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	machine_code(&m, code_kicked);
	cpu()->gpr[PVM_RSI] = DATA;
	cpu()->gpr[PVM_RAX] = STOP_KICKED;
	cpu()->gpr[PVM_RDX] = STUB_SHARED + RECORD_REASON;
	cpu()->gpr[PVM_RBX] = STUB_TEXT + (uint64_t)find(insn_stop, sizeof(insn_stop), 0);
	exit = machine_run_once(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
}

Test(native_forgery, a_reason_that_does_not_exist_is_gp_for_the_user_program)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;
	pid_t stub = machine_stub(m.vcpu[0]);

	forge(&frame, 77);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_neq(machine_stub(m.vcpu[0]), stub);
	check_alive();
}

Test(native_forgery, a_forged_frame_elsewhere_is_gp_for_the_user_program)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;

	forge(&frame, STOP_SIGNAL);
	/* By way of the handler's own code, with a frame in the guest's memory. */
	cpu()->gpr[PVM_RSP] = DATA;
	cpu()->gpr[PVM_RBX] = STUB_TEXT + 16;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	check_alive();
}

/* S4: frames say what they like, the mode is the vCPU's. */
Test(native_forgery, S4_a_forged_frame_sets_no_selector_error_code_or_flag_that_is_not_the_guests)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;

	frame.info.number = SIGSEGV;
	frame.info.code = SEGV_MAPERR;
	frame.vector = PVM_VEC_PF;
	frame.error_code = ~0ull;
	frame.cr2 = DATA + 0x10000;
	frame.cs = 0x10;
	frame.ss = 0x18;
	frame.rflags = ~0ull;
	forge(&frame, STOP_SIGNAL);
	do {
		exit = machine_run_once(m.vcpu[0]);
		if (exit.gva.v != DATA + 0x10000)
			pvm_mmu_fault(cpu(), exit.gva, exit.error_code, PVM_MAY_SLEEP);
	} while (exit.kind == PVM_EXIT_EXCEPTION && exit.gva.v != DATA + 0x10000);
	assert_page_fault(exit, DATA + 0x10000);
	cr_assert_eq(exit.error_code & ~(uint32_t)(PVM_PF_P | PVM_PF_W | PVM_PF_U | PVM_PF_I | PVM_PF_PK), 0);
	cr_assert(cpu()->user_mode);
	cr_assert_eq(cpu()->seg[PVM_CS], m.config.user_cs);
	cr_assert_eq(cpu()->seg[PVM_SS], m.config.user_ds);
	cr_assert_eq(cpu()->rflags, pvm_rflags_sanitize(~0ull));
}

/* ------------------------------------------------------------------------
 * What a guest may do to the thread that it runs in.
 */

static void jump(uint64_t address)
{
	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RBX] = address;
}

/* It waits for a monitor that waits for it. */
Test(native_forgery, M9_a_user_program_that_waits_for_the_monitor_is_kicked_all_the_same)
{
	static const uint8_t insn_wait[] = { 0xbf, STUB_FD_GO };	/* movl $STUB_FD_GO, %edi */
	struct pvm_guest_exit exit;
	pthread_t thread;
	pid_t stub;
	int wait;

	honest_frame();
	stub = machine_stub(m.vcpu[0]);
	wait = find(insn_wait, sizeof(insn_wait), 0);
	cr_assert_gt(wait, 5);
	cpu()->gpr[PVM_RAX] = SYS_read;
	jump(STUB_TEXT + (uint64_t)wait);
	pthread_create(&thread, NULL, kick_later, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_neq(machine_stub(m.vcpu[0]), stub);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_KICK);
	check_alive();
}

static atomic_bool no_more;

static void *flush_and_kick(void *argument)
{
	const struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ALL };

	(void)argument;
	while (!atomic_load(&no_more)) {
		usleep(100);
		native_executor.tlb_flush(&m.vm, &flush);
	}
	return NULL;
}

/* It says stop from a wait with signals unblocked, and says it again when one comes: no run
 * takes that for its own, and no long command for the end of the stub. */
Test(native_forgery, M9_M10_a_stop_that_is_said_twice_is_believed_once)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned i;

	honest_frame();
	pthread_create(&thread, NULL, flush_and_kick, NULL);
	for (i = 0; i < 3000; i++) {
		machine_code(&m, code_kicked);
		*(uint64_t *)machine_at(&m, DATA) = 0;
		cpu()->gpr[PVM_RSI] = DATA;
		cpu()->gpr[PVM_RAX] = STOP_KICKED;
		cpu()->gpr[PVM_RDX] = STUB_SHARED + RECORD_REASON;
		cpu()->gpr[PVM_RBX] = STUB_TEXT + (uint64_t)find(insn_stop, sizeof(insn_stop), 0);
		exit = machine_run(m.vcpu[0]);
		cr_assert(exit.kind == PVM_EXIT_SYSCALL || exit.kind == PVM_EXIT_KICK ||
			  exit.kind == PVM_EXIT_EXCEPTION, "%s: %s", pvm_exit_name(exit.kind), exit.message);
	}
	atomic_store(&no_more, true);
	pthread_join(thread, NULL);
	check_alive();
}

/* The handler, with a frame that leads back to the handler: no loop of the stub's own
 * code may be deaf. */
Test(native_forgery, M9_a_user_program_that_plays_handler_is_stopped_by_that)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;

	read_stub_text(&m);
	frame.rip = STUB_TEXT + (uint64_t)find(insn_syscall, 2, SYSCALL_UNBLOCK) + 2;
	frame.info.code = SI_USER;
	memcpy(machine_at(&m, DATA), &frame, sizeof(frame));
	jump(STUB_TEXT + 16);
	cpu()->gpr[PVM_RSP] = DATA;
	cpu()->gpr[PVM_RDI] = STUB_SIGNAL_KICK;
	/* STOP_KICKED: the run begins again, for ever; a kick ends that. */
	native_executor.kick(m.vcpu[0]);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_KICK);
	check_alive();
}

/* Also a kernel's: where the ABI has it go back with the user's rsp in the register, the
 * user program chooses it. */
static void any_rsp_is_as_good(void)
{
	struct pvm_guest_exit exit;
	uint64_t rsp;

	for (rsp = STUB_SHARED; rsp <= STUB_SHARED + STUB_SHARED_SIZE + 256; rsp += 64) {
		machine_code(&m, code_syscall);
		cpu()->gpr[PVM_RSP] = rsp;
		exit = machine_run(m.vcpu[0]);
		assert_kind(exit, PVM_EXIT_SYSCALL);
		cr_assert_eq(cpu()->gpr[PVM_RSP], rsp);
	}
}

Test(native_forgery, M9_a_stack_pointer_into_the_signal_stack_is_like_any_other)
{
	pid_t stub;

	check_alive();
	stub = machine_stub(m.vcpu[0]);
	any_rsp_is_as_good();
	cr_assert_eq(machine_stub(m.vcpu[0]), stub);
	machine_user(&m, true);
	check_alive();
	stub = machine_stub(m.vcpu[0]);
	any_rsp_is_as_good();
	cr_assert_eq(machine_stub(m.vcpu[0]), stub);
}

Test(native_forgery, a_kernel_that_damages_its_stub_is_dead_with_one_line_that_says_so)
{
	struct pvm_guest_exit exit;

	check_alive();
	read_stub_text(&m);
	/* The handler, with a frame in the guest's memory. */
	jump(STUB_TEXT + 16);
	cpu()->gpr[PVM_RSP] = CODE;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_DEAD);
	cr_assert(strstr(exit.message, "destroyed its stub process"), "%s", exit.message);
	cr_assert(!strchr(exit.message, '\n'));
}

static void check_that_the_host_is_named(bool user, int signal)
{
	struct pvm_guest_exit exit;
	char number[32];

	if (user)
		machine_user(&m, true);
	check_alive();
	kill(machine_stub(m.vcpu[0]), signal);
	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_FAILED);
	snprintf(number, sizeof(number), "signal %d", signal);
	cr_assert(strstr(exit.message, number), "%s", exit.message);
	cr_assert(strstr(exit.message, "by the host"), "%s", exit.message);
	cr_assert(!strchr(exit.message, '\n'));
	check_alive();
}

Test(native_forgery, a_stub_that_another_process_kills_is_the_hosts_doing_in_user_mode)
{
	check_that_the_host_is_named(true, SIGKILL);
}

Test(native_forgery, a_stub_that_another_process_kills_is_the_hosts_doing_in_supervisor_mode)
{
	check_that_the_host_is_named(false, SIGKILL);
}

Test(native_forgery, a_stub_that_a_limit_kills_is_the_hosts_doing)
{
	check_that_the_host_is_named(true, SIGXCPU);
}
