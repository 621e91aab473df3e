/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a CPU does with its vCPU: offer events, enter the guest, look at why it came
 * out, one engine call, what that asks for. Interrupts are off but for one window in
 * each round, and while there is nothing to do.
 *
 * The guest's x87, SSE and AVX state stays in the CPU: minivisor is built without, and
 * no other vCPU ever runs here.
 */
#include <pvm/events.h>
#include <pvm/mmu.h>

#include "apic.h"
#include "boot.h"
#include "decode.h"
#include "memory.h"
#include "print.h"
#include "trap.h"
#include "vm.h"

#define MAILBOX_POLL_NS	500000ull
#define NMI_EVERY	16	/* timer ticks */
#define INSN_INTO	0xce
#define INSN_INT_LENGTH	2	/* INT n */
#define STARVED_MAX	16	/* failed allocations at one place before we give up */

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
 * Exits: one engine call each.
 */

/* As many bytes of the instruction as can be fetched; the rest may lie in a page
 * that is not there, and not be needed. */
static size_t fetch(struct pvm_vcpu *pvm, uint8_t bytes[DECODE_MAX_LENGTH])
{
	struct pvm_fault_result fault;
	pvm_gva_t fault_gva;
	size_t to_page_end = PVM_PAGE_SIZE - (pvm->rip & (PVM_PAGE_SIZE - 1));

	if (!pvm_mmu_read(pvm, pvm_gva(pvm->rip), bytes, DECODE_MAX_LENGTH, PVM_ACCESS_EXEC, &fault,
			  &fault_gva))
		return DECODE_MAX_LENGTH;
	if (to_page_end < DECODE_MAX_LENGTH &&
	    !pvm_mmu_read(pvm, pvm_gva(pvm->rip), bytes, to_page_end, PVM_ACCESS_EXEC, &fault,
			  &fault_gva))
		return to_page_end;
	return 0;
}

/* #GP and #UD: an instruction of the supervisor's that needs us, or the guest's own fault. */
static enum pvm_action handle_trapped(struct pvm_vcpu *pvm, uint8_t vector, uint32_t error_code)
{
	uint8_t bytes[DECODE_MAX_LENGTH];
	struct pvm_insn insn;

	decode_insn(pvm, pvm_vcpu_mode(pvm) != PVM_MODE_USER32, bytes, fetch(pvm, bytes), &insn);
	return pvm_handle_insn(pvm, &insn, vector, error_code, PVM_MAY_SLEEP);
}

static enum pvm_action handle_exception(struct pvm_vcpu *pvm, const struct pvm_switcher_exit *exit)
{
	switch (exit->vector) {
	case PVM_VEC_PF:
		return pvm_handle_page_fault(pvm, pvm_gva(pvm->cr2), exit->error_code, PVM_MAY_SLEEP);
	case PVM_VEC_GP:
	case PVM_VEC_UD:
		return handle_trapped(pvm, exit->vector, exit->error_code);
	case PVM_VEC_DB:
		return pvm_event_debug(pvm, pvm->dr6, PVM_MAY_SLEEP);
	}
	return pvm_event_deliver(pvm, exit->vector, exit->error_code, PVM_MAY_SLEEP);
}

/* The gate of vector 4 is open for INTO, which exists in 32-bit code only; INT 4 has
 * no business there and is what it is without the gate. */
static enum pvm_action handle_software(struct pvm_vcpu *pvm, uint8_t vector)
{
	struct pvm_fault_result fault;
	pvm_gva_t fault_gva;
	uint8_t code = 0;

	if (vector != PVM_VEC_OF || (pvm_vcpu_mode(pvm) == PVM_MODE_USER32 &&
				     !pvm_mmu_read(pvm, pvm_gva(pvm->rip - 1), &code, 1,
						   PVM_ACCESS_EXEC, &fault, &fault_gva) &&
				     code == INSN_INTO))
		return pvm_event_deliver(pvm, vector, 0, PVM_MAY_SLEEP);
	pvm->rip -= INSN_INT_LENGTH;
	return pvm_event_gp(pvm, PVM_VEC_OF << PVM_ERROR_INDEX_SHIFT | PVM_ERROR_IDT, PVM_MAY_SLEEP);
}

