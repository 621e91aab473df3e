// SPDX-License-Identifier: GPL-2.0
/*
 * What the engine asks for. Each action is KVM's own function, which finds its operands where the
 * instruction has them, and says when it is done: pvm_kvm_skip_instruction(),
 * pvm_kvm_complete_msr(). That may be after user space has been asked, which may have set
 * registers meanwhile.
 */
#include <linux/sched.h>

#include <pvm/xen.h>

#include "kvm_pvm.h"

static int do_io(struct pvm_kvm_vcpu *v)
{
	const struct pvm_request *request = &v->pvm.request;

	if (request->io.write)	/* OUTS' comes from memory */
		v->vcpu.arch.regs[VCPU_REGS_RAX] = request->io.value;
	return kvm_fast_pio(&v->vcpu, request->io.size, request->io.port, !request->io.write);
}

static int do_msr(struct pvm_kvm_vcpu *v, bool write)
{
	unsigned long *regs = v->vcpu.arch.regs;
	u64 value = v->pvm.request.msr.value;

	regs[VCPU_REGS_RCX] = v->pvm.request.msr.index;
	if (!write)
		return kvm_emulate_rdmsr(&v->vcpu);
	regs[VCPU_REGS_RAX] = (u32)value;
	regs[VCPU_REGS_RDX] = value >> 32;
	return kvm_emulate_wrmsr(&v->vcpu);
}

static int do_hypercall(struct pvm_kvm_vcpu *v)
{
	unsigned long *regs = v->vcpu.arch.regs;

	regs[VCPU_REGS_RCX] = v->pvm.request.hypercall.arg[1];
	return kvm_emulate_hypercall(&v->vcpu);
}

/*
 * KVM's emulator reads the instruction again, and carries out what it finds: another thread of a user
 * program may have written there since the CPU met a load. The ways into the kernel that the emulator
 * knows, SYSCALL and SYSENTER, are not this ABI's: they leave the user's stack, GS base and table in the
 * kernel's hands. So nothing has happened, and the CPU looks for itself.
 */
static int do_mmio(struct pvm_kvm_vcpu *v)
{
	u16 cs = v->pvm.seg[PVM_CS], ss = v->pvm.seg[PVM_SS];
	bool user_mode = v->pvm.user_mode;
	int ret = pvm_kvm_emulate(&v->vcpu);

	if (!user_mode || !v->is_new)
		return ret;
	if (v->is_pvm && v->seg[VCPU_SREG_SS].dpl == 3 && v->seg[VCPU_SREG_CS].selector == cs &&
	    v->seg[VCPU_SREG_SS].selector == ss)
		return ret;
	/* Nor is what it has left for user space: a far CALL may have pushed to a device. */
	v->vcpu.mmio_needed = 0;
	v->vcpu.arch.complete_userspace_io = NULL;
	v->vcpu.arch.exception.pending = false;
	v->is_new = false;
	v->is_pvm = true;
	pvm_kvm_registers_out(v);
	pvm_mmu_flush_all(&v->pvm);
	return 1;
}

/* KVM makes the exit of the request; nothing between writes to this part of struct kvm_run. */
static int do_shutdown(struct pvm_kvm_vcpu *v)
{
	const struct pvm_request *request = &v->pvm.request;
	struct pvm_kvm_shutdown *shutdown = (void *)&v->vcpu.run->internal;

	*shutdown = (struct pvm_kvm_shutdown){
		.signature = PVM_KVM_SHUTDOWN_SIGNATURE, .reason = request->shutdown.reason,
		.vector = request->shutdown.vector, .address = request->shutdown.address,
	};
	pr_info_ratelimited("%d: vCPU %d: triple fault: %s, 0x%llx, vector %u\n",
			    task_tgid_nr(current), v->vcpu.vcpu_id,
			    pvm_shutdown_name(request->shutdown.reason), request->shutdown.address,
			    request->shutdown.vector);
	kvm_make_request(KVM_REQ_TRIPLE_FAULT, &v->vcpu);
	return 1;
}

/* The guest has ended itself: user space is told in KVM's own words. */
static int do_system_event(struct pvm_kvm_vcpu *v)
{
	static const u32 types[] = {
		[PVM_XEN_SHUTDOWN_POWEROFF] = KVM_SYSTEM_EVENT_SHUTDOWN,
		[PVM_XEN_SHUTDOWN_REBOOT] = KVM_SYSTEM_EVENT_RESET,
		[PVM_XEN_SHUTDOWN_SUSPEND] = KVM_SYSTEM_EVENT_SUSPEND,
		[PVM_XEN_SHUTDOWN_CRASH] = KVM_SYSTEM_EVENT_CRASH,
		[PVM_XEN_SHUTDOWN_WATCHDOG] = KVM_SYSTEM_EVENT_CRASH,
		[PVM_XEN_SHUTDOWN_SOFT_RESET] = KVM_SYSTEM_EVENT_RESET,
	};
	struct kvm_run *run = v->vcpu.run;

	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = types[v->pvm.request.system_event.reason];
	run->system_event.ndata = 1;
	run->system_event.data[0] = v->pvm.request.system_event.reason;
	return 0;
}

