/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Instructions that trapped: reading their bytes for the host's decoder. The decoder
 * is asked through pvm_host_ops::decode; a host without one has the exception
 * delivered, as if the instruction were the guest's own fault.
 *
 * spec: X86 Instructions with changed behavior, INT n
 */
#include <pvm/events.h>
#include <pvm/mmu.h>

#include "abi/abi.h"
#include "exit/parts.h"
#include "internal.h"

#define INSN_INTO	0xce
#define INSN_INT_LENGTH	2	/* INT n */
#define INSN_INT3_LENGTH 1

/* As many bytes of the instruction as can be fetched; the rest may lie in a page that
 * is not there, and not be needed. PVM_EAGAIN: only by sleeping. */
static int fetch(struct pvm_vcpu *vcpu, uint8_t bytes[PVM_INSN_MAX_LENGTH], size_t *fetched)
{
	size_t to_page_end = PVM_PAGE_SIZE - (vcpu->rip & (PVM_PAGE_SIZE - 1));
	size_t len = to_page_end < PVM_INSN_MAX_LENGTH ? to_page_end : PVM_INSN_MAX_LENGTH;
	struct pvm_fault_result fault;
	pvm_gva_t gva;
	int rc = pvm_mmu_read(vcpu, pvm_gva(vcpu->rip), bytes, len, PVM_ACCESS_EXEC, &fault, &gva);

	*fetched = rc == PVM_OK ? len : 0;
	if (rc == PVM_OK && len < PVM_INSN_MAX_LENGTH) {
		rc = pvm_mmu_read(vcpu, pvm_gva(vcpu->rip + len), bytes + len,
				  PVM_INSN_MAX_LENGTH - len, PVM_ACCESS_EXEC, &fault, &gva);
		if (rc == PVM_OK)
			*fetched = PVM_INSN_MAX_LENGTH;
	}
	return rc == PVM_EAGAIN ? rc : PVM_OK;
}

enum pvm_action pvm_exit_trapped(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	const struct pvm_host_ops *ops = vcpu->vm->ops;
	uint8_t bytes[PVM_INSN_MAX_LENGTH];
	struct pvm_insn insn;
	size_t length;

	if (!ops->decode)
		return pvm_event_deliver(vcpu, vector, error_code);
	if (fetch(vcpu, bytes, &length) != PVM_OK)
		return PVM_ACT_RETRY;
	ops->decode(vcpu, pvm_vcpu_mode(vcpu) != PVM_MODE_USER32, bytes, length, &insn);
	return pvm_handle_insn(vcpu, &insn, vector, error_code);
}

/* Is what ended at rip INTO? It exists in 32-bit code only. PVM_OK or PVM_EAGAIN. */
static int find_into(struct pvm_vcpu *vcpu, bool *found)
{
	struct pvm_fault_result fault;
	pvm_gva_t gva;
	uint8_t code = 0;
	int rc;

	*found = false;
	if (pvm_vcpu_mode(vcpu) != PVM_MODE_USER32)
		return PVM_OK;
	rc = pvm_mmu_read(vcpu, pvm_gva(vcpu->rip - 1), &code, 1, PVM_ACCESS_EXEC, &fault, &gva);
	*found = rc == PVM_OK && code == INSN_INTO;
	return rc == PVM_EAGAIN ? rc : PVM_OK;
}

/* The gate of vector 4 is open for INTO; INT 4 has no business there, and is what it
 * would be without the gate. */
enum pvm_action pvm_exit_software(struct pvm_vcpu *vcpu, uint8_t vector)
{
	bool (*gate)(const struct pvm_vcpu *vcpu, uint8_t vector) = vcpu->vm->abi->software_gate;
	bool into;

	/* The CPU's gate let it through; the guest's own does not. */
	if (gate && vector != PVM_VEC_OF && !gate(vcpu, vector)) {
		vcpu->rip -= vector == PVM_VEC_BP ? INSN_INT3_LENGTH : INSN_INT_LENGTH;
		return pvm_event_gp(vcpu, (uint32_t)vector << PVM_ERROR_INDEX_SHIFT | PVM_ERROR_IDT);
	}
	if (vector != PVM_VEC_OF)
		return pvm_event_deliver(vcpu, vector, 0);
	if (find_into(vcpu, &into) != PVM_OK)
		return PVM_ACT_RETRY;
	if (into)
		return pvm_event_deliver(vcpu, vector, 0);
	vcpu->rip -= INSN_INT_LENGTH;
	return pvm_event_gp(vcpu, PVM_VEC_OF << PVM_ERROR_INDEX_SHIFT | PVM_ERROR_IDT);
}
