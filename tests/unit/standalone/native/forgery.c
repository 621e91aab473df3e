/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest that plays the stub's own game: stops that it makes up, and returns
 * from signals that never were.
 */
#include "stub_text.h"

#include <signal.h>
#include <sys/syscall.h>
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
			/* Where it is no exit, the guest goes on here. */
			frame.rip = CODE + 0x100;
			memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
			forge(&frame, STOP_SIGNAL);
			exit = machine_run(m.vcpu[0]);
			if (exit.kind == PVM_EXIT_SYSCALL)
				continue;
			cr_assert_eq(exit.kind, PVM_EXIT_EXCEPTION);
			cr_assert(exit.vector != PVM_VEC_NMI && exit.vector != PVM_VEC_DF &&
				  exit.vector != PVM_VEC_MC && exit.vector < PVM_VEC_EXCEPTIONS,
				  "vector %u", exit.vector);
		}
	}
}

static void *kick_later(void *argument)
{
	(void)argument;
	usleep(100000);
	native_executor.kick(m.vcpu[0]);
	return NULL;
}

/* A guest that pretends that its mappings fail gets new ones, for ever, in its
 * own time; a kick comes through. */
Test(native_forgery, a_forged_failure_costs_only_the_guests_own_time)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;
	pthread_t thread;

	forge(&frame, STOP_COMMAND);
	pthread_create(&thread, NULL, kick_later, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_kind(exit, PVM_EXIT_KICK);
	check_alive();
}

GUEST_CODE(code_touch, "movq $0, (%rsi); syscall");
GUEST_CODE(code_kicked,
	   "cmpq $0, (%rsi); jne 1f; movq $1, (%rsi); movl %eax, (%rdx); jmp *%rbx; 1: syscall");

/* A kick can hide what a guest did in the stub's text just before it. */
Test(native_forgery, M2_after_a_kick_inside_the_stub_every_mapping_is_made_anew)
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
	assert_page_fault(exit, DATA);
}

Test(native_forgery, a_forged_end_of_commands_is_gp_for_the_user_program)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;

	forge(&frame, STOP_COMMANDS_DONE);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	check_alive();
	forge(&frame, 77);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	check_alive();
}

/* ------------------------------------------------------------------------
 * Forged returns from signals: the mask, the alternate stack, the rest.
 */

GUEST_CODE(code_sigreturn, "movq (%rsp), %rcx; movl $15, %eax; jmp *%rbx");
GUEST_CODE(code_spin, "1: jmp 1b");

/* Return to @rip with signals masked and the alternate stack at @stack. */
static void forge_return(struct sigframe frame, uint64_t rip, uint64_t mask, uint64_t stack)
{
	frame.rip = rip;
	frame.rsp = STACK;
	frame.xstate = 0;
	frame.mask = mask;
	frame.stack_sp = stack;
	memcpy(machine_at(&m, DATA), &frame, sizeof(frame));
	machine_code(&m, code_sigreturn);
	cpu()->gpr[PVM_RSP] = DATA + 8;
	cpu()->gpr[PVM_RBX] = STUB_TEXT + (uint64_t)find(insn_syscall, 2, SIGRETURN);
}

Test(native_forgery, a_user_program_that_blocks_its_signals_dies_of_gp_alone)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;

	memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
	forge_return(frame, CODE + 0x100, ~0ull, STUB_ALTSTACK);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(cpu()->rip, CODE, "entered at %#lx", (unsigned long)cpu()->rip);
	check_alive();
}

Test(native_forgery, a_user_program_that_blocks_the_kick_is_kicked_all_the_same)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;
	pthread_t thread;

	memcpy(machine_at(&m, CODE + 0x100), code_spin, 2);
	forge_return(frame, CODE + 0x100, ~0ull, STUB_ALTSTACK);
	pthread_create(&thread, NULL, kick_later, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_GP);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_KICK);
	check_alive();
}

/* It waits for a monitor that waits for it, with the kick blocked. */
Test(native_forgery, a_user_program_that_waits_for_the_monitor_is_kicked_all_the_same)
{
	struct sigframe frame = honest_frame();
	static const uint8_t insn_wait[] = { 0xbf, STUB_FD_GO };	/* movl $STUB_FD_GO, %edi */
	struct pvm_guest_exit exit;
	pthread_t thread;
	int wait = find(insn_wait, sizeof(insn_wait), 0);

	cr_assert_gt(wait, 5);
	frame.rax = SYS_read;
	forge_return(frame, STUB_TEXT + (uint64_t)wait, ~0ull, STUB_ALTSTACK);
	pthread_create(&thread, NULL, kick_later, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_GP);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_KICK);
	check_alive();
}

Test(native_forgery, a_user_program_that_moves_its_signal_stack_dies_of_gp_alone)
{
	struct sigframe frame = honest_frame();
	struct pvm_guest_exit exit;

	memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
	forge_return(frame, CODE + 0x100, 0, 0x380000);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	check_alive();
}

Test(native_forgery, a_kernel_that_kills_its_stub_is_dead_with_one_line_that_says_so)
{
	struct sigframe frame;
	struct pvm_guest_exit exit;

	check_alive();
	read_stub_text(&m);
	frame = *machine_space(m.vcpu[0])->frame.frame;
	memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
	forge_return(frame, CODE + 0x100, ~0ull, STUB_ALTSTACK);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_DEAD);
	cr_assert(strstr(exit.message, "vCPU 0"), "%s", exit.message);
	cr_assert(strstr(exit.message, "signal 31"), "%s", exit.message);
	cr_assert(!strchr(exit.message, '\n'));
}

Test(native_forgery, a_stub_that_another_process_kills_is_gp_in_user_mode)
{
	struct pvm_guest_exit exit;

	machine_user(&m, true);
	check_alive();
	kill(machine_stub(m.vcpu[0]), SIGKILL);
	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(cpu()->rip, CODE);
	check_alive();
}
