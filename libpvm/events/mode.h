/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The switch between user and supervisor mode, and what every entry into the
 * supervisor has in common. For events/ alone.
 */
#ifndef PVM_EVENTS_MODE_H
#define PVM_EVENTS_MODE_H

#include "events/dialect.h"

/* User mode to supervisor mode at @entry: the user's registers go to the PVCS,
 * which must be there, and the supervisor's are loaded. @entry must be legal. */
void pvm_mode_enter_supervisor(struct pvm_vcpu *vcpu, uint64_t entry);

/* What EVENT_RETURN_USER loads, checked. */
struct pvm_user_context {
	uint64_t rip, rsp, rflags, rcx, r11, gs_base;
	uint32_t pkru;
	uint16_t cs, ss;
};

/* Supervisor mode to user mode with @user's registers. Cannot fail. */
void pvm_mode_enter_user(struct pvm_vcpu *vcpu, const struct pvm_user_context *user);

/* RIP, RCX, R11 and RFLAGS as every entry into the supervisor leaves them. */
static inline void pvm_mode_load_entry(struct pvm_vcpu *vcpu, uint64_t entry)
{
	vcpu->rip = entry;
	vcpu->gpr[PVM_RCX] = entry;
	vcpu->gpr[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	vcpu->rflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;	/* S2 */
}

#endif /* PVM_EVENTS_MODE_H */
