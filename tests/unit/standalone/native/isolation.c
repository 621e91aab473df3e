/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a guest finds in its stub, and what comes of using it: nothing that it
 * could not have had honestly, and never the end of the VM for a user program.
 */
#include "stub_text.h"

#include <pvm/mmu.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
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
	struct pvm_guest_exit exit;

	machine_code(&m, code_syscall);
	cpu()->gpr[PVM_RSP] = STACK;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
}

/* No shadow entry can make one of the host's other pages the guest's. */
Test(native_isolation, M2_what_is_no_guest_memory_is_not_mapped)
{
	struct pvm_guest_exit exit;

	check_alive();
	machine_map(&m, m.supervisor_cr3, SECRET_GVA, MACHINE_MEMORY - PVM_PAGE_SIZE, 1, RWX);
	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = SECRET_GVA;
	exit = machine_run_once(m.vcpu[0]);
	assert_page_fault(exit, SECRET_GVA);
	cr_assert_eq(pvm_mmu_fault(cpu(), exit.gva, exit.error_code, PVM_MAY_SLEEP).kind, PVM_FAULT_FIXED);
	/* As if the shadow entry were wrong. */
	m.vm.memory.size -= PVM_PAGE_SIZE;
	exit = machine_run_once(m.vcpu[0]);
	m.vm.memory.size += PVM_PAGE_SIZE;
	assert_kind(exit, PVM_EXIT_FAILED);
	cr_assert(strstr(exit.message, "no guest memory"), "%s", exit.message);
}

static const uint8_t insn_int80[] = { 0xcd, 0x80 };
static const uint8_t insn_sysenter[] = { 0x0f, 0x34 };

/* ------------------------------------------------------------------------
 * What is there.
 */

/* A range of the stub's own pages; how many of these there are. */
static unsigned judge_own(unsigned long start, unsigned long end, const char *perms, const char *line,
			  bool user)
{
	if (start == STUB_TEXT)
		cr_assert(end == STUB_CONTROL && !strcmp(perms, "r-xp"), "%s", line);
	else if (start == STUB_CONTROL)
		cr_assert(end == STUB_SHARED && !strcmp(perms, "r--s"), "%s", line);
	else if (start == STUB_SHARED)
		cr_assert(end == SHARED_END && !strcmp(perms, "rw-s"), "%s", line);
	else if (start == STUB_PEER_HANDED && !user)
		cr_assert(end == STUB_PEER_SHARED && !strcmp(perms, "rw-s"), "%s", line);
	else if (start == STUB_PEER_SHARED && !user)
		cr_assert(end == STUB_PVCS && !strcmp(perms, "r--s"), "%s", line);
	else if (start == STUB_PVCS && !user)
		cr_assert(end == STUB_PVCS + STUB_PVCS_SIZE && !strcmp(perms, "rw-s") &&
			  strstr(line, "memfd:pvm-guest"), "%s", line);
	else
		cr_assert_fail("%s", line);
	return start != STUB_PVCS;
}

static void check_maps(bool user)
{
	unsigned long start, end;
	char line[512], path[64], perms[5];
	unsigned own = 0;
	FILE *maps;

	if (user)
		machine_user(&m, true);
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
		own += judge_own(start, end, perms, line, user);
	}
	fclose(maps);
	cr_assert_eq(own, user ? 3 : 5);
}

/* Of the pages of its peer, and of the PVCS, a user's stub has none. spec: C-003 */
Test(native_isolation, S6_a_stub_maps_nothing_but_its_own_pages_and_guest_memory)
{
	check_maps(false);
	check_maps(true);
}

static void check_descriptors(pid_t process, pid_t thread, const int *fds, unsigned count)
{
	struct dirent *entry;
	unsigned seen = 0, i;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd", process, thread);
	dir = opendir(path);
	cr_assert(dir);
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		for (i = 0; i < count && fds[i] != fd; i++)
			;
		cr_assert_lt(i, count, "%d", fd);
		seen++;
	}
	closedir(dir);
	cr_assert_eq(seen, count);
}

