/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The native executor: guest code runs on the CPU, in stub processes. Owns the
 * order of things in run(); each thing itself is in a file of its own.
 */
#include "native.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pvm/mmu.h>

#include "cause.h"
#include "handover.h"
#include "output.h"
#include "tracer.h"

/* ------------------------------------------------------------------------
 * Life.
 */

static int native_vm_init(struct monitor_vm *vm, char *why, size_t why_size)
{
	struct native_vm *native = calloc(1, sizeof(*native));
	int error;

	if (!native) {
		snprintf(why, why_size, "native executor: out of memory");
		return -1;
	}
	native->lowest = fill_lowest();
	native->sysenter = native_has_sysenter();
	native->pkeys = vm->pvm.config.host_pke ? 15 : 0;
	error = watchdog_start(&native->watchdog);
	if (error) {
		snprintf(why, why_size, "native executor: no thread: %s%s", strerror(error),
			 error == EINVAL ? " (a new PID namespace begins with a child: unshare --fork)" : "");
		free(native);
		return -1;
	}
	pthread_mutex_init(&native->lock, NULL);
	pool_shared_init(&native->pools, vm->vcpu_count, vm->shadow_memory);
	vm->executor_vm = native;
	return 0;
}

static void native_vm_destroy(struct monitor_vm *vm)
{
	struct native_vm *native = native_vm(vm);

	watchdog_stop(&native->watchdog);
	pool_shared_destroy(&native->pools);
	pthread_mutex_destroy(&native->lock);
	free(native->vcpus);
	free(native);
	vm->executor_vm = NULL;
}

/* Flushes reach the vCPUs that are on the list; a vCPU's thread puts it there
 * and takes it away. */
static int join(struct native_vm *vm, struct native_vcpu *vcpu)
{
	struct native_vcpu **vcpus;

	if (!watchdog_add(&vm->watchdog, &vcpu->gate))
		return -1;
	pthread_mutex_lock(&vm->lock);
	vcpus = realloc(vm->vcpus, (vm->count + 1) * sizeof(struct native_vcpu *));
	if (vcpus) {
		vm->vcpus = vcpus;
		vcpus[vm->count++] = vcpu;
	}
	pthread_mutex_unlock(&vm->lock);
	if (!vcpus)
		watchdog_remove(&vm->watchdog, &vcpu->gate);
	return vcpus ? 0 : -1;
}

static void leave(struct native_vm *vm, struct native_vcpu *vcpu)
{
	unsigned i;

	watchdog_remove(&vm->watchdog, &vcpu->gate);
	pthread_mutex_lock(&vm->lock);
	vm->stats.processes += vcpu->pool.created;
	vm->stats.processes_peak += vcpu->pool.peak;
	vm->stats.translations += vcpu->translations;
	vm->stats.calls += vcpu->handed.calls;
	vm->stats.returns += vcpu->handed.returns;
	for (i = 0; i < vm->count; i++) {
		if (vm->vcpus[i] == vcpu) {
			vm->vcpus[i] = vm->vcpus[--vm->count];
			break;
		}
	}
	pthread_mutex_unlock(&vm->lock);
}

static int native_vcpu_init(struct monitor_vcpu *vcpu, char *why, size_t why_size)
{
	struct native_vm *vm = native_vm(vcpu->vm);
	struct native_vcpu *native = calloc(1, sizeof(*native));

	if (!native) {
		snprintf(why, why_size, "native executor: out of memory");
		return -1;
	}
	native->vcpu = &vcpu->pvm;
	gate_init(&native->gate, &vm->watchdog);
	if (pool_open(&native->pool, &vm->pools, vcpu->vm->memory.fd, vm->pkeys, why, why_size) < 0) {
		gate_destroy(&native->gate);
		free(native);
		return -1;
	}
	if (join(vm, native) < 0) {
		snprintf(why, why_size, "native executor: out of memory");
		pool_close(&native->pool);
		gate_destroy(&native->gate);
		free(native);
		return -1;
	}
	vcpu->executor = native;
	return 0;
}

static void native_vcpu_destroy(struct monitor_vcpu *vcpu)
{
	struct native_vcpu *native = vcpu->executor;

	leave(native_vm(vcpu->vm), native);
	placement_release(&native->placement);
	pool_close(&native->pool);
	gate_destroy(&native->gate);
	free(native);
	vcpu->executor = NULL;
}

static void native_stats(struct monitor_vm *vm, struct executor_stats *stats)
{
	struct native_vm *native = native_vm(vm);
	unsigned i;

	pthread_mutex_lock(&native->lock);
	*stats = native->stats;
	for (i = 0; i < native->count; i++) {
		stats->processes += native->vcpus[i]->pool.created;
		stats->processes_peak += native->vcpus[i]->pool.peak;
		stats->translations += native->vcpus[i]->translations;
		stats->calls += native->vcpus[i]->handed.calls;
		stats->returns += native->vcpus[i]->handed.returns;
	}
	pthread_mutex_unlock(&native->lock);
}

