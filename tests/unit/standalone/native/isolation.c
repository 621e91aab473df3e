/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a guest finds in its stub, and what comes of using it: nothing that it
 * could not have had honestly, and never the end of the VM for a user program.
 */
#include "machine.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

TestSuite(native_isolation, .init = setup, .fini = teardown, .timeout = 60);

/* A page that the user's table does not map: the supervisor's secret. */
#define SECRET_GPA	(20ull << 20)
#define SECRET_GVA	0x5000000ull

#define SHARED_END	(STUB_SHARED + STUB_SHARED_SIZE)

static struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

GUEST_CODE(code_syscall, "syscall");
GUEST_CODE(code_jump, "jmp *%rbx");
GUEST_CODE(code_read, "movq (%rbx), %rax; syscall");
GUEST_CODE(code_write, "movq %rax, (%rbx); syscall");

/* Still alive, and itself. */
static void check_alive(void)
{
	struct guest_exit exit;

	machine_code(&m, code_syscall);
	cpu()->gpr[PVM_RSP] = STACK;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, GUEST_EXIT_SYSCALL);
}

static uint8_t stub_text[STUB_TEXT_SIZE];

static void read_stub_text(void)
{
	struct iovec local = { stub_text, sizeof(stub_text) };
	struct iovec remote = { (void *)STUB_TEXT, sizeof(stub_text) };

	check_alive();
	cr_assert_eq(process_vm_readv(machine_stub(m.vcpu[0]), &local, 1, &remote, 1, 0),
		     (ssize_t)sizeof(stub_text));
}

/* Offset of the @n'th place in the text with these bytes, or -1. */
static int find(const uint8_t *bytes, size_t len, unsigned n)
{
	unsigned i;

	for (i = 0; i + len <= sizeof(stub_text); i++)
		if (!memcmp(stub_text + i, bytes, len) && n-- == 0)
			return (int)i;
	return -1;
}

static const uint8_t insn_syscall[] = { 0x0f, 0x05 };
static const uint8_t insn_int80[] = { 0xcd, 0x80 };
static const uint8_t insn_sysenter[] = { 0x0f, 0x34 };
#define SYSCALLS 5	/* rt_sigreturn of a nested signal, write, read, command, rt_sigreturn */
#define COMMAND 3
#define SIGRETURN 4

/* ------------------------------------------------------------------------
 * What is there.
 */

/* spec: C-003 */
Test(native_isolation, S6_a_stub_maps_nothing_but_its_own_pages_and_guest_memory)
{
	unsigned long start, end;
	char line[512], path[64], perms[5];
	unsigned own = 0;
	FILE *maps;

	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = DATA;
	machine_run(m.vcpu[0]);
	snprintf(path, sizeof(path), "/proc/%d/maps", machine_stub(m.vcpu[0]));
	maps = fopen(path, "r");
	cr_assert(maps);
	while (fgets(line, sizeof(line), maps)) {
		cr_assert_eq(sscanf(line, "%lx-%lx %4s", &start, &end, perms), 3);
		if (strstr(line, "[vsyscall]"))
			continue;
		if (start < STUB_REGION) {
			cr_assert(strstr(line, "memfd:pvm-guest"), "%s", line);
			cr_assert_leq(end, STUB_REGION, "%s", line);
			continue;
		}
		own++;
		if (start == STUB_TEXT)
			cr_assert(end == STUB_CONTROL && !strcmp(perms, "r-xp"), "%s", line);
		else if (start == STUB_CONTROL)
			cr_assert(end == STUB_SHARED && !strcmp(perms, "r--s"), "%s", line);
		else if (start == STUB_SHARED)
			cr_assert(end == SHARED_END && !strcmp(perms, "rw-s"), "%s", line);
		else
			cr_assert_fail("%s", line);
	}
	fclose(maps);
	cr_assert_eq(own, 3);
}

