/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the files of hypercall/ share: the end of an emulated instruction and
 * of a hypercall, and the instruction groups. For hypercall/ and abi/.
 */
#ifndef PVM_HYPERCALL_ENGINE_H
#define PVM_HYPERCALL_ENGINE_H

#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "events/resume.h"

/* insn.c: step over an emulated instruction; a single-step #DB if TF is set. */
enum pvm_action pvm_insn_done(struct pvm_vcpu *vcpu, uint8_t length);

/* insn.c: read or write the instruction's memory operand. PVM_OK; else PVM_EFAULT,
 * and @action is what came of the fault that was delivered for it. */
int pvm_insn_read(struct pvm_vcpu *vcpu, uint64_t address, void *buf, size_t len, enum pvm_action *action);
int pvm_insn_write(struct pvm_vcpu *vcpu, uint64_t address, const void *buf, size_t len,
		   enum pvm_action *action);

/* insn.c: deliver what the guest's tables said about an access of ours. */
enum pvm_action pvm_insn_fault(struct pvm_vcpu *vcpu, const struct pvm_fault_result *fault,
			       pvm_gva_t gva, bool write);

/* Emulation in supervisor mode, one function per group of instructions. */
enum pvm_action pvm_insn_register(struct pvm_vcpu *vcpu, const struct pvm_insn *insn);
enum pvm_action pvm_insn_invpcid(struct pvm_vcpu *vcpu, const struct pvm_insn *insn);
enum pvm_action pvm_insn_descriptor(struct pvm_vcpu *vcpu, const struct pvm_insn *insn);
enum pvm_action pvm_insn_io(struct pvm_vcpu *vcpu, const struct pvm_insn *insn);
enum pvm_action pvm_insn_string_io(struct pvm_vcpu *vcpu, const struct pvm_insn *insn);
enum pvm_action pvm_insn_rdmsr(struct pvm_vcpu *vcpu, const struct pvm_insn *insn);
enum pvm_action pvm_insn_wrmsr(struct pvm_vcpu *vcpu, const struct pvm_insn *insn);

/* syscall.c: a hypercall of another number than the engine's: the host's. */
enum pvm_action pvm_hypercall_other(struct pvm_vcpu *vcpu);

/* syscall.c: RAX = @result, R10 = RCX. */
enum pvm_action pvm_hypercall_done(struct pvm_vcpu *vcpu, uint64_t result);

/* Write a register the way an instruction with that operand size (bytes) does. */
static inline void pvm_gpr_write(struct pvm_vcpu *vcpu, uint8_t reg, uint64_t value, uint8_t size)
{
	switch (size) {
	case 1:
		vcpu->gpr[reg] = (vcpu->gpr[reg] & ~0xffull) | (value & 0xff);
		break;
	case 2:
		vcpu->gpr[reg] = (vcpu->gpr[reg] & ~0xffffull) | (value & 0xffff);
		break;
	case 4:
		vcpu->gpr[reg] = (uint32_t)value;
		break;
	default:
		vcpu->gpr[reg] = value;
	}
}

#endif /* PVM_HYPERCALL_ENGINE_H */