/* ------------------------------------------------------------------------
 * From other threads.
 */

static void native_kick(struct monitor_vcpu *vcpu)
{
	struct native_vcpu *native = vcpu->executor;

	gate_kick(&native->gate);
}

static void native_tlb_flush(struct monitor_vm *vm, const struct pvm_tlb_flush *flush)
{
	struct native_vm *native = native_vm(vm);
	unsigned i;

	pthread_mutex_lock(&native->lock);
	for (i = 0; i < native->count; i++)
		if (!flush->vcpu || flush->vcpu == native->vcpus[i]->vcpu)
			gate_flush(&native->vcpus[i]->gate, flush);
	pthread_mutex_unlock(&native->lock);
}

/* ------------------------------------------------------------------------
 * Running.
 */

/* Hand the pending flushes to the spaces. False: the root to run on may be gone. */
static bool apply_flushes(struct native_vcpu *native, uint64_t root)
{
	struct gate_flushes flushes;
	bool alive = true;
	unsigned i;

	gate_take(&native->gate, &flushes);
	for (i = 0; i < flushes.count; i++) {
		pool_flush(&native->pool, &flushes.flush[i]);
		if (flushes.flush[i].root_dying && flushes.flush[i].root.v == root)
			alive = false;
	}
	if (flushes.all)
		pool_flush(&native->pool, &(struct pvm_tlb_flush){ .scope = PVM_FLUSH_ALL });
	if (flushes.roots_died)
		pool_forget_roots(&native->pool);
	return alive && !flushes.roots_died;
}

static void failed(struct pvm_guest_exit *exit, const char *message)
{
	executor_fail(exit, PVM_EXIT_FAILED, "%s", message);
}

/* The last page fault in the mode that the guest is in. It is kept while the guest's supervisor
 * handles that of a user program: when it returns, the page is mapped before the program tries
 * again. */
static struct fill_fault *last_fault(struct monitor_vcpu *vcpu)
{
	struct native_vcpu *native = vcpu->executor;

	return &native->fault[vcpu->pvm.user_mode];
}

/* The space of the root to run on; near that of the other mode, which it may hand over to. */
static struct space *get_space(struct monitor_vcpu *vcpu, char *why, size_t why_size)
{
	struct native_vcpu *native = vcpu->executor;

	return pool_get(&native->pool, vcpu->root.v, vcpu->pvm.user_mode,
			pvm_mmu_other_root(&vcpu->pvm).v, why, why_size);
}

/* Commands for what must be forgotten and what can be filled. */
static bool queue_commands(struct monitor_vcpu *vcpu, struct space *space, struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	struct fill_fault *fault = last_fault(vcpu);

	if (space->forget_all && !space->cold)
		space->cold = 1;
	space_commands_begin(space);
	handover_queue(space, vcpu);
	if (space->cold) {
		space->cold--;
		fill_first(space, vcpu, &native->translations);
	}
	switch (fill_fault(space, vcpu->vm, fault, &native->translations)) {
	case FILL_OK:
		pool_charge(&native->pool, space);
		return true;
	case FILL_RESERVED:
		fill_explain_reserved(vcpu, fault, exit);
		return false;
	case FILL_NOT_MEMORY:
	default:
		executor_fail(exit, PVM_EXIT_FAILED,
			      "guest address %#lx is shadowed by something that is no guest memory",
			 (unsigned long)fault->gva);
		return false;
	}
}

static void ptrace_refused(struct monitor_vcpu *vcpu, int error)
{
	if (error != -ESRCH && !atomic_exchange(&native_vm(vcpu->vm)->ptrace_refused, true))
		output_say("pvm: native executor: ptrace is refused (%s): no hardware breakpoints, no TLS segments, no denial of protection key 0\n",
			   strerror(-error));
}

/* All that the stub's thread gets before it goes on. TLS, breakpoints and one case
 * of PKRU take ptrace; a host without it runs all but these. */
static void load_registers(struct monitor_vcpu *vcpu, struct space *space)
{
	int error = tracer_sync(space, &vcpu->pvm);

	if (error)
		ptrace_refused(vcpu, error);
	frame_load(&space->frame, space->control, vcpu, space->tls);
}

/* ENTER_TRACED takes a tracer. */
static void hold(struct monitor_vcpu *vcpu, struct space *space)
{
	int error;

	if (space->control->enter != ENTER_TRACED)
		return;
	error = tracer_hold(space);
	if (error) {
		ptrace_refused(vcpu, error);
		frame_grant_key0(&space->frame, space->control);
	}
}