Test(native_isolation, M2_the_guests_thread_has_no_descriptor_of_guest_memory)
{
	static const int guests[] = { STUB_FD_GO, STUB_FD_STOP, STUB_FD_PEER };
	static const int mappers[] = { STUB_FD_GUEST, STUB_FD_GO, STUB_FD_STOP, STUB_FD_ORDER };
	const struct space *space;

	check_alive();
	space = machine_space(m.vcpu[0]);
	check_descriptors(space->pid, space->pid, guests, 3);
	check_descriptors(space->pid, space->mapper, mappers, 4);
}

Test(native_isolation, M2_the_stubs_text_enters_the_kernel_at_nine_places_only)
{
	check_alive();
	read_stub_text(&m);
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
	{ "map up to the stub's region", SYS_mmap,
	  { SECRET_GVA, 4096, 7, MAP_SHARED | MAP_FIXED | MAP_POPULATE, STUB_FD_GUEST, SECRET_GPA } },
	{ "return from a signal", SYS_rt_sigreturn, { 0 } },
	{ "block all signals", SYS_rt_sigprocmask, { 2, STUB_SHARED, 0, 8 } },
	{ "block them in another way", SYS_rt_sigprocmask, { 0, STUB_TEXT, 0, 8 } },
	{ "give itself a go", SYS_write, { STUB_FD_GO, STUB_TEXT, 8 } },
	{ "give the mapper an order", SYS_write, { STUB_FD_ORDER, STUB_TEXT, 8 } },
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
static struct pvm_guest_exit jump_from_user(uint64_t address)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RBX] = address;
	exit = machine_run(m.vcpu[0]);
	cr_assert(exit.kind == PVM_EXIT_EXCEPTION || exit.kind == PVM_EXIT_SYSCALL, "%s: %s",
		  pvm_exit_name(exit.kind), exit.message);
	return exit;
}

static void check_no_secret(void)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = SECRET_GVA;
	cpu()->gpr[PVM_RSP] = STACK;
	exit = machine_run(m.vcpu[0]);
	assert_page_fault(exit, SECRET_GVA);
}

