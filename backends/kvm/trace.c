// SPDX-License-Identifier: GPL-2.0
/*
 * What tools for tracing see: of KVM's own events, what an exit looks like in kvm_exit, which vcpu.c raises
 * with kvm_entry and kvm_page_fault; and the module's own (trace.h), which are the engine's records.
 *
 * Records are made anywhere between an entry and its exit, under the MMU's lock, and with the switcher's GDT,
 * TSS and system call MSRs loaded. In C the IDT, CR3, GS base and interrupt stacks are Linux's all
 * the same, and interrupts are off: exceptions and NMIs work as ever, so may probes, and programs of perf and
 * BPF that are attached to an event.
 */
#include <asm/processor.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#include "kvm_pvm.h"

/* While at least one of the events is on the engine has a function for its records, else none: then a place
 * where one would be made costs the test that it has anyway. Called under the tracepoints' own mutex. */
static unsigned int events_on;

static void pvm_kvm_record(void *host, const struct pvm_trace_record *record);

static int pvm_kvm_trace_on(void)
{
	if (!events_on++)
		WRITE_ONCE(pvm_kvm_host_ops.trace, pvm_kvm_record);
	return 0;
}

static void pvm_kvm_trace_off(void)
{
	if (!--events_on)
		WRITE_ONCE(pvm_kvm_host_ops.trace, NULL);
}

#define CREATE_TRACE_POINTS
#include "trace.h"

static void pvm_kvm_record(void *host, const struct pvm_trace_record *record)
{
	const struct pvm_kvm *vm = host;
	pid_t pid = vm->kvm.userspace_pid;

	switch (record->kind) {
	case PVM_TRACE_EVENT:
		trace_pvm_event(pid, record);
		break;
	case PVM_TRACE_SYSCALL:
		trace_pvm_syscall(pid, record);
		break;
	case PVM_TRACE_RETURN_USER:
	case PVM_TRACE_RETURN_SUPERVISOR:
		trace_pvm_return(pid, record);
		break;
	case PVM_TRACE_HYPERCALL:
		trace_pvm_hypercall(pid, record);
		break;
	case PVM_TRACE_HYPERCALL_RESULT:
		trace_pvm_hypercall_result(pid, record);
		break;
	case PVM_TRACE_INSN:
		trace_pvm_insn(pid, record);
		break;
	case PVM_TRACE_MSR:
		trace_pvm_msr(pid, record);
		break;
	case PVM_TRACE_FAULT:
		trace_pvm_fault(pid, record);
		break;
	case PVM_TRACE_FILL:
		trace_pvm_fill(pid, record);
		break;
	case PVM_TRACE_FLUSH:
		trace_pvm_flush(pid, record);
		break;
	case PVM_TRACE_SHUTDOWN:
		trace_pvm_shutdown(pid, record);
		break;
	case PVM_TRACE_CR4:
		trace_pvm_cr4(pid, record);
		break;
	case PVM_TRACE_EXIT:	/* kvm_exit has it */
	case PVM_TRACE_KINDS:
		break;
	}
}

/* ------------------------------------------------------------------------
 * kvm_exit. There are names for the exits of VMX and of SVM only, and `perf kvm stat` takes those of
 * this CPU's maker: an exit gets the code that the same thing has there, under shadow paging.
 */

struct exit_codes {
	u32 svm, vmx;
};

#define VMX_FAILED_ENTRY	(1u << 31)
#define INTERRUPT		{ SVM_EXIT_INTR, EXIT_REASON_EXTERNAL_INTERRUPT }
#define HYPERCALL		{ SVM_EXIT_VMMCALL, EXIT_REASON_VMCALL }
#define FAILED			{ (u32)SVM_EXIT_ERR, VMX_FAILED_ENTRY | EXIT_REASON_INVALID_STATE }

static const struct exit_codes of_interrupt = INTERRUPT, of_hypercall = HYPERCALL, of_failure = FAILED;

