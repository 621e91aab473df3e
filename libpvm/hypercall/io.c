/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * IN, OUT, INS and OUTS: what goes to which port, and where the answer goes.
 * The ports are the backend's. String I/O moves one element per action, and a
 * repeated one traps again for the next, so that it can be interrupted and its
 * faults are precise.
 */
#include "abi/abi.h"
#include "hypercall/engine.h"

static bool io_size_valid(uint8_t size)
{
	return size == 1 || size == 2 || size == 4;
}

static uint32_t io_mask(uint32_t value, uint8_t size)
{
	return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

/* The host, if there can be anything at the port. */
static enum pvm_action ask(struct pvm_vcpu *vcpu)
{
	return vcpu->vm->abi->no_ports ? pvm_complete_io(vcpu, ~0u) : PVM_ACT_IO;
}

enum pvm_action pvm_insn_io(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	if (!io_size_valid(insn->size))
		return pvm_event_ud(vcpu);
	vcpu->request.io.port = insn->port_is_dx ? (uint16_t)vcpu->gpr[PVM_RDX] : insn->port;
	vcpu->request.io.size = insn->size;
	vcpu->request.io.write = insn->op == PVM_INSN_OUT;
	vcpu->request.io.value =
		vcpu->request.io.write ? io_mask((uint32_t)vcpu->gpr[PVM_RAX], insn->size) : 0;
	vcpu->request.io.insn_length = insn->length;
	vcpu->request.io.string = false;
	return ask(vcpu);
}

/* The count of a repeated string instruction, of the address size. */
static uint64_t string_count(const struct pvm_vcpu *vcpu, uint8_t address_size)
{
	return address_size == 4 ? (uint32_t)vcpu->gpr[PVM_RCX] : vcpu->gpr[PVM_RCX];
}

/* What a port gives is gone once read: see first that it can be stored. Where no memory is, the host
 * does all of the instruction (PVM_ACT_MMIO). */
static bool destination_writable(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
				 enum pvm_action *action)
{
	const uint64_t ends[2] = { insn->address, insn->address + insn->size - 1 };
	struct pvm_fault_result fault;
	unsigned i;
	int rc;

	for (i = 0; i < 2; i++) {
		if (!pvm_mmu_translate(vcpu, pvm_gva(ends[i]), PVM_ACCESS_WRITE, true, &fault)) {
			*action = pvm_insn_fault(vcpu, &fault, pvm_gva(ends[i]), true);
			return false;
		}
		rc = pvm_mmu_probe_gpa(vcpu, fault.gpa);
		if (rc == PVM_OK)
			continue;
		fault.kind = rc == PVM_EAGAIN ? PVM_FAULT_WOULD_BLOCK : PVM_FAULT_MMIO;
		*action = pvm_insn_fault(vcpu, &fault, pvm_gva(ends[i]), true);
		return false;
	}
	return true;
}

enum pvm_action pvm_insn_string_io(struct pvm_vcpu *vcpu, const struct pvm_insn *insn)
{
	bool write = insn->op == PVM_INSN_OUTS;
	enum pvm_action action;
	uint32_t value = 0;

	if (!io_size_valid(insn->size) || (insn->address_size != 4 && insn->address_size != 8))
		return pvm_event_ud(vcpu);
	if (insn->rep && string_count(vcpu, insn->address_size) == 0)
		return pvm_insn_done(vcpu, insn->length);
	if (write && pvm_insn_read(vcpu, insn->address, &value, insn->size, &action) != PVM_OK)
		return action;
	if (!write && !destination_writable(vcpu, insn, &action))
		return action;

	vcpu->request.io.port = (uint16_t)vcpu->gpr[PVM_RDX];
	vcpu->request.io.size = insn->size;
	vcpu->request.io.write = write;
	vcpu->request.io.value = value;
	vcpu->request.io.insn_length = insn->length;
	vcpu->request.io.string = true;
	vcpu->request.io.rep = insn->rep;
	vcpu->request.io.address_size = insn->address_size;
	vcpu->request.io.gva = pvm_gva(insn->address);
	return ask(vcpu);
}

/* One element is done: RSI or RDI goes on, RCX counts, RIP stays while any is left. */
static enum pvm_action string_step(struct pvm_vcpu *vcpu)
{
	uint8_t index = vcpu->request.io.write ? PVM_RSI : PVM_RDI;
	uint8_t address_size = vcpu->request.io.address_size;
	uint64_t step = vcpu->request.io.size;

	if (vcpu->rflags & PVM_RFLAGS_DF)
		step = -step;
	pvm_gpr_write(vcpu, index, vcpu->gpr[index] + step, address_size);
	if (vcpu->request.io.rep) {
		pvm_gpr_write(vcpu, PVM_RCX, vcpu->gpr[PVM_RCX] - 1, address_size);
		if (string_count(vcpu, address_size) != 0)
			return pvm_insn_done(vcpu, 0);
	}
	return pvm_insn_done(vcpu, vcpu->request.io.insn_length);
}

enum pvm_action pvm_complete_io(struct pvm_vcpu *vcpu, uint32_t value)
{
	enum pvm_action action;

	value = io_mask(value, vcpu->request.io.size);
	vcpu->request.io.value = value;
	vcpu->io_late = false;
	if (vcpu->request.io.string) {
		if (!vcpu->request.io.write &&
		    pvm_insn_write(vcpu, vcpu->request.io.gva.v, &value, vcpu->request.io.size,
				   &action) != PVM_OK) {
			vcpu->io_late = action == PVM_ACT_RETRY && !vcpu->kept_event.waits;
			vcpu->io_late_rip = vcpu->rip;
			return action;
		}
		return string_step(vcpu);
	}
	if (!vcpu->request.io.write)
		pvm_gpr_write(vcpu, PVM_RAX, value, vcpu->request.io.size);
	return pvm_insn_done(vcpu, vcpu->request.io.insn_length);
}