static int carry_out(struct pvm_kvm_vcpu *v, enum pvm_action action)
{
	char code[16];

	v->action = action;
	switch (action) {
	case PVM_ACT_RESUME:
	case PVM_ACT_RETRY:
		return 1;
	case PVM_ACT_HALT:
		v->is_halted = true;
		return kvm_emulate_halt_noskip(&v->vcpu);
	case PVM_ACT_IO:
		return do_io(v);
	case PVM_ACT_RDMSR:
		return do_msr(v, false);
	case PVM_ACT_WRMSR:
		return do_msr(v, true);
	case PVM_ACT_HYPERCALL:
		return do_hypercall(v);
	case PVM_ACT_MMIO:
		return do_mmio(v);
	case PVM_ACT_SHUTDOWN:
		return do_shutdown(v);
	case PVM_ACT_SYSTEM_EVENT:
		return do_system_event(v);
	case PVM_ACT_ERROR:
		break;
	}
	/* The guest has not moved: KVM_RUN may be tried again. */
	if (v->pvm.request.error.code == PVM_EFAULT)
		return -EFAULT;
	if (v->pvm.request.error.code == PVM_ENOMEM)
		return -ENOMEM;
	snprintf(code, sizeof(code), "%d", v->pvm.request.error.code);
	return pvm_kvm_fail(v, "the engine failed with error ", code);
}

/* Actions for which KVM's copies of registers are operands, and are as they were until the answer. */
static bool has_operands(enum pvm_action action)
{
	return action == PVM_ACT_IO || action == PVM_ACT_RDMSR || action == PVM_ACT_WRMSR ||
	       action == PVM_ACT_HYPERCALL;
}

int pvm_kvm_act(struct pvm_kvm_vcpu *v, enum pvm_action action)
{
	int ret;

	v->is_acting = true;
	ret = carry_out(v, action);
	v->is_acting = false;
	if (ret == 0 && has_operands(v->action))
		pvm_kvm_general_out(v);
	return ret;
}

/* ------------------------------------------------------------------------
 * The answer.
 */

/* User space has answered, and may have set registers before. */
static void take_in(struct pvm_kvm_vcpu *v)
{
	if (!v->is_acting)
		pvm_kvm_registers_in(v);
}

/* The answer is in, but for memory that it needs: that is waited for here, because user space may be
 * next, and look at registers. What is left then waits on, also through pvm_kvm_take_over(); new
 * registers are not the ones that an event would be delivered to. */
static void settle(struct pvm_kvm_vcpu *v, enum pvm_action answer)
{
	enum pvm_action action;
	pvm_hpa_t root;

	pvm_exit_is_action(&v->exit, answer);
	if (answer != PVM_ACT_RETRY || v->is_new)
		return;
	action = pvm_handle_exit(&v->pvm, &v->exit, &root, PVM_MAY_SLEEP);
	if (action == PVM_ACT_RESUME || action == PVM_ACT_RETRY || action == PVM_ACT_ERROR)
		return;
	v->action = action;
	v->acts = true;
}

/* Registers with the answer, to KVM's copies. Where user space has set more than general registers, the
 * rest there is newer than the engine's. */
static void answer_out(struct pvm_kvm_vcpu *v)
{
	pvm_kvm_log_pvcs(v);
	if (v->is_new)
		pvm_kvm_general_out(v);
	else
		pvm_kvm_registers_out(v);
}

/* KVM has the answer of a port in RAX, as IN wants it; INS leaves RAX alone. */
static void restore_rax(struct pvm_kvm_vcpu *v, u64 rax)
{
	unsigned int bits = 8 * v->pvm.request.io.size;
	u64 mask = bits < 32 ? (1ull << bits) - 1 : ~0ull;

	v->pvm.gpr[PVM_RAX] = (v->pvm.gpr[PVM_RAX] & ~mask) | (rax & mask);
}

int pvm_kvm_skip_instruction(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	uint64_t value = vcpu->arch.regs[VCPU_REGS_RAX], rax = v->pvm.gpr[PVM_RAX];
	enum pvm_action action = v->action;

	if (unlikely(pvm_kvm_is_untold(v)))
		pvm_kvm_look_untold(v);		/* an error is KVM_RUN's, before the next entry */
	v->action = PVM_ACT_RESUME;
	if (has_operands(action))
		take_in(v);
	if (action == PVM_ACT_IO && v->pvm.request.io.string && !v->pvm.request.io.write)
		restore_rax(v, rax);
	v->pvm.host_steps = true;	/* who_steps() */
	if (action == PVM_ACT_IO)
		settle(v, pvm_complete_io(&v->pvm, value));
	else if (action == PVM_ACT_HYPERCALL)
		settle(v, pvm_complete_hypercall(&v->pvm, value));
	v->pvm.host_steps = false;
	if (action == PVM_ACT_IO || action == PVM_ACT_HYPERCALL)
		answer_out(v);
	return 1;
}

int pvm_kvm_complete_msr(struct kvm_vcpu *vcpu, int error)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	const unsigned long *regs = vcpu->arch.regs;
	u64 value = (u32)regs[VCPU_REGS_RAX] | (u64)regs[VCPU_REGS_RDX] << 32;
	u64 rdx = v->pvm.gpr[PVM_RDX];
	enum pvm_action action = v->action;
	int ret = 1;

	v->action = PVM_ACT_RESUME;
	take_in(v);
	v->pvm.host_steps = pvm_kvm_is_stepped(v);
	v->pvm.stepped = false;
	if (action == PVM_ACT_RDMSR)	/* it is half of KVM's answer; the hypercall's is in RAX alone */
		v->pvm.gpr[PVM_RDX] = rdx;
	if (action == PVM_ACT_RDMSR)
		settle(v, pvm_complete_rdmsr(&v->pvm, !error, value));
	else if (action == PVM_ACT_WRMSR)
		settle(v, pvm_complete_wrmsr(&v->pvm, !error));
	v->pvm.host_steps = false;
	if (v->pvm.stepped)
		ret = pvm_kvm_stepped(v);
	answer_out(v);
	return ret;
}
