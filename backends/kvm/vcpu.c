// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU. An entry is one engine call that must not sleep, the switcher, and the host's own
 * handlers of what ended it, with interrupts off; what asks for more is handled by the same
 * engine call with sleeping allowed, and KVM's own functions carry out what comes back.
 *
 * The switcher is loaded for the time of pvm_kvm_run() alone: Linux may run anything after it.
 */
#include <linux/sched.h>
#include <asm/cpu.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/mce.h>

#include "kvm_pvm.h"

#define REAL_MODE_CS	0xf000
#define DR6_CAUSES	(PVM_DR6_BP_MASK | PVM_DR6_BD | PVM_DR6_BS | PVM_DR6_BT)
#define REAL_MODE_BASE	0xffff0000u

/* ------------------------------------------------------------------------
 * Life.
 */

/* Kernels before 7.3 look whether an id is taken only after they have asked for the vCPU. With the lock. */
static bool has_vcpu(const struct pvm_kvm *vm, u32 id)
{
	const struct pvm_switcher_vcpu *other;

	for (other = vm->switcher.vcpus; other; other = other->next)
		if (other->vcpu->id == id)
			return true;
	return false;
}

/* Of the engine and the switcher. */
static int refused(const struct pvm_kvm *vm, int id, int error)
{
	u32 end = pvm_kvm_is_xen(vm) ? vm->pvm.config.xen.vcpus : min(KVM_MAX_VCPUS, PVM_VCPU_ID_MAX + 1);

	if (error == -EINVAL)
		pr_err_ratelimited("%d: no vCPU %d: those of this VM have numbers below %u\n",
				   task_tgid_nr(current), id, end);
	return error;
}

int pvm_kvm_vcpu_create(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm *vm = to_pvm_kvm(vcpu->kvm);
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	int error = pvm_kvm_apic_check(vcpu);

	if (error)
		return error;
	/* KVM has no call by which a vendor could write-protect what a ring has told of. */
	if (vcpu->kvm->dirty_ring_size) {
		pr_err_ratelimited("no dirty rings for PVM guests: use KVM_GET_DIRTY_LOG\n");
		return -EOPNOTSUPP;
	}
	mutex_lock(&vm->lock);
	error = has_vcpu(vm, vcpu->vcpu_id) ? -EEXIST : pvm_vcpu_init(&v->pvm, &vm->pvm, vcpu->vcpu_id);
	if (error) {
		mutex_unlock(&vm->lock);
		return refused(vm, vcpu->vcpu_id, error);
	}
	v->cr4_always = v->pvm.cr4;
	v->pvm.backend = v;
	v->pvm.preemptible = true;	/* but in pvm_kvm_run() */
	spin_lock(&vm->memory.mmu_lock);	/* a flush goes through the list */
	error = pvm_switcher_vcpu_init(&v->switcher, &vm->switcher, &v->pvm);
	spin_unlock(&vm->memory.mmu_lock);
	mutex_unlock(&vm->lock);
	if (error) {
		pvm_vcpu_destroy(&v->pvm);
		return refused(vm, vcpu->vcpu_id, error);
	}
	pvm_kvm_xen_vcpu_init(v);
	v->switcher.serve = true;
	v->is_made = true;
	return 0;
}

void pvm_kvm_vcpu_free(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm *vm = to_pvm_kvm(vcpu->kvm);
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (!v->is_made)
		return;
	v->is_made = false;
	pvm_kvm_xen_vcpu_destroy(v);
	mutex_lock(&vm->lock);
	spin_lock(&vm->memory.mmu_lock);
	pvm_switcher_vcpu_destroy(&v->switcher);
	spin_unlock(&vm->memory.mmu_lock);
	mutex_unlock(&vm->lock);
	pvm_vcpu_destroy(&v->pvm);
}

static void reset_segment(struct pvm_kvm_vcpu *v, int seg, u8 type)
{
	v->seg[seg] = (struct kvm_segment){ .limit = 0xffff, .type = type, .present = 1, .s = 1 };
}

