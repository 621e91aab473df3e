/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Instruction bytes to struct pvm_insn. Freestanding. Never reads guest memory and
 * never decides whether an instruction may execute.
 */
#ifndef DECODE_DECODE_H
#define DECODE_DECODE_H

#include <pvm/hypercall.h>

#define DECODE_MAX_LENGTH PVM_INSN_MAX_LENGTH	/* bytes worth reading at rip */

/**
 * decode_insn - what instruction is at vcpu->rip?
 * @vcpu: its general registers, rip and bases give memory operands their
 *        address; not changed.
 * @code64: 64-bit code, else 32-bit code (compatible user mode).
 * @bytes, @length: what could be read at rip, 0 bytes or more; those after
 *        the fifteenth are ignored, none after @length is read.
 * @insn: overwritten. op is PVM_INSN_UNKNOWN, with length 0, for truncated or
 *        invalid bytes, and for an instruction that the engine has no use for.
 *
 * spec: X86 Instructions with changed behavior, PVM_SYNTHETIC_CPUID
 */
void decode_insn(const struct pvm_vcpu *vcpu, bool code64, const uint8_t *bytes, size_t length,
		 struct pvm_insn *insn);

#endif /* DECODE_DECODE_H */
