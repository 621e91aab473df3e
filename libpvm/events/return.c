/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The synthetic instructions that end an event: EVENT_RETURN_USER and
 * EVENT_RETURN_SUPERVISOR. What the guest asks to return to is read once into
 * a local copy (M6), checked there, and only then loaded.
 *
 * spec: Synthetic Instruction: EVENT_RETURN_USER, EVENT_RETURN_SUPERVISOR
 */
#include <pvm/events.h>
#include <pvm/mmu.h>

#include "events/mode.h"
#include "events/resume.h"

#define RIP32_MAX	0xffffffffull	/* limit of a 32-bit code segment */

/* The instruction cannot be executed: put RIP back to it, as a fault has it. */
static void undo_syscall(struct pvm_vcpu *vcpu)
{
	vcpu->rip -= PVM_SYSCALL_LENGTH;
}

/* A return is done: NMIs are unmasked, and one that waited comes now. */
static enum pvm_action finish_return(struct pvm_vcpu *vcpu)
{
	vcpu->nmi_masked = false;
	if (pvm_unlikely(vcpu->nmi_pending))
		return pvm_event_nmi(vcpu);
	return PVM_ACT_RESUME;
}

static bool user_context_valid(const struct pvm_vcpu *vcpu, const struct pvm_user_context *user)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	/* S4: the 64-bit pair, or the 32-bit compatible pair; nothing else. */
	if (user->ss != config->user_ds)
		return false;
	if (user->cs == config->user_cs)
		return pvm_rip_runnable(vcpu, user->rip);	/* S1 */
	return user->cs == config->user32_cs && user->rip <= RIP32_MAX;
}

enum pvm_action pvm_event_return_user(struct pvm_vcpu *vcpu)
{
	const struct pvm_dialect *d = pvm_dialect(vcpu);
	struct pvm_user_context user;

	if (!vcpu->pvcs) {
		undo_syscall(vcpu);
		return pvm_event_gp(vcpu, 0);
	}
	user.rip = pvm_pvcs_get64(vcpu, d->rip);
	user.rsp = d->switches_rsp ? pvm_pvcs_get64(vcpu, d->rsp) : 0;
	user.rflags = pvm_rflags_sane(pvm_pvcs_get32(vcpu, d->eflags));		/* S2 */
	user.rcx = pvm_pvcs_get64(vcpu, d->rcx);
	user.r11 = pvm_pvcs_get64(vcpu, d->r11);
	user.gs_base = pvm_sign_extend_host(vcpu, pvm_pvcs_get64(vcpu, d->user_gsbase));
	user.pkru = pvm_pvcs_get32(vcpu, d->pkru);
	user.cs = pvm_pvcs_get16(vcpu, d->user_cs);
	user.ss = pvm_pvcs_get16(vcpu, d->user_ss);
	if (!user_context_valid(vcpu, &user)) {
		undo_syscall(vcpu);
		return pvm_event_gp(vcpu, 0);
	}

	pvm_pvcs_change_flags(vcpu, PVM_EVENT_FLAGS_IP, 0);
	pvm_mode_enter_user(vcpu, &user);
	pvm_trace_vcpu(vcpu, PVM_TRACE_RETURN_USER, user.rip, 0, 0, 0);
	return finish_return(vcpu);
}

/* The frame cannot be read: the fault is the SYSCALL instruction's, like
 * IRETQ's. Where even that cannot be delivered the stack is what to name. */
static enum pvm_action unreadable_frame(struct pvm_vcpu *vcpu, const struct pvm_fault_result *fault,
					pvm_gva_t gva)
{
	enum pvm_action action;

	undo_syscall(vcpu);
	if (fault->kind != PVM_FAULT_INJECT)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_STACK, PVM_VEC_PF, gva.v);
	if (fault->vector == PVM_VEC_PF)
		action = pvm_event_pf(vcpu, gva, fault->error_code);
	else
		action = pvm_event_deliver(vcpu, fault->vector, fault->error_code);
	if (action == PVM_ACT_SHUTDOWN && vcpu->request.shutdown.reason == PVM_SHUTDOWN_DOUBLE_FAULT)
		vcpu->request.shutdown.reason = PVM_SHUTDOWN_BAD_STACK;
	return action;
}

enum pvm_action pvm_event_return_supervisor(struct pvm_vcpu *vcpu)
{
	struct pvm_supervisor_frame frame;
	struct pvm_fault_result fault;
	pvm_gva_t gva;

	if (pvm_mmu_read(vcpu, pvm_gva(vcpu->gpr[PVM_RSP]), &frame, sizeof(frame), PVM_ACCESS_READ,
			 &fault, &gva) != PVM_OK)	/* M6: the one read */
		return unreadable_frame(vcpu, &fault, gva);
	if (!pvm_rip_runnable(vcpu, frame.rip)) {	/* S1 */
		undo_syscall(vcpu);
		return pvm_event_gp(vcpu, 0);
	}

	pvm_pvcs_change_flags(vcpu, PVM_EVENT_FLAGS_IP | PVM_EVENT_FLAGS_IF,
			      frame.rflags & PVM_EVENT_FLAGS_IF);
	vcpu->rip = frame.rip;
	vcpu->rflags = pvm_rflags_sane(frame.rflags);	/* S2 */
	vcpu->gpr[PVM_RSP] = frame.rsp;
	vcpu->gpr[PVM_RCX] = frame.rcx;
	vcpu->gpr[PVM_R11] = frame.r11;
	pvm_trace_vcpu(vcpu, PVM_TRACE_RETURN_SUPERVISOR, frame.rip, 0, 0, 0);
	return finish_return(vcpu);
}
