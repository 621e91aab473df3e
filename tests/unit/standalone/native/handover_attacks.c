/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Stubs that hand over, against user programs that play with that, and hosts that end processes. */
#include <semaphore.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stub_text.h"
#include "handover.h"

#define XCOMP	520	/* in the extended state: XCOMP_BV */
#define MXCSR	24

TestSuite(native_handover_attacks, .init = setup, .fini = teardown, .timeout = 60);

GUEST_CODE(code_jump, "jmp *%rbx");

static atomic_bool over;

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

/* A program that jumps there, of a pair that has handed over before. */
static void begin_at_hand_over(void)
{
	warm_up();
	read_stub_text(&m);
	begin_user(0);
	jump_to(insn_hand_over, sizeof(insn_hand_over));
}

/* rcx bytes at rdi become those at rsi; then to rbx. */
GUEST_CODE(code_forge, "cld; rep movsb; jmp *%rbx");

/* The program writes @value to @address, in its stub's pages, and hands over. The kernel runs first: then
 * all of this is one run of the pair. */
static void forge(uint64_t address, uint64_t value, bool kernel_first)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;

	begin_at_hand_over();
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
Test(native_handover_attacks, M9_a_forged_extended_state_is_its_programs_fault)
{
	forge(xcomp_address(), ~0ull, false);
}

Test(native_handover_attacks, M9_a_forged_extended_state_is_its_programs_fault_when_its_kernel_ran_first)
{
	forge(xcomp_address(), ~0ull, true);
}

/* As it would bits that MXCSR has not. */
Test(native_handover_attacks, M9_a_forged_mxcsr_is_its_programs_fault)
{
	forge(xcomp_address() - XCOMP + MXCSR, ~0ull, false);
}

/* So would MOV to DS. */
Test(native_handover_attacks, M9_forged_selectors_are_their_programs_fault)
{
	forge(STUB_SHARED + RECORD_DS, 0xfff8fff8fff8fff8, false);
}

/* It is a system call with the registers of the last frame. */
Test(native_handover_attacks, M9_a_jump_to_the_hand_over_is_a_system_call)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;

	begin_at_hand_over();
	exit = drive(&syscalls);	/* it returns to behind its last frame, which was UD2's */
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 1);
	check_alive();
}

/* The program writes @value to @address, in its stub's pages, and hands over what no CPU has. It is a
 * system call all the same: returns the kernel's PVCS of then. */
static const struct pvm_vcpu_struct *forge_what_is_taken(uint64_t address, uint64_t value)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;

	begin_at_hand_over();
	machine_code(&m, code_forge);
	cpu()->gpr[PVM_RSI] = CODE + 0x800;
	memcpy(machine_at(&m, CODE + 0x800), &value, sizeof(value));
	cpu()->gpr[PVM_RDI] = address;
	cpu()->gpr[PVM_RCX] = sizeof(value);
	exit = drive(&syscalls);
	cr_assert_eq(exit.kind, PVM_EXIT_EXCEPTION, "%s", exit.message);
	cr_assert_eq(word(COUNT), 1);
	return cpu()->pvcs;
}

#define NOT_CANONICAL	0x123456789abcdef0ull

static uint64_t frame_address(void)
{
	warm_up();
	return native()->pool.spaces[1].frame.address;
}

/* WRFSBASE would refuse it, and the supervisor's stub die of it. */
Test(native_handover_attacks, S5_a_forged_fs_base_is_made_canonical)
{
	forge_what_is_taken(STUB_SHARED + RECORD_FS_BASE, NOT_CANONICAL);
	check_alive();
}

Test(native_handover_attacks, S5_a_forged_gs_base_is_made_canonical)
{
	uint64_t base = forge_what_is_taken(STUB_SHARED + RECORD_GS_BASE, NOT_CANONICAL)->user_gsbase;

	cr_assert_eq(base, frame_canonical(NOT_CANONICAL), "0x%lx", (unsigned long)base);
	check_alive();
}

