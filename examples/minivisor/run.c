/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a CPU does with its vCPU: one engine call for the last exit, then what that asks
 * for, which is mostly to enter the guest again. Interrupts are off but for one window
 * in each round, and while there is nothing to do.
 *
 * The guest's x87, SSE and AVX state stays in the CPU: minivisor is built without, and
 * no other vCPU ever runs here.
 */
#include <pvm/exit.h>

#include "apic.h"
#include "boot.h"
#include "memory.h"
#include "print.h"
#include "trap.h"
#include "vm.h"
#include "xen.h"

#define MAILBOX_POLL_NS	500000ull
#define NMI_EVERY	16	/* timer ticks */

static bool storm_nmi;

__attribute__((noreturn, format(printf, 2, 3)))
static void guest_died(const struct vm_vcpu *vcpu, const char *format, ...)
{
	char line[200];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	print("minivisor: vCPU %u: %s, at rip 0x%lx in %s mode\n", vcpu->pvm.id, line, vcpu->pvm.rip,
	      pvm_mode_name(pvm_vcpu_mode(&vcpu->pvm)));
	machine_exit(EXIT_GUEST_DIED);
}

/* ------------------------------------------------------------------------
 * Actions: what the engine asks for.
 */

static enum pvm_action do_io(struct pvm_vcpu *pvm)
{
	uint32_t value = 0;

	if (pvm->request.io.write)
		platform_out(pvm->request.io.port, pvm->request.io.size, pvm->request.io.value);
	else
		value = platform_in(pvm->request.io.port, pvm->request.io.size);
	return pvm_complete_io(pvm, value);
}

__attribute__((noreturn))
static void end_by_shutdown(struct vm_vcpu *vcpu)
{
	const struct pvm_request *request = &vcpu->pvm.request;

	guest_died(vcpu, "triple fault, vector %u: %s, 0x%lx", request->shutdown.vector,
		   pvm_shutdown_name(request->shutdown.reason), request->shutdown.address);
}

static enum pvm_action do_rdmsr(struct vm_vcpu *vcpu)
{
	uint64_t value = 0;
	bool ok = platform_rdmsr(vcpu, vcpu->pvm.request.msr.index, &value);

	return pvm_complete_rdmsr(&vcpu->pvm, ok, value);
}

static enum pvm_action do_wrmsr(struct vm_vcpu *vcpu)
{
	bool ok = platform_wrmsr(vcpu, vcpu->pvm.request.msr.index, vcpu->pvm.request.msr.value);

	return pvm_complete_wrmsr(&vcpu->pvm, ok);
}

/* Carry an action out; returns what its completion answers. */
static enum pvm_action act(struct vm_vcpu *vcpu, enum pvm_action action)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;

	switch (action) {
	case PVM_ACT_HYPERCALL:	/* minivisor has none of its own */
		return pvm_complete_hypercall(pvm, (uint64_t)-PVM_KVM_ENOSYS);
	case PVM_ACT_RDMSR:
		return do_rdmsr(vcpu);
	case PVM_ACT_WRMSR:
		return do_wrmsr(vcpu);
	case PVM_ACT_IO:
		return do_io(pvm);
	case PVM_ACT_MMIO:
		guest_died(vcpu, "access to guest-physical 0x%lx, where there is no memory",
			   pvm->request.mmio.gpa.v);
	case PVM_ACT_SHUTDOWN:
		end_by_shutdown(vcpu);
	case PVM_ACT_SYSTEM_EVENT:
		xen_end(pvm->request.system_event.reason);
	case PVM_ACT_ERROR:
		if (pvm->request.error.code == PVM_ENOMEM)
			fail("out of memory for shadow pages");
		fail("vCPU %u: the engine failed with error %d", pvm->id, pvm->request.error.code);
	case PVM_ACT_HALT:
	case PVM_ACT_RETRY:
	case PVM_ACT_RESUME:
		break;
	}
	return PVM_ACT_RESUME;
}