/* As a CPU is reset: real mode. 64-bit mode is set by user space, or reached by the guest. */
void pvm_kvm_vcpu_reset(struct kvm_vcpu *vcpu, bool init_event)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	int seg;

	pvm_vcpu_reset(&v->pvm);
	for (seg = VCPU_SREG_ES; seg <= VCPU_SREG_GS; seg++)
		reset_segment(v, seg, 0x3);
	v->seg[VCPU_SREG_CS].selector = REAL_MODE_CS;
	v->seg[VCPU_SREG_CS].base = REAL_MODE_BASE;
	v->seg[VCPU_SREG_CS].type = 0xb;
	v->seg[VCPU_SREG_TR] = (struct kvm_segment){ .limit = 0xffff, .type = 0xb, .present = 1 };
	v->seg[VCPU_SREG_LDTR] = (struct kvm_segment){ .limit = 0xffff, .type = 0x2, .present = 1 };
	v->idt = v->gdt = (struct desc_ptr){ .size = 0xffff };
	v->rflags = X86_EFLAGS_FIXED;
	v->late_if = IF_IS_NOT_LATE;
	v->shadow = 0;
	v->early_star = 0;
	vcpu->arch.halt_request = 0;
	v->exit.kind = PVM_EXIT_KICK;
	v->action = PVM_ACT_RESUME;
	v->is_halted = v->perf_refuses = false;
	v->acts = v->wants_irq = v->wants_nmi = false;
	v->is_pvm = false;
	v->is_new = true;
}

/* ------------------------------------------------------------------------
 * Entry.
 */

/* The vCPU cannot go on: user space is told, and the log has the words. Never KVM_INTERNAL_ERROR_EMULATION:
 * in user mode QEMU takes that for a fault of the guest's program, and runs it again without end. */
int pvm_kvm_fail(struct pvm_kvm_vcpu *v, const char *what, const char *detail)
{
	struct kvm_run *run = v->vcpu.run;

	pr_err_ratelimited("%d: vCPU %d: %s%s, at rip 0x%llx\n", task_tgid_nr(current), v->vcpu.vcpu_id,
			   what, detail, v->pvm.rip);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	run->internal.ndata = 1;
	run->internal.data[0] = v->pvm.rip;
	return 0;
}

/*
 * A PVM guest runs on the host's XCR0 and XSS, as the engine has it, whatever user space has
 * set: nothing is loaded for it. So the host's handlers, which run before KVM would load the
 * host's again and may use the FPU (kernel_fpu_begin() in a softirq), save all there is.
 */
static void set_xsave_state(struct kvm_vcpu *vcpu, u64 xcr0, u64 xss)
{
	vcpu->arch.xcr0 = xcr0;
	vcpu->arch.ia32_xss = xss;
}

/* M10: the slot that the PVCS was in is no more; what is there now, if anything, is its page. KVM waits for
 * this SRCU before a slot is gone. */
int pvm_kvm_renew_pvcs(struct pvm_kvm_vcpu *v)
{
	int idx, error = PVM_OK;

	if (likely(!READ_ONCE(v->pvcs_is_gone) && !pvm_kvm_is_untold(v)))
		return PVM_OK;
	idx = srcu_read_lock(&v->vcpu.kvm->srcu);
	if (pvm_kvm_look_untold(v))
		error = PVM_ENOMEM;
	else if (xchg(&v->pvcs_is_gone, false))
		error = pvm_pvcs_renew(&v->pvm);
	if (error == PVM_EAGAIN || error == PVM_ENOMEM || error == PVM_EFAULT) {
		WRITE_ONCE(v->pvcs_is_gone, true);	/* M11: it is still to be done */
	} else {
		error = PVM_OK;		/* also where there is none any more */
		if (v->late_if != IF_IS_NOT_LATE)
			pvm_event_set_if(&v->pvm, v->late_if == IF_IS_LATE_SET);
		v->late_if = IF_IS_NOT_LATE;
	}
	srcu_read_unlock(&v->vcpu.kvm->srcu, idx);
	return error;
}

void pvm_kvm_set_if(struct pvm_kvm_vcpu *v, bool on)
{
	struct kvm *kvm = v->vcpu.kvm;
	int idx = srcu_read_lock(&kvm->srcu);

	if (pvm_kvm_look_untold(v) ||
	    (READ_ONCE(v->pvcs_is_gone) &&
	     kvm_is_error_hva(gfn_to_hva(kvm, gpa_to_gfn(v->pvm.msr.vcpu_struct)))) ||
	    pvm_kvm_renew_pvcs(v))
		v->late_if = on ? IF_IS_LATE_SET : IF_IS_LATE_CLEAR;
	else
		pvm_event_set_if(&v->pvm, on);
	srcu_read_unlock(&kvm->srcu, idx);
}

