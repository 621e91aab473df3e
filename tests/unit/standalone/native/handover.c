/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Stubs that hand the vCPU over to each other, and user programs that play with that. */
#include "stub_text.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>
#include <pvm/state.h>

static struct machine m;

#define KERNEL		0x210000ull
#define COUNT		(DATA + 0x800)		/* what the kernel counts its entries in */
#define FLAG		(DATA + 0x808)		/* what a spinning guest counts in */
#define STOP_SPINNING	(DATA + 0x828)
#define KERNEL_STACK	0x3f0000ull
#define ROUNDS		50
#define XMM		160			/* XMM0 to 15 in the extended state */
#define XMM_SIZE	256
#define XCOMP		520

static void setup(void)
{
	machine_init(&m, 1);
	((struct native_vm *)m.vm.executor_vm)->every_exit = false;
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_handover, .init = setup, .fini = teardown, .timeout = 60);

static struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

static struct native_vcpu *native(void)
{
	return m.vcpu[0]->executor;
}

static void every_exit(bool on)
{
	((struct native_vm *)m.vm.executor_vm)->every_exit = on;
}

static uint64_t word(uint64_t gpa)
{
	return *(volatile uint64_t *)machine_at(&m, gpa);
}

/* A kernel that changes all that a system call gives it to change. */
GUEST_CODE(kernel_all,
	   "incq 0x300800; movq %rsp, 0x300810; rdgsbase %rcx; movq %rcx, 0x300818; movq %r11, 0x300820;"
	   "lea 3(%rax), %rax; lea 5(%rdx), %rdx; not %rbx; lea 7(%rsi), %rsi; lea 9(%rbp), %rbp;"
	   "lea 1(%r8), %r8; lea 2(%r9), %r9; lea 3(%r10), %r10; lea 1(%r12), %r12; lea 1(%r15), %r15;"
	   "rdfsbase %rcx; addq $16, %rcx; wrfsbase %rcx; rdgsbase %rcx; addq $32, %rcx; wrgsbase %rcx;"
	   "movq %rax, %xmm3; subq $64, %rsp; stc; std; "
	   "syscall; hlt");
#define RETURN(code) (KERNEL + (uint64_t)(code##_end - code) - 3)
/* One that counts, and no more. */
GUEST_CODE(kernel_counts, "incq 0x300800; syscall; hlt");

GUEST_CODE(user_all,
	   "1: movq %rdi, %xmm0; movq %rdi, %xmm7; rdgsbase %rax; incq %rax; wrgsbase %rax; cmpq $1, %rdi;"
	   "syscall; setz %r13b; movq %xmm3, %r14; decq %rdi; jnz 1b; ud2");
GUEST_CODE(user_calls, "1: syscall; decq %rdi; jnz 1b; ud2");
GUEST_CODE(code_jump, "jmp *%rbx");
GUEST_CODE(code_spin, "1: incq 0x300808; cmpq $0, 0x300828; je 1b; ud2");

#define kernel(code) put_kernel(code, (size_t)(code##_end - code), RETURN(code))
static void put_kernel(const uint8_t *code, size_t size, uint64_t retu)
{
	memcpy(machine_at(&m, KERNEL), code, size);
	cr_assert_eq(pvm_msr_write(cpu(), PVM_MSR_LSTAR, KERNEL), PVM_OK);
	cr_assert_eq(pvm_msr_write(cpu(), MSR_PVM_RETU_RIP, retu), PVM_OK);
	cr_assert_eq(pvm_msr_write(cpu(), MSR_PVM_SUPERVISOR_RSP, KERNEL_STACK), PVM_OK);
	cr_assert_eq(pvm_msr_write(cpu(), PVM_MSR_KERNEL_GS_BASE, 0x123456000), PVM_OK);
	if (m.config.host_pke)
		cpu()->pkru = 0;
}

static void begin_user(uint64_t rounds)
{
	unsigned i;

	if (!cpu()->user_mode)
		machine_user(&m, true);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		cpu()->gpr[i] = 0x0101010101010101ull * i;
	cpu()->gpr[PVM_RDI] = rounds;
	cpu()->gpr[PVM_RSP] = STACK;
	cpu()->fs_base = 0x700000;
	cpu()->gs_base = 0x800000;
}