static enum pvm_action handle_exit(struct cpu *cpu, struct pvm_vcpu *pvm,
				   const struct pvm_switcher_exit *exit)
{
	/* S12: before anything else; until then no further NMI comes. */
	if (exit->nmi)
		pvm_switcher_host_vector(cpu->switcher, PVM_VEC_NMI);
	if (exit->machine_check)
		pvm_switcher_host_vector(cpu->switcher, PVM_VEC_MC);
	switch (exit->kind) {
	case PVM_EXIT_SYSCALL:
		return pvm_handle_syscall(pvm, PVM_MAY_SLEEP);
	case PVM_EXIT_SYSCALL32:
		return handle_trapped(pvm, PVM_VEC_GP, 0);
	case PVM_EXIT_EXCEPTION:
		return handle_exception(pvm, exit);
	case PVM_EXIT_SOFTWARE:
		return handle_software(pvm, exit->vector);
	case PVM_EXIT_INTERRUPT:
		pvm_switcher_host_vector(cpu->switcher, exit->vector);
		return PVM_ACT_RESUME;
	case PVM_EXIT_ACTION:
		return exit->action;
	case PVM_EXIT_FAULT:
		fail("CPU %u: the switcher failed: vector %u, error code 0x%x, at 0x%lx", cpu->index,
		     exit->vector, exit->error_code, exit->address);
	case PVM_EXIT_KICK:
	case PVM_EXIT_KINDS:
		break;
	}
	return PVM_ACT_RESUME;
}

/* ------------------------------------------------------------------------
 * Actions: what the engine asks for.
 */

/* M11: the guest has lost nothing and tries again, with fewer shadow pages. */
static void reclaim(struct vm_vcpu *vcpu)
{
	struct pvm_mmu_stats stats;

	vcpu->starved = vcpu->starved_rip == vcpu->pvm.rip ? vcpu->starved + 1 : 1;
	vcpu->starved_rip = vcpu->pvm.rip;
	if (vcpu->starved > STARVED_MAX)
		fail("out of memory for shadow pages");
	pvm_mmu_get_stats(&vm.pvm, &stats);
	pvm_mmu_shrink(&vm.pvm, vcpu->starved > 1 ? 0 : stats.shadow_pages / 2);
}

static enum pvm_action do_io(struct pvm_vcpu *pvm)
{
	uint32_t value = 0;

	if (pvm->exit.io.write)
		platform_out(pvm->exit.io.port, pvm->exit.io.size, pvm->exit.io.value);
	else
		value = platform_in(pvm->exit.io.port, pvm->exit.io.size);
	return pvm_complete_io(pvm, value);
}

static void end_by_shutdown(struct vm_vcpu *vcpu)
{
	const struct pvm_exit *exit = &vcpu->pvm.exit;

	guest_died(vcpu, "triple fault, vector %u: %s, 0x%lx", exit->shutdown.vector,
		   pvm_shutdown_name(exit->shutdown.reason), exit->shutdown.address);
}

