/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What an exit means to the monitor: its counters, and the actions that the engine asks for.
 * Everything in a guest's registers and memory is untrusted here; the worst a
 * guest can reach is the end of its own VM with a line that says why.
 */
#include "run.h"

#include <stdio.h>
#include <string.h>

#include <pvm/exit.h>
#include <pvm/xen.h>

#include "host.h"
#include "loop.h"
#include "platform.h"

static void count_syscall(struct monitor_vcpu *vcpu)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;
	uint64_t nr = pvm->gpr[PVM_RAX] - PVM_HC_BASE;

	switch (pvm_syscall_classify(pvm)) {
	case PVM_SYSCALL_USER:
		vcpu->syscalls++;
		break;
	case PVM_SYSCALL_RETURN_USER:
		vcpu->returns_user++;
		break;
	case PVM_SYSCALL_RETURN_SUPERVISOR:
		vcpu->returns_supervisor++;
		break;
	case PVM_SYSCALL_PVM_HYPERCALL:
		if (nr < MONITOR_HYPERCALLS)
			vcpu->hypercalls[nr]++;
		else
			vcpu->other_hypercalls++;
		break;
	case PVM_SYSCALL_OTHER_HYPERCALL:
		vcpu->other_hypercalls++;
		break;
	}
}

void exit_look(struct monitor_vcpu *vcpu, const struct pvm_guest_exit *exit)
{
	vcpu->exits[exit->kind]++;
	if (vcpu->pvm.user_mode)
		memcpy(vcpu->user_gpr, vcpu->pvm.gpr, sizeof(vcpu->user_gpr));
	if (exit->kind == PVM_EXIT_SYSCALL)
		count_syscall(vcpu);
	if (exit->kind == PVM_EXIT_EXCEPTION && exit->vector < PVM_VEC_EXCEPTIONS)
		vcpu->exceptions[exit->vector]++;
	if (exit->kind == PVM_EXIT_DEAD)
		loop_end(vcpu->vm, vcpu, MONITOR_END_DIED, MONITOR_STATUS_DIED, "vCPU %u: %s",
			 vcpu->pvm.id, exit->message);
	if (exit->kind == PVM_EXIT_FAILED)
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "vCPU %u: %s",
			 vcpu->pvm.id, exit->message);
}

/* ------------------------------------------------------------------------
 * Actions.
 */

static enum pvm_action do_io(struct monitor_vcpu *vcpu)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;
	uint32_t value = 0;

	if (pvm->request.io.write)
		platform_out(vcpu, pvm->request.io.port, pvm->request.io.size, pvm->request.io.value);
	else
		value = platform_in(vcpu, pvm->request.io.port, pvm->request.io.size);
	return pvm_complete_io(pvm, value);
}

static enum pvm_action do_rdmsr(struct monitor_vcpu *vcpu)
{
	uint64_t value = 0;
	bool ok = platform_rdmsr(vcpu, vcpu->pvm.request.msr.index, &value);

	return pvm_complete_rdmsr(&vcpu->pvm, ok, value);
}

/* TPR and CR8 are one register with two names. */
static enum pvm_action do_wrmsr(struct monitor_vcpu *vcpu)
{
	bool ok = platform_wrmsr(vcpu, vcpu->pvm.request.msr.index, vcpu->pvm.request.msr.value);

	if (ok && vcpu->pvm.request.msr.index == APIC_MSR_TPR)
		vcpu->pvm.cr8 = local_apic_get_cr8(vcpu->apic);
	return pvm_complete_wrmsr(&vcpu->pvm, ok);
}