/* The host has refused a mapping (vm.max_map_count, memory). A TLB may forget: a new process starts empty. */
static bool start_over(struct monitor_vcpu *vcpu, struct space *space, struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	char why[256] = "";
	int error;

	pool_discard(&native->pool, space);
	space = get_space(vcpu, why, sizeof(why));
	if (!space) {
		failed(exit, why);
		return false;
	}
	if (!queue_commands(vcpu, space, exit))
		return false;
	error = space_prepare(space);
	if (error == 0)
		return true;
	pool_discard(&native->pool, space);
	executor_fail(exit, PVM_EXIT_FAILED, "the host refuses to map guest address %#lx: %s",
		      (unsigned long)last_fault(vcpu)->gva, space_refusal(error));
	return false;
}

/* A user program's stub is gone, and may have said go to its kernel's when that was not its to say. */
static void quiet_peer(struct native_vcpu *native, const struct space *space)
{
	struct space *peer = pool_peer(&native->pool, space);

	if (space_is_users(space) && peer->pid && !peer->is_dead)
		space_settle(peer);
}

/* The stub is dead, and the guest's registers with it. By a signal that no guest can
 * bring about, that is the host's doing. Else it is the guest's own: a user program
 * sees #GP where it was entered last. */
static void stub_died(struct monitor_vcpu *vcpu, struct space *space, bool tampered,
		      struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	char end[160];

	pool_discard(&native->pool, space);
	space_describe_end(space, end, sizeof(end));
	quiet_peer(native, space);
	if (!tampered && space_was_ended_by_host(space)) {
		executor_fail(exit, PVM_EXIT_FAILED, "its stub process %s, by the host and not by the guest", end);
		return;
	}
	if (space_is_users(space)) {
		exit->kind = PVM_EXIT_EXCEPTION;
		exit->vector = PVM_VEC_GP;
		exit->error_code = 0;
		return;
	}
	executor_fail(exit, PVM_EXIT_DEAD, "the guest's kernel, entered at %#lx, destroyed its stub process, which %s",
		      (unsigned long)vcpu->pvm.rip,
		      tampered ? "was ended for what it did in the stub's own code" : end);
}

static bool fetch(struct pvm_vcpu *vcpu, uint64_t gva, uint8_t *bytes, size_t len)
{
	struct pvm_fault_result fault;
	pvm_gva_t fault_gva;

	return pvm_mmu_read(vcpu, pvm_gva(gva), bytes, len, PVM_ACCESS_EXEC, &fault, &fault_gva) == PVM_OK;
}

/* The stub has stopped with a frame. True: @exit is complete. */
static bool look_at_frame(struct monitor_vcpu *vcpu, struct space *space, struct pvm_guest_exit *exit)
{
	const struct cause_entry entry = {
		.rip = vcpu->pvm.rip,
		.rsp = vcpu->pvm.gpr[PVM_RSP],
		.rax = vcpu->pvm.gpr[PVM_RAX],
		.cs = vcpu->pvm.seg[PVM_CS],
		.host_sysenter = native_vm(vcpu->vm)->sysenter,
	};
	uint64_t gpa;

	frame_store(&space->frame, space->record, vcpu);
	switch (cause_of_stop(space->frame.frame, &vcpu->pvm, &entry, fetch, exit)) {
	case CAUSE_NOTHING:
		return false;
	case CAUSE_DEBUG:
		vcpu->pvm.dr6 |= tracer_breakpoints_hit(space);
		break;
	case CAUSE_MEMORY:
		if (!fill_memory_is_lost(space, vcpu->vm, exit->gva.v, &gpa))
			return false;
		executor_fail(exit, PVM_EXIT_FAILED, "the host lost the guest memory at gpa %#lx", (unsigned long)gpa);
		return true;
	case CAUSE_EXIT:
		break;
	}
	if (exit->kind == PVM_EXIT_EXCEPTION && exit->vector == PVM_VEC_PF)
		*last_fault(vcpu) = (struct fill_fault){
			.pending = true, .root = vcpu->root.v, .gva = exit->gva.v,
			.error_code = exit->error_code,
		};
	return true;
}

/* The guest has run, or tried to. True: @exit is complete. */
static bool look_at_stop(struct monitor_vcpu *vcpu, struct space *space, enum space_stop stop,
			 struct pvm_guest_exit *exit)
{
	switch (stop) {
	case SPACE_SIGNAL:
		return look_at_frame(vcpu, space, exit);
	case SPACE_KICKED:
		return false;
	case SPACE_COMMAND_FAILED:
		return !start_over(vcpu, space, exit);
	case SPACE_TAMPERED:
	case SPACE_DEAD:
	case SPACE_BAD_PEER:	/* not here: run() has made it SPACE_TAMPERED of the peer */
	default:
		stub_died(vcpu, space, stop == SPACE_TAMPERED, exit);
		return true;
	}
}

