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
#include "vcpu/ldt.h"

#define INSN_INTO	0xce
#define INSN_INT_LENGTH	2	/* INT n */
#define INSN_INT3_LENGTH 1
#define INSN_INTO_LENGTH 1

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

/* Code at a base of its own, of 16 or 32 bits: none is emulated, as none is the kernel's. */
static bool runs_ldt_code(const struct pvm_vcpu *vcpu)
{
	return vcpu->user_mode && (vcpu->seg[PVM_CS] & PVM_SEL_LDT);
}

enum pvm_action pvm_exit_trapped(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	const struct pvm_host_ops *ops = vcpu->vm->ops;
	uint8_t bytes[PVM_INSN_MAX_LENGTH];
	struct pvm_insn insn;
	size_t length;

	if (!ops->decode || runs_ldt_code(vcpu))
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
	uint64_t at = vcpu->rip - 1;
	uint8_t code = 0;
	int rc;

	*found = false;
	if (pvm_vcpu_mode(vcpu) != PVM_MODE_USER32)
		return PVM_OK;
	if (runs_ldt_code(vcpu))
		at = (uint32_t)(PVM_DESC_BASE(pvm_ldt_entry(vcpu, vcpu->seg[PVM_CS])) + at);
	rc = pvm_mmu_read(vcpu, pvm_gva(at), &code, 1, PVM_ACCESS_EXEC, &fault, &gva);
	*found = rc == PVM_OK && code == INSN_INTO;
	return rc == PVM_EAGAIN ? rc : PVM_OK;
}

/* The CPU's gates are open for INT3, INT 0x80 and, for INTO, vector 4. The guest's own say who may; one
 * without has a gate for INTO only: INT 4 is what it would be without. */
enum pvm_action pvm_exit_software(struct pvm_vcpu *vcpu, uint8_t vector)
{
	bool (*gate)(const struct pvm_vcpu *vcpu, uint8_t vector) = vcpu->vm->abi->software_gate;
	uint8_t length = vector == PVM_VEC_BP ? INSN_INT3_LENGTH : INSN_INT_LENGTH;
	bool open = !gate || gate(vcpu, vector), into;

	if (vector == PVM_VEC_OF && !(gate && open)) {
		if (find_into(vcpu, &into) != PVM_OK)
			return PVM_ACT_RETRY;
		if (into)
			length = INSN_INTO_LENGTH;
		open = open && into;
	}
	if (open)
		return pvm_event_deliver(vcpu, vector, 0);
	vcpu->rip -= length;
	return pvm_event_gp(vcpu, (uint32_t)vector << PVM_ERROR_INDEX_SHIFT | PVM_ERROR_IDT);
}
