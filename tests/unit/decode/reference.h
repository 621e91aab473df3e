/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* decode_insn() by Zydis. */
#ifndef TESTS_DECODE_REFERENCE_H
#define TESTS_DECODE_REFERENCE_H

#include <pvm/hypercall.h>

/* As decode_insn(), but that an unknown instruction has its length, if it is one at all. */
void reference_decode_insn(const struct pvm_vcpu *vcpu, bool code64, const uint8_t *bytes, size_t length,
			   struct pvm_insn *insn);

#endif /* TESTS_DECODE_REFERENCE_H */