/* To an exit that is no system call, which the engine answers; how many of these there were. */
static struct pvm_guest_exit drive(unsigned *syscalls)
{
	struct pvm_guest_exit exit;

	for (*syscalls = 0;; ++*syscalls) {
		exit = machine_run(m.vcpu[0]);
		if (exit.kind != PVM_EXIT_SYSCALL)
			return exit;
		cr_assert_eq(pvm_handle_syscall(cpu()), PVM_ACT_RESUME);
	}
}

struct outcome {
	struct pvm_vcpu_state state;
	uint8_t xmm[XMM_SIZE];
	uint8_t pvcs[PVCS_SIZE];
	uint64_t seen[8];
	unsigned syscalls;
};

#define outcome(by_monitor, k, u) \
	(every_exit(by_monitor), kernel(k), begin_user(ROUNDS), machine_code(&m, u), drive_to_outcome())
static struct outcome drive_to_outcome(void)
{
	struct outcome o = { 0 };
	struct pvm_guest_exit exit;

	m.vcpu[0]->xstate_size = 0;
	memset(machine_at(&m, COUNT), 0, 64);
	memset((uint8_t *)cpu()->pvcs + PVCS_USER_CS, 0, PVCS_SIZE - PVCS_USER_CS);
	exit = drive(&o.syscalls);
	assert_exception(exit, PVM_VEC_UD);
	pvm_vcpu_save(cpu(), &o.state);
	memcpy(o.xmm, m.vcpu[0]->xstate + XMM, XMM_SIZE);
	memcpy(o.pvcs, cpu()->pvcs, PVCS_SIZE);
	memcpy(o.seen, machine_at(&m, COUNT), sizeof(o.seen));
	return o;
}

/* spec: User SYSCALL event, EVENT_RETURN_USER */
Test(native_handover, S2_S4_S11_a_system_call_and_its_return_leave_what_the_engine_would)
{
	struct outcome want = outcome(true, kernel_all, user_all);
	struct outcome got = outcome(false, kernel_all, user_all);

	cr_assert_eq(want.syscalls, 2 * ROUNDS);
	cr_assert_leq(got.syscalls, 4, "%u system calls were exits", got.syscalls);
	cr_assert_geq(native()->handed.calls, ROUNDS - 2);
	cr_assert_eq(want.seen[0], ROUNDS);
	cr_assert_arr_eq(got.seen, want.seen, sizeof(want.seen));
	cr_assert_arr_eq(got.xmm, want.xmm, XMM_SIZE);
	cr_assert_arr_eq(got.pvcs, want.pvcs, PVCS_SIZE);
	cr_assert(!memcmp(&got.state, &want.state, sizeof(want.state)));
}

GUEST_CODE(kernel_keys,
	   "incq 0x300800; movl %eax, %r9d; movl %edx, %r10d; xorl %ecx, %ecx; rdpkru; addl %eax, 0x300810;"
	   "movl $0xc0, %eax; wrpkru; movl %r9d, %eax; movl %r10d, %edx; syscall; hlt");
GUEST_CODE(user_keys,
	   "xorl %ecx, %ecx; xorl %edx, %edx; movl $0x30, %eax; wrpkru;"
	   "1: syscall; xorl %ecx, %ecx; rdpkru; addl %eax, %r14d; addl $0x100, %eax; wrpkru; decq %rdi; jnz 1b;"
	   "ud2");

Test(native_handover, S11_each_mode_has_its_own_pkru)
{
	struct outcome want, got;

	if (!m.config.host_pke)
		cr_skip("the host has no protection keys");
	want = outcome(true, kernel_keys, user_keys);
	got = outcome(false, kernel_keys, user_keys);
	cr_assert_leq(got.syscalls, 4, "%u system calls were exits", got.syscalls);
	cr_assert_arr_eq(got.seen, want.seen, sizeof(want.seen));
	cr_assert_arr_eq(got.pvcs, want.pvcs, PVCS_SIZE);
	cr_assert(!memcmp(&got.state, &want.state, sizeof(want.state)));
	cr_assert_eq(want.state.pkru, 0x30 + 0x100 * ROUNDS);
}