/* Commands that take long are carried out before the gate: who flushes or kicks
 * meanwhile does not wait for them. And a tracer waits for the guest's thread alone. 0, or
 * -errno as space_prepare(). */
static int prepare(struct space *space)
{
	bool before = space->control->enter == ENTER_TRACED || space_commands_are_long(space);

	return before && space->control->count ? space_prepare(space) : 0;
}

/* No process can execute there, not even to fault: the stub's IRET would. */
static bool faults_at_once(const struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	if (frame_canonical(vcpu->rip) == vcpu->rip)
		return false;
	/* S1 */
	exit->kind = PVM_EXIT_EXCEPTION;
	exit->vector = PVM_VEC_GP;
	exit->error_code = 0;
	return true;
}

/* The stub of a pair that has not stopped last may have ended meanwhile. True: by the host's doing. */
static bool bury(struct native_vcpu *native, struct space *space, const struct space *stopped)
{
	if (space == stopped || !space->is_dead)
		return false;
	pool_discard(&native->pool, space);
	if (!space_is_users(space) || stopped->is_dead)
		return false;	/* the one that stopped says why; a program's goes with its kernel's */
	quiet_peer(native, space);
	return space_was_ended_by_host(space);
}

/* The guest runs in @space, and in @peer, if that is not NULL, until something needs us. *@space is
 * what has stopped; the vCPU is in its mode then. */
static enum space_stop run(struct monitor_vcpu *vcpu, struct space **space, struct space *peer)
{
	struct native_vcpu *native = vcpu->executor;
	struct space *entered = *space;
	enum space_stop stop;

	hold(vcpu, entered);
	stop = peer ? space_run_pair(entered, peer, space) : space_run(entered);
	/* M9, M10: see space.c. */
	if (stop == SPACE_BAD_PEER) {
		*space = pool_peer(&native->pool, *space);
		stop = SPACE_TAMPERED;
	}
	if (stop == SPACE_TAMPERED)
		space_kill(*space);
	gate_leave(&native->gate);
	if (!peer)
		return stop;
	handover_disarm(entered, peer);
	if (bury(native, entered, *space) || bury(native, peer, *space)) {
		*space = pool_peer(&native->pool, *space);
		return SPACE_DEAD;
	}
	if (!handover_take(vcpu, entered, peer, *space, stop != SPACE_SIGNAL) && stop != SPACE_DEAD) {
		space_kill(*space);
		stop = SPACE_TAMPERED;
	}
	return stop;
}

static void native_run(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	char why[256] = "";
	enum space_stop stop;
	struct space *space, *peer;
	int error;

	for (;;) {
		exit->kind = PVM_EXIT_KICK;
		exit->message = NULL;
		if (atomic_load(&native->gate.flushes) && !apply_flushes(native, vcpu->root.v))
			return;
		if (faults_at_once(&vcpu->pvm, exit))
			return;
		space = get_space(vcpu, why, sizeof(why));
		if (!space) {
			failed(exit, why);
			return;
		}
		if (!queue_commands(vcpu, space, exit))
			return;
		placement_bind(&native->placement, space, native->gate.loose, native->gate.watchdog->thread);
		load_registers(vcpu, space);
		error = prepare(space);
		if (error) {
			stop = error == -ESRCH ? SPACE_DEAD : SPACE_COMMAND_FAILED;
			space->failed_errno = -error;
			if (look_at_stop(vcpu, space, stop, exit))
				return;
			continue;
		}
		peer = pool_peer(&native->pool, space);
		if (handover_arm(vcpu, space, peer))
			placement_follow(&native->placement, space, peer);
		else
			peer = NULL;
		switch (gate_enter(&native->gate, space, peer)) {
		case GATE_FLUSH:
			if (peer)
				handover_disarm(space, peer);
			continue;
		case GATE_KICK:
			if (peer)
				handover_disarm(space, peer);
			return;
		case GATE_ENTERED:
			break;
		}
		stop = run(vcpu, &space, peer);
		if (stop != SPACE_COMMAND_FAILED && stop != SPACE_KICKED)
			last_fault(vcpu)->pending = false;
		if (look_at_stop(vcpu, space, stop, exit))
			return;
	}
}

const struct executor_ops native_executor = {
	.name = "native",
	.memory = GUEST_MEMORY_FILE,
	.probe = native_probe,
	.vm_init = native_vm_init,
	.vm_destroy = native_vm_destroy,
	.vcpu_init = native_vcpu_init,
	.vcpu_destroy = native_vcpu_destroy,
	.run = native_run,
	.kick = native_kick,
	.tlb_flush = native_tlb_flush,
	.stats = native_stats,
};