static void end_by_shutdown(struct monitor_vcpu *vcpu)
{
	const struct pvm_request *request = &vcpu->pvm.request;
	char event[48] = "";

	if (request->shutdown.vector != 0xff)
		snprintf(event, sizeof(event), " while delivering %s (vector %u)",
			 pvm_vector_name(request->shutdown.vector), request->shutdown.vector);
	loop_end(vcpu->vm, vcpu, MONITOR_END_DIED, MONITOR_STATUS_DIED,
		 "vCPU %u: triple fault%s at rip 0x%llx in %s mode: %s, 0x%llx", vcpu->pvm.id,
		 event, (unsigned long long)vcpu->pvm.rip, pvm_mode_name(pvm_vcpu_mode(&vcpu->pvm)),
		 pvm_shutdown_name(request->shutdown.reason),
		 (unsigned long long)request->shutdown.address);
}

/* The guest has ended itself. */
static void end_by_system_event(struct monitor_vcpu *vcpu)
{
	uint32_t reason = vcpu->pvm.request.system_event.reason;

	if (reason == PVM_XEN_SHUTDOWN_CRASH || reason == PVM_XEN_SHUTDOWN_WATCHDOG)
		loop_end(vcpu->vm, vcpu, MONITOR_END_DIED, MONITOR_STATUS_DIED, "vCPU %u: the guest ends: %s",
			 vcpu->pvm.id, pvm_xen_shutdown_name(reason));
	else
		loop_end(vcpu->vm, vcpu, MONITOR_END_EXIT, 0, "the guest ends: %s", pvm_xen_shutdown_name(reason));
}

static void end_by_mmio(struct monitor_vcpu *vcpu)
{
	const struct pvm_request *request = &vcpu->pvm.request;
	char address[40] = "";

	if (request->mmio.gva.v != PVM_INVALID_ADDR)
		snprintf(address, sizeof(address), " (address 0x%llx)", (unsigned long long)request->mmio.gva.v);
	loop_end(vcpu->vm, vcpu, MONITOR_END_DIED, MONITOR_STATUS_DIED,
		 "vCPU %u: the guest %s guest-physical 0x%llx%s, where there is no memory, at rip 0x%llx",
		 vcpu->pvm.id, request->mmio.write ? "wrote to" : "touched",
		 (unsigned long long)request->mmio.gpa.v, address, (unsigned long long)vcpu->pvm.rip);
}

static void end_by_error(struct monitor_vcpu *vcpu)
{
	int code = vcpu->pvm.request.error.code;

	if (code == PVM_ENOMEM)
		loop_end(
			vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			"vCPU %u: out of shadow memory: %llu KiB are too few for the guest at rip 0x%llx; see --shadow-memory",
			vcpu->pvm.id, (unsigned long long)page_arena_peak(vcpu->vm->arena) >> 10,
			(unsigned long long)vcpu->pvm.rip);
	else
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			 "vCPU %u: the engine failed with error %d at rip 0x%llx", vcpu->pvm.id,
			 code, (unsigned long long)vcpu->pvm.rip);
}

enum pvm_action exit_act(struct monitor_vcpu *vcpu, enum pvm_action action)
{
	switch (action) {
	case PVM_ACT_HYPERCALL:
		/* The monitor has no hypercalls of its own. */
		return pvm_complete_hypercall(&vcpu->pvm, (uint64_t)-PVM_KVM_ENOSYS);
	case PVM_ACT_RDMSR:
		return do_rdmsr(vcpu);
	case PVM_ACT_WRMSR:
		return do_wrmsr(vcpu);
	case PVM_ACT_IO:
		return do_io(vcpu);
	case PVM_ACT_MMIO:
		end_by_mmio(vcpu);
		break;
	case PVM_ACT_SHUTDOWN:
		end_by_shutdown(vcpu);
		break;
	case PVM_ACT_SYSTEM_EVENT:
		end_by_system_event(vcpu);
		break;
	case PVM_ACT_ERROR:
		end_by_error(vcpu);
		break;
	case PVM_ACT_HALT:	/* the run loop's */
	case PVM_ACT_RETRY:
	case PVM_ACT_RESUME:
		break;
	}
	return PVM_ACT_RESUME;
}