/* Both stubs are there, and hand over. */
static void warm_up(void)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;

	kernel(kernel_counts);
	begin_user(4);
	machine_code(&m, user_calls);
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_gt(native()->handed.calls, 0);
	cr_assert_gt(native()->handed.returns, 0);
	memset(machine_at(&m, COUNT), 0, 64);
}

GUEST_CODE(kernel_ip, "movq 0x300830, %rcx; orq %rcx, (%r8); syscall; hlt");
GUEST_CODE(kernel_cs, "movw $0x33, 64(%r8); movw $0x10, 66(%r8); syscall; hlt");
GUEST_CODE(kernel_rip, "rorq $1, 96(%r8); orb $0x80, 103(%r8); syscall; hlt");

/* The monitor is asked; the guest is at the SYSCALL of its return. */
static void odd_return(void)
{
	begin_user(1);
	cpu()->gpr[PVM_R8] = cpu()->msr.vcpu_struct;
	machine_code(&m, user_calls);
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	cr_assert(!cpu()->user_mode);
	cr_assert_eq(cpu()->rip, cpu()->msr.retu_rip + 2);
}

Test(native_handover, an_interrupt_that_waits_for_the_return_is_the_monitors_to_give)
{
	warm_up();
	kernel(kernel_ip);
	*(uint64_t *)machine_at(&m, 0x300830) = PVM_EVENT_FLAGS_IP;
	odd_return();
}

Test(native_handover, S4_other_selectors_are_the_monitors_to_judge)
{
	warm_up();
	kernel(kernel_cs);
	odd_return();
}

Test(native_handover, S1_a_rip_that_cannot_run_is_the_monitors_to_judge)
{
	warm_up();
	kernel(kernel_rip);
	odd_return();
}

Test(native_handover, a_nmi_that_is_masked_is_the_monitors_to_unmask)
{
	warm_up();
	kernel(kernel_counts);
	cpu()->nmi_masked = true;
	begin_user(1);
	machine_code(&m, user_calls);
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	cr_assert(cpu()->user_mode);
	cpu()->nmi_masked = false;

}

Test(native_handover, a_trace_has_every_system_call)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;

	warm_up();
	begin_user(5);
	machine_code(&m, user_calls);
	m.vm.trace = (struct trace *)(void *)&m;	/* there is one */
	exit = drive(&syscalls);
	m.vm.trace = NULL;
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(syscalls, 10);
}

/* ------------------------------------------------------------------------
 * Kicks and flushes.
 */

GUEST_CODE(user_reads, "1: movq 0x340000, %rax; syscall; ud2");

/* What the kernel has changed and flushed is not there any more, when it hands over. */
Test(native_handover, M9_M10_a_flush_for_the_other_stub_comes_before_the_hand_over)
{
	const uint64_t page = DATA + 0x40000;
	struct pvm_guest_exit exit;
	unsigned syscalls;

	warm_up();
	*(uint64_t *)machine_at(&m, page) = 1;
	*(uint64_t *)machine_at(&m, page + PVM_PAGE_SIZE) = 2;
	begin_user(0);
	machine_code(&m, user_reads);
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 1);
	/* As its kernel would. */
	cpu()->rip = CODE;
	cpu()->gpr[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	cr_assert_eq(pvm_event_user_syscall(cpu()), PVM_ACT_RESUME);
	machine_map(&m, m.user_cr3, page, page + PVM_PAGE_SIZE, 1, RWX);
	pvm_mmu_invlpg(cpu(), pvm_gva(page));
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 2);
}

static atomic_bool over;

static void *kicks(void *unused)
{
	(void)unused;
	while (!atomic_load(&over))
		native_executor.kick(m.vcpu[0]);
	return NULL;
}

static void *flushes(void *unused)
{
	const struct pvm_tlb_flush all = { .scope = PVM_FLUSH_ALL };

	(void)unused;
	while (!atomic_load(&over))
		native_executor.tlb_flush(&m.vm, &all);
	return NULL;
}