Test(native_isolation, a_stub_has_three_descriptors)
{
	char path[64];
	struct dirent *entry;
	unsigned seen = 0;
	DIR *dir;

	check_alive();
	snprintf(path, sizeof(path), "/proc/%d/fd", machine_stub(m.vcpu[0]));
	dir = opendir(path);
	cr_assert(dir);
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		cr_assert(fd == STUB_FD_GUEST || fd == STUB_FD_GO || fd == STUB_FD_STOP, "%d", fd);
		seen++;
	}
	closedir(dir);
	cr_assert_eq(seen, 3);
}

Test(native_isolation, M2_the_stubs_text_enters_the_kernel_at_five_places_only)
{
	read_stub_text();
	cr_assert_geq(find(insn_syscall, 2, SYSCALLS - 1), 0);
	cr_assert_lt(find(insn_syscall, 2, SYSCALLS), 0, "a system call that nobody knows of");
	cr_assert_lt(find(insn_int80, 2, 0), 0);
	cr_assert_lt(find(insn_sysenter, 2, 0), 0);
}

Test(native_isolation, a_new_stub_shows_a_guest_nothing_of_the_monitor)
{
	unsigned i;

	for (i = PVM_RAX; i < PVM_GPR_COUNT; i++)
		cpu()->gpr[i] = 0;
	check_alive();
	for (i = PVM_RAX; i < PVM_GPR_COUNT; i++)
		if (i != PVM_RCX && i != PVM_R11 && i != PVM_RSP)
			cr_assert_eq(cpu()->gpr[i], 0);
}

/* ------------------------------------------------------------------------
 * Using it.
 */

struct call {
	const char *name;
	uint64_t nr, arg[6];
};

static const struct call hostile[] = {
	{ "map the secret", SYS_mmap,
	  { SECRET_GVA, 4096, 3, MAP_SHARED | MAP_FIXED, STUB_FD_GUEST, SECRET_GPA } },
	{ "map 4 GiB below the region", SYS_mmap,
	  { 0x7ffdfffff000, 0xfffff000, 3, MAP_SHARED | MAP_FIXED, STUB_FD_GUEST, 0 } },
	{ "map over the stub", SYS_mmap,
	  { STUB_CONTROL, 4096, 3, MAP_SHARED | MAP_FIXED, STUB_FD_GUEST, 0 } },
	{ "map private memory", SYS_mmap,
	  { SECRET_GVA, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~0ull, 0 } },
	{ "unmap the stub", SYS_munmap, { STUB_SHARED, 4096 } },
	{ "unmap everything", SYS_munmap, { 0, STUB_REGION_END } },
	{ "unmap all of the guest", SYS_munmap, { 0, STUB_REGION } },
	{ "write the control page", SYS_pkey_mprotect, { STUB_CONTROL, 4096, 3, 0 } },
	{ "mprotect", SYS_mprotect, { STUB_CONTROL, 4096, 3 } },
	{ "unblock the dispatch", SYS_prctl, { 59, 0, 0, 0, 0 } },
	{ "write guest memory's file", SYS_write, { STUB_FD_GUEST, CODE, 8 } },
	{ "say stop with another number", SYS_write, { STUB_FD_STOP, CODE, 8 } },
	{ "read guest memory's file", SYS_read, { STUB_FD_GUEST, DATA, 8 } },
	{ "open a file", SYS_openat, { ~0ull, CODE, 0 } },
	{ "fork", SYS_clone, { 0 } },
	{ "kill everybody", SYS_kill, { ~0ull, SIGKILL } },
	{ "exit", SYS_exit_group, { 0 } },
	{ "execve", SYS_execve, { CODE } },
	{ "ptrace", SYS_ptrace, { 0 } },
	{ "sigaltstack", SYS_sigaltstack, { DATA, 0 } },
	{ "block signals", SYS_rt_sigprocmask, { 2, DATA, 0, 8 } },
	{ "futex", SYS_futex, { STUB_CONTROL, 1, 1 } },
	{ "an x32 call", SYS_mmap | 0x40000000,
	  { SECRET_GVA, 4096, 3, MAP_SHARED | MAP_FIXED, STUB_FD_GUEST, SECRET_GPA } },
};

