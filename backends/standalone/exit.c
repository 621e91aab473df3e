/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What an exit of the guest means: one engine call, then what that asks for.
 * Everything in a guest's registers and memory is untrusted here; the worst a
 * guest can reach is the end of its own VM with a line that says why.
 */
#include "run.h"

#include <stdio.h>
#include <string.h>

#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "decode.h"
#include "host.h"
#include "loop.h"
#include "platform.h"

#define STARVED_MAX	16	/* failed allocations at one place before we give up */

/* As many bytes of the instruction as can be fetched; the rest may lie in a
 * page that is not there, and not be needed. */
static size_t fetch(struct monitor_vcpu *vcpu, uint8_t bytes[DECODE_MAX_LENGTH])
{
	struct pvm_fault_result fault;
	pvm_gva_t fault_gva;
	uint64_t rip = vcpu->pvm.rip;
	size_t to_page_end = PVM_PAGE_SIZE - (rip & (PVM_PAGE_SIZE - 1));

	if (!pvm_mmu_read(&vcpu->pvm, pvm_gva(rip), bytes, DECODE_MAX_LENGTH, PVM_ACCESS_EXEC,
			  &fault, &fault_gva))
		return DECODE_MAX_LENGTH;
	if (to_page_end < DECODE_MAX_LENGTH &&
	    !pvm_mmu_read(&vcpu->pvm, pvm_gva(rip), bytes, to_page_end, PVM_ACCESS_EXEC, &fault,
			  &fault_gva))
		return to_page_end;
	return 0;
}

/* #GP and #UD: an instruction of the supervisor's that needs us, or the guest's own fault. */
static enum pvm_action handle_trapped(struct monitor_vcpu *vcpu, uint8_t vector,
				      uint32_t error_code)
{
	bool code64 = pvm_vcpu_mode(&vcpu->pvm) != PVM_MODE_USER32;
	uint8_t bytes[DECODE_MAX_LENGTH];
	struct pvm_insn insn;

	decode_insn(&vcpu->pvm, code64, bytes, fetch(vcpu, bytes), &insn);
	return pvm_handle_insn(&vcpu->pvm, &insn, vector, error_code, PVM_MAY_SLEEP);
}

static enum pvm_action handle_exception(struct monitor_vcpu *vcpu, const struct guest_exit *exit)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;

	if (exit->vector < PVM_VEC_EXCEPTIONS)
		vcpu->exceptions[exit->vector]++;
	switch (exit->vector) {
	case PVM_VEC_PF:
		return pvm_handle_page_fault(pvm, pvm_gva(pvm->cr2), exit->error_code,
					     PVM_MAY_SLEEP);
	case PVM_VEC_GP:
	case PVM_VEC_UD:
		return handle_trapped(vcpu, exit->vector, exit->error_code);
	case PVM_VEC_DB:
		return pvm_event_debug(pvm, pvm->dr6, PVM_MAY_SLEEP);
	}
	return pvm_event_deliver(pvm, exit->vector, exit->error_code, PVM_MAY_SLEEP);
}

static enum pvm_action handle_syscall(struct monitor_vcpu *vcpu)
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
	return pvm_handle_syscall(pvm, PVM_MAY_SLEEP);
}

enum pvm_action exit_handle(struct monitor_vcpu *vcpu, const struct guest_exit *exit)
{
	vcpu->exits[exit->kind]++;
	if (vcpu->pvm.user_mode)
		memcpy(vcpu->user_gpr, vcpu->pvm.gpr, sizeof(vcpu->user_gpr));
	switch (exit->kind) {
	case GUEST_EXIT_SYSCALL:
		return handle_syscall(vcpu);
	case GUEST_EXIT_EXCEPTION:
		return handle_exception(vcpu, exit);
	case GUEST_EXIT_INT80:
		return pvm_event_deliver(&vcpu->pvm, PVM_VEC_SYSCALL32, 0, PVM_MAY_SLEEP);
	case GUEST_EXIT_SYSCALL32:
		/* Where rip is may be a guess; what it was is known. */
		return pvm_handle_insn(&vcpu->pvm, &exit->insn, PVM_VEC_GP, 0, PVM_MAY_SLEEP);
	case GUEST_EXIT_INSN:
		return pvm_handle_insn(&vcpu->pvm, &exit->insn, exit->vector, exit->error_code,
				       PVM_MAY_SLEEP);
	case GUEST_EXIT_DEAD:
		loop_end(vcpu->vm, vcpu, MONITOR_END_DIED, MONITOR_STATUS_DIED, "vCPU %u: %s",
			 vcpu->pvm.id, exit->message);
		break;
	case GUEST_EXIT_FAILED:
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "vCPU %u: %s",
			 vcpu->pvm.id, exit->message);
		break;
	case GUEST_EXIT_KICK:
	case GUEST_EXIT_KINDS:
		break;
	}
	return PVM_ACT_RESUME;
}

/* ------------------------------------------------------------------------
 * Actions.
 */

static enum pvm_action do_io(struct monitor_vcpu *vcpu)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;
	uint32_t value = 0;

	if (pvm->exit.io.write)
		platform_out(vcpu, pvm->exit.io.port, pvm->exit.io.size, pvm->exit.io.value);
	else
		value = platform_in(vcpu, pvm->exit.io.port, pvm->exit.io.size);
	return pvm_complete_io(pvm, value);
}

