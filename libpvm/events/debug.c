/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * #DB: which of the causes that the CPU reports are the guest's to see.
 * Never touches the underlying debug registers.
 *
 * spec: Discarded #DB, Underlying DR6, Underlying DR7
 */
#include "abi/abi.h"
#include "events/resume.h"

#define DEBUG_CAUSES (PVM_DR6_BP_MASK | PVM_DR6_BD | PVM_DR6_BS | PVM_DR6_BT)

/* M7: hits of breakpoints whose address is not the guest's. */
static uint64_t illegal_hits(const struct pvm_vcpu *vcpu, uint64_t dr6)
{
	uint64_t illegal = 0;
	unsigned i;

	for (i = 0; i < 4; i++)
		if ((dr6 >> i & 1) && !pvm_legal_address(vcpu, pvm_gva(vcpu->dr[i])))
			illegal |= PVM_UL(1) << i;
	return illegal;
}

/* Is the vCPU at an entry point with not one instruction executed there? */
static bool just_entered(const struct pvm_vcpu *vcpu)
{
	if (vcpu->user_mode || vcpu->gpr[PVM_RCX] != vcpu->rip ||
	    vcpu->gpr[PVM_R11] != (PVM_RFLAGS_IF | PVM_RFLAGS_FIXED))
		return false;
	if (vcpu->rip == vcpu->msr.lstar)
		return true;
	return vcpu->vm->abi->at_event_entry && vcpu->vm->abi->at_event_entry(vcpu);
}

/* A data hit reported at an entry point is one that MOV/POP SS put off. */
static uint64_t deferred_hits(const struct pvm_vcpu *vcpu, uint64_t dr6)
{
	uint64_t deferred = 0;
	unsigned i;

	if (!just_entered(vcpu))
		return 0;
	for (i = 0; i < 4; i++)
		if ((dr6 >> i & 1) && (vcpu->dr7 & PVM_DR7_RW(i)))
			deferred |= PVM_UL(1) << i;
	return deferred;
}

enum pvm_action pvm_event_debug(struct pvm_vcpu *vcpu, uint64_t dr6)
{
	uint64_t causes = dr6 & DEBUG_CAUSES;
	uint64_t left = causes & ~(illegal_hits(vcpu, causes) | deferred_hits(vcpu, causes));

	vcpu->dr6 = (vcpu->dr6 & (PVM_DR6_BD | PVM_DR6_BS | PVM_DR6_BT)) | left | PVM_DR6_FIXED;
	if (causes && !left)
		return pvm_event_resume(vcpu);
	vcpu->dr7 &= ~PVM_DR7_GD;
	vcpu->state_gen++;
	return pvm_event_deliver(vcpu, PVM_VEC_DB, 0);
}
