/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * xen_save SEED: a guest of Xen PV that counts the fires of its timer goes on in another VM, again and again,
 * from random moments; and what user space may get wrong on the way.
 */
#define _GNU_SOURCE
#include "xen_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <pvm/xen_state.h>

#include "vcpu_state.h"

#define DEADLINE_GPA	0x2010ull
#define FIRES_GPA	0x2018ull
#define REASON_GPA	0x2028ull	/* of its end */
#define STEP_GPA	0x2030ull
#define SHARED_GPA	(XEN_VM_SHARED * XEN_VM_PAGE)
#define MOVES		40
#define FIRES		200
#define STEP_MIN	1000000		/* ns */
#define STEP_MAX	64000000

#define STRING(x)	#x
#define TEXT(x)		STRING(x)
#define CALL(nr, a, b)	"movl $" TEXT(a) ", %edi\n\tmovl $" TEXT(b) ", %esi\n\tmovl $" TEXT(nr) ", %eax\n\tsyscall\n\t"

/* Its timer is set a step further each time; what is pending of its port 1 is waited for. */
extern const uint8_t xen_save_code[], xen_save_code_end[];
__asm__(
	".pushsection .rodata\n"
	"xen_save_code:\n\t"
	CALL(32, 1, 0x2000)			/* BIND_VIRQ: the timer's, 0 */
	"1:\n\t"
	"movq 0x2030, %rdi\n\t"			/* a step later: */
	"addq 0x2010, %rdi\n\t"			/* its deadline */
	"movq %rdi, 0x2010\n\t"
	"movl $15, %eax\n\t"			/* set_timer_op */
	"syscall\n"
	"2:\n\t"
	CALL(29, 1, 0)				/* SCHEDOP_block */
	"movb $0, 0x1f8000\n\t"		/* of its vcpu_info: pending */
	"lock btrq $1, 0x1f8800\n\t"		/* of the shared_info: the port */
	"jnc 2b\n\t"
	"incq 0x2018\n\t"
	"cmpq $" TEXT(FIRES) ", 0x2018\n\t"
	"jb 1b\n\t"
	CALL(29, 2, 0x2028)			/* SCHEDOP_shutdown */
	"ud2\n"
	"xen_save_code_end:\n"
	".popsection\n");

_Static_assert(SHARED_GPA == 0x1f8000 && offsetof(struct pvm_xen_shared_info, pending) == 0x800,
	       "the code has these addresses");

static struct {
	struct vcpu_state vcpu;
	struct pvm_xen_vcpu_state xen;
	struct pvm_xen_vm_state vm;
	uint64_t tables[XEN_VM_MEMORY / XEN_VM_PAGE / 64];
} saved;

static int state_op(int vm, uint32_t op, uint32_t what, uint64_t index, void *data, uint64_t size)
{
	struct pvm_kvm_xen_state request = {
		.op = op, .what = what, .index = index, .data = (uintptr_t)data, .size = size,
	};

	return ioctl(vm, KVM_MEMORY_ENCRYPT_OP, &request) < 0 ? errno : 0;
}

static int all_state(int vm, uint32_t op)
{
	int error = state_op(vm, op, PVM_KVM_XEN_STATE_VM, 0, &saved.vm, sizeof(saved.vm));

	if (!error)
		error = state_op(vm, op, PVM_KVM_XEN_STATE_VCPU, 0, &saved.xen, sizeof(saved.xen));
	if (!error)
		error = state_op(vm, op, PVM_KVM_XEN_STATE_TABLES, 0, saved.tables, sizeof(saved.tables));
	return error;
}

static void make_of(struct xen_vm *x, uint32_t vcpus)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(vcpus);
	uint32_t i;

	xen_vm_create(x);
	ASK(x->vm, KVM_MEMORY_ENCRYPT_OP, &set);
	for (i = 0; i < vcpus; i++)
		xen_vm_add_vcpu(x, i);
}

static void make(struct xen_vm *x)
{
	make_of(x, 1);
}

/* False: what it was about to do is not done. */
static bool move(struct xen_vm *x)
{
	struct xen_vm old = *x;
	int error = all_state(x->vm, PVM_KVM_XEN_SAVE);

	if (error == EAGAIN)
		return false;
	if (error)
		machine_die("saving: %s", strerror(error));
	vcpu_state_get(x->vcpu[0], &saved.vcpu);
	make(x);
	memcpy(x->memory, old.memory, XEN_VM_MEMORY);
	vcpu_state_set(x->vcpu[0], &saved.vcpu);
	error = all_state(x->vm, PVM_KVM_XEN_RESTORE);
	if (error)
		machine_die("restoring: %s", strerror(error));
	xen_vm_destroy(&old);
	return true;
}