static enum pvm_action do_rdmsr(struct monitor_vcpu *vcpu)
{
	uint64_t value = 0;
	bool ok = platform_rdmsr(vcpu, vcpu->pvm.exit.msr.index, &value);

	return pvm_complete_rdmsr(&vcpu->pvm, ok, value, PVM_MAY_SLEEP);
}

/* TPR and CR8 are one register with two names. */
static enum pvm_action do_wrmsr(struct monitor_vcpu *vcpu)
{
	bool ok = platform_wrmsr(vcpu, vcpu->pvm.exit.msr.index, vcpu->pvm.exit.msr.value);

	if (ok && vcpu->pvm.exit.msr.index == APIC_MSR_TPR)
		vcpu->pvm.cr8 = local_apic_get_cr8(vcpu->apic);
	return pvm_complete_wrmsr(&vcpu->pvm, ok, PVM_MAY_SLEEP);
}

static void end_by_shutdown(struct monitor_vcpu *vcpu)
{
	const struct pvm_exit *exit = &vcpu->pvm.exit;
	char event[48] = "";

	if (exit->shutdown.vector != 0xff)
		snprintf(event, sizeof(event), " while delivering %s (vector %u)",
			 pvm_vector_name(exit->shutdown.vector), exit->shutdown.vector);
	loop_end(vcpu->vm, vcpu, MONITOR_END_DIED, MONITOR_STATUS_DIED,
		 "vCPU %u: triple fault%s at rip 0x%llx in %s mode: %s, 0x%llx", vcpu->pvm.id,
		 event, (unsigned long long)vcpu->pvm.rip, pvm_mode_name(pvm_vcpu_mode(&vcpu->pvm)),
		 pvm_shutdown_name(exit->shutdown.reason),
		 (unsigned long long)exit->shutdown.address);
}

static void end_by_mmio(struct monitor_vcpu *vcpu)
{
	const struct pvm_exit *exit = &vcpu->pvm.exit;

	loop_end(
		vcpu->vm, vcpu, MONITOR_END_DIED, MONITOR_STATUS_DIED,
		"vCPU %u: the guest %s guest-physical 0x%llx (address 0x%llx), where there is no memory, at rip 0x%llx",
		vcpu->pvm.id, exit->mmio.write ? "wrote to" : "touched",
		(unsigned long long)exit->mmio.gpa.v, (unsigned long long)exit->mmio.gva.v,
		(unsigned long long)vcpu->pvm.rip);
}

/* M11: the guest has lost nothing and tries again. A limit that cannot hold
 * what one instruction needs shows as failing at the same place for ever. */
bool exit_reclaim(struct monitor_vcpu *vcpu)
{
	struct monitor_vm *vm = vcpu->vm;
	struct pvm_mmu_stats stats;

	vcpu->starved = vcpu->starved_rip == vcpu->pvm.rip ? vcpu->starved + 1 : 1;
	vcpu->starved_rip = vcpu->pvm.rip;
	if (vcpu->starved > STARVED_MAX) {
		loop_end(
			vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			"vCPU %u: out of shadow memory: %llu KiB are too few for the guest at rip 0x%llx; see --shadow-memory",
			vcpu->pvm.id, (unsigned long long)page_arena_peak(vm->arena) >> 10,
			(unsigned long long)vcpu->pvm.rip);
		return false;
	}
	pvm_mmu_get_stats(&vm->pvm, &stats);
	pvm_mmu_shrink(&vm->pvm, vcpu->starved > 1 ? 0 : stats.shadow_pages / 2);
	return true;
}

static void act_on_error(struct monitor_vcpu *vcpu)
{
	int code = vcpu->pvm.exit.error.code;

	if (code == PVM_ENOMEM)
		exit_reclaim(vcpu);
	else
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			 "vCPU %u: the engine failed with error %d at rip 0x%llx", vcpu->pvm.id,
			 code, (unsigned long long)vcpu->pvm.rip);
}

void exit_act(struct monitor_vcpu *vcpu, enum pvm_action action)
{
	while (action != PVM_ACT_RESUME) {
		switch (action) {
		case PVM_ACT_HYPERCALL:
			/* The monitor has no hypercalls of its own. */
			action = pvm_complete_hypercall(&vcpu->pvm, (uint64_t)-PVM_KVM_ENOSYS);
			break;
		case PVM_ACT_RDMSR:
			action = do_rdmsr(vcpu);
			break;
		case PVM_ACT_WRMSR:
			action = do_wrmsr(vcpu);
			break;
		case PVM_ACT_IO:
			action = do_io(vcpu);
			break;
		case PVM_ACT_MMIO:
			end_by_mmio(vcpu);
			return;
		case PVM_ACT_SHUTDOWN:
			end_by_shutdown(vcpu);
			return;
		case PVM_ACT_ERROR:
			act_on_error(vcpu);
			return;
		case PVM_ACT_HALT:	/* the run loop looks at pvm_vcpu::halted */
		case PVM_ACT_RETRY:	/* not under PVM_MAY_SLEEP */
		case PVM_ACT_RESUME:
			return;
		}
	}
}
