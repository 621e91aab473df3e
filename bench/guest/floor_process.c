/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The least that a system call in a process can cost when it is a signal there: two processes on
 * one CPU take turns, and each begins its turn with a SYSCALL that a filter answers with SIGSYS, whose
 * handler goes back by a jump. Nothing is checked, saved, loaded or protected: neither signal stack nor
 * signal mask is set up again. The median of a round trip in cycles.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define TRIPS		20001
#define NO_CALL		1000	/* a number that Linux has no system call for */
#define STACK_SIZE	(64 << 10)

struct turns {
	uint32_t there;
	uint8_t pad[60];
	uint32_t back;
};

static volatile struct turns *turns;
static uint8_t stack[STACK_SIZE];
static uint64_t back_rip, back_rsp;
static uint64_t cycles[TRIPS];

static void handler(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	__asm__ volatile("movq %0, %%rsp; jmp *%1" : : "r"(back_rsp), "r"(back_rip) : "memory");
	__builtin_unreachable();
}

static bool be_trapped(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NO_CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };

	return !sigaltstack(&alternate, NULL) && !sigaction(SIGSYS, &action, NULL) &&
	       !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void trap(void)
{
	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; movq %%rsp, %1; movl %2, %%eax; syscall; 1:"
			 : "=m"(back_rip), "=m"(back_rsp) : "i"(NO_CALL)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "memory");
}

static void wake(volatile uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_for(volatile uint32_t *word, uint32_t value)
{
	uint32_t now;

	while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) != value)
		syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void answer(void)
{
	uint32_t i;

	if (!be_trapped())
		_exit(1);
	for (i = 1; i <= TRIPS; i++) {
		wait_for(&turns->there, i);
		trap();
		wake(&turns->back, i);
	}
	_exit(0);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(void)
{
	cpu_set_t one;
	pid_t child;
	uint32_t i;
	int status = 1;

	turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	if (turns == MAP_FAILED || sched_setaffinity(0, sizeof(one), &one))
		return 1;
	child = fork();
	if (child == 0)
		answer();
	if (child < 0 || !be_trapped())
		return 1;
	for (i = 1; i <= TRIPS; i++) {
		uint64_t start = __rdtsc();

		trap();
		wake(&turns->there, i);
		wait_for(&turns->back, i);
		cycles[i - 1] = __rdtsc() - start;
	}
	waitpid(child, &status, 0);
	qsort(cycles, TRIPS, sizeof(cycles[0]), compare);
	printf("result %lu\n", (unsigned long)cycles[TRIPS / 2]);
	return status != 0;
}