Test(native_isolation, M2_no_system_call_of_the_stub_does_anything_for_a_guest_that_jumps_to_it)
{
	unsigned site, i;

	check_alive();
	read_stub_text(&m);
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

Test(native_isolation, M2_the_mappers_instruction_maps_nothing_for_a_guest_and_ends_the_stub)
{
	struct pvm_guest_exit exit;
	pid_t stub;

	check_alive();
	read_stub_text(&m);
	machine_user(&m, true);
	check_alive();
	stub = machine_stub(m.vcpu[0]);
	set_call(&hostile[0]);
	exit = jump_from_user(STUB_TEXT + (uint64_t)find(insn_syscall, 2, SYSCALL_COMMAND));
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_neq(kill(stub, 0), 0, "the stub lives");
	check_no_secret();
}

static atomic_bool done;

static void *kick_often(void *argument)
{
	useconds_t period = *(const useconds_t *)argument;

	while (!atomic_load(&done)) {
		usleep(period);
		native_executor.kick(m.vcpu[0]);
	}
	return NULL;
}

/* A kick may hide what a system call did in the stub's text. One of these mappings
 * would reach from below the region to above it, where no flush unmaps. */
Test(native_isolation, M2_no_mapping_is_left_when_a_kick_comes_right_behind_it)
{
	static const struct call reach = {
		"map from below the region to above it", SYS_mmap,
		{ STUB_REGION - 4096, MACHINE_MEMORY, 7, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
		  STUB_FD_GUEST, 0 },
	};
	static const useconds_t period = 200;
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned i;

	check_alive();
	read_stub_text(&m);
	machine_user(&m, true);
	check_alive();
	pthread_create(&thread, NULL, kick_often, (void *)&period);
	for (i = 0; i < 300; i++) {
		set_call(&reach);
		machine_code(&m, code_jump);
		cpu()->gpr[PVM_RBX] = STUB_TEXT + (uint64_t)find(insn_syscall, 2, SYSCALL_COMMAND);
		machine_run(m.vcpu[0]);
		machine_code(&m, code_read);
		cpu()->gpr[PVM_RBX] = STUB_REGION + SECRET_GPA - 4096;
		cpu()->gpr[PVM_RSP] = STACK;
		do
			exit = machine_run(m.vcpu[0]);
		while (exit.kind == PVM_EXIT_KICK);
		assert_page_fault(exit, STUB_REGION + SECRET_GPA - 4096);
	}
	atomic_store(&done, true);
	pthread_join(thread, NULL);
}

/* Some bytes make the stub wait for a monitor that waits for it: a guest that
 * never ends, which a kick ends. */
Test(native_isolation, every_byte_of_the_stubs_text_can_be_jumped_to)
{
	static const useconds_t period = 20000;
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned offset;

	check_alive();
	read_stub_text(&m);
	machine_user(&m, true);
	machine_map(&m, m.user_cr3, 0, 0, 1, 0);	/* the hole is another test's */
	pthread_create(&thread, NULL, kick_often, (void *)&period);
	for (offset = 0; offset < STUB_TEXT_SIZE; offset++) {
		set_call(&hostile[0]);
		cpu()->gpr[PVM_RSP] = DATA + 0x800;
		cpu()->gpr[PVM_R12] = DATA;
		cpu()->gpr[PVM_RBP] = DATA;
		machine_code(&m, code_jump);
		cpu()->gpr[PVM_RBX] = STUB_TEXT + offset;
		exit = machine_run(m.vcpu[0]);
		cr_assert_neq(exit.kind, PVM_EXIT_FAILED, "%s", exit.message);
		cr_assert_neq(exit.kind, PVM_EXIT_DEAD, "%s", exit.message);
	}
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	machine_run(m.vcpu[0]);		/* a kick may be left */
	check_no_secret();
	check_alive();
}

Test(native_isolation, the_control_page_and_the_text_can_not_be_written)
{
	struct pvm_guest_exit exit;
	static const uint64_t places[] = {
		STUB_TEXT, STUB_CONTROL, STUB_CONTROL + CONTROL_COMMANDS, STUB_CONTROL + CONTROL_XSTATE,
	};
	unsigned i;

	machine_user(&m, true);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		machine_code(&m, code_write);
		cpu()->gpr[PVM_RBX] = places[i];
		exit = machine_run(m.vcpu[0]);
		assert_page_fault(exit, places[i]);
	}
	check_alive();
}

GUEST_CODE(code_fill_shared, "cld; rep stosb; syscall");

Test(native_isolation, writing_all_over_the_shared_pages_changes_nothing)
{
	static const uint8_t fillings[] = { 0x00, 0xff, 0x01, 0xa5 };
	struct pvm_guest_exit exit;
	unsigned i;

	for (i = 0; i < sizeof(fillings); i++) {
		machine_code(&m, code_fill_shared);
		cpu()->gpr[PVM_RAX] = fillings[i];
		cpu()->gpr[PVM_RDI] = STUB_SHARED;
		cpu()->gpr[PVM_RCX] = STUB_SHARED_SIZE;
		cpu()->gpr[PVM_RBX] = 0x1234;
		exit = machine_run(m.vcpu[0]);
		assert_kind(exit, PVM_EXIT_SYSCALL);
		cr_assert_eq(cpu()->gpr[PVM_RBX], 0x1234);
		cr_assert_eq(cpu()->gpr[PVM_RDI], STUB_SHARED + STUB_SHARED_SIZE);
	}
}

/* ------------------------------------------------------------------------
 * The mapper: the second wall, after a monitor that orders none of this.
 */
#define GUEST_FD_MAP	MAP_SHARED | MAP_FIXED, STUB_FD_GUEST, 0

