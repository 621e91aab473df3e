/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The vCPU threads: start, offer events, run, handle, halt, end. What an exit
 * means is exit.c's. Must never hold a lock while the guest runs.
 */
#include "run.h"

#include <errno.h>
#include <time.h>

#include <pvm/events.h>
#include <pvm/mmu.h>

#include "boot.h"
#include "clock.h"
#include "loop.h"
#include "platform.h"
#include "trace_glue.h"

#define MAILBOX_POLL_NS	500000ull
#define NS_PER_S	1000000000ull

const char *guest_exit_name(enum guest_exit_kind kind)
{
	static const char *const names[GUEST_EXIT_KINDS] = {
		[GUEST_EXIT_SYSCALL] = "SYSCALL",
		[GUEST_EXIT_EXCEPTION] = "exception",
		[GUEST_EXIT_INT80] = "INT 0x80",
		[GUEST_EXIT_SYSCALL32] = "SYSCALL32",
		[GUEST_EXIT_INSN] = "instruction",
		[GUEST_EXIT_KICK] = "KICK",
		[GUEST_EXIT_DEAD] = "DEAD",
		[GUEST_EXIT_FAILED] = "FAILED",
	};

	return (unsigned)kind < GUEST_EXIT_KINDS ? names[kind] : "unknown";
}

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

/* Until somebody kicks, or for @ns nanoseconds (0: for ever). */
static void wait_for_kick(struct monitor_vcpu *vcpu, uint64_t ns)
{
	uint64_t until = clock_now() + ns;
	struct timespec ts = { (time_t)(until / NS_PER_S), (long)(until % NS_PER_S) };
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

/* The firmware's part of an AP: wait in the mailbox for a start address. */
static bool wait_for_start(struct monitor_vcpu *vcpu)
{
	uint64_t vector;

	while (!atomic_load(&vcpu->vm->over)) {
		if (boot_mailbox_poll(vcpu->vm->memory.va, vcpu->pvm.id, &vector)) {
			boot_vcpu(&vcpu->pvm, vector, 0);
			return true;
		}
		wait_for_kick(vcpu, MAILBOX_POLL_NS);
	}
	return false;
}

static void offer_nmi(struct monitor_vcpu *vcpu)
{
	if (local_apic_take_nmi(vcpu->apic))
		exit_act(vcpu, pvm_event_nmi(&vcpu->pvm, PVM_MAY_SLEEP));
}

static void offer_interrupt(struct monitor_vcpu *vcpu)
{
	bool delivered = false;
	int vector;

	local_apic_set_cr8(vcpu->apic, vcpu->pvm.cr8);
	vector = local_apic_pending(vcpu->apic);
	if (vector < 0)
		return;
	if (vector >= PVM_VEC_EXCEPTIONS) {
		exit_act(vcpu, pvm_event_interrupt(&vcpu->pvm, (uint8_t)vector, &delivered,
						   PVM_MAY_SLEEP));
	} else if (pvm_event_interrupt_allowed(&vcpu->pvm)) {
		/* The APIC allows vectors from 16; they arrive as the exceptions they name. */
		delivered = true;
		vcpu->pvm.halted = false;
		exit_act(vcpu, pvm_event_deliver(&vcpu->pvm, (uint8_t)vector, 0, PVM_MAY_SLEEP));
	}
	if (delivered)
		local_apic_accept(vcpu->apic, (uint8_t)vector);
}

/* Before each entry, and to see whether a halt is over. */
static void offer_events(struct monitor_vcpu *vcpu)
{
	if (!local_apic_attention(vcpu->apic))
		return;
	offer_nmi(vcpu);
	if (!atomic_load(&vcpu->vm->over))
		offer_interrupt(vcpu);
}

/* The shadow root for the mode the vCPU is in; false: not to be run now. */
static bool load_root(struct monitor_vcpu *vcpu)
{
	int error = pvm_mmu_load(&vcpu->pvm, &vcpu->root, PVM_MAY_SLEEP);

	if (!error)
		return true;
	if (error == PVM_EFAULT)
		exit_act(vcpu,
			 pvm_event_shutdown(&vcpu->pvm, PVM_SHUTDOWN_BAD_CR3, 0xff, vcpu->pvm.cr3));
	else if (error == PVM_ENOMEM)
		exit_reclaim(vcpu);
	else
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			 "no shadow root: error %d", error);
	return false;
}

static void enter(struct monitor_vcpu *vcpu)
{
	struct monitor_vm *vm = vcpu->vm;
	struct guest_exit exit = { .kind = GUEST_EXIT_KICK };

	if (!load_root(vcpu))
		return;
	if (vm->trace)
		trace_glue_enter(vcpu);
	vm->executor->run(vcpu, &exit);
	if (vm->trace)
		trace_glue_exit(vcpu, &exit);
	exit_act(vcpu, exit_handle(vcpu, &exit));
}

static void run_until_over(struct monitor_vcpu *vcpu)
{
	if (vcpu->pvm.id != 0 && !wait_for_start(vcpu))
		return;
	vcpu->started = true;
	while (!atomic_load(&vcpu->vm->over)) {
		offer_events(vcpu);
		if (atomic_load(&vcpu->vm->over))
			break;
		if (vcpu->pvm.halted)
			wait_for_kick(vcpu, 0);
		else
			enter(vcpu);
	}
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
	set_live(vcpu, true);
	run_until_over(vcpu);
	set_live(vcpu, false);
	vcpu->vm->executor->vcpu_destroy(vcpu);
	return NULL;
}