static void set_call(const struct call *call)
{
	cpu()->gpr[PVM_RAX] = call->nr;
	cpu()->gpr[PVM_RDI] = call->arg[0];
	cpu()->gpr[PVM_RSI] = call->arg[1];
	cpu()->gpr[PVM_RDX] = call->arg[2];
	cpu()->gpr[PVM_R10] = call->arg[3];
	cpu()->gpr[PVM_R8] = call->arg[4];
	cpu()->gpr[PVM_R9] = call->arg[5];
}

/* The user program jumps to @address. It ends with a fault of its own. */
static struct guest_exit jump_from_user(uint64_t address)
{
	struct guest_exit exit;

	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RBX] = address;
	exit = machine_run(m.vcpu[0]);
	cr_assert(exit.kind == GUEST_EXIT_EXCEPTION || exit.kind == GUEST_EXIT_SYSCALL, "%s: %s",
		  guest_exit_name(exit.kind), exit.message);
	return exit;
}

static void check_no_secret(void)
{
	struct guest_exit exit;

	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = SECRET_GVA;
	cpu()->gpr[PVM_RSP] = STACK;
	exit = machine_run(m.vcpu[0]);
	assert_page_fault(exit, m.vcpu[0], SECRET_GVA);
}

Test(native_isolation, M2_no_system_call_of_the_stub_does_anything_for_a_guest_that_jumps_to_it)
{
	unsigned site, i;

	read_stub_text();
	memset(machine_at(&m, SECRET_GPA), 0x5a, 4096);
	machine_user(&m, true);
	for (site = 0; site < SYSCALLS; site++) {
		for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
			set_call(&hostile[i]);
			jump_from_user(STUB_TEXT + (uint64_t)find(insn_syscall, 2, site));
			check_no_secret();
		}
	}
}

Test(native_isolation, M2_a_mapping_made_at_the_command_instruction_ends_the_stub_at_once)
{
	struct guest_exit exit;
	pid_t stub;

	read_stub_text();
	machine_user(&m, true);
	check_alive();
	stub = machine_stub(m.vcpu[0]);
	set_call(&hostile[0]);
	exit = jump_from_user(STUB_TEXT + (uint64_t)find(insn_syscall, 2, COMMAND));
	assert_exception(exit, PVM_VEC_PF);
	cr_assert_eq(cpu()->cr2, cpu()->rip);
	cr_assert(cpu()->rip >= STUB_TEXT && cpu()->rip < STUB_TEXT + STUB_TEXT_SIZE);
	cr_assert_neq(kill(stub, 0), 0, "the stub lives");
	check_no_secret();
}

Test(native_isolation, the_control_page_and_the_text_can_not_be_written)
{
	struct guest_exit exit;
	static const uint64_t places[] = {
		STUB_TEXT, STUB_CONTROL, STUB_CONTROL + CONTROL_COMMANDS,
	};
	unsigned i;

	machine_user(&m, true);
	for (i = 0; i < 3; i++) {
		machine_code(&m, code_write);
		cpu()->gpr[PVM_RBX] = places[i];
		exit = machine_run(m.vcpu[0]);
		assert_page_fault(exit, m.vcpu[0], places[i]);
	}
	check_alive();
}

GUEST_CODE(code_fill_shared, "cld; rep stosb; syscall");

Test(native_isolation, writing_all_over_the_shared_pages_changes_nothing)
{
	static const uint8_t fillings[] = { 0x00, 0xff, 0x01, 0xa5 };
	struct guest_exit exit;
	unsigned i;

	for (i = 0; i < sizeof(fillings); i++) {
		machine_code(&m, code_fill_shared);
		cpu()->gpr[PVM_RAX] = fillings[i];
		cpu()->gpr[PVM_RDI] = STUB_SHARED;
		cpu()->gpr[PVM_RCX] = STUB_SHARED_SIZE;
		cpu()->gpr[PVM_RBX] = 0x1234;
		exit = machine_run(m.vcpu[0]);
		assert_kind(exit, GUEST_EXIT_SYSCALL);
		cr_assert_eq(cpu()->gpr[PVM_RBX], 0x1234);
		cr_assert_eq(cpu()->gpr[PVM_RDI], STUB_SHARED + STUB_SHARED_SIZE);
	}
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

	read_stub_text();
	cr_assert_geq(find(insn_stop, sizeof(insn_stop), 0), 0);
	machine_user(&m, true);
	check_alive();
	frame = *machine_space(m.vcpu[0])->frame.frame;
	frame.rip = CODE;
	return frame;
}