static void nothing(int signal)
{
	(void)signal;
}

static void arm(uint64_t *random)
{
	struct itimerval timer = { { 0, 500 }, { 0, 0 } };

	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	timer.it_value.tv_usec = 1 + (suseconds_t)((*random >> 33) % 4000);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static uint64_t word(const struct xen_vm *x, uint64_t at)
{
	return *(volatile uint64_t *)(x->memory + at);
}

/* How long the guest waits for each fire, if its clock is not ahead of it: where the machine is so slow
 * that it never waits, longer. */
static void set_step(const struct xen_vm *x, uint64_t ns)
{
	*(volatile uint64_t *)(x->memory + STEP_GPA) = ns;
}

static void load(struct xen_vm *x)
{
	xen_vm_load(x, xen_save_code, (size_t)(xen_save_code_end - xen_save_code));
	set_step(x, STEP_MIN);
}

static void goes_on(uint64_t random)
{
	struct itimerval never = { 0 };
	const struct pvm_xen_shared_info *shared;
	unsigned moves = 0, halted = 0;
	uint64_t latest = 0, step = STEP_MIN;
	struct xen_vm x;
	int error;

	make(&x);
	load(&x);
	*(uint32_t *)(x.memory + REASON_GPA) = PVM_XEN_SHUTDOWN_POWEROFF;
	arm(&random);
	for (;;) {
		error = ioctl(x.vcpu[0], KVM_RUN, 0) < 0 ? errno : 0;
		if (error != EINTR && error != EAGAIN)
			break;
		setitimer(ITIMER_REAL, &never, NULL);
		if (moves < MOVES && move(&x)) {
			moves++;
			halted += saved.xen.wait == 1;
			if (!halted && moves % 4 == 0 && step < STEP_MAX)
				set_step(&x, step *= 4);
			if (saved.vm.now < latest)
				machine_die("its clock went back: %llu after %llu",
					    (unsigned long long)saved.vm.now, (unsigned long long)latest);
			latest = saved.vm.now;
		}
		arm(&random);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	check(!error && x.run[0]->exit_reason == KVM_EXIT_SYSTEM_EVENT, "it ends by itself: errno %d, exit %u",
	      error, x.run[0]->exit_reason);
	check(word(&x, FIRES_GPA) == FIRES, "all fires of its timer came: %llu",
	      (unsigned long long)word(&x, FIRES_GPA));
	shared = (const void *)(x.memory + SHARED_GPA);
	check(shared->vcpu_info[0].time.system_time >= latest, "the clock that it sees went on");
	check(moves == MOVES && halted && halted < moves, "it was moved %u times, %u of them as it waited",
	      moves, halted);
	xen_vm_destroy(&x);
}

/* ------------------------------------------------------------------------
 * What is refused.
 */

static void refusals(void)
{
	struct xen_vm x;

	make(&x);
	check(!all_state(x.vm, PVM_KVM_XEN_SAVE), "saved before it has run");
	check(state_op(x.vm, PVM_KVM_XEN_SAVE, 3, 0, &saved.vm, sizeof(saved.vm)) == EINVAL, "no such state");
	check(state_op(x.vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_VM, 0, &saved.vm, 8) == EINVAL,
	      "another size");
	check(state_op(x.vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_VCPU, 1, &saved.xen,
		       sizeof(saved.xen)) == EINVAL, "no such vCPU");
	check(state_op(x.vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_TABLES, 1, saved.tables, 8) == EINVAL,
	      "tables from a frame in the middle of a word");
	check(state_op(x.vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_TABLES, 0, saved.tables,
		       PVM_KVM_XEN_TABLES_MAX + 8) == EINVAL, "more tables than go at a time");
	check(state_op(x.vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_VM, 0, NULL, sizeof(saved.vm)) == EFAULT,
	      "nowhere to save to");
	check(state_op(x.vm, PVM_KVM_XEN_RESTORE, PVM_KVM_XEN_STATE_VM, 0, NULL, sizeof(saved.vm)) == EFAULT,
	      "nowhere to restore from");
	saved.vm.port[3] = 99;
	check(state_op(x.vm, PVM_KVM_XEN_RESTORE, PVM_KVM_XEN_STATE_VM, 0, &saved.vm,
		       sizeof(saved.vm)) == EINVAL, "a port that cannot be");
	saved.xen.life = 1;
	check(state_op(x.vm, PVM_KVM_XEN_RESTORE, PVM_KVM_XEN_STATE_VCPU, 0, &saved.xen,
		       sizeof(saved.xen)) == EINVAL, "a vCPU that cannot be");
	memset(saved.tables, 0xff, sizeof(saved.tables));
	check(state_op(x.vm, PVM_KVM_XEN_RESTORE, PVM_KVM_XEN_STATE_TABLES, 1ull << 40, saved.tables,
		       sizeof(saved.tables)) == EINVAL, "tables where no memory can be");
	check(!state_op(x.vm, PVM_KVM_XEN_RESTORE, PVM_KVM_XEN_STATE_TABLES, 0, saved.tables,
			sizeof(saved.tables)), "all frames as tables");
	xen_vm_destroy(&x);
}

static void *run(void *arg)
{
	const struct xen_vm *x = arg;

	return ioctl(x->vcpu[0], KVM_RUN, 0) < 0 ? (void *)(uintptr_t)errno : NULL;
}

/* In KVM_RUN, where it waits for a timer that does not come; and when it has run. */
static void one_that_runs(void)
{
	pthread_t thread;
	struct xen_vm x;
	void *error;

	make(&x);
	load(&x);
	*(uint64_t *)(x.memory + DEADLINE_GPA) = 1ull << 60;
	all_state(x.vm, PVM_KVM_XEN_SAVE);
	if (pthread_create(&thread, NULL, run, &x))
		machine_die("no thread");
	while (word(&x, DEADLINE_GPA) == 1ull << 60)
		sched_yield();
	check(all_state(x.vm, PVM_KVM_XEN_SAVE) == EBUSY, "a VM is saved while a vCPU runs");
	check(all_state(x.vm, PVM_KVM_XEN_RESTORE) == EBUSY, "a VM is restored while a vCPU runs");
	pthread_kill(thread, SIGALRM);
	pthread_join(thread, &error);
	check((uintptr_t)error == EINTR, "a signal ends KVM_RUN");
	check(all_state(x.vm, PVM_KVM_XEN_RESTORE) == EBUSY, "a VM that has run is restored");
	check(state_op(x.vm, PVM_KVM_XEN_RESTORE, PVM_KVM_XEN_STATE_VCPU, 0, &saved.xen,
		       sizeof(saved.xen)) == EBUSY, "a vCPU that has run is restored");
	xen_vm_destroy(&x);
}

static void *run_second(void *arg)
{
	const struct xen_vm *x = arg;

	return ioctl(x->vcpu[1], KVM_RUN, 0) < 0 ? (void *)(uintptr_t)errno : NULL;
}

/* The second, which waits to be started. */
static void another_that_runs(void)
{
	pthread_t thread;
	struct xen_vm x;
	unsigned tries;
	int error = 0;

	make_of(&x, 2);
	check(!all_state(x.vm, PVM_KVM_XEN_SAVE), "a VM is saved while none runs");
	if (pthread_create(&thread, NULL, run_second, &x))
		machine_die("no thread");
	for (tries = 0; tries < 2000 && error != EBUSY; tries++) {
		usleep(1000);
		error = state_op(x.vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_VM, 0, &saved.vm,
				 sizeof(saved.vm));
	}
	check(error == EBUSY, "and not while another vCPU than the first does: %s", strerror(error));
	check(state_op(x.vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_VCPU, 0, &saved.xen,
		       sizeof(saved.xen)) == EBUSY, "nor is the first");
	pthread_kill(thread, SIGALRM);
	pthread_join(thread, NULL);
	check(!all_state(x.vm, PVM_KVM_XEN_SAVE), "and when that has stopped, it is");
	xen_vm_destroy(&x);
}

static void other_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ASK(kvm, KVM_CREATE_VM, 0);

	check(state_op(vm, PVM_KVM_XEN_SAVE, PVM_KVM_XEN_STATE_VM, 0, &saved.vm, sizeof(saved.vm)) == EINVAL,
	      "a VM that is none of Xen PV");
	close(vm);
	close(kvm);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGALRM, &action, NULL);
	printf("seed %s\n", argc > 1 ? argv[1] : "1");
	goes_on(strtoull(argc > 1 ? argv[1] : "1", NULL, 0));
	refusals();
	one_that_runs();
	another_that_runs();
	other_vm();
	return check_finish();
}