static void disturbed(void *(*by)(void *), uint64_t rounds)
{
	struct pvm_guest_exit exit;
	unsigned syscalls, exits = 0;
	pthread_t thread;

	warm_up();
	begin_user(rounds);
	machine_code(&m, user_calls);
	atomic_store(&over, false);
	pthread_create(&thread, NULL, by, NULL);
	for (;; exits++) {
		exit = drive(&syscalls);
		if (exit.kind != PVM_EXIT_KICK)
			break;
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), rounds);
	cr_assert_eq(cpu()->gpr[PVM_RDI], 0);
	cr_assert_eq(cpu()->gpr[PVM_R15], 0x0f0f0f0f0f0f0f0full);
	cr_assert(cpu()->user_mode);
}

Test(native_handover, M9_kicks_lose_no_system_call_and_no_register)
{
	disturbed(kicks, 2000);
}

Test(native_handover, M10_flushes_lose_no_system_call_and_no_register)
{
	disturbed(flushes, 300);
}

GUEST_CODE(kernel_spins, "1: incq 0x300808; cmpq $0, 0x300828; je 1b; incq 0x300800; syscall; hlt");
GUEST_CODE(user_spins, "syscall; 1: incq 0x300808; cmpq $0, 0x300828; je 1b; ud2");

static void *kick_when_it_spins(void *unused)
{
	(void)unused;
	while (!word(FLAG))
		sched_yield();
	native_executor.kick(m.vcpu[0]);
	return NULL;
}

static void kicked_while_spinning(bool in_user)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned syscalls;

	pthread_create(&thread, NULL, kick_when_it_spins, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_kind(exit, PVM_EXIT_KICK);
	cr_assert_eq(cpu()->user_mode, in_user);
	*(volatile uint64_t *)machine_at(&m, STOP_SPINNING) = 1;
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
}

Test(native_handover, M9_a_kick_reaches_the_kernel_that_was_handed_the_vcpu)
{
	warm_up();
	kernel(kernel_spins);
	begin_user(1);
	machine_code(&m, user_calls);
	kicked_while_spinning(false);
	cr_assert_eq(word(COUNT), 1);
}

Test(native_handover, M9_a_kick_reaches_the_program_that_was_handed_the_vcpu)
{
	warm_up();
	begin_user(1);
	machine_code(&m, user_spins);
	cpu()->rip += 2;
	cpu()->gpr[PVM_RCX] = cpu()->gpr[PVM_R11] = cpu()->rip;
	cr_assert_eq(pvm_event_user_syscall(cpu()), PVM_ACT_RESUME);	/* the run begins in the kernel */
	kicked_while_spinning(true);
	cr_assert_eq(word(COUNT), 1);
}

/* What each has in XMM0 and its registers, when the first thing that it gets is a kick. */
GUEST_CODE(kernel_looks, "movq %xmm0, 0x300810; movq %rbx, 0x300818; incq 0x300800; movq %rbx, %xmm0; notq %rbx;"
			 "syscall; hlt");
GUEST_CODE(user_looks, "movq %rdi, %xmm0; movq %rdi, %rbx; syscall; movq %xmm0, %rax; ud2");

static void kicked_at_the_hand_over(unsigned place)
{
	const uint64_t value = 0x1122334455667788;
	struct pvm_guest_exit exit;
	unsigned syscalls;

	warm_up();
	kernel(kernel_looks);
	begin_user(value);
	machine_code(&m, user_looks);
	/* It waits with signals blocked. */
	cr_assert_eq(kill(native()->pool.spaces[place].pid, STUB_SIGNAL_KICK), 0);
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 1);
	cr_assert_eq(word(DATA + 0x810), value);
	cr_assert_eq(word(DATA + 0x818), value);
	cr_assert_eq(cpu()->gpr[PVM_RAX], value);
	cr_assert_eq(cpu()->gpr[PVM_RBX], ~value);
	cr_assert_geq(native()->handed.calls, 1);
}

Test(native_handover, a_kick_right_at_the_hand_over_to_the_kernel_loses_no_register)
{
	kicked_at_the_hand_over(0);
}

/* Pending for the program's stub while that waits for its kernel. */
static void *signal_the_program(void *unused)
{
	(void)unused;
	while (!word(FLAG))
		sched_yield();
	kill(native()->pool.spaces[1].pid, STUB_SIGNAL_KICK);
	*(volatile uint64_t *)machine_at(&m, STOP_SPINNING) = 1;
	return NULL;
}