int pvm_kvm_pre_run(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	const char *field;

#ifndef PVM_KVM_HAS_XSAVE_STATE	/* then KVM loads it, before pvm_kvm_run() */
	if (v->is_pvm)
		set_xsave_state(vcpu, pvm_kvm_host_xcr0, pvm_kvm_host_xss);
#endif
	pvm_kvm_stats_update(vcpu);
	if (!pvm_kvm_xen_is_complete(to_pvm_kvm(vcpu->kvm))) {
		pr_err_ratelimited("%d: vCPU %d: not all vCPUs of its Xen PV guest are there\n",
				   task_tgid_nr(current), vcpu->vcpu_id);
		return -EINVAL;
	}
	if (!v->is_pvm || !v->is_new || pvm_kvm_renew_pvcs(v))
		return 1;	/* in the latter case pvm_kvm_handle_exit() comes to it again */
	field = pvm_kvm_take_over(v);
	if (!field)
		return 1;
	pr_err_ratelimited("%d: vCPU %d: its registers are none of a PVM guest: %s\n", task_tgid_nr(current),
			   vcpu->vcpu_id, field);
	return -EINVAL;
}

/*
 * The host's handlers. A machine check is told as one of user mode: the guest's code is no
 * kernel code, and Linux ends the process, not the host, for memory that it can do
 * without. KVM's other vendors do the same.
 */
static void host_events(struct pvm_switcher_cpu *cpu, struct pvm_switcher_exit *out)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	if (unlikely(out->machine_check))	/* first: other CPUs may wait for it */
		do_machine_check(&regs);
#endif
	out->machine_check = false;
	pvm_switcher_host_events(cpu, out);
}

/* As the tools have it, an interrupt's handler is part of handling the exit. Events show KVM's registers. */
static void enter(struct pvm_kvm_vcpu *v, pvm_hpa_t root)
{
	struct pvm_switcher_cpu *cpu = pvm_kvm_this_cpu();
	struct pvm_switcher_exit out;

	if (unlikely(!pvm_kvm_perf_in(cpu))) {
		v->exit.kind = PVM_EXIT_KICK;
		v->perf_refuses = true;
		return;
	}
	if (trace_kvm_entry_enabled()) {
		pvm_kvm_registers_out(v);
		trace_kvm_entry(&v->vcpu, false);
	}
	pvm_switcher_load(cpu);
	pvm_switcher_run(cpu, &v->switcher, root, &out);
	pvm_switcher_unload(cpu);
	v->awaited = pvm_kvm_take_awaited();
	v->exit = out.guest;
	v->exit_by_nmi = out.nmi;
	if (trace_kvm_exit_enabled()) {
		pvm_kvm_registers_out(v);
		trace_kvm_exit(&v->vcpu, pvm_kvm_exit_isa());
	}
	host_events(cpu, &out);
}

/* KVM was told that it halts, and says that it does not any more: an event has come, or user
 * space, or another vCPU's KVM_HC_KICK_CPU, wants it to go on. */
static void go_on_from_halt(struct pvm_kvm_vcpu *v)
{
	if (!v->is_halted || v->vcpu.arch.mp_state != KVM_MP_STATE_RUNNABLE)
		return;
	v->is_halted = false;
	if (!pvm_kvm_is_xen(to_pvm_kvm(v->vcpu.kvm)))	/* which wakes itself */
		v->pvm.halted = false;
}

/* Before the engine carries an instruction out. Behind what a port or a hypercall of KVM's has answered
 * KVM itself sees to TF, the guest's as well as user space's. */
static void who_steps(struct pvm_kvm_vcpu *v)
{
	v->pvm.host_steps = pvm_kvm_is_stepped(v) || v->exit.kind == PVM_EXIT_ACTION;
	v->pvm.stepped = false;
}

/* Interrupts are off. */
enum exit_fastpath_completion pvm_kvm_run(struct kvm_vcpu *vcpu, u64 run_flags)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	u64 __maybe_unused xcr0 = vcpu->arch.xcr0, xss = vcpu->arch.ia32_xss;
	enum pvm_action action;
	pvm_hpa_t root;

	pvm_kvm_boot_is_injected(vcpu);
	v->has_no_cpu = !pvm_kvm_this_cpu();
	if (v->has_no_cpu || !v->is_pvm || v->is_new || v->acts || v->exit.kind == PVM_EXIT_FAILED ||
	    READ_ONCE(v->pvcs_is_gone) || READ_ONCE(to_pvm_kvm(vcpu->kvm)->xen.is_lost) ||
	    pvm_kvm_is_untold(v))
		return EXIT_FASTPATH_NONE;	/* pvm_kvm_handle_exit() has work */