static const struct {
	const char *name;
	uint64_t call[7];	/* its number, then its arguments */
} forbidden[] = {
	{ "a mapping over the control pages",
	  { SYS_mmap, STUB_CONTROL, 4096, PROT_READ | PROT_WRITE, GUEST_FD_MAP } },
	{ "a mapping over the stub's text", { SYS_mmap, STUB_TEXT, 4096, PROT_READ | PROT_EXEC, GUEST_FD_MAP } },
	{ "a mapping that is long enough to reach the stub",
	  { SYS_mmap, STUB_REGION - 4096, 1ull << 32, PROT_READ, GUEST_FD_MAP } },
	{ "a mapping in the upper half", { SYS_mmap, 1ull << 63, 4096, PROT_READ, GUEST_FD_MAP } },
	{ "a mapping of 4 GiB too many", { SYS_mmap, DATA, (1ull << 47) + 4096, PROT_READ, GUEST_FD_MAP } },
	{ "a private mapping",
	  { SYS_mmap, DATA, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, STUB_FD_GUEST, 0 } },
	{ "a mapping without a file",
	  { SYS_mmap, DATA, 4096, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS, STUB_FD_GUEST, 0 } },
	{ "another file", { SYS_mmap, DATA, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, STUB_FD_GO, 0 } },
	{ "a PVCS that can be executed",
	  { SYS_mmap, STUB_PVCS, STUB_PVCS_SIZE, PROT_READ | PROT_EXEC, GUEST_FD_MAP } },
	{ "a PVCS of two pages", { SYS_mmap, STUB_PVCS, 2 * STUB_PVCS_SIZE, PROT_READ, GUEST_FD_MAP } },
	{ "unmapping the shared pages", { SYS_munmap, STUB_SHARED, 4096 } },
	{ "unmapping all there is", { SYS_munmap, 0, STUB_REGION_END } },
	{ "rights of the stub's pages", { SYS_pkey_mprotect, STUB_CONTROL, 4096, PROT_READ | PROT_WRITE, 0 } },
	{ "a key that there is not", { SYS_pkey_mprotect, DATA, 4096, PROT_READ, 16 } },
	{ "another call", { SYS_getpid, 0 } },
};

Test(native_isolation, M2_the_mapper_has_a_filter_of_its_own)
{
	struct space *space;
	char end[160];
	unsigned i;

	for (i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		check_alive();
		space = machine_space(m.vcpu[0]);
		space->control->commands[0].nr = forbidden[i].call[0];
		memcpy(space->control->commands[0].arg, forbidden[i].call + 1, 6 * sizeof(uint64_t));
		space->control->count = 1;
		cr_expect_eq(space_prepare(space), -ESRCH, "%s", forbidden[i].name);
		space_destroy(space);
		space_describe_end(space, end, sizeof(end));
		cr_expect(strstr(end, "signal 31"), "%s: the stub %s", forbidden[i].name, end);
	}
}

/* Nor one that is in the way: whatever the low half of an address, each root's may be mapped there. */
Test(native_isolation, N5_the_mapper_maps_all_that_is_the_guests)
{
	static const uint64_t places[] = {
		(uint32_t)STUB_PVCS, 1ull << 32 | (uint32_t)STUB_PVCS, 0x5555ull << 32 | (uint32_t)STUB_PVCS,
		(uint32_t)STUB_CONTROL, (uint32_t)STUB_TEXT, 0x7ffdull << 32 | (uint32_t)STUB_PVCS,
		STUB_REGION - 4096,
	};
	struct pvm_guest_exit exit;
	unsigned i, user;

	for (user = 0; user < 2; user++) {
		if (user)
			machine_user(&m, true);
		for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			machine_map(&m, user ? m.user_cr3 : m.supervisor_cr3, places[i], DATA, 1, RWX);
			machine_code(&m, code_write);
			cpu()->gpr[PVM_RBX] = places[i];
			exit = machine_run(m.vcpu[0]);
			assert_kind(exit, PVM_EXIT_SYSCALL);
		}
	}
}

