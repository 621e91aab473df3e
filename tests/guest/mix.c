/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Each CPU switches between a few address spaces, in each a program that makes system calls with all its
 * registers checked, and writes; a tick interrupts, and pages are unmapped and mapped again. Nothing is lost,
 * however few address spaces are at hand for it.
 */
#include "guest.h"

#define SPACES	4
#define ROUNDS	60
#define CALLS	200
#define PAGES	8
#define TICK	0x71

static struct space spaces[MAX_CPUS][SPACES];
static u64 *ptes[MAX_CPUS][SPACES];
static user_data u8 stacks[MAX_CPUS][4096] __attribute__((aligned(16)));
static u32 go, done, wrong[MAX_CPUS];
static u64 calls[MAX_CPUS];

/* rdi times: a page of those at r8 counts, a system call, and all registers are what rsi says. */
USER_CODE(user_mix,
	  "	movq	%rsi, %rbx\n	movq	%rsi, %r12\n	movq	%rsi, %r13\n"
	  "	movq	%rsi, %r14\n	movq	%rsi, %r15\n	movq	%rsi, %rbp\n"
	  "	movq	%rsi, %xmm0\n	movq	%rsi, %xmm15\n"
	  "1:	movq	%rdi, %rax\n	andq	$7, %rax\n	shlq	$12, %rax\n	addq	%r8, %rax\n"
	  "	incq	(%rax)\n"
	  "	movq	$1, %rax\n	syscall\n"
	  "	movq	$2, %rax\n"
	  "	cmpq	%rsi, %rbx\n	jne	2f\n	cmpq	%rsi, %r12\n	jne	2f\n"
	  "	cmpq	%rsi, %r13\n	jne	2f\n	cmpq	%rsi, %r14\n	jne	2f\n"
	  "	cmpq	%rsi, %r15\n	jne	2f\n	cmpq	%rsi, %rbp\n	jne	2f\n"
	  "	movq	%xmm0, %rdx\n	cmpq	%rsi, %rdx\n	jne	2f\n"
	  "	movq	%xmm15, %rdx\n	cmpq	%rsi, %rdx\n	jne	2f\n"
	  "	decq	%rdi\n	jnz	1b\n	movq	$3, %rax\n"
	  "2:	syscall\n	ud2\n");

static bool on_tick(struct frame *f)
{
	(void)f;
	apic_eoi();
	return true;
}

/* Unmapped, and mapped again. */
static void flush(u64 *pte)
{
	unsigned i;

	for (i = 0; i < PAGES; i++) {
		u64 entry = pte[i];

		pte[i] = 0;
		hc_invlpg(USER_BASE + i * PAGE_SIZE);
		pte[i] = entry;
	}
}

static void run_program(u32 cpu, u32 space, u32 round)
{
	struct user u;
	u64 n = 0;

	space_load(&spaces[cpu][space], false);
	user_init(&u, user_mix, (u64)stacks[cpu] + sizeof(stacks[cpu]), CALLS);
	u.rsi = 0x1234567800000000ul + (cpu << 20) + (space << 12) + round;
	u.r8 = USER_BASE;
	while (user_run(&u) == LEFT_BY_SYSCALL && u.rax == 1)
		n++;
	calls[cpu] += n;
	if (u.left_by != LEFT_BY_SYSCALL || u.rax != 3 || n != CALLS)
		wrong[cpu]++;
	if (round % SPACES == space)
		flush(ptes[cpu][space]);
}

static void run(void)
{
	u32 cpu = this_cpu()->index, space, round;

	while (!atomic_read(&go))
		cpu_relax();
	hc_wrmsr(MSR_X2APIC_TIMER_DIV, TIMER_DIV_1);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_PERIODIC | TICK);
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, apic_timer_khz());
	irq_enable();
	for (round = 0; round < ROUNDS; round++)
		for (space = 0; space < SPACES; space++)
			run_program(cpu, space, round);
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, 0);
	space_load(&boot_space, false);
	atomic_add(&done, 1);
}

static void make_spaces(u32 cpu)
{
	u32 space, i;

	for (space = 0; space < SPACES; space++) {
		space_init(&spaces[cpu][space]);
		for (i = 0; i < PAGES; i++)
			map_user(&spaces[cpu][space], USER_BASE + i * PAGE_SIZE, page_alloc(), PTE_USER_RW);
		ptes[cpu][space] = user_pte(&spaces[cpu][space], USER_BASE);
	}
}

static u64 written(u32 cpu, u32 space)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < PAGES; i++)
		sum += *(u64 *)phys_to_virt(ptes[cpu][space][i] & PTE_ADDR);
	return sum;
}

void guest_main(void)
{
	u32 count = smp_count(), cpu, space, all_wrong = 0, lost = 0;
	u64 all = 0;

	on_event(TICK, on_tick);
	for (cpu = 0; cpu < count; cpu++)
		make_spaces(cpu);
	if (count > 1)
		smp_start(run);
	atomic_set(&go, 1);
	run();
	check(wait_for(&done, count, 600000), "all CPUs are done");
	for (cpu = 0; cpu < count; cpu++) {
		all_wrong += wrong[cpu];
		all += calls[cpu];
		for (space = 0; space < SPACES; space++)
			lost += written(cpu, space) != (u64)CALLS * ROUNDS;
	}
	check_eq(all_wrong, 0, "no program saw a wrong register or a wrong end");
	check_eq(all, (u64)count * SPACES * ROUNDS * CALLS, "each system call counts");
	check_eq(lost, 0, "and each write");
}