#ifndef PVM_KVM_HAS_XSAVE_STATE
	if (vcpu->arch.xcr0 != pvm_kvm_host_xcr0 || vcpu->arch.ia32_xss != pvm_kvm_host_xss)
		return EXIT_FASTPATH_NONE;	/* KVM has loaded another one, and loads the host's now */
#endif
	v->pvm.preemptible = false;
	pvm_kvm_registers_in(v);
	if (unlikely(v->pvm.halted))
		go_on_from_halt(v);
	pvm_switcher_clear_request(&v->switcher);
	action = pvm_kvm_deliver_exception(v);
	if (action == PVM_ACT_RESUME) {
		who_steps(v);
		action = pvm_handle_exit(&v->pvm, &v->exit, &root, PVM_NO_SLEEP);
		v->pvm.host_steps = false;
	}
	/* An exception that had to wait comes in the next turn, before any instruction. */
	if (action == PVM_ACT_RESUME && vcpu->arch.exception.injected)
		action = PVM_ACT_RETRY;
	if (action == PVM_ACT_RESUME && !(run_flags & KVM_RUN_FORCE_IMMEDIATE_EXIT)) {
#ifdef PVM_KVM_HAS_XSAVE_STATE
		set_xsave_state(vcpu, pvm_kvm_host_xcr0, pvm_kvm_host_xss);
#endif
		kvm_load_guest_xsave_state(vcpu);
		pvm_kvm_debug_in(v);
		enter(v, root);
		pvm_kvm_debug_out(v);
		kvm_load_host_xsave_state(vcpu);
#ifdef PVM_KVM_HAS_XSAVE_STATE
		set_xsave_state(vcpu, xcr0, xss);
#else	/* then KVM takes the guest's PKRU from the CPU, and loads the host's */
		if ((vcpu->arch.xcr0 & XFEATURE_MASK_PKRU) || (v->pvm.cr4 & X86_CR4_PKE))
			write_pkru(v->pvm.pkru);
#endif
	} else if (action != PVM_ACT_RESUME && action != PVM_ACT_RETRY) {
		v->action = action;
		v->acts = true;
	}
	pvm_kvm_registers_out(v);
	v->pvm.preemptible = true;
	return EXIT_FASTPATH_NONE;
}

/* ------------------------------------------------------------------------
 * Exit.
 */

/* The engine, the switcher or we may have written to the PVCS, and no fault has told of it. */
void pvm_kvm_log_pvcs(struct pvm_kvm_vcpu *v)
{
	struct kvm *kvm = v->vcpu.kvm;
	int idx;

	if (!v->pvm.pvcs)
		return;
	idx = srcu_read_lock(&kvm->srcu);
	kvm_vcpu_mark_page_dirty(&v->vcpu, v->pvm.msr.vcpu_struct >> PAGE_SHIFT);
	if (pvm_kvm_is_xen(to_pvm_kvm(kvm)))
		kvm_vcpu_mark_page_dirty(&v->vcpu, v->pvm.vm->config.xen.shared_info.v);
	srcu_read_unlock(&kvm->srcu, idx);
}

/* #AC without the guest's having asked for it: the host looks for locks across cache lines. What it does
 * to a process that has one, it does to the VMM; after a warning the guest may go on. False: it may not. */
static bool split_lock(struct pvm_kvm_vcpu *v)
{
	struct kvm_run *run = v->vcpu.run;

	/* The host also looks for locks of the whole bus: a trap, whose handler is not exported. */
	if (v->exit.kind == PVM_EXIT_EXCEPTION && v->exit.vector == PVM_VEC_DB &&
	    boot_cpu_has(X86_FEATURE_BUS_LOCK_DETECT) && !(v->pvm.dr6 & (DR_BUS_LOCK | DR6_CAUSES))) {
		v->exit.kind = PVM_EXIT_KICK;
		return true;
	}

	if (v->exit.kind != PVM_EXIT_EXCEPTION || v->exit.vector != PVM_VEC_AC ||
	    (v->pvm.rflags & X86_EFLAGS_AC))
		return true;
	v->exit.kind = PVM_EXIT_KICK;	/* it comes again */
	if (handle_guest_split_lock(v->pvm.rip))
		return true;
	run->exit_reason = KVM_EXIT_EXCEPTION;
	run->ex.exception = PVM_VEC_AC;
	run->ex.error_code = v->exit.error_code;
	return false;
}