Test(native_isolation, a_forged_exit_shows_no_vector_that_a_guest_can_not_raise)
{
	struct sigframe frame = honest_frame();
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGILL, SIGSYS };
	struct guest_exit exit;
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
			if (exit.kind == GUEST_EXIT_SYSCALL)
				continue;
			cr_assert_eq(exit.kind, GUEST_EXIT_EXCEPTION);
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
Test(native_isolation, a_forged_failure_costs_only_the_guests_own_time)
{
	struct sigframe frame = honest_frame();
	struct guest_exit exit;
	pthread_t thread;

	forge(&frame, STOP_COMMAND);
	pthread_create(&thread, NULL, kick_later, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_kind(exit, GUEST_EXIT_KICK);
	check_alive();
}

GUEST_CODE(code_touch, "movq $0, (%rsi); syscall");
GUEST_CODE(code_kicked,
	   "cmpq $0, (%rsi); jne 1f; movq $1, (%rsi); movl %eax, (%rdx); jmp *%rbx; 1: syscall");

/* A kick can hide what a guest did in the stub's text just before it. */
Test(native_isolation, M2_after_a_kick_inside_the_stub_every_mapping_is_made_anew)
{
	struct guest_exit exit;

	honest_frame();
	machine_code(&m, code_touch);
	cpu()->gpr[PVM_RSI] = DATA;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, GUEST_EXIT_SYSCALL);
	machine_code(&m, code_kicked);
	cpu()->gpr[PVM_RSI] = DATA;
	cpu()->gpr[PVM_RAX] = STOP_KICKED;
	cpu()->gpr[PVM_RDX] = STUB_SHARED + RECORD_REASON;
	cpu()->gpr[PVM_RBX] = STUB_TEXT + (uint64_t)find(insn_stop, sizeof(insn_stop), 0);
	exit = machine_run_once(m.vcpu[0]);
	assert_page_fault(exit, m.vcpu[0], DATA);
}

Test(native_isolation, a_forged_end_of_commands_is_gp_for_the_user_program)
{
	struct sigframe frame = honest_frame();
	struct guest_exit exit;

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

Test(native_isolation, a_user_program_that_blocks_its_signals_dies_of_gp_alone)
{
	struct sigframe frame = honest_frame();
	struct guest_exit exit;

	memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
	forge_return(frame, CODE + 0x100, ~0ull, STUB_ALTSTACK);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(cpu()->rip, CODE, "entered at %#lx", (unsigned long)cpu()->rip);
	check_alive();
}

Test(native_isolation, a_user_program_that_blocks_the_kick_is_kicked_all_the_same)
{
	struct sigframe frame = honest_frame();
	struct guest_exit exit;
	pthread_t thread;

	memcpy(machine_at(&m, CODE + 0x100), code_spin, 2);
	forge_return(frame, CODE + 0x100, ~0ull, STUB_ALTSTACK);
	pthread_create(&thread, NULL, kick_later, NULL);
	exit = machine_run(m.vcpu[0]);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_GP);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, GUEST_EXIT_KICK);
	check_alive();
}

static atomic_bool done;

static void *kick_often(void *argument)
{
	(void)argument;
	while (!atomic_load(&done)) {
		usleep(20000);
		native_executor.kick(m.vcpu[0]);
	}
	return NULL;
}

/* Some bytes make the stub wait for a monitor that waits for it: a guest that
 * never ends, which a kick ends. */
