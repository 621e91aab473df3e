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
#include <sys/resource.h>

#include <pvm/mmu.h>

#include "cause.h"
#include "tracer.h"

/* ------------------------------------------------------------------------
 * Life.
 */

/* A stub costs two file descriptors; use all that we may have. */
static void more_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

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
	more_descriptors();
	error = watchdog_start(&native->watchdog);
	if (error) {
		snprintf(why, why_size, "native executor: no thread: %s", strerror(error));
		free(native);
		return -1;
	}
	pthread_mutex_init(&native->lock, NULL);
	vm->executor_vm = native;
	return 0;
}

static void native_vm_destroy(struct monitor_vm *vm)
{
	struct native_vm *native = native_vm(vm);

	watchdog_stop(&native->watchdog);
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
	if (pool_open(&native->pool, vcpu->vm->memory.fd, vm->pkeys, why, why_size) < 0) {
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

/* Commands for what must be forgotten and what can be filled. */
static bool queue_commands(struct monitor_vcpu *vcpu, struct space *space, struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	bool empty = space->forget_all;

	space_commands_begin(space);
	if (empty)
		fill_first(space, vcpu, &native->translations);
	switch (fill_fault(space, vcpu->vm, &native->fault, &native->translations)) {
	case FILL_OK:
		return true;
	case FILL_RESERVED:
		executor_fail(exit, PVM_EXIT_FAILED,
			      "guest address %#lx lies in the native executor's reserved hole: a guest in a process can have %#lx to %#lx",
			 (unsigned long)native->fault.gva, (unsigned long)native_vm(vcpu->vm)->lowest,
			 (unsigned long)STUB_REGION - 1);
		return false;
	case FILL_NOT_MEMORY:
	default:
		executor_fail(exit, PVM_EXIT_FAILED,
			      "guest address %#lx is shadowed by something that is no guest memory",
			 (unsigned long)native->fault.gva);
		return false;
	}
}

/* TLS and breakpoints. A host without ptrace runs all but these. */
static void sync_by_ptrace(struct monitor_vcpu *vcpu, struct space *space)
{
	struct native_vm *vm = native_vm(vcpu->vm);
	int error = tracer_sync(space, &vcpu->pvm);

	if (error && !atomic_exchange(&vm->ptrace_refused, true))
		fprintf(stderr, "pvm: native executor: ptrace is refused (%s): no hardware breakpoints and no TLS segments\n",
			strerror(-error));
}

/*
 * The host has refused a mapping (vm.max_map_count, memory), or the guest
 * pretends so. A TLB may forget: a new process starts empty, and tries before
 * the guest runs in it, so that its answer can be believed.
 */
static bool start_over(struct monitor_vcpu *vcpu, struct space *space, struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	char why[256] = "";
	enum space_stop stop;

	pool_discard(&native->pool, space);
	space = pool_get(&native->pool, vcpu->root.v, why, sizeof(why));
	if (!space) {
		failed(exit, why);
		return false;
	}
	if (!queue_commands(vcpu, space, exit))
		return false;
	stop = space_prepare(space);
	if (stop == SPACE_COMMANDS_DONE)
		return true;
	pool_discard(&native->pool, space);
	executor_fail(exit, PVM_EXIT_FAILED, "the host refuses to map guest address %#lx: %s",
		      (unsigned long)native->fault.gva,
		      stop == SPACE_COMMAND_FAILED ? strerror(space->failed_errno) : "the stub died");
	return false;
}

/* The stub is gone, and the guest's registers with it. In user mode that is the
 * user program's own doing and harm: it sees #GP where it was entered last. */
static void stub_died(struct monitor_vcpu *vcpu, struct space *space, struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	char end[96];

	pool_discard(&native->pool, space);
	if (vcpu->pvm.user_mode) {
		exit->kind = PVM_EXIT_EXCEPTION;
		exit->vector = PVM_VEC_GP;
		exit->error_code = 0;
		return;
	}
	space_describe_end(space, end, sizeof(end));
	executor_fail(exit, PVM_EXIT_DEAD,
		      "the stub process of vCPU %u %s: the guest's kernel, entered at %#lx, destroyed it",
		 vcpu->pvm.id, end, (unsigned long)vcpu->pvm.rip);
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
	struct native_vcpu *native = vcpu->executor;
	const struct cause_entry entry = {
		.rip = vcpu->pvm.rip,
		.rsp = vcpu->pvm.gpr[PVM_RSP],
		.rax = vcpu->pvm.gpr[PVM_RAX],
		.cs = vcpu->pvm.seg[PVM_CS],
		.host_sysenter = native_vm(vcpu->vm)->sysenter,
	};

	space->heal = frame_needs_healing(space->frame.frame, &vcpu->pvm);
	frame_store(&space->frame, space->record, vcpu);
	switch (cause_of_stop(space->frame.frame, &vcpu->pvm, &entry, fetch, exit)) {
	case CAUSE_NOTHING:
		return false;
	case CAUSE_DEBUG:
		vcpu->pvm.dr6 |= tracer_breakpoints_hit(space);
		break;
	case CAUSE_SABOTAGE:
		pool_discard(&native->pool, space);
		break;
	case CAUSE_EXIT:
		break;
	}
	if (exit->kind == PVM_EXIT_EXCEPTION && exit->vector == PVM_VEC_PF)
		native->fault = (struct fill_fault){
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
	case SPACE_COMMAND_FAILED:
		return !start_over(vcpu, space, exit);
	case SPACE_KICKED:
		/*
		 * M2: a kick may also have come between a mapping that a guest
		 * made from the stub's text and the check after it.
		 */
		space->forget_all = true;
		return false;
	case SPACE_DEAD:
	case SPACE_TAMPERED:
	case SPACE_COMMANDS_DONE:
	default:
		stub_died(vcpu, space, exit);
		return true;
	}
}

static void native_run(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	struct native_vcpu *native = vcpu->executor;
	char why[256] = "";
	enum space_stop stop;
	struct space *space;

	for (;;) {
		exit->kind = PVM_EXIT_KICK;
		exit->message = NULL;
		if (atomic_load(&native->gate.flushes) && !apply_flushes(native, vcpu->root.v))
			return;
		space = pool_get(&native->pool, vcpu->root.v, why, sizeof(why));
		if (!space) {
			failed(exit, why);
			return;
		}
		if (!queue_commands(vcpu, space, exit))
			return;
		sync_by_ptrace(vcpu, space);
		frame_load(&space->frame, space->control, vcpu, space->tls, space->heal);
		placement_bind(&native->placement, space, native->gate.loose);
		switch (gate_enter(&native->gate, space->pid)) {
		case GATE_FLUSH:
			continue;
		case GATE_KICK:
			return;
		case GATE_ENTERED:
			break;
		}
		stop = space_run(space);
		gate_leave(&native->gate);
		if (stop != SPACE_COMMAND_FAILED && stop != SPACE_KICKED)
			native->fault.pending = false;
		if (look_at_stop(vcpu, space, stop, exit))
			return;
	}
}

const struct executor_ops native_executor = {
	.name = "native",
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