Test(native_handover_attacks, S1_a_forged_rip_is_made_canonical)
{
	uint64_t rip = forge_what_is_taken(frame_address() + SIGFRAME_RIP, NOT_CANONICAL)->rip;

	cr_assert_eq(rip, frame_canonical(NOT_CANONICAL), "0x%lx", (unsigned long)rip);
}

Test(native_handover_attacks, S2_forged_flags_are_made_sane)
{
	uint64_t at = frame_address() + offsetof(struct sigframe, rflags);
	uint32_t flags = forge_what_is_taken(at, ~0ull)->eflags;

	cr_assert_eq(flags, (uint32_t)pvm_rflags_sanitize(~0ull), "0x%x", flags);
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
Test(native_handover_attacks, M9_a_hand_over_that_nobody_expects_is_not_taken)
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

/* It says stop with signals unblocked, and waits for the monitor so. */
static void leave_unblocked(void)
{
	struct pvm_guest_exit exit;

	read_stub_text(&m);
	begin_user(0);
	jump_to(insn_stop, sizeof(insn_stop));
	machine_code(&m, code_forge);
	cpu()->gpr[PVM_RSI] = CODE + 0x800;
	memcpy(machine_at(&m, CODE + 0x800), &(uint64_t){ STOP_SIGNAL }, sizeof(uint64_t));
	cpu()->gpr[PVM_RDI] = STUB_SHARED + RECORD_REASON;
	cpu()->gpr[PVM_RCX] = sizeof(uint64_t);
	exit = machine_run(m.vcpu[0]);	/* what its last frame says */
	cr_assert_eq(exit.kind, PVM_EXIT_EXCEPTION);
}

/* A later signal ends it, when its kernel has the vCPU. */
Test(native_handover_attacks, M9_a_user_program_that_dies_later_takes_nothing_with_it)
{
	struct pvm_guest_exit exit;
	struct late late;
	pthread_t thread;

	warm_up();
	leave_unblocked();
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

#define NO_ROOT	(1ull << 50)	/* of no table so far */

/* The stub of the vCPU's program, where there are just these two, when another program's root comes. */
static pid_t stub_of_the_next(uint64_t root)
{
	struct pool *pool = &native()->pool;
	const struct space *space;
	char why[256] = "";

	pool->limit = (unsigned)pool->alive;
	pool->retry_at = UINT64_MAX;
	space = pool_get(pool, root, true, PVM_INVALID_ADDR, why, sizeof(why));
	cr_assert_not_null(space, "%s", why);
	return space->pid;
}

Test(native_handover_attacks, an_honest_programs_stub_is_the_next_ones)
{
	pid_t stub;

	warm_up();
	stub = native()->pool.spaces[1].pid;
	cr_assert_eq(stub_of_the_next(NO_ROOT), stub);
}

/* The next program would die of the next kick. */
Test(native_handover_attacks, N5_a_stub_that_would_die_of_a_kick_is_no_other_programs)
{
	pid_t stub;

	warm_up();
	leave_unblocked();
	stub = machine_stub(m.vcpu[0]);
	cr_assert_gt(stub, 0);
	cr_assert_neq(stub_of_the_next(NO_ROOT), stub);
	check_alive();
}

/* ------------------------------------------------------------------------
 * Processes that the host ends.
 */

static pid_t victim;

static void *kill_when_it_spins(void *unused)
{
	(void)unused;
	while (!word(FLAG))
		sched_yield();
	kill(victim, SIGKILL);
	return NULL;
}

/* One of the pair is killed while the kernel, or the program, spins. */
static struct pvm_guest_exit killed(unsigned place, bool in_user)
{
	struct pvm_guest_exit exit;
	pthread_t thread;

	warm_up();
	kernel(kernel_counts);
	begin_user(1);
	if (in_user) {
		machine_code(&m, user_spins);
	} else {
		kernel(kernel_spins);
		machine_code(&m, user_calls);
	}
	victim = native()->pool.spaces[place].pid;
	pthread_create(&thread, NULL, kill_when_it_spins, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	return exit;
}

static void by_the_host(struct pvm_guest_exit exit)
{
	assert_kind(exit, PVM_EXIT_FAILED);
	cr_assert(strstr(exit.message, "killed by signal 9") && strstr(exit.message, "by the host"), "%s",
		  exit.message);
}

Test(native_handover_attacks, a_program_that_the_host_kills_is_the_hosts_doing)
{
	by_the_host(killed(1, true));
}

Test(native_handover_attacks, a_kernel_that_the_host_kills_is_the_hosts_doing)
{
	by_the_host(killed(0, false));
}

Test(native_handover_attacks, a_kernel_that_the_host_kills_while_its_program_runs_is_the_hosts_doing)
{
	uint64_t seen;
	unsigned i;

	by_the_host(killed(0, true));
	seen = word(FLAG);
	for (i = 0; i < 100000; i++)
		sched_yield();
	cr_assert_eq(word(FLAG), seen, "M10: its program runs on");
}

/* At once, or when it is next to run. */
Test(native_handover_attacks, a_program_that_the_host_kills_while_its_kernel_runs_is_the_hosts_doing)
{
	int death = SIGKILL;
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned syscalls;

	warm_up();
	kernel(kernel_spins);
	begin_user(2);
	machine_code(&m, user_calls);
	pthread_create(&thread, NULL, signal_the_program, &death);
	exit = drive(&syscalls);
	pthread_join(thread, NULL);
	by_the_host(exit);
}

/* ------------------------------------------------------------------------
 * The kernel's stub is on its way when its program's dies: its mapper has the go, and has not passed it on.
 */

#define COMMANDS	2

static sem_t held;

/* Follow the mapper, which waits for an order, to the end of its first command. */
static void hold_between_commands(pid_t mapper)
{
	struct user_regs_struct regs = { .orig_rax = 0 };
	unsigned stops = 0;
	int status;

	cr_assert_eq(ptrace(PTRACE_SEIZE, mapper, NULL, (unsigned long)PTRACE_O_TRACESYSGOOD), 0);
	cr_assert_eq(ptrace(PTRACE_INTERRUPT, mapper, NULL, NULL), 0);
	cr_assert_eq(waitpid(mapper, &status, __WALL), mapper);
	sem_post(&held);
	while (stops < 2) {	/* into the call, and out of it */
		cr_assert_eq(ptrace(PTRACE_SYSCALL, mapper, NULL, NULL), 0);
		cr_assert_eq(waitpid(mapper, &status, __WALL), mapper);
		cr_assert(WIFSTOPPED(status), "%#x", status);
		ptrace(PTRACE_GETREGS, mapper, NULL, &regs);
		stops += WSTOPSIG(status) == (SIGTRAP | 0x80) && regs.orig_rax == SYS_munmap;
	}
}

/* Until the monitor asks the mapper to settle; or its run is over, although the mapper still has the go. */
static void *kill_the_program_when_the_mapper_is_held(void *unused)
{
	const struct space *kernels = &native()->pool.spaces[0];
	const volatile uint64_t *order = &kernels->control->order;
	pid_t mapper = kernels->mapper;

	(void)unused;
	hold_between_commands(mapper);
	kill(native()->pool.spaces[1].pid, SIGKILL);
	while (!(*order & ORDER_SETTLE) && !atomic_load(&over))
		usleep(1000);
	ptrace(PTRACE_DETACH, mapper, NULL, NULL);
	return NULL;
}

Test(native_handover_attacks, M9_a_go_that_the_mapper_still_has_is_waited_for)
{
	struct pvm_guest_exit exit;
	pthread_t thread;
	uint64_t seen;
	unsigned i;

	warm_up();
	begin_user(0);
	cr_assert_eq(pvm_event_user_syscall(cpu()), PVM_ACT_RESUME);
	for (i = 0; i < COMMANDS; i++)	/* what it has not mapped */
		space_forget(&native()->pool.spaces[0], 0x40000000 + i * PVM_PAGE_SIZE, PVM_PAGE_SIZE);
	sem_init(&held, 0, 0);
	atomic_store(&over, false);
	pthread_create(&thread, NULL, kill_the_program_when_the_mapper_is_held, NULL);
	sem_wait(&held);
	exit = machine_run(m.vcpu[0]);
	seen = word(COUNT);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	by_the_host(exit);
	for (i = 0; i < 1000; i++)
		usleep(100);
	cr_assert_eq(word(COUNT), seen, "the kernel ran when its run was over");
}

/* ------------------------------------------------------------------------
 * What a user program can read.
 */

GUEST_CODE(kernel_secret,
	   "movq %r15, 0x300840; movq 0x300848, %r15; movq %r15, %xmm5; pxor %xmm5, %xmm5;"
	   "movq 0x300840, %r15; incq 0x300800; syscall; hlt");

Test(native_handover_attacks, M2_a_user_program_finds_nothing_of_its_kernels_registers)
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

/* ------------------------------------------------------------------------
 * What has changed since the last hand-over: the pair is not the one that it was.
 */

#define ELSEWHERE	0x500000ull	/* the other program's code */
#define NEXT_PVCS	0x510000ull

GUEST_CODE(program_first, "syscall; movl $1, %eax; ud2");
GUEST_CODE(program_second, "syscall; movl $2, %eax; ud2");

/* The kernel loads another program's table: that one runs next, not the one whose stub is the peer. */
Test(native_handover_attacks, M2_a_program_of_another_root_is_not_handed_over_to)
{
	uint64_t second, gva;
	struct pvm_guest_exit exit;
	unsigned syscalls;

	warm_up();
	second = m.next_table;
	m.next_table += PVM_PAGE_SIZE;
	memset(machine_at(&m, second), 0, PVM_PAGE_SIZE);
	for (gva = 0; gva < MACHINE_MAPPED; gva += PVM_PAGE_SIZE)
		machine_map(&m, second, gva, gva == CODE ? ELSEWHERE : gva, 1, RWX);
	begin_user(0);
	machine_code(&m, program_first);
	memcpy(machine_at(&m, ELSEWHERE), program_second, (size_t)(program_second_end - program_second));
	cr_assert_eq(pvm_cr_write(cpu(), 3, second), PVM_OK);
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 1);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 2, "the program of the other root ran: %lu",
		     (unsigned long)cpu()->gpr[PVM_RAX]);
}

/* The page of the former one may be anything by now. */
Test(native_handover_attacks, M2_a_pvcs_that_has_moved_is_not_written_where_it_was)
{
	struct pvm_guest_exit exit;
	unsigned syscalls, i;
	uint8_t *former;

	warm_up();
	former = machine_at(&m, cpu()->msr.vcpu_struct);
	cr_assert_eq(pvm_msr_write(cpu(), MSR_PVM_VCPU_STRUCT, NEXT_PVCS), PVM_OK);
	memset(former, 0x5a, PVCS_SIZE);
	begin_user(4);
	machine_code(&m, user_calls);
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 4);
	for (i = 0; i < PVCS_SIZE; i++)
		cr_assert_eq(former[i], 0x5a, "the former PVCS was written at %u", i);
}

GUEST_CODE(kernel_writes_pvcs, "ud2; movq $0x5b, (%rbx); syscall; hlt");

/* The kernel has turned it off: its page may be a table by now, which only the engine may see written. */
Test(native_handover_attacks, M9_a_pvcs_that_is_gone_is_not_mapped_where_it_was)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;
	uint64_t *former;

	warm_up();
	kernel(kernel_writes_pvcs);
	begin_user(1);
	machine_code(&m, user_calls);
	exit = drive(&syscalls);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(cpu()->rip, KERNEL);
	former = machine_at(&m, cpu()->msr.vcpu_struct & ~(PVM_PAGE_SIZE - 1));
	cr_assert_eq(pvm_msr_write(cpu(), MSR_PVM_VCPU_STRUCT, 0), PVM_OK);
	*former = 0x5a;
	cpu()->rip = KERNEL + 2;
	cpu()->gpr[PVM_RBX] = STUB_PVCS;
	exit = machine_run(m.vcpu[0]);
	cr_assert_eq(*former, 0x5a);
	assert_page_fault(exit, STUB_PVCS);
}