static void act(struct vm_vcpu *vcpu, enum pvm_action action)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;
	uint64_t value = 0;
	bool ok;

	while (action != PVM_ACT_RESUME) {
		switch (action) {
		case PVM_ACT_HYPERCALL:	/* minivisor has none of its own */
			action = pvm_complete_hypercall(pvm, (uint64_t)-PVM_KVM_ENOSYS);
			break;
		case PVM_ACT_RDMSR:
			ok = platform_rdmsr(vcpu, pvm->exit.msr.index, &value);
			action = pvm_complete_rdmsr(pvm, ok, value, PVM_MAY_SLEEP);
			break;
		case PVM_ACT_WRMSR:
			ok = platform_wrmsr(vcpu, pvm->exit.msr.index, pvm->exit.msr.value);
			action = pvm_complete_wrmsr(pvm, ok, PVM_MAY_SLEEP);
			break;
		case PVM_ACT_IO:
			action = do_io(pvm);
			break;
		case PVM_ACT_MMIO:
			guest_died(vcpu, "access to guest-physical 0x%lx, where there is no memory",
				   pvm->exit.mmio.gpa.v);
		case PVM_ACT_SHUTDOWN:
			end_by_shutdown(vcpu);
			return;
		case PVM_ACT_ERROR:
			if (pvm->exit.error.code != PVM_ENOMEM)
				fail("vCPU %u: the engine failed with error %d", pvm->id,
				     pvm->exit.error.code);
			reclaim(vcpu);
			return;
		case PVM_ACT_HALT:	/* the loop looks at pvm_vcpu::halted */
		case PVM_ACT_RETRY:	/* not under PVM_MAY_SLEEP */
		case PVM_ACT_RESUME:
			return;
		}
	}
}

/* ------------------------------------------------------------------------
 * Events, from the guest's local APIC.
 */

static void offer_interrupt(struct vm_vcpu *vcpu)
{
	struct pvm_vcpu *pvm = &vcpu->pvm;
	bool delivered = false;
	int vector;

	local_apic_set_cr8(vcpu->apic, pvm->cr8);
	vector = local_apic_pending(vcpu->apic);
	if (vector < 0)
		return;
	if (vector >= PVM_VEC_EXCEPTIONS) {
		act(vcpu, pvm_event_interrupt(pvm, (uint8_t)vector, &delivered, PVM_MAY_SLEEP));
	} else if (pvm_event_interrupt_allowed(pvm)) {
		/* The APIC allows vectors from 16; they arrive as the exceptions they name. */
		delivered = true;
		pvm->halted = false;
		act(vcpu, pvm_event_deliver(pvm, (uint8_t)vector, 0, PVM_MAY_SLEEP));
	}
	if (delivered)
		local_apic_accept(vcpu->apic, (uint8_t)vector);
}

static void offer_events(struct vm_vcpu *vcpu)
{
	if (!local_apic_attention(vcpu->apic))
		return;
	if (local_apic_take_nmi(vcpu->apic))
		act(vcpu, pvm_event_nmi(&vcpu->pvm, PVM_MAY_SLEEP));
	offer_interrupt(vcpu);
}

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
	if (!local_apic_attention(vcpu->apic))
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
	if (clock_now() >= cpu->timer_deadline) {
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

static bool load_root(struct vm_vcpu *vcpu, pvm_hpa_t *root)
{
	int error = pvm_mmu_load(&vcpu->pvm, root, PVM_MAY_SLEEP);

	if (error == PVM_EFAULT)
		act(vcpu, pvm_event_shutdown(&vcpu->pvm, PVM_SHUTDOWN_BAD_CR3, 0xff, vcpu->pvm.cr3));
	else if (error == PVM_ENOMEM)
		reclaim(vcpu);
	else if (error)
		fail("vCPU %u: no shadow root: error %d", vcpu->pvm.id, error);
	return !error;
}

static void enter(struct cpu *cpu, struct vm_vcpu *vcpu)
{
	struct pvm_switcher_exit exit;
	pvm_hpa_t root;

	if (!load_root(vcpu, &root))
		return;
	pvm_switcher_run(cpu->switcher, &vcpu->switcher, root, &exit);
	act(vcpu, handle_exit(cpu, &vcpu->pvm, &exit));
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

	cpu->vcpu = vcpu;
	if (cpu->index)
		wait_for_start(vcpu);
	pvm_switcher_load(cpu->switcher);
	for (;;) {
		irq_window();
		pvm_switcher_clear_request(&vcpu->switcher);
		offer_events(vcpu);
		if (vcpu->pvm.halted)
			halt(vcpu);
		else
			enter(cpu, vcpu);
	}
}
