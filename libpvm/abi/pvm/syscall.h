/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * SYSCALL for every dialect of PVM: what the instruction means, the user's system call,
 * and EVENT_RETURN_USER. What the guest asks to return to is read once into a local copy
 * (M6), checked there, and only then loaded.
 *
 * spec: User SYSCALL event, PVM Synthetic Instructions, Synthetic Instruction:
 * EVENT_RETURN_USER
 */
#ifndef PVM_ABI_PVM_SYSCALL_H
#define PVM_ABI_PVM_SYSCALL_H

#include "abi/pvm/rows.h"
#include "abi/pvm/mode.h"
#include "events/resume.h"
#include "hypercall/engine.h"

#define PVM_RIP32_MAX	0xffffffffull	/* limit of a 32-bit code segment */

PVM_DIALECT enum pvm_syscall_class pvm_dialect_classify(const struct pvm_vcpu *vcpu)
{
	uint64_t start = vcpu->rip - PVM_SYSCALL_LENGTH;

	if (vcpu->user_mode)
		return PVM_SYSCALL_USER;
	if (start == vcpu->msr.retu_rip && start)
		return PVM_SYSCALL_RETURN_USER;
	if (start == vcpu->msr.rets_rip && start)
		return PVM_SYSCALL_RETURN_SUPERVISOR;
	if (vcpu->gpr[PVM_RAX] - PVM_HC_BASE < PVM_HC_COUNT)
		return PVM_SYSCALL_PVM_HYPERCALL;
	return PVM_SYSCALL_OTHER_HYPERCALL;
}

/* The instruction cannot be executed: put RIP back to it, as a fault has it. */
PVM_DIALECT void pvm_dialect_undo_syscall(struct pvm_vcpu *vcpu)
{
	vcpu->rip -= PVM_SYSCALL_LENGTH;
}

PVM_DIALECT enum pvm_action pvm_dialect_user_syscall(struct pvm_vcpu *vcpu, const struct pvm_layout *l)
{
	uint64_t entry = vcpu->msr.lstar;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, PVM_NO_VECTOR, vcpu->rip);
	if (!pvm_entry_is_legal(vcpu, entry))
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, PVM_NO_VECTOR, entry);

	pvm_trace_vcpu(vcpu, PVM_TRACE_SYSCALL, vcpu->rip, vcpu->gpr[PVM_RAX], 0, 0);
	pvm_mode_enter_supervisor(vcpu, l, entry);
	return PVM_ACT_RESUME;
}

PVM_DIALECT bool pvm_dialect_user_valid(const struct pvm_vcpu *vcpu, const struct pvm_user_context *user)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	/* S4: the 64-bit pair, or the 32-bit compatible pair; nothing else. */
	if (user->ss != config->user_ds)
		return false;
	if (user->cs == config->user_cs)
		return pvm_rip_runnable(vcpu, user->rip);	/* S1 */
	return user->cs == config->user32_cs && user->rip <= PVM_RIP32_MAX;
}

/* To user mode, or #GP; what waited for the return is the dialect's to look at. True:
 * the vCPU is in user mode; else *@action is what came of the #GP. */
PVM_DIALECT bool pvm_dialect_return_user(struct pvm_vcpu *vcpu, const struct pvm_layout *l,
					 enum pvm_action *action)
{
	struct pvm_user_context user;

	if (!vcpu->pvcs) {
		pvm_dialect_undo_syscall(vcpu);
		*action = pvm_event_gp(vcpu, 0);
		return false;
	}
	user.rip = pvm_pvcs_get64(vcpu, l->rip);
	user.rsp = l->switches_rsp ? pvm_pvcs_get64(vcpu, l->rsp) : 0;
	user.rflags = pvm_rflags_sane(pvm_pvcs_get32(vcpu, l->eflags));	/* S2 */
	user.rcx = pvm_pvcs_get64(vcpu, l->rcx);
	user.r11 = pvm_pvcs_get64(vcpu, l->r11);
	user.gs_base = pvm_sign_extend_host(vcpu, pvm_pvcs_get64(vcpu, l->user_gsbase));
	user.pkru = pvm_pvcs_get32(vcpu, l->pkru);
	user.cs = pvm_pvcs_get16(vcpu, l->user_cs);
	user.ss = pvm_pvcs_get16(vcpu, l->user_ss);
	if (!pvm_dialect_user_valid(vcpu, &user)) {
		pvm_dialect_undo_syscall(vcpu);
		*action = pvm_event_gp(vcpu, 0);
		return false;
	}

	pvm_pvcs_change_flags(vcpu, l, PVM_EVENT_FLAGS_IP, 0);
	pvm_mode_enter_user(vcpu, l, &user);
	pvm_trace_vcpu(vcpu, PVM_TRACE_RETURN_USER, user.rip, 0, 0, 0);
	pvm_returned(vcpu);
	return true;
}

/* A return is done: NMIs are unmasked, and one that waited comes now. */
PVM_DIALECT enum pvm_action pvm_dialect_unmask_nmi(struct pvm_vcpu *vcpu)
{
	vcpu->nmi_masked = false;
	if (pvm_unlikely(vcpu->nmi_pending))
		return pvm_event_nmi(vcpu);
	return PVM_ACT_RESUME;
}

/* A hypercall, its arguments where its handler looks: RCX from R10. */
PVM_DIALECT enum pvm_action pvm_dialect_hypercall(struct pvm_vcpu *vcpu,
						  const struct pvm_abi_ops *ops)
{
	uint64_t nr = vcpu->gpr[PVM_RAX] - PVM_HC_BASE;

	vcpu->gpr[PVM_RCX] = vcpu->gpr[PVM_R10];
	pvm_trace_vcpu(vcpu, PVM_TRACE_HYPERCALL, vcpu->gpr[PVM_RAX], vcpu->gpr[PVM_RBX],
		       vcpu->gpr[PVM_RCX], vcpu->gpr[PVM_RDX]);
	if (pvm_likely(nr < ops->hypercall_count)) {
		const struct pvm_hypercall_row *row =
			&ops->hypercalls[pvm_index_masked(nr, PVM_DIALECT_HYPERCALLS - 1)];

		if (pvm_likely(row->handler))
			return row->handler(vcpu);
	}
	return nr < PVM_HC_COUNT ? pvm_hypercall_done(vcpu, (uint64_t)-PVM_KVM_ENOSYS) :
				   pvm_hypercall_other(vcpu);
}

#endif /* PVM_ABI_PVM_SYSCALL_H */