Test(native_isolation, every_byte_of_the_stubs_text_can_be_jumped_to)
{
	struct guest_exit exit;
	pthread_t thread;
	unsigned offset;

	read_stub_text();
	machine_user(&m, true);
	machine_map(&m, m.user_cr3, 0, 0, 1, 0);	/* the hole is another test's */
	pthread_create(&thread, NULL, kick_often, NULL);
	/* All code, and a few bytes of what fills the page. */
	for (offset = 0; offset < 0x320; offset++) {
		set_call(&hostile[0]);
		cpu()->gpr[PVM_RSP] = DATA + 0x800;
		cpu()->gpr[PVM_R12] = DATA;
		cpu()->gpr[PVM_RBP] = DATA;
		machine_code(&m, code_jump);
		cpu()->gpr[PVM_RBX] = STUB_TEXT + offset;
		exit = machine_run(m.vcpu[0]);
		cr_assert_neq(exit.kind, GUEST_EXIT_FAILED, "%s", exit.message);
		cr_assert_neq(exit.kind, GUEST_EXIT_DEAD, "%s", exit.message);
	}
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	machine_run(m.vcpu[0]);		/* a kick may be left */
	check_no_secret();
	check_alive();
}

/* The same with the kick blocked. */
Test(native_isolation, a_user_program_that_waits_for_the_monitor_is_kicked_all_the_same)
{
	struct sigframe frame = honest_frame();
	static const uint8_t insn_wait[] = { 0xbf, STUB_FD_GO };	/* movl $STUB_FD_GO, %edi */
	struct guest_exit exit;
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
	assert_kind(exit, GUEST_EXIT_KICK);
	check_alive();
}

Test(native_isolation, a_user_program_that_moves_its_signal_stack_dies_of_gp_alone)
{
	struct sigframe frame = honest_frame();
	struct guest_exit exit;

	memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
	forge_return(frame, CODE + 0x100, 0, 0x380000);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	check_alive();
}

Test(native_isolation, a_kernel_that_kills_its_stub_is_dead_with_one_line_that_says_so)
{
	struct sigframe frame;
	struct guest_exit exit;

	read_stub_text();
	frame = *machine_space(m.vcpu[0])->frame.frame;
	memcpy(machine_at(&m, CODE + 0x100), code_syscall, 2);
	forge_return(frame, CODE + 0x100, ~0ull, STUB_ALTSTACK);
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, GUEST_EXIT_DEAD);
	cr_assert(strstr(exit.message, "vCPU 0"), "%s", exit.message);
	cr_assert(strstr(exit.message, "signal 31"), "%s", exit.message);
	cr_assert(!strchr(exit.message, '\n'));
}

Test(native_isolation, a_stub_that_somebody_kills_is_gp_in_user_mode)
{
	struct guest_exit exit;

	machine_user(&m, true);
	check_alive();
	kill(machine_stub(m.vcpu[0]), SIGKILL);
	machine_code(&m, code_syscall);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(cpu()->rip, CODE);
	check_alive();
}

/* ------------------------------------------------------------------------
 * The hole.
 */

/* The guest's tables may map what a process can not have. */
Test(native_isolation, memory_in_the_reserved_hole_is_a_clear_error)
{
	static const uint64_t places[] = {
		0, STUB_REGION, STUB_TEXT, STUB_REGION_END, STUB_REGION_END - 4096,
	};
	struct guest_exit exit;
	unsigned i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		machine_map(&m, m.supervisor_cr3, places[i], DATA, 1, RWX);
		machine_code(&m, code_write);
		cpu()->gpr[PVM_RBX] = places[i];
		exit = machine_run(m.vcpu[0]);
		if (places[i] == STUB_REGION_END)
			cr_assert(exit.kind == GUEST_EXIT_FAILED || exit.vector == PVM_VEC_PF);
		else
			assert_kind(exit, GUEST_EXIT_FAILED);
		if (exit.kind == GUEST_EXIT_FAILED)
			cr_assert(strstr(exit.message, "reserved hole"), "%s", exit.message);
	}
}

Test(native_isolation, a_large_page_that_reaches_into_the_hole_is_there_as_far_as_it_can_be)
{
	struct guest_exit exit;

	machine_map(&m, m.supervisor_cr3, STUB_REGION - (2 << 20), 16 << 20, 2, RWX);
	*(uint64_t *)machine_at(&m, (18 << 20) - 8) = 0x77;
	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = STUB_REGION - 8;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, GUEST_EXIT_SYSCALL);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0x77);
}
