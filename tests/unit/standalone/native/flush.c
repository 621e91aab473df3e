/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Translations go when the engine says so, also in stubs that are running. */
#include "machine.h"

#include <pvm/mmu.h>
#include <unistd.h>

static struct machine m;

static void setup(void)
{
	machine_init(&m, 2);
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_flush, .init = setup, .fini = teardown, .timeout = 60);

#define PAGE_A	0x600000ull
#define PAGE_B	0x601000ull

GUEST_CODE(code_read, "movq (%rbx), %rax; syscall");
GUEST_CODE(code_write, "movq %rax, (%rbx); syscall");

static struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

static uint64_t read_at(uint64_t gva)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = gva;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	return cpu()->gpr[PVM_RAX];
}

static void fill_pages(void)
{
	*(uint64_t *)machine_at(&m, PAGE_A) = 0xa;
	*(uint64_t *)machine_at(&m, PAGE_B) = 0xb;
}

Test(native_flush, M9_after_invlpg_the_next_access_uses_the_new_translation)
{
	fill_pages();
	cr_assert_eq(read_at(PAGE_A), 0xa);
	machine_map(&m, m.supervisor_cr3, PAGE_A, PAGE_B, 1, RWX);
	pvm_mmu_invlpg(cpu(), pvm_gva(PAGE_A));
	cr_assert_eq(read_at(PAGE_A), 0xb);
}

Test(native_flush, M9_after_every_kind_of_flush_the_new_translation_is_used)
{
	unsigned i;

	fill_pages();
	for (i = 0; i < 3; i++) {
		machine_map(&m, m.supervisor_cr3, PAGE_A, PAGE_A, 1, RWX);
		pvm_mmu_flush_all(cpu());
		cr_assert_eq(read_at(PAGE_A), 0xa);
		machine_map(&m, m.supervisor_cr3, PAGE_A, PAGE_B, 1, RWX);
		if (i == 0)
			pvm_mmu_flush_all(cpu());
		else if (i == 1)
			pvm_mmu_flush_current(cpu());
		else
			pvm_mmu_flush_cr3(cpu(), m.supervisor_cr3);
		cr_assert_eq(read_at(PAGE_A), 0xb, "%u", i);
	}
}

Test(native_flush, M9_many_flushes_at_once_are_all_done)
{
	unsigned i, pages = 200;

	for (i = 0; i < pages; i++) {
		*(uint64_t *)machine_at(&m, PAGE_A + i * PVM_PAGE_SIZE) = i;
		cr_assert_eq(read_at(PAGE_A + i * PVM_PAGE_SIZE), i);
	}
	*(uint64_t *)machine_at(&m, DATA) = 0xda;
	for (i = 0; i < pages; i++) {
		machine_map(&m, m.supervisor_cr3, PAGE_A + i * PVM_PAGE_SIZE, DATA, 1, RWX);
		pvm_mmu_invlpg(cpu(), pvm_gva(PAGE_A + i * PVM_PAGE_SIZE));
	}
	for (i = 0; i < pages; i++)
		cr_assert_eq(read_at(PAGE_A + i * PVM_PAGE_SIZE), 0xda, "page %u", i);
}

/* spec: C-003 */
Test(native_flush, M10_memory_that_the_host_takes_back_is_not_mapped_any_more)
{
	struct pvm_guest_exit exit;

	fill_pages();
	cr_assert_eq(read_at(PAGE_A), 0xa);
	pvm_mmu_unmap_gfns(&m.vm.pvm, pvm_gfn(PAGE_A >> PVM_PAGE_SHIFT), 1, PVM_MAY_SLEEP);
	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = PAGE_A;
	exit = machine_run_once(m.vcpu[0]);
	assert_page_fault(exit, PAGE_A);
}

Test(native_flush, M10_memory_that_the_host_write_protects_faults_at_the_next_write)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_write);
	cpu()->gpr[PVM_RBX] = PAGE_A;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	pvm_mmu_write_protect_gfns(&m.vm.pvm, pvm_gfn(PAGE_A >> PVM_PAGE_SHIFT), 1, PVM_MAY_SLEEP);
	machine_code(&m, code_write);
	cpu()->gpr[PVM_RBX] = PAGE_A;
	exit = machine_run_once(m.vcpu[0]);
	assert_page_fault(exit, PAGE_A);
	cr_assert(exit.error_code & PVM_PF_W);
}