/* A user program's has no PVCS to map. */
Test(native_isolation, M2_a_users_mapper_maps_no_pvcs)
{
	struct space *space;

	machine_user(&m, true);
	check_alive();
	space = machine_space(m.vcpu[0]);
	cr_assert(space_is_users(space));
	cr_assert(space_command_pvcs(space, 0));
	cr_expect_eq(space_prepare(space), -ESRCH);
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
	struct pvm_guest_exit exit;
	unsigned i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		machine_map(&m, m.supervisor_cr3, places[i], DATA, 1, RWX);
		machine_code(&m, code_write);
		cpu()->gpr[PVM_RBX] = places[i];
		exit = machine_run(m.vcpu[0]);
		if (places[i] == STUB_REGION_END)
			cr_assert(exit.kind == PVM_EXIT_FAILED || exit.vector == PVM_VEC_PF);
		else
			assert_kind(exit, PVM_EXIT_FAILED);
		if (exit.kind == PVM_EXIT_FAILED)
			cr_assert(strstr(exit.message, "reserved hole"), "%s", exit.message);
	}
}

/* Its kernel may map it for a user program, which does not end the VM by it; nor is it asked for again. */
Test(native_isolation, a_user_program_in_the_reserved_hole_has_a_gp_of_its_own)
{
	static const uint64_t places[] = { 0, STUB_REGION, STUB_TEXT, STUB_REGION_END - 4096 };
	struct pvm_guest_exit exit;
	unsigned i;

	machine_user(&m, true);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		machine_map(&m, m.user_cr3, places[i], DATA, 1, RWX);
		machine_code(&m, code_write);
		cpu()->gpr[PVM_RBX] = places[i];
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_GP);
		cr_assert_eq(cpu()->rip, CODE);
		check_alive();
	}
}

Test(native_isolation, a_large_page_that_reaches_into_the_hole_is_there_as_far_as_it_can_be)
{
	struct pvm_guest_exit exit;

	machine_map(&m, m.supervisor_cr3, STUB_REGION - (2 << 20), 16 << 20, 2, RWX);
	*(uint64_t *)machine_at(&m, (18 << 20) - 8) = 0x77;
	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = STUB_REGION - 8;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0x77);
}

/* ------------------------------------------------------------------------
 * Core files.
 */

/* The number behind @name in a file of the stub's; ~0: there is none. */
static unsigned long number_of(const char *file, const char *name)
{
	unsigned long number = ~0ul;
	char text[4096] = "", path[64];
	const char *at;
	FILE *from;

	snprintf(path, sizeof(path), "/proc/%d/%s", machine_stub(m.vcpu[0]), file);
	from = fopen(path, "r");
	cr_assert(from);
	text[fread(text, 1, sizeof(text) - 1, from)] = 0;
	fclose(from);
	at = strstr(text, name);
	if (at)
		sscanf(at + strlen(name), "%lx", &number);
	return number;
}

/* Whatever the monitor may have of its own. A limit of 1 is what a core_pattern of "|program" heeds. */
Test(native_isolation, no_core_of_a_stub_holds_guest_memory)
{
	struct rlimit limit;

	machine_fini(&m);
	cr_assert_eq(getrlimit(RLIMIT_CORE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_CORE, &limit), 0);
	machine_init(&m, 1);
	machine_code(&m, code_write);
	cpu()->gpr[PVM_RBX] = DATA;
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	cr_assert_leq(number_of("limits", "Max core file size"), 1);
	cr_assert_eq(number_of("coredump_filter", ""), 0);
}

static long oom_score_of(pid_t pid)
{
	char path[64];
	long score;
	FILE *from;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	from = fopen(path, "r");
	cr_assert(from && fscanf(from, "%ld", &score) == 1);
	fclose(from);
	return score;
}

/* The largest is the monitor, and its death says nothing. */
Test(native_isolation, where_memory_is_short_a_stub_dies_before_its_monitor)
{
	long wanted = oom_score_of(getpid()) + 100;

	machine_code(&m, code_write);
	cpu()->gpr[PVM_RBX] = DATA;
	assert_kind(machine_run(m.vcpu[0]), PVM_EXIT_SYSCALL);
	cr_expect_eq(oom_score_of(machine_stub(m.vcpu[0])), wanted < 1000 ? wanted : 1000);
}
