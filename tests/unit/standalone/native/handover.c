/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Stubs that hand the vCPU over to each other: what is exchanged, and what disturbs it. */
#include "handover.h"

#include <pvm/state.h>

#define ROUNDS		50
#define XMM		160			/* XMM0 to 15 in the extended state */
#define XMM_SIZE	256

TestSuite(native_handover, .init = setup, .fini = teardown, .timeout = 60);


/* A kernel that changes all that a system call gives it to change. */
GUEST_CODE(kernel_all,
	   "incq 0x300800; movq %rsp, 0x300810; rdgsbase %rcx; movq %rcx, 0x300818; movq %r11, 0x300820;"
	   "lea 3(%rax), %rax; lea 5(%rdx), %rdx; not %rbx; lea 7(%rsi), %rsi; lea 9(%rbp), %rbp;"
	   "lea 1(%r8), %r8; lea 2(%r9), %r9; lea 3(%r10), %r10; lea 1(%r12), %r12; lea 1(%r15), %r15;"
	   "rdfsbase %rcx; addq $16, %rcx; wrfsbase %rcx; rdgsbase %rcx; addq $32, %rcx; wrgsbase %rcx;"
	   "movq %rax, %xmm3; subq $64, %rsp; stc; std; "
	   "syscall; hlt");
GUEST_CODE(user_all,
	   "1: movq %rdi, %xmm0; movq %rdi, %xmm7; rdgsbase %rax; incq %rax; wrgsbase %rax; cmpq $1, %rdi;"
	   "syscall; setz %r13b; movq %xmm3, %r14; decq %rdi; jnz 1b; ud2");

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

/* One stub of the pair is to forget something, then the other: so the next run begins in one alone, also if
 * it was to be the pair's already. */
static void *flushes_of_one(void *unused)
{
	const struct space *spaces = native()->pool.spaces;
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_GVA, .level = 1, .gva = { DATA + 0x40000 } };
	volatile unsigned wait;
	unsigned i;

	(void)unused;
	for (i = 0; !atomic_load(&over); i++) {
		flush.root = pvm_hpa(spaces[i & 1].root);
		native_executor.tlb_flush(&m.vm, &flush);
		for (wait = i * 37 % 4096; wait; wait--)
			;
	}
	return NULL;
}

static void disturbed(void *(*by)(void *), uint64_t rounds)
{
	struct pvm_guest_exit exit;
	unsigned syscalls;
	pthread_t thread;

	warm_up();
	begin_user(rounds);
	machine_code(&m, user_calls);
	atomic_store(&over, false);
	pthread_create(&thread, NULL, by, NULL);
	do
		exit = drive(&syscalls);
	while (exit.kind == PVM_EXIT_KICK);
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

Test(native_handover, M9_M10_a_run_that_does_not_begin_hands_nothing_over)
{
	disturbed(flushes_of_one, 3000);
}

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

GUEST_CODE(kernel_spins_and_looks, "1: incq 0x300808; cmpq $0, 0x300828; je 1b; incq 0x300800; notq %rbx;"
				   "movq %rbx, %xmm0; syscall; hlt");

Test(native_handover, a_kick_right_at_the_hand_over_to_the_program_loses_no_register)
{
	const uint64_t value = 0x1122334455667788;
	int kick = STUB_SIGNAL_KICK;
	struct pvm_guest_exit exit;
	pthread_t thread;
	unsigned syscalls;

	warm_up();
	kernel(kernel_spins_and_looks);
	begin_user(value);
	machine_code(&m, user_looks);
	pthread_create(&thread, NULL, signal_the_program, &kick);
	exit = drive(&syscalls);
	pthread_join(thread, NULL);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(word(COUNT), 1);
	cr_assert_eq(cpu()->gpr[PVM_RAX], ~value);
	cr_assert_eq(cpu()->gpr[PVM_RBX], ~value);
}

/* ------------------------------------------------------------------------
 * What the other stub's thread has not.
 */

GUEST_CODE(user_breaks, "nop; nop; ud2");
GUEST_CODE(user_loads_tls, "movl %edi, %fs; movl %fs:4, %eax; ud2");
GUEST_CODE(user_calls_page, "xorl %esi, %esi; movq $0xffffffffff600000, %rbx; call *%rbx; ud2");

/* The kernel runs first, with what was set since the program's stub ran last. */
#define return_to(code, rdi) (begin_user(rdi), machine_code(&m, code), drive_from_kernel())
static struct pvm_guest_exit drive_from_kernel(void)
{
	unsigned syscalls;

	cpu()->gpr[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	cr_assert_eq(pvm_event_user_syscall(cpu()), PVM_ACT_RESUME);
	return drive(&syscalls);
}

Test(native_handover, S12_breakpoints_are_in_force_behind_a_return)
{
	struct pvm_guest_exit exit;

	warm_up();
	cpu()->dr[0] = CODE + 1;
	cpu()->dr7 = PVM_DR7_FIXED | 1;
	exit = return_to(user_breaks, 0);
	assert_exception(exit, PVM_VEC_DB);
	cr_assert_eq(cpu()->rip, CODE + 1);
	cr_assert_eq(word(COUNT), 1);
}

Test(native_handover, S5_tls_descriptors_are_in_force_behind_a_return)
{
	struct pvm_guest_exit exit;

	warm_up();
	pvm_load_tls(cpu(), (const uint64_t[3]){ 0x00cff3000000ffff | DATA << 16, 0, 0 });
	memcpy(machine_at(&m, DATA + 4), "tls", 4);
	exit = return_to(user_loads_tls, (uint64_t)m.config.tls_index << 3 | 3);
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0x736c74);
	cr_assert_eq(word(COUNT), 1);
}

/* A system call's signal that is none of the guest's; where the host has no such page, #PF comes at once. */
Test(native_handover, M9_a_call_of_the_vsyscall_page_is_no_system_call)
{
	struct pvm_guest_exit exit;

	warm_up();
	exit = return_to(user_calls_page, 0);
	assert_page_fault(exit, 0xffffffffff600000ull);
	cr_assert(cpu()->user_mode);
	cr_assert_eq(word(COUNT), 1);
}