/* ------------------------------------------------------------------------
 * Waiting and waking.
 */

/* The vCPU's CPU may be in a guest (the switcher knows), in HLT, or on its way to
 * look anyway. */
void run_kick(struct vm_vcpu *vcpu)
{
	uint32_t cpu = vcpu->pvm.id;

	if (cpu == this_cpu()->index)
		return;
	pvm_switcher_kick(&vcpu->switcher);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->idle, __ATOMIC_RELAXED))
		apic_kick(cpu);
}

/* STI works one instruction later: what comes before HLT ends it. */
static void halt(struct vm_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->idle, true, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!local_apic_attention(vcpu->apic) && !__atomic_load_n(&vcpu->kicked, __ATOMIC_RELAXED))
		irq_wait();
	__atomic_store_n(&vcpu->idle, false, __ATOMIC_RELAXED);
}

static void on_timer(struct trap_frame *frame)
{
	struct cpu *cpu = this_cpu();

	(void)frame;
	cpu->timer_ticks++;
	apic_eoi();
	if (storm_nmi && cpu->timer_ticks % NMI_EVERY == 0)
		apic_nmi((cpu->index + 1) % cpu_count);
	if (vm.is_xen && cpu->vcpu)
		xen_tick(cpu->vcpu);
	else if (clock_now() >= cpu->timer_deadline) {
		cpu->timer_deadline = ~0ull;
		local_apic_bus_tick(&vm.apics);
	}
}

void run_init(bool nmi)
{
	storm_nmi = nmi;
	trap_set(VECTOR_TIMER, on_timer);
}

/* ------------------------------------------------------------------------
 * The loop.
 */

static void run(struct cpu *cpu, struct vm_vcpu *vcpu, pvm_hpa_t root, struct pvm_guest_exit *exit)
{
	struct pvm_switcher_exit switched;

	pvm_switcher_run(cpu->switcher, &vcpu->switcher, root, &switched);
	pvm_switcher_host_events(cpu->switcher, &switched);
	if (switched.guest.kind == PVM_EXIT_FAILED)
		fail("CPU %u: %s: vector %u, error code 0x%x, at 0x%lx", cpu->index,
		     switched.guest.message, switched.guest.vector, switched.guest.error_code,
		     switched.address);
	*exit = switched.guest;
}

/* The firmware's part of a guest's further CPU: wait in the mailbox for a start address. */
static void wait_for_start(struct vm_vcpu *vcpu)
{
	uint64_t vector;

	while (!boot_mailbox_poll(vm.memory, vcpu->pvm.id, &vector)) {
		apic_timer_at(clock_now() + MAILBOX_POLL_NS);
		irq_wait();
	}
	if (boot_vcpu(&vcpu->pvm, vector, 0))
		fail("vCPU %u: the engine refuses its start state", vcpu->pvm.id);
}

void run_vcpu(struct cpu *cpu)
{
	struct vm_vcpu *vcpu = &vm.vcpu[cpu->index];
	struct pvm_guest_exit exit = { .kind = PVM_EXIT_KICK };
	enum pvm_action action;
	pvm_hpa_t root;

	cpu->vcpu = vcpu;
	if (cpu->index && !vm.is_xen)
		wait_for_start(vcpu);
	pvm_switcher_load(cpu->switcher);
	for (;;) {
		irq_window();
		pvm_switcher_clear_request(&vcpu->switcher);
		__atomic_store_n(&vcpu->kicked, false, __ATOMIC_SEQ_CST);
		action = pvm_handle_exit(&vcpu->pvm, &exit, &root, PVM_MAY_SLEEP);
		if (action == PVM_ACT_RESUME)
			run(cpu, vcpu, root, &exit);
		else if (action == PVM_ACT_HALT)
			halt(vcpu);
		else if (action != PVM_ACT_RETRY)
			pvm_exit_is_action(&exit, act(vcpu, action));
	}
}
