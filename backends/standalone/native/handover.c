/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a pair of stubs is told before a run, and what is believed of it afterwards. A user's stub can
 * write none of what is read here but its frame, which is its own registers; a supervisor's can
 * write its record, and the pages handed to the user's: both is the guest's kernel's anyway.
 */
#include "handover.h"

#include <string.h>

#include <pvm/events.h>
#include <pvm/mmu.h>

#include "native.h"

#define XFEATURE_PKRU		(1ull << 9)
#define PKRU_KEY0_DENIED	1u

static struct space *users(struct space *space, struct space *peer)
{
	return space_is_users(space) ? space : peer;
}

static struct space *supervisors(struct space *space, struct space *peer)
{
	return space_is_users(space) ? peer : space;
}

/* ------------------------------------------------------------------------
 * Before.
 */

/* Where the page of the PVCS is in guest memory. */
static uint64_t pvcs_offset(const struct pvm_vcpu *vcpu)
{
	return vcpu->pvcs ? vcpu->pvcs_page.v - GUEST_HPA_BASE : PVM_INVALID_ADDR;
}

void handover_queue(struct space *space, const struct monitor_vcpu *vcpu)
{
	uint64_t offset = pvcs_offset(&vcpu->pvm);

	/* M9: also where there is none any more. */
	if (!space_is_users(space) && space->pvcs != offset)
		space_command_pvcs(space, offset);
}

/* ptrace changes these, for one thread. */
static bool same_thread_state(const struct space *a, const struct space *b)
{
	return !memcmp(a->tls, b->tls, sizeof(a->tls)) && !a->dr7 && !b->dr7;
}

static uint32_t supervisor_pkru(const struct pvm_vcpu *vcpu)
{
	return vcpu->cr4 & PVM_CR4_PKS ? (uint32_t)vcpu->msr.pkrs : 0;
}

static bool may_hand_over(struct monitor_vcpu *vcpu, const struct space *space, const struct space *peer)
{
	const struct space *supervisor = space_is_users(space) ? peer : space;
	struct pvm_vcpu *pvm = &vcpu->pvm;
	pvm_hpa_t other;

	if (vcpu->vm->trace || native_vm(vcpu->vm)->every_exit)
		return false;
	if (!peer->pid || peer->forget_all || peer->forget_count || space_is_users(space) != pvm->user_mode)
		return false;
	if (space->control->enter != ENTER_IRET || !same_thread_state(space, peer))
		return false;
	if (!space->frame.pkru_offset != !pvm->vm->config.host_pke ||
	    (supervisor_pkru(pvm) & PKRU_KEY0_DENIED) || !pvm_event_may_switch(pvm))
		return false;
	if ((supervisor == space ? space->pvcs_next : peer->pvcs) != pvcs_offset(pvm))
		return false;
	other = pvm_mmu_other_root(pvm);
	return other.v != PVM_INVALID_ADDR && peer->root == other.v;
}

/* In @space's extended state, or in another's that lies the same. */
static void tell_both(struct space *space, const struct pvm_vcpu *vcpu)
{
	const struct sigframe_place *place = &space->frame;
	struct stub_control *control = space->control;

	control->xfeatures = place->layout.features;
	control->handed_xfeatures = place->layout.features & ~XFEATURE_PKRU;
	control->has_pkru = place->pkru_offset != 0;
	control->pkru_offset = place->pkru_offset;
	control->xstate_size = place->layout.size;
	control->mxcsr_mask = place->mxcsr_mask;
	control->user_cs = vcpu->vm->config.user_cs;
	control->user_ds = vcpu->vm->config.user_ds;
}

bool handover_arm(struct monitor_vcpu *vcpu, struct space *space, struct space *peer)
{
	struct space *user = users(space, peer), *supervisor = supervisors(space, peer);
	const struct pvm_vcpu *pvm = &vcpu->pvm;
	struct stub_control *control = supervisor->control;

	if (!may_hand_over(vcpu, space, peer))
		return false;
	tell_both(space, pvm);
	tell_both(peer, pvm);
	user->control->handed_xstate = STUB_HANDED + CONTROL_XSTATE;
	user->control->handover = HANDOVER_USER;
	control->handed_xstate = STUB_PEER_SHARED +
				 (uint64_t)(user->frame.xstate - (const uint8_t *)user->record);
	control->peer_frame = STUB_PEER_SHARED + (user->frame.address - STUB_SHARED);
	control->pvcs = STUB_PVCS + (pvm->msr.vcpu_struct & (PVM_PAGE_SIZE - 1));
	control->entry = pvm->msr.lstar;
	control->return_next = pvm->msr.retu_rip ? pvm->msr.retu_rip + PVM_SYSCALL_LENGTH : PVM_INVALID_ADDR;
	control->supervisor_pkru = supervisor_pkru(pvm);
	control->handover = HANDOVER_SUPERVISOR;
	supervisor->record->calls = supervisor->record->returns = 0;
	supervisor->record->kernel_gs_base = frame_canonical(pvm->msr.kernel_gs_base);
	supervisor->record->supervisor_rsp = pvm->msr.supervisor_rsp;
	return true;
}

void handover_disarm(struct space *space, struct space *peer)
{
	space->control->handover = peer->control->handover = HANDOVER_NOT;
}

/* ------------------------------------------------------------------------
 * After.
 */

/* As frame_load() will make them valid. */
static void take_registers(struct pvm_vcpu *vcpu, const struct stub_registers *from)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	memcpy(vcpu->gpr, from->gpr, sizeof(vcpu->gpr));
	vcpu->rip = from->iret.rip;
	vcpu->rflags = pvm_rflags_sanitize(from->iret.rflags);
	vcpu->fs_base = frame_canonical(from->fs_base);
	vcpu->gs_base = frame_canonical(from->gs_base);
	vcpu->seg[PVM_DS] = from->ds;
	vcpu->seg[PVM_ES] = from->es;
	vcpu->seg[PVM_FS] = from->fs;
	vcpu->seg[PVM_GS] = from->gs;
	if (config->host_pke)
		vcpu->pkru = from->pkru;
	if (vcpu->user_mode) {
		vcpu->seg[PVM_CS] = config->user_cs;
		vcpu->seg[PVM_SS] = config->user_ds;
	}
}

bool handover_take(struct monitor_vcpu *vcpu, struct space *space, struct space *peer, struct space *stopped,
		   bool no_frame)
{
	struct native_vcpu *native = vcpu->executor;
	struct space *user = users(space, peer), *supervisor = supervisors(space, peer);
	const struct stub_record record = *supervisor->record;
	bool in_user = stopped == user;
	struct pvm_vcpu *pvm = &vcpu->pvm;

	if (!(in_user ? record.returns : record.calls))
		return stopped == space;	/* entered by the monitor */
	native->handed.calls += record.calls;
	native->handed.returns += record.returns;
	pvm->msr.kernel_gs_base = frame_canonical(record.kernel_gs_base);
	pvm->msr.supervisor_rsp = record.supervisor_rsp;
	pvm_event_switched(pvm, in_user);
	vcpu->root = pvm_hpa(stopped->root);
	if (no_frame)
		frame_store_xstate(&stopped->frame, in_user ? user->handed->xstate : user->frame.xstate,
				   vcpu);
	/* S11: last, because the extended state has the PKRU of the mode that was left. */
	take_registers(pvm, in_user ? &user->handed->registers : &record.registers);
	if (!in_user)
		frame_store_gprs(user->frame.frame, vcpu->user_gpr);
	return true;
}
