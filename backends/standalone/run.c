/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The vCPU threads: start, handle the last exit, run, halt, end. What an exit means is
 * libpvm's, what the engine asks for exit.c's. Must never hold a lock while the guest runs.
 */
#include "run.h"

#include <errno.h>
#include <time.h>

#include <pvm/exit.h>

#include "boot.h"
#include "clock.h"
#include "loop.h"
#include "pause.h"
#include "platform.h"
#include "trace_glue.h"

#define MAILBOX_POLL_NS	500000ull
#define MAILBOX_POLLS	4000		/* after the last call, before it waits longer: two seconds */
#define MAILBOX_IDLE_NS	20000000ull

static _Thread_local struct monitor_vcpu *this_vcpu;

struct monitor_vcpu *run_this_vcpu(void)
{
	return this_vcpu;
}

/* wake_lock also keeps the executor's part of the vCPU alive during kick(). */
void run_kick(struct monitor_vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->wake_lock);
	vcpu->woken = true;
	pthread_cond_signal(&vcpu->wake);
	if (vcpu->live && !vcpu->waiting)
		vcpu->vm->executor->kick(vcpu);
	pthread_mutex_unlock(&vcpu->wake_lock);
}

/* Until a kick, or for @ns nanoseconds (0: without a limit). */
static void wait_for_kick(struct monitor_vcpu *vcpu, uint64_t ns)
{
	uint64_t until = clock_now() + ns;
	struct timespec ts = clock_timespec(until);
	int error = 0;

	pthread_mutex_lock(&vcpu->wake_lock);
	vcpu->waiting = true;
	while (!vcpu->woken && !error && !atomic_load(&vcpu->vm->over))
		error = ns ? pthread_cond_timedwait(&vcpu->wake, &vcpu->wake_lock, &ts) :
			     pthread_cond_wait(&vcpu->wake, &vcpu->wake_lock);
	vcpu->waiting = false;
	vcpu->woken = false;
	pthread_mutex_unlock(&vcpu->wake_lock);
}

/* ------------------------------------------------------------------------
 * The firmware's part of vCPUs that the guest has not started: one of them looks into the mailbox for all,
 * less often when nobody has been called for a while; the others sleep.
 */

/* The first one that was not called, from the second vCPU on; vcpu_count: there is none. */
static unsigned first_not_called(struct monitor_vm *vm)
{
	unsigned i;

	for (i = 1; i < vm->vcpu_count; i++)
		if (!atomic_load(&vm->vcpus[i]->called))
			break;
	return i;
}

/* Any thread: the mailbox has somebody else to read it. */
static void pass_on(struct monitor_vm *vm)
{
	unsigned next = first_not_called(vm);

	atomic_store(&vm->mailbox_reader, next);
	if (next < vm->vcpu_count)
		run_kick(vm->vcpus[next]);
}

/* Call whoever the mailbox names. False: nobody. */
static bool read_mailbox(struct monitor_vm *vm)
{
	uint64_t vector;
	unsigned i;

	for (i = 1; i < vm->vcpu_count; i++) {
		if (atomic_load(&vm->vcpus[i]->called) ||
		    !boot_mailbox_poll(vm->memory.va, vm->vcpus[i]->pvm.id, &vector))
			continue;
		vm->vcpus[i]->call = vector;
		atomic_store(&vm->vcpus[i]->called, true);
		run_kick(vm->vcpus[i]);
		return true;
	}
	return false;
}

static bool wait_for_start(struct monitor_vcpu *vcpu)
{
	struct monitor_vm *vm = vcpu->vm;
	unsigned idle = 0;

	while (!atomic_load(&vm->over) && !atomic_load(&vcpu->called)) {
		if (atomic_load(&vm->mailbox_reader) != vcpu->pvm.id) {
			wait_for_kick(vcpu, 0);
			continue;
		}
		idle = read_mailbox(vm) ? 0 : idle + 1;
		if (!atomic_load(&vcpu->called))
			wait_for_kick(vcpu, idle < MAILBOX_POLLS ? MAILBOX_POLL_NS : MAILBOX_IDLE_NS);
	}
	if (atomic_load(&vm->mailbox_reader) == vcpu->pvm.id)
		pass_on(vm);
	if (atomic_load(&vm->over))
		return false;
	boot_vcpu(&vcpu->pvm, vcpu->call, 0);
	return true;
}

static void enter(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	struct monitor_vm *vm = vcpu->vm;

	if (!pause_enter(vcpu)) {
		*exit = (struct pvm_guest_exit){ .kind = PVM_EXIT_KICK };
		return;
	}
	if (vm->trace)
		trace_glue_enter(vcpu);
	vm->executor->run(vcpu, exit);
	if (exit->kind != PVM_EXIT_FAILED)
		vcpu->started = true;
	pause_leave(vcpu);
	if (vm->trace)
		trace_glue_exit(vcpu, exit);
	exit_look(vcpu, exit);
}

static void run_until_over(struct monitor_vcpu *vcpu)
{
	struct pvm_guest_exit exit = { .kind = PVM_EXIT_KICK };

	while (!atomic_load(&vcpu->vm->over)) {
		enum pvm_action action = pvm_handle_exit(&vcpu->pvm, &exit, &vcpu->root,
							 PVM_MAY_SLEEP);

		if (action == PVM_ACT_RESUME)
			enter(vcpu, &exit);
		else if (action == PVM_ACT_HALT)
			wait_for_kick(vcpu, 0);
		else if (action != PVM_ACT_RETRY)
			pvm_exit_is_action(&exit, exit_act(vcpu, action));
		if (action != PVM_ACT_RESUME)
			vcpu->started = true;
	}
}

/* No guest runs before each vCPU has what the host must give it: what is lacking is said instead, and not
 * when the guest has done something already. */
static void wait_for_all(struct monitor_vcpu *vcpu)
{
	struct monitor_vm *vm = vcpu->vm;
	unsigned i;

	if (atomic_fetch_add(&vm->ready, 1) + 1 < vm->vcpu_count) {
		while (!atomic_load(&vm->over) && atomic_load(&vm->ready) < vm->vcpu_count)
			wait_for_kick(vcpu, 0);
		return;
	}
	for (i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpus[i] != vcpu)
			run_kick(vm->vcpus[i]);
}

static void set_live(struct monitor_vcpu *vcpu, bool live)
{
	pthread_mutex_lock(&vcpu->wake_lock);
	vcpu->live = live;
	pthread_mutex_unlock(&vcpu->wake_lock);
}

void *run_vcpu_thread(void *arg)
{
	struct monitor_vcpu *vcpu = arg;
	char why[256] = "";

	this_vcpu = vcpu;
	if (vcpu->vm->executor->vcpu_init(vcpu, why, sizeof(why))) {
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "%s", why);
		return NULL;
	}
	wait_for_all(vcpu);
	set_live(vcpu, true);
	/* Xen PV's wait by themselves. */
	if (vcpu->pvm.id == 0 || vcpu->vm->xen || wait_for_start(vcpu)) {
		if (vcpu->vm->executor->live) {
			vcpu->started = true;
			vcpu->vm->executor->live(vcpu);
		} else {
			run_until_over(vcpu);
		}
	}
	set_live(vcpu, false);
	vcpu->vm->executor->vcpu_destroy(vcpu);
	return NULL;
}