GUEST_CODE(kernel_spins_and_looks, "1: incq 0x300808; cmpq $0, 0x300828; je 1b; incq 0x300800; notq %rbx;"
				   "movq %rbx, %xmm0; syscall; hlt");

Test(native_handover, a_kick_right_at_the_hand_over_to_the_program_loses_no_register)
{
	const uint64_t value = 0x1122334455667788;
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned syscalls;

	warm_up();
	kernel(kernel_spins_and_looks);
	begin_user(value);
	machine_code(&m, user_looks);
	pthread_create(&thread, NULL, signal_the_program, NULL);
	exit = drive(&syscalls);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 1);
	cr_assert_eq(cpu()->gpr[PVM_RAX], ~value);
	cr_assert_eq(cpu()->gpr[PVM_RBX], ~value);
}

/* ------------------------------------------------------------------------
 * User programs.
 */

/* Where the stub hands over: movl $1, %eax; movl $STUB_FD_PEER, %edi. */
static const uint8_t insn_hand_over[] = { 0xb8, 1, 0, 0, 0, 0xbf, STUB_FD_PEER };
static const uint8_t insn_stop[] = { 0xb8, 1, 0, 0, 0, 0xbf, STUB_FD_STOP };

static void jump_to(const uint8_t *bytes, size_t size)
{
	int at = find(bytes, size, 0);

	cr_assert_geq(at, 0);
	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RBX] = STUB_TEXT + (uint64_t)at;
}

/* rcx bytes at rdi become those at rsi; then to rbx. */
GUEST_CODE(code_forge, "cld; rep movsb; jmp *%rbx");

static void check_alive(void)
{
	uint64_t before = word(COUNT);
	struct pvm_guest_exit exit;
	unsigned syscalls;

	kernel(kernel_counts);
	begin_user(8);
	machine_code(&m, user_calls);
	do
		exit = drive(&syscalls);
	while (exit.kind == PVM_EXIT_KICK);	/* one was left */
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), before + 8);
}

/* The program writes @value to @address, in its stub's pages, and hands over. The kernel runs first: then
 * all of this is one run of the pair. */
static void forge(uint64_t address, uint64_t value, bool kernel_first)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;

	warm_up();
	read_stub_text(&m);
	begin_user(0);
	jump_to(insn_hand_over, sizeof(insn_hand_over));
	machine_code(&m, code_forge);
	cpu()->gpr[PVM_RSI] = CODE + 0x800;	/* which it has mapped */
	memcpy(machine_at(&m, CODE + 0x800), &value, sizeof(value));
	cpu()->gpr[PVM_RDI] = address;
	cpu()->gpr[PVM_RCX] = sizeof(value);
	if (kernel_first) {
		cpu()->gpr[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
		cr_assert_eq(pvm_event_user_syscall(cpu()), PVM_ACT_RESUME);
	}
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert(cpu()->user_mode);
	cr_assert_eq(word(COUNT), kernel_first, "the kernel has run");
	check_alive();
}

static uint64_t xcomp_address(void)
{
	const struct space *user;

	warm_up();
	user = &native()->pool.spaces[1];
	return STUB_SHARED + XCOMP + (uint64_t)(user->frame.xstate - (const uint8_t *)user->record);
}

/* XRSTOR would refuse it, and the supervisor's stub die of it. */
Test(native_handover, M9_a_forged_extended_state_is_its_programs_fault)
{
	forge(xcomp_address(), ~0ull, false);
}

Test(native_handover, M9_a_forged_extended_state_is_its_programs_fault_when_its_kernel_ran_first)
{
	forge(xcomp_address(), ~0ull, true);
}

/* So would MOV to DS. */
Test(native_handover, M9_forged_selectors_are_their_programs_fault)
{
	forge(STUB_SHARED + RECORD_DS, 0xfff8fff8fff8fff8, false);
}

/* It is a system call with the registers of the last frame. */
Test(native_handover, M9_a_jump_to_the_hand_over_is_a_system_call)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;

	warm_up();
	read_stub_text(&m);
	begin_user(0);
	jump_to(insn_hand_over, sizeof(insn_hand_over));
	exit = drive(&syscalls);	/* it returns to behind its last frame, which was UD2's */
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 1);
	check_alive();
}