/* What the engine has answered in the switcher, for the host to carry out. */
static const struct exit_codes of_action[] = {
	[PVM_ACT_RESUME] = INTERRUPT,
	[PVM_ACT_HALT] = { SVM_EXIT_HLT, EXIT_REASON_HLT },
	[PVM_ACT_HYPERCALL] = HYPERCALL,
	[PVM_ACT_RDMSR] = { SVM_EXIT_MSR, EXIT_REASON_MSR_READ },
	[PVM_ACT_WRMSR] = { SVM_EXIT_MSR, EXIT_REASON_MSR_WRITE },
	[PVM_ACT_IO] = { SVM_EXIT_IOIO, EXIT_REASON_IO_INSTRUCTION },
	[PVM_ACT_MMIO] = { SVM_EXIT_NPF, EXIT_REASON_EPT_MISCONFIG },
	[PVM_ACT_SHUTDOWN] = { SVM_EXIT_SHUTDOWN, EXIT_REASON_TRIPLE_FAULT },
	[PVM_ACT_SYSTEM_EVENT] = { SVM_EXIT_SHUTDOWN, EXIT_REASON_TRIPLE_FAULT },
	[PVM_ACT_RETRY] = INTERRUPT,
	[PVM_ACT_ERROR] = FAILED,
};

static struct exit_codes codes_of_vector(u8 vector)
{
	return (struct exit_codes){
		vector < PVM_VEC_EXCEPTIONS ? SVM_EXIT_EXCP_BASE + vector : SVM_EXIT_SWINT,
		EXIT_REASON_EXCEPTION_NMI,
	};
}

static struct exit_codes codes_of(const struct pvm_kvm_vcpu *v)
{
	switch (v->exit.kind) {
	case PVM_EXIT_SYSCALL:
	case PVM_EXIT_SYSCALL32:
		return of_hypercall;
	case PVM_EXIT_EXCEPTION:
	case PVM_EXIT_SOFTWARE:
	case PVM_EXIT_INSN:
		return codes_of_vector(v->exit.vector);
	case PVM_EXIT_ACTION:
		return of_action[v->exit.action];
	case PVM_EXIT_FAILED:
	case PVM_EXIT_DEAD:
		return of_failure;
	case PVM_EXIT_KICK:
		if (v->exit_by_nmi)
			return (struct exit_codes){ SVM_EXIT_NMI, EXIT_REASON_EXCEPTION_NMI };
		break;
	case PVM_EXIT_INTERRUPT:
	case PVM_EXIT_KINDS:
		break;
	}
	return of_interrupt;
}

/* As VMX says which event it was; 0: none. */
static u32 event_of(const struct pvm_kvm_vcpu *v)
{
	u8 vector = v->exit.vector;
	u32 event = INTR_INFO_VALID_MASK | vector;

	switch (v->exit.kind) {
	case PVM_EXIT_EXCEPTION:
		return event | INTR_TYPE_HARD_EXCEPTION |
		       (pvm_vector_has_error_code(vector) ? INTR_INFO_DELIVER_CODE_MASK : 0);
	case PVM_EXIT_SOFTWARE:
		return event | (vector < PVM_VEC_EXCEPTIONS ? INTR_TYPE_SOFT_EXCEPTION : INTR_TYPE_SOFT_INTR);
	case PVM_EXIT_INTERRUPT:
		return event | INTR_TYPE_EXT_INTR;
	case PVM_EXIT_KICK:
		return v->exit_by_nmi ? INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR | PVM_VEC_NMI : 0;
	default:
		return 0;
	}
}

u32 pvm_kvm_exit_isa(void)
{
	u8 maker = boot_cpu_data.x86_vendor;

	return maker == X86_VENDOR_AMD || maker == X86_VENDOR_HYGON ? PVM_KVM_ISA_SVM : PVM_KVM_ISA_VMX;
}

/* @info1: of #PF the address, of SYSCALL its number; @info2: 1 from user mode. */
void pvm_kvm_get_exit_info(struct kvm_vcpu *vcpu, u32 *reason, u64 *info1, u64 *info2, u32 *intr, u32 *error)
{
	const struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	struct exit_codes codes = codes_of(v);
	bool is_exception = v->exit.kind == PVM_EXIT_EXCEPTION;
	bool is_syscall = v->exit.kind == PVM_EXIT_SYSCALL || v->exit.kind == PVM_EXIT_SYSCALL32;

	*reason = pvm_kvm_exit_isa() == PVM_KVM_ISA_SVM ? codes.svm : codes.vmx;
	*info1 = is_syscall ? v->pvm.gpr[PVM_RAX] : 0;
	if (is_exception && v->exit.vector == PVM_VEC_PF)
		*info1 = v->exit.gva.v;
	*info2 = v->pvm.user_mode;
	*intr = event_of(v);
	*error = is_exception ? v->exit.error_code : 0;
}