/* ------------------------------------------------------------------------
 * With the guest running on another vCPU meanwhile.
 */

/* Copies (%rbx) to (%rdi) for ever. */
GUEST_CODE(code_copy, "1: movq (%rbx), %rax; movq %rax, (%rdi); jmp 1b");

static atomic_bool stop;
static struct pvm_guest_exit last;

static void *run_until_stopped(void *argument)
{
	(void)argument;
	while (!atomic_load(&stop))
		last = machine_run(m.vcpu[1]);
	return NULL;
}

#define COPIED	0x700000ull
#define CODE_1	0x280000ull

static volatile uint64_t *copied(void)
{
	return machine_at(&m, COPIED);
}

static pthread_t start_copying(void)
{
	pthread_t thread;

	machine_put(&m, m.vcpu[1], CODE_1, code_copy, (size_t)(code_copy_end - code_copy));
	m.vcpu[1]->pvm.gpr[PVM_RBX] = PAGE_A;
	m.vcpu[1]->pvm.gpr[PVM_RDI] = COPIED;
	pthread_create(&thread, NULL, run_until_stopped, NULL);
	while (*copied() == 0)
		usleep(1000);
	return thread;
}

static void stop_copying(pthread_t thread)
{
	atomic_store(&stop, true);
	native_executor.kick(m.vcpu[1]);
	pthread_join(thread, NULL);
}

/* Not once after unmap_gfns() has returned may the guest write there. */
Test(native_flush, M10_a_running_vcpu_has_lost_the_memory_when_the_call_returns)
{
	pthread_t thread;
	unsigned i;

	fill_pages();
	thread = start_copying();
	for (i = 0; i < 200; i++) {
		struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ALL };

		/* The engine's lock keeps the fault that follows from filling again. */
		m.vm.ops.mmu_lock(&m.vm);
		native_executor.tlb_flush(&m.vm, &flush);
		*copied() = 0x1111;
		usleep(200);
		cr_assert_eq(*copied(), 0x1111, "round %u", i);
		m.vm.ops.mmu_unlock(&m.vm);
		while (*copied() == 0x1111)
			usleep(100);
	}
	stop_copying(thread);
	assert_kind(last, PVM_EXIT_KICK);
}

Test(native_flush, M9_a_running_vcpu_sees_the_new_translation_after_a_flush_of_all_vcpus)
{
	pthread_t thread;
	unsigned i;

	fill_pages();
	thread = start_copying();
	for (i = 0; i < 100; i++) {
		uint64_t page = i % 2 ? PAGE_A : PAGE_B;
		uint64_t frame = i % 2 ? 0xa : 0xb;

		machine_map(&m, m.supervisor_cr3, PAGE_A, page, 1, RWX);
		pvm_mmu_invlpg(&m.vcpu[1]->pvm, pvm_gva(PAGE_A));
		/* One copy may be half done; the second is new. */
		*copied() = 0;
		while (*copied() == 0)
			;
		*copied() = 0;
		while (*copied() == 0)
			;
		cr_assert_eq(*copied(), frame, "round %u", i);
	}
	stop_copying(thread);
}

Test(native_flush, a_flush_of_one_vcpu_leaves_the_other_alone)
{
	const struct native_vcpu *other = m.vcpu[1]->executor;
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ALL, .vcpu = cpu() };

	native_executor.tlb_flush(&m.vm, &flush);
	cr_assert_eq(other->gate.count, 0);
}

/* ------------------------------------------------------------------------
 * Roots.
 */

Test(native_flush, a_root_that_dies_is_not_entered)
{
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ROOT, .root_dying = true };
	struct pvm_guest_exit exit;

	read_at(PAGE_A);
	flush.root = m.vcpu[0]->root;
	native_executor.tlb_flush(&m.vm, &flush);
	machine_code(&m, code_read);
	native_executor.run(m.vcpu[0], &exit);
	assert_kind(exit, PVM_EXIT_KICK);
	cr_assert_eq(cpu()->rip, CODE);
	cr_assert_null(machine_space(m.vcpu[0]));
}

