/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Exits of KVM_RUN to user space, by KVM's names: ports go to the machine's devices, and what ends a
 * VM is said with the words of exit.c. Everything else is an error that names itself.
 */
#include <string.h>

#include <pvm/kvm.h>
#include <pvm/xen.h>

#include "kvm.h"
#include "../loop.h"
#include "../platform.h"
#include "../run.h"
#include "../trace.h"

static const char *const names[KVM_EXITS] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "port",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "halt",
	[KVM_EXIT_MMIO] = "no memory there",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "interrupt window",
	[KVM_EXIT_SHUTDOWN] = "triple fault",
	[KVM_EXIT_FAIL_ENTRY] = "failed entry",
	[KVM_EXIT_INTR] = "signal",
	[KVM_EXIT_SET_TPR] = "TPR",
	[KVM_EXIT_INTERNAL_ERROR] = "internal error",
	[KVM_EXIT_SYSTEM_EVENT] = "system event",
	[KVM_EXIT_IOAPIC_EOI] = "end of interrupt",
	[KVM_EXIT_X86_RDMSR] = "RDMSR",
	[KVM_EXIT_X86_WRMSR] = "WRMSR",
};

const char *kvm_exit_name(uint32_t reason)
{
	return reason < KVM_EXITS && names[reason] ? names[reason] : "other";
}

static void trace_io(const struct monitor_vcpu *vcpu, bool write)
{
	struct pvm_trace_record record = {
		.kind = PVM_TRACE_INSN, .vcpu = vcpu->pvm.id,
		.a = write ? PVM_INSN_OUT : PVM_INSN_IN, .b = vcpu->pvm.rip,
	};

	if (vcpu->vm->trace)
		trace_record(vcpu->vm->trace, &record);
}

static void do_io(struct monitor_vcpu *vcpu, struct kvm_vcpu *kvm)
{
	struct kvm_run *run = kvm->run;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;
	size_t size = run->io.size, offset = run->io.data_offset, i;

	kvm->io_pending = true;
	trace_io(vcpu, write);
	if (size > sizeof(uint32_t) || offset > kvm->run_size ||
	    size * run->io.count > kvm->run_size - offset)
		return;
	for (i = 0; i < run->io.count; i++, offset += size) {
		uint32_t value = 0;

		if (write) {
			memcpy(&value, (uint8_t *)run + offset, size);
			platform_out(vcpu, run->io.port, (uint8_t)size, value);
		} else {
			value = platform_in(vcpu, run->io.port, (uint8_t)size);
			memcpy((uint8_t *)run + offset, &value, size);
		}
	}
}

/* exit.c says where the vCPU is: its registers are needed now. */
static void end_as(struct monitor_vcpu *vcpu, struct pvm_request request, enum pvm_action action)
{
	kvm_registers_get(vcpu);
	vcpu->pvm.request = request;
	exit_act(vcpu, action);
}

static void do_shutdown(struct monitor_vcpu *vcpu, const struct kvm_run *run)
{
	struct pvm_kvm_shutdown shutdown;
	struct pvm_request request = { .shutdown = { .vector = 0xff } };

	memcpy(&shutdown, &run->internal, sizeof(shutdown));
	if (shutdown.signature == PVM_KVM_SHUTDOWN_SIGNATURE && shutdown.reason < PVM_SHUTDOWN_COUNT) {
		request.shutdown.reason = shutdown.reason;
		request.shutdown.vector = (uint8_t)shutdown.vector;
		request.shutdown.address = shutdown.address;
	}
	end_as(vcpu, request, PVM_ACT_SHUTDOWN);
}

static void do_mmio(struct monitor_vcpu *vcpu, struct kvm_run *run)
{
	struct pvm_request request = {
		.mmio = { .gpa = { run->mmio.phys_addr }, .write = run->mmio.is_write },
	};

	/* A distribution's kernel asks for devices that its CPU's boards have; there is none. */
	if (vcpu->vm->xen) {
		kvm_vcpu(vcpu)->io_pending = true;
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		return;
	}
	kvm_registers_get(vcpu);
	request.mmio.gva = pvm_gva(PVM_INVALID_ADDR);	/* KVM does not say it */
	end_as(vcpu, request, PVM_ACT_MMIO);
}

/* Such a guest has ended itself; the reason is one of enum pvm_xen_shutdown. */
static void do_system_event(struct monitor_vcpu *vcpu, const struct kvm_run *run)
{
	struct pvm_request request = { .system_event.reason = PVM_XEN_SHUTDOWN_POWEROFF };

	if (run->system_event.ndata)
		request.system_event.reason = (uint32_t)run->system_event.data[0];
	end_as(vcpu, request, PVM_ACT_SYSTEM_EVENT);
}

static const char *internal_error_name(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "an instruction that it cannot emulate";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "two exceptions at once";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an event that cannot be delivered";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "the switcher failed";
	default:
		return "of no kind that is known here";
	}
}

static void fail(struct monitor_vcpu *vcpu, const struct kvm_run *run)
{
	const char *field = kvm_registers_get(vcpu);
	unsigned long long rip = vcpu->pvm.rip;

	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			 "vCPU %u: KVM's internal error %u at rip 0x%llx: %s; the kernel's log says more",
			 vcpu->pvm.id, run->internal.suberror, rip,
			 internal_error_name(run->internal.suberror));
	else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			 "vCPU %u: KVM cannot enter the guest at rip 0x%llx: reason 0x%llx", vcpu->pvm.id,
			 rip, (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
	else
		loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			 "vCPU %u: KVM's exit %u (%s) at rip 0x%llx is not known here%s%s", vcpu->pvm.id,
			 run->exit_reason, kvm_exit_name(run->exit_reason), rip,
			 field ? "; cannot read its " : "", field ? field : "");
}

void kvm_exit_handle(struct monitor_vcpu *vcpu)
{
	struct kvm_vcpu *kvm = kvm_vcpu(vcpu);
	struct kvm_run *run = kvm->run;

	if (run->exit_reason < KVM_EXITS)
		kvm->exits[run->exit_reason]++;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		do_io(vcpu, kvm);
		break;
	case KVM_EXIT_MMIO:
		do_mmio(vcpu, run);
		break;
	case KVM_EXIT_SHUTDOWN:
		do_shutdown(vcpu, run);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		do_system_event(vcpu, run);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_IOAPIC_EOI:
		break;
	default:
		fail(vcpu, run);
		break;
	}
}
