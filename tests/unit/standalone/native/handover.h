/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A kernel and a program whose stubs hand vCPU 0 over to each other, for tests. Owns the machine of a
 * test program.
 */
#ifndef NATIVE_TEST_HANDOVER_H
#define NATIVE_TEST_HANDOVER_H

#include <pthread.h>
#include <signal.h>

#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "machine.h"

static struct machine m;

#define KERNEL		0x210000ull
#define COUNT		(DATA + 0x800)		/* what the kernel counts its entries in */
#define FLAG		(DATA + 0x808)		/* what a spinning guest counts in */
#define STOP_SPINNING	(DATA + 0x828)
#define KERNEL_STACK	0x3f0000ull

static inline struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

static inline struct native_vcpu *native(void)
{
	return m.vcpu[0]->executor;
}

static inline void every_exit(bool on)
{
	((struct native_vm *)m.vm.executor_vm)->every_exit = on;
}

static inline uint64_t word(uint64_t gpa)
{
	return *(volatile uint64_t *)machine_at(&m, gpa);
}

static inline void setup(void)
{
	machine_init(&m, 1);
	((struct native_vm *)m.vm.executor_vm)->every_exit = false;
}

static inline void teardown(void)
{
	machine_fini(&m);
}

/* One that counts, and no more. */
GUEST_CODE(kernel_counts, "incq 0x300800; syscall; hlt");

#define RETURN(code) (KERNEL + (uint64_t)(code##_end - code) - 3)
GUEST_CODE(user_calls, "1: syscall; decq %rdi; jnz 1b; ud2");
GUEST_CODE(kernel_spins, "1: incq 0x300808; cmpq $0, 0x300828; je 1b; incq 0x300800; syscall; hlt");
GUEST_CODE(user_spins, "syscall; 1: incq 0x300808; cmpq $0, 0x300828; je 1b; ud2");

#define kernel(code) put_kernel(code, (size_t)(code##_end - code), RETURN(code))
static inline void put_kernel(const uint8_t *code, size_t size, uint64_t retu)
{
	memcpy(machine_at(&m, KERNEL), code, size);
	cr_assert_eq(pvm_msr_write(cpu(), PVM_MSR_LSTAR, KERNEL), PVM_OK);
	cr_assert_eq(pvm_msr_write(cpu(), MSR_PVM_RETU_RIP, retu), PVM_OK);
	cr_assert_eq(pvm_msr_write(cpu(), MSR_PVM_SUPERVISOR_RSP, KERNEL_STACK), PVM_OK);
	cr_assert_eq(pvm_msr_write(cpu(), PVM_MSR_KERNEL_GS_BASE, 0x123456000), PVM_OK);
	if (m.config.host_pke)
		cpu()->pkru = 0;
}

static inline void begin_user(uint64_t rounds)
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
static inline struct pvm_guest_exit drive(unsigned *syscalls)
{
	struct pvm_guest_exit exit;

	for (*syscalls = 0;; ++*syscalls) {
		exit = machine_run(m.vcpu[0]);
		if (exit.kind != PVM_EXIT_SYSCALL)
			return exit;
		cr_assert_eq(pvm_handle_syscall(cpu()), PVM_ACT_RESUME);
	}
}

/* Both stubs are there, and hand over. */
static inline void warm_up(void)
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

static inline void check_alive(void)
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

/* For the program's stub, while that waits for its kernel. */
static inline void *signal_the_program(void *number)
{
	while (!word(FLAG))
		sched_yield();
	kill(native()->pool.spaces[1].pid, *(const int *)number);
	*(volatile uint64_t *)machine_at(&m, STOP_SPINNING) = 1;
	return NULL;
}

#endif /* NATIVE_TEST_HANDOVER_H */
