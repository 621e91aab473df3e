/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A vCPU's CS and SS, to the area's frame and back. Those of an LDT are ldt.c's to fill in.
 */
#ifndef SWITCHER_SELECTORS_H
#define SWITCHER_SELECTORS_H

#include <pvm/vcpu.h>

#include "switcher/area.h"
#include "vcpu/rules.h"

/* How the guest goes on, in the area's frame. */
static inline void pvm_switcher_fill_selectors(struct pvm_switcher_cpu *cpu, const struct pvm_vcpu *vcpu)
{
	cpu->frame.cs = vcpu->user_mode ? pvm_vcpu_underlying_cs(vcpu) : cpu->user_cs;
	cpu->frame.rflags = pvm_rflags_sane(vcpu->rflags);	/* S2 */
	cpu->frame.ss = cpu->user_ds;
}

/* In user mode CS and SS are the guest's to change among what is its own. */
static inline void pvm_switcher_take_selectors(const struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu)
{
	if (!vcpu->user_mode)
		return;
	vcpu->seg[PVM_CS] = (uint16_t)cpu->frame.cs;
	vcpu->seg[PVM_SS] = (uint16_t)cpu->frame.ss;
	if (pvm_unlikely(vcpu->seg[PVM_SS] != cpu->user_ds) && vcpu->vm->config.host_ldt)
		vcpu->state_gen++;	/* for ldt.c: the program has loaded a stack, of the TLS perhaps */
}

/* SYSCALL comes from 64-bit code, wherever far transfers have led since the entry, and loads SS itself. */
static inline void pvm_switcher_take_syscall_selectors(struct pvm_vcpu *vcpu)
{
	if (!vcpu->user_mode)
		return;
	vcpu->seg[PVM_CS] = vcpu->vm->config.user_cs;
	vcpu->seg[PVM_SS] = vcpu->vm->config.user_ds;
}

#endif /* SWITCHER_SELECTORS_H */