static void *kick_until_over(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		native_executor.kick(m.vcpu[0]);
		sched_yield();
	}
	return NULL;
}

/* Its kernel's stub is woken, and does not run: not now, and not in the next run of a pair. */
Test(native_handover, M9_a_hand_over_that_nobody_expects_is_not_taken)
{
	struct pvm_guest_exit exit;
	pthread_t thread;

	warm_up();
	read_stub_text(&m);
	every_exit(true);
	begin_user(0);
	jump_to(insn_hand_over, sizeof(insn_hand_over));
	atomic_store(&over, false);
	pthread_create(&thread, NULL, kick_until_over, NULL);
	do
		exit = machine_run(m.vcpu[0]);
	while (exit.kind == PVM_EXIT_KICK);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(word(COUNT), 0, "the kernel has run");
	every_exit(false);
	cr_assert(native()->pool.spaces[0].doubtful, "its kernel's stub hands over at once");
	check_alive();
}

struct late {
	pid_t stub;
};

/* When the kernel runs: the signal that its program has kept for itself. */
static void *kill_late(void *argument)
{
	const struct late *late = argument;

	while (!word(FLAG))
		sched_yield();
	kill(late->stub, STUB_SIGNAL_KICK);
	while (kill(late->stub, 0) == 0 && !atomic_load(&over)) {
		uint64_t seen = word(FLAG);

		while (word(FLAG) == seen)	/* the kernel still runs */
			sched_yield();
		if (seen > 1000000)
			break;
	}
	*(volatile uint64_t *)machine_at(&m, STOP_SPINNING) = 1;
	return NULL;
}

/* It says stop with signals unblocked, and waits for the monitor so: a later signal ends it, when
 * its kernel has the vCPU. */
Test(native_handover, M9_a_user_program_that_dies_later_takes_nothing_with_it)
{
	struct pvm_guest_exit exit;
	struct late late;
	pthread_t thread;

	warm_up();
	read_stub_text(&m);
	begin_user(0);
	jump_to(insn_stop, sizeof(insn_stop));
	exit = machine_run(m.vcpu[0]);	/* whatever it says */
	cr_assert_eq(exit.kind, PVM_EXIT_EXCEPTION);
	late.stub = machine_stub(m.vcpu[0]);
	cr_assert_gt(late.stub, 0);
	/* An event: into the kernel, beside that stub. */
	kernel(kernel_spins);
	cr_assert_eq(pvm_event_user_syscall(cpu()), PVM_ACT_RESUME);
	atomic_store(&over, false);
	pthread_create(&thread, NULL, kill_late, &late);
	exit = machine_run(m.vcpu[0]);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	cr_assert_eq(word(COUNT), 1, "the kernel's run ended at rip %#lx: %s", (unsigned long)cpu()->rip, exit.message);
	check_alive();
}

/* ------------------------------------------------------------------------
 * What a user program can read.
 */

GUEST_CODE(kernel_secret,
	   "movq %r15, 0x300840; movq 0x300848, %r15; movq %r15, %xmm5; pxor %xmm5, %xmm5;"
	   "movq 0x300840, %r15; incq 0x300800; syscall; hlt");

Test(native_handover, M2_a_user_program_finds_nothing_of_its_kernels_registers)
{
	const uint64_t secret = 0x5ec4e75ec4e75ec4;
	const struct space *user;
	struct pvm_guest_exit exit;
	unsigned syscalls, i;

	warm_up();
	kernel(kernel_secret);
	*(uint64_t *)machine_at(&m, 0x300848) = secret;
	cr_assert_eq(pvm_msr_write(cpu(), MSR_PVM_SUPERVISOR_RSP, secret & 0x7ffffff8), PVM_OK);
	begin_user(20);
	machine_code(&m, user_calls);
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 20);
	user = machine_space(m.vcpu[0]);
	for (i = 0; i < STUB_SLOT_SIZE / 8; i++) {
		uint64_t found = ((const uint64_t *)(const void *)user->control)[i];

		cr_assert(found != secret && found != (secret & 0x7ffffff8), "at %#x", i * 8);
	}
}