static int handle_exit(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	enum pvm_action action = v->action;
	bool steps = false, calls, handled;
	pvm_hpa_t root;
	u64 rip;
	int ret;

	if (!v->is_pvm && pvm_kvm_is_xen(to_pvm_kvm(vcpu->kvm)))
		return pvm_kvm_fail(v, "a Xen PV guest has 64-bit mode only", "");
	if (!v->is_pvm) {
		if (v->was_pvm)
			pvm_kvm_leave_pvm(v);
		return pvm_kvm_boot_run(vcpu);
	}
	if (v->is_new) {
		ret = pvm_kvm_pre_run(vcpu);
#ifndef PVM_KVM_HAS_PRE_RUN	/* then these are likely to be what user space has set */
		if (ret < 0)
			return ret;
#endif
		return ret > 0 ? 1 : pvm_kvm_fail(v, "registers of no PVM guest", "");
	}
	if (v->perf_refuses) {	/* now; it may want less when KVM_RUN is tried again */
		v->perf_refuses = false;
		return pvm_kvm_fail(v, "perf wants more MSRs changed than the switcher has places for", "");
	}
	if (v->has_no_cpu)	/* 6.1 leaves a CPU online that pvm_kvm_cpu_enable() has refused */
		return pvm_kvm_fail(v, "it was on a CPU that cannot run guests", "");
	if (READ_ONCE(to_pvm_kvm(vcpu->kvm)->xen.is_lost))
		return pvm_kvm_fail(v, "the memory of its Xen PV guest's shared_info is gone", "");
	if (v->exit.kind == PVM_EXIT_FAILED)	/* for good: the engine would forget it */
		return pvm_kvm_fail(v, "the switcher failed: ", v->exit.message);
	if (!v->acts) {
		pvm_kvm_registers_in(v);
		if (pvm_kvm_debug_exit(v) || !split_lock(v))
			return 0;
		if (v->exit.kind == PVM_EXIT_EXCEPTION && v->exit.vector == PVM_VEC_PF)
			trace_kvm_page_fault(vcpu, v->exit.gva.v, v->exit.error_code);
		steps = pvm_kvm_is_stepped(v);
		calls = steps && v->exit.kind == PVM_EXIT_SYSCALL && !v->pvm.user_mode;
		who_steps(v);
		rip = v->pvm.rip;
		action = pvm_handle_exit(&v->pvm, &v->exit, &root, PVM_MAY_SLEEP);
		v->pvm.host_steps = false;
		/* What is to come again was put back; else what had to wait is the next root. */
		handled = action == PVM_ACT_RESUME || action == PVM_ACT_HALT ||
			  (action == PVM_ACT_RETRY && v->exit.kind == PVM_EXIT_KICK &&
			   v->pvm.rip != rip - PVM_SYSCALL_LENGTH);
		steps = steps && (calls || v->pvm.stepped) && handled;
		if (steps)	/* a return has loaded others */
			v->pvm.rflags |= X86_EFLAGS_TF;
		pvm_kvm_registers_out(v);
	}
	v->acts = false;
	pvm_kvm_ask_for_events(v);
	ret = pvm_kvm_act(v, action);
	if (steps && ret > 0)
		ret = pvm_kvm_stepped(v);
	if (ret <= 0)
		pvm_kvm_stats_update(vcpu);
	return ret;
}

int pvm_kvm_handle_exit(struct kvm_vcpu *vcpu, enum exit_fastpath_completion fastpath)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	int ret;

	if (unlikely(v->awaited)) {
		local_irq_disable();	/* it sleeps with them on */
		kvm_async_pf_task_wait_schedule(v->awaited);
		local_irq_enable();
		v->awaited = 0;
	}
	pvm_kvm_look_at_slots(to_pvm_kvm(vcpu->kvm));
	ret = pvm_kvm_renew_pvcs(v);
	if (unlikely(ret))	/* KVM's loop looks for signals */
		return ret == PVM_EAGAIN ? 1 : ret == PVM_ENOMEM ? -ENOMEM : -EFAULT;
	ret = handle_exit(vcpu);
	pvm_kvm_log_pvcs(v);
#ifndef PVM_KVM_HAS_XSAVE_STATE	/* KVM's emulator may have carried out an XSETBV, and KVM would load that */
	if (v->is_pvm)
		set_xsave_state(vcpu, pvm_kvm_host_xcr0, pvm_kvm_host_xss);
#endif
	return ret;
}