Test(native_flush, a_root_that_dies_among_too_many_flushes_is_not_entered)
{
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_GVA, .level = 1 };
	struct pvm_guest_exit exit;
	unsigned i;

	read_at(PAGE_A);
	flush.root = m.vcpu[0]->root;
	for (i = 0; i < GATE_FLUSHES; i++)
		native_executor.tlb_flush(&m.vm, &flush);
	flush.scope = PVM_FLUSH_ROOT;
	flush.root_dying = true;
	native_executor.tlb_flush(&m.vm, &flush);
	native_executor.run(m.vcpu[0], &exit);
	assert_kind(exit, PVM_EXIT_KICK);
	cr_assert_null(machine_space(m.vcpu[0]));
}

#define FAR_PAGES	0x480000ull	/* each far from the next */
GUEST_CODE(code_read_far, "movl $8, %ecx; 1: movq (%rbx), %rax; addq $0x20000, %rbx; decl %ecx; jnz 1b; syscall");

static void tell_nobody(void *host, const struct pvm_tlb_flush *flush)
{
	(void)host;
	(void)flush;
}

Test(native_flush, M2_what_a_root_left_in_its_stub_is_gone_when_another_root_gets_it)
{
	void (*told)(void *host, const struct pvm_tlb_flush *flush);
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ROOT, .root_dying = true };
	struct pvm_guest_exit exit;
	struct space *space;
	pid_t stub;
	unsigned i;

	/* A program's registers are in its last frame; and it may write there. */
	machine_user(&m, true);
	m.vcpu[0]->pvm.gpr[PVM_R15] = 0x5ec4e75ec4e7;
	read_at(PAGE_A);
	stub = machine_stub(m.vcpu[0]);
	space = machine_space(m.vcpu[0]);
	machine_code(&m, code_write);
	cpu()->gpr[PVM_RAX] = 0x5ec4e75ec4e7;
	cpu()->gpr[PVM_RBX] = STUB_SHARED + 0x900;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, PVM_EXIT_SYSCALL);
	/* Its page is gone from the shadow tables, and the stub has not been told. */
	told = m.vm.ops.tlb_flush;
	m.vm.ops.tlb_flush = tell_nobody;
	machine_map(&m, m.user_cr3, PAGE_A, 0, 1, 0);
	pvm_mmu_invlpg(cpu(), pvm_gva(PAGE_A));
	m.vm.ops.tlb_flush = told;
	flush.root = m.vcpu[0]->root;
	native_executor.tlb_flush(&m.vm, &flush);
	native_executor.run(m.vcpu[0], &exit);
	cpu()->gpr[PVM_RAX] = 0;
	cpu()->gpr[PVM_R15] = 0;
	memset(m.vcpu[0]->xstate, 0, sizeof(m.vcpu[0]->xstate));
	m.vcpu[0]->xstate_size = 0;
	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = 0x7654321000;
	exit = machine_run(m.vcpu[0]);
	assert_page_fault(exit, 0x7654321000);
	cr_assert_eq(machine_stub(m.vcpu[0]), stub, "not the same process");
	for (i = 0; i < (STUB_SLOT_SIZE - 8) / 8; i++)
		cr_assert_neq(((uint64_t *)(void *)space->control)[i], 0x5ec4e75ec4e7, "at %#x", i * 8);
	/* And nothing of the old mappings. */
	cpu()->gpr[PVM_RBX] = PAGE_A;
	machine_code(&m, code_read);
	exit = machine_run(m.vcpu[0]);
	assert_page_fault(exit, PAGE_A);
}

/* What was used last comes back at once, and only that. */
Test(native_flush, after_a_flush_of_everything_pages_used_last_are_filled_at_once)
{
	const struct pvm_tlb_flush all = { .scope = PVM_FLUSH_ALL };
	struct pvm_guest_exit exit;
	unsigned i, exits;

	for (i = 0; i < 8; i++)
		read_at(FAR_PAGES + i * 32 * PVM_PAGE_SIZE);
	native_executor.tlb_flush(&m.vm, &all);
	machine_code(&m, code_read_far);
	cpu()->gpr[PVM_RBX] = FAR_PAGES;
	for (exits = 1;; exits++) {
		exit = machine_run_once(m.vcpu[0]);
		if (exit.kind != PVM_EXIT_EXCEPTION)
			break;
		cr_assert_eq(pvm_mmu_fault(cpu(), exit.gva, exit.error_code, PVM_MAY_SLEEP).kind,
			     PVM_FAULT_FIXED);
	}
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert_leq(exits, 2, "%u exits", exits);
}
